/* model.h: a network with weights to sample from, and its file.
 */
#ifndef EBB_MODEL_H
#define EBB_MODEL_H

#include "model/params.h"
#include "model/recipe.h"

struct ebb_model {
    ebb_context *ctx;
    ebb_recipe *recipe;          /* complete */
    ebb_network net;
    ebb_process process;
    ebb_params params;
    const float *weights;        /* (params.length) */
    float *owned;                /* the same, when the model is to free it */
    int64_t step;                /* of the training they are from */
    double ema_width;            /* of a power function whose average they are; 0: another average */
};

/* All but the weights, from a complete recipe, which is copied. */
ebb_status ebb_model_create(ebb_context *ctx, const ebb_recipe *recipe, ebb_model **out);
/* EBB_E_ARGUMENT where it is a classifier, of which there are no samples. */
ebb_status ebb_model_denoises(ebb_context *ctx, const ebb_model *model);
/* EBB_E_ARGUMENT where it must be told a class: its table has no row for none. */
ebb_status ebb_model_classless(ebb_context *ctx, const ebb_model *model);
/* The recipe in the metadata of a file of ebb. kind: "model" or "checkpoint"; any other is an error. */
ebb_status ebb_model_recipe(ebb_context *ctx, const ebb_safetensors *st, const char *kind, ebb_recipe **out);
/* The "ebb.step" of a file. */
ebb_status ebb_model_step(ebb_context *ctx, const ebb_safetensors *st, int64_t *out);
/* Metadata that every file of ebb carries. */
ebb_status ebb_model_metadata(ebb_context *ctx, const ebb_recipe *recipe, const char *kind, int64_t step,
                              json_t **out);
/* A model.safetensors; what else may hold a model, ebb_model_load knows (load.c). */
ebb_status ebb_model_read(ebb_context *ctx, const char *path, ebb_model **out);
/* model.safetensors: the model's weights. stage: params.length floats of scratch. */
ebb_status ebb_model_save(ebb_model *model, const char *path, float *stage);
/* Bytes that saving `arrays` blocks allocates at most, beside the stage. */
size_t ebb_model_save_bytes(const ebb_params *params, int arrays);

#endif
