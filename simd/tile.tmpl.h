/* tile.tmpl.h: the register tile that every matrix product and convolution runs on.
 *
 * A tile is TILE_GROUPS groups of TILE_ROWS rows of A times TILE_VECS vectors of columns of B, its sums
 * in registers over the whole chain:  C[r,j] = fma(A[r,k], B[k,j], C[r,j]), k ascending. The rows of
 * a group lie `row` apart, the groups anywhere; k walks over outer x inner segments of len steps, so
 * that the taps of a convolution and the rows of a picture are walked without a copy.
 * Blocking after Goto & van de Geijn 2008, with rows found by address instead of packed.
 *
 * An instance includes vec_<isa>.h and defines TILE_ROWS, TILE_GROUPS, TILE_VECS before this file.
 */
#include <string.h>

#include "conv_block.h"
#include "instances.h"

#ifdef __clang__
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 16")
#endif

#define TILE_ALL (TILE_GROUPS * TILE_ROWS)
#define TILE_WIDE (TILE_VECS * VW)

typedef struct tile_walk {
    size_t outer, inner, len;              /* k = (outer, inner, len), ascending; a job's: of its groups */
    ptrdiff_t a_outer, a_inner, a_step;    /* floats from the start of the row */
    ptrdiff_t b_outer, b_inner, b_step;
} tile_walk;

typedef struct tile_job {
    const float *a, *b;
    float *c;
    ptrdiff_t a_row, c_row;                /* from one row of a group to the next */
    tile_walk k;
    size_t columns;                        /* of C; B is readable for whole vectors */
    const float *bias, *residual;          /* NULL: none; residual laid out as c */
    bool accumulate;                       /* chains start from C */
    float *sums;                           /* where chains in parts wait, tile after tile; NULL: one part */
    bool resume, pause;                    /* a part before this one; one after it */
} tile_job;

/* sum: (TILE_ALL, TILE_WIDE), of which G groups and V vectors take part. */
static inline __attribute__((always_inline)) void
tile_chain(const int G, const int V, float *sum, bool resume, const float *const *a, ptrdiff_t row,
           const float *b, const tile_walk *w)
{
    vf s[TILE_ALL][TILE_VECS];
    TILE_UNROLL
    for (int r = 0; r < G * TILE_ROWS; r++) {
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            s[r][v] = resume ? vf_load(sum + r * TILE_WIDE + v * VW) : vf_set1(0.0f);
    }
    for (size_t o = 0; o < w->outer; o++) {
        for (size_t i = 0; i < w->inner; i++) {
            const float *p[TILE_GROUPS], *q = b + (ptrdiff_t)o * w->b_outer + (ptrdiff_t)i * w->b_inner;
            TILE_UNROLL
            for (int g = 0; g < G; g++)
                p[g] = a[g] + (ptrdiff_t)o * w->a_outer + (ptrdiff_t)i * w->a_inner;
            for (size_t k = w->len; k; k--) {
                vf bv[TILE_VECS];
                TILE_UNROLL
                for (int v = 0; v < V; v++)
                    bv[v] = vf_load(q + v * VW);
                TILE_UNROLL
                for (int r = 0; r < G * TILE_ROWS; r++) {
                    vf av = vf_set1(p[r / TILE_ROWS][r % TILE_ROWS * row]);
                    TILE_UNROLL
                    for (int v = 0; v < V; v++)
                        s[r][v] = vf_fma(av, bv[v], s[r][v]);
                }
                TILE_UNROLL
                for (int g = 0; g < G; g++)
                    p[g] += w->a_step;
                q += w->b_step;
            }
        }
    }
    TILE_UNROLL
    for (int r = 0; r < G * TILE_ROWS; r++) {
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            vf_store(sum + r * TILE_WIDE + v * VW, s[r][v]);
    }
}

/* One function per tile size, so that the sums are registers in each. */
#define TILE_FN(G, V) \
    static void tile_##G##_##V(float *sum, bool resume, const float *const *a, ptrdiff_t row, const float *b, \
                               const tile_walk *w) \
    { \
        tile_chain(G, V, sum, resume, a, row, b, w); \
    }
typedef void tile_fn(float *sum, bool resume, const float *const *a, ptrdiff_t row, const float *b,
                     const tile_walk *w);
#define TILE_FNS(V) TILE_FN(1, V) TILE_FN(2, V) TILE_FN(3, V)
#define TILE_ROW(V) { tile_1_##V, tile_2_##V, tile_3_##V }
_Static_assert(TILE_GROUPS == 3, "TILE_FNS lists the sizes");
#if TILE_VECS == 2
TILE_FNS(1)
TILE_FNS(2)
static tile_fn *const tile_fns[TILE_VECS][TILE_GROUPS] = { TILE_ROW(1), TILE_ROW(2) };
#else
TILE_FNS(1)
TILE_FNS(2)
TILE_FNS(3)
TILE_FNS(4)
static tile_fn *const tile_fns[TILE_VECS][TILE_GROUPS] = { TILE_ROW(1), TILE_ROW(2), TILE_ROW(3), TILE_ROW(4) };
#endif

/* C -> sums, where chains go on from C. */
static inline void tile_begin(float *sum, const tile_job *j, const tile_group *g, size_t column, size_t count)
{
    for (int r = 0; r < g->rows; r++)
        memcpy(sum + r * TILE_WIDE, j->c + g->c + r * j->c_row + column, count * sizeof *sum);
}

static inline vf tile_epilogue(const tile_job *j, ptrdiff_t at, vf s, size_t column, size_t n)
{
    if (j->bias)
        s = vf_add(s, n == VW ? vf_load(j->bias + column) : vf_load_n(j->bias + column, n));
    if (j->residual)
        s = vf_add(s, n == VW ? vf_load(j->residual + at) : vf_load_n(j->residual + at, n));
    return s;
}

/* Sums -> C, after the last k. */
static inline void tile_end(const tile_job *j, const tile_group *g, const float *sum, size_t column, size_t count)
{
    for (int r = 0; r < g->rows; r++, sum += TILE_WIDE) {
        ptrdiff_t at = g->c + r * j->c_row + (ptrdiff_t)column;
        size_t i = 0;
        for (; i + VW <= count; i += VW)
            vf_store(j->c + at + i, tile_epilogue(j, at + i, vf_load(sum + i), column + i, VW));
        if (i < count)
            vf_store_n(j->c + at + i, tile_epilogue(j, at + i, vf_load(sum + i), column + i, count - i), count - i);
    }
}

/* One tile; sum: its (TILE_ALL, TILE_WIDE). */
static void tile_one(const tile_job *j, const tile_group *groups, int n, float *sum, size_t column, size_t wide)
{
    const float *a[TILE_GROUPS];
    tile_walk k = j->k;
    k.outer = groups->outer;
    k.inner = groups->inner;
    for (int g = 0; g < n; g++) {
        a[g] = j->a + groups[g].a;
        if (j->accumulate && !j->resume)
            tile_begin(sum + g * TILE_ROWS * TILE_WIDE, j, &groups[g], column, wide);
    }
    const float *b = j->b + groups->b + column;
    tile_fns[(wide - 1) / VW][n - 1](sum, j->accumulate || j->resume, a, j->a_row, b, &k);
    for (int g = 0; g < n && !j->pause; g++)
        tile_end(j, &groups[g], sum + g * TILE_ROWS * TILE_WIDE, column, wide);
}

/* How many of the next groups share a tile. */
static inline int tile_take(const tile_group *g, size_t count)
{
    int n = 1;
    while (n < TILE_GROUPS && (size_t)n < count && g[n].b == g->b && g[n].outer == g->outer &&
           g[n].inner == g->inner)
        n++;
    return n;
}

/* All groups by all columns. */
static void tile_run(const tile_job *j, const tile_group *groups, size_t count)
{
    _Alignas(64) float local[TILE_ALL * TILE_WIDE];
    float *sum = j->sums ? j->sums : local;
    for (size_t column = 0; column < j->columns; column += TILE_WIDE) {
        size_t wide = j->columns - column < TILE_WIDE ? j->columns - column : TILE_WIDE;
        int n;
        for (size_t t = 0; t < count; t += n) {
            n = tile_take(groups + t, count - t);
            tile_one(j, groups + t, n, sum, column, wide);
            if (j->sums)
                sum += TILE_ALL * TILE_WIDE;
        }
    }
}
