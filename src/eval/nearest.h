/* nearest.h: nearest neighbours, exactly, and whether generated samples are copies of training data.
 *
 * Distance is L2 over all numbers of a sample. A generator that has learned its training data by heart makes samples nearer to
 * them than they are to each other: the distance below which 5% of the training data have a neighbour among the others is
 * what generated samples are held against, with data that were not trained on beside, of which about as many lie below.
 */
#ifndef EBB_NEAREST_H
#define EBB_NEAREST_H

#include "base/base.h"

/* The k nearest of y (m,dim) to each row of x (n,dim): index (n,k) and distance (n,k), nearest first; of equal distances the
 * lower index first. self: x is y, and a point is not its own neighbour. index may be NULL. 1 <= k <= m - self; else
 * EBB_E_ARGUMENT. Does not depend on threads. */
#define EBB_NEAREST_MOST 64
ebb_status ebb_nearest(ebb_context *ctx, const float *x, int64_t n, const float *y, int64_t m, int64_t dim, int k, bool self,
                       int32_t *index, double *distance);

/* The share of points (n,dim) that lie within the manifold of others (m,dim): at most as far from some of them as that one's
 * k-th neighbour among them (Kynkaanniemi et al. 2019). Of made points within real ones: precision; the other way: recall. */
ebb_status ebb_manifold_share(ebb_context *ctx, const float *points, int64_t n, const float *of, int64_t m, int64_t dim, int k,
                              double *share);

/* The share u of the values (n) lies below it: linear between them, as NumPy's quantile. Sorts them. */
double ebb_quantile(double *values, int64_t n, double u);

/* Distances to the nearest of the training data. */
typedef struct ebb_memorised {
    double threshold;            /* of training data among themselves: quantile 0.05 */
    double below, below_fresh;   /* shares of generated and of fresh data under it */
    double least, least_train;   /* least distances: of generated, and of training data among themselves */
    double median, median_fresh;
} ebb_memorised;
/* made (n,dim), fresh (f,dim), train (m,dim), of which the first `probed` are looked up among all of them. distance (n) and
 * index (n) of generated samples: may be NULL. */
typedef struct ebb_memory_test {
    const float *made, *fresh, *train;
    int64_t n, f, m, probed, dim;
    int32_t *index;
    double *distance;
} ebb_memory_test;
ebb_status ebb_memorised_test(ebb_context *ctx, const ebb_memory_test *test, ebb_memorised *out);

#endif
