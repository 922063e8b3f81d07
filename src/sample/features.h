/* features.h: what a classifier says of pictures: the features that its classes are linear in, and the probabilities of the
 * classes. A classifier of ours reads them at the least noise that it knows, with none in the picture; Inception-v3 (nn/inception.c)
 * at 299 x 299.
 */
#ifndef EBB_FEATURES_H
#define EBB_FEATURES_H

#include "model/model.h"
#include "model/report.h"

/* A network whose plan has these outputs at `shard` rows, 0 logits and 1 features, ready to be run. */
typedef struct ebb_features {
    ebb_context *ctx;
    const ebb_model *model;      /* a classifier of pictures, must outlive this; NULL: Inception-v3 */
    ebb_plan *plan;
    ebb_eval_way way;            /* of `most` pictures */
    int64_t most, numbers;
    int dim, classes;
    double *room;                /* of each worker (shard, numbers) */
    ebb_level *level;            /* (shard) */
    int shape[3];                /* Inception-v3: height, width, channels of pictures; its parameters */
    ebb_params params;
    float *weights;
} ebb_features;
/* For pictures by the hundred: at most `most` at a time. */
ebb_status ebb_features_create(ebb_context *ctx, const ebb_model *model, int64_t most, ebb_features *out);
/* Inception-v3 with weights of a file (safetensors under torchvision's names, f32, fc of 1008), for pictures (height, width,
 * channels 1 or 3): grey ones three times, resized bilinearly with half-pixel centres and no filter. EBB_E_FORMAT: a tensor is
 * missing or of another shape. */
ebb_status ebb_features_create_inception(ebb_context *ctx, const char *path, const int shape[3], int64_t most, ebb_features *out);
void ebb_features_free(ebb_features *f);
/* Of pictures (n, numbers) in [-1,1], n at most `most`: feature (n,dim), probability (n,classes) by softmax in double. Does not
 * depend on threads, nor a picture on the others. EBB_E_NUMERIC: a picture or what is said of it is not finite. */
ebb_status ebb_features_read(ebb_features *f, const float *pictures, int64_t n, double *feature, double *probability);

#endif
