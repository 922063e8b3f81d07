/* srk.c: a stochastic Runge-Kutta method of the reverse equation dx = F(x,t) dt + g(t) dw, whose noise does not depend on x.
 *
 * SRA1 (Rossler 2010, table 6.3), from t to t - h, with F = c x - g^2 score, dw ~ sqrt(h) z_1 and the integral of w over the
 * step, divided by h,  m = sqrt(h) (z_1 + z_2/sqrt(3))/2:
 *   k_1 = -F(x, t),  k_2 = -F(x + 3/4 h k_1 + 3/2 g(t-h) m, t - 3/4 h)
 *   x' = x + h (k_1 + 2 k_2)/3 + g(t-h) sqrt(h) z_1 + (g(t) - g(t-h)) m
 * Two evaluations a step; strong order 1.5, weak order 2.
 *
 * Draws: two a step, z_1 then z_2.
 */
#include "diffusion/stochastic.h"

#include <math.h>

enum { SLOPE, MIDDLE, WHOLE, MEAN_PATH, LAST };

/* -F = g^2 score - c x at a level. */
static int slope(ebb_walk *w, const double *x, ebb_level at, double *k)
{
    double c = ebb_process_drift(w->process, at.t), g2 = ebb_process_diffusion2(w->process, at.t);
    if (ebb_walk_score(w, x, at, k))
        return 1;
    for (int64_t i = 0; i < w->n * w->count; i++)
        k[i] = g2 * k[i] - c * x[i];
    return 0;
}

int ebb_sample_srk(ebb_walk *w)
{
    double *k1 = ebb_walk_buffer(w, SLOPE), *x = ebb_walk_buffer(w, MIDDLE), *z = ebb_walk_buffer(w, WHOLE);
    double *m = ebb_walk_buffer(w, MEAN_PATH), *last = ebb_walk_buffer(w, LAST);
    int64_t numbers = w->n * w->count;
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], s = w->grid->level[k + 1];
        double h = t.t - s.t, root = sqrt(h);
        double g = sqrt(ebb_process_diffusion2(w->process, t.t)), below = sqrt(ebb_process_diffusion2(w->process, s.t));
        ebb_walk_normal(w, z);
        ebb_walk_normal(w, m);
        for (int64_t i = 0; i < numbers; i++)
            m[i] = root * 0.5 * (z[i] + m[i] / sqrt(3));
        if (slope(w, w->x, t, k1))
            return 1;
        for (int64_t i = 0; i < numbers; i++)
            x[i] = w->x[i] + 0.75 * h * k1[i] + 1.5 * below * m[i];
        double *k2 = last;
        if (slope(w, x, ebb_process_level(w->process, t.t - 0.75 * h), k2))
            return 1;
        for (int64_t i = 0; i < numbers; i++)
            w->x[i] += h * (k1[i] + 2 * k2[i]) / 3;
        ebb_walk_keep_mean(w);
        for (int64_t i = 0; i < numbers; i++)
            last[i] = w->x[i];
        for (int64_t i = 0; i < numbers; i++)
            w->x[i] += below * root * z[i] + (g - below) * m[i];
        if (ebb_walk_step(w, k))
            return 1;
    }
    for (int64_t i = 0; w->set.denoise != 0 && i < numbers; i++)
        w->x[i] = last[i];
    return 0;
}

/* The samplers that follow the equation between the levels of the grid. */
ebb_status ebb_sde_check(ebb_context *ctx, const ebb_walk *w)
{
    if (w->sampler->run != ebb_sample_srk && w->sampler->run != ebb_sample_adaptive_sde)
        return EBB_OK;
    if (w->process->steps > 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s follows a process in continuous time, and %s is a chain of %d "
                        "timesteps: take reverse-diffusion or ddpm", w->sampler->name, ebb_process_name(w->process->kind),
                        w->process->steps);
    for (int k = 0; k <= w->grid->steps; k++) {
        double t = w->grid->level[k].t, c = ebb_process_drift(w->process, t), g2 = ebb_process_diffusion2(w->process, t);
        if (!isfinite(c) || !isfinite(g2))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: the equation of process %s has no finite drift and noise at "
                            "t = %g, level %d of the grid: start or end elsewhere (t_start, t_end)", w->sampler->name,
                            ebb_process_name(w->process->kind), t, k);
    }
    return EBB_OK;
}
