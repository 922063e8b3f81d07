/* chain.c: walks a chain of timesteps from noise to a picture; what DDPM and DDIM share.
 *
 * The one idea: every step of such a sampler, from alpha_bar_t to the next (less noisy) alpha_bar, is
 *   x0 = clip((x - sqrt(1-alpha_bar_t) eps) / sqrt(alpha_bar_t))
 *   x' = keep_x0 x0 + keep_x x + noise z
 * and samplers differ in three numbers only (ebb_transition). They are worked out in double, the
 * pictures are float.
 *
 * Timesteps of a chain of K steps lie evenly from T-1 to 0, both included, rounded to even (as
 * guided-diffusion's respacing): T-1 because pure noise is what the network saw there, 0 because the
 * last step leaves out its noise, which only the cleanest timestep can bear.
 *
 * All arithmetic on a picture is its own: picture i depends on (seed, index of i) only.
 */
#include "diffusion/diffusion.h"

#include <math.h>

int ebb_chain_timestep(int timesteps, int steps, int k)
{
    if (steps == 1)
        return timesteps - 1;
    return (int)rint((double)(steps - 1 - k) * (timesteps - 1) / (steps - 1));
}

void ebb_transition_apply(const ebb_transition *q, size_t n, float *x, const float *eps, const float *z)
{
    float root = (float)(1.0 / sqrt(q->alpha_bar)), ratio = (float)sqrt((1.0 - q->alpha_bar) / q->alpha_bar);
    float bound = q->clip ? 1.0f : INFINITY;
    float keep_x0 = (float)q->keep_x0, keep_x = (float)q->keep_x, noise = (float)q->noise;
    for (size_t i = 0; i < n; i++) {
        float x0 = root * x[i] - ratio * eps[i];
        x0 = x0 > bound ? bound : x0 < -bound ? -bound : x0;
        x[i] = keep_x0 * x0 + keep_x * x[i];
        if (z != NULL)
            x[i] += noise * z[i];
    }
}

static void draw(const ebb_sampler_args *a, ebb_stream stream, int t, int64_t picture, float *to)
{
    ebb_rng_at at = {a->seed, (uint32_t)stream, (uint32_t)t, a->sample[picture]};
    a->kernels->normal_f32((size_t)a->count, to, &at);
}

static void advance(const ebb_sampler_args *a, const ebb_transition *q, int t, const float *eps, float *z)
{
    for (int64_t i = 0; i < a->n; i++) {
        if (q->noise > 0.0)
            draw(a, EBB_STREAM_SAMPLE_STEP, t, i, z);
        ebb_transition_apply(q, (size_t)a->count, a->x + i * a->count, eps + i * a->count,
                             q->noise > 0.0 ? z : NULL);
    }
}

int ebb_chain_run(const ebb_sampler_args *a, const ebb_denoiser *denoiser, ebb_transition_rule rule)
{
    const double *alpha_bar = a->schedule->alpha_bar;
    float *eps = a->work, *z = a->work + a->n * a->count;
    for (int64_t i = 0; i < a->n; i++)
        draw(a, EBB_STREAM_SAMPLE_START, 0, i, a->x + i * a->count);
    for (int k = 0; k < a->steps; k++) {
        int t = ebb_chain_timestep(a->schedule->steps, a->steps, k);
        bool last = k + 1 == a->steps;
        double next = last ? 1.0 : alpha_bar[ebb_chain_timestep(a->schedule->steps, a->steps, k + 1)];
        ebb_transition q = rule(alpha_bar[t], next, a->eta);
        q.clip = a->clip;
        denoiser->eps(denoiser->self, a->x, t, eps);
        advance(a, &q, t, eps, z);
        if (a->progress != NULL && a->progress(a->user) != 0)
            return 1;
    }
    return 0;
}

size_t ebb_sampler_work(int64_t n, int64_t count)
{
    return (size_t)(n + 1) * (size_t)count;
}
