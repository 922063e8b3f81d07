/* walks.c: a walk over an exact law, its random numbers and its path.
 */
#include "support/walks.h"

#include <string.h>

typedef struct runner {
    ebb_context *ctx;
    walk_job *job;
    const ebb_field *field;
    int64_t count, calls;
    bool short_of_noise, short_of_path;
} runner;

static void normal_row(const ebb_kernels *kernels, ebb_rng_at at, int64_t count, double scale, double *z)
{
    float buffer[64];
    ebb_rng_at part = at;
    /* A row is one draw of `count` numbers; longer rows than the buffer go through memory. */
    float *numbers = buffer;
    void *more = NULL;
    if (count > 64 && ebb_alloc(NULL, &more, (size_t)count, sizeof(float), "noise") == EBB_OK)
        numbers = more;
    kernels->normal_f32((size_t)count, numbers, &part);
    for (int64_t d = 0; d < count; d++)
        z[d] = scale * numbers[d];
    ebb_free(more);
}

static ebb_rng_at row_at(const uint32_t *sample, int64_t i, uint64_t seed, ebb_stream stream, int64_t draw)
{
    return (ebb_rng_at){.seed = seed, .stream = stream, .step = (uint32_t)draw,
                        .sample = sample != NULL ? sample[i] : (uint32_t)i};
}

void walk_start(ebb_context *ctx, const ebb_process *p, uint64_t seed, const uint32_t *sample, int64_t n, int64_t count,
                double *x)
{
    for (int64_t i = 0; i < n; i++)
        normal_row(ctx->kernels, row_at(sample, i, seed, EBB_STREAM_SAMPLE_START, 0), count, ebb_process_prior_std(p),
                   x + i * count);
}

static void normal(void *self, int64_t draw, double *z)
{
    runner *r = self;
    const walk_job *job = r->job;
    const ebb_kernels *kernels = job->kernels != NULL ? job->kernels : r->ctx->kernels;
    int64_t all = job->n * r->count;
    if (job->noise == NULL) {
        for (int64_t i = 0; i < job->n; i++)
            normal_row(kernels, row_at(job->sample, i, job->seed, EBB_STREAM_SAMPLE_STEP, draw), r->count, 1,
                       z + i * r->count);
        return;
    }
    r->short_of_noise = r->short_of_noise || draw >= job->noise_draws;
    for (int64_t i = 0; i < all; i++)
        z[i] = draw < job->noise_draws ? job->noise[draw * all + i] : 0;
}

static void uniform(void *self, int64_t draw, double *u)
{
    runner *r = self;
    const walk_job *job = r->job;
    for (int64_t i = 0; i < job->n; i++) {
        ebb_rng_at at = row_at(job->sample, i, job->seed, EBB_STREAM_SAMPLE_STEP, draw);
        if (job->uniforms == NULL)
            u[i] = ebb_rng_uniform(&at, 0);
        else
            u[i] = draw < job->noise_draws ? job->uniforms[draw * job->n + i] : 0;
    }
    r->short_of_noise = r->short_of_noise || (job->uniforms != NULL && draw >= job->noise_draws);
}

static int after_step(void *self, int64_t k, const double *x)
{
    runner *r = self;
    walk_job *job = r->job;
    int64_t all = job->n * r->count;
    job->steps++;
    if (job->path != NULL && k < job->path_steps)
        memcpy(job->path + (k + 1) * all, x, (size_t)all * sizeof *x);
    r->short_of_path = r->short_of_path || (job->path != NULL && k >= job->path_steps);
    return job->stop_step > 0 && job->steps >= job->stop_step;
}

static void after_correction(void *self, const double *length)
{
    walk_job *job = ((runner *)self)->job;
    if (job->lengths != NULL && job->corrections < job->path_steps)
        memcpy(job->lengths + job->corrections * job->n, length, (size_t)job->n * sizeof *length);
    job->corrections++;
}

static int after_evaluation(void *self)
{
    const walk_job *job = ((runner *)self)->job;
    ((runner *)self)->calls++;
    ((runner *)self)->job->nfe += ebb_field_evaluations(((runner *)self)->field);
    return job->stop_evaluation > 0 && ((runner *)self)->calls >= job->stop_evaluation;
}

static ebb_status go(runner *r, ebb_walk *w)
{
    walk_job *job = r->job;
    int64_t all = job->n * r->count;
    void *work;
    EBB_TRY(ebb_walk_check(r->ctx, w));
    EBB_TRY(ebb_alloc(r->ctx, &work, ebb_walk_work(w->sampler, w->n, w->count) + 1, sizeof(double), "a walk"));
    w->work = work;
    /* Nothing may be read before it is written. */
    memset(work, 0xff, ebb_walk_work(w->sampler, w->n, w->count) * sizeof(double));
    if (job->path != NULL)
        memcpy(job->path, job->x, (size_t)all * sizeof(double));
    job->stopped = w->sampler->run(w) != 0;
    job->draws = w->draws;
    ebb_free(work);
    if (w->nfe != job->nfe || w->stopped != job->stopped)
        return ebb_fail(r->ctx, EBB_E_INTERNAL, "sampler %s counts %lld evaluations, made %lld; stopped %d, returned %d",
                        w->sampler->name, (long long)w->nfe, (long long)job->nfe, w->stopped, job->stopped);
    if (r->short_of_noise)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "sampler %s asked for %lld draws; %lld are stored", w->sampler->name,
                        (long long)w->draws, (long long)job->noise_draws);
    if (r->short_of_path)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "sampler %s took %lld steps; the path has room for %lld", w->sampler->name,
                        (long long)job->steps, (long long)job->path_steps);
    return EBB_OK;
}

ebb_status walk_run(ebb_context *ctx, walk_job *job)
{
    ebb_target_field self = {job->target, job->one, job->w, job->n};
    ebb_field field = job->field != NULL ? *job->field : ebb_field_of_target(&self);
    runner r = {.ctx = ctx, .job = job, .field = &field, .count = field.count};
    ebb_walk w = {.process = job->process, .grid = job->grid, .field = &field, .n = job->n, .count = field.count,
                  .x = job->x, .clip = job->clip, .normal = normal, .uniform = uniform, .random = &r, .step = after_step,
                  .evaluated = after_evaluation, .corrected = after_correction, .user = &r, .mean = job->mean};
    job->nfe = job->draws = job->steps = job->corrections = 0;
    job->stopped = false;
    EBB_TRY(ebb_sampler_parse(ctx, job->sampler, &w.sampler, &w.set));
    if (job->set != NULL)
        w.set = *job->set;
    return go(&r, &w);
}
