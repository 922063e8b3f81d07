/* memory_report.c: what a recipe's training or evaluation holds, by use, for `ebb plan --memory`: the small lists are
 * counted by making them, the large blocks by their sizes.
 */
#include <stdarg.h>
#include <stdio.h>

#include "train/learner.h"
#include "model/model.h"
#include "model/plans.h"
#include "model/report.h"

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
