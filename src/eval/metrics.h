/* metrics.h: how good made pictures are: what data are like, found out once, and every metric of metrics.def of pictures beside
 * them.
 *
 *     ebb_reference_create(ctx, &data, &reference);
 *     ebb_reference_judge(ctx, &reference, &made, 40, found);     any number of times; the floor is that of other data
 *
 * Every number depends on features: compare those of one network only, at equal numbers of pictures.
 */
#ifndef EBB_METRICS_H
#define EBB_METRICS_H

#include "eval/classes.h"
#include "eval/frechet.h"
#include "eval/kid.h"
#include "eval/manifold.h"
#include "eval/sliced.h"

typedef enum ebb_metric {
#define METRIC(id, name, needs, better, source, help) EBB_METRIC_##id,
#include "eval/metrics.def"
#undef METRIC
    EBB_METRICS
} ebb_metric;
typedef enum ebb_metric_needs { EBB_NEEDS_FEATURES, EBB_NEEDS_CLASSES, EBB_NEEDS_PIXELS, EBB_NEEDS_DATA, EBB_NEEDS_MODEL } ebb_metric_needs;
const char *ebb_metric_name(ebb_metric m);
const char *ebb_metric_help(ebb_metric m);
const char *ebb_metric_source(ebb_metric m);
const char *ebb_metric_better(ebb_metric m);     /* "lower", "higher", "near" (its floor) */
ebb_metric_needs ebb_metric_needs_of(ebb_metric m);

/* Pictures and what a network says of them. */
typedef struct ebb_picture_set {
    int64_t n, numbers;
    const float *pixels;         /* (n, numbers); NULL: no metric of pixels */
    int dim, classes;            /* 0: no metric of features, of classes */
    const double *feature;       /* (n, dim) */
    const double *probability;   /* (n, classes) */
} ebb_picture_set;

typedef struct ebb_reference {
    ebb_picture_set data;
    ebb_moments moments;
    double own;                  /* kernel mean of KID */
    double *reach;               /* of manifolds */
    double *count;               /* (classes) */
    ebb_sliced sliced;
} ebb_reference;
/* The arrays of data must outlive it; at least EBB_MANIFOLD_LEAST pictures. */
ebb_status ebb_reference_create(ebb_context *ctx, const ebb_picture_set *data, ebb_reference *out);
void ebb_reference_free(ebb_reference *r);
/* found (EBB_METRICS): NaN of what is not told, as of what needs DATA or the MODEL. resamples 0: no intervals. At least EBB_MANIFOLD_LEAST pictures, of the same
 * network and size as the reference: EBB_E_ARGUMENT, EBB_E_SHAPE. Does not depend on threads. */
ebb_status ebb_reference_judge(ebb_context *ctx, const ebb_reference *r, const ebb_picture_set *made, int resamples, ebb_measure *found);

#endif
