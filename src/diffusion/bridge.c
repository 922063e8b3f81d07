/* bridge.c: the bridge between normal laws, and Sinkhorn's iteration by log-sum-exp.
 */
#include "diffusion/bridge.h"

#include <math.h>

double ebb_bridge_covariance(ebb_normal start, ebb_normal end, double sigma)
{
    double s2 = sigma * sigma, product = 4 * start.var * end.var;
    /* (sqrt(p + s^4) - s^2)/2 without cancellation. */
    return product > 0 ? 0.5 * product / (sqrt(product + s2 * s2) + s2) : 0;
}

ebb_normal ebb_bridge_at(ebb_normal start, ebb_normal end, double sigma, double t)
{
    double c = ebb_bridge_covariance(start, end, sigma), u = 1 - t;
    return (ebb_normal){u * start.mean + t * end.mean,
                        u * u * start.var + t * t * end.var + 2 * t * u * c + sigma * sigma * t * u};
}

double ebb_bridge_drift(ebb_normal start, ebb_normal end, double sigma, double t, double x)
{
    ebb_normal now = ebb_bridge_at(start, end, sigma, t);
    double with_end = (1 - t) * ebb_bridge_covariance(start, end, sigma) + t * end.var;
    double expected = end.mean + with_end / now.var * (x - now.mean);
    return (expected - x) / (1 - t);
}

/* ---- Sinkhorn -------------------------------------------------------------------------------------------------------- */

/* eps log sum_j exp((other_j - cost_ij)/eps) over a row (step 1), or a column (step m). */
static double soft(const ebb_sinkhorn *s, const double *cost, int count, int step, const double *other)
{
    double top = -INFINITY, sum = 0;
    for (int j = 0; j < count; j++)
        top = fmax(top, other[j] - cost[j * step]);
    for (int j = 0; j < count; j++)
        sum += exp((other[j] - cost[j * step] - top) / s->eps);
    return top + s->eps * log(sum);
}

void ebb_sinkhorn_rows(ebb_sinkhorn *s)
{
    for (int i = 0; i < s->n; i++)
        s->f[i] = s->eps * log(s->a[i]) - soft(s, s->cost + i * s->m, s->m, 1, s->g);
}

void ebb_sinkhorn_columns(ebb_sinkhorn *s)
{
    for (int j = 0; j < s->m; j++)
        s->g[j] = s->eps * log(s->b[j]) - soft(s, s->cost + j, s->n, s->m, s->f);
}

double ebb_sinkhorn_plan(const ebb_sinkhorn *s, double *plan)
{
    double error = 0;
    for (int i = 0; i < s->n; i++) {
        double sum = 0;
        for (int j = 0; j < s->m; j++) {
            double p = exp((s->f[i] + s->g[j] - s->cost[i * s->m + j]) / s->eps);
            sum += p;
            if (plan != NULL)
                plan[i * s->m + j] = p;
        }
        error += fabs(sum - s->a[i]);
    }
    return error;
}
