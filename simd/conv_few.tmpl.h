/* conv_few.tmpl.h: 3x3 convolutions with 1 or 3 channels on one side, the first and the last layer of a
 * network on pictures. A panel of EBB_PANEL channels would compute mostly zeros for them, and windows would
 * cost as much as the sums.
 *
 *   shallow  few channels in, many out: lanes are channels; whole chains of a run of pixels, unrolled
 *   narrow   many in, few out: lanes are pixels of a row, which is transposed once. A source row meets three
 *            rows of sums at once, each by another kernel row, so that each number read serves three chains
 *   dw       few channels of dy: lanes are channels of x, a pixel of which meets a kernel row's three sums
 *            while it is in registers
 *
 * dx is the same as conv with the kernel turned: its chains go down the rows and to the left. All chains have
 * the order of simd/c/conv.c. Needs tile.tmpl.h.
 */
#include "conv_few.h"

#define FEW_VECS (FEW_LANES / VW)
#define FEW_PIXELS (TILE_ROWS == 12 ? 8 : 4)
#define FEW_AHEAD 24  /* pixels after which memory answers */

/* From one picture to another; turned: the adjoint. */
typedef struct few_map {
    int n, from_h, from_w, deep;   /* source (n, from_h, from_w, deep) */
    int to_h, to_w, channels;      /* result (n, to_h, to_w, channels) */
    int top, left;
    bool turned;
} few_map;

static few_map few_forward(const ebb_conv_shape *s)
{
    return (few_map){s->n, s->h, s->w, s->ci, s->oh, s->ow, s->co, s->pad_top, s->pad_left, false};
}

static few_map few_adjoint(const ebb_conv_shape *s)
{
    return (few_map){s->n, s->oh, s->ow, s->co, s->h, s->w, s->ci, s->pad_top, s->pad_left, true};
}

static bool few_kernel(const ebb_conv_shape *s)
{
    return s->kh == FEW_TAPS && s->kw == FEW_TAPS && s->stride == 1 && s->pad_top < FEW_TAPS &&
           s->pad_left < FEW_TAPS;
}

/* ---- shallow ------------------------------------------------------------------------------------ */
/* R pixels by TILE_VECS vectors of channels. row: of the source, one for each of `taps` kernel rows, at the
 * first column that the first pixel meets; result pixel r meets pixels r, r+1, r+2 of it, or turned r+2, r+1, r. */
static inline __attribute__((always_inline)) void
few_pixels(const int R, const int C, const bool turned, float *y, size_t pixel, const float *const *row, int taps,
           const float *w, const float *bias, const float *residual)
{
    vf s[FEW_PIXELS][TILE_VECS];
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        for (int v = 0; v < TILE_VECS; v++)
            s[r][v] = vf_zero();
        for (int i = 0; i < TILE_WIDE; i += 16)
            __builtin_prefetch(y + (r + FEW_AHEAD) * pixel + i, 1, 2);
    }
    for (int a = 0; a < taps; a++) {
        const float *x = row[a];
        TILE_UNROLL
        for (int k = 0; k < FEW_TAPS * C; k++, w += EBB_PANEL) {
            const int at = turned ? (FEW_TAPS - 1 - k / C) * C + k % C : k;
            vf wv[TILE_VECS];
            TILE_UNROLL
            for (int v = 0; v < TILE_VECS; v++)
                wv[v] = vf_load(w + v * VW);
            TILE_UNROLL
            for (int r = 0; r < R; r++) {
                vf xv = vf_set1(x[r * C + at]);
                TILE_UNROLL
                for (int v = 0; v < TILE_VECS; v++)
                    s[r][v] = vf_fma(xv, wv[v], s[r][v]);
            }
        }
    }
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        TILE_UNROLL
        for (int v = 0; v < TILE_VECS; v++) {
            if (bias)
                s[r][v] = vf_add(s[r][v], vf_load(bias + v * VW));
            if (residual)
                s[r][v] = vf_add(s[r][v], vf_load(residual + r * pixel + v * VW));
            vf_store(y + r * pixel + v * VW, s[r][v]);
        }
    }
}

typedef void few_fn(float *y, size_t pixel, const float *const *row, int taps, const float *w, const float *bias,
                    const float *residual);
#define FEW_FN(R, C, T) \
    static void few_##R##_##C##_##T(float *y, size_t pixel, const float *const *row, int taps, const float *w, \
                                    const float *bias, const float *residual) \
    { \
        few_pixels(R, C, T, y, pixel, row, taps, w, bias, residual); \
    }
#if TILE_ROWS == 12
#define FEW_SIZES(C, T) FEW_FN(8, C, T) FEW_FN(4, C, T) FEW_FN(2, C, T) FEW_FN(1, C, T)
#define FEW_ENTRY(C, T) {few_1_##C##_##T, few_2_##C##_##T, few_4_##C##_##T, few_8_##C##_##T}
#else
#define FEW_SIZES(C, T) FEW_FN(4, C, T) FEW_FN(2, C, T) FEW_FN(1, C, T)
#define FEW_ENTRY(C, T) {few_1_##C##_##T, few_2_##C##_##T, few_4_##C##_##T}
#endif
FEW_SIZES(1, 0) FEW_SIZES(1, 1) FEW_SIZES(3, 0) FEW_SIZES(3, 1)
/* [one or three channels][turned][log2 of the pixels] */
static few_fn *const few_fns[2][2][4] = {{FEW_ENTRY(1, 0), FEW_ENTRY(1, 1)}, {FEW_ENTRY(3, 0), FEW_ENTRY(3, 1)}};

/* Source rows with zeros around them, the four last ones: row i at i mod 4. */
typedef struct few_ring {
    float *rows;
    size_t pitch, begin, copied;   /* floats of a row; the source's part of it, that begins with pixel `skip` */
    int skip, next;                /* next row to copy */
} few_ring;

static few_ring few_ring_make(const few_map *m, float *rows)
{
    few_ring g = {.rows = rows, .pitch = few_up((size_t)m->deep * (m->to_w + FEW_TAPS - 1), 16)};
    /* pixel of the source in the first column */
    int first = m->turned ? m->left - (FEW_TAPS - 1) : -m->left;
    int from = first < 0 ? 0 : first, to = first + m->to_w + FEW_TAPS - 1;
    to = to > m->from_w ? m->from_w : to;
    g.skip = from;
    g.begin = (size_t)(from - first) * m->deep;
    g.copied = to > from ? (size_t)(to - from) * m->deep : 0;
    memset(rows, 0, 4 * g.pitch * sizeof *rows);
    return g;
}

/* All rows of the picture up to `last` are in the ring. */
static void few_ring_fill(few_ring *g, const few_map *m, const float *picture, int last)
{
    for (; g->next <= last && g->next < m->from_h; g->next++) {
        float *row = g->rows + (g->next & 3) * g->pitch + g->begin;
        const float *x = picture + ((size_t)g->next * m->from_w + g->skip) * m->deep;
        size_t i = 0;
        for (; i + VW <= g->copied; i += VW)
            vf_store(row + i, vf_load(x + i));
        if (i < g->copied)
            vf_store_n(row + i, vf_load_n(x + i, g->copied - i), g->copied - i);
    }
}

/* One row of the result. */
static void few_shallow_row(const few_map *m, float *y, const float *const *row, int taps, const float *w,
                            const float *bias, const float *residual)
{
    size_t panel = (size_t)FEW_TAPS * FEW_TAPS * m->deep * EBB_PANEL;
    few_fn *const *fns = few_fns[m->deep == 3][m->turned];
    for (int x = 0, log = TILE_ROWS == 12 ? 3 : 2; x < m->to_w; x += 1 << log) {
        while (m->to_w - x < 1 << log)
            log--;
        const float *at[FEW_TAPS];
        for (int a = 0; a < taps; a++)
            at[a] = row[a] + x * m->deep;
        for (int o = 0; o < m->channels; o += TILE_WIDE) {
            size_t i = (size_t)x * m->channels + o;
            fns[log](y + i, m->channels, at, taps, w + o / EBB_PANEL * panel + o % EBB_PANEL,
                     bias ? bias + o : NULL, residual ? residual + i : NULL);
        }
    }
}

static void few_shallow(const few_map *m, float *y, const float *x, const float *w, const float *bias,
                        const float *residual, float *scratch)
{
    few_ring g = few_ring_make(m, scratch);
    size_t wide = (size_t)m->to_w * m->channels, tap = (size_t)FEW_TAPS * m->deep * EBB_PANEL;
    for (int i = 0; i < m->n * m->to_h; i++) {
        int at = i % m->to_h, step = m->turned ? -1 : 1, begin = at - step * m->top, taps = 0, first = 0;
        if (at == 0)
            g.next = 0;
        few_ring_fill(&g, m, x + (size_t)(i / m->to_h) * m->from_h * m->from_w * m->deep,
                      m->turned ? begin : begin + FEW_TAPS - 1);
        const float *row[FEW_TAPS];
        for (int a = 0; a < FEW_TAPS; a++) {
            int r = begin + step * a;
            if (r < 0 || r >= m->from_h)
                continue;
            first = taps ? first : a;
            row[taps++] = g.rows + (r & 3) * g.pitch;
        }
        few_shallow_row(m, y + i * wide, row, taps, w + first * tap, bias, residual ? residual + i * wide : NULL);
    }
}

static bool few_is_shallow(const ebb_conv_shape *s, const few_map *m)
{
    return few_kernel(s) && (m->deep == 1 || m->deep == 3) && m->channels % TILE_WIDE == 0;
}

/* ---- narrow ------------------------------------------------------------------------------------- */
/* n pixels (of c channels) by m channels -> m rows of VW pixels. */
static inline __attribute__((always_inline)) void few_transpose_block(float *t, size_t pitch, const float *x, int c,
                                                                      const int n, const int m)
{
    vf r[VW];
    TILE_UNROLL
    for (int i = 0; i < VW; i++)
        r[i] = i >= n ? vf_zero() : m == VW ? vf_load(x + (size_t)i * c) : vf_load_n(x + (size_t)i * c, m);
    vf_transpose(r);
    TILE_UNROLL
    for (int i = 0; i < VW; i++)
        if (i < m)
            vf_store(t + i * pitch, r[i]);
}

/* A row (w, c) -> (c, w), zeros after w up to a whole vector. */
static void few_transpose(float *t, size_t pitch, const float *x, int w, int c)
{
    for (int i = 0; i < c; i += VW) {
        int m = c - i < VW ? c - i : VW;
        for (int p = 0; p < w; p += VW) {
            int n = w - p < VW ? w - p : VW;
            float *to = t + i * pitch + p;
            const float *from = x + (size_t)p * c + i;
            if (n == VW && m == VW)
                few_transpose_block(to, pitch, from, c, VW, VW);
            else
                few_transpose_block(to, pitch, from, c, n, m);
        }
    }
}

/* One channel of a result, FEW_LANES pixels of three rows. t: transposed row; w: (kw)(deep)(kh). */
static void few_lanes(float *const sum[FEW_TAPS], const float *t, ptrdiff_t step, size_t pitch, int deep,
                      const float *w)
{
    vf s[FEW_TAPS][FEW_VECS];
    for (int a = 0; a < FEW_TAPS; a++)
        for (int v = 0; v < FEW_VECS; v++)
            s[a][v] = vf_load(sum[a] + v * VW);
    for (int b = 0; b < FEW_TAPS; b++) {
        const float *x = t + b * step;
        for (int i = 0; i < deep; i++, x += pitch, w += FEW_TAPS) {
            vf w0 = vf_set1(w[0]), w1 = vf_set1(w[1]), w2 = vf_set1(w[2]);
            TILE_UNROLL
            for (int v = 0; v < FEW_VECS; v++) {
                vf xv = vf_load(x + v * VW);
                s[0][v] = vf_fma(xv, w0, s[0][v]);
                s[1][v] = vf_fma(xv, w1, s[1][v]);
                s[2][v] = vf_fma(xv, w2, s[2][v]);
            }
        }
    }
    for (int a = 0; a < FEW_TAPS; a++)
        for (int v = 0; v < FEW_VECS; v++)
            vf_store(sum[a] + v * VW, s[a][v]);
}

/* (kh, kw, deep, PANEL) -> (channels)(kw, deep, kh) */
static void few_weights(const few_map *m, float *to, const float *w)
{
    for (int o = 0; o < m->channels; o++)
        for (int k = 0; k < FEW_TAPS * m->deep; k++)
            for (int a = 0; a < FEW_TAPS; a++)
                *to++ = w[((size_t)a * FEW_TAPS * m->deep + k) * EBB_PANEL + o];
}

/* One source row into the sums (channels, to_h, pitch). t: where the row's first pixel goes. */
static void few_narrow_row(const few_map *m, float *sums, size_t wide, float *spare, const float *t, size_t pitch,
                           int row, const float *w)
{
    for (int o = 0; o < m->channels; o++) {
        float *sum[FEW_TAPS];
        for (int a = 0; a < FEW_TAPS; a++) {
            int y = m->turned ? row - m->top + a : row + m->top - a;
            sum[a] = y < 0 || y >= m->to_h ? spare : sums + ((size_t)o * m->to_h + y) * wide;
        }
        for (int x = 0; x < m->to_w; x += FEW_LANES) {
            float *at[FEW_TAPS] = {sum[0] == spare ? spare : sum[0] + x, sum[1] == spare ? spare : sum[1] + x,
                                   sum[2] == spare ? spare : sum[2] + x};
            few_lanes(at, t + x + (m->turned ? m->left : -m->left), m->turned ? -1 : 1, pitch, m->deep,
                      w + (size_t)o * FEW_TAPS * FEW_TAPS * m->deep);
        }
    }
}

/* Sums (channels, to_h, wide) of a picture -> y (to_h, to_w, channels). */
static void few_narrow_end(const few_map *m, float *y, const float *sums, size_t wide, const float *bias,
                           const float *residual)
{
    size_t next = 0;
    for (int row = 0; row < m->to_h; row++) {
        for (int x = 0; x < m->to_w; x++) {
            for (int o = 0; o < m->channels; o++, next++) {
                float sum = sums[((size_t)o * m->to_h + row) * wide + x];
                sum = bias ? sum + bias[o] : sum;
                y[next] = residual ? sum + residual[next] : sum;
            }
        }
    }
}

static void few_narrow(const few_map *m, float *y, const float *x, const float *w, const float *bias,
                       const float *residual, float *scratch)
{
    size_t pitch = few_pitch(m->from_w, m->to_w), wide = few_up(m->to_w, FEW_LANES);
    float *weights = scratch, *t = weights + few_up((size_t)FEW_TAPS * FEW_TAPS * m->deep * m->channels, 16);
    float *sums = t + m->deep * pitch, *spare = sums + (size_t)m->channels * m->to_h * wide;
    few_weights(m, weights, w);
    memset(t, 0, (char *)(spare + wide) - (char *)t);
    for (int n = 0; n < m->n; n++) {
        const float *picture = x + (size_t)n * m->from_h * m->from_w * m->deep;
        size_t to = (size_t)n * m->to_h * m->to_w * m->channels;
        if (n)
            memset(sums, 0, (char *)spare - (char *)sums);
        for (int i = 0; i < m->from_h; i++) {
            int row = m->turned ? m->from_h - 1 - i : i;
            few_transpose(t + FEW_EDGE, pitch, picture + (size_t)row * m->from_w * m->deep, m->from_w, m->deep);
            few_narrow_row(m, sums, wide, spare, t + FEW_EDGE, pitch, row, weights);
        }
        few_narrow_end(m, y + to, sums, wide, bias, residual ? residual + to : NULL);
    }
}

/* Lanes that compute one pixel of the result: fewer here than by the tile. */
static bool few_is_narrow(const ebb_conv_shape *s, const few_map *m)
{
    return few_kernel(s) && m->channels <= FEW_DEEP &&
           (size_t)m->channels * few_up(m->to_w, FEW_LANES) < (size_t)VW * m->to_w;
}

/* ---- dw ----------------------------------------------------------------------------------------- */
/* One kernel row of one channel of dy, TILE_WIDE channels of x: dw[b] += x[p + b - left] dy[p], p ascending.
 * dw: (kw, ci), x: (w, ci), dy: (ow, co). */
static void few_dw_lanes(const ebb_conv_shape *s, float *dw, const float *x, const float *dy)
{
    vf sum[FEW_TAPS][TILE_VECS], in[FEW_TAPS][TILE_VECS];
    size_t row = (size_t)s->w * s->ci;
    for (int b = 0; b < FEW_TAPS; b++) {
        for (int v = 0; v < TILE_VECS; v++) {
            sum[b][v] = vf_load(dw + b * s->ci + v * VW);
            in[b][v] = vf_zero();
        }
    }
    for (int i = -s->pad_left, p = 1 - FEW_TAPS; p < s->ow; i++, p++) {
        TILE_UNROLL
        for (int v = 0; v < TILE_VECS; v++) {
            in[0][v] = in[1][v];
            in[1][v] = in[2][v];
            in[2][v] = i >= 0 && i < s->w ? vf_load(x + (size_t)i * s->ci + v * VW) : vf_zero();
        }
        /* Pixels are far apart: no hardware sees the next row coming. */
        __builtin_prefetch(x + row + (ptrdiff_t)i * s->ci, 0, 2);
        if (p < 0)
            continue;
        vf d = vf_set1(dy[(size_t)p * s->co]);
        TILE_UNROLL
        for (int b = 0; b < FEW_TAPS; b++)
            for (int v = 0; v < TILE_VECS; v++)
                sum[b][v] = vf_fma(in[b][v], d, sum[b][v]);
    }
    for (int b = 0; b < FEW_TAPS; b++)
        for (int v = 0; v < TILE_VECS; v++)
            vf_store(dw + b * s->ci + v * VW, sum[b][v]);
}

/* sums (co, kh kw ci) <-> dw (kh kw ci, co) */
static void few_dw_gather(const ebb_conv_shape *s, float *sums, const float *dw)
{
    size_t rows = (size_t)FEW_TAPS * FEW_TAPS * s->ci;
    for (size_t r = 0; r < rows; r++)
        for (int o = 0; o < s->co; o++)
            sums[o * rows + r] = dw[r * s->co + o];
}

static void few_dw_scatter(const ebb_conv_shape *s, float *dw, const float *sums)
{
    size_t rows = (size_t)FEW_TAPS * FEW_TAPS * s->ci;
    for (size_t r = 0; r < rows; r++)
        for (int o = 0; o < s->co; o++)
            dw[r * s->co + o] = sums[o * rows + r];
}

static void few_dw(const ebb_conv_shape *s, float *dw, const float *x, const float *dy, bool accumulate, float *sums)
{
    size_t rows = (size_t)FEW_TAPS * FEW_TAPS * s->ci;
    if (accumulate)
        few_dw_gather(s, sums, dw);
    else
        memset(sums, 0, rows * s->co * sizeof *sums);
    for (int j = 0; j < s->n * s->h * (s->ci / TILE_WIDE); j++) {
        int i = j / (s->ci / TILE_WIDE), c = j % (s->ci / TILE_WIDE) * TILE_WIDE;
        const float *row = x + (size_t)i * s->w * s->ci + c;
        for (int a = 0; a < FEW_TAPS; a++) {
            int y = i % s->h + s->pad_top - a;
            if (y < 0 || y >= s->oh)
                continue;
            const float *from = dy + ((size_t)(i / s->h) * s->oh + y) * s->ow * s->co;
            for (int o = 0; o < s->co; o++)
                few_dw_lanes(s, sums + o * rows + (size_t)a * FEW_TAPS * s->ci + c, row, from + o);
        }
    }
    few_dw_scatter(s, dw, sums);
}

static bool few_is_dw(const ebb_conv_shape *s)
{
    return few_kernel(s) && s->co <= FEW_DEEP && s->ci % TILE_WIDE == 0;
}

/* ---- all ---------------------------------------------------------------------------------------- */
/* False: not for the kernels here. */
static bool few_conv(const ebb_conv_shape *s, const few_map *m, float *y, const float *x, const float *w,
                     const float *bias, const float *residual, float *scratch)
{
    bool narrow = few_is_narrow(s, m);
    if (narrow)
        few_narrow(m, y, x, w, bias, residual, scratch);
    else if (few_is_shallow(s, m))
        few_shallow(m, y, x, w, bias, residual, scratch);
    else
        return false;
    return true;
}
