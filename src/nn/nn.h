/* nn.h: functions that build networks as graphs.
 *
 * Parameter names follow diffusers' UNet2DModel, so that files exchange; parameter layouts are told to
 * the graph (ebb_layout).
 */
#ifndef EBB_NN_H
#define EBB_NN_H

#include "graph/graph.h"

/* ---- blocks (blocks.c) ------------------------------------------------------------------------ */
/* x (N,K) w (K,M): x w + b. Initialised as PyTorch's Linear: U(-1/sqrt(K), 1/sqrt(K)); gain 0: zeros. */
ebb_value ebb_nn_linear(ebb_graph *g, const char *name, ebb_value x, int64_t out, float gain);
/* Square kernel, padding that keeps the size at stride 1 ((k-1)/2), PyTorch's Conv2d initialisation. */
ebb_value ebb_nn_conv(ebb_graph *g, const char *name, ebb_value x, int64_t out, int kernel, int stride, float gain);
ebb_value ebb_nn_group_norm(ebb_graph *g, const char *name, ebb_value x, int groups, float eps);
/* t (N) f32 -> (N, dim): sin and cos of t * exp(-ln(10000) i/(half - shift)), i < half = dim/2. */
ebb_value ebb_nn_time_embedding(ebb_graph *g, ebb_value t, int64_t dim, bool flip_sin_to_cos, float shift);

/* ---- DDPM U-Net (unet.c): Ho et al. 2020, app. B, as diffusers' UNet2DModel lays it out ----------- */
#define EBB_UNET_LEVELS_MAX 8
typedef struct ebb_unet_config {
    int channels;                          /* of the picture, in and out */
    int size_h, size_w;
    int base;                              /* width of the first level */
    int levels;
    int mult[EBB_UNET_LEVELS_MAX];         /* width of level i = base * mult[i] */
    uint8_t attention[EBB_UNET_LEVELS_MAX];/* level i has attention after each residual block */
    int blocks;                            /* residual blocks a level going down (one more going up) */
    int groups;                            /* of group norm */
    float eps;                             /* of group norm */
    int classes;                           /* 0: none; else a class embedding with one more row for "no class" */
} ebb_unet_config;
/* x (N,H,W,channels), t (N) f32 timesteps, label (N) i32 in [0, classes] (classes = none) or EBB_NONE
 * -> (N,H,W,channels). Odd sizes on the way down are errors with a message. */
ebb_value ebb_nn_unet(ebb_graph *g, const ebb_unet_config *config, ebb_value x, ebb_value t, ebb_value label);

/* ---- MLP (mlp.c): time-conditioned, for 2-D targets and small vectors ------------------------------- */
typedef struct ebb_mlp_config {
    int inputs;                            /* D */
    int width, depth;                      /* hidden layers */
    int time_dim;                          /* of the time embedding */
    int classes;
} ebb_mlp_config;
/* x (N,D), t (N), label as above -> (N,D). */
ebb_value ebb_nn_mlp(ebb_graph *g, const ebb_mlp_config *config, ebb_value x, ebb_value t, ebb_value label);

#endif
