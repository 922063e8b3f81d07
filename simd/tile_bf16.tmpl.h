/* tile_bf16.tmpl.h: the register tile of tile.tmpl.h for bfloat16 with sums in f32.
 *
 * B holds pairs of k (bf16.h), and k is walked by pairs: outer x inner segments of `len` steps each, of which an odd
 * last one has no partner. How a pair is multiplied is the instance's: it includes vec_<isa>.h, defines TILE_ROWS
 * (6 or 12) and TILE_VECS (2 or 4), and names in PAIR_HEADER a file with
 *   pair_a         a number of A: float, or ebb_bf16
 *   PAIR_SHALLOW   up to so many channels into many are faster as floats than by pairs
 *   pair_segment   one segment of k for the whole tile, numbers k.. of the rows p
 *   pair_fold      rows <-> sums, where these lie otherwise while they grow
 *   pair_put       VW sums -> bfloat16
 *   pair_copy, pair_put_a    numbers as tiles read them, from bfloat16 and from VW floats
 */
#include <string.h>

#include "bf16.h"
#include "conv_walk.h"
#include "instances.h"

#ifdef __clang__
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 16")
#endif

#define TILE_WIDE (TILE_VECS * VW)

#include PAIR_HEADER

typedef struct pair_walk {
    size_t outer, inner, len;              /* k = (outer, inner, len), ascending */
    ptrdiff_t a_outer, a_inner;            /* numbers from the start of the row */
    ptrdiff_t b_outer, b_inner;
} pair_walk;

typedef struct pair_job {
    const pair_a *a;
    const ebb_bf16 *b;
    void *c;
    bool c_f32, accumulate;                /* accumulate: of f32 only */
    pair_walk k;                           /* outer and inner: of each row */
    bool touching;                         /* inner segments follow each other without a gap */
    size_t columns;
    const float *bias;                     /* NULL: none; and the residual, laid out as c */
    const ebb_bf16 *residual;
} pair_job;

/* n <= VW sums -> C at `at`, columns from `column` on. */
static inline __attribute__((always_inline)) void
pair_store(const pair_job *j, ptrdiff_t at, vf s, size_t column, const size_t n)
{
    if (j->bias)
        s = vf_add(s, n == VW ? vf_load(j->bias + column) : vf_load_n(j->bias + column, n));
    if (j->residual)
        s = vf_add(s, n == VW ? vf_load_bf16(j->residual + at) : vf_load_bf16_n(j->residual + at, n));
    if (j->c_f32)
        vf_store_n((float *)j->c + at, s, n);
    else if (n == VW)
        pair_put((ebb_bf16 *)j->c + at, s);
    else
        vf_store_bf16_n((ebb_bf16 *)j->c + at, s, n);
}

/* R rows by V vectors from a column on; sum: (TILE_ROWS, TILE_WIDE), where sums come from and go to, or NULL: C. */
static inline __attribute__((always_inline)) void
pair_chain(const int R, const int V, const pair_job *j, const tile_row *rows, const pair_walk *w, size_t column,
           float *sum)
{
    vf s[TILE_ROWS][TILE_VECS];
    TILE_UNROLL
    for (int r = 0; r < TILE_ROWS; r++) {
        const float *from = !j->accumulate || r >= R ? NULL
                          : sum ? sum + r * TILE_WIDE : (const float *)j->c + rows[r].c + column;
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            s[r][v] = from ? vf_load(from + v * VW) : vf_zero();
    }
    pair_fold(R, V, s);
    const pair_a *p[TILE_ROWS];
    TILE_UNROLL
    for (int r = 0; r < R; r++)
        p[r] = j->a + rows[r].a;
    const ebb_bf16 *b = j->b + rows->b + 2 * column;
    for (size_t o = 0; o < w->outer; o++)
        for (size_t i = 0; i < w->inner; i++)
            pair_segment(R, V, s, p, (ptrdiff_t)o * w->a_outer + (ptrdiff_t)i * w->a_inner,
                         b + (ptrdiff_t)o * w->b_outer + (ptrdiff_t)i * w->b_inner, w->len);
    pair_fold(R, V, s);
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        TILE_UNROLL
        for (int v = 0; v < V; v++) {
            if (sum)
                vf_store(sum + r * TILE_WIDE + v * VW, s[r][v]);
            else
                pair_store(j, rows[r].c + (ptrdiff_t)column + v * VW, s[r][v], column + v * VW, VW);
        }
    }
}

/* One function per tile size, so that the sums are registers in each. */
typedef void pair_fn(const pair_job *j, const tile_row *rows, const pair_walk *w, size_t column, float *sum);
#define PAIR_FN(R, V)                                                                                          \
    static void pair_##R##_##V(const pair_job *j, const tile_row *rows, const pair_walk *w, size_t column,     \
                               float *sum)                                                                     \
    {                                                                                                          \
        pair_chain(R, V, j, rows, w, column, sum);                                                             \
    }
#if TILE_VECS == 2
#define PAIR_COLUMNS(R) PAIR_FN(R, 1) PAIR_FN(R, 2)
#define PAIR_ENTRY(R) {pair_##R##_1, pair_##R##_2},
#else
#define PAIR_COLUMNS(R) PAIR_FN(R, 1) PAIR_FN(R, 2) PAIR_FN(R, 3) PAIR_FN(R, 4)
#define PAIR_ENTRY(R) {pair_##R##_1, pair_##R##_2, pair_##R##_3, pair_##R##_4},
#endif
#define PAIR_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#if TILE_ROWS == 12
#define PAIR_SIZES(X) PAIR_6(X) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define PAIR_SIZES(X) PAIR_6(X)
#endif
PAIR_SIZES(PAIR_COLUMNS)
static pair_fn *const pair_fns[TILE_ROWS][TILE_VECS] = {PAIR_SIZES(PAIR_ENTRY)};

/* One tile; where its last vector is not full, sums pass through memory. */
static void pair_one(const pair_job *j, const tile_row *rows, int n, size_t column, size_t wide)
{
    _Alignas(64) float sum[TILE_ROWS * TILE_WIDE];
    bool direct = wide % VW == 0;
    pair_walk k = j->k;
    k.outer = rows->outer;
    k.inner = rows->inner;
    if (j->touching) {
        k.len *= k.inner;
        k.inner = 1;
    }
    for (int r = 0; r < n && !direct && j->accumulate; r++)
        memcpy(sum + r * TILE_WIDE, (float *)j->c + rows[r].c + column, wide * sizeof *sum);
    pair_fns[n - 1][(wide - 1) / VW](j, rows, &k, column, direct ? NULL : sum);
    for (int r = 0; r < n && !direct; r++)
        for (size_t i = 0; i < wide; i += VW)
            pair_store(j, rows[r].c + (ptrdiff_t)(column + i), vf_load(sum + r * TILE_WIDE + i), column + i,
                       wide - i < VW ? wide - i : VW);
}

/* How many of the next rows share a tile. */
static inline int pair_take(const tile_row *r, size_t count)
{
    int n = 1;
    while (n < TILE_ROWS && (size_t)n < count && r[n].b == r->b && r[n].outer == r->outer &&
           r[n].inner == r->inner)
        n++;
    return n;
}

/* All rows by all columns. */
static void pair_run(const pair_job *j, const tile_row *rows, size_t count)
{
    for (size_t column = 0; column < j->columns; column += TILE_WIDE) {
        size_t wide = j->columns - column < TILE_WIDE ? j->columns - column : TILE_WIDE;
        int n;
        for (size_t t = 0; t < count; t += n) {
            n = pair_take(rows + t, count - t);
            pair_one(j, rows + t, n, column, wide);
        }
    }
}

/* All panels of packed weights, depth pairs each, over the rows. */
static void pair_panels(pair_job *j, size_t depth, size_t columns, const tile_row *rows, size_t count)
{
    pair_job p = *j;
    for (size_t first = 0; first < columns; first += EBB_PANEL) {
        p.b = j->b + first * depth * 2;
        p.c = j->c_f32 ? (void *)((float *)j->c + first) : (void *)((ebb_bf16 *)j->c + first);
        p.columns = columns - first < EBB_PANEL ? columns - first : EBB_PANEL;
        p.bias = j->bias ? j->bias + first : NULL;
        p.residual = j->residual ? j->residual + first : NULL;
        pair_run(&p, rows, count);
    }
}
