/* conv_few.h: how much scratch conv_few.tmpl.h needs; common to all instance sets. */
#ifndef EBB_CONV_FEW_H
#define EBB_CONV_FEW_H

#include "simd.h"

#define FEW_TAPS 3    /* kernels of 3 x 3 with stride 1 and a padding of at most 2 */
#define FEW_DEEP 3    /* channels that are few */
#define FEW_LANES 32  /* pixels of a row that are computed together */
#define FEW_EDGE 16   /* floats beside a row, for the padding */

static inline size_t few_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* Floats of one channel of a row of `from` pixels that gives one of `to` pixels. */
static inline size_t few_pitch(int from, int to)
{
    return few_up(from > to ? from : to, FEW_LANES) + 2 * FEW_EDGE;
}

/* few_narrow: weights, a transposed row, sums of all rows and one row more. */
static inline size_t few_narrow_floats(int from, int to, int rows, int deep, int channels)
{
    return few_up((size_t)FEW_TAPS * FEW_TAPS * deep * channels, 16) + deep * few_pitch(from, to) +
           ((size_t)channels * rows + 1) * few_up(to, FEW_LANES);
}

/* few_shallow: rows in a ring of four. */
static inline size_t few_shallow_floats(int to)
{
    return 4 * few_up((size_t)FEW_DEEP * (to + FEW_TAPS - 1), 16);
}

/* Of conv, conv_dx and conv_dw; 0 when no kernel here takes the shape. */
static inline size_t few_floats(const ebb_conv_shape *s)
{
    size_t floats = 0;
    if (s->kh != FEW_TAPS || s->kw != FEW_TAPS || s->stride != 1)
        return 0;
    if (s->ci <= FEW_DEEP)
        floats = few_narrow_floats(s->ow, s->w, s->h, s->co, s->ci) + few_shallow_floats(s->ow);
    if (s->co <= FEW_DEEP)
        floats += few_narrow_floats(s->w, s->ow, s->oh, s->ci, s->co) + few_shallow_floats(s->w);
    return floats;
}

#endif
