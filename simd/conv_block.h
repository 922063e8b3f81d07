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

/* One row of a product: where it lies in A and C, and the part of k that its chain runs over, from row
 * b of B. Rows of unlike chains do not share a register tile. */
typedef struct tile_row {
    ptrdiff_t a, c, b;
    int outer, inner;
} tile_row;

typedef struct conv_block {
    int pics, rows;     /* of a full block */
    int high, wide;     /* window, pixels; a block with fewer rows uses the upper part */
    size_t pitch;       /* floats from one window row to the next */
    size_t picture;     /* floats from one picture's window to the next */
    size_t floats;      /* all windows */
    size_t pixels;
} conv_block;

/* Blocks of about so many pixels of an ny x nx grid that each read reach_y x reach_x pixels of c channels, step
 * pixels after those of the neighbour. */
static inline conv_block conv_block_make(int pixels, int n, int ny, int nx, int step, int reach_y, int reach_x, int c)
{
    conv_block b;
    b.rows = pixels / nx;
    b.rows = b.rows < 1 ? 1 : b.rows > ny ? ny : b.rows;
    b.pics = b.rows < ny ? 1 : pixels / nx / ny;
    b.pics = b.pics < 1 ? 1 : b.pics > n ? n : b.pics;
    b.high = (b.rows - 1) * step + reach_y;
    b.wide = (nx - 1) * step + reach_x;
    b.pitch = (size_t)b.wide * c;
    b.picture = b.high * b.pitch;
    b.floats = b.pics * b.picture;
    b.pixels = (size_t)b.pics * b.rows * nx;
    return b;
}

/* conv and conv_dw: the grid is the output. */
static inline conv_block conv_block_of(const ebb_conv_shape *s, int pixels)
{
    return conv_block_make(pixels, s->n, s->oh, s->ow, s->stride, s->kh, s->kw, s->ci);
}

static inline conv_block conv_block_out(const ebb_conv_shape *s)
{
    return conv_block_of(s, CONV_PIXELS);
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
    return (conv_phase){first, last - first + 1, (kernel + stride - 1) / stride};
}

static inline conv_block conv_block_in(const ebb_conv_shape *s)
{
    conv_phase y = conv_phase_make(s->h, s->pad_top, s->kh, s->stride);
    conv_phase x = conv_phase_make(s->w, s->pad_left, s->kw, s->stride);
    return conv_block_make(CONV_PIXELS, s->n, y.count, x.count, 1, y.taps, x.taps, s->co);
}

/* Kernel rows that meet a row of the picture, first tap at row y of `high` rows: the others take no
 * part in the chains. */
typedef struct conv_taps {
    int first, count;
} conv_taps;

static inline conv_taps conv_taps_make(int y, int taps, int high)
{
    int first = y < 0 ? -y : 0, last = high - y < taps ? high - y : taps;
    return first < last ? (conv_taps){first, last - first} : (conv_taps){0, 0};
}

/* The scratch of a call: [window][panel of dy][rows], each a multiple of 64 bytes. */
static inline size_t conv_align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

#endif
