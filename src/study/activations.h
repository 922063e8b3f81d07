/* activations.h: what a network computes on given inputs, module by module, and named numbers to hold that against.
 */
#ifndef EBB_ACTIVATIONS_H
#define EBB_ACTIVATIONS_H

#include "model/model.h"

/* Numbers under a name; of rank 4 as PyTorch lays them out, (N,C,H,W). */
typedef struct ebb_named {
    char name[EBB_PARAM_NAME_MAX];
    ebb_shape shape;
    float *data;                 /* owned */
} ebb_named;
typedef struct ebb_named_list {
    ebb_named *at; int32_t count, capacity;
    double tolerance;            /* that a file told; 0: none */
} ebb_named_list;
/* A place of that name and shape, zeros. NULL on failure. */
ebb_named *ebb_named_add(ebb_context *ctx, ebb_named_list *list, const char *name, ebb_shape shape);
const ebb_named *ebb_named_find(const ebb_named_list *list, const char *name);
void ebb_named_free(ebb_named_list *list);

/* reference.c: a JSON file {input, timesteps, class_labels, output, activations: {name: ...}}, a safetensors file of such names, or
 * a folder of NAME.npy. Missing inputs are errors. */
ebb_status ebb_reference_read(ebb_context *ctx, const char *path, ebb_named_list *out);

/* activations.c: from `in` ("input" (N,C,H,W) or (N,D), "timesteps" (N), with classes "class_labels" (N)) every module's result in
 * the order of computation, under diffusers' names, and "output" last: F, and behind it learned variances. */
ebb_status ebb_activations(ebb_context *ctx, const ebb_model *model, const ebb_named_list *in, const ebb_plan_options *options,
                           ebb_named_list *out);

#endif
