/* unipc.c: UniPC, a predictor and a corrector of any order that share their evaluations (Zhao et al. 2023).
 *
 * With h, m and the exponential integrator of exponential.h, and D_i = (m_i - m)/r_i the differences to the levels before,
 * r_i = (lambda_i - lambda)/h,
 *   predictor  x' = base + C B sum_i a_i D_i                 (eq. 9)
 *   corrector  x' = base + C B (sum_i c_i D_i + c_p (m' - m))    (eq. 8; m' the output at the predicted x')
 * where C = -alpha' (data) or -sigma' (noise), B(h) = h (bh1) or e^h - 1 (bh2) with h negated for the data form, and a, c
 * solve sum_i r_i^(j-1) a_i = b_j (theorem 3.1). Lowest orders have a = 1/2, c = 1/2. m' serves the next step: one
 * evaluation a step, none in the last.
 */
#include "diffusion/exponential.h"

#include <math.h>

enum { MOST = 4, KEPT = 4 };

typedef struct unipc {
    ebb_walk *w;
    bool data;
    double *m[KEPT];             /* outputs at the levels of the step and before it */
    double *next;                /* m' */
    double *predicted, *other;
} unipc;

/* a (n,n), b (n): solved by elimination with pivots; b becomes the solution. */
static void solve(int n, double a[MOST][MOST], double *b)
{
    for (int p = 0; p < n; p++) {
        int best = p;
        for (int i = p + 1; i < n; i++)
            best = fabs(a[i][p]) > fabs(a[best][p]) ? i : best;
        for (int j = 0; j < n; j++) {
            double swap = a[p][j];
            a[p][j] = a[best][j];
            a[best][j] = swap;
        }
        double swap = b[p];
        b[p] = b[best];
        b[best] = swap;
        for (int i = 0; i < n; i++) {
            double factor = i != p ? a[i][p] / a[p][p] : 0;
            for (int j = p; j < n && factor != 0; j++)
                a[i][j] -= factor * a[p][j];
            b[i] -= factor * b[p];
        }
    }
    for (int i = 0; i < n; i++)
        b[i] /= a[i][i];
}

/* The n weights of the differences at r. */
static void weigh(int n, const double *r, double h, double bh, double *weight)
{
    double a[MOST][MOST], factorial = 1, phi = expm1(h) / h - 1;
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < n; i++)
            a[j][i] = j == 0 ? 1 : a[j - 1][i] * r[i];
        weight[j] = phi * factorial / bh;
        factorial *= j + 2;
        phi = phi / h - 1 / factorial;
    }
    if (n == 1)
        weight[0] = 0.5;
    else
        solve(n, a, weight);
}

/* x' from the differences; next: m' or NULL, whose r is 1. */
static void apply(const unipc *u, const ebb_level *level, int order, const double *next, double *to)
{
    const ebb_walk *w = u->w;
    ebb_exponential c = ebb_exponential_step(u->data, level[0], level[1]);
    double now = ebb_level_lambda(level[0]), step = ebb_level_lambda(level[1]) - now, h = u->data ? -step : step;
    double bh = w->set.bh == 1 ? h : expm1(h), by = -(u->data ? level[1].alpha : level[1].sigma) * bh;
    double r[MOST], weight[MOST];
    for (int j = 1; j < order; j++)
        r[j - 1] = (ebb_level_lambda(level[-j]) - now) / step;
    r[order - 1] = 1;
    int terms = next != NULL ? order : order - 1;
    if (terms > 0)
        weigh(terms, r, h, bh, weight);
    for (int64_t i = 0; i < w->n * w->count; i++) {
        double sum = 0;
        for (int j = 1; j < order; j++)
            sum += weight[j - 1] * (u->m[j][i] - u->m[0][i]) / r[j - 1];
        if (next != NULL)
            sum += weight[order - 1] * (next[i] - u->m[0][i]);
        to[i] = c.x * w->x[i] + c.m * u->m[0][i] + by * sum;
    }
}

/* From level[0] to level[1]; m[0] holds the output at level[0]. last: nothing is evaluated at the end. */
static int step(unipc *u, const ebb_level *level, int order, bool last)
{
    ebb_walk *w = u->w;
    if (ebb_exponential_first(level[0], level[1])) {
        ebb_walk_first(w, level[1], u->data ? u->other : u->m[0], u->data ? u->m[0] : u->other, w->x);
        return last ? 0 : ebb_exponential_predict(w, u->data, w->x, level[1], u->next, u->other);
    }
    apply(u, level, order, NULL, last ? w->x : u->predicted);
    if (last)
        return 0;
    if (ebb_exponential_predict(w, u->data, u->predicted, level[1], u->next, u->other))
        return 1;
    apply(u, level, order, u->next, w->x);
    return 0;
}

int ebb_sample_unipc(ebb_walk *w)
{
    int most = w->set.order > 0 ? (int)w->set.order : 3, have = 0, steps = w->grid->steps;
    bool lower = w->set.lower_order_final == 1 || (w->set.lower_order_final == 2 && steps < 15);
    unipc u = {.w = w, .data = w->set.noise_form == 0, .predicted = ebb_walk_buffer(w, KEPT + 1),
               .other = ebb_walk_buffer(w, KEPT + 2)};
    if (ebb_exponential_predict(w, u.data, w->x, w->grid->level[0], ebb_walk_buffer(w, 0), u.other))
        return 1;
    for (int k = 0; k < steps; k++) {
        const ebb_level *level = &w->grid->level[k];
        int order = have = have < most ? have + 1 : most;
        if (lower && order == most && steps - k < order)
            order = steps - k;
        for (int j = 0; j < KEPT; j++)
            u.m[j] = ebb_walk_buffer(w, (k + KEPT + 1 - j) % (KEPT + 1));
        u.next = ebb_walk_buffer(w, (k + 1) % (KEPT + 1));
        if (step(&u, level, order, k + 1 == steps))
            return 1;
        have = level->alpha == 0 ? 0 : have;
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}
