/* annealed.c: Langevin steps at level after level, from the noisiest to the last that has noise (Song & Ermon 2019,
 * algorithm 1; the walk starts at the prior's deviation, as NCSNv2 and De Bortoli's slide, whose sigma_T is a variance).
 *
 *   x <- x + e score + sqrt(2e) z, inner_steps times,   e = eps sigma^2/sigma_L^2
 * Their paper's algorithm prints e/2 and sqrt(e), half the step of their code: setting half_step. By default eps is .062
 * sigma_L^2, NCSNv2's 6.2e-6 at its sigma_L = .01; so is the end, an estimate of x_0 by sigma_L^2 score: setting denoise.
 *
 * Draws: one for each inner step. The step callback comes after each level.
 */
#include "diffusion/sampler.h"

#include <math.h>

static int run_level(ebb_walk *w, ebb_level at, double e)
{
    double *score = ebb_walk_buffer(w, 0), *z = ebb_walk_buffer(w, 1);
    bool half = w->set.half_step != 0;
    double push = half ? e / 2 : e, noise = sqrt(half ? e : 2 * e);
    for (int m = 0; m < (int)w->set.inner_steps; m++) {
        if (ebb_walk_score(w, w->x, at, score))
            return 1;
        ebb_walk_normal(w, z);
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] += push * score[i];
        ebb_walk_keep_mean(w);
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] += noise * z[i];
    }
    return 0;
}

int ebb_sample_annealed(ebb_walk *w)
{
    int last = w->grid->steps;
    while (last > 0 && w->grid->level[last].sigma == 0)
        last--;
    ebb_level end = w->grid->level[last];
    double unit = isnan(w->set.eps) ? 0.062 : w->set.eps / (end.sigma * end.sigma);
    for (int k = 0; k <= last; k++) {
        ebb_level at = w->grid->level[k];
        if (run_level(w, at, unit * at.sigma * at.sigma) || ebb_walk_step(w, k))
            return 1;
    }
    if (w->set.denoise != 0) {
        double *x0 = ebb_walk_buffer(w, 0);
        if (ebb_walk_predict(w, w->x, end, NULL, x0))
            return 1;
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] = x0[i];
        ebb_walk_keep_mean(w);
    }
    return 0;
}
