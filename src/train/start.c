/* start.c: how a run begins: in an empty directory, or from the checkpoint of an earlier one; and what
 * it announces before its first step.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/dist.h"
#include "model/report.h"
#include "train/trainer.h"

#define CHECKPOINT "checkpoint.safetensors"

ebb_status ebb_trainer_path(const ebb_trainer *t, const char *name, char *path)
{
    int n = snprintf(path, EBB_PATH_MAX, "%s/%s", t->dir, name);
    if (n < 0 || n >= EBB_PATH_MAX)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "the name of the run's directory is too long: %s", t->dir);
    return EBB_OK;
}

void ebb_trainer_free(ebb_trainer *t)
{
    if (t == NULL)
        return;
    ebb_model_free(t->average);
    ebb_learner_free(&t->learner);
    ebb_dataset_free(&t->data);
    ebb_recipe_free(t->recipe);
    ebb_free(t->dir);
    ebb_free(t);
}

/* ---- memory ----------------------------------------------------------------------------- */

/* Held at most: all that the trainer holds now, and the larger of a sample grid and a file. Making the
 * grid's plan once shows its peak, small lists on the way included. */
static ebb_status measure_memory(ebb_trainer *t, ebb_mem_stats before)
{
    size_t held = ebb_mem_read().bytes - before.bytes;
    size_t files = ebb_model_save_bytes(&t->learner.params, EBB_CHECKPOINT_ARRAYS);
    if (ebb_trainer_has_grid(t))
        EBB_TRY(ebb_trainer_grid_try(t));
    ebb_mem_stats after = ebb_mem_read();
    t->memory = held + files;
    if (after.peak_bytes > before.peak_bytes && after.peak_bytes - before.bytes + files > t->memory)
        t->memory = after.peak_bytes - before.bytes + files;
    return EBB_OK;
}

/* ---- making ----------------------------------------------------------------------------- */

static ebb_status build(ebb_trainer *t)
{
    EBB_TRY(ebb_recipe_check(t->ctx, t->recipe));
    EBB_TRY(ebb_recipe_dataset(t->ctx, t->recipe, &t->data));
    ebb_recipe_resolve(t->recipe, &t->data);
    ebb_recipe_settle(t->ctx, t->recipe);
    EBB_TRY(ebb_learner_create(t->ctx, t->recipe, &t->data, &t->learner));
    EBB_TRY(ebb_model_create(t->ctx, t->recipe, &t->average));
    t->average->weights = t->learner.blocks.ema;
    return EBB_OK;
}

/* Ranks that began with different things would end with nonsense. `mine`: how it went on this one. */
static ebb_status agree_on_start(ebb_trainer *t, ebb_status mine)
{
    const ebb_dataset *data = &t->data;
    const ebb_learner *l = &t->learner;
    char *recipe = NULL;
    if (ebb_ranks_of(t->ctx) == 1)
        return mine;
    if (mine == EBB_OK)
        mine = ebb_recipe_text(t->ctx, t->recipe, &recipe);
    EBB_TRY(ebb_ranks_agree(t->ctx, mine));
    uint64_t keys = ebb_hash(ebb_hash(0, EBB_VERSION, sizeof EBB_VERSION), recipe, strlen(recipe));
    ebb_text_free(recipe);
    EBB_TRY(ebb_ranks_same(t->ctx, keys, "versions of ebb or recipes"));
    size_t numbers = (size_t)(data->n * data->numbers);
    uint64_t pictures = data->bytes ? ebb_hash(0, data->bytes, numbers) : ebb_hash(0, data->values, numbers * 4);
    if (data->labels != NULL)
        pictures = ebb_hash(pictures, data->labels, (size_t)data->n * sizeof *data->labels);
    EBB_TRY(ebb_ranks_same(t->ctx, pictures, "data"));
    uint64_t weights = ebb_hash((uint64_t)l->step, l->blocks.p, (size_t)l->arrays * (size_t)l->params.length * sizeof(float));
    return ebb_ranks_same(t->ctx, weights, "checkpoints");
}

static ebb_status prepare_directory(ebb_trainer *t)
{
    char **names;
    int32_t count = 0;
    EBB_TRY(ebb_directory_make(t->ctx, t->dir));
    EBB_TRY(ebb_directory_list(t->ctx, t->dir, &names, &count));
    ebb_status status = EBB_OK;
    if (count > 0)
        status = ebb_fail(t->ctx, EBB_E_ARGUMENT,
                          "%s is not empty (it holds '%s'): resume the run in it, or name "
                          "another directory",
                          t->dir, names[0]);
    ebb_free(names);
    return status;
}

static ebb_status allocate(ebb_context *ctx, const char *dir, ebb_trainer **out)
{
    EBB_TRY(ebb_alloc(ctx, (void **)out, 1, sizeof **out, "trainer"));
    (*out)->ctx = ctx;
    (*out)->accuracy = NAN;
    (*out)->learner = (ebb_learner){.shards.result = -1};
    ebb_status status = ebb_strdup(ctx, &(*out)->dir, dir);
    if (status != EBB_OK) {
        ebb_trainer_free(*out);
        *out = NULL;
    }
    return status;
}

static ebb_status begin(ebb_trainer *t, const ebb_recipe *recipe, ebb_mem_stats before)
{
    EBB_TRY(ebb_recipe_copy(t->ctx, recipe, &t->recipe));
    EBB_TRY(build(t));
    return measure_memory(t, before);
}

ebb_status ebb_trainer_create(ebb_context *ctx, const ebb_recipe *recipe, const char *dir, ebb_trainer **out)
{
    ebb_mem_stats before = ebb_mem_read();
    ebb_status status = ebb_ranks_agree(ctx, allocate(ctx, dir, out));
    if (status == EBB_OK)
        status = agree_on_start(*out, begin(*out, recipe, before));
    /* Last, so that a recipe with a mistake leaves no directory behind. */
    if (status == EBB_OK)
        status = ebb_ranks_agree(ctx, ebb_rank_first(ctx) ? prepare_directory(*out) : EBB_OK);
    if (status != EBB_OK) {
        ebb_trainer_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- resuming --------------------------------------------------------------------------- */

static ebb_status restore(ebb_trainer *t, const ebb_safetensors *st)
{
    ebb_progress progress;
    EBB_TRY(ebb_checkpoint_about(t->ctx, st, &t->recipe, &progress));
    EBB_TRY(build(t));
    EBB_TRY(ebb_checkpoint_blocks(&t->learner, st));
    ebb_learner_refresh(&t->learner);
    if (progress.step > t->recipe->train_steps)
        return ebb_fail(t->ctx, EBB_E_FORMAT, "%s is of step %lld, but its recipe has %lld", st->path,
                        (long long)progress.step, (long long)t->recipe->train_steps);
    t->learner.step = progress.step;
    t->loss_mean = progress.loss_mean;
    return EBB_OK;
}

static ebb_status resume(ebb_trainer *t, ebb_mem_stats before)
{
    char path[EBB_PATH_MAX];
    ebb_safetensors st;
    EBB_TRY(ebb_trainer_path(t, CHECKPOINT, path));
    if (!ebb_file_exists(path))
        return ebb_fail(t->ctx, EBB_E_IO,
                        "%s: no " CHECKPOINT " in it: no run to resume, or one that ended before its "
                        "first save (start that again in an empty directory)",
                        t->dir);
    EBB_TRY(ebb_st_read(t->ctx, path, &st));
    ebb_status status = restore(t, &st);
    ebb_st_free(&st);
    EBB_TRY(status);
    return measure_memory(t, before);
}

static ebb_status resume_log(ebb_trainer *t)
{
    char path[EBB_PATH_MAX];
    EBB_TRY(ebb_trainer_path(t, "log.jsonl", path));
    EBB_TRY(ebb_runlog_trim(t->ctx, path, t->learner.step, &t->seconds));
    t->logged_step = t->learner.step;
    t->logged_seconds = t->seconds;
    return EBB_OK;
}

ebb_status ebb_trainer_resume(ebb_context *ctx, const char *dir, ebb_trainer **out)
{
    ebb_mem_stats before = ebb_mem_read();
    ebb_status status = ebb_ranks_agree(ctx, allocate(ctx, dir, out));
    if (status == EBB_OK)
        status = agree_on_start(*out, resume(*out, before));
    if (status == EBB_OK)
        status = ebb_ranks_agree(ctx, ebb_rank_first(ctx) ? resume_log(*out) : EBB_OK);
    if (status != EBB_OK) {
        ebb_trainer_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- announcement ----------------------------------------------------------------------- */

ebb_status ebb_trainer_about(ebb_trainer *t, char **json)
{
    const ebb_recipe *r = t->recipe;
    json_t *about = json_pack(
        "{s:s, s:s, s:I, s:I, s:i, s:i, s:s, s:s, s:I, s:i, s:i, s:i, s:I, s:I, s:I, s:I}", "recipe", r->about_name,
        "precision", r->precision_type, "parameters", (json_int_t)t->learner.params.numbers, "memory_bytes",
        (json_int_t)t->memory, "ranks", ebb_ranks_of(t->ctx), "threads", t->ctx->threads, "cpu",
        ebb_isa_name(t->ctx->isa), "backend", ebb_backend_choice_name(t->ctx),
        "pictures", (json_int_t)t->data.n, "height", t->data.height, "width", t->data.width, "channels",
        t->data.channels, "batch", (json_int_t)r->train_batch, "shard", (json_int_t)r->train_shard, "step",
        (json_int_t)t->learner.step, "steps", (json_int_t)r->train_steps);
    return ebb_report_text(t->ctx, about, json);
}
