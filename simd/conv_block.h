/* conv_block.h: how a convolution is cut into blocks, common to all instance sets.
 *
 * A block is some output rows of a picture, or several whole small pictures: about CONV_PIXELS pixels,
 * so that what it reads stays in cache while every panel of weights passes over it. The part of the
 * input that it needs is copied once into a zero-padded window (each value then serves kh*kw*co
 * products), which makes borders, strides and any size the same straight loop.
 */
#ifndef EBB_CONV_BLOCK_H
#define EBB_CONV_BLOCK_H

#include "simd.h"

#define CONV_PIXELS 256
#define CONV_GROUP_MIN 2  /* least and most rows of a register tile's group, any ISA */
#define CONV_GROUP_MAX 4

/* Rows of a register tile that lie at equal distances in A and in C; a ragged last group computes
 * all rows (A must be readable) and stores the first `rows`. Groups whose chains are not the same part
 * of k (b, outer, inner) do not share a tile. */
typedef struct tile_group {
    ptrdiff_t a, c, b;  /* of the first row; of the chain's first row of B */
    int rows, outer, inner;
} tile_group;

typedef struct conv_block {
    int pics, rows;     /* of a full block */
    int high, wide;     /* window, pixels; a block with fewer rows uses the upper part */
    size_t pitch;       /* floats from one window row to the next */
    size_t picture;     /* floats from one picture's window to the next */
    size_t floats;      /* all windows, with what ragged groups may read after them */
    size_t groups;      /* most groups of a block */
} conv_block;

/* Blocks of an ny x nx grid of pixels that each read reach_y x reach_x pixels of c channels, step
 * pixels after those of the neighbour. */
static inline conv_block conv_block_make(int n, int ny, int nx, int step, int reach_y, int reach_x, int c)
{
    conv_block b;
    b.rows = CONV_PIXELS / nx;
    b.rows = b.rows < 1 ? 1 : b.rows > ny ? ny : b.rows;
    b.pics = b.rows < ny ? 1 : CONV_PIXELS / nx / ny;
    b.pics = b.pics < 1 ? 1 : b.pics > n ? n : b.pics;
    b.high = (b.rows - 1) * step + reach_y;
    b.wide = (nx - 1) * step + reach_x;
    b.pitch = (size_t)b.wide * c;
    b.picture = b.high * b.pitch;
    b.floats = b.pics * b.picture + (size_t)CONV_GROUP_MAX * (step > 1 ? step : 1) * c;
    b.groups = (size_t)b.pics * b.rows * ((nx + CONV_GROUP_MIN - 1) / CONV_GROUP_MIN);
    return b;
}

/* conv and conv_dw: the grid is the output. */
static inline conv_block conv_block_out(const ebb_conv_shape *s)
{
    return conv_block_make(s->n, s->oh, s->ow, s->stride, s->kh, s->kw, s->ci);
}

/* conv_dx: input pixel i meets tap a only if i + pad - a = stride * t - stride * j with phase
 * i + pad = stride * t + phase and tap a = stride * j + phase. The grid is (t_y, t_x). */
typedef struct conv_phase {
    int first, count;  /* t */
    int taps;          /* most taps of a phase */
} conv_phase;

static inline conv_phase conv_phase_make(int size, int pad, int kernel, int stride)
{
    int first = pad / stride, last = (size - 1 + pad) / stride;
    return (conv_phase){ first, last - first + 1, (kernel + stride - 1) / stride };
}

static inline conv_block conv_block_in(const ebb_conv_shape *s)
{
    conv_phase y = conv_phase_make(s->h, s->pad_top, s->kh, s->stride);
    conv_phase x = conv_phase_make(s->w, s->pad_left, s->kw, s->stride);
    return conv_block_make(s->n, y.count, x.count, 1, y.taps, x.taps, s->co);
}

/* Kernel rows that meet a row of the picture, first tap at row y of `high` rows: the others take no
 * part in the chains. */
typedef struct conv_taps {
    int first, count;
} conv_taps;

static inline conv_taps conv_taps_make(int y, int taps, int high)
{
    int first = y < 0 ? -y : 0, last = high - y < taps ? high - y : taps;
    return first < last ? (conv_taps){ first, last - first } : (conv_taps){ 0, 0 };
}

/* Groups of rows of dw: per kernel row, (kw, ci) is one run of rows. */
static inline size_t conv_groups_dw(const ebb_conv_shape *s, int rows)
{
    return (size_t)s->kh * (((size_t)s->kw * s->ci + rows - 1) / rows);
}

/* The scratch of a call: [window][panel of dy][groups], each a multiple of 64 bytes. */
static inline size_t conv_align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

#endif
