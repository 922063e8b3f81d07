/* features.h: what a classifier says of pictures: the features that its classes are linear in, and the probabilities of the
 * classes, at the least noise that it knows and with none in the picture.
 */
#ifndef EBB_FEATURES_H
#define EBB_FEATURES_H

#include "model/model.h"
#include "model/report.h"

/* A network whose plan has these outputs at `shard` rows, 0 logits and 1 features, ready to be run. */
typedef struct ebb_features {
    ebb_context *ctx;
    const ebb_model *model;      /* a classifier of pictures; must outlive this */
    ebb_plan *plan;
    ebb_eval_way way;            /* of `most` pictures */
    int64_t most, numbers;
    int dim, classes;
    double *room;                /* of each worker (shard, numbers) */
    ebb_level *level;            /* (shard) */
} ebb_features;
/* For pictures by the hundred: at most `most` at a time. */
ebb_status ebb_features_create(ebb_context *ctx, const ebb_model *model, int64_t most, ebb_features *out);
void ebb_features_free(ebb_features *f);
/* Of pictures (n, numbers) in [-1,1], n at most `most`: feature (n,dim), probability (n,classes) by softmax in double. Does not
 * depend on threads, nor a picture on the others. EBB_E_NUMERIC: a picture or what is said of it is not finite. */
ebb_status ebb_features_read(ebb_features *f, const float *pictures, int64_t n, double *feature, double *probability);

#endif
