/* distances.h: how far samples are from a law that is known: every distance of distances.def, each with its noise floor and
 * an interval.
 *
 * Noise floor: the same distance of as many true points of the law: what no sampler can fall below on average. Interval: 90%
 * of resampled distances (Efron 1979), moved so that their mean is the distance itself, since resampling adds noise of its
 * own.
 */
#ifndef EBB_DISTANCES_H
#define EBB_DISTANCES_H

#include "eval/cells.h"
#include "eval/gaussians.h"
#include "eval/pairs.h"
#include "eval/resample.h"

#define EBB_JUDGE_DIRECTIONS 64
#define EBB_JUDGE_PAIRED 800     /* points of the best pairing at most */
#define EBB_JUDGE_PAIRS 1500     /* points of means over pairs */

typedef enum ebb_distance {
#define DISTANCE(id, name, function, least, most, help) EBB_DISTANCE_##id,
#include "eval/distances.def"
#undef DISTANCE
    EBB_DISTANCES
} ebb_distance;
const char *ebb_distance_name(ebb_distance d);
const char *ebb_distance_help(ebb_distance d);
/* Whether it is told of laws of that dimension. */
bool ebb_distance_fits(ebb_distance d, int dim);

/* What is known of a law, made once for all samples that are judged by it. The law must outlive it. */
typedef struct ebb_judge {
    const ebb_target *law;
    int directions;              /* 1 on a line */
    double *direction;           /* (directions, dim) of length 1: even in the plane, random but fixed beyond */
    ebb_line *line;              /* (directions) */
    ebb_cells cells;             /* of one or two dimensions */
    double *real;                /* (EBB_JUDGE_PAIRS, dim) true points that pairs are made with */
    int64_t paired;              /* points of the best pairing; may be set to less, 0: it is not told */
    double mean[EBB_TARGET_DIM_MAX], *cov;
} ebb_judge;
ebb_status ebb_judge_create(ebb_context *ctx, const ebb_target *law, ebb_judge *out);
void ebb_judge_free(ebb_judge *j);

/* x (n,dim) -> result (EBB_DISTANCES), NaN where a distance is not told: of another dimension, too few samples (2), no interval
 * of it; resamples 0: no intervals. A result does not depend on threads. samples that are not
 * finite: EBB_E_NUMERIC. */
ebb_status ebb_judge_measure(ebb_context *ctx, const ebb_judge *j, const double *x, int64_t n, int resamples,
                             ebb_measure *result);
/* floor (EBB_DISTANCES) of n samples: as measured of true points. */
ebb_status ebb_judge_floor(ebb_context *ctx, const ebb_judge *j, int64_t n, double *floor);

/* ---- shares of modes (modes.c) ----------------------------------------------------------------------------------------- */
/* Each sample counts for each part as much as it is likely to be of it, so that true samples have the weights themselves as
 * mean. share, error (parts): mean and its standard error. class_share (classes) or NULL: the same by class. */
ebb_status ebb_mode_shares(ebb_context *ctx, const ebb_target *law, const double *x, int64_t n, double *share, double *error,
                           double *class_share);
/* Pearson's statistic n sum (share - expected)^2/expected over those with expected > 0, and the chance of more with
 * (those - 1) degrees of freedom; where modes overlap shares vary less than counts, and the chance is too large. A share
 * where none is expected makes it infinite. */
typedef struct ebb_chi_square { double value, chance; int freedom; } ebb_chi_square;
/* Of more than `value` with so many degrees of freedom. */
double ebb_chi_square_chance(double value, int freedom);
ebb_chi_square ebb_shares_test(const double *share, const double *expected, int count, int64_t n);

#endif
