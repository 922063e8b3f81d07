/* nll.c: how likely a model finds data: ebb_nll.
 *
 * Pictures are cut into shards, as samples are; a worker takes a shard through the whole integration or bound. All that
 * is random about picture i in repeat r is a function of (seed, i, r), and no row's arithmetic sees another's, so that
 * results do not depend on threads, shards or which other pictures there are.
 *
 * Pictures of bytes b: a density needs them spread: (b + u)/128 - 1, u uniform in [0,1), which is ((255 x + u)/256 scaled to
 * [-1,1)) for x = b/255. Then -log2 of a cell's probability is at most the mean of -log2 of the density + 7.
 */
#include "sample/nll.h"

#include <math.h>
#include <string.h>

#include "diffusion/likelihood.h"
#include "sample/field.h"
#include "model/plans.h"
#include "sample/tally.h"

typedef struct worker_state {
    struct running *job;
    ebb_model_field field;
    double *x, *work, *logp;     /* (shard,numbers), of the method, (shard) */
    float *picture, *probe;      /* (numbers), (probes,shard,numbers) */
    int32_t *label;              /* (shard) */
    int64_t *picture_of;         /* (shard) index in the data */
    int repeat;
    double done;                 /* part of its present shard */
} worker_state;

typedef struct running {
    ebb_nll_job j;
    ebb_context *ctx;
    ebb_plan *plan;
    worker_state *state;
    double *doubles;
    float *floats;
    int32_t *labels;
    int64_t *indices;
    ebb_tally tally;
} running;

/* ---- making -------------------------------------------------------------------------------------------------------- */

static ebb_status make_plan(running *s)
{
    const ebb_model *m = s->j.model;
    ebb_eval_way way = s->j.way;
    ebb_plan_options options = ebb_recipe_plan(m->recipe, way.workers);
    options.team = way.team;
    options.bf16 = strcmp(s->j.o.precision, "bf16") == 0 ? EBB_BF16_CHANNELS : 0;
    if (s->j.elbo)
        EBB_TRY(ebb_eval_plan(s->ctx, &m->net, way.shard, &options, &s->plan));
    else
        EBB_TRY(ebb_divergence_plan(s->ctx, &m->net, way.shard, &options, &s->plan));
    ebb_params_bind(&m->params, s->plan, m->weights);
    return EBB_OK;
}

static ebb_status make_results(running *s)
{
    ebb_nll_job *j = &s->j;
    size_t times = j->elbo ? (size_t)j->o.times : 0;
    bool all = j->elbo && ebb_elbo_takes_all(&j->model->process, j->o.times);
    size_t each = 2 + (j->elbo ? 2 * EBB_VARIANCES + times + (all ? times : 0) : 0);
    j->rows = j->o.repeats * j->way.shards * j->way.shard;
    EBB_TRY(ebb_alloc(s->ctx, (void **)&j->prior, (size_t)j->rows, each * sizeof(double), "likelihoods: fewer pictures or times"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&j->nfe, (size_t)j->rows, sizeof *j->nfe, "likelihoods"));
    j->delta = j->prior + j->rows;
    j->first = j->delta + j->rows;
    j->steps = j->first + EBB_VARIANCES * j->rows;
    j->term = j->steps + EBB_VARIANCES * j->rows;
    j->squares = all ? j->term + (int64_t)times * j->rows : NULL;
    return EBB_OK;
}

static ebb_status make_workers(running *s)
{
    ebb_nll_job *j = &s->j;
    const ebb_process *p = &j->model->process;
    size_t n = (size_t)j->way.shard, count = (size_t)j->numbers, workers = (size_t)j->way.workers;
    size_t work = j->elbo ? ebb_elbo_work(p, j->way.shard, j->numbers) : ebb_likelihood_work(j->way.shard, j->numbers);
    size_t variance = j->model->net.learned_variance && j->elbo ? n * count : 0, doubles = n * count + work + n + variance + 8;
    size_t floats = (count + 15) / 16 * 16 + n * count * (size_t)j->o.probes + 16;
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->state, workers, sizeof *s->state, "workers of likelihoods"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->doubles, workers, doubles * sizeof(double), "pictures of likelihoods"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->floats, workers, floats * sizeof(float), "probes of likelihoods"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->labels, workers, n * sizeof *s->labels, "labels of likelihoods"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->indices, workers, n * sizeof *s->indices, "pictures of likelihoods"));
    for (size_t w = 0; w < workers; w++) {
        double *at = s->doubles + w * doubles;
        worker_state *k = &s->state[w];
        *k = (worker_state){.job = s, .x = at, .work = at + n * count, .logp = at + n * count + work,
                            .picture = s->floats + w * floats, .label = s->labels + w * n, .picture_of = s->indices + w * n};
        k->probe = k->picture + (count + 15) / 16 * 16;
        k->field = (ebb_model_field){.model = j->model, .plan = s->plan, .worker = (int)w, .n = j->way.shard, .numbers = j->numbers,
                                     .label = k->label, .variance = variance > 0 ? k->logp + n : NULL, .diverges = !j->elbo,
                                     .probe = k->probe, .probes = j->o.probes};
    }
    return EBB_OK;
}

static void free_all(running *s)
{
    ebb_plan_free(s->plan);
    ebb_dataset_free(&s->j.data);
    ebb_free(s->j.prior);
    ebb_free(s->j.nfe);
    ebb_free(s->state);
    ebb_free(s->doubles);
    ebb_free(s->floats);
    ebb_free(s->labels);
    ebb_free(s->indices);
    ebb_free(s);
}

/* ---- what is random about a picture --------------------------------------------------------------------------------- */

static ebb_rng_at rng_of(const worker_state *w, int64_t i, ebb_stream stream, int64_t step)
{
    return (ebb_rng_at){.seed = w->job->j.o.seed, .stream = stream, .step = (uint32_t)step, .sample = (uint32_t)w->picture_of[i]};
}

static void fill_row(const worker_state *w, int64_t i)
{
    const ebb_nll_job *j = &w->job->j;
    int64_t k = w->picture_of[i];
    double *x = w->x + i * j->numbers;
    ebb_rng_at at = rng_of(w, i, EBB_STREAM_NLL_DEQUANTIZE, w->repeat);
    ebb_dataset_picture(&j->data, k, false, w->picture);
    for (int64_t d = 0; d < j->numbers; d++)
        if (j->data.bytes == NULL)
            x[d] = w->picture[d];
        else if (j->spread)
            x[d] = (j->data.bytes[k * j->numbers + d] + ebb_rng_uniform(&at, (uint32_t)d)) / 128.0 - 1.0;
        else
            x[d] = j->data.bytes[k * j->numbers + d] / 127.5 - 1.0;
    w->label[i] = j->labelled ? j->data.labels[k] : ebb_network_classes(&j->model->net);
}

static void fill_probes(const worker_state *w, int64_t i)
{
    const ebb_nll_job *j = &w->job->j;
    for (int p = 0; p < j->o.probes; p++) {
        float *v = w->probe + (p * j->way.shard + i) * j->numbers;
        ebb_rng_at at = rng_of(w, i, EBB_STREAM_NLL_PROBE, (int64_t)w->repeat * EBB_NLL_MOST + p);
        if (j->normal) {
            w->job->ctx->kernels->normal_f32((size_t)j->numbers, w->picture, &at);
            memcpy(v, w->picture, (size_t)j->numbers * sizeof *v);
        }
        for (int64_t d = 0; !j->normal && d < j->numbers; d++)
            v[d] = ebb_rng_word(&at, (uint32_t)(d / 32)) >> (d % 32) & 1 ? 1.0f : -1.0f;
    }
}

static void draw_normal(void *self, int64_t draw, double *z)
{
    const worker_state *w = self;
    const ebb_nll_job *j = &w->job->j;
    for (int64_t i = 0; i < j->way.shard; i++) {
        ebb_rng_at at = rng_of(w, i, EBB_STREAM_NLL_NOISE, w->repeat * (j->o.times + 1) + draw);
        w->job->ctx->kernels->normal_f32((size_t)j->numbers, w->picture, &at);
        for (int64_t d = 0; d < j->numbers; d++)
            z[i * j->numbers + d] = w->picture[d];
    }
}

static void draw_uniform(void *self, int64_t draw, double *u)
{
    const worker_state *w = self;
    for (int64_t i = 0; i < w->job->j.way.shard; i++) {
        ebb_rng_at at = rng_of(w, i, EBB_STREAM_NLL_TIME, w->repeat * (w->job->j.o.times + 1) + draw);
        u[i] = ebb_rng_uniform(&at, 0);
    }
}

/* ---- running ---------------------------------------------------------------------------------------------------------- */

static int report(void *self, double done)
{
    worker_state *w = self;
    return ebb_tally_report(&w->job->tally, &w->done, done);
}

static ebb_status solve(worker_state *w, ebb_context *words, int64_t row)
{
    ebb_nll_job *j = &w->job->j;
    ebb_field field = ebb_field_of_model(&w->field);
    ebb_likelihood l = {.process = &j->model->process, .field = &field, .rtol = j->o.rtol, .atol = j->o.atol, .evaluated = report,
                        .user = w, .row_nfe = j->nfe + row, .prior = j->prior + row, .delta = j->delta + row};
    for (int64_t i = 0; i < j->way.shard; i++)
        fill_probes(w, i);
    return ebb_likelihood_solve(words, &l, w->x, w->logp, w->work);
}

static ebb_status bound(worker_state *w, ebb_context *words, int64_t row)
{
    ebb_nll_job *j = &w->job->j;
    ebb_field field = ebb_field_of_model(&w->field);
    ebb_elbo e = {.process = &j->model->process, .field = &field, .decoder = j->decoder, .variance = j->variance,
                  .clip = ebb_decoder_bytes(j->decoder), .times = j->o.times, .normal = draw_normal, .uniform = draw_uniform,
                  .random = w, .evaluated = report, .user = w, .prior = j->prior + row, .first = j->first + row * EBB_VARIANCES,
                  .steps = j->steps + row * EBB_VARIANCES, .term = j->term + row * j->o.times,
                  .squares = j->squares != NULL ? j->squares + row * j->o.times : NULL};
    return ebb_elbo_estimate(words, &e, w->x, w->work);
}

static void run_shard(void *self, int64_t item, int worker)
{
    running *s = self;
    ebb_nll_job *j = &s->j;
    worker_state *w = &s->state[worker];
    ebb_context words = {0};     /* takes the message: the context is one thread's */
    int64_t shard = item % j->way.shards, first = shard * j->way.shard;
    if (ebb_tally_stopped(&s->tally))
        return;
    w->repeat = (int)(item / j->way.shards);
    /* Padding repeats the last picture. */
    for (int64_t i = 0; i < j->way.shard; i++) {
        w->picture_of[i] = j->o.first + (first + i < j->o.n ? first + i : j->o.n - 1);
        fill_row(w, i);
    }
    int64_t row = ebb_nll_row(j, first, w->repeat);
    ebb_status status = j->elbo ? bound(w, &words, row) : solve(w, &words, row);
    ebb_tally_leave(&s->tally, &w->done, status, "pictures %lld..%lld of %.100s: %.200s", (long long)w->picture_of[0],
                    (long long)w->picture_of[j->way.shard - 1], j->path, words.message);
}

static ebb_status run(running *s)
{
    const ebb_nll_job *j = &s->j;
    ebb_plan_prepare(s->plan);
    ebb_par_teams(j->way.workers, j->way.team, j->o.repeats * j->way.shards, run_shard, s);
    EBB_TRY(ebb_plan_check(s->plan));
    EBB_TRY(ebb_tally_result(s->ctx, &s->tally, "likelihood"));
    for (int64_t k = 0; k < j->rows; k++) {
        double nats = j->elbo ? j->first[k * EBB_VARIANCES + j->variance] + j->steps[k * EBB_VARIANCES + j->variance]
                              : j->delta[k];
        if (!isfinite(nats + j->prior[k]))
            return ebb_fail(s->ctx, EBB_E_NUMERIC, "likelihood: not a number for some picture of %s: the model has diverged", j->path);
    }
    return EBB_OK;
}

static ebb_status make(running *s, const ebb_nll_options *options)
{
    EBB_TRY(ebb_nll_settle(s->ctx, &s->j, options));
    s->j.way = ebb_field_way(s->ctx, s->j.o.n);
    ebb_tally_begin(&s->tally, s->j.o.repeats * s->j.way.shards, s->j.o.progress, s->j.o.user);
    EBB_TRY(make_plan(s));
    EBB_TRY(make_results(s));
    return make_workers(s);
}

ebb_status ebb_nll(ebb_context *ctx, ebb_model *model, const ebb_nll_options *options, char **json)
{
    running *s;
    *json = NULL;
    EBB_TRY(ebb_alloc(ctx, (void **)&s, 1, sizeof *s, "job of likelihoods"));
    s->ctx = ctx;
    s->j.model = model;
    s->j.numbers = ebb_shape_count(ebb_network_shape(&model->net, 1));
    ebb_status status = make(s, options);
    if (status == EBB_OK)
        status = run(s);
    if (status == EBB_OK)
        status = ebb_nll_report(ctx, &s->j, json);
    free_all(s);
    return status;
}
