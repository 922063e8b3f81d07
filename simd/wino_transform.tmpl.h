/* wino_transform.tmpl.h: the transforms of simd/c/wino.c on vectors of channels, between pictures and planes.
 *
 * A two-dimensional transform is done a few result rows at a time: their columns need only some of the 36
 * inputs, and the compiler drops the rest, so that all values in between are registers.
 */
#include <string.h>

#include "instances.h"
#include "wino_block.h"

#ifdef __clang__
#define WINO_UNROLL _Pragma("clang loop unroll(full)")
#else
#define WINO_UNROLL _Pragma("GCC unroll 16")
#endif
#define WINO_INLINE static inline __attribute__((always_inline))

/* B^T */
WINO_INLINE void wino_data(vf t[6], const vf d[6])
{
    vf two = vf_set1(2.0f), half = vf_set1(0.5f), more = vf_set1(2.5f), r = vf_set1(WINO_R), q = vf_set1(WINO_Q);
    vf even = vf_fnma(two, d[2], d[4]), odd = vf_fnma(two, d[1], d[3]);
    t[1] = vf_fma(r, odd, even);
    t[2] = vf_fnma(r, odd, even);
    even = vf_fnma(half, d[2], d[4]);
    odd = vf_fnma(half, d[1], d[3]);
    t[3] = vf_fma(q, odd, even);
    t[4] = vf_fnma(q, odd, even);
    t[0] = vf_fnma(more, d[2], vf_add(d[0], d[4]));
    t[5] = vf_fnma(more, d[3], vf_add(d[1], d[5]));
}

/* A^T */
WINO_INLINE void wino_output(vf y[4], const vf m[6])
{
    vf s = vf_add(m[1], m[2]), d = vf_sub(m[1], m[2]), s2 = vf_add(m[3], m[4]), d2 = vf_sub(m[3], m[4]);
    y[0] = vf_add(m[0], vf_add(s, s2));
    y[1] = vf_mul(vf_set1(WINO_R), vf_fma(vf_set1(2.0f), d2, d));
    y[2] = vf_mul(vf_set1(0.5f), vf_fma(vf_set1(4.0f), s2, s));
    y[3] = vf_fma(vf_set1(WINO_R3), vf_fma(vf_set1(8.0f), d2, d), m[5]);
}

/* A */
WINO_INLINE void wino_cotangent(vf t[6], const vf y[4])
{
    vf even = vf_fma(vf_set1(0.5f), y[2], y[0]);
    vf odd = vf_fma(vf_set1(WINO_R3), y[3], vf_mul(vf_set1(WINO_R), y[1]));
    t[0] = y[0];
    t[1] = vf_add(even, odd);
    t[2] = vf_sub(even, odd);
    even = vf_fma(vf_set1(2.0f), y[2], y[0]);
    odd = vf_fma(vf_set1(WINO_Q3), y[3], vf_mul(vf_set1(WINO_Q), y[1]));
    t[3] = vf_add(even, odd);
    t[4] = vf_sub(even, odd);
    t[5] = y[3];
}

/* G */
WINO_INLINE void wino_weight(vf u[6], const vf g[3])
{
    vf even = vf_fma(vf_set1(WINO_G_R2), g[2], vf_mul(vf_set1(WINO_G_R), g[0]));
    vf odd = vf_mul(vf_set1(WINO_G_R1), g[1]);
    u[0] = g[0];
    u[1] = vf_add(even, odd);
    u[2] = vf_sub(even, odd);
    even = vf_fma(vf_set1(WINO_G_Q2), g[2], vf_mul(vf_set1(WINO_G_Q), g[0]));
    odd = vf_mul(vf_set1(WINO_G_Q1), g[1]);
    u[3] = vf_add(even, odd);
    u[4] = vf_sub(even, odd);
    u[5] = g[2];
}

/* G^T */
WINO_INLINE void wino_gradient(vf g[3], const vf u[6])
{
    vf s = vf_add(u[1], u[2]), d = vf_sub(u[1], u[2]), s2 = vf_add(u[3], u[4]), d2 = vf_sub(u[3], u[4]);
    g[0] = vf_fma(vf_set1(WINO_G_R), s, vf_fma(vf_set1(WINO_G_Q), s2, u[0]));
    g[1] = vf_fma(vf_set1(WINO_G_R1), d, vf_mul(vf_set1(WINO_G_Q1), d2));
    g[2] = vf_fma(vf_set1(WINO_G_R2), s, vf_fma(vf_set1(WINO_G_Q2), s2, u[5]));
}

WINO_INLINE vf wino_load(const float *p, size_t n) { return n == VW ? vf_load(p) : vf_load_n(p, n); }

/* A tile's place in the pictures. */
typedef struct wino_at {
    int n, y, x;  /* picture, and the tile in it */
} wino_at;

static wino_at wino_at_make(const wino_block *b, size_t tile)
{
    size_t picture = (size_t)b->high * b->wide, rest = tile % picture;
    return (wino_at){(int)(tile / picture), (int)(rest / b->wide), (int)(rest % b->wide)};
}

static void wino_at_next(wino_at *at, const wino_block *b)
{
    if (++at->x == b->wide) {
        at->x = 0;
        if (++at->y == b->high) {
            at->y = 0;
            at->n++;
        }
    }
}

/* The size x size pixels from (y, x) of a picture (h, w, c); those beside it: zeros. */
WINO_INLINE void wino_gather(const float **pixel, const int size, const float *picture, int h, int w, int c, int y,
                             int x, const float *zeros)
{
    for (int i = 0; i < size; i++) {
        const float *row = picture + ((ptrdiff_t)(y + i) * w + x) * c;
        bool high = y + i >= 0 && y + i < h;
        for (int j = 0; j < size; j++)
            pixel[i * size + j] = high && x + j >= 0 && x + j < w ? row + (ptrdiff_t)j * c : zeros;
    }
}

/* Rows first..first+count-1 of B^T d B, one vector of n channels, or of A d A^T for a cotangent (4 x 4 pixels
 * instead of 6 x 6). to: the planes. */
WINO_INLINE void wino_rows(const bool cotangent, const int first, const int count, const float *const *pixel,
                           size_t channel, size_t n, float *to, size_t plane)
{
    const int size = cotangent ? 4 : 6;
    vf half[2][6], d[6], t[6];
    WINO_UNROLL
    for (int j = 0; j < size; j++) {
        WINO_UNROLL
        for (int i = 0; i < size; i++)
            d[i] = wino_load(pixel[i * size + j] + channel, n);
        if (cotangent)
            wino_cotangent(t, d);
        else
            wino_data(t, d);
        WINO_UNROLL
        for (int r = 0; r < count; r++)
            half[r][j] = t[first + r];
    }
    WINO_UNROLL
    for (int r = 0; r < count; r++) {
        if (cotangent)
            wino_cotangent(t, half[r]);
        else
            wino_data(t, half[r]);
        WINO_UNROLL
        for (int j = 0; j < 6; j++)
            vf_store(to + ((first + r) * 6 + j) * plane, t[j]);
    }
}

WINO_INLINE void wino_vector(const bool cotangent, const float *const *pixel, size_t channel, size_t n, float *to,
                             size_t plane)
{
    wino_rows(cotangent, 0, 1, pixel, channel, n, to, plane);
    wino_rows(cotangent, 1, 2, pixel, channel, n, to, plane);
    wino_rows(cotangent, 3, 2, pixel, channel, n, to, plane);
    wino_rows(cotangent, 5, 1, pixel, channel, n, to, plane);
}

/* count tiles from `first` of x -> v: planes of panels of `most` tiles. */
static void wino_data_tiles(const ebb_conv_shape *s, const wino_block *b, float *v, const float *x, size_t first,
                            size_t count, const float *zeros)
{
    wino_at at = wino_at_make(b, first);
    const float *pixel[36];
    size_t whole = s->ci / VW * VW, rest = s->ci % VW, panel = b->most * EBB_PANEL;
    for (size_t t = 0; t < count; t++, wino_at_next(&at, b)) {
        float *to = v + t * EBB_PANEL;
        wino_gather(pixel, 6, x + (size_t)at.n * s->h * s->w * s->ci, s->h, s->w, s->ci, 4 * at.y - s->pad_top,
                    4 * at.x - s->pad_left, zeros);
        for (size_t c = 0; c < whole; c += VW)
            wino_vector(false, pixel, c, VW, to + c / EBB_PANEL * panel + c % EBB_PANEL, b->in_plane);
        if (rest)
            wino_vector(false, pixel, whole, rest, to + whole / EBB_PANEL * panel + whole % EBB_PANEL, b->in_plane);
    }
}

/* The same of dy. */
static void wino_cotangent_tiles(const ebb_conv_shape *s, const wino_block *b, float *v, const float *dy, size_t first,
                                 size_t count, const float *zeros)
{
    wino_at at = wino_at_make(b, first);
    const float *pixel[16];
    size_t whole = s->co / VW * VW, rest = s->co % VW, panel = b->most * EBB_PANEL;
    for (size_t t = 0; t < count; t++, wino_at_next(&at, b)) {
        float *to = v + t * EBB_PANEL;
        wino_gather(pixel, 4, dy + (size_t)at.n * s->oh * s->ow * s->co, s->oh, s->ow, s->co, 4 * at.y, 4 * at.x,
                    zeros);
        for (size_t c = 0; c < whole; c += VW)
            wino_vector(true, pixel, c, VW, to + c / EBB_PANEL * panel + c % EBB_PANEL, b->out_plane);
        if (rest)
            wino_vector(true, pixel, whole, rest, to + whole / EBB_PANEL * panel + whole % EBB_PANEL,
                                  b->out_plane);
    }
}

/* Where a tile's outputs go: high x wide of them exist. */
typedef struct wino_pixels {
    float *y;
    const float *bias, *residual;  /* NULL: none */
    ptrdiff_t row, pixel;          /* floats */
    int high, wide;
} wino_pixels;

/* Rows first and first + 2 of A^T M A and the epilogue, one vector of n channels. */
WINO_INLINE void wino_output_rows(const int first, const float *m, size_t plane, const wino_pixels *p, size_t channel,
                                  size_t n)
{
    vf half[2][6], d[6], t[4], bias = p->bias ? wino_load(p->bias + channel, n) : vf_zero();
    WINO_UNROLL
    for (int j = 0; j < 6; j++) {
        WINO_UNROLL
        for (int i = 0; i < 6; i++)
            d[i] = vf_load(m + (i * 6 + j) * plane);
        wino_output(t, d);
        half[0][j] = t[first];
        half[1][j] = t[first + 2];
    }
    WINO_UNROLL
    for (int r = 0; r < 2; r++) {
        int row = first + 2 * r;
        ptrdiff_t at = row * p->row + (ptrdiff_t)channel;
        wino_output(t, half[r]);
        WINO_UNROLL
        for (int j = 0; j < 4; j++, at += p->pixel) {
            if (row >= p->high || j >= p->wide)
                continue;
            vf y = p->bias ? vf_add(t[j], bias) : t[j];
            if (p->residual)
                y = vf_add(y, wino_load(p->residual + at, n));
            if (n == VW)
                vf_store(p->y + at, y);
            else
                vf_store_n(p->y + at, y, n);
        }
    }
}

WINO_INLINE void wino_output_vector(const float *m, size_t plane, const wino_pixels *p, size_t channel, size_t n)
{
    wino_output_rows(0, m, plane, p, channel, n);
    wino_output_rows(1, m, plane, p, channel, n);
}

/* Planes m of count tiles from `first` -> y. */
static void wino_output_tiles(const ebb_conv_shape *s, const wino_block *b, float *y, const float *m, const float *bias,
                              const float *residual, size_t first, size_t count)
{
    wino_at at = wino_at_make(b, first);
    size_t whole = s->co / VW * VW, rest = s->co % VW, panel = b->most * EBB_PANEL;
    for (size_t t = 0; t < count; t++, wino_at_next(&at, b)) {
        const float *from = m + t * EBB_PANEL;
        size_t begin = (((size_t)at.n * s->oh + 4 * at.y) * s->ow + 4 * at.x) * s->co;
        wino_pixels p = {y + begin, bias, residual ? residual + begin : NULL, (ptrdiff_t)s->ow * s->co, s->co,
                         s->oh - 4 * at.y, s->ow - 4 * at.x};
        for (size_t c = 0; c < whole; c += VW)
            wino_output_vector(from + c / EBB_PANEL * panel + c % EBB_PANEL, b->out_plane, &p, c, VW);
        if (rest)
            wino_output_vector(from + whole / EBB_PANEL * panel + whole % EBB_PANEL, b->out_plane, &p, whole, rest);
    }
}
