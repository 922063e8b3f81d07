/* speed.c: pictures a second, of whole training steps, of evaluations of the network, or of sampling runs.
 *
 * A training step is all of it: batch, forward, backward, sum, clip, AdamW, average, repack. Two steps
 * warm up; the median of at least five timed ones counts, as other work on the machine only adds time. A
 * sampling run is many evaluations long: it needs no warming up, and one has to do.
 */
#include <stdio.h>
#include <string.h>

#include "train/dist.h"
#include "train/learner.h"
#include "model/plans.h"
#include "study/speed.h"

#define WARM_UP 2
#define STEPS_MIN 5
#define SECONDS_DEFAULT 3.0
#define SYNTHETIC_MIN 64

/* ---- training --------------------------------------------------------------------------- */

static ebb_status train_step(void *self)
{
    double loss, norm;
    return ebb_learner_step(self, &loss, &norm);
}

static ebb_status measure_training(ebb_context *ctx, const ebb_recipe *r, ebb_timing *t)
{
    ebb_dataset data;
    ebb_learner learner;
    ebb_status made = ebb_recipe_dataset(ctx, r, &data);
    if (made == EBB_OK)
        made = ebb_learner_create(ctx, r, &data, &learner);
    ebb_status status = ebb_ranks_agree(ctx, made);
    if (status == EBB_OK) {
        t->step = train_step;
        t->self = &learner;
        t->plan = learner.shards.plan;
        status = ebb_timing_run(t);
    }
    if (made == EBB_OK)
        ebb_learner_free(&learner);
    ebb_dataset_free(&data);
    return status;
}

/* ---- evaluation ------------------------------------------------------------------------- */

typedef struct evaluation {
    ebb_context *ctx;
    const ebb_recipe *recipe;
    ebb_network net;
    ebb_params params;
    float *weights;
    ebb_plan *plan;
    ebb_eval_way way;
} evaluation;

/* Before each run: a plan reuses the places of its inputs. */
static void fill_inputs(const evaluation *e, int worker)
{
    const ebb_recipe *r = e->recipe;
    size_t numbers = (size_t)ebb_shape_count(ebb_network_shape(&e->net, e->way.shard));
    ebb_rng_at at = {.seed = (uint64_t)r->train_seed, .stream = EBB_STREAM_SPEED, .sample = (uint32_t)worker};
    float *t = ebb_plan_input(e->plan, worker, "t");
    int32_t *label = ebb_plan_input(e->plan, worker, "label");
    e->ctx->kernels->normal_f32(numbers, ebb_plan_input(e->plan, worker, "x"), &at);
    for (int64_t i = 0; i < e->way.shard; i++) {
        t[i] = (float)ebb_rng_below(&at, (uint32_t)i, (uint32_t)r->process_steps);
        if (label != NULL)
            label[i] = (int32_t)(i % (r->net_classes + r->net_null_class));
    }
}

static void run_shard(void *arg, int64_t shard, int worker)
{
    evaluation *e = arg;
    (void)shard;
    fill_inputs(e, worker);
    ebb_plan_run(e->plan, worker);
}

static ebb_status eval_step(void *self)
{
    evaluation *e = self;
    ebb_par_teams(e->way.workers, e->way.team, e->way.shards, run_shard, e);
    return ebb_plan_check(e->plan);
}

static ebb_status make_evaluation(ebb_context *ctx, const ebb_recipe *r, evaluation *e)
{
    e->way = ebb_eval_choose(r->train_batch, r->train_shard, ctx->threads);
    EBB_TRY(ebb_recipe_network(ctx, r, &e->net));
    EBB_TRY(ebb_params_from_network(ctx, &e->net, &e->params));
    EBB_TRY(ebb_alloc(ctx, (void **)&e->weights, (size_t)e->params.length, sizeof(float), "weights"));
    ebb_params_init(ctx, &e->params, (uint64_t)r->train_seed, e->weights);
    ebb_plan_options options = ebb_recipe_plan(r, e->way.workers);
    options.team = e->way.team;
    EBB_TRY(ebb_eval_plan(ctx, &e->net, e->way.shard, &options, &e->plan));
    ebb_params_bind(&e->params, e->plan, e->weights);
    ebb_plan_prepare(e->plan);
    return EBB_OK;
}

static ebb_status measure_evaluation(ebb_context *ctx, const ebb_recipe *r, ebb_timing *t)
{
    evaluation e = {.ctx = ctx, .recipe = r};
    ebb_status status = make_evaluation(ctx, r, &e);
    if (status == EBB_OK) {
        t->step = eval_step;
        t->self = &e;
        t->plan = e.plan;
        status = ebb_timing_run(t);
    }
    ebb_plan_free(e.plan);
    ebb_free(e.weights);
    ebb_params_free(&e.params);
    return status;
}

/* ---- the report ------------------------------------------------------------------------- */

static ebb_status settle_precision(ebb_context *ctx, ebb_recipe *r, const char *precision)
{
    char assignment[64];
    snprintf(assignment, sizeof assignment, "precision.type=%.32s", precision ? precision : r->precision_type);
    EBB_TRY(ebb_recipe_set(ctx, r, assignment));
    ebb_recipe_settle(ctx, r);
    return EBB_OK;
}

/* Random data of the recipe's shape, at the batch asked for; the shard has to divide that. */
static ebb_status adapt(ebb_context *ctx, ebb_recipe *r, const ebb_speed_options *o)
{
    if (o->batch < 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "batch %d: it must be at least 1, or 0 for the recipe's",
                        o->batch);
    EBB_TRY(settle_precision(ctx, r, o->precision));
    EBB_TRY(ebb_recipe_complete(ctx, r));
    if (o->sample)
        r->train_batch = r->sample_count;
    if (o->batch > 0) {
        r->train_batch = o->batch;
        while (!o->eval && !o->sample && r->train_batch % r->train_shard != 0)
            r->train_shard--;
    }
    snprintf(r->data_kind, sizeof r->data_kind, "synthetic");
    r->data_limit = r->train_batch > SYNTHETIC_MIN ? r->train_batch : SYNTHETIC_MIN;
    r->train_steps = UINT32_MAX;
    if (!o->eval && !o->sample)
        return ebb_recipe_check(ctx, r);
    if (ebb_ranks_of(ctx) > 1)
        return ebb_fail(ctx, EBB_E_UNSUPPORTED, "only training is shared by several ranks: measure evaluation and "
                        "sampling without mpirun");
    return EBB_OK;
}

static ebb_status say(ebb_context *ctx, const ebb_recipe *r, const ebb_speed_options *o, const ebb_timing *t,
                      char **json)
{
    double batch = (double)r->train_batch, median = t->seconds[t->steps / 2];
    if (t->steps % 2 == 0)
        median = 0.5 * (median + t->seconds[t->steps / 2 - 1]);
    ebb_eval_way way = {.shard = r->train_shard, .team = 1};
    if (o->eval || o->sample)
        way = ebb_eval_choose(r->train_batch, r->train_shard, ctx->threads);
    json_t *report = json_pack(
        "{s:s, s:s, s:f, s:f, s:f, s:i, s:I, s:I, s:i, s:i, s:i, s:s, s:s, s:s}", "recipe", r->about_name, "mode",
        o->sample ? "sample" : o->eval ? "eval" : "train", "images_per_second", batch / median, "min",
        batch / t->seconds[t->steps - 1], "max", batch / t->seconds[0], "steps", t->steps, "batch",
        (json_int_t)r->train_batch, "shard", (json_int_t)way.shard, "ranks", ebb_ranks_of(ctx), "threads",
        ctx->threads, "team", way.team, "precision", r->precision_type, "backend", ebb_backend_choice_name(ctx), "cpu",
        ebb_isa_name(ctx->isa));
    if (report != NULL && o->sample) {
        json_object_del(report, "shard");
        json_object_set_new(report, "sampler", json_string(r->sample_sampler));
        json_object_set_new(report, "evaluations", json_integer(t->evaluations));
        json_object_set_new(report, "evaluations_per_second", json_real(batch * t->evaluations / median));
    }
    if (report != NULL && t->report != NULL)
        json_object_set(report, "profile", t->report);
    return ebb_report_text(ctx, report, json);
}

static ebb_status run(ebb_context *ctx, ebb_recipe *r, const ebb_speed_options *o, char **json)
{
    ebb_timing t = {.ctx = ctx,
                    .warm_up = o->sample ? 0 : WARM_UP,
                    .steps_min = o->sample ? 1 : STEPS_MIN,
                    .seconds_min = o->seconds > 0 ? o->seconds : SECONDS_DEFAULT,
                    .profile = o->profile != 0,
                    .workers = ctx->threads};
    ebb_status status = adapt(ctx, r, o);
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)&t.seconds, EBB_TIMING_MAX, sizeof *t.seconds, "times of the steps");
    status = ebb_ranks_agree(ctx, status);
    if (status == EBB_OK)
        status = o->sample ? ebb_speed_sampling(ctx, r, &t)
                 : o->eval ? measure_evaluation(ctx, r, &t)
                           : measure_training(ctx, r, &t);
    if (status == EBB_OK)
        status = say(ctx, r, o, &t, json);
    json_decref(t.report);
    ebb_free(t.seconds);
    return status;
}

ebb_status ebb_speed(ebb_context *ctx, const ebb_recipe *recipe, const ebb_speed_options *options,
                     char **json)
{
    ebb_speed_options o = {0};
    ebb_recipe *copy;
    *json = NULL;
    if (options != NULL && options->size < sizeof options->size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "speed options: size is %zu; set it to sizeof of the struct",
                        options->size);
    if (options != NULL)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (o.eval && o.sample)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "speed options: eval or sample, one of them");
    EBB_TRY(ebb_recipe_copy(ctx, recipe, &copy));
    ebb_status status = run(ctx, copy, &o, json);
    ebb_recipe_free(copy);
    return status;
}
