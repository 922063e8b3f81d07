/* sample.c: pictures from a model.
 *
 * The pictures are cut into shards; a worker takes a shard through the whole trajectory, so that workers
 * meet once at the end. Where there are fewer shards than threads, each worker leads a team of them.
 * Picture i draws its random numbers as sample first + i, and no picture's arithmetic sees another's: it is
 * the same bits alone or in any batch. Own kernels keep that promise at any shard size; oneDNN chooses its
 * kernels by shape, so it always gets shards of one size, padded.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "train/plans.h"
#include "train/report.h"
#include "train/sampling.h"

#define SHARD_MAX 8

typedef struct worker_state {
    struct ebb_sampling *job;
    int worker;
    float *x, *work;  /* (shard, numbers), ebb_sampler_work */
    uint32_t *sample; /* (shard) */
    int32_t *label;   /* (shard) class, or `classes` for none */
} worker_state;

struct ebb_sampling {
    ebb_context *ctx;
    ebb_model *model;
    ebb_sample_options o; /* steps filled in */
    const ebb_sampler *sampler;
    ebb_plan *plan;
    ebb_eval_way way;
    int64_t numbers;
    worker_state *state;
    float *floats; /* of all workers */
    uint32_t *words;
    float *pixels;       /* the caller's */
    atomic_flag calling; /* one thread at a time in progress() */
    atomic_int stopped;
    int64_t done; /* evaluations; under `calling` */
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
        o->eta = recipes ? r->sample_eta : 0;
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

static ebb_status check_sampler(ebb_sampling *s)
{
    const char *names[64];
    char near[128];
    int count = 0, most = s->model->schedule.steps;
    s->sampler = ebb_sampler_find(s->o.sampler);
    for (; count < 64 && ebb_sampler_at(count) != NULL; count++)
        names[count] = ebb_sampler_at(count)->name;
    if (s->sampler == NULL)
        return ebb_fail(s->ctx, EBB_E_USAGE, "unknown sampler '%s'%s", s->o.sampler,
                        ebb_suggest(s->o.sampler, names, count, near, sizeof near));
    if (s->o.steps == 0)
        s->o.steps = s->sampler->default_steps < most ? s->sampler->default_steps : most;
    return ebb_sampler_check(s->ctx, &s->model->schedule, s->o.steps, s->o.eta);
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
    fill_from_recipe(&s->o, s->model->recipe);
    if (!isfinite(s->o.guidance))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "guidance must be a finite number, as 0 or 1.5");
    EBB_TRY(check_precision(ctx, &s->o));
    EBB_TRY(check_label(ctx, s->model, &s->o));
    return check_sampler(s);
}

/* ---- making ----------------------------------------------------------------------------- */

static void choose_way(ebb_sampling *s)
{
    int64_t n = s->o.n, shards = (n + SHARD_MAX - 1) / SHARD_MAX, threads = s->ctx->threads;
    s->way = ebb_eval_choose(n, SHARD_MAX, s->ctx->threads);
    if (s->ctx->backend == EBB_BACKEND_ONEDNN)   /* the table of backend/choose.c: only when asked */
        s->way = (ebb_eval_way){SHARD_MAX, shards, (int)(shards < threads ? shards : threads), 1};
}

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
    size_t n = (size_t)s->way.shard, x = n * (size_t)s->numbers, work = ebb_sampler_work(s->way.shard, s->numbers);
    size_t floats = (x + 15) / 16 * 16 + (work + 15) / 16 * 16, workers = (size_t)s->way.workers;
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->state, workers, sizeof *s->state, "sampling workers"));
    EBB_TRY(
        ebb_alloc(s->ctx, (void **)&s->floats, workers, floats * sizeof(float), "pictures of the samplers"));
    EBB_TRY(
        ebb_alloc(s->ctx, (void **)&s->words, workers * n, 2 * sizeof *s->words, "labels of the samples"));
    for (size_t w = 0; w < workers; w++) {
        float *at = s->floats + w * floats;
        uint32_t *words = s->words + 2 * w * n;
        s->state[w] = (worker_state){s, (int)w, at, at + (x + 15) / 16 * 16, words, (int32_t *)(words + n)};
    }
    return EBB_OK;
}

static ebb_status make(ebb_sampling *s, const ebb_sample_options *options)
{
    EBB_TRY(check_options(s, options));
    choose_way(s);
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
    ebb_free(s->floats);
    ebb_free(s->words);
    ebb_free(s);
}

/* ---- running ---------------------------------------------------------------------------- */

/* One evaluation of the network; labels NULL: no class for any. */
static const float *evaluate(const worker_state *w, const float *x, int t, const int32_t *labels)
{
    const ebb_sampling *s = w->job;
    ebb_plan *plan = s->plan;
    float *times = ebb_plan_input(plan, w->worker, "t");
    int32_t *label = ebb_plan_input(plan, w->worker, "label");
    memcpy(ebb_plan_input(plan, w->worker, "x"), x, (size_t)(s->way.shard * s->numbers) * sizeof *x);
    for (int64_t i = 0; i < s->way.shard; i++) {
        times[i] = (float)t;
        if (label != NULL)
            label[i] = labels ? labels[i] : (int32_t)s->model->recipe->net_classes;
    }
    ebb_plan_run(plan, w->worker);
    return ebb_plan_output(plan, w->worker, 0);
}

/* eps = (1+w)*eps_c - w*eps_u (Ho & Salimans 2022, eq. 6); what the network predicts is linear in eps. */
static void guided_eps(void *self, const float *x, int t, float *eps)
{
    const worker_state *w = self;
    const ebb_sampling *s = w->job;
    size_t n = (size_t)(s->way.shard * s->numbers);
    float guidance = (float)s->o.guidance;
    const float *out = evaluate(w, x, t, w->label);
    s->ctx->kernels->affine_f32(n, eps, out, 1.0f + guidance, 0.0f);
    if (guidance != 0)
        s->ctx->kernels->axpy_f32(n, eps, evaluate(w, x, t, NULL), -guidance, 0.0f);
    ebb_network_eps(&s->model->net, s->ctx->kernels, s->model->schedule.alpha_bar[t], n, eps, x);
}

static int report(void *user)
{
    ebb_sampling *s = ((worker_state *)user)->job;
    if (s->o.progress == NULL)
        return 0;
    while (atomic_flag_test_and_set(&s->calling))
        ebb_par_yield();
    /* Looked at under the flag: after a stop nothing more is counted or reported. */
    if (atomic_load(&s->stopped) == 0 && s->o.progress(s->o.user, ++s->done, s->way.shards * s->o.steps) != 0)
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
    ebb_denoiser denoiser = {guided_eps, w};
    ebb_sampler_args args = {
        .schedule = &s->model->schedule,
        .steps = s->o.steps,
        .eta = s->o.eta,
        .n = s->way.shard,
        .count = s->numbers,
        .clip = s->model->net.kind == EBB_NET_UNET,
        .sample = w->sample,
        .seed = s->o.seed,
        .kernels = s->ctx->kernels,
        .x = w->x,
        .work = w->work,
        .progress = report,
        .user = w,
    };
    if (atomic_load(&s->stopped) == 0 && s->sampler->run(&args, &denoiser) == 0)
        memcpy(s->pixels + first * s->numbers, w->x, (size_t)(n * s->numbers) * sizeof *w->x);
}

ebb_status ebb_sampling_run(ebb_sampling *s, float *pixels)
{
    s->pixels = pixels;
    s->done = 0;
    ebb_plan_prepare(s->plan);
    ebb_par_teams(s->way.workers, s->way.team, s->way.shards, run_shard, s);
    EBB_TRY(ebb_plan_check(s->plan));
    if (atomic_load(&s->stopped))
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "sampling was stopped after %lld of %lld evaluations",
                        (long long)s->done, (long long)(s->way.shards * s->o.steps));
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

ebb_status ebb_sampler_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (int i = 0; ebb_sampler_at(i) != NULL; i++) {
        const ebb_sampler *s = ebb_sampler_at(i);
        json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "name", s->name, "help", s->help,
                                              "default_steps", s->default_steps));
    }
    return ebb_report_text(ctx, list, json);
}
