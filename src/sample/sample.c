/* sample.c: pictures from a model.
 *
 * The pictures are cut into shards; a worker takes a shard through the whole trajectory, so that workers
 * meet once at the end. Where there are fewer shards than threads, each worker leads a team of them.
 * Picture i draws its random numbers as sample first + i, and no picture's arithmetic sees another's: it is
 * the same bits alone or in any batch.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "sample/field.h"
#include "model/plans.h"
#include "sample/sampling.h"

typedef struct worker_state {
    struct ebb_sampling *job;
    double *x, *work; /* (shard, numbers), ebb_walk_work */
    ebb_model_field field;
    float *noise;     /* (numbers) */
    uint32_t *sample; /* (shard) */
    int32_t *label;   /* (shard) class, or `classes` for none */
} worker_state;

struct ebb_sampling {
    ebb_context *ctx;
    ebb_model *model;
    ebb_sample_options o; /* steps filled in */
    const ebb_sampler *sampler;
    ebb_sampler_settings set;
    ebb_grid grid;
    ebb_plan *plan;
    ebb_eval_way way;
    int64_t numbers;
    worker_state *state;
    double *doubles; /* of all workers */
    uint32_t *words;
    float *pixels;       /* the caller's */
    atomic_flag calling; /* one thread at a time in progress() */
    atomic_int stopped;
    int64_t done; /* evaluations; under `calling` */
    char why[200]; /* a sampler gave up; under `calling` */
};

/* ---- options ---------------------------------------------------------------------------- */

ebb_sample_options ebb_sample_defaults(void)
{
    return (ebb_sample_options){
        .size = sizeof(ebb_sample_options), .n = 1, .label = EBB_LABEL_NONE, .guidance = NAN, .eta = NAN};
}

/* What the caller left open is as the model's recipe says; guidance needs a class. */
static void fill_from_recipe(ebb_sample_options *o, const ebb_recipe *r)
{
    bool recipes = o->sampler == NULL || strcmp(o->sampler, r->sample_sampler) == 0;
    if (o->sampler == NULL)
        o->sampler = r->sample_sampler;
    if (o->steps == 0 && recipes)
        o->steps = (int)r->sample_steps;
    if (isnan(o->guidance))
        o->guidance = o->label == EBB_LABEL_NONE ? 0 : r->sample_guidance;
    if (isnan(o->eta))
        o->eta = recipes && r->sample_eta >= 0 ? r->sample_eta : NAN;
    if (o->grid == NULL)
        o->grid = recipes ? r->sample_grid : "";
    if (o->precision == NULL)
        o->precision = r->precision_type;
}

static ebb_status check_label(ebb_context *ctx, const ebb_model *model, const ebb_sample_options *o)
{
    int classes = (int)model->recipe->net_classes;
    if (classes == 0 && o->label != EBB_LABEL_NONE)
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "a class was asked for, but this model has none: leave the class away");
    if (o->label < EBB_LABEL_ALL || o->label >= (classes > 0 ? classes : 1))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "class %d is outside 0..%d", o->label, classes - 1);
    if (o->guidance != 0 && o->label == EBB_LABEL_NONE)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "guidance %g needs a class to guide to: choose a class%s",
                        o->guidance, classes > 0 ? "" : " (this model has none)");
    return EBB_OK;
}

/* asked: the steps of the caller, 0 where the recipe decides. */
static ebb_status check_sampler(ebb_sampling *s, int asked)
{
    const ebb_process *process = &s->model->process;
    ebb_grid_options options;
    const char *kind;
    EBB_TRY(ebb_sampler_parse(s->ctx, s->o.sampler, &s->sampler, &s->set));
    EBB_TRY(ebb_sampler_set_eta(s->ctx, s->sampler, s->o.eta, &s->set));
    EBB_TRY(ebb_grid_parse(s->ctx, s->o.grid, &kind, &options));
    if (kind == NULL)
        kind = ebb_sampler_grid(s->sampler, process);
    if (s->o.steps == 0)
        s->o.steps = process->steps > 0 && s->sampler->default_steps > process->steps ? process->steps
                                                                                       : s->sampler->default_steps;
    /* A grid whose text counts its levels settles the steps. */
    if (options.steps > 0 && asked > 0 && asked != options.steps)
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "the grid %s makes %d steps, but %d are asked for: leave one of them away",
                        s->o.grid, options.steps, asked);
    if (options.steps > 0)
        s->o.steps = options.steps;
    options.steps = s->o.steps;
    EBB_TRY(ebb_grid_create(s->ctx, process, kind, &options, &s->grid));
    double any;
    ebb_model_field of_model = {.variance = s->model->net.learned_variance ? &any : NULL};
    ebb_field field = ebb_field_of_model(&of_model);
    return ebb_walk_check(s->ctx, &(ebb_walk){.sampler = s->sampler, .process = process, .grid = &s->grid, .set = s->set,
                                              .field = &field});
}

static ebb_status check_precision(ebb_context *ctx, const ebb_sample_options *o)
{
    if (strcmp(o->precision, "f32") != 0 && strcmp(o->precision, "bf16") != 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown precision '%s': f32 or bf16 (none: as the model was trained)",
                        o->precision);
    return EBB_OK;
}

static ebb_status check_options(ebb_sampling *s, const ebb_sample_options *options)
{
    ebb_context *ctx = s->ctx;
    if (options->size < sizeof options->size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sample options: size is %zu; start from ebb_sample_defaults()",
                        options->size);
    /* A caller of another version has a shorter or longer struct: the common part counts. */
    s->o = ebb_sample_defaults();
    memcpy(&s->o, options, options->size < sizeof s->o ? options->size : sizeof s->o);
    if (s->o.n < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%lld pictures: ask for at least one", (long long)s->o.n);
    if (s->o.first < 0 || s->o.n > UINT32_MAX || s->o.first > (int64_t)UINT32_MAX - s->o.n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "pictures %lld..%lld are outside 0..%lld", (long long)s->o.first,
                        (long long)(s->o.first + s->o.n - 1), (long long)UINT32_MAX - 1);
    int asked = s->o.steps;
    fill_from_recipe(&s->o, s->model->recipe);
    if (!isfinite(s->o.guidance))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "guidance must be a finite number, as 0 or 1.5");
    EBB_TRY(check_precision(ctx, &s->o));
    EBB_TRY(check_label(ctx, s->model, &s->o));
    return check_sampler(s, asked);
}

/* ---- making ----------------------------------------------------------------------------- */

static ebb_status make_plan(ebb_sampling *s)
{
    ebb_plan_options options = ebb_recipe_plan(s->model->recipe, s->way.workers);
    options.team = s->way.team;
    options.bf16 = strcmp(s->o.precision, "bf16") == 0 ? EBB_BF16_CHANNELS : 0;
    EBB_TRY(ebb_eval_plan(s->ctx, &s->model->net, s->way.shard, &options, &s->plan));
    ebb_params_bind(&s->model->params, s->plan, s->model->weights);
    return EBB_OK;
}

static ebb_status make_buffers(ebb_sampling *s)
{
    size_t n = (size_t)s->way.shard, x = n * (size_t)s->numbers, work = ebb_walk_work(s->sampler, s->way.shard, s->numbers);
    size_t doubles = (x + 7) / 8 * 8 + (work + 7) / 8 * 8 + ((size_t)s->numbers + 15) / 16 * 8;
    size_t workers = (size_t)s->way.workers, variance = doubles;
    if (s->model->net.learned_variance)
        doubles += (x + 7) / 8 * 8;
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->state, workers, sizeof *s->state, "sampling workers"));
    EBB_TRY(
        ebb_alloc(s->ctx, (void **)&s->doubles, workers, doubles * sizeof(double), "pictures of the samplers"));
    EBB_TRY(
        ebb_alloc(s->ctx, (void **)&s->words, workers * n, 2 * sizeof *s->words, "labels of the samples"));
    for (size_t w = 0; w < workers; w++) {
        double *at = s->doubles + w * doubles, *scratch = at + (x + 7) / 8 * 8;
        uint32_t *words = s->words + 2 * w * n;
        int32_t *label = (int32_t *)(words + n);
        ebb_model_field field = {.model = s->model, .plan = s->plan, .worker = (int)w, .n = s->way.shard, .numbers = s->numbers,
                                 .label = label, .guidance = s->o.guidance,
                                 .variance = doubles > variance ? at + variance : NULL};
        s->state[w] = (worker_state){s, at, scratch, field, (float *)(scratch + (work + 7) / 8 * 8), words, label};
    }
    return EBB_OK;
}

static ebb_status make(ebb_sampling *s, const ebb_sample_options *options)
{
    EBB_TRY(check_options(s, options));
    s->way = ebb_field_way(s->ctx, s->o.n);
    EBB_TRY(make_plan(s));
    return make_buffers(s);
}

ebb_status ebb_sampling_create(ebb_context *ctx, ebb_model *model, const ebb_sample_options *options,
                               ebb_sampling **out)
{
    EBB_TRY(ebb_alloc(ctx, (void **)out, 1, sizeof **out, "sampling job"));
    ebb_sampling *s = *out;
    s->ctx = ctx;
    s->model = model;
    s->numbers = ebb_shape_count(ebb_network_shape(&model->net, 1));
    atomic_flag_clear(&s->calling);
    ebb_status status = make(s, options);
    if (status != EBB_OK) {
        ebb_sampling_free(s);
        *out = NULL;
    }
    return status;
}

ebb_plan *ebb_sampling_plan(ebb_sampling *s)
{
    return s->plan;
}

int ebb_sampling_steps(const ebb_sampling *s)
{
    return s->o.steps;
}

void ebb_sampling_free(ebb_sampling *s)
{
    if (s == NULL)
        return;
    ebb_plan_free(s->plan);
    ebb_free(s->state);
    ebb_free(s->doubles);
    ebb_grid_free(&s->grid);
    ebb_free(s->words);
    ebb_free(s);
}

/* ---- running ---------------------------------------------------------------------------- */

/* Of all shards; adaptive samplers need about as many as they have steps. */
static int64_t evaluations(const ebb_sampling *s)
{
    int each = s->sampler->evaluations > 0 ? s->sampler->evaluations : 1;
    int64_t total = s->way.shards * s->grid.steps * each;
    return s->done > total ? s->done : total;
}

static int report(void *user)
{
    ebb_sampling *s = ((worker_state *)user)->job;
    if (s->o.progress == NULL)
        return 0;
    while (atomic_flag_test_and_set(&s->calling))
        ebb_par_yield();
    /* Looked at under the flag: after a stop nothing more is counted or reported. */
    if (atomic_load(&s->stopped) == 0 && s->o.progress(s->o.user, ++s->done, evaluations(s)) != 0)
        atomic_store(&s->stopped, 1);
    atomic_flag_clear(&s->calling);
    return atomic_load(&s->stopped);
}

static int32_t label_of(const ebb_sampling *s, int64_t i)
{
    int32_t classes = (int32_t)s->model->recipe->net_classes;
    if (s->o.label == EBB_LABEL_NONE)
        return classes;
    return s->o.label == EBB_LABEL_ALL ? (int32_t)(i * classes / s->o.n) : s->o.label;
}

static ebb_rng_at rng_of(const worker_state *w, int64_t i, ebb_stream stream, int64_t draw)
{
    return (ebb_rng_at){.seed = w->job->o.seed, .stream = stream, .step = (uint32_t)draw, .sample = w->sample[i]};
}

static void draw_normal(const worker_state *w, ebb_stream stream, int64_t draw, double scale, double *z)
{
    const ebb_sampling *s = w->job;
    for (int64_t i = 0; i < s->way.shard; i++) {
        ebb_rng_at at = rng_of(w, i, stream, draw);
        s->ctx->kernels->normal_f32((size_t)s->numbers, w->noise, &at);
        for (int64_t d = 0; d < s->numbers; d++)
            z[i * s->numbers + d] = scale * w->noise[d];
    }
}

static void step_normal(void *self, int64_t draw, double *z)
{
    draw_normal(self, EBB_STREAM_SAMPLE_STEP, draw, 1, z);
}

static void step_uniform(void *self, int64_t draw, double *u)
{
    const worker_state *w = self;
    for (int64_t i = 0; i < w->job->way.shard; i++) {
        ebb_rng_at at = rng_of(w, i, EBB_STREAM_SAMPLE_STEP, draw);
        u[i] = ebb_rng_uniform(&at, 0);
    }
}

/* Stops all shards; the first reason counts. */
static void give_up(ebb_sampling *s, const char *why)
{
    while (atomic_flag_test_and_set(&s->calling))
        ebb_par_yield();
    if (s->why[0] == 0)
        snprintf(s->why, sizeof s->why, "%s", why);
    atomic_store(&s->stopped, 1);
    atomic_flag_clear(&s->calling);
}

static void run_shard(void *arg, int64_t shard, int worker)
{
    ebb_sampling *s = arg;
    worker_state *w = &s->state[worker];
    int64_t first = shard * s->way.shard, n = s->o.n - first < s->way.shard ? s->o.n - first : s->way.shard;
    /* Padding repeats the last picture; it is computed and thrown away. */
    for (int64_t i = 0; i < s->way.shard; i++) {
        int64_t k = first + (i < n ? i : n - 1);
        w->sample[i] = (uint32_t)(s->o.first + k);
        w->label[i] = label_of(s, k);
    }
    ebb_field field = ebb_field_of_model(&w->field);
    ebb_walk walk = {
        .sampler = s->sampler,
        .process = &s->model->process,
        .grid = &s->grid,
        .field = &field,
        .set = s->set,
        .n = s->way.shard,
        .count = s->numbers,
        .clip = s->model->net.kind == EBB_NET_UNET,
        .x = w->x,
        .work = w->work,
        .normal = step_normal,
        .uniform = step_uniform,
        .random = w,
        .evaluated = report,
        .user = w,
    };
    if (atomic_load(&s->stopped) != 0)
        return;
    draw_normal(w, EBB_STREAM_SAMPLE_START, 0, ebb_process_prior_std(&s->model->process), w->x);
    if (s->sampler->run(&walk) == 0)
        for (int64_t d = 0; d < n * s->numbers; d++)
            s->pixels[first * s->numbers + d] = (float)w->x[d];
    else if (walk.why[0] != 0)
        give_up(s, walk.why);
}

ebb_status ebb_sampling_run(ebb_sampling *s, float *pixels)
{
    s->pixels = pixels;
    s->done = 0;
    ebb_plan_prepare(s->plan);
    ebb_par_teams(s->way.workers, s->way.team, s->way.shards, run_shard, s);
    EBB_TRY(ebb_plan_check(s->plan));
    if (s->why[0] != 0)
        return ebb_fail(s->ctx, EBB_E_NUMERIC, "sampler %s: %s", s->sampler->name, s->why);
    if (atomic_load(&s->stopped))
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "sampling was stopped after %lld of %lld evaluations",
                        (long long)s->done, (long long)evaluations(s));
    for (int64_t i = 0; i < s->o.n * s->numbers; i++)
        if (!isfinite(pixels[i]))
            return ebb_fail(s->ctx, EBB_E_NUMERIC,
                            "sample %lld holds a NaN or an infinity: the model has diverged",
                            (long long)(s->o.first + i / s->numbers));
    return EBB_OK;
}

ebb_status ebb_sample(ebb_context *ctx, ebb_model *model, const ebb_sample_options *options, float *pixels)
{
    ebb_sampling *s;
    EBB_TRY(ebb_sampling_create(ctx, model, options, &s));
    ebb_status status = ebb_sampling_run(s, pixels);
    ebb_sampling_free(s);
    return status;
}
