/* exponential.h: exponential integrators in lambda = log(alpha/sigma), in either form, data (x_0) or noise (eps).
 *
 * With h = lambda' - lambda and m the model's output, expanded around lambda as m + D1 (l - lambda)/h + ...,
 *   data   x' = sigma'/sigma x + alpha' (1 - e^-h) m + alpha' (1 - (1 - e^-h)/h) D1 + ...   (Lu et al. 2022b, eq. 9)
 *   noise  x' = alpha'/alpha x - sigma' (e^h - 1) m - sigma' ((e^h - 1)/h - 1) D1 - ...     (Lu et al. 2022a, eq. 3.4)
 * dpm_solver.c and unipc.c differ in how they find the D.
 */
#ifndef EBB_EXPONENTIAL_H
#define EBB_EXPONENTIAL_H

#include "diffusion/sampler.h"

/* Weights of x, m, D1 and D2 (the second difference, over 2!). */
typedef struct ebb_exponential { double x, m, d1, d2; } ebb_exponential;
ebb_exponential ebb_exponential_step(bool data, ebb_level t, ebb_level s);

/* Whether the step from t to s must be the first-order one: from alpha 0 or to sigma 0, where lambda is infinite. */
bool ebb_exponential_first(ebb_level t, ebb_level s);
/* The model's output m (n,count) at x; where x0 is given both are predicted, for a step of ebb_walk_first from there. */
int ebb_exponential_predict(ebb_walk *w, bool data, const double *x, ebb_level at, double *m, double *other);

#endif
