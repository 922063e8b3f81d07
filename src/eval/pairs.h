/* pairs.h: distances between two samples that are means over pairs of points.
 *
 *   energy  2 E|x-y| - E|x-x'| - E|y-y'|                            (Szekely & Rizzo 2004; not its root)
 *   mmd     E k(x,x') + E k(y,y') - 2 E k(x,y), k = (x.y/dim + 1)^3  (Binkowski et al. 2018: kernel inception distance)
 * Unbiased: x' and y' are other points than x and y, so that it may be negative; else (V-statistic) all pairs count.
 */
#ifndef EBB_PAIRS_H
#define EBB_PAIRS_H

#include "base/base.h"

typedef enum ebb_pair_kind { EBB_PAIR_ENERGY, EBB_PAIR_MMD } ebb_pair_kind;

/* What resampling x needs: x's own pairs, the mean over y for each x, and y's own mean. */
typedef struct ebb_pairs {
    ebb_pair_kind kind;
    bool unbiased;
    int64_t n;
    double *inner, *cross;       /* (n,n), (n); one allocation */
    double other;
} ebb_pairs;
ebb_status ebb_pairs_create(ebb_context *ctx, ebb_pair_kind kind, bool unbiased, int dim, const double *x, int64_t n,
                            const double *y, int64_t m, ebb_pairs *out);
void ebb_pairs_free(ebb_pairs *p);
/* weight (n) of the points of x, of any sum; NULL: all alike. */
double ebb_pairs_value(const ebb_pairs *p, const double *weight);

/* Wasserstein-2 distance between two samples of n points each: the best of all pairings (Kuhn 1955; shortest augmenting
 * paths, Jonker & Volgenant 1987), exactly. n at most EBB_ASSIGN_MAX. partner (n): of each x; NULL: not wanted. */
#define EBB_ASSIGN_MAX 2000
ebb_status ebb_assignment_w2(ebb_context *ctx, int dim, const double *x, const double *y, int64_t n, int32_t *partner,
                             double *out);

#endif
