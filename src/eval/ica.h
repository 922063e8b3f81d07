/* ica.h: independent component analysis: directions in which data are least like a normal law.
 *
 * x = mean + A s, where the sources s are independent and not normal. Whitening first: z = K (x - mean) has covariance 1, so
 * that only a rotation W is left to find, s = W z. FastICA (Hyvarinen 1999) finds its rows as fixed points of
 *   w <- E[z g(w.z)] - E[g'(w.z)] w,    g = tanh, the derivative of log cosh,
 * all at once, made orthonormal after each step by W <- (W W^T)^(-1/2) W, so that none comes first.
 */
#ifndef EBB_ICA_H
#define EBB_ICA_H

#include "base/base.h"

typedef struct ebb_ica {
    int64_t n;
    int dim, parts;              /* numbers of a sample; components */
    double *mean;                /* (dim) */
    double *whiten;              /* (parts, dim) K */
    double *unmix;               /* (parts, parts) W, orthonormal */
    double *mix;                 /* (dim, parts) A: column k is the pattern of source k of variance 1 */
    double *white;               /* (parts, n) z; one allocation with all of these */
    double *source;              /* (parts, n) s */
    int steps;                   /* taken */
    double change;               /* of W in the last one: 1 - the least |w.w_before| */
} ebb_ica;

/* Of x (n,dim) in its `parts` directions of most variance. Stops when change < tolerance, or after `steps`: what it says then
 * is for the caller to judge. Does not depend on threads. EBB_E_ARGUMENT: parts beyond dim or n - 1, or the data have no
 * variance in so many directions. */
typedef struct ebb_ica_options { int parts, steps; double tolerance; uint64_t seed; } ebb_ica_options;
ebb_status ebb_ica_create(ebb_context *ctx, const float *x, int64_t n, int dim, const ebb_ica_options *options, ebb_ica *out);
void ebb_ica_free(ebb_ica *ica);

/* Largest |a_ij - 1_ij| of the covariance of z, and of W W^T. */
double ebb_ica_whiteness(const ebb_ica *ica);
double ebb_ica_orthonormality(const ebb_ica *ica);
/* Excess kurtosis E s^4/(E s^2)^2 - 3 of n numbers around their mean: 0 of a normal law. */
double ebb_kurtosis(const double *s, int64_t n);
/* How far p (n,n), estimated unmixing times true mixing, is from a permutation with any scales: 0 none .. 1 (Amari et al. 1996). */
double ebb_amari_index(const double *p, int n);

#endif
