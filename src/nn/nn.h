/* nn.h: functions that build networks as graphs.
 *
 * Parameter names follow diffusers' UNet2DModel, so that files exchange (for NCSN++ those of its blocks SkipDownBlock2D and
 * the like, to which score_sde's networks are converted: score_sde itself only counts its modules); parameter layouts are
 * told to the graph (ebb_layout).
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
/* The same with `pad` zeros above and left of x, and the size of the result: other paddings. */
ebb_value ebb_nn_conv_to(ebb_graph *g, const char *name, ebb_value x, int64_t out, int kernel, int stride, int pad, int64_t oh,
                         int64_t ow, float gain);
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
/* The same of any features (N,K) of t; rows of the table: classes, and one more where there is "no class". */
ebb_value ebb_nn_condition_of(ebb_graph *g, ebb_value features, ebb_value label, int classes, int rows, int64_t width);
/* The same from 2 dim Fourier features of t, whose frequencies time_proj.weight (dim) are fixed, drawn from N(0, scale^2). */
ebb_value ebb_nn_fourier_condition(ebb_graph *g, ebb_value t, ebb_value label, int classes, int rows, int64_t dim, float scale,
                                   int64_t width);
/* 0, 1, ..., n-1 as (n). */
ebb_value ebb_nn_count(ebb_graph *g, int64_t n);

/* ---- resampling with a filter (fir.c): [1,3,3,1] along both axes, zeros outside ------------------------ */
/* (N,H,W,C) -> (N,H/2,W/2,C), even H and W. */
ebb_value ebb_nn_fir_down(ebb_graph *g, ebb_value x);
/* (N,H,W,C) -> (N,2H,2W,C), 4 times the adjoint of down. */
ebb_value ebb_nn_fir_up(ebb_graph *g, ebb_value x);
/* (N,H,W,C) -> (N,2H+2,2W+2,C), with a place more on each side: what a 3x3 convolution without padding reads. */
ebb_value ebb_nn_fir_up_wide(ebb_graph *g, ebb_value x);
/* (N,H,W,C) -> (N,H+1,W+1,C), y[i] = (x[i-2] + 3 x[i-1] + 3 x[i] + x[i+1])/8: what a strided convolution reads. */
ebb_value ebb_nn_fir_blur(ebb_graph *g, ebb_value x);

/* ---- U-Nets (unet.c, unet_blocks.c, unet_pyramid.c) ---------------------------------------------------
 * With all that follows `classes` zero it is that of Ho et al. 2020, app. B, as diffusers' UNet2DModel lays it out; DDPM++ and
 * NCSN++ (Song et al. 2021, app. H) are others of its settings. */
#define EBB_UNET_LEVELS_MAX 8
/* How levels halve and double: by convolutions between the blocks, or inside one more residual block, both branches, by means
 * of 2x2 and nearest neighbours or by the filter [1,3,3,1]. */
typedef enum ebb_resample { EBB_RESAMPLE_CONV, EBB_RESAMPLE_MEAN, EBB_RESAMPLE_FIR } ebb_resample;
/* What each level going down sees of the picture itself: nothing; it, halved, through a 1x1 convolution; or a chain of
 * strided convolutions that starts from it and takes up each level's result. What each level going up says: nothing; a
 * picture, which are doubled and summed; or a link of a chain of doubling convolutions that takes up each level's result. */
typedef enum ebb_pyramid { EBB_PYRAMID_NONE, EBB_PYRAMID_SKIP, EBB_PYRAMID_RESIDUAL } ebb_pyramid;
/* Between the ways down and up: residual, attention, residual; without the attention; nothing. */
typedef enum ebb_middle { EBB_MIDDLE_ATTENTION, EBB_MIDDLE_PLAIN, EBB_MIDDLE_NONE } ebb_middle;
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
    bool groups_of_four;                   /* C channels have min(C/4, groups) groups instead */
    bool rescale;                          /* residual blocks and attention give (x + h)/sqrt 2 instead of x + h */
    bool attention_once;                   /* going up, only after a level's last residual block */
    ebb_resample resample;
    ebb_pyramid pyramid;
    bool pyramid_concat;                   /* skip: beside the level's result, not added to it */
    ebb_pyramid output;                    /* of the levels going up */
    float dropout;                         /* while it learns: rate at which residual blocks drop what conv2 reads */
    ebb_value dropout_key;                 /* dropout > 0: (N,4), of ebb_dropout_mask */
    float fourier;                         /* > 0: t comes as the log of a noise level, and its features are Fourier's of
                                              that scale; 0: positions */
    /* ---- what networks of others have otherwise */
    int width[EBB_UNET_LEVELS_MAX];        /* of level i; 0: base * mult[i] */
    bool other_back;                       /* levels with attention going up are those of attention_back */
    uint8_t attention_back[EBB_UNET_LEVELS_MAX];
    int head;                              /* channels of a head of attention; 0: one head */
    bool scale_shift;                      /* t scales and shifts the second norm of a block */
    int time_width;                        /* of what blocks are told of t; 0: 4 base */
    bool cosine_first;                     /* of positions */
    float frequency_more;                  /* 1 - the shift of ebb_nn_time_embedding */
    bool centre;                           /* it sees 2x - 1 */
    bool pad_after;                        /* convolutions that halve have their zeros right and below */
    bool block_down, block_up;             /* conv: levels with attention halve, or double, by means within a residual block */
    ebb_middle middle;
    int middle_groups;                     /* of the middle's attention; 0: as elsewhere; -1: it has no norm */
    float middle_scale;                    /* sums of the middle are divided by this; 0: as elsewhere */
    bool no_null;                          /* the class table has no row for "no class" */
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

/* ---- classifiers of noisy pictures (classifier.c) ------------------------------------------------------ */
/* The U-Net's way down and middle, then norm, silu, mean over places, linear: x (N,H,W,channels), t (N) -> logits
 * (N,classes). config->classes is 0: it sees no label. features: those means (N,C), what the linear layer reads; may be NULL. */
ebb_value ebb_nn_classifier(ebb_graph *g, const ebb_unet_config *config, int classes, ebb_value x, ebb_value t, ebb_value *features);
/* Inception-v3 (inception.c): x (N,H,W,3) in [-1,1], 299 x 299 as it was trained -> logits (N,1008); features (N,2048), what
 * they are linear in. Parameters have torchvision's names. */
#define EBB_INCEPTION_SIDE 299
#define EBB_INCEPTION_LEAST 75
ebb_value ebb_nn_inception(ebb_graph *g, ebb_value x, ebb_value *features);
/* logits (N,C), label (N) i32 in [0, C) -> (N): log p(label), of any derivatives; and 1 where the label's logit is above all
 * others, else 0. */
ebb_value ebb_nn_class_log_probability(ebb_graph *g, ebb_value logits, ebb_value label);
ebb_value ebb_nn_class_found(ebb_graph *g, ebb_value logits, ebb_value label);

#endif
