/* kept.c: models that are trained once and kept by the hash of their recipe (kept.h).
 */
#include <stdio.h>
#include <string.h>

#include "study/kept.h"
#include "train/dist.h"
#include "train/trainer.h"

ebb_status ebb_kept_key(ebb_context *ctx, const ebb_recipe *recipe, uint64_t from, uint64_t *key)
{
    char *text;
    EBB_TRY(ebb_recipe_identity(ctx, recipe, &text));
    *key = ebb_hash(from, text, strlen(text));
    ebb_text_free(text);
    return EBB_OK;
}

/* ---- training ------------------------------------------------------------------------------------------------------------ */

static ebb_status train(const ebb_keeper *k, ebb_trainer *t, const char *doing)
{
    ebb_train_report report = {.size = sizeof report};
    while (!report.done) {
        EBB_TRY(ebb_trainer_step(t, &report));
        if (k->progress != NULL && k->progress(k->user, doing, report.step, report.steps) != EBB_OK) {
            EBB_TRY(report.done ? EBB_OK : ebb_trainer_save(t));
            return ebb_fail(k->ctx, EBB_E_ARGUMENT, "stopped after step %lld of %lld of %s, saved", (long long)report.step,
                            (long long)report.steps, doing);
        }
    }
    return EBB_OK;
}

/* A run that was killed before its first checkpoint has nothing to go on from; the directory is of this recipe alone. */
static ebb_status clear(const ebb_keeper *k, const char *dir)
{
    char **names, path[EBB_KEPT_PATH];
    int32_t count;
    EBB_TRY(ebb_directory_make(k->ctx, dir));
    EBB_TRY(ebb_directory_list(k->ctx, dir, &names, &count));
    for (int32_t i = 0; i < count; i++)
        if (snprintf(path, sizeof path, "%s/%s", dir, names[i]) < (int)sizeof path)
            ebb_os_table.unlink(path);
    ebb_free(names);
    return EBB_OK;
}

static ebb_status train_or_resume(const ebb_keeper *k, const ebb_recipe *r, const char *model)
{
    char doing[80], dir[EBB_KEPT_PATH], checkpoint[EBB_KEPT_PATH];
    ebb_trainer *t = NULL;
    int length = (int)(strrchr(model, '/') - model);
    snprintf(dir, sizeof dir, "%.*s", length, model);
    snprintf(checkpoint, sizeof checkpoint, "%.*s/checkpoint.safetensors", length, model);
    snprintf(doing, sizeof doing, "training %.60s", r->about_name);
    ebb_status status = ebb_file_exists(checkpoint) ? EBB_OK : clear(k, dir);
    if (status == EBB_OK)
        status = ebb_file_exists(checkpoint) ? ebb_trainer_resume(k->ctx, dir, &t) : ebb_trainer_create(k->ctx, r, dir, &t);
    if (status == EBB_OK)
        status = train(k, t, doing);
    ebb_trainer_free(t);
    return status;
}

/* ---- a model ------------------------------------------------------------------------------------------------------------- */

/* Whether the model there is of the recipe's last step. */
static ebb_status is_finished(ebb_context *ctx, const ebb_recipe *r, const char *path, bool *finished)
{
    ebb_model *model;
    *finished = false;
    if (!ebb_file_exists(path))
        return EBB_OK;
    EBB_TRY(ebb_model_load(ctx, path, &model));
    *finished = model->step >= r->train_steps;
    ebb_model_free(model);
    return EBB_OK;
}

ebb_status ebb_kept_find(const ebb_keeper *k, const ebb_recipe *recipe, char path[EBB_KEPT_PATH], bool *there)
{
    uint64_t key;
    *there = false;
    EBB_TRY(ebb_kept_key(k->ctx, recipe, 0, &key));
    int n = snprintf(path, EBB_KEPT_PATH, "%s/models/%.60s-%016llx/model.safetensors", k->dir, recipe->about_name,
                     (unsigned long long)key);
    if (n < 0 || n >= EBB_KEPT_PATH - 100)
        return ebb_fail(k->ctx, EBB_E_ARGUMENT, "the name of the directory is too long: %s", k->dir);
    return is_finished(k->ctx, recipe, path, there);
}

ebb_status ebb_kept_model(const ebb_keeper *k, const ebb_recipe *recipe, char path[EBB_KEPT_PATH])
{
    bool there;
    EBB_TRY(ebb_kept_find(k, recipe, path, &there));
    return there ? EBB_OK : train_or_resume(k, recipe, path);
}
