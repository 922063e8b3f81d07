/* tile.tmpl.h: the register tile that every matrix product and convolution runs on.
 *
 * A tile is TILE_ROWS rows of A times TILE_VECS vectors of columns of B, its sums in registers over the
 * whole chain:  C[r,j] = fma(A[r,k], B[k,j], C[r,j]), k ascending. Rows lie anywhere: each has a pointer, so
 * pixels of any rows and pictures make full tiles. k walks over outer x inner segments of len steps,
 * so that the taps of a convolution and the rows of a picture are walked without a copy.
 * Blocking after Goto & van de Geijn 2008, with rows of A found by address instead of packed.
 *
 * An instance includes vec_<isa>.h and defines TILE_ROWS (6 or 12) and TILE_VECS (2 or 4) before this file.
 */
#include <string.h>

#include "conv_block.h"
#include "instances.h"
#include "tile_ahead.h"

#ifdef __clang__
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 16")
#endif

#define TILE_WIDE (TILE_VECS * VW)
#define TILE_FAR 32   /* steps of a chain in which memory answers */

typedef struct tile_walk {
    size_t outer, inner, len;              /* k = (outer, inner, len), ascending */
    ptrdiff_t a_outer, a_inner, a_step;    /* floats from the start of the row */
    ptrdiff_t b_outer, b_inner, b_step;
} tile_walk;

typedef struct tile_job {
    const float *a, *b;
    float *c;
    tile_walk k;                           /* outer and inner: of each row */
    size_t columns;                        /* of C; B is readable for whole vectors */
    const float *bias, *residual;          /* NULL: none; residual laid out as c */
    bool accumulate;                       /* chains start from C */
    bool alike;                            /* all rows have the chains of the first */
    size_t most;                           /* rows of a tile; 0: TILE_ROWS */
    float *sums;                           /* where chains in parts wait, tile after tile; NULL: one part */
    bool resume, pause;                    /* a part before this one; one after it */
    tile_ahead ahead[2];                   /* of A and of B */
} tile_job;

/* One segment of k, of len > 0 steps; p: where rows end (an index that runs up to 0 saves a register). */
static inline __attribute__((always_inline)) void
tile_segment(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const float *const *p, const float *b,
             size_t len, const ptrdiff_t a_step, const ptrdiff_t b_step)
{
    ptrdiff_t k = -(ptrdiff_t)len * a_step;
    do {
        vf bv[TILE_VECS];
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            bv[v] = vf_load(b + v * VW);
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            vf av = vf_set1(p[r][k]);
            TILE_UNROLL
            for (int v = 0; v < V; v++)
                s[r][v] = vf_fma(av, bv[v], s[r][v]);
        }
        k += a_step;
        b += b_step;
    } while (k);
}

/* R rows by V vectors; c: where sums (+ bias + residual, unless NULL) are stored, and come from if they resume. */
static inline __attribute__((always_inline)) void
tile_chain(const int R, const int V, float *const *c, bool resume, const float *const *a, const float *b,
           const tile_walk *w, const float *bias, const float *const *residual)
{
    vf s[TILE_ROWS][TILE_VECS];
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            s[r][v] = resume ? vf_load(c[r] + v * VW) : vf_zero();
    }
    for (size_t o = 0; o < w->outer; o++) {
        for (size_t i = 0; w->len && i < w->inner; i++) {
            const ptrdiff_t end = (ptrdiff_t)(o * w->a_outer + i * w->a_inner + w->len * w->a_step);
            const float *p[TILE_ROWS], *q = b + o * w->b_outer + i * w->b_inner;
            TILE_UNROLL
            for (int r = 0; r < R; r++)
                p[r] = a[r] + end;
            if (w->a_step == 1 && w->b_step == EBB_PANEL)
                tile_segment(R, V, s, p, q, w->len, 1, EBB_PANEL);
            else
                tile_segment(R, V, s, p, q, w->len, w->a_step, w->b_step);
        }
    }
    TILE_UNROLL
    for (int v = 0; v < V && bias; v++) {
        vf add = vf_load(bias + v * VW);
        TILE_UNROLL
        for (int r = 0; r < R; r++)
            s[r][v] = vf_add(s[r][v], add);
    }
    if (residual) {
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            TILE_UNROLL
            for (int v = 0; v < V; v++)
                s[r][v] = vf_add(s[r][v], vf_load(residual[r] + v * VW));
        }
    }
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            vf_store(c[r] + v * VW, s[r][v]);
    }
}

/* One function per tile size, so that the sums are registers in each. */
typedef void tile_fn(float *const *c, bool resume, const float *const *a, const float *b, const tile_walk *w,
                     const float *bias, const float *const *residual);
#define TILE_FN(R, V) \
    static void tile_##R##_##V(float *const *c, bool resume, const float *const *a, const float *b, \
                               const tile_walk *w, const float *bias, const float *const *residual) \
    { \
        tile_chain(R, V, c, resume, a, b, w, bias, residual); \
    }
#if TILE_VECS == 2
#define TILE_COLUMNS(R) TILE_FN(R, 1) TILE_FN(R, 2)
#define TILE_ENTRY(R) {tile_##R##_1, tile_##R##_2},
#else
#define TILE_COLUMNS(R) TILE_FN(R, 1) TILE_FN(R, 2) TILE_FN(R, 3) TILE_FN(R, 4)
#define TILE_ENTRY(R) {tile_##R##_1, tile_##R##_2, tile_##R##_3, tile_##R##_4},
#endif
#define TILE_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#if TILE_ROWS == 12
#define TILE_SIZES(X) TILE_6(X) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define TILE_SIZES(X) TILE_6(X)
#endif
TILE_SIZES(TILE_COLUMNS)
static tile_fn *const tile_fns[TILE_ROWS][TILE_VECS] = {TILE_SIZES(TILE_ENTRY)};

static inline vf tile_epilogue(const tile_job *j, ptrdiff_t at, vf s, size_t column, size_t n)
{
    if (j->bias)
        s = vf_add(s, n == VW ? vf_load(j->bias + column) : vf_load_n(j->bias + column, n));
    if (j->residual)
        s = vf_add(s, n == VW ? vf_load(j->residual + at) : vf_load_n(j->residual + at, n));
    return s;
}

/* Sums of one row -> C, after the last k. */
static inline void tile_end(const tile_job *j, ptrdiff_t at, const float *sum, size_t column, size_t count)
{
    size_t i = 0;
    for (; i + VW <= count; i += VW)
        vf_store(j->c + at + i, tile_epilogue(j, at + i, vf_load(sum + i), column + i, VW));
    if (i < count)
        vf_store_n(j->c + at + i, tile_epilogue(j, at + i, vf_load(sum + i), column + i, count - i),
                   count - i);
}

/* One tile; sum: (TILE_ROWS, TILE_WIDE), for where C itself cannot take the sums: a part of a vector would be
 * written beyond it, or chains have parts and C is still the residual. */
static void tile_one(const tile_job *j, const tile_row *rows, int n, float *sum, size_t column, size_t wide)
{
    bool direct = !j->sums && wide % VW == 0;
    const float *bias = direct && j->bias ? j->bias + column : NULL;
    const float *a[TILE_ROWS], *residual[TILE_ROWS];
    float *c[TILE_ROWS];
    tile_walk k = j->k;
    k.outer = rows->outer;
    k.inner = rows->inner;
    for (int r = 0; r < n; r++) {
        a[r] = j->a + rows[r].a;
        c[r] = direct ? j->c + rows[r].c + column : sum + r * TILE_WIDE;
        if (!direct && j->accumulate && !j->resume)
            memcpy(c[r], j->c + rows[r].c + column, wide * sizeof *sum);
    }
    /* Stores would wait for these lines; a short chain is over before they come. */
    for (int r = 0; r < n && direct && k.outer * k.inner * k.len >= TILE_FAR; r++)
        for (size_t i = 0; i < wide; i += 16)
            __builtin_prefetch(c[r] + i, 1, 2);
    bool add = direct && j->residual;
    for (int r = 0; r < n && add; r++) {
        residual[r] = j->residual + rows[r].c + column;
        for (size_t i = 0; i < wide; i += 16)
            __builtin_prefetch(residual[r] + i, 0, 2);
    }
    tile_fns[n - 1][(wide - 1) / VW](c, j->accumulate || j->resume, a, j->b + rows->b + column, &k, bias,
                                     add ? residual : NULL);
    for (int r = 0; r < n && !direct && !j->pause; r++)
        tile_end(j, rows[r].c + (ptrdiff_t)column, c[r], column, wide);
}

/* How many of the next rows share their chains. */
static inline size_t tile_alike(const tile_row *r, size_t count)
{
    size_t n = 1;
    while (n < count && r[n].b == r->b && r[n].outer == r->outer && r[n].inner == r->inner)
        n++;
    return n;
}

/* Rows of the next tile of `left`: the last two are alike, as a thin one would leave the adders waiting. */
static inline size_t tile_take(size_t left, size_t most)
{
    return left <= most ? left : left < 2 * most ? (left + 1) / 2 : most;
}

/* All rows by all columns. */
static void tile_run(tile_job *j, const tile_row *rows, size_t count)
{
    _Alignas(64) float local[TILE_ROWS * TILE_WIDE];
    float *sum = j->sums ? j->sums : local;
    for (size_t column = 0; column < j->columns; column += TILE_WIDE) {
        size_t wide = j->columns - column < TILE_WIDE ? j->columns - column : TILE_WIDE;
        for (size_t t = 0, end, n, most = j->most ? j->most : TILE_ROWS; t < count; ) {
            for (end = j->alike ? count : t + tile_alike(rows + t, count - t); t < end; t += n) {
                n = tile_take(end - t, most);
                tile_look_ahead(&j->ahead[0]);
                tile_look_ahead(&j->ahead[1]);
                tile_one(j, rows + t, (int)n, sum, column, wide);
                if (j->sums)
                    sum += n * TILE_WIDE;
            }
        }
    }
}
