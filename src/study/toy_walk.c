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
    ebb_toy_rows rows;
} shard;

static ebb_toy_rows rows_of(const ebb_toy_job *t, const ebb_toy_walk *w, int worker)
{
    return (ebb_toy_rows){.t = t, .n = EBB_TOY_ROWS, .learned = t->model != NULL && !w->exact, .worker = worker};
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
    double *x = r->room + (size_t)worker * r->each, *parts = x + EBB_TOY_ROWS * dim;
    double *work = parts + ebb_toy_field_work(t, EBB_TOY_ROWS);
    shard s = {.r = r, .first = first, .rows = rows_of(t, w, worker)};
    if (atomic_load(&t->stopped) != 0 || atomic_load(&r->gave_up) != 0)
        return;
    ebb_field field = ebb_toy_field(&s.rows, parts);
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
    ebb_toy_rows rows = rows_of(t, w, 0);
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
    ebb_field field = ebb_toy_field(&rows, &any);
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
    r.each = EBB_TOY_ROWS * dim + ebb_toy_field_work(t, EBB_TOY_ROWS) + ebb_walk_work(w->kind, EBB_TOY_ROWS, t->law.dim);
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

/* Points in x, results in out (n,dim each). */
static ebb_status flow_of(ebb_toy_job *t, const ebb_grid *g, int64_t n, double *x, double *out, double *work)
{
    bool clean = g->level[g->steps].sigma == 0;
    ebb_toy_rows rows = {.t = t, .n = n};
    ebb_field field = ebb_toy_field(&rows, work);
    ebb_flow flow = {.process = &t->process, .field = &field, .rtol = 1e-10, .atol = 1e-11};
    double from = g->level[0].t, to = clean ? t->process.least : g->level[g->steps].t;
    work += ebb_toy_field_work(t, n);
    ebb_toy_start(t, 0, n, x);
    EBB_TRY(ebb_flow_solve(t->ctx, &flow, isnan(from) ? t->process.end : from, to, x, work));
    ebb_level at = ebb_process_level(&t->process, to);
    ebb_level *level = (ebb_level *)(void *)work;
    for (int64_t i = 0; i < n; i++)
        level[i] = at;
    if (clean)
        field.predict(field.self, x, level, NULL, out);
    else
        memcpy(out, x, (size_t)(n * t->law.dim) * sizeof *out);
    return EBB_OK;
}

typedef struct squares { const double *square; int64_t n; int groups; } squares;

static double mean_root(const void *self, const double *count, double *room)
{
    const squares *s = self;
    double sum = 0, all = 0;
    (void)room;
    for (int64_t i = 0; i < s->n; i++) {
        double times = count != NULL ? count[i % s->groups] : 1;
        sum += times * s->square[i];
        all += times;
    }
    return sqrt(sum / all);
}

ebb_status ebb_toy_flow_error(ebb_toy_job *t, const ebb_toy_walk *w, int64_t n, int resamples, ebb_measure *out)
{
    int dim = t->law.dim;
    size_t count = (size_t)(n * dim), work = ebb_toy_field_work(t, n) + ebb_flow_work(n, dim) + 3 * (size_t)n;
    double *x, *there, *square;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&x, 2 * count + (size_t)n + work, sizeof *x, "the exact flow"));
    there = x + count;
    square = there + count;
    ebb_status status = flow_of(t, &w->levels, n, x, there, square + n);
    for (int64_t i = 0; i < (int64_t)count; i++)
        square[i / dim] += (there[i] - w->x[i]) * (there[i] - w->x[i]);
    if (status == EBB_OK)
        status = ebb_resample_measure(t->ctx, n, 0, resamples, 0, mean_root,
                                      &(squares){.square = square, .n = n, .groups = ebb_resample_groups(n)}, out);
    ebb_free(x);
    return status;
}
