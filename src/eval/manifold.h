/* manifold.h: do samples lie where data do, and data where samples do: shares of points within balls around others.
 *
 * A set's manifold is the union of balls around its points, each reaching to the point's k-th neighbour among the others.
 *   precision  share of samples within the data's manifold, k = 3       (Kynkaanniemi et al. 2019)
 *   recall     share of data within the samples' manifold, k = 3
 *   density    mean number of the data's balls that a sample lies in, over k = 5: above 1 where samples are crowded; one outlier
 *              with its wide ball counts little                           (Naeem et al. 2020)
 *   coverage   share of data whose ball, k = 5, holds a sample
 * A point on a ball's rim is within. Recall depends on how many samples there are: compare at equal n.
 */
#ifndef EBB_MANIFOLD_H
#define EBB_MANIFOLD_H

#include "eval/resample.h"

enum { EBB_MANIFOLD_K = 3, EBB_DENSITY_K = 5, EBB_MANIFOLD_LEAST = EBB_DENSITY_K + 1 };

/* Squares of the distances of each row of x (n,dim), n >= EBB_MANIFOLD_LEAST, to its neighbours 1..EBB_DENSITY_K among the
 * others: reach (n, EBB_DENSITY_K). */
ebb_status ebb_manifold_reach(ebb_context *ctx, const double *x, int64_t n, int dim, double *reach);

typedef struct ebb_manifold_measures { ebb_measure precision, recall, density, coverage; } ebb_manifold_measures;
/* Of made (n,dim) beside real (m,dim) with its reach. Intervals: samples drawn anew for precision and density, data for recall
 * and coverage, which are means over those; balls stay as they are, since copies of a point would have none. */
ebb_status ebb_manifold_measure(ebb_context *ctx, const double *made, int64_t n, const double *real, int64_t m, int dim,
                                const double *reach, int resamples, ebb_manifold_measures *out);

#endif
