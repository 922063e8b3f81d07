/* wino.tmpl.h: Winograd's convolution and its adjoint in the weights: transforms around 36 matrix products.
 *
 *   forward, each point:  M[tile, co] = sum over ci    V[tile, ci] U[ci, co]
 *   dw, each point:       U[ci, co]   = sum over tiles V[tile, ci] W[tile, co]
 * All operands are panels (wino_block.h), so one register tile serves both: rows of C are rows of a panel, and
 * A's element (row, k) lies at row * PANEL + k (forward) or row + k * PANEL (dw) of a linear stream.
 *
 * An instance includes vec_<isa>.h and defines WINO_ROWS and WINO_VECS, the register tile, before this file.
 */
#include "wino_transform.tmpl.h"
#include "wino_weight.tmpl.h"

#define WINO_DEPTH 128  /* channels whose weights stay in the first cache while tiles pass */

typedef struct wino_factor {
    const float *a, *b;    /* b: (k, PANEL) */
    size_t a_panel;        /* floats from PANEL steps of k to the next PANEL */
    size_t depth;          /* steps of k */
} wino_factor;

/* C (R, V * VW), rows PANEL apart, = A B, or added to it. */
WINO_INLINE void wino_tile(const int R, const int V, const int a_row, const int a_step, float *c, bool resume,
                           const wino_factor *f)
{
    vf s[WINO_ROWS][WINO_VECS];
    WINO_UNROLL
    for (int r = 0; r < R; r++) {
        WINO_UNROLL
        for (int v = 0; v < V; v++)
            s[r][v] = resume ? vf_load(c + r * EBB_PANEL + v * VW) : vf_zero();
    }
    const float *a = f->a, *b = f->b;
    for (size_t left = f->depth; left; a += f->a_panel) {
        size_t steps = left < EBB_PANEL ? left : EBB_PANEL;
        left -= steps;
        const float *p = a;
        for (; steps; steps--, p += a_step, b += EBB_PANEL) {
            vf bv[WINO_VECS];
            WINO_UNROLL
            for (int v = 0; v < V; v++)
                bv[v] = vf_load(b + v * VW);
            WINO_UNROLL
            for (int r = 0; r < R; r++) {
                vf av = vf_set1(p[r * a_row]);
                WINO_UNROLL
                for (int v = 0; v < V; v++)
                    s[r][v] = vf_fma(av, bv[v], s[r][v]);
            }
        }
    }
    WINO_UNROLL
    for (int r = 0; r < R; r++) {
        WINO_UNROLL
        for (int v = 0; v < V; v++)
            vf_store(c + r * EBB_PANEL + v * VW, s[r][v]);
    }
}

/* One function for each tile size, so that the sums are registers in each; a kind for each walk over A. */
typedef void wino_tile_fn(float *c, bool resume, const wino_factor *f);
#define WINO_FN(R, V) \
    static void wino_forward_##R##_##V(float *c, bool resume, const wino_factor *f) \
    { \
        wino_tile(R, V, EBB_PANEL, 1, c, resume, f); \
    } \
    static void wino_dw_##R##_##V(float *c, bool resume, const wino_factor *f) \
    { \
        wino_tile(R, V, 1, EBB_PANEL, c, resume, f); \
    }
#if WINO_VECS == 2
#define WINO_COLUMNS(R) WINO_FN(R, 1) WINO_FN(R, 2)
#define WINO_FORWARD(R) {wino_forward_##R##_1, wino_forward_##R##_2},
#define WINO_DW(R) {wino_dw_##R##_1, wino_dw_##R##_2},
#else
#define WINO_COLUMNS(R) WINO_FN(R, 1) WINO_FN(R, 2) WINO_FN(R, 3) WINO_FN(R, 4)
#define WINO_FORWARD(R) {wino_forward_##R##_1, wino_forward_##R##_2, wino_forward_##R##_3, wino_forward_##R##_4},
#define WINO_DW(R) {wino_dw_##R##_1, wino_dw_##R##_2, wino_dw_##R##_3, wino_dw_##R##_4},
#endif
#define WINO_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#if WINO_ROWS == 12
#define WINO_SIZES(X) WINO_6(X) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define WINO_SIZES(X) WINO_6(X)
#endif
WINO_SIZES(WINO_COLUMNS)
typedef wino_tile_fn *const wino_tile_fns[WINO_ROWS][WINO_VECS];
static wino_tile_fns wino_forward_fns = {WINO_SIZES(WINO_FORWARD)};
static wino_tile_fns wino_dw_fns = {WINO_SIZES(WINO_DW)};

/* C (rows, columns of one panel) in tiles of nearly equal height. a_row: floats of A from one row to the next. */
static void wino_product(wino_tile_fns fns, float *c, bool resume, const wino_factor *f, size_t a_row, size_t rows,
                         size_t columns)
{
    size_t tiles = (rows + WINO_ROWS - 1) / WINO_ROWS, high = rows / tiles, taller = rows % tiles;
    for (size_t column = 0; column < columns; column += WINO_VECS * VW) {
        size_t vecs = (columns - column + VW - 1) / VW, at = 0;
        vecs = vecs < WINO_VECS ? vecs : WINO_VECS;
        for (size_t t = 0; t < tiles; t++) {
            size_t n = high + (t < taller);
            wino_factor part = {f->a + at * a_row, f->b + column, f->a_panel, f->depth};
            fns[n - 1][vecs - 1](c + at * EBB_PANEL + column, resume, &part);
            at += n;
        }
    }
}

/* One point: m (panels of co, tiles) = v (panels of ci, tiles) by u (ci), that of the first panel. */
static void wino_point(const ebb_conv_shape *s, const wino_block *b, float *m, const float *v, const float *u,
                       size_t count)
{
    size_t panel = b->most * EBB_PANEL;
    for (size_t p = 0; p < b->out; p++, m += panel, u += wino_pack_panel(s->ci)) {
        size_t columns = s->co - p * EBB_PANEL < EBB_PANEL ? s->co - p * EBB_PANEL : EBB_PANEL;
        for (size_t k = 0; k < (size_t)s->ci; k += WINO_DEPTH) {
            size_t depth = s->ci - k < WINO_DEPTH ? s->ci - k : WINO_DEPTH;
            wino_factor f = {v + k / EBB_PANEL * panel, u + k * EBB_PANEL, panel, depth};
            wino_product(wino_forward_fns, m, k > 0, &f, EBB_PANEL, count, columns);
        }
    }
}

/* All products of one block of tiles; each piece of dw when it is complete. */
static void wino_dw_block(const ebb_conv_shape *s, const wino_block *b, float *sums, const float *v, const float *w,
                          size_t count, bool resume, bool last, float *dw, bool accumulate)
{
    /* Sums that need not wait for another block use the same room, which then stays in cache. */
    size_t panel = b->most * EBB_PANEL, piece = last && !resume ? 0 : WINO_PIECE;
    for (size_t i = 0; i < b->in; i++)
    for (size_t o = 0; o < b->out; o++, sums += piece) {
        size_t rows = s->ci - i * EBB_PANEL < EBB_PANEL ? s->ci - i * EBB_PANEL : EBB_PANEL;
        size_t columns = s->co - o * EBB_PANEL < EBB_PANEL ? s->co - o * EBB_PANEL : EBB_PANEL;
        for (size_t p = 0; p < WINO_POINTS; p++) {
            wino_factor f = {v + p * b->in_plane + i * panel, w + p * b->out_plane + o * panel, EBB_PANEL * EBB_PANEL,
                             count};
            wino_product(wino_dw_fns, sums + p * WINO_PIECE_PLANE, resume, &f, 1, rows, columns);
        }
        if (last)
            wino_gradient_piece(dw + (i * s->co + o) * EBB_PANEL, s, sums, rows, columns, accumulate);
    }
}

#include "wino_picture.tmpl.h"
#define WINO_BF16
#include "wino_picture.tmpl.h"

void EBB_INSTANCE(wino_f32)(const ebb_conv_shape *s, float *y, const float *x, const float *u, const float *bias,
                            const float *residual, void *scratch)
{
    wino_forward_f32(s, y, x, u, bias, residual, scratch);
}

void EBB_INSTANCE(wino_bf16)(const ebb_conv_shape *s, ebb_bf16 *y, const ebb_bf16 *x, const float *u,
                             const float *bias, const ebb_bf16 *residual, void *scratch)
{
    wino_forward_bf16(s, y, x, u, bias, residual, scratch);
}

void EBB_INSTANCE(wino_dw_f32)(const ebb_conv_shape *s, float *dw, const float *x, const float *dy, bool accumulate,
                               void *scratch)
{
    wino_adjoint_w_f32(s, dw, x, dy, accumulate, scratch);
}

void EBB_INSTANCE(wino_dw_bf16)(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                                bool accumulate, void *scratch)
{
    wino_adjoint_w_bf16(s, dw, x, dy, accumulate, scratch);
}
