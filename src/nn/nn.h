/* nn.h: functions that build networks as graphs.
 *
 * Parameter names follow diffusers' UNet2DModel, so that files exchange; parameter layouts are told to
 * the graph (ebb_layout).
 */
#ifndef EBB_NN_H
#define EBB_NN_H

#include "graph/graph.h"

/* ---- blocks (blocks.c) ------------------------------------------------------------------------ */
/* All take EBB_NONE and give EBB_NONE then. Parameters are NAME.weight and NAME.bias under the graph's
 * scope. gain scales the start of weights and biases, U(-gain/sqrt(fan_in), gain/sqrt(fan_in)): 1 is
 * PyTorch's default for Linear and Conv2d, 0 gives zeros. */
/* x (N,K), weight (K,out): x weight + bias. */
ebb_value ebb_nn_linear(ebb_graph *g, const char *name, ebb_value x, int64_t out, float gain);
/* x (N,H,W,C), weight (kernel,kernel,C,out). Padding (kernel-1)/2 on all sides: keeps the size at stride 1,
 * gives floor((H-1)/2)+1 at stride 2, for odd kernels. */
ebb_value ebb_nn_conv(ebb_graph *g, const char *name, ebb_value x, int64_t out, int kernel, int stride,
                      float gain);
/* x (N,...,C), groups divides C; weight (C) starts at 1, bias (C) at 0. */
ebb_value ebb_nn_group_norm(ebb_graph *g, const char *name, ebb_value x, int groups, float eps);
/* The same times 1 + scale, plus shift (Dhariwal & Nichol 2021, sec. 3): modulation (N,2C) holds, a picture, the
 * scales of the channels, then their shifts. */
ebb_value ebb_nn_scale_shift_norm(ebb_graph *g, const char *name, ebb_value x, ebb_value modulation, int groups,
                                  float eps);
/* index (N) i32 in [0, rows) -> (N, width); NAME.weight (rows, width) starts standard normal, as
 * PyTorch's Embedding. */
ebb_value ebb_nn_embedding(ebb_graph *g, const char *name, ebb_value index, int64_t rows, int64_t width);
/* t (N) f32 -> (N, dim): sin and cos of t * exp(-ln(10000) i/(half - shift)), i < half = dim/2; sines
 * first unless flip_sin_to_cos. shift 1 is Ho et al.'s code. */
ebb_value ebb_nn_time_embedding(ebb_graph *g, ebb_value t, int64_t dim, bool flip_sin_to_cos, float shift);
/* t (N) f32, frequency (K) -> (N, 2K): sin, then cos of 2 pi frequency t (Tancik et al. 2020); frequencies are drawn from
 * N(0, scale^2) once and not trained, t is the logarithm of a noise level (Song et al. 2021, NCSN++; scale 16). */
ebb_value ebb_nn_fourier_embedding(ebb_graph *g, ebb_value t, ebb_value frequency);
/* What a network is told beside x: silu(L2 silu(L1 [sin, cos](t)) + class) -> (N, width), the time embedding
 * having dim numbers. With classes the table has one more row, the last: "no class". */
ebb_value ebb_nn_condition(ebb_graph *g, ebb_value t, ebb_value label, int classes, int64_t dim,
                           int64_t width);

/* ---- DDPM U-Net (unet.c): Ho et al. 2020, app. B, as diffusers' UNet2DModel lays it out ----------- */
#define EBB_UNET_LEVELS_MAX 8
typedef struct ebb_unet_config {
    int channels;                          /* of the picture, in and out */
    int outputs;                           /* channels out; 0: as many as in */
    int size_h, size_w;
    int base;                              /* width of the first level */
    int levels;
    int mult[EBB_UNET_LEVELS_MAX];         /* width of level i = base * mult[i] */
    uint8_t attention[EBB_UNET_LEVELS_MAX];/* level i has attention after each residual block */
    int blocks;                            /* residual blocks a level going down (one more going up) */
    int groups;                            /* of group norm */
    float eps;                             /* of group norm */
    int classes;                           /* 0: none; else an embedding with one more row, "no class" */
} ebb_unet_config;
/* x (N,H,W,channels), t (N) f32 timesteps, label (N) i32 in [0, classes] (classes = none) or EBB_NONE
 * -> (N,H,W,outputs). A size that cannot be halved levels-1 times is EBB_E_SHAPE: which level, what fits. */
ebb_value ebb_nn_unet(ebb_graph *g, const ebb_unet_config *config, ebb_value x, ebb_value t, ebb_value label);

/* ---- MLP (mlp.c): time-conditioned, for 2-D targets and small vectors ------------------------------- */
typedef struct ebb_mlp_config {
    int inputs;                            /* D */
    int outputs;                           /* 0: D */
    int width, depth;                      /* hidden layers */
    int time_dim;                          /* of the time embedding: even, at least 4 */
    int classes;                           /* as in the U-Net */
} ebb_mlp_config;
/* x (N,D), t (N), label as above -> (N,outputs). */
ebb_value ebb_nn_mlp(ebb_graph *g, const ebb_mlp_config *config, ebb_value x, ebb_value t, ebb_value label);

#endif
