/* toy_walk.c: walks of samplers over an exact law or the score that a network has learned of it.
 *
 * Samples walk in shards of EBB_TOY_ROWS, the last one padded, so that a sample does not depend on how many there are nor on
 * threads. Noise comes from the same counters as in ebb_sample: exact and learned scores start from the same points.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/flow.h"
#include "study/toy.h"

int ebb_toy_progress(ebb_toy_job *t, int64_t done, int64_t total)
{
    if (t->o.progress == NULL)
        return 0;
    while (atomic_flag_test_and_set(&t->calling))
        ebb_par_yield();
    if (atomic_load(&t->stopped) == 0 && t->o.progress(t->o.user, t->doing, done, total) != 0)
        atomic_store(&t->stopped, 1);
    atomic_flag_clear(&t->calling);
    return atomic_load(&t->stopped);
}

ebb_status ebb_toy_stopped(ebb_toy_job *t)
{
    return atomic_load(&t->stopped) ? ebb_fail(t->ctx, EBB_E_ARGUMENT, "stopped during %s", t->doing) : EBB_OK;
}

/* ---- one shard ------------------------------------------------------------------------------------------------------------- */

typedef struct running {
    ebb_toy_job *t;
    ebb_toy_walk *w;
    ebb_sampler_settings set;
    double *room;                /* of each worker */
    size_t each;
    int64_t shards;
    atomic_llong done;           /* evaluations of shards */
    int64_t *nfe;                /* (shards) */
    bool *random;                /* (shards) */
    atomic_int gave_up;          /* a sampler did */
    char why[200];               /* and why; under the job's `calling` */
} running;

typedef struct shard {
    running *r;
    int64_t first;               /* sample */
    int64_t counted;
    union { ebb_target_field exact; ebb_model_field model; } of;
    int32_t label[EBB_TOY_ROWS];
    float noise[EBB_TARGET_DIM_MAX];
} shard;

/* The field of the job's score, n rows; variance (n,dim): room for a learned one. */
static ebb_field field_of(ebb_toy_job *t, shard *s, int worker, double *variance)
{
    bool guided = t->o.label != EBB_LABEL_NONE;
    if (t->model == NULL) {
        s->of.exact = (ebb_target_field){.all = &t->law, .one = guided ? &t->one : NULL, .w = t->o.guidance, .n = EBB_TOY_ROWS};
        return ebb_field_of_target(&s->of.exact);
    }
    for (int i = 0; i < EBB_TOY_ROWS; i++)
        s->label[i] = guided ? t->o.label : ebb_network_classes(&t->model->net);
    s->of.model = (ebb_model_field){.model = t->model, .plan = t->plan, .worker = worker, .n = EBB_TOY_ROWS, .numbers = t->law.dim,
                                    .label = s->label, .guidance = guided ? t->o.guidance : 0,
                                    .variance = t->model->net.learned_variance ? variance : NULL};
    return ebb_field_of_model(&s->of.model);
}

static void draw(const ebb_toy_job *t, int64_t sample, ebb_stream stream, int64_t step, double scale, double *z)
{
    float noise[EBB_TARGET_DIM_MAX];
    ebb_rng_at at = {.seed = t->o.seed, .stream = stream, .step = (uint32_t)step, .sample = (uint32_t)sample};
    t->ctx->kernels->normal_f32((size_t)t->law.dim, noise, &at);
    for (int d = 0; d < t->law.dim; d++)
        z[d] = scale * noise[d];
}

static void step_normal(void *self, int64_t at, double *z)
{
    const shard *s = self;
    for (int i = 0; i < EBB_TOY_ROWS; i++)
        draw(s->r->t, s->first + i, EBB_STREAM_SAMPLE_STEP, at, 1, z + i * s->r->t->law.dim);
}

static void step_uniform(void *self, int64_t at, double *u)
{
    const shard *s = self;
    for (int i = 0; i < EBB_TOY_ROWS; i++) {
        ebb_rng_at rng = {.seed = s->r->t->o.seed, .stream = EBB_STREAM_SAMPLE_STEP, .step = (uint32_t)at,
                          .sample = (uint32_t)(s->first + i)};
        u[i] = ebb_rng_uniform(&rng, 0);
    }
}

void ebb_toy_start(const ebb_toy_job *t, int64_t first, int64_t n, double *x)
{
    for (int64_t i = 0; i < n; i++)
        draw(t, first + i, EBB_STREAM_SAMPLE_START, 0, ebb_process_prior_std(&t->process), x + i * t->law.dim);
}

static int evaluated(void *self)
{
    const shard *s = self;
    running *r = s->r;
    const ebb_sampler *kind = r->w->kind;
    int64_t total = r->shards * r->w->levels.steps * (kind->evaluations > 0 ? kind->evaluations : 1);
    long long done = atomic_fetch_add(&r->done, 1) + 1;
    return done % 16 == 0 || done >= total ? ebb_toy_progress(r->t, done, total > done ? total : done) : 0;
}

static void give_up(running *r, const char *why)
{
    while (atomic_flag_test_and_set(&r->t->calling))
        ebb_par_yield();
    if (r->why[0] == 0)
        snprintf(r->why, sizeof r->why, "%s", why);
    atomic_store(&r->gave_up, 1);
    atomic_flag_clear(&r->t->calling);
}

static void run_shard(void *self, int64_t index, int worker)
{
    running *r = self;
    ebb_toy_job *t = r->t;
    ebb_toy_walk *w = r->w;
    int64_t dim = t->law.dim, first = index * EBB_TOY_ROWS, n = w->n - first < EBB_TOY_ROWS ? w->n - first : EBB_TOY_ROWS;
    double *x = r->room + (size_t)worker * r->each, *variance = x + EBB_TOY_ROWS * dim, *work = variance + EBB_TOY_ROWS * dim;
    shard s = {.r = r, .first = first};
    if (atomic_load(&t->stopped) != 0 || atomic_load(&r->gave_up) != 0)
        return;
    ebb_field field = field_of(t, &s, worker, variance);
    ebb_walk walk = {.sampler = w->kind, .process = &t->process, .grid = &w->levels, .field = &field, .set = r->set,
                     .n = EBB_TOY_ROWS, .count = dim, .x = x, .work = work, .normal = step_normal, .uniform = step_uniform,
                     .random = &s, .evaluated = evaluated, .user = &s};
    if (w->start == NULL)
        ebb_toy_start(t, first, EBB_TOY_ROWS, x);
    for (int64_t i = 0; w->start != NULL && i < EBB_TOY_ROWS; i++)      /* padding repeats the last sample */
        memcpy(x + i * dim, w->start + (first + (i < n ? i : n - 1)) * dim, (size_t)dim * sizeof *x);
    if (w->kind->run(&walk) == 0)
        memcpy(w->x + first * dim, x, (size_t)(n * dim) * sizeof *x);
    else if (walk.why[0] != 0)
        give_up(r, walk.why);
    r->nfe[index] = walk.nfe;
    r->random[index] = walk.draws > 0;
}

/* ---- preparing and running ------------------------------------------------------------------------------------------------- */

ebb_status ebb_toy_prepare(ebb_toy_job *t, ebb_toy_walk *w)
{
    ebb_sampler_settings set;
    ebb_grid_options options;
    shard s;
    double any;
    w->levels = (ebb_grid){0};
    EBB_TRY(ebb_sampler_parse(t->ctx, w->sampler, &w->kind, &set));
    EBB_TRY(ebb_grid_parse(t->ctx, w->grid != NULL ? w->grid : "", &w->grid_name, &options));
    if (w->grid_name == NULL)
        w->grid_name = ebb_sampler_grid(w->kind, &t->process);
    options.keep_last = options.keep_last || w->open;
    if (options.steps > 0 && w->steps > 0 && options.steps != w->steps)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "the grid %s makes %d steps, but %d are asked for", w->grid, options.steps, w->steps);
    if (options.steps == 0)
        options.steps = w->steps > 0 ? w->steps : w->kind->default_steps;
    if (w->steps == 0 && t->process.steps > 0 && options.steps > t->process.steps)
        options.steps = t->process.steps;
    EBB_TRY(ebb_grid_create(t->ctx, &t->process, w->grid_name, &options, &w->levels));
    ebb_field field = field_of(t, &s, 0, &any);
    ebb_status status = ebb_walk_check(t->ctx, &(ebb_walk){.sampler = w->kind, .process = &t->process, .grid = &w->levels,
                                                           .set = set, .field = &field});
    if (status != EBB_OK)
        ebb_grid_free(&w->levels);
    return status;
}

static ebb_status finish(running *r)
{
    ebb_toy_walk *w = r->w;
    EBB_TRY(ebb_toy_stopped(r->t));
    if (r->why[0] != 0)
        return ebb_fail(r->t->ctx, EBB_E_NUMERIC, "sampler %s: %s", w->kind->name, r->why);
    w->nfe = 0;
    w->random = false;
    for (int64_t i = 0; i < r->shards; i++) {
        w->nfe = r->nfe[i] > w->nfe ? r->nfe[i] : w->nfe;
        w->random = w->random || r->random[i];
    }
    for (int64_t i = 0; i < w->n * r->t->law.dim; i++)
        if (!isfinite(w->x[i]))
            return ebb_fail(r->t->ctx, EBB_E_NUMERIC, "sampler %s: sample %lld is not finite: the steps are too long for it",
                            w->kind->name, (long long)(i / r->t->law.dim));
    return EBB_OK;
}

ebb_status ebb_toy_run(ebb_toy_job *t, ebb_toy_walk *w)
{
    const ebb_sampler *again;
    running r = {.t = t, .w = w, .shards = (w->n + EBB_TOY_ROWS - 1) / EBB_TOY_ROWS};
    size_t dim = (size_t)t->law.dim;
    EBB_TRY(ebb_sampler_parse(t->ctx, w->sampler, &again, &r.set));
    r.each = 2 * EBB_TOY_ROWS * dim + ebb_walk_work(w->kind, EBB_TOY_ROWS, t->law.dim);
    EBB_TRY(ebb_alloc(t->ctx, (void **)&r.room, (size_t)t->ctx->threads * r.each + (size_t)r.shards, sizeof(double), "walks"));
    r.nfe = (int64_t *)(void *)(r.room + (size_t)t->ctx->threads * r.each);
    ebb_status status = ebb_alloc(t->ctx, (void **)&r.random, (size_t)r.shards, sizeof *r.random, "walks");
    if (status == EBB_OK) {
        ebb_par_for(t->ctx->threads, r.shards, run_shard, &r);
        status = finish(&r);
    }
    ebb_free(r.random);
    ebb_free(r.room);
    return status;
}

/* ---- the exact flow ---------------------------------------------------------------------------------------------------------- */

static ebb_status flow_of(ebb_toy_job *t, const ebb_grid *g, int64_t n, double *x, double *work)
{
    bool guided = t->o.label != EBB_LABEL_NONE, clean = g->level[g->steps].sigma == 0;
    ebb_target_field exact = {.all = &t->law, .one = guided ? &t->one : NULL, .w = t->o.guidance, .n = n};
    ebb_field field = ebb_field_of_target(&exact);
    ebb_flow flow = {.process = &t->process, .field = &field, .rtol = 1e-10, .atol = 1e-11};
    double from = g->level[0].t, to = clean ? t->process.least : g->level[g->steps].t;
    ebb_toy_start(t, 0, n, x);
    EBB_TRY(ebb_flow_solve(t->ctx, &flow, isnan(from) ? t->process.end : from, to, x, work));
    ebb_level at = ebb_process_level(&t->process, to);
    ebb_level *rows = (ebb_level *)(void *)work;
    for (int64_t i = 0; i < n; i++)
        rows[i] = at;
    if (clean)
        field.predict(field.self, x, rows, NULL, x);
    return EBB_OK;
}

ebb_status ebb_toy_flow_error(ebb_toy_job *t, const ebb_toy_walk *w, int64_t n, double *out)
{
    size_t count = (size_t)(n * t->law.dim), work = ebb_flow_work(n, t->law.dim) + 3 * (size_t)n;
    double *x, sum = 0;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&x, count + work, sizeof *x, "the exact flow"));
    ebb_status status = flow_of(t, &w->levels, n, x, x + count);
    for (size_t i = 0; i < count; i++)
        sum += (x[i] - w->x[i]) * (x[i] - w->x[i]);
    *out = sqrt(sum / (double)n);
    ebb_free(x);
    return status;
}
