/* latent.c: pictures to codes along the probability flow, and back: ebb_latent_encode, ebb_latent_decode.
 *
 * Encoding and decoding are one job in two directions: x is integrated between data and noise (diffusion/flow.h), or, from
 * codes, walks a sampler's grid. Pictures are cut into shards, as samples are; a worker takes a shard through the whole way,
 * and no row's arithmetic sees another's, so that a code does not depend on threads, shards or which other pictures there are.
 */
#include "sample/latent.h"

#include <math.h>
#include <string.h>

#include "diffusion/flow.h"
#include "model/plans.h"
#include "sample/tally.h"

typedef struct worker_state {
    struct running *job;
    ebb_model_field field, bare; /* with the class, and without */
    ebb_guided guided;
    double *x, *work;            /* (shard,numbers), of the way */
    int32_t *label;              /* (shard) class, or `classes` for none */
    int64_t *nfe;                /* (shard) */
    double done;                 /* part of its present shard */
    int64_t evaluations;         /* of a walk, so far */
    bool drew;                   /* the sampler asked for noise */
} worker_state;

typedef struct running {
    ebb_latent_job j;
    ebb_context *ctx;
    const float *pixels_in;      /* one of the two is given, ... */
    const double *codes_in;
    float *pixels;               /* ... the other made */
    double *codes;
    ebb_plan *plan;
    worker_state *state;
    double *doubles;
    int32_t *labels;
    int64_t *counts;
    ebb_tally tally;
} running;

/* ---- making ------------------------------------------------------------------------------------------------------- */

static ebb_status make_plan(running *s)
{
    const ebb_model *m = s->j.model;
    ebb_plan_options options = ebb_recipe_plan(m->recipe, s->j.way.workers);
    options.team = s->j.way.team;
    options.bf16 = strcmp(s->j.o.precision, "bf16") == 0 ? EBB_BF16_CHANNELS : 0;
    EBB_TRY(ebb_eval_plan(s->ctx, &m->net, s->j.way.shard, &options, &s->plan));
    ebb_params_bind(&m->params, s->plan, m->weights);
    return EBB_OK;
}

static ebb_status make_workers(running *s)
{
    const ebb_latent_job *j = &s->j;
    size_t n = (size_t)j->way.shard, x = n * (size_t)j->numbers, workers = (size_t)j->way.workers;
    size_t work = j->sampler != NULL ? ebb_walk_work(j->sampler, j->way.shard, j->numbers) : ebb_flow_work(j->way.shard, j->numbers);
    size_t variance = j->model->net.learned_variance ? x : 0, guided = ebb_guided_work(j->way.shard, j->numbers);
    size_t doubles = (x + work + variance + guided + 7) / 8 * 8;
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->state, workers, sizeof *s->state, "workers of codes"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->doubles, workers, doubles * sizeof(double), "pictures on their way to codes"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->labels, workers, n * sizeof *s->labels, "labels of codes"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->counts, workers, n * sizeof *s->counts, "counts of evaluations"));
    for (size_t w = 0; w < workers; w++) {
        double *at = s->doubles + w * doubles;
        worker_state *k = &s->state[w];
        *k = (worker_state){.job = s, .x = at, .work = at + x, .label = s->labels + w * n, .nfe = s->counts + w * n};
        k->field = (ebb_model_field){.model = j->model, .plan = s->plan, .worker = (int)w, .n = j->way.shard,
                                     .numbers = j->numbers, .label = k->label, .variance = variance > 0 ? at + x + work : NULL};
        k->bare = k->field;
        k->bare.label = NULL;
        k->bare.variance = NULL;
        k->guided = (ebb_guided){.main = ebb_field_of_model(&k->field), .w = j->o.guidance, .work = at + x + work + variance};
        if (j->o.guidance != 0)
            k->guided.other = ebb_field_of_model(&k->bare);
    }
    return EBB_OK;
}

static void free_all(running *s)
{
    ebb_plan_free(s->plan);
    ebb_grid_free(&s->j.grid);
    ebb_free(s->state);
    ebb_free(s->doubles);
    ebb_free(s->labels);
    ebb_free(s->counts);
    ebb_free(s);
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

/* Padding repeats the last picture; it is computed and thrown away. */
static void fill_rows(const worker_state *w, int64_t first)
{
    const running *s = w->job;
    const ebb_latent_job *j = &s->j;
    double std = ebb_process_prior_std(&j->model->process);
    for (int64_t i = 0; i < j->way.shard; i++) {
        int64_t k = first + i < j->n ? first + i : j->n - 1;
        int32_t label = j->o.labels != NULL ? j->o.labels[k] : j->o.label;
        w->label[i] = label == EBB_LABEL_NONE ? (int32_t)j->model->recipe->net_classes : label;
        for (int64_t d = 0; d < j->numbers; d++)
            w->x[i * j->numbers + d] = j->encode ? s->pixels_in[k * j->numbers + d] : std * s->codes_in[k * j->numbers + d];
    }
}

static void keep_rows(const worker_state *w, int64_t first)
{
    running *s = w->job;
    const ebb_latent_job *j = &s->j;
    int64_t n = j->n - first < j->way.shard ? j->n - first : j->way.shard;
    double std = ebb_process_prior_std(&j->model->process);
    for (int64_t d = 0; d < n * j->numbers; d++)
        if (j->encode)
            s->codes[first * j->numbers + d] = w->x[d] / std;
        else
            s->pixels[first * j->numbers + d] = (float)w->x[d];
    if (j->o.nfe != NULL)
        memcpy(j->o.nfe + first, w->nfe, (size_t)n * sizeof *w->nfe);
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

static int report(void *self, double done)
{
    worker_state *w = self;
    return ebb_tally_report(&w->job->tally, &w->done, done);
}

static ebb_status integrate(worker_state *w, ebb_context *words)
{
    const ebb_latent_job *j = &w->job->j;
    ebb_field field = ebb_field_guided(&w->guided);
    ebb_flow flow = {.process = &j->model->process, .field = &field, .rtol = j->o.rtol, .atol = j->o.atol, .row_nfe = w->nfe,
                     .evaluated = report, .user = w};
    return (j->encode ? ebb_flow_encode : ebb_flow_decode)(words, &flow, w->x, w->work);
}

/* A code leads to one picture: the first number drawn ends the walk. */
static void no_noise(void *self, int64_t draw, double *z)
{
    worker_state *w = self;
    (void)draw;
    memset(z, 0, (size_t)w->job->j.way.shard * sizeof *z);
    w->drew = true;
}

static int walked(void *self)
{
    worker_state *w = self;
    const ebb_latent_job *j = &w->job->j;
    double all = (double)j->grid.steps * (j->sampler->evaluations > 0 ? j->sampler->evaluations : 1);
    w->evaluations++;
    return w->drew || report(w, fmin((double)w->evaluations / all, 1)) != 0;
}

static ebb_status walk(worker_state *w, ebb_context *words)
{
    const ebb_latent_job *j = &w->job->j;
    ebb_field field = ebb_field_guided(&w->guided);
    ebb_walk walk = {.sampler = j->sampler, .process = &j->model->process, .grid = &j->grid, .field = &field, .set = j->set,
                     .n = j->way.shard, .count = j->numbers, .x = w->x, .work = w->work,
                     .clip = j->model->net.kind == EBB_NET_UNET ? j->model->recipe->sample_clip : 0,
                     .normal = no_noise, .uniform = no_noise, .random = w, .evaluated = walked, .user = w};
    w->evaluations = 0;
    int stopped = j->sampler->run(&walk);
    for (int64_t i = 0; i < j->way.shard; i++)
        w->nfe[i] = walk.nfe;
    if (w->drew)
        return ebb_fail(words, EBB_E_ARGUMENT, "sampler %s draws noise, so that a code has no one picture: take one that draws none, "
                        "as ddim, heun or dpmpp-2m", j->sampler->name);
    if (stopped && walk.why[0] != 0)
        return ebb_fail(words, EBB_E_NUMERIC, "sampler %s: %s", j->sampler->name, walk.why);
    return stopped ? ebb_fail(words, EBB_E_ARGUMENT, "stopped") : EBB_OK;
}

static ebb_status check_rows(const worker_state *w, ebb_context *words)
{
    for (int64_t d = 0; d < w->job->j.way.shard * w->job->j.numbers; d++)
        if (!isfinite(w->x[d]))
            return ebb_fail(words, EBB_E_NUMERIC, "not a number: the model has diverged");
    return EBB_OK;
}

static void run_shard(void *self, int64_t shard, int worker)
{
    running *s = self;
    ebb_latent_job *j = &s->j;
    worker_state *w = &s->state[worker];
    ebb_context words = {0};     /* takes the message: the context is one thread's */
    int64_t first = shard * j->way.shard, last = first + j->way.shard < j->n ? first + j->way.shard - 1 : j->n - 1;
    if (ebb_tally_stopped(&s->tally))
        return;
    fill_rows(w, first);
    ebb_status status = j->sampler != NULL ? walk(w, &words) : integrate(w, &words);
    if (status == EBB_OK)
        status = check_rows(w, &words);
    if (status == EBB_OK)
        keep_rows(w, first);
    ebb_tally_leave(&s->tally, &w->done, status, "%s %lld..%lld: %.300s", j->encode ? "pictures" : "codes", (long long)first,
                    (long long)last, words.message);
}

static ebb_status run(running *s)
{
    const ebb_latent_job *j = &s->j;
    ebb_plan_prepare(s->plan);
    ebb_par_teams(j->way.workers, j->way.team, j->way.shards, run_shard, s);
    EBB_TRY(ebb_plan_check(s->plan));
    return ebb_tally_result(s->ctx, &s->tally, j->encode ? "encoding" : "decoding");
}

static ebb_status make(running *s, const ebb_latent_options *options)
{
    EBB_TRY(ebb_latent_settle(s->ctx, &s->j, options, s->pixels_in, s->codes_in));
    s->j.way = ebb_field_way(s->ctx, s->j.n);
    ebb_tally_begin(&s->tally, s->j.way.shards, s->j.o.progress, s->j.o.user);
    EBB_TRY(make_plan(s));
    return make_workers(s);
}

static ebb_status work(ebb_context *ctx, ebb_model *model, const ebb_latent_options *options, int64_t n, const running *given)
{
    running *s;
    EBB_TRY(ebb_alloc(ctx, (void **)&s, 1, sizeof *s, "job of codes"));
    *s = *given;
    s->ctx = ctx;
    s->j = (ebb_latent_job){.model = model, .encode = given->pixels_in != NULL, .n = n,
                            .numbers = ebb_shape_count(ebb_network_shape(&model->net, 1))};
    ebb_status status = make(s, options);
    if (status == EBB_OK)
        status = run(s);
    free_all(s);
    return status;
}

ebb_status ebb_latent_encode(ebb_context *ctx, ebb_model *model, const ebb_latent_options *options, int64_t n,
                             const float *pixels, double *codes)
{
    return work(ctx, model, options, n, &(running){.pixels_in = pixels, .codes = codes});
}

ebb_status ebb_latent_decode(ebb_context *ctx, ebb_model *model, const ebb_latent_options *options, int64_t n,
                             const double *codes, float *pixels)
{
    return work(ctx, model, options, n, &(running){.codes_in = codes, .pixels = pixels});
}
