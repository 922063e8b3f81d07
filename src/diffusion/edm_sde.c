/* edm_sde.c: Heun's method with churn: noise is added before each step, which the step then removes (Karras et al. 2022,
 * algorithm 2).
 *
 * In y = x/alpha, s = sigma/alpha, D = E[x_0|x]; from s to s' in N steps:
 *   gamma = min(churn/N, sqrt(2) - 1) where s_min <= s <= s_max, else 0;  hat = (1 + gamma) s
 *   y <- y + sqrt(hat^2 - s^2) s_noise z;  d = (y - D(y, hat))/hat;  y' = y + (s' - hat) d
 *   and but for s' = 0:  d' = (y' - D(y', s'))/s';  y' = y + (s' - hat)(d + d')/2
 * s_noise a little above 1 makes up for estimates that remove too much.
 *
 * Draws: one a step, also where gamma is 0; none at all without churn.
 */
#include "diffusion/stochastic.h"

#include <math.h>

enum { HAT, SCALED, CLEAN, SLOPE };

/* d = (y - D)/s, of y at a level; scaled receives x = alpha y. */
static int slope(ebb_walk *w, const double *y, ebb_level at, double *d)
{
    double *scaled = ebb_walk_buffer(w, SCALED), *clean = ebb_walk_buffer(w, CLEAN), s = at.sigma / at.alpha;
    for (int64_t i = 0; i < w->n * w->count; i++)
        scaled[i] = at.alpha * y[i];
    if (ebb_walk_predict(w, scaled, at, NULL, clean))
        return 1;
    for (int64_t i = 0; i < w->n * w->count; i++)
        d[i] = (y[i] - clean[i]) / s;
    return 0;
}

/* To y (x/alpha, noise added) in HAT; the level that it is at then. */
static ebb_level churn(ebb_walk *w, ebb_level at)
{
    double *y = ebb_walk_buffer(w, HAT), *z = ebb_walk_buffer(w, SLOPE), s = at.sigma / at.alpha;
    bool inside = s >= w->set.s_min && s <= w->set.s_max;
    double gamma = inside ? fmin(w->set.churn / w->grid->steps, sqrt(2) - 1) : 0, hat = s * (1 + gamma);
    double noise = sqrt(fmax(hat * hat - s * s, 0)) * w->set.s_noise;
    for (int64_t i = 0; i < w->n * w->count; i++)
        y[i] = w->x[i] / at.alpha;
    if (w->set.churn > 0) {
        ebb_walk_normal(w, z);
        for (int64_t i = 0; i < w->n * w->count; i++)
            y[i] += noise * z[i];
    }
    return gamma > 0 ? ebb_process_level_sigma(w->process, hat) : at;
}

int ebb_sample_edm(ebb_walk *w)
{
    double *y = ebb_walk_buffer(w, HAT), *d = ebb_walk_buffer(w, SLOPE), *other = ebb_walk_buffer(w, CLEAN);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level n = w->grid->level[k + 1], hat = churn(w, w->grid->level[k]);
        double next = n.sigma / n.alpha, step = next - hat.sigma / hat.alpha;
        if (slope(w, y, hat, d))
            return 1;
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] = y[i] + step * d[i];
        if (next > 0) {
            if (slope(w, w->x, n, other))
                return 1;
            for (int64_t i = 0; i < w->n * w->count; i++)
                w->x[i] = y[i] + step * 0.5 * (d[i] + other[i]);
        }
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] *= n.alpha;
        ebb_walk_keep_mean(w);
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

/* The samplers that work in y = x/alpha. */
ebb_status ebb_k_check(ebb_context *ctx, const ebb_walk *w)
{
    int (*run)(ebb_walk *) = w->sampler->run;
    if (run != ebb_sample_edm && run != ebb_sample_euler_ancestral && run != ebb_sample_dpm_sde
        && run != ebb_sample_dpm_2s_sde)
        return EBB_OK;
    for (int k = 0; k <= w->grid->steps; k++)
        if (!(w->grid->level[k].alpha > 0))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: level %d of its grid holds noise alone (alpha 0), where "
                            "sigma/alpha is infinite: start at a smaller t_start, or take ddpm or ddim", w->sampler->name, k);
    return EBB_OK;
}
