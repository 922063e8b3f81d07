/* trainer.c: one step after the other, with the log lines, grids and checkpoints that fall due.
 *
 * Files are written in an order that a crash cannot harm: the model before the checkpoint, so that the
 * checkpoint, from which a run resumes, is never ahead of what it stands for. Of several ranks the first writes
 * them; the others hear whether it could.
 */
#include <math.h>
#include <stdio.h>

#include "train/dist.h"
#include "train/trainer.h"

#define MEAN_KEEP 0.99 /* of the mean loss: about 100 steps */
#define TIME_KEEP 0.95 /* of the time a step takes */

static bool due(int64_t step, int64_t every, int64_t last)
{
    return step == last || (every > 0 && step % every == 0);
}

static ebb_status save(ebb_trainer *t)
{
    char path[EBB_PATH_MAX];
    ebb_progress progress = {t->learner.step, t->loss_mean};
    /* The gradient buffers are idle between steps. */
    float *stage = t->learner.shards.buffers;
    EBB_TRY(ebb_trainer_path(t, "model.safetensors", path));
    t->average->step = t->learner.step;
    EBB_TRY(ebb_model_save(t->average, path, stage));
    EBB_TRY(ebb_trainer_path(t, "checkpoint.safetensors", path));
    return ebb_checkpoint_save(&t->learner, path, &progress, stage);
}

ebb_status ebb_trainer_save(ebb_trainer *t)
{
    if (t->diverged)
        return ebb_fail(t->ctx, EBB_E_NUMERIC, "%s: the run has diverged: its last checkpoint stays as it is",
                        t->dir);
    return ebb_ranks_agree(t->ctx, ebb_rank_first(t->ctx) ? save(t) : EBB_OK);
}

/* The averages of power functions as models of their own, named by step and width. */
static ebb_status snapshot(ebb_trainer *t)
{
    const ebb_blocks *b = &t->learner.blocks;
    const float *weights[] = {b->ema, b->ema2};
    ebb_status status = EBB_OK;
    for (int i = 0; i < 2 && status == EBB_OK && weights[i] != NULL; i++) {
        char path[EBB_PATH_MAX], name[64];
        double width = ebb_recipe_ema(t->recipe, i == 1).width;
        snprintf(name, sizeof name, "ema-%010lld-%g.safetensors", (long long)t->learner.step, width);
        EBB_TRY(ebb_trainer_path(t, name, path));
        t->average->weights = weights[i];
        t->average->step = t->learner.step;
        t->average->ema_width = width;
        status = ebb_model_save(t->average, path, t->learner.shards.buffers);
        t->average->weights = b->ema;
        t->average->ema_width = 0;
    }
    return status;
}

static ebb_status write_log(ebb_trainer *t, const ebb_train_report *report)
{
    char path[EBB_PATH_MAX];
    double seconds = t->seconds - t->logged_seconds;
    int64_t pictures = (t->learner.step - t->logged_step) * t->recipe->train_batch;
    ebb_log_line line = {
        .step = report->step,
        .loss = report->loss,
        .loss_mean = report->loss_mean,
        .gradient_norm = report->gradient_norm,
        .lr = ebb_optim_lr(t->recipe, report->step),
        .images_per_second = seconds > 0 ? (double)pictures / seconds : 0,
        .seconds = t->seconds,
        .accuracy = report->accuracy,
    };
    t->logged_step = t->learner.step;
    t->logged_seconds = t->seconds;
    EBB_TRY(ebb_trainer_path(t, "log.jsonl", path));
    return ebb_runlog_append(t->ctx, path, &line);
}

/* What falls due after a step. */
enum { LOG = 1, GRID = 2, SAVE = 4, SNAPSHOT = 8 };

static int due_now(const ebb_trainer *t)
{
    const ebb_recipe *r = t->recipe;
    int64_t step = t->learner.step, last = r->train_steps;
    return (due(step, r->train_log_every, last) ? LOG : 0) |
           (ebb_trainer_has_grid(t) && due(step, r->train_sample_every, last) ? GRID : 0) |
           (due(step, r->train_save_every, last) ? SAVE : 0) |
           (r->train_snapshot_every > 0 && due(step, r->train_snapshot_every, last) ? SNAPSHOT : 0);
}

static ebb_status write_files(ebb_trainer *t, int what, const ebb_train_report *report)
{
    if (what & LOG)
        EBB_TRY(write_log(t, report));
    if (what & GRID)
        EBB_TRY(ebb_trainer_grid(t));
    if (what & SNAPSHOT)
        EBB_TRY(snapshot(t));
    return what & SAVE ? save(t) : EBB_OK;
}

static ebb_status write_due(ebb_trainer *t, ebb_train_report *report)
{
    int what = due_now(t);
    if (what == 0)
        return EBB_OK;
    EBB_TRY(ebb_ranks_agree(t->ctx, ebb_rank_first(t->ctx) ? write_files(t, what, report) : EBB_OK));
    report->saved = (what & SAVE) != 0;
    return EBB_OK;
}

/* Sums up what happened; the time of the first step of a process counts as any other. */
static void take_stock(ebb_trainer *t, double loss, double norm, double seconds, ebb_train_report *report)
{
    const ebb_learner *l = &t->learner;
    t->loss_mean = l->step == 1 ? loss : MEAN_KEEP * t->loss_mean + (1 - MEAN_KEEP) * loss;
    t->accuracy = isfinite(t->accuracy) ? MEAN_KEEP * t->accuracy + (1 - MEAN_KEEP) * l->found : l->found;
    t->step_seconds = t->step_seconds > 0 ? TIME_KEEP * t->step_seconds + (1 - TIME_KEEP) * seconds : seconds;
    t->seconds += seconds;
    report->step = l->step;
    report->loss = loss;
    report->loss_mean = t->loss_mean;
    report->accuracy = t->accuracy;
    report->gradient_norm = norm;
    report->images_per_second = t->step_seconds > 0 ? (double)t->recipe->train_batch / t->step_seconds : 0;
    report->seconds_left = (double)(t->recipe->train_steps - l->step) * t->step_seconds;
}

ebb_status ebb_trainer_step(ebb_trainer *t, ebb_train_report *out)
{
    double loss, norm, start = ebb_seconds();
    ebb_train_report report = {.size = sizeof report,
                               .steps = t->recipe->train_steps,
                               .step = t->learner.step,
                               .loss_mean = t->loss_mean,
                               .accuracy = t->accuracy};
    ebb_status status = EBB_OK;
    if (t->learner.step < t->recipe->train_steps) {
        status = ebb_learner_step(&t->learner, &loss, &norm);
        t->diverged = t->diverged || status == EBB_E_NUMERIC;
        if (status == EBB_OK) {
            take_stock(t, loss, norm, ebb_seconds() - start, &report);
            status = write_due(t, &report);
        }
    }
    report.done = status == EBB_OK && t->learner.step == t->recipe->train_steps;
    if (out != NULL)
        *out = report;
    return status;
}
