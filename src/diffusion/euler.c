/* euler.c: first and second order steps along the probability flow: Euler and Heun.
 *
 * In y = x/alpha and k = sigma/alpha ("k-sigma") every process has the same flow, dy/dk = eps(y, k) (Karras et al. 2022,
 * eq. 4; Song et al. 2021 DDIM, eq. 14). Euler's step of it is x' = alpha' x0 + sigma' eps, DDIM with eta 0, which holds
 * from pure noise (alpha 0) to a clean level (sigma 0). Heun evaluates once more where that arrives and takes the mean of
 * both slopes (Karras et al. 2022, algorithm 1), but for steps from alpha 0 or to sigma 0, which stay Euler's.
 */
#include "diffusion/sampler.h"

int ebb_sample_euler(ebb_walk *w)
{
    double *x0 = ebb_walk_buffer(w, 0), *eps = ebb_walk_buffer(w, 1);
    for (int k = 0; k < w->grid->steps; k++) {
        if (ebb_walk_predict(w, w->x, w->grid->level[k], eps, x0))
            return 1;
        ebb_walk_first(w, w->grid->level[k + 1], eps, x0, w->x);
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

int ebb_sample_heun(ebb_walk *w)
{
    double *x0 = ebb_walk_buffer(w, 0), *eps = ebb_walk_buffer(w, 1), *there = ebb_walk_buffer(w, 2);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], s = w->grid->level[k + 1];
        if (ebb_walk_predict(w, w->x, t, eps, x0))
            return 1;
        ebb_walk_first(w, s, eps, x0, w->x);
        if (t.alpha > 0 && s.sigma > 0) {
            double half = 0.5 * s.alpha * (s.sigma / s.alpha - t.sigma / t.alpha);
            if (ebb_walk_predict(w, w->x, s, there, NULL))
                return 1;
            for (int64_t i = 0; i < w->n * w->count; i++)
                w->x[i] += half * (there[i] - eps[i]);
        }
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}
