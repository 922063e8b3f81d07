/* restore_ddrm.c: denoising diffusion restoration models (Kawar et al. 2022): DDIM's step on each axis of H by itself.
 *
 * All in units where alpha is 1: v = x/alpha, noise k = sigma/alpha. On axis i y says seen with noise k_y = sigma_y/s. With the
 * estimates x_0 and eps of the level that is left, the next v at noise k is normal (their equations 7 and 8):
 *   not seen    x_0 + sqrt(1-eta^2) k eps                             variance (eta k)^2
 *   k <  k_y    x_0 + sqrt(1-eta^2) k (seen - x_0)/k_y                variance (eta k)^2
 *   k >= k_y    (1-eta_b) x_0 + eta_b seen                            variance k^2 - (eta_b k_y)^2
 * so that no number ever has less noise than its measurement before the level does. The law of v given x_0 and y is kept right
 * at every level; that the network's x_0 knows nothing of y is what is left out. With eta > 0 an estimate also stands where x_0
 * should: the more fresh noise, the more samples crowd at modes, so that even numbers of which y tells nothing are off their law
 * (with eta 0 they follow DDIM, and are not).
 *
 * literal: the published code starts with the noise of alpha = 1 divided by k instead of sqrt(1+k^2), and takes none of the
 * last two branches where k = k_y: without noise the last step, k = 0, ends on x_0 instead of y.
 */
#include <math.h>

#include "diffusion/restore.h"

/* w->x: noise of deviation prior_std -> the first point. */
static void start(ebb_restore_walk *r)
{
    ebb_walk *w = &r->walk;
    const double *seen = ebb_restore_seen(r);
    ebb_level at = w->grid->level[0];
    double k = at.sigma / at.alpha, unit = 1 / ebb_process_prior_std(w->process);
    double scale = r->set.literal != 0 ? 1 / k : at.alpha;
    ebb_restore_turn(r, false, w->x);
    for (int64_t i = 0; i < w->n * w->count; i++) {
        double z = unit * w->x[i], s = r->op->singular[i % w->count], ky = s > 0 ? r->sigma / s : INFINITY;
        if (at.alpha == 0)
            w->x[i] = at.sigma * z;
        else
            w->x[i] = scale * (k > ky ? seen[i] + sqrt(k * k - ky * ky) * z : k * z);
    }
    ebb_restore_turn(r, true, w->x);
}

/* v at noise k of one axis; s: singular value. */
static double next(const ebb_restore_walk *r, double k, double s, double seen, double x0, double eps, double z)
{
    double eta = r->set.eta, share = r->set.eta_b, keep = sqrt(1 - eta * eta), ky = s > 0 ? r->sigma / s : INFINITY;
    if (s == 0 || (r->set.literal != 0 && k == ky))
        return x0 + k * keep * eps + k * eta * z;
    if (k < ky)
        return x0 + k * keep * (seen - x0) / ky + k * eta * z;
    return share * seen + (1 - share) * x0 + sqrt(fmax(k * k - ky * ky * share * share, 0)) * z;
}

int ebb_restore_ddrm(ebb_restore_walk *r)
{
    ebb_walk *w = &r->walk;
    const double *seen = ebb_restore_seen(r);
    double *x0 = ebb_walk_buffer(w, EBB_RESTORE_CLEAN), *z = ebb_walk_buffer(w, EBB_RESTORE_NOISE);
    double *eps = ebb_walk_buffer(w, EBB_RESTORE_OWN);
    start(r);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level to = w->grid->level[k + 1];
        if (ebb_walk_predict(w, w->x, w->grid->level[k], eps, x0))
            return 1;
        ebb_restore_turn(r, false, x0);
        ebb_restore_turn(r, false, eps);
        ebb_walk_normal(w, z);
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] = to.alpha * next(r, to.sigma / to.alpha, r->op->singular[i % w->count], seen[i], x0[i], eps[i], z[i]);
        ebb_restore_turn(r, true, w->x);
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}
