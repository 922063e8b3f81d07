/* conv_walk.h: which rows of a product a block of a convolution is, for numbers of any type.
 *
 * Positions count numbers; rows that meet the same part of the kernel stand together, so that they share tiles.
 */
#ifndef EBB_CONV_WALK_H
#define EBB_CONV_WALK_H

#include "conv_block.h"

/* A block at hand: pictures n..n+pics-1, grid rows y..y+rows-1. */
typedef struct conv_at {
    int n, pics, y, rows;
} conv_at;

/* Blocks in ascending (picture, row); false after the last. */
static inline bool conv_next(conv_at *at, const conv_block *b, int n, int ny)
{
    at->y += at->rows;
    if (at->y == ny) {
        at->y = 0;
        at->n += at->pics;
    }
    at->pics = n - at->n < b->pics ? n - at->n : b->pics;
    at->rows = ny - at->y < b->rows ? ny - at->y : b->rows;
    return at->n < n;
}

/* A pointwise convolution reads x where it lies, as one column of pixels. False: it needs windows. */
static inline bool conv_pointwise(const ebb_conv_shape *s, ebb_conv_shape *flat)
{
    if (s->kh != 1 || s->kw != 1 || s->stride != 1 || s->pad_top || s->pad_left || s->oh != s->h ||
        s->ow != s->w)
        return false;
    int pixels = s->n * s->h * s->w;
    *flat = (ebb_conv_shape){1, pixels, 1, s->ci, pixels, 1, s->co, 1, 1, 1, 0, 0};
    return true;
}

/* Strides of a grid of (picture, row, pixel). */
typedef struct conv_stride {
    ptrdiff_t picture, row, pixel;
} conv_stride;

/* The pixels of a block, and which part of the kernel each of them runs. */
typedef struct conv_grid {
    int pics, rows, wide;
    conv_stride a, c;
    int first, step, high, taps;  /* row y's first kernel row meets row first + y * step of `high` */
    int columns;                  /* segments of k in a kernel row */
    ptrdiff_t a_tap, b_tap;       /* from one kernel row to the next */
    /* Where pixels beside the picture take no part: pixel x's first column meets column left + x * step of `across`,
     * which is 0 where they do. */
    int left, across;
    ptrdiff_t a_column, b_column;
} conv_grid;

/* A run of rows or pixels that meet the same taps. */
typedef struct conv_same {
    conv_taps taps;
    int begin, end;
} conv_same;

static inline conv_same conv_same_make(int begin, int count, int first, int step, int taps, int high)
{
    conv_same s = {conv_taps_make(first + begin * step, taps, high), begin, begin + 1};
    for (; s.end < count; s.end++) {
        conv_taps next = conv_taps_make(first + s.end * step, taps, high);
        if (next.first != s.taps.first || next.count != s.taps.count)
            break;
    }
    return s;
}

static inline conv_same conv_same_columns(const conv_grid *d, int begin)
{
    if (!d->across)
        return (conv_same){{0, d->columns}, begin, d->wide};
    return conv_same_make(begin, d->wide, d->left, d->step, d->columns, d->across);
}

/* Pixels x of rows y of all pictures. */
static inline size_t conv_run(tile_row *row, const conv_grid *d, conv_same y, conv_same x)
{
    size_t count = 0;
    ptrdiff_t from = y.taps.first * d->a_tap + x.taps.first * d->a_column;
    ptrdiff_t b = y.taps.first * d->b_tap + x.taps.first * d->b_column;
    for (int p = 0; p < d->pics; p++) {
        for (int r = y.begin; r < y.end; r++) {
            ptrdiff_t a = p * d->a.picture + r * d->a.row + from;
            ptrdiff_t c = p * d->c.picture + r * d->c.row;
            for (int i = x.begin; i < x.end; i++)
                row[count++] = (tile_row){a + i * d->a.pixel, c + i * d->c.pixel, b, y.taps.count, x.taps.count};
        }
    }
    return count;
}

/* Every pixel, those that meet the same taps together. */
static inline size_t conv_rows(tile_row *row, const conv_grid *d)
{
    size_t count = 0;
    conv_same y = {.end = 0}, x;
    while (y.end < d->rows) {
        y = conv_same_make(y.end, d->rows, d->first, d->step, d->taps, d->high);
        for (x.end = 0; x.end < d->wide; count += conv_run(row + count, d, y, x))
            x = conv_same_columns(d, x.end);
    }
    return count;
}

/* The inputs of one phase along one axis that a block's t cover: last ones first, as the window is
 * mirrored. */
typedef struct conv_range {
    int skip, count;  /* t of the block above the first; how many */
    int t, first;     /* of the first: t and input index; the next is stride lower */
    int taps;
} conv_range;

static inline conv_range conv_range_make(int size, int pad, int kernel, int stride, int phase, int t, int rows)
{
    /* i = stride * t + phase - pad in [0, size) */
    int low = pad - phase > 0 ? (pad - phase + stride - 1) / stride : 0;
    int high = size - 1 + pad - phase < 0 ? -1 : (size - 1 + pad - phase) / stride;
    int last = t + rows - 1;
    low = low < t ? t : low;
    high = high > last ? last : high;
    return (conv_range){last - high, high - low + 1, high, stride * high + phase - pad,
                        phase < kernel ? (kernel - phase + stride - 1) / stride : 0};
}

/* Output rows of a block at which kernel row a meets the picture. */
static inline conv_taps conv_dw_range(const ebb_conv_shape *s, const conv_at *at, int a)
{
    int low = s->pad_top - a, high = s->h - 1 + s->pad_top - a;
    low = (low > 0 ? (low + s->stride - 1) / s->stride : 0) - at->y;
    high = (high < 0 ? -1 : high / s->stride) - at->y;
    low = low < 0 ? 0 : low;
    high = high >= at->rows ? at->rows - 1 : high;
    return high < low ? (conv_taps){0, 0} : (conv_taps){low, high - low + 1};
}

/* Rows (kh)(kw ci) of dw. b_row: of B in an output row. */
static inline size_t conv_dw_rows(tile_row *row, const ebb_conv_shape *s, const conv_block *b, const conv_at *at,
                                  ptrdiff_t b_row)
{
    size_t count = 0, run = (size_t)s->kw * s->ci;
    for (int a = 0; a < s->kh; a++) {
        conv_taps t = conv_dw_range(s, at, a);
        ptrdiff_t from = (a + t.first * s->stride) * (ptrdiff_t)b->pitch;
        for (size_t r = 0; r < run; r++)
            row[count++] = (tile_row){from + r, (a * run + r) * s->co, t.first * b_row, at->pics, t.count};
    }
    return count;
}

#endif
