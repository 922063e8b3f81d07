/* k_ancestral.c: Euler's step down to a lower sigma, then noise up to the next (Crowson's k-diffusion, sample_euler_ancestral).
 *
 * In y = x/alpha with s = sigma/alpha from one level and s' at the next, D = E[x_0|x]:
 *   up = min(s', eta sqrt(s'^2 (s^2 - s'^2)/s^2)),  down = sqrt(s'^2 - up^2),  y <- (down/s) y + (1 - down/s) D + up z.
 * eta 0 is Euler's method on the probability flow, DDIM; eta 1 has the posterior's variance, DDPM.
 *
 * Draws: one a step, but for a last step to the clean level.
 */
#include "diffusion/sampler.h"

#include <math.h>

int ebb_sample_euler_ancestral(ebb_walk *w)
{
    double *clean = ebb_walk_buffer(w, 0), *z = ebb_walk_buffer(w, 1), eta = ebb_walk_eta(w, 1);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], n = w->grid->level[k + 1];
        double s = t.sigma / t.alpha, next = n.sigma / n.alpha;
        double up = fmin(next, eta * sqrt(next * next * (s * s - next * next) / (s * s)));
        double ratio = sqrt(next * next - up * up) / s;
        if (ebb_walk_predict(w, w->x, t, NULL, clean))
            return 1;
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] = n.alpha * (ratio * (w->x[i] / t.alpha) + (1 - ratio) * clean[i]);
        ebb_walk_lead(w, n.alpha * up * (n.alpha * up));
        ebb_walk_keep_mean(w);
        if (next > 0) {
            ebb_walk_normal(w, z);
            for (int64_t i = 0; i < w->n * w->count; i++)
                w->x[i] += n.alpha * up * z[i];
        }
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}
