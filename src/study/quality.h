/* quality.h: how good pictures are beside a data set: its pictures halved at random (counter-based permutation of a fixed seed),
 * one half the reference; of the other up to four groups of as many as are judged are the floor, their mean; features and class
 * probabilities by a classifier of the data set that is trained once and kept (study/kept.h), pixels in [-1,1]. Pictures are bytes:
 * floats are quantised first.
 *
 *     ebb_quality_create(ctx, &options, &q);
 *     ebb_quality_judge(q, bytes, n, 40, found);         any number of times
 *
 * Or features are those of Inception-v3, whose weights somebody has. The classifier has seen nine of ten of the data, of both halves
 * alike; the tenth tells how often it is right.
 */
#ifndef EBB_QUALITY_H
#define EBB_QUALITY_H

#include "eval/metrics.h"
#include "model/model.h"
#include "study/kept.h"

/* Pairs of pictures are compared: of more data than this a part is the reference. */
#define EBB_QUALITY_REFERENCE 5000

typedef struct ebb_quality ebb_quality;
typedef struct ebb_quality_options {
    const char *dir;             /* of kept models */
    const ebb_recipe *recipe;    /* whose data section names the data set: ebb_data_recipe's */
    int64_t n;                   /* pictures that will be judged: the floor is of as many, or of all there are */
    int resamples;               /* of the floor's interval; 0: none */
    bool quick;                  /* a classifier that is trained in a moment: to see that all works, not to measure */
    ebb_status (*progress)(void *user, const char *doing, int64_t done, int64_t total);   /* as ebb_keeper's; NULL */
    void *user;
    bool no_copies;              /* the metric that looks through all data for each picture is left out: NaN */
    const char *inception;       /* weights of Inception-v3 (sample/features.h) in place of the classifier: data need no labels; NULL */
} ebb_quality_options;
/* What options point to must outlive it. EBB_E_ARGUMENT: data without labels, too few of them, or points; stopped. */
ebb_status ebb_quality_create(ebb_context *ctx, const ebb_quality_options *options, ebb_quality **out);
void ebb_quality_free(ebb_quality *q);

/* pictures (n,h,w,c) bytes in the data's shape; found (EBB_METRICS) of eval/metrics.def, NaN of what needs the MODEL. Does not
 * depend on threads. */
ebb_status ebb_quality_judge(ebb_quality *q, const uint8_t *pictures, int64_t n, int resamples, ebb_measure *found);
const ebb_measure *ebb_quality_floor(const ebb_quality *q);        /* (EBB_METRICS): means over groups of the other half of the data */
/* How n pictures of data are halved: a permutation of 0..n-1, whose first (n + 1)/2 are the half of the reference. */
void ebb_quality_split(uint32_t n, uint32_t *order);
int64_t ebb_quality_reference_count(const ebb_quality *q);
int64_t ebb_quality_floor_count(const ebb_quality *q);             /* of a group */
/* The data's: shape (height, width, channels) of a picture; share (classes) of each class, the caller's array of `classes`. */
void ebb_quality_shape(const ebb_quality *q, int shape[3]);
int ebb_quality_classes(const ebb_quality *q);     /* 0: no labels */
void ebb_quality_shares(const ebb_quality *q, double *share);
/* {data, pictures, reference, floor (counts), floor_groups, features: {network, model (its file), dim, classes; of a classifier also key (of its
 * recipe), steps, held_out, accuracy}}; NULL: no memory. */
json_t *ebb_quality_about(const ebb_quality *q);

/* ---- the classifier (quality_reader.c) ------------------------------------------------------------------------------------------ */
#define EBB_QUALITY_HELD_OUT 10  /* each so many-th picture the classifier never sees */
/* The recipe of the classifier of a data section, complete and settled. */
ebb_status ebb_quality_recipe(ebb_context *ctx, const ebb_recipe *data, int classes, bool quick, ebb_recipe **out);

#endif
