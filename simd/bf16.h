/* bf16.h: how packed matrices of bfloat16 lie.
 *
 * Instructions that multiply bfloat16 take two steps of k at once, so packed matrices hold pairs:
 * [panel of EBB_PANEL columns][pair of k][column][2], zero filled.
 */
#ifndef EBB_BF16_H
#define EBB_BF16_H

#include "conv_block.h"
#include "conv_few.h"

static inline size_t bf16_pairs(size_t k)
{
    return (k + 1) / 2;
}

static inline size_t bf16_panels(size_t columns)
{
    return (columns + EBB_PANEL - 1) / EBB_PANEL;
}

/* Where step k of a column lies in a panel. */
static inline size_t bf16_at(size_t k, size_t column)
{
    return (k / 2 * EBB_PANEL + column) * 2 + k % 2;
}

/* Numbers of a pixel's row where conv_bf16 gathers them: kh runs of whole pairs. */
static inline size_t bf16_row(const ebb_conv_shape *s)
{
    return 2 * s->kh * bf16_pairs((size_t)s->kw * s->ci);
}

/* Gathered this many at once. */
#define BF16_CHUNK 16

/* The blocks of conv_dx_bf16: channels of dy are filled up to whole pairs. */
static inline conv_block bf16_block_in(const ebb_conv_shape *s)
{
    ebb_conv_shape even = *s;
    even.co += s->co % 2;
    return conv_block_in(&even);
}

/* Pixels of conv_dw_bf16's blocks: dw, which is large, passes through the cache once for each. */
#define BF16_PIXELS 512

/* conv_dw_bf16's window: [ci][picture][row][phase][wide], column x of the padded picture at (x mod stride,
 * x / stride), so that the pixels of a pair are neighbours. Planes are an odd number of lines apart. */
typedef struct bf16_planes {
    int wide;
    size_t row, picture, plane;
} bf16_planes;

static inline bf16_planes bf16_planes_make(const ebb_conv_shape *s, const conv_block *b)
{
    bf16_planes p = {.wide = s->ow + (s->kw - 1) / s->stride};
    p.row = (size_t)p.wide * s->stride;
    p.picture = b->high * p.row;
    p.plane = ((b->pics * p.picture + BF16_CHUNK + 31) / 32 | 1) * 32;
    return p;
}

/* Pixels at once of a pointwise convolution: a panel of both factors fits into the first cache. */
#define BF16_TURNED 256

/* Floats of one picture of a convolution with few channels, whose kernels are those on floats. */
typedef struct bf16_few {
    size_t weights, x, y;
} bf16_few;

static inline bf16_few bf16_few_make(const ebb_conv_shape *s)
{
    size_t forward = bf16_panels(s->co) * s->ci, adjoint = bf16_panels(s->ci) * s->co;
    return (bf16_few){(forward > adjoint ? forward : adjoint) * s->kh * s->kw * EBB_PANEL,
                      few_up((size_t)s->h * s->w * s->ci, 16), few_up((size_t)s->oh * s->ow * s->co, 16)};
}

#define BF16_FEW_FLOATS ((size_t)1 << 19)

static inline bool bf16_few_fits(const ebb_conv_shape *s)
{
    bf16_few f = bf16_few_make(s);
    return (s->ci <= FEW_DEEP || s->co <= FEW_DEEP) && s->kh == FEW_TAPS && s->kw == FEW_TAPS && s->stride == 1 &&
           f.x <= BF16_FEW_FLOATS && f.y <= BF16_FEW_FLOATS;
}

static inline size_t bf16_few_floats(const ebb_conv_shape *s)
{
    bf16_few f = bf16_few_make(s);
    return bf16_few_fits(s) ? f.weights + f.x + f.y + few_floats(s) : 0;
}

/* Rows of A that gemm_bf16 takes at once: as many as fit into half of a small L2 as floats, and fill tiles. */
#define GEMM_BF16_ROWS 240
static inline size_t gemm_bf16_rows(size_t k)
{
    size_t tiles = k ? ((size_t)1 << 16) / k / 12 : GEMM_BF16_ROWS / 12;
    return tiles < 1 ? 12 : tiles < GEMM_BF16_ROWS / 12 ? tiles * 12 : GEMM_BF16_ROWS;
}

#endif
