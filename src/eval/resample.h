/* resample.h: how sure a number is that was computed from n samples: the bootstrap (Efron 1979), as other weights of the same
 * samples.
 *
 * Samples are drawn anew in groups, sample i in group i mod EBB_RESAMPLE_GROUPS: each alone where there are no more than that.
 * Groups of independent samples are independent themselves, so that intervals stay what they are, and sums over pairs of
 * samples need to be kept by pairs of groups only. Pictures of classes in turn are alike in all groups, as they are in fact.
 */
#ifndef EBB_RESAMPLE_H
#define EBB_RESAMPLE_H

#include "base/base.h"

#define EBB_RESAMPLE_GROUPS 256
#define EBB_RESAMPLE_LEAST 10    /* rounds of an interval */

/* NaN where a number is not told: too few samples, no interval of it. */
typedef struct ebb_measure { double value, low, high; } ebb_measure;

/* As many groups as n samples have. */
int ebb_resample_groups(int64_t n);
/* How often each group is drawn in a round (1, 2, ...); `set` tells apart sets that are drawn anew independently. */
void ebb_resample_counts(int64_t round, int set, int groups, double *count);
/* 90% of the found (resamples, sorted by this), moved so that their mean is the value, since drawing anew adds noise of its
 * own. */
ebb_measure ebb_resample_interval(double value, double *found, int resamples);

/* Value and interval of a function of weighted samples: of(self, count (groups), room) with room for `room` numbers that is the
 * call's own; count NULL: each once. It must neither fail nor write what others read. Does not depend on threads. */
typedef double (*ebb_resampled)(const void *self, const double *count, double *room);
ebb_status ebb_resample_measure(ebb_context *ctx, int64_t n, int set, int resamples, size_t room, ebb_resampled of, const void *self,
                        ebb_measure *out);
/* The same of the mean of n numbers, one a sample. */
ebb_status ebb_resample_mean(ebb_context *ctx, const double *at, int64_t n, int set, int resamples, ebb_measure *out);

#endif
