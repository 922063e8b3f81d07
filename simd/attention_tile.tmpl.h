/* attention_tile.tmpl.h: the products of attention: small matrices that lie in cache, sums in registers.
 *
 *   C[r, j] = [C[r, j] or keep[j] C[r, j] or 0] + sum over k, ascending, of A[r, k] B[k, j]
 *
 * Columns j are vectors: mostly one query a lane. A is read in place, one number for all lanes, so that neither
 * keys nor values are packed or transposed: A[r, k] lies at r step + k (by rows) or k step + r (by columns).
 * An instance includes vec_<isa>.h and defines ATTENTION_ROWS, rows of a register tile of two vectors. It may
 * define ATTENTION_MAC(a, b, c), c + a b of what a 32-bit word holds, for words that are not floats.
 */
#include "attention.h"
#include "instances.h"
#include "math.tmpl.h"

#ifdef __clang__
#define ATTENTION_UNROLL _Pragma("clang loop unroll(full)")
#else
#define ATTENTION_UNROLL _Pragma("GCC unroll 16")
#endif

#ifndef ATTENTION_MAC
#define ATTENTION_MAC vf_fma
#endif

enum { QUERIES = ATTENTION_QUERIES };

VEC size_t attention_left(size_t i, size_t n) { return n - i < VW ? n - i : VW; }

typedef struct attention_product {
    size_t m, n, k;          /* n: readable and writable up to whole vectors */
    float *c; size_t ldc;
    const float *a; size_t step;
    const float *b; size_t ldb;
    const float *keep;       /* (n) or NULL */
    bool resume;             /* sums start from C; from 0 if not */
} attention_product;

static inline __attribute__((always_inline)) void
attention_tile(const int R, const int V, const bool by_rows, const attention_product *p, float *c, const float *a,
               const float *b, const float *keep)
{
    const size_t step = p->step, ldb = p->ldb, ldc = p->ldc;
    /* Every third row has a pointer: an address takes one register more, and there are not many. */
    const float *row[(ATTENTION_ROWS + 2) / 3];
    vf s[ATTENTION_ROWS][2];
    ATTENTION_UNROLL
    for (int r = 0; r < R; r++) {
        ATTENTION_UNROLL
        for (int v = 0; v < V; v++) {
            s[r][v] = p->resume ? vf_load(c + r * ldc + v * VW) : vf_zero();
            if (keep)
                s[r][v] = vf_mul(s[r][v], vf_load(keep + v * VW));
        }
    }
    ATTENTION_UNROLL
    for (int i = 0; i < (R + 2) / 3; i++)
        row[i] = by_rows ? a + 3 * i * step : a + 3 * i;
    for (size_t k = p->k; k > 0; k--) {
        vf bv[2];
        ATTENTION_UNROLL
        for (int v = 0; v < V; v++)
            bv[v] = vf_load(b + v * VW);
        ATTENTION_UNROLL
        for (int r = 0; r < R; r++) {
            vf av = vf_set1(by_rows ? row[r / 3][r % 3 * step] : a[r]);
            ATTENTION_UNROLL
            for (int v = 0; v < V; v++)
                s[r][v] = ATTENTION_MAC(av, bv[v], s[r][v]);
        }
        ATTENTION_UNROLL
        for (int i = 0; i < (R + 2) / 3; i++)
            row[i]++;
        a += step;
        b += ldb;
    }
    ATTENTION_UNROLL
    for (int r = 0; r < R; r++) {
        ATTENTION_UNROLL
        for (int v = 0; v < V; v++)
            vf_store(c + r * ldc + v * VW, s[r][v]);
    }
}

/* One function per tile size, so that the sums are registers in each. */
typedef void attention_fn(const attention_product *p, float *c, const float *a, const float *b, const float *keep);
#define ATTENTION_FN(R, V)                                                                                         \
    static void attention_rows_##R##_##V(const attention_product *p, float *c, const float *a, const float *b,     \
                                         const float *keep)                                                        \
    {                                                                                                              \
        attention_tile(R, V, true, p, c, a, b, keep);                                                              \
    }                                                                                                              \
    static void attention_columns_##R##_##V(const attention_product *p, float *c, const float *a, const float *b,  \
                                            const float *keep)                                                     \
    {                                                                                                              \
        attention_tile(R, V, false, p, c, a, b, keep);                                                             \
    }
#define ATTENTION_PAIR(R) ATTENTION_FN(R, 1) ATTENTION_FN(R, 2)
#define ATTENTION_BY_ROWS(R) {attention_rows_##R##_1, attention_rows_##R##_2},
#define ATTENTION_BY_COLUMNS(R) {attention_columns_##R##_1, attention_columns_##R##_2},
#define ATTENTION_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#if ATTENTION_ROWS == 12
#define ATTENTION_SIZES(X) ATTENTION_6(X) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define ATTENTION_SIZES(X) ATTENTION_6(X)
#endif
ATTENTION_SIZES(ATTENTION_PAIR)
static attention_fn *const attention_by_rows[ATTENTION_ROWS][2] = {ATTENTION_SIZES(ATTENTION_BY_ROWS)};
static attention_fn *const attention_by_columns[ATTENTION_ROWS][2] = {ATTENTION_SIZES(ATTENTION_BY_COLUMNS)};

/* Rows in tiles as even as can be: a thin last one would leave the adders waiting. */
static void attention_multiply(attention_fn *const fn[][2], const attention_product *p, size_t row_step)
{
    size_t tiles = (p->m + ATTENTION_ROWS - 1) / ATTENTION_ROWS;
    for (size_t t = 0; t < tiles; t++) {
        size_t r = p->m * t / tiles, count = p->m * (t + 1) / tiles - r;
        for (size_t j = 0; j < p->n; j += 2 * VW)
            fn[count - 1][p->n - j > VW](p, p->c + r * p->ldc + j, p->a + r * row_step, p->b + j,
                                         p->keep ? p->keep + j : NULL);
    }
}

static void attention_multiply_rows(const attention_product *p) { attention_multiply(attention_by_rows, p, p->step); }
static void attention_multiply_columns(const attention_product *p) { attention_multiply(attention_by_columns, p, 1); }
