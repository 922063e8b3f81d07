/* dpm_solver.c: DPM-Solver and DPM-Solver++, orders 1 to 3, single-step and multistep (Lu et al. 2022a, 2022b).
 *
 * Both solve the linear part of the probability flow exactly and expand the model's output in lambda = log(alpha/sigma):
 * DPM-Solver the noise, DPM-Solver++ the clean picture (exponential.h). Derivatives come from evaluations inside of the
 * step (single-step: algorithms 1 and 2 of 2022a, r = 1/2 or 1/3, 2/3; dpmpp-2s is algorithm 1 of 2022b) or from the
 * steps before (multistep, algorithm 2 of 2022b). Multistep methods begin with lower orders, and may end with them
 * (setting lower_order_final). To a clean level each takes x_0.
 */
#include "diffusion/exponential.h"

#include <math.h>

/* variant: the order, plus these. */
enum { ORDER = 3, DATA = 4 };
enum { FEW = 15 };               /* steps, for lower_order_final=2 */

ebb_exponential ebb_exponential_step(bool data, ebb_level t, ebb_level s)
{
    double h = ebb_level_lambda(s) - ebb_level_lambda(t), q = data ? -1 : 1, by = data ? s.alpha : s.sigma;
    double p1 = expm1(q * h), p2 = p1 / h - q, p3 = p2 / h - 0.5;
    return (ebb_exponential){.x = data ? s.sigma / t.sigma : s.alpha / t.alpha, .m = -by * p1, .d1 = -q * by * p2,
                             .d2 = -by * p3};
}

bool ebb_exponential_first(ebb_level t, ebb_level s)
{
    return t.alpha == 0 || s.sigma == 0;
}

int ebb_exponential_predict(ebb_walk *w, bool data, const double *x, ebb_level at, double *m, double *other)
{
    return data ? ebb_walk_predict(w, x, at, other, m) : ebb_walk_predict(w, x, at, m, other);
}

/* to = c.x x + c.m m + c.d1 r (a - b): a step whose first difference is r (a - b). */
static void combine(const ebb_walk *w, ebb_exponential c, const double *x, const double *m, double r, const double *a,
                    const double *b, double *to)
{
    for (int64_t i = 0; i < w->n * w->count; i++)
        to[i] = c.x * x[i] + c.m * m[i] + c.d1 * r * (a[i] - b[i]);
}

/* ---- single-step ------------------------------------------------------------------------------------------ */

/* The level at that part of the way from t to s in lambda. */
static ebb_level between(const ebb_walk *w, ebb_level t, ebb_level s, double part)
{
    double from = ebb_level_lambda(t), to = ebb_level_lambda(s);
    return ebb_process_level_sigma(w->process, exp(-(from + part * (to - from))));
}

static int single_step(ebb_walk *w, ebb_level t, ebb_level s)
{
    int order = w->sampler->variant & ORDER;
    bool data = (w->sampler->variant & DATA) != 0, first = ebb_exponential_first(t, s);
    double *m = ebb_walk_buffer(w, 0), *inner = ebb_walk_buffer(w, 1), *there = ebb_walk_buffer(w, 2);
    if (ebb_exponential_predict(w, data, w->x, t, m, first ? inner : NULL))
        return 1;
    if (first) {
        ebb_walk_first(w, s, data ? inner : m, data ? m : inner, w->x);
        return 0;
    }
    double r = 1;
    for (int stage = 1; stage < order; stage++) {
        double part = (double)stage / order, before = r;
        ebb_level at = between(w, t, s, part);
        /* The third order's second stage extrapolates the first's difference; the first has none. */
        combine(w, ebb_exponential_step(data, t, at), w->x, m, stage == 2 ? part / before : 0, stage == 2 ? there : m, m,
                inner);
        if (ebb_exponential_predict(w, data, inner, at, there, NULL))
            return 1;
        r = part;
    }
    ebb_exponential c = ebb_exponential_step(data, t, s);
    /* The second order takes the mean slope of the whole step, c.m/2, in place of c.d1. */
    if (order == 2)
        c.d1 = 0.5 * c.m;
    combine(w, c, w->x, m, 1 / r, order == 1 ? m : there, m, w->x);
    return 0;
}

int ebb_sample_dpm_single(ebb_walk *w)
{
    for (int k = 0; k < w->grid->steps; k++)
        if (single_step(w, w->grid->level[k], w->grid->level[k + 1]) || ebb_walk_step(w, k))
            return 1;
    return 0;
}

/* ---- multistep --------------------------------------------------------------------------------------------- */

/* m: the outputs at level[0], level[-1], level[-2]. */
static void second_step(ebb_walk *w, bool data, const ebb_level *level, double *const *m)
{
    ebb_exponential c = ebb_exponential_step(data, level[0], level[1]);
    double now = ebb_level_lambda(level[0]), r = (now - ebb_level_lambda(level[-1])) / (ebb_level_lambda(level[1]) - now);
    if (w->set.heun == 0)
        c.d1 = 0.5 * c.m;
    combine(w, c, w->x, m[0], 1 / r, m[0], m[1], w->x);
}

static void third_step(ebb_walk *w, bool data, const ebb_level *level, double *const *m)
{
    ebb_exponential c = ebb_exponential_step(data, level[0], level[1]);
    double now = ebb_level_lambda(level[0]), before = ebb_level_lambda(level[-1]), h = ebb_level_lambda(level[1]) - now;
    double r0 = (now - before) / h, r1 = (before - ebb_level_lambda(level[-2])) / h;
    for (int64_t i = 0; i < w->n * w->count; i++) {
        double a = (m[0][i] - m[1][i]) / r0, b = (m[1][i] - m[2][i]) / r1;
        double d1 = a + r0 / (r0 + r1) * (a - b), d2 = (a - b) / (r0 + r1);
        w->x[i] = c.x * w->x[i] + c.m * m[0][i] + c.d1 * d1 + c.d2 * d2;
    }
}

static void multi_step(ebb_walk *w, bool data, const ebb_level *level, int order, double *const *m)
{
    if (order == 1)
        combine(w, ebb_exponential_step(data, level[0], level[1]), w->x, m[0], 0, m[0], m[0], w->x);
    else if (order == 2)
        second_step(w, data, level, m);
    else
        third_step(w, data, level, m);
}

int ebb_sample_dpm_multi(ebb_walk *w)
{
    enum { KEPT = 3 };
    int most = w->sampler->variant & ORDER, have = 0, steps = w->grid->steps;
    bool data = (w->sampler->variant & DATA) != 0;
    bool lower = w->set.lower_order_final == 1 || (w->set.lower_order_final == 2 && steps < FEW);
    double *m[KEPT], *other = ebb_walk_buffer(w, KEPT);
    for (int k = 0; k < steps; k++) {
        const ebb_level *t = &w->grid->level[k];
        bool first = ebb_exponential_first(t[0], t[1]);
        int order = have = have < most ? have + 1 : most;
        if (lower && order == most && steps - k < order)
            order = steps - k;
        if (w->set.euler_final != 0 && k == steps - 1)
            order = 1;
        for (int j = 0; j < KEPT; j++)
            m[j] = ebb_walk_buffer(w, (k + KEPT - j) % KEPT);
        if (ebb_exponential_predict(w, data, w->x, *t, m[0], first ? other : NULL))
            return 1;
        if (first)
            ebb_walk_first(w, t[1], data ? other : m[0], data ? m[0] : other, w->x);
        else
            multi_step(w, data, t, order, m);
        have = t->alpha == 0 ? 0 : have;
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}
