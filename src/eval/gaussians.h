/* gaussians.h: distances between normal laws in any dimension, closed forms; and moments of samples.
 */
#ifndef EBB_GAUSSIANS_H
#define EBB_GAUSSIANS_H

#include "diffusion/target.h"

/* Wasserstein-2 distance: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2) is its square, the Frechet distance of Heusel
 * et al. 2017. mean (dim), cov (dim,dim), dim at most EBB_TARGET_DIM_MAX. */
double ebb_gaussians_w2(int dim, const double *mean1, const double *cov1, const double *mean2, const double *cov2);
/* KL(1 || 2) in nats; infinite where 2 has no width and 1 has. */
double ebb_gaussians_kl(int dim, const double *mean1, const double *cov1, const double *mean2, const double *cov2);
/* Of samples x (n,dim) of weights (n) that sum to 1 (NULL: all alike); cov is the mean product, not divided by n - 1. */
void ebb_samples_moments(const double *x, const double *weight, int64_t n, int dim, double *mean, double *cov);

#endif
