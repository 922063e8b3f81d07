/* sliced.h: sliced Wasserstein distance between sets of pictures, by their pixels alone: the root of the mean square of the
 * Wasserstein-2 distance of their projections on 64 directions, random but always the same (Rabin et al. 2012; Bonneel et
 * al. 2015). No classifier is asked, so that it sees what classifiers do not, and little of what people see.
 */
#ifndef EBB_SLICED_H
#define EBB_SLICED_H

#include "eval/resample.h"

enum { EBB_SLICES = 64 };

typedef struct ebb_sliced {
    int64_t m, numbers;
    float *direction;            /* (numbers, EBB_SLICES), columns of length 1 */
    double *along;               /* (EBB_SLICES, m), each ascending */
} ebb_sliced;
/* Of y (m,numbers). */
ebb_status ebb_sliced_create(ebb_context *ctx, const float *y, int64_t m, int64_t numbers, ebb_sliced *out);
void ebb_sliced_free(ebb_sliced *s);
/* Of x (n,numbers), which is drawn anew for the interval. */
ebb_status ebb_sliced_measure(ebb_context *ctx, const ebb_sliced *s, const float *x, int64_t n, int resamples, ebb_measure *out);

#endif
