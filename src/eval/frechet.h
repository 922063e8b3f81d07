/* frechet.h: the Frechet distance between two sets of features, as if both were normal laws (Heusel et al. 2017, eq. 6):
 *
 *   |m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2),   C divided by n - 1.
 *
 * The trace of the root is the sum of the roots of eigenvalues, those below 0 by rounding taken as 0: singular covariances,
 * of no more samples than features, need no eps on the diagonal. But with n of the order of dim or below the distance is far
 * too large even between samples of one law (it falls as 1/n: Chong & Forsyth 2020): compare only at equal n, and beside the
 * floor.
 */
#ifndef EBB_FRECHET_H
#define EBB_FRECHET_H

#include "eval/resample.h"

typedef struct ebb_moments {
    int64_t n;
    int dim;
    double *mean, *cov;          /* (dim), (dim,dim); one allocation with root */
    double *root;                /* (dim,dim) of the covariance, where it was asked for; else NULL */
} ebb_moments;
/* Of x (n,dim), n at least 2. */
ebb_status ebb_moments_create(ebb_context *ctx, const double *x, int64_t n, int dim, bool root, ebb_moments *out);
void ebb_moments_free(ebb_moments *m);
/* b has its root. The squared Wasserstein-2 distance of the normal laws: no root is taken. */
ebb_status ebb_frechet(ebb_context *ctx, const ebb_moments *a, const ebb_moments *b, double *out);

/* Samples x (n, b->dim) beside a reference, with an interval by resampling x; of more than EBB_FRECHET_MOST features there is none:
 * each round takes a matrix's eigenvalues. */
#define EBB_FRECHET_MOST 256
ebb_status ebb_frechet_measure(ebb_context *ctx, const double *x, int64_t n, const ebb_moments *b, int resamples, ebb_measure *out);

#endif
