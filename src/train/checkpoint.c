/* checkpoint.c: weights, both moments and averages as tensors "p.NAME", "m.NAME", "v.NAME", "ema.NAME" ("ema2.NAME");
 * recipe and progress as metadata. The order of the data is a function of the step, so it needs no room.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/checkpoint.h"

static const char *const PREFIX[EBB_CHECKPOINT_ARRAYS] = {"p.", "m.", "v.", "ema.", "ema2."};

/* Own kernels give the same bits on every ISA, oneDNN others: a run stays with what it began with. */
static const char *arithmetic(const ebb_context *ctx)
{
    return ctx->backend == EBB_BACKEND_ONEDNN ? "onednn" : "own";
}

/* The history of losses, where there is one, is one more tensor. */
#define HISTORY "times.history"

static ebb_st_tensor history_row(const ebb_history *h)
{
    size_t bytes = (size_t)h->steps * (1 + EBB_HISTORY_KEPT) * sizeof(float);
    return (ebb_st_tensor){.name = HISTORY, .type = EBB_ST_F32, .rank = 2, .dim = {h->steps, 1 + EBB_HISTORY_KEPT},
                           .data = h->kept, .bytes = bytes};
}

static ebb_status read_history(ebb_learner *l, const ebb_safetensors *st)
{
    ebb_st_tensor want = history_row(&l->history);
    const ebb_st_tensor *have = ebb_st_find(st, HISTORY);
    if (l->history.steps == 0)
        return EBB_OK;
    if (have == NULL || have->type != want.type || have->bytes != want.bytes)
        return ebb_fail(l->ctx, EBB_E_FORMAT, "%s: tensor '" HISTORY "' is missing or of another shape", st->path);
    memcpy(l->history.kept, have->data, want.bytes);
    for (int64_t i = 0; i < (int64_t)(want.bytes / sizeof(float)); i++) {
        float x = l->history.kept[i];
        bool count = i % (1 + EBB_HISTORY_KEPT) == 0;
        if (!isfinite(x) || (count && !(x >= 0 && x <= EBB_HISTORY_KEPT && x == (float)(int)x)))
            return ebb_fail(l->ctx, EBB_E_NUMERIC, "%s: tensor '" HISTORY "' holds what is no history", st->path);
    }
    return EBB_OK;
}

static ebb_status check_arithmetic(ebb_context *ctx, const ebb_safetensors *st)
{
    const char *was = ebb_st_metadata(st, "ebb.backend");
    if (was == NULL)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: metadata 'ebb.backend' is missing", st->path);
    if (strcmp(was, arithmetic(ctx)) != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s was computed by back end '%s', and '%s' would give other bits: "
                        "set EBB_BACKEND=%s", st->path, was, arithmetic(ctx), was);
    return EBB_OK;
}

static ebb_status make_metadata(ebb_learner *l, const ebb_progress *progress, json_t **out)
{
    char mean[40];
    EBB_TRY(ebb_model_metadata(l->ctx, l->recipe, "checkpoint", progress->step, out));
    snprintf(mean, sizeof mean, "%.17g", progress->loss_mean);
    json_object_set_new(*out, "ebb.loss_mean", json_string(mean));
    json_object_set_new(*out, "ebb.backend", json_string(arithmetic(l->ctx)));
    json_object_set_new(*out, "ebb.directory", json_string(l->recipe->directory));
    return EBB_OK;
}

/* One block after the other passes through the stage: its first tensor brings all of it there. */
typedef struct staging { const ebb_learner *learner; float *stage; } staging;

static void stage_block(void *arg, int32_t i)
{
    const staging *s = arg;
    const ebb_learner *l = s->learner;
    const float *blocks[EBB_CHECKPOINT_ARRAYS] = {l->blocks.p, l->blocks.m, l->blocks.v, l->blocks.ema, l->blocks.ema2};
    if (i % l->params.count == 0 && i / l->params.count < l->arrays)
        ebb_params_to_file(l->ctx, &l->params, s->stage, blocks[i / l->params.count]);
}

ebb_status ebb_checkpoint_save(ebb_learner *l, const char *path, const ebb_progress *progress, float *stage)
{
    int count = l->params.count, total = l->arrays * count;
    ebb_st_tensor *rows;
    json_t *metadata = NULL;
    EBB_TRY(ebb_alloc(l->ctx, (void **)&rows, (size_t)total + 1, sizeof *rows + EBB_PARAM_NAME_MAX,
                      "header of the checkpoint"));
    char *names = (char *)(rows + total + 1);
    for (int i = 0; i < l->arrays; i++)
        ebb_params_rows(&l->params, PREFIX[i], stage, names + (size_t)(i * count) * EBB_PARAM_NAME_MAX,
                        rows + i * count);
    if (l->history.steps > 0)
        rows[total++] = history_row(&l->history);
    ebb_status status = make_metadata(l, progress, &metadata);
    if (status == EBB_OK)
        status = ebb_st_write_filled(l->ctx, path, rows, total, metadata, stage_block, &(staging){l, stage});
    json_decref(metadata);
    ebb_free(rows);
    return status;
}

ebb_status ebb_checkpoint_about(ebb_context *ctx, const ebb_safetensors *st, ebb_recipe **recipe,
                                ebb_progress *progress)
{
    const char *mean = ebb_st_metadata(st, "ebb.loss_mean");
    char *end = NULL;
    *recipe = NULL;
    EBB_TRY(ebb_model_step(ctx, st, &progress->step));
    progress->loss_mean = mean ? strtod(mean, &end) : NAN;
    if (mean == NULL || end == mean || *end != 0 || !isfinite(progress->loss_mean))
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: metadata 'ebb.loss_mean' is missing or no number", st->path);
    EBB_TRY(ebb_model_recipe(ctx, st, "checkpoint", recipe));
    ebb_status status = check_arithmetic(ctx, st);
    if (status != EBB_OK) {
        ebb_recipe_free(*recipe);
        *recipe = NULL;
    }
    return status;
}

ebb_status ebb_checkpoint_blocks(ebb_learner *l, const ebb_safetensors *st)
{
    float *blocks[EBB_CHECKPOINT_ARRAYS] = {l->blocks.p, l->blocks.m, l->blocks.v, l->blocks.ema, l->blocks.ema2};
    int extra = l->history.steps > 0;
    if (st->count != l->arrays * l->params.count + extra)
        return ebb_fail(l->ctx, EBB_E_FORMAT, "%s has %d tensors, but its recipe makes %d", st->path,
                        st->count, l->arrays * l->params.count + extra);
    for (int i = 0; i < l->arrays; i++)
        EBB_TRY(ebb_params_read(l->ctx, &l->params, st, PREFIX[i], blocks[i]));
    return read_history(l, st);
}
