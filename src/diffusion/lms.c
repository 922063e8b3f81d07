/* lms.c: linear multistep samplers: the noise of the last levels, continued by a polynomial in k = sigma/alpha.
 *
 * With y = x/alpha the flow is dy/dk = eps; the polynomial through the last `order` values of eps is integrated exactly
 * from k to k' (Adams-Bashforth with uneven steps; k-diffusion's lms, rhoAB-DEIS of Zhang & Chen 2022).
 */
#include "diffusion/adams.h"

#include <math.h>

void ebb_adams_step(ebb_walk *w, ebb_level t, ebb_level s, int order, const double *weight, double *const *eps)
{
    double keep = s.alpha / t.alpha;
    for (int64_t i = 0; i < w->n * w->count; i++) {
        double sum = 0;
        for (int j = 0; j < order; j++)
            sum += weight[j] * eps[j][i];
        w->x[i] = keep * w->x[i] + s.alpha * sum;
    }
}

int ebb_adams_run(ebb_walk *w, int order, bool denoise, ebb_adams_weights weights)
{
    double weight[EBB_ADAMS_ORDER], *eps[EBB_ADAMS_ORDER], *x0 = ebb_walk_buffer(w, EBB_ADAMS_ORDER);
    int have = 0;
    for (int k = 0; k < w->grid->steps; k++) {
        const ebb_level *t = &w->grid->level[k], *s = t + 1;
        bool first = t->alpha == 0 || (denoise && s->sigma == 0);
        have = have < order ? have + 1 : order;
        for (int j = 0; j < have; j++)
            eps[j] = ebb_walk_buffer(w, (k + EBB_ADAMS_ORDER - j) % EBB_ADAMS_ORDER);
        if (ebb_walk_predict(w, w->x, *t, eps[0], first ? x0 : NULL))
            return 1;
        if (first) {
            ebb_walk_first(w, *s, eps[0], x0, w->x);
        } else {
            weights(w, t, have, weight);
            ebb_adams_step(w, *t, *s, have, weight, eps);
        }
        /* k is infinite at alpha 0: no node for a polynomial. */
        have = t->alpha == 0 ? 0 : have;
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

static double k_of(ebb_level at)
{
    return at.sigma / at.alpha;
}

/* Gauss' two points integrate the polynomials of order 4, of third degree, exactly. */
static void lms_weights(const ebb_walk *w, const ebb_level *level, int order, double *weight)
{
    double from = k_of(level[0]), half = 0.5 * (k_of(level[1]) - from), reach = half / sqrt(3);
    (void)w;
    for (int j = 0; j < order; j++) {
        double low = half, high = half;
        for (int l = 0; l < order; l++) {
            double node = k_of(level[-l]);
            if (l == j)
                continue;
            low *= (from + half - reach - node) / (k_of(level[-j]) - node);
            high *= (from + half + reach - node) / (k_of(level[-j]) - node);
        }
        weight[j] = low + high;
    }
}

int ebb_sample_lms(ebb_walk *w)
{
    return ebb_adams_run(w, w->set.order > 0 ? (int)w->set.order : 4, false, lms_weights);
}
