/* restores.c: a restoration over an exact law, its random numbers and its path.
 */
#include "support/restores.h"

#include <string.h>

#define ROW_MAX 4096

typedef struct runner {
    ebb_context *ctx;
    restore_job *job;
    int64_t count;
    bool short_of_noise, short_of_path;
} runner;

static void normal(void *self, int64_t draw, double *z)
{
    runner *r = self;
    const restore_job *job = r->job;
    float numbers[ROW_MAX];
    int64_t all = job->n * r->count;
    for (int64_t i = 0; job->noise == NULL && i < job->n; i++) {
        ebb_rng_at at = {.seed = job->seed, .stream = EBB_STREAM_SAMPLE_STEP, .step = (uint32_t)draw,
                         .sample = job->sample != NULL ? job->sample[i] : (uint32_t)i};
        r->ctx->kernels->normal_f32((size_t)r->count, numbers, &at);
        for (int64_t d = 0; d < r->count; d++)
            z[i * r->count + d] = numbers[d];
    }
    for (int64_t i = 0; job->noise != NULL && i < all; i++)
        z[i] = draw < job->noise_draws ? job->noise[draw * all + i] : 0;
    r->short_of_noise = r->short_of_noise || (job->noise != NULL && draw >= job->noise_draws);
}

static int after_step(void *self, int64_t k, const double *x)
{
    runner *r = self;
    restore_job *job = r->job;
    int64_t all = job->n * r->count;
    job->steps_taken++;
    if (job->path != NULL && k < job->path_steps)
        memcpy(job->path + (k + 1) * all, x, (size_t)all * sizeof *x);
    r->short_of_path = r->short_of_path || (job->path != NULL && k >= job->path_steps);
    return 0;
}

static int after_evaluation(void *self)
{
    restore_job *job = ((runner *)self)->job;
    return job->stop_evaluation > 0 && ++job->nfe >= job->stop_evaluation;
}

static ebb_status go(runner *r, ebb_restore_walk *w)
{
    restore_job *job = r->job;
    void *work;
    size_t doubles = ebb_restore_work(w->method, job->n, r->count);
    EBB_TRY(ebb_restore_check(r->ctx, w));
    EBB_TRY(ebb_alloc(r->ctx, &work, doubles, sizeof(double), "a restoration"));
    w->walk.work = work;
    /* Nothing may be read before it is written. */
    memset(work, 0xff, doubles * sizeof(double));
    if (job->path != NULL)
        memcpy(job->path, job->x, (size_t)(job->n * r->count) * sizeof(double));
    job->stopped = ebb_restore_run(w) != 0;
    job->nfe = w->walk.nfe;
    job->draws = w->walk.draws;
    job->expected = w->method->evaluations(&w->set, w->walk.grid->steps);
    ebb_free(work);
    if (r->short_of_noise)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "method %s asked for %lld draws; %lld are stored", job->method,
                        (long long)job->draws, (long long)job->noise_draws);
    if (r->short_of_path)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "method %s took %lld steps; the path has room for %lld", job->method,
                        (long long)job->steps_taken, (long long)job->path_steps);
    return EBB_OK;
}

ebb_status restore_run(ebb_context *ctx, restore_job *job)
{
    ebb_target_field self = {.all = job->target, .n = job->n};
    ebb_field field = job->field != NULL ? *job->field : ebb_field_of_target(&self);
    runner r = {.ctx = ctx, .job = job, .count = field.count};
    double *y;
    ebb_grid own = {0};
    ebb_restore_walk w = {.op = job->op, .sigma = job->sigma,
                     .walk = {.process = job->process, .grid = job->grid, .field = &field, .n = job->n, .count = field.count,
                              .x = job->x, .clip = job->clip, .normal = normal, .random = &r, .step = after_step,
                              .evaluated = after_evaluation, .user = &r, .mean = job->mean}};
    size_t rows = (size_t)job->op->rows;
    job->nfe = job->draws = job->steps_taken = 0;
    job->stopped = false;
    EBB_TRY(ebb_restorer_parse(ctx, job->method, &w.method, &w.set));
    if (job->grid == NULL) {
        EBB_TRY(ebb_restore_grid(ctx, w.method, job->process, NULL, &(ebb_grid_options){.steps = job->steps}, &own));
        w.walk.grid = &own;
    }
    ebb_status status = ebb_alloc(ctx, (void **)&y, (size_t)job->n * rows, sizeof *y, "measurements");
    if (status == EBB_OK) {
        for (size_t i = 0; i < (size_t)job->n * rows; i++)
            y[i] = job->y[i % rows];
        w.y = y;
        status = go(&r, &w);
        ebb_free(y);
    }
    ebb_grid_free(&own);
    return status;
}
