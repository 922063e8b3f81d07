/* dpm_sde.c: solvers of the reverse equation that integrate its linear part and its noise exactly and extrapolate D = E[x_0|x]
 * over lambda = log(alpha/sigma) (Lu et al. 2022, DPM-Solver++, appendix; as in Crowson's k-diffusion).
 *
 * In y = x/alpha, s = sigma/alpha, over a step h = log(s/s') of lambda, with H = (1 + eta) h:
 *   y' = (s'/s) e^{-eta h} y + (1 - e^{-H}) D + correction + s' sqrt(1 - e^{-2 eta h}) z
 *   2m       (1 - e^{-H})/2 (D - D_1) h/h_1                        midpoint
 *   2m-heun  (1 - (1 - e^{-H})/H) (D - D_1) h/h_1
 *   3m       phi_2 d_1 - phi_3 d_2, phi_2 = 1 - (1 - e^{-H})/H, phi_3 = phi_2/H - 1/2, d_1, d_2 the divided differences of D
 *   2s       D is replaced by D of the middle of the step (dpmpp-sde); z is the noise to the middle continued by fresh noise,
 *            so that both stages see one path of the Brownian motion
 * with D_1, h_1 of the step before. The first steps take what there is; a step to the clean level gives D.
 *
 * Draws: one a step (dpmpp-sde two: to the middle, then the rest), but for a step to the clean level.
 */
#include "diffusion/stochastic.h"

#include <math.h>

/* x' = alpha' (keep x/alpha + take D + d1 D_1 + d2 D_2 + noise z) */
typedef struct weights { double keep, now, before, earlier, noise; } weights;

/* h: lengths of this step and of the `ready` steps before it, of which two count. */
static weights weigh(int variant, double s, double next, double eta, const double *h, int ready)
{
    double wide = (1 + eta) * h[0], rise = -expm1(-wide);
    double keep = next / s * exp(-eta * h[0]), noise = next * sqrt(-expm1(-2 * eta * h[0]));
    weights w = {keep, rise, 0, 0, noise};
    if (ready == 0)
        return w;
    double phi2 = 1 - rise / wide, r0 = h[1] / h[0];
    if (variant != EBB_DPM_SDE_3M || ready == 1) {
        double slope = (variant == EBB_DPM_SDE_2M ? 0.5 * rise : phi2) / r0;
        w.now += slope;
        w.before -= slope;
        return w;
    }
    double phi3 = phi2 / wide - 0.5, r1 = h[2] / h[0];
    /* d1 = a + (a - b) r0/(r0+r1), d2 = (a - b)/(r0+r1), a = (D - D_1)/r0, b = (D_1 - D_2)/r1 */
    double of_a = phi2 * (1 + r0 / (r0 + r1)) - phi3 / (r0 + r1), of_b = -phi2 * r0 / (r0 + r1) + phi3 / (r0 + r1);
    w.now += of_a / r0;
    w.before += -of_a / r0 + of_b / r1;
    w.earlier -= of_b / r1;
    return w;
}

static void combine(ebb_walk *w, ebb_level t, ebb_level n, weights c, double *const d[3])
{
    for (int64_t i = 0; i < w->n * w->count; i++) {
        double y = c.keep * (w->x[i] / t.alpha) + c.now * d[0][i];
        if (c.before != 0)
            y += c.before * d[1][i];
        if (c.earlier != 0)
            y += c.earlier * d[2][i];
        w->x[i] = n.alpha * y;
    }
}

static void add_noise(ebb_walk *w, double scale, double *z)
{
    ebb_walk_normal(w, z);
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] += scale * z[i];
}

int ebb_sample_dpm_sde(ebb_walk *w)
{
    int history = w->sampler->variant == EBB_DPM_SDE_3M ? 3 : 2;
    double *z = ebb_walk_buffer(w, history), *d[3], h[3] = {0}, eta = ebb_walk_eta(w, 1);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], n = w->grid->level[k + 1];
        double s = t.sigma / t.alpha, next = n.sigma / n.alpha;
        for (int i = 0; i < 3; i++)
            d[i] = ebb_walk_buffer(w, (k + (history - i) % history) % history);
        if (ebb_walk_predict(w, w->x, t, NULL, d[0]))
            return 1;
        h[2] = h[1];
        h[1] = h[0];
        h[0] = log(s / next);
        weights c = {0, 1, 0, 0, 0};
        combine(w, t, n, next > 0 ? weigh(w->sampler->variant, s, next, eta, h, k) : c, d);
        ebb_walk_keep_mean(w);
        if (next > 0 && eta > 0)
            add_noise(w, n.alpha * next * sqrt(-expm1(-2 * eta * h[0])), z);
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

/* ---- single steps --------------------------------------------------------------------------------------------- */

enum { CLEAN, MIDDLE, NOISE, FRESH, CLEAN_THERE };

/* From t over the middle to n, both with noise. */
static int single(ebb_walk *w, ebb_level t, ebb_level n, double eta)
{
    double *d = ebb_walk_buffer(w, CLEAN), *x = ebb_walk_buffer(w, MIDDLE), *there = ebb_walk_buffer(w, CLEAN_THERE);
    double *first = ebb_walk_buffer(w, NOISE), *rest = ebb_walk_buffer(w, FRESH);
    double s = t.sigma / t.alpha, next = n.sigma / n.alpha, h = log(s / next), half = h / 2, middle = s * exp(-half);
    ebb_level m = ebb_process_level_sigma(w->process, middle);
    weights to_middle = weigh(EBB_DPM_SDE_2M, s, middle, eta, &half, 0), whole = weigh(EBB_DPM_SDE_2M, s, next, eta, &h, 0);
    weights onward = weigh(EBB_DPM_SDE_2M, middle, next, eta, &half, 0);
    int64_t numbers = w->n * w->count;
    if (eta > 0)
        ebb_walk_normal(w, first);
    for (int64_t i = 0; i < numbers; i++)
        x[i] = m.alpha * (to_middle.keep * (w->x[i] / t.alpha) + to_middle.now * d[i]
                          + (eta > 0 ? to_middle.noise * first[i] : 0));
    if (ebb_walk_predict(w, x, m, NULL, there))
        return 1;
    if (eta > 0)
        ebb_walk_normal(w, rest);
    for (int64_t i = 0; i < numbers; i++)
        w->x[i] = n.alpha * (whole.keep * (w->x[i] / t.alpha) + whole.now * there[i]);
    ebb_walk_keep_mean(w);
    for (int64_t i = 0; eta > 0 && i < numbers; i++)
        w->x[i] += n.alpha * (onward.keep * to_middle.noise * first[i] + onward.noise * rest[i]);
    return 0;
}

int ebb_sample_dpm_2s_sde(ebb_walk *w)
{
    double *d = ebb_walk_buffer(w, CLEAN), eta = ebb_walk_eta(w, 1);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], n = w->grid->level[k + 1];
        if (ebb_walk_predict(w, w->x, t, NULL, d))
            return 1;
        if (n.sigma > 0 && single(w, t, n, eta))
            return 1;
        for (int64_t i = 0; n.sigma == 0 && i < w->n * w->count; i++)
            w->x[i] = n.alpha * d[i];
        if (n.sigma == 0)
            ebb_walk_keep_mean(w);
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}
