/* line.c: laws on a line, tabulated; Wasserstein distances to samples, exactly.
 */
#include "eval/line.h"

#include <math.h>

#define PI 3.14159265358979323846
#define FINE 64                  /* points a standard deviation */
#define POINTS_MAX 65536
#define REACH 9                  /* standard deviations that a part is followed: 1e-19 lies beyond */

/* ---- making ------------------------------------------------------------------------------------------------------------ */

/* Mean and standard deviation of part k along the direction. */
static void part_along(const ebb_target *t, int k, const double *direction, double *mean, double *sd)
{
    int n = t->dim;
    double variance = 0;
    *mean = 0;
    for (int i = 0; i < n; i++) {
        double di = direction != NULL ? direction[i] : 1;
        *mean += di * t->mean[k * n + i];
        for (int j = 0; j < n; j++)
            variance += di * t->cov[(k * n + i) * n + j] * (direction != NULL ? direction[j] : 1);
    }
    *sd = sqrt(fmax(variance, 0));
}

/* Adds part k to the table: within its reach by formula, above it F is its whole weight and G grows like x - mean. */
static void add_part(ebb_line *l, double weight, double mean, double sd)
{
    int from = (int)fmax(0, floor((mean - REACH * sd - l->lo) / l->step));
    for (int i = from; i < l->points; i++) {
        double x = l->lo + i * l->step, z = (x - mean) / sd, below = 1, density = 0;
        if (z < REACH) {
            below = 0.5 * erfc(-z / sqrt(2));
            density = exp(-0.5 * z * z) / sqrt(2 * PI);
        }
        l->density[i] += weight * density / sd;
        l->below[i] += weight * below;
        l->integral[i] += weight * sd * (z * below + density);
    }
}

ebb_status ebb_line_create(ebb_context *ctx, const ebb_target *law, const double *direction, ebb_line *out)
{
    double lo = INFINITY, hi = -INFINITY, least = INFINITY, mean, sd;
    *out = (ebb_line){0};
    for (int k = 0; k < law->parts; k++) {
        part_along(law, k, direction, &mean, &sd);
        lo = fmin(lo, mean - REACH * sd);
        hi = fmax(hi, mean + REACH * sd);
        least = fmin(least, sd);
        out->mean += law->weight[k] * mean;
        out->square += law->weight[k] * (mean * mean + sd * sd);
    }
    if (!(least > 1e-9 * (hi - lo)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "distance to a law with a part of no width: %g within %g", least, hi - lo);
    out->points = (int)fmin(POINTS_MAX, ceil((hi - lo) / least * FINE) + 1);
    out->lo = lo;
    out->step = (hi - lo) / (out->points - 1);
    EBB_TRY(ebb_alloc(ctx, (void **)&out->density, 3 * (size_t)out->points, sizeof(double), "a law on a line"));
    out->below = out->density + out->points;
    out->integral = out->below + out->points;
    for (int k = 0; k < law->parts; k++) {
        part_along(law, k, direction, &mean, &sd);
        add_part(out, law->weight[k], mean, sd);
    }
    return EBB_OK;
}

void ebb_line_free(ebb_line *l)
{
    ebb_free(l->density);
    *l = (ebb_line){0};
}

/* ---- asking ------------------------------------------------------------------------------------------------------------- */

/* The cubic through a, b with slopes da, db a step apart, at the share u of the way. */
static double cubic(double a, double b, double da, double db, double step, double u)
{
    double v = 1 - u;
    return a * v * v * (1 + 2 * u) + b * u * u * (3 - 2 * u) + step * u * v * (da * v - db * u);
}

double ebb_line_below(const ebb_line *l, double x)
{
    double at = (x - l->lo) / l->step;
    if (!(at > 0))
        return 0;
    if (at >= l->points - 1)
        return 1;
    int i = (int)at;
    return cubic(l->below[i], l->below[i + 1], l->density[i], l->density[i + 1], l->step, at - i);
}

static double integral(const ebb_line *l, double x)
{
    double at = (x - l->lo) / l->step;
    if (!(at > 0))
        return 0;
    if (at >= l->points - 1)
        return x - l->mean;
    int i = (int)at;
    return cubic(l->integral[i], l->integral[i + 1], l->below[i], l->below[i + 1], l->step, at - i);
}

/* F - u at the share c of the cell from i to i + 1. */
static double miss(const ebb_line *l, int i, double c, double u)
{
    return cubic(l->below[i], l->below[i + 1], l->density[i], l->density[i + 1], l->step, c) - u;
}

/* Quantile u in that cell. F is nearly a straight line there, so that Newton's method is fast; where the density is nearly
 * nothing it may leave the cell, and halving takes over. */
static double quantile_in(const ebb_line *l, int i, double u)
{
    double a = 0, b = 1, rise = l->below[i + 1] - l->below[i], c = rise > 0 ? (u - l->below[i]) / rise : 0.5;
    for (int k = 0; k < 60 && b - a > 1e-13; k++) {
        if (!(c >= a && c <= b))
            c = (a + b) / 2;
        double off = miss(l, i, c, u), slope = l->step * ((1 - c) * l->density[i] + c * l->density[i + 1]);
        if (fabs(off) < 2e-16)
            break;
        if (off < 0)
            a = c;
        else
            b = c;
        c = k < 6 && slope > 0 ? c - off / slope : (a + b) / 2;
    }
    return l->lo + (i + fmin(fmax(c, 0), 1)) * l->step;
}

/* The same from a cell on, for ascending u. */
static double quantile_from(const ebb_line *l, int *cell, double u)
{
    while (*cell + 2 < l->points && l->below[*cell + 1] < u)
        ++*cell;
    return quantile_in(l, *cell, u);
}

double ebb_line_quantile(const ebb_line *l, double u)
{
    int a = 0, b = l->points - 1;
    while (b - a > 1) {
        int c = a + (b - a) / 2;
        if (l->below[c] < u)
            a = c;
        else
            b = c;
    }
    return quantile_in(l, a, u);
}

/* ---- Wasserstein ---------------------------------------------------------------------------------------------------------- */

double ebb_line_w2(const ebb_line *l, const double *x, const double *weight, int64_t n)
{
    double sum = l->square, before = 0, u = 0;
    int cell = 0;
    for (int64_t i = 0; i < n; i++) {
        double w = weight != NULL ? weight[i] : 1.0 / (double)n, after = l->mean;
        if (w == 0)
            continue;
        u = weight != NULL ? u + w : (double)(i + 1) / (double)n;
        if (u < 1 - 1e-14) {
            double q = quantile_from(l, &cell, u);
            after = q * u - integral(l, q);
        }
        sum += w * x[i] * x[i] - 2 * x[i] * (after - before);
        before = after;
    }
    return sqrt(fmax(sum, 0));
}

/* int_a^b |u - F|, F crossing u at q. */
static double between(const ebb_line *l, double a, double b, double u, double q)
{
    if (q > a && q < b)
        return u * (q - a) - (integral(l, q) - integral(l, a)) + (integral(l, b) - integral(l, q)) - u * (b - q);
    return fabs(u * (b - a) - (integral(l, b) - integral(l, a)));
}

double ebb_line_w1(const ebb_line *l, const double *x, const double *weight, int64_t n)
{
    /* int_x^inf (1 - F) = E (X - x)_+ = mean - x + G(x). */
    double sum = integral(l, x[0]) + l->mean - x[n - 1] + integral(l, x[n - 1]), u = 0;
    int cell = 0;
    for (int64_t i = 0; i + 1 < n; i++) {
        u = weight != NULL ? u + weight[i] : (double)(i + 1) / (double)n;
        double q = u <= 0 ? -INFINITY : u >= 1 ? INFINITY : quantile_from(l, &cell, u);
        sum += between(l, x[i], x[i + 1], u, q);
    }
    return sum;
}

double ebb_samples_wasserstein(const double *x, int64_t n, const double *y, int64_t m, int power)
{
    double sum = 0, u = 0;
    for (int64_t i = 0, j = 0; i < n && j < m;) {
        double next_x = (double)(i + 1) / (double)n, next_y = (double)(j + 1) / (double)m, next = fmin(next_x, next_y);
        sum += (next - u) * pow(fabs(x[i] - y[j]), power);
        u = next;
        i += next_x <= next;
        j += next_y <= next;
    }
    return power == 2 ? sqrt(sum) : sum;
}

double ebb_targets_tv(const ebb_target *a, const ebb_target *b, double lo, double hi, int points)
{
    double sum = 0, step = (hi - lo) / (points - 1), p, q;
    for (int i = 0; i < points; i++) {
        double x = lo + i * step;
        ebb_target_at(a, &x, 1, 0, &p, NULL, NULL, NULL);
        ebb_target_at(b, &x, 1, 0, &q, NULL, NULL, NULL);
        sum += (i == 0 || i == points - 1 ? 0.5 : 1) * fabs(exp(p) - exp(q));
    }
    return 0.5 * step * sum;
}
