/* memory.c: what a recipe's training or evaluation holds, by use, for `ebb plan --memory` and for the message when
 * it is too much.
 *
 * The system gives memory when it is first touched, not when it is asked for: so a learner asks for all, and looks
 * whether there is as much, before it writes anywhere. A report counts the small lists by making them, and the
 * large blocks by their sizes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "train/memory.h"
#include "train/model.h"
#include "train/plans.h"
#include "train/report.h"

/* ---- too much ----------------------------------------------------------------------------- */

static double gigabytes(double bytes) { return 1e-9 * bytes; }

ebb_status ebb_memory_fits(ebb_context *ctx)
{
    ebb_topology machine;
    ebb_par_machine(&machine);
    double held = (double)ebb_mem_read().bytes;
    if (machine.memory == 0 || held <= machine.memory)
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_MEMORY, "this machine has %.1f GB", gigabytes(machine.memory));
}

/* What would make it less and is not chosen yet. */
static void advise(const ebb_recipe *r, const ebb_learner *l, char *out, size_t size)
{
    int64_t shard = r->train_shard - 1;
    while (shard > 1 && r->train_batch % shard != 0)
        shard--;
    int at = snprintf(out, size, "%s", "");
    if (strcmp(r->train_memory, "least") != 0)
        at += snprintf(out + at, size - (size_t)at, ", train.memory=%s", strcmp(r->train_memory, "low") ? "low or least" : "least");
    if (shard > 0)
        at += snprintf(out + at, size - (size_t)at, ", train.shard=%lld or less", (long long)shard);
    if (strcmp(r->precision_type, "f32") == 0)
        at += snprintf(out + at, size - (size_t)at, ", precision.type=bf16");
    if (l->shards.workers > 1)
        at += snprintf(out + at, size - (size_t)at, ", fewer threads than %d", l->shards.workers);
    snprintf(out + at, size - (size_t)at, ", a smaller network or smaller pictures");
}

ebb_status ebb_memory_explain(ebb_context *ctx, const ebb_recipe *r, const ebb_dataset *data)
{
    char reason[512], advice[256];
    ebb_learner l;
    snprintf(reason, sizeof reason, "%s", ebb_message(ctx));
    EBB_TRY(ebb_learner_measure(ctx, r, data, &l));
    ebb_learner_bytes b = ebb_learner_memory(&l);
    size_t all = b.blocks + b.gradients + b.packed + b.values + b.scratch;
    advise(r, &l, advice, sizeof advice);
    ebb_learner_free(&l);
    return ebb_fail(ctx, EBB_E_MEMORY,
                    "training needs %.1f GB (weights, moments and average %.1f, gradients %.1f, packed weights %.1f, "
                    "activations %.1f, scratch %.1f), but %s; to need less: %s (ebb plan --memory tells what each gives)",
                    gigabytes((double)all), gigabytes((double)b.blocks), gigabytes((double)b.gradients),
                    gigabytes((double)b.packed), gigabytes((double)b.values), gigabytes((double)b.scratch), reason, advice + 2);
}

/* ---- the report --------------------------------------------------------------------------- */

typedef struct listing {
    json_t *parts;
    size_t total;
} listing;

static void add_part(listing *l, const char *part, size_t bytes, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void add_part(listing *l, const char *part, size_t bytes, const char *format, ...)
{
    char note[160];
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    l->total += bytes;
    json_array_append_new(l->parts, json_pack("{s:s, s:I, s:s}", "part", part, "bytes", (json_int_t)bytes, "of", note));
}

static void add_plan(listing *l, const ebb_plan *plan, int workers, int team)
{
    ebb_plan_size s = ebb_plan_measure(plan);
    add_part(l, "packed weights", s.shared, "those that are packed once for all runs");
    add_part(l, "activations", (size_t)workers * s.arena, "%d x %.1f MB, of which %.1f are alive at once", workers,
             1e-6 * (double)s.arena, 1e-6 * (double)s.alive);
    add_part(l, "scratch", (size_t)workers * (s.worker - s.arena), "of %d threads", workers * team);
}

static ebb_status finish(ebb_context *ctx, const ebb_recipe *r, const char *kind, const ebb_plan *plan, listing *l, char **json)
{
    char *text;
    json_t *peak;
    EBB_TRY(ebb_plan_peak_text(plan, &text));
    ebb_status status = ebb_json_parse(ctx, text, "plan", &peak);
    ebb_free(text);
    EBB_TRY(status);
    return ebb_report_text(ctx, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:O, s:I, s:o}", "recipe", r->about_name,
                                          "kind", kind, "precision", r->precision_type, "memory", r->train_memory, "batch",
                                          (json_int_t)r->train_batch, "shard", (json_int_t)r->train_shard, "threads",
                                          ctx->threads, "parts", l->parts, "total_bytes", (json_int_t)l->total, "peak",
                                          peak), json);
}

/* Of a trainer, beside what it takes while it writes a file or a grid. before: held at the start. */
static ebb_status report_training(ebb_context *ctx, ebb_recipe *r, size_t before, listing *list, char **json)
{
    ebb_dataset data;
    ebb_learner l;
    EBB_TRY(ebb_recipe_dataset(ctx, r, &data));
    ebb_recipe_resolve(r, &data);
    size_t opened = ebb_mem_read().bytes - before;
    ebb_status status = ebb_learner_measure(ctx, r, &data, &l);
    if (status == EBB_OK) {
        ebb_learner_bytes b = ebb_learner_memory(&l);
        add_part(list, "weights, moments, average", b.blocks, "4 x %lld numbers", (long long)l.params.length);
        add_part(list, "gradients", b.gradients, "%d x %lld numbers", l.shards.nbuffers, (long long)l.params.length);
        add_plan(list, l.shards.plan, l.shards.workers, 1);
        add_part(list, "data set", opened, "%lld pictures %dx%dx%d", (long long)data.n, data.height, data.width, data.channels);
        add_part(list, "lists", ebb_mem_read().bytes - before - opened, "steps, names, order of the pictures");
        status = finish(ctx, r, "training", l.shards.plan, list, json);
        ebb_learner_free(&l);
    }
    ebb_dataset_free(&data);
    return status;
}

static ebb_status make_evaluation(ebb_context *ctx, const ebb_recipe *r, const ebb_network *net, ebb_eval_way way, ebb_plan **out)
{
    ebb_plan_options options = ebb_recipe_plan(r, way.workers);
    options.team = way.team;
    options.measure_only = true;
    return ebb_eval_plan(ctx, net, way.shard, &options, out);
}

static ebb_status report_evaluation(ebb_context *ctx, ebb_recipe *r, size_t before, listing *list, char **json)
{
    ebb_model *model;
    ebb_plan *plan;
    ebb_eval_way way = ebb_eval_choose(r->train_batch, r->train_shard, ctx->threads);
    EBB_TRY(ebb_recipe_complete(ctx, r));
    EBB_TRY(ebb_model_create(ctx, r, &model));
    ebb_status status = make_evaluation(ctx, r, &model->net, way, &plan);
    if (status == EBB_OK) {
        add_part(list, "weights", (size_t)model->params.length * sizeof(float), "%lld numbers", (long long)model->params.length);
        add_plan(list, plan, way.workers, way.team);
        add_part(list, "lists", ebb_mem_read().bytes - before, "steps, names");
        status = finish(ctx, r, "evaluation", plan, list, json);
        ebb_plan_free(plan);
    }
    ebb_model_free(model);
    return status;
}

ebb_status ebb_memory_report(ebb_context *ctx, const ebb_recipe *recipe, int eval, char **json)
{
    ebb_recipe *r;
    size_t before = ebb_mem_read().bytes;
    *json = NULL;
    EBB_TRY(ebb_recipe_copy(ctx, recipe, &r));
    listing list = {.parts = json_array()};
    ebb_status status = ebb_recipe_check(ctx, r);
    ebb_recipe_settle(ctx, r);
    if (status == EBB_OK)
        status = (eval ? report_evaluation : report_training)(ctx, r, before, &list, json);
    json_decref(list.parts);
    ebb_recipe_free(r);
    return status;
}
