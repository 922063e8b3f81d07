/* line.h: a law on a line, or seen along a direction, in a form that is fast to ask: distribution, quantiles, moments below.
 *
 * Wasserstein distances on a line are integrals over quantiles, W_p^p = int_0^1 |Q_a(u) - Q_b(u)|^p du. Where one side is a
 * sample, they are sums of what the law has between two of its quantiles, which is known in closed form:
 *   int_a^b Q(u) du = M(Q(b)) - M(Q(a)),   M(q) = int_{-inf}^q x dF(x) = q F(q) - G(q),   G(q) = int_{-inf}^q F(x) dx.
 * F and G are tabulated with their derivatives and interpolated by cubics: their errors are below 1e-9 where the narrowest
 * part's standard deviation spans 64 points (at most 65,536 points in all: laws of extreme proportions are told less finely).
 */
#ifndef EBB_LINE_H
#define EBB_LINE_H

#include "diffusion/target.h"

typedef struct ebb_line {
    int points;
    double lo, step;
    double *density, *below, *integral; /* (points) f, F, G; one allocation */
    double mean, square;                /* E x, E x^2 */
} ebb_line;

/* Of direction.x, direction (dim); NULL: of laws on a line themselves. A law without width in that direction is
 * EBB_E_ARGUMENT. */
ebb_status ebb_line_create(ebb_context *ctx, const ebb_target *law, const double *direction, ebb_line *out);
void ebb_line_free(ebb_line *l);
double ebb_line_below(const ebb_line *l, double x);              /* F */
double ebb_line_quantile(const ebb_line *l, double u);           /* within the table's ends */

/* Distances to samples x (n), ascending, of weights (n) that sum to 1 (NULL: all alike). */
double ebb_line_w1(const ebb_line *l, const double *x, const double *weight, int64_t n);
double ebb_line_w2(const ebb_line *l, const double *x, const double *weight, int64_t n);
/* Between two samples, ascending, of n and m numbers, all alike; power 1 or 2. */
double ebb_samples_wasserstein(const double *x, int64_t n, const double *y, int64_t m, int power);
/* Between two laws, whose densities are compared on points evenly from lo to hi: half the integral of |f - g|. */
double ebb_targets_tv(const ebb_target *a, const ebb_target *b, double lo, double hi, int points);

#endif
