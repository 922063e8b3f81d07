/* trainer.h: a training run with its directory.
 */
#ifndef EBB_TRAINER_H
#define EBB_TRAINER_H

#include "train/checkpoint.h"
#include "train/runlog.h"

struct ebb_trainer {
    ebb_context *ctx;
    char *dir;
    ebb_recipe *recipe;          /* complete */
    ebb_dataset data;
    ebb_learner learner;
    ebb_model *average;          /* looks at the averaged weights */
    double loss_mean;            /* exponential, over about 100 steps */
    double accuracy;             /* the same of a classifier, from this process's first step on; else NaN */
    double step_seconds;         /* the same over about 20, of this process; 0: no step yet */
    double seconds;              /* of training, all processes together */
    int64_t logged_step;         /* at the last line of the log, or the start */
    double logged_seconds;
    bool diverged;               /* a step failed: nothing is saved any more */
    size_t memory;               /* bytes at most */
};

#define EBB_PATH_MAX 4096
/* "dir/name" to path (EBB_PATH_MAX bytes). */
ebb_status ebb_trainer_path(const ebb_trainer *trainer, const char *name, char *path);
/* samples-<step>.png by the averaged weights (picture.c). */
ebb_status ebb_trainer_grid(ebb_trainer *trainer);
/* Whether the recipe asks for grids and its pictures can be shown. */
bool ebb_trainer_has_grid(const ebb_trainer *trainer);
/* Makes and frees what a grid needs, so that its memory is known. */
ebb_status ebb_trainer_grid_try(ebb_trainer *trainer);

#endif
