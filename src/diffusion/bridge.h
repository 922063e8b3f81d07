/* bridge.h: Schroedinger bridges whose solution is known, and Sinkhorn's iteration, which is iterative proportional fitting.
 *
 * The bridge is the law of paths nearest to Brownian motion sigma W on [0,1] among those that start in one law and end in
 * another (Schroedinger 1931). Its pair of ends solves entropic optimal transport of cost |x-y|^2/2 and eps = sigma^2, and
 * between them run Brownian bridges.
 */
#ifndef EBB_BRIDGE_H
#define EBB_BRIDGE_H

#include "diffusion/gaussian.h"

/* Between normal laws on a line: the pair of ends is normal of covariance
 *   C = (sqrt(4 s0^2 s1^2 + sigma^4) - sigma^2)/2                (Janati et al. 2020; Bunne et al. 2022). */
double ebb_bridge_covariance(ebb_normal start, ebb_normal end, double sigma);
/* At t of [0,1]: mean (1-t) m0 + t m1, variance (1-t)^2 s0^2 + t^2 s1^2 + 2 t (1-t) C + sigma^2 t (1-t). */
ebb_normal ebb_bridge_at(ebb_normal start, ebb_normal end, double sigma, double t);
/* Its drift at (x,t), t < 1: dx = drift dt + sigma dw from the start reaches the end. Linear, from
 * E[x_1|x_t] (Follmer's): (E[x_1|x_t] - x)/(1-t). */
double ebb_bridge_drift(ebb_normal start, ebb_normal end, double sigma, double t, double x);

/* Entropic transport between weights a (n) and b (m) > 0 at cost (n,m): plan = exp((f_i + g_j - cost_ij)/eps), potentials f (n)
 * and g (m), which start at 0. In logarithms, so that small eps does not underflow. */
typedef struct ebb_sinkhorn {
    int n, m;
    const double *a, *b, *cost;
    double eps;
    double *f, *g;
} ebb_sinkhorn;
/* f, then g: the halves of an iteration of proportional fitting; after them rows, or columns, sum to a, or b. */
void ebb_sinkhorn_rows(ebb_sinkhorn *s);
void ebb_sinkhorn_columns(ebb_sinkhorn *s);
/* plan (n,m) or NULL; sum_i |row sum - a_i|. */
double ebb_sinkhorn_plan(const ebb_sinkhorn *s, double *plan);

#endif
