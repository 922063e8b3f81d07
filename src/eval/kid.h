/* kid.h: kernel inception distance: the squared maximum mean discrepancy by the kernel k(x,y) = (x.y/dim + 1)^3 (Binkowski et al.
 * 2018, eq. 4), without bias, so that it may be below 0 and does not depend on how many samples there are:
 *
 *   mean over i /= j of k(x_i,x_j) + mean over i /= j of k(y_i,y_j) - 2 mean of k(x_i,y_j).
 *
 * All pairs count; the usual mean over subsets of 1,000 estimates the same with more noise.
 */
#ifndef EBB_KID_H
#define EBB_KID_H

#include "eval/resample.h"

/* Mean of k over pairs of different rows of y (m,dim), m at least 2. */
ebb_status ebb_kid_own(ebb_context *ctx, const double *y, int64_t m, int dim, double *out);
/* Of x (n,dim) beside y (m,dim), whose own mean is known; the interval is of x drawn anew. */
ebb_status ebb_kid_measure(ebb_context *ctx, const double *x, int64_t n, const double *y, int64_t m, int dim, double own, int resamples,
                           ebb_measure *out);

#endif
