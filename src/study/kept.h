/* kept.h: models that are trained when they are first needed, and kept for whoever needs them again.
 *
 * A model lies in DIR/models/NAME-KEY, a run of the ordinary trainer with its checkpoints, so that one that was cut goes on
 * where it was. The key is of the whole recipe, so that who asks for the same recipe gets the same model, and any other has its
 * own.
 */
#ifndef EBB_KEPT_H
#define EBB_KEPT_H

#include "model/model.h"

#define EBB_KEPT_PATH 4096
#define EBB_KEPT_USUAL "runs/experiments"    /* where they lie unless somebody says otherwise */

typedef struct ebb_keeper {
    ebb_context *ctx;
    const char *dir;
    /* What is being done, how much of it; a failure stops: training is saved, and the next call goes on with it. NULL: nobody
     * is told. */
    ebb_status (*progress)(void *user, const char *doing, int64_t done, int64_t total);
    void *user;
} ebb_keeper;

/* The file of the recipe's model (settled: ebb_recipe_settle), trained first, or trained on, unless it is there. */
ebb_status ebb_kept_model(const ebb_keeper *k, const ebb_recipe *recipe, char path[EBB_KEPT_PATH]);
/* Whether it is there, and where it lies or will lie. */
ebb_status ebb_kept_find(const ebb_keeper *k, const ebb_recipe *recipe, char path[EBB_KEPT_PATH], bool *there);
/* Of a recipe's text, from another key or 0. */
ebb_status ebb_kept_key(ebb_context *ctx, const ebb_recipe *recipe, uint64_t from, uint64_t *key);

#endif
