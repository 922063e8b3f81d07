/* speed_sample.c: whole sampling runs, from noise to pictures, as a job that is timed.
 *
 * The weights are as a training would start with: how long a picture takes does not depend on what is in it.
 */
#include "sample/sampling.h"
#include "study/speed.h"

typedef struct sampling_job {
    ebb_model *model;
    ebb_sampling *sampling;
    float *pixels;
} sampling_job;

static ebb_status draw(void *self)
{
    sampling_job *job = self;
    return ebb_sampling_run(job->sampling, job->pixels);
}

static ebb_status make(ebb_context *ctx, const ebb_recipe *r, sampling_job *job)
{
    ebb_sample_options o = ebb_sample_defaults();
    o.n = r->train_batch;
    o.seed = (uint64_t)r->train_seed;
    EBB_TRY(ebb_model_create(ctx, r, &job->model));
    ebb_model *m = job->model;
    EBB_TRY(ebb_alloc(ctx, (void **)&m->owned, (size_t)m->params.length, sizeof(float), "weights"));
    ebb_params_init(ctx, &m->params, (uint64_t)r->train_seed, m->owned);
    m->weights = m->owned;
    size_t numbers = (size_t)ebb_shape_count(ebb_network_shape(&m->net, o.n));
    EBB_TRY(ebb_alloc(ctx, (void **)&job->pixels, numbers, sizeof(float), "pictures"));
    return ebb_sampling_create(ctx, m, &o, &job->sampling);
}

ebb_status ebb_speed_sampling(ebb_context *ctx, const ebb_recipe *r, ebb_timing *t)
{
    sampling_job job = {0};
    ebb_status status = make(ctx, r, &job);
    if (status == EBB_OK) {
        t->step = draw;
        t->self = &job;
        t->plan = ebb_sampling_plan(job.sampling);
        t->evaluations = ebb_sampling_steps(job.sampling);
        status = ebb_timing_run(t);
    }
    ebb_sampling_free(job.sampling);
    ebb_free(job.pixels);
    ebb_model_free(job.model);
    return status;
}
