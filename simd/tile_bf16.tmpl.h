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
 *   pair_rows      rows of A, in place or as a copy
 *   pair_turn, pair_turned    a panel of A whose rows are channels of `len` pixels, PAIR_TURNED_ROW numbers apart, and
 *                  its segment
 *   pair_copy, pair_put_a    numbers as tiles read them, from bfloat16 and from VW floats
 */
#include <string.h>

#include "bf16.h"
#include "conv_walk.h"
#include "instances.h"
#include "tile_ahead.h"

#ifdef __clang__
#define TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TILE_UNROLL _Pragma("GCC unroll 16")
#endif

#define TILE_WIDE (TILE_VECS * VW)

/* Columns of pixels (rows, wide, c), in pairs along a row, zero filled: a panel. */
static void pair_pixels(ebb_bf16 *panel, const ebb_bf16 *from, size_t rows, int wide, int c, size_t columns)
{
    for (size_t r = 0; r < rows; r++) {
        for (int x = 0; x < wide; x += 2, panel += 2 * EBB_PANEL) {
            const ebb_bf16 *even = from + (ptrdiff_t)x * c;
            bool single = x + 1 == wide;
            for (size_t i = 0; i < EBB_PANEL; i += VW, even += VW) {
                size_t n = i + VW <= columns ? VW : i < columns ? columns - i : 0;
                vf a = n == VW ? vf_load_bf16(even) : vf_load_bf16_n(even, n);
                vf b = single ? vf_zero() : n == VW ? vf_load_bf16(even + c) : vf_load_bf16_n(even + c, n);
                vi pair = vi_or(vi_shr(vf_bits(a), 16), vf_bits(b));
                vf_store((float *)(void *)(panel + 2 * i), vi_float_bits(pair));
            }
        }
        from += (ptrdiff_t)wide * c;
    }
}

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
    bool alike;                            /* all rows have the chains of the first */
    bool turned;                           /* A is a panel by pair_turn */
    size_t columns;
    const float *bias;                     /* NULL: none; and the residual, laid out as c */
    const ebb_bf16 *residual;
    tile_ahead ahead, weights;             /* asked for by each tile; by each PAIR_ASK steps of k */
} pair_job;

/* Short enough that what is asked for between two stretches does not make them wait. */
enum { PAIR_ASK = 128, PAIR_ASK_LINES = 24 };

/* n <= VW finished sums -> C at `at`. */
static inline __attribute__((always_inline)) void
pair_store(const pair_job *j, ptrdiff_t at, vf s, const size_t n)
{
    if (j->c_f32)
        vf_store_n((float *)j->c + at, s, n);
    else if (n == VW)
        pair_put((ebb_bf16 *)j->c + at, s);
    else
        vf_store_bf16_n((ebb_bf16 *)j->c + at, s, n);
}

/* Sums of a part of a row, from a column on -> C. */
static inline void pair_end(const pair_job *j, ptrdiff_t at, const float *sum, size_t column, size_t count)
{
    for (size_t i = 0; i < count; i += VW) {
        size_t n = count - i < VW ? count - i : VW;
        vf s = vf_load(sum + i);
        if (j->bias)
            s = vf_add(s, vf_load_n(j->bias + column + i, n));
        if (j->residual)
            s = vf_add(s, vf_load_bf16_n(j->residual + at + i, n));
        pair_store(j, at + (ptrdiff_t)i, s, n);
    }
}

/* R rows by V vectors of sums -> C, from a column on. */
static inline __attribute__((always_inline)) void
pair_finish(const int R, const int V, const pair_job *j, const tile_row *rows, vf s[TILE_ROWS][TILE_VECS],
            size_t column)
{
    if (j->bias) {
        TILE_UNROLL
        for (int v = 0; v < V; v++) {
            vf bias = vf_load(j->bias + column + v * VW);
            TILE_UNROLL
            for (int r = 0; r < R; r++)
                s[r][v] = vf_add(s[r][v], bias);
        }
    }
    if (j->residual) {
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            TILE_UNROLL
            for (int v = 0; v < V; v++)
                s[r][v] = vf_add(s[r][v], vf_load_bf16(j->residual + rows[r].c + column + v * VW));
        }
    }
    if (j->c_f32) {
        float *c = (float *)j->c + column;
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            TILE_UNROLL
            for (int v = 0; v < V; v++)
                vf_store(c + rows[r].c + v * VW, s[r][v]);
        }
    } else {
        ebb_bf16 *c = (ebb_bf16 *)j->c + column;
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            TILE_UNROLL
            for (int v = 0; v < V; v++)
                pair_put(c + rows[r].c + v * VW, s[r][v]);
        }
    }
}

/* R rows by V vectors from a column on; sum: (TILE_ROWS, TILE_WIDE), where sums come from and go to, or NULL: C. */
static inline __attribute__((always_inline)) void
pair_chain(const int R, const int V, const bool turned, pair_job *j, const tile_row *rows, const pair_walk *w,
           size_t column, float *sum)
{
    vf s[TILE_ROWS][TILE_VECS];
    TILE_UNROLL
    for (int r = 0; r < TILE_ROWS; r++) {
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            s[r][v] = vf_zero();
    }
    if (j->accumulate) {
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            const float *from = sum ? sum + r * TILE_WIDE : (const float *)j->c + rows[r].c + column;
            TILE_UNROLL
            for (int v = 0; v < V; v++)
                s[r][v] = vf_load(from + v * VW);
        }
    }
    pair_fold(R, V, s);
    const pair_a *p[TILE_ROWS];
    TILE_UNROLL
    for (int r = 0; r < R; r++)
        p[r] = j->a + rows[r].a;
    const ebb_bf16 *b = j->b + rows->b + 2 * column;
    if (turned)
        pair_turned(R, V, s, p[0], b, w->len);
    for (size_t o = 0; o < w->outer && !turned; o++) {
        for (size_t i = 0; i < w->inner; i++) {
            ptrdiff_t k = (ptrdiff_t)o * w->a_outer + (ptrdiff_t)i * w->a_inner;
            const ebb_bf16 *at = b + (ptrdiff_t)o * w->b_outer + (ptrdiff_t)i * w->b_inner;
            for (size_t left = w->len, len; left; left -= len, k += (ptrdiff_t)len, at += len * EBB_PANEL) {
                len = left < PAIR_ASK ? left : PAIR_ASK;
                tile_look_ahead(&j->weights);
                pair_segment(R, V, s, p, k, at, len);
            }
        }
    }
    pair_fold(R, V, s);
    if (sum) {
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            TILE_UNROLL
            for (int v = 0; v < V; v++)
                vf_store(sum + r * TILE_WIDE + v * VW, s[r][v]);
        }
        return;
    }
    pair_finish(R, V, j, rows, s, column);
}

/* One function per tile size, so that the sums are registers in each. */
typedef void pair_fn(pair_job *j, const tile_row *rows, const pair_walk *w, size_t column, float *sum);
#define PAIR_FN(R, V)                                                                                          \
    static void pair_##R##_##V(pair_job *j, const tile_row *rows, const pair_walk *w, size_t column,           \
                               float *sum)                                                                     \
    {                                                                                                          \
        pair_chain(R, V, false, j, rows, w, column, sum);                                                      \
    }                                                                                                          \
    static void pair_turned_##R##_##V(pair_job *j, const tile_row *rows, const pair_walk *w, size_t column,    \
                                      float *sum)                                                              \
    {                                                                                                          \
        pair_chain(R, V, true, j, rows, w, column, sum);                                                       \
    }
#if TILE_VECS == 2
#define PAIR_COLUMNS(R) PAIR_FN(R, 1) PAIR_FN(R, 2)
#define PAIR_ENTRY(R) {pair_##R##_1, pair_##R##_2},
#define PAIR_TURNED(R) {pair_turned_##R##_1, pair_turned_##R##_2},
#else
#define PAIR_COLUMNS(R) PAIR_FN(R, 1) PAIR_FN(R, 2) PAIR_FN(R, 3) PAIR_FN(R, 4)
#define PAIR_ENTRY(R) {pair_##R##_1, pair_##R##_2, pair_##R##_3, pair_##R##_4},
#define PAIR_TURNED(R) {pair_turned_##R##_1, pair_turned_##R##_2, pair_turned_##R##_3, pair_turned_##R##_4},
#endif
#define PAIR_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#if TILE_ROWS == 12
#define PAIR_SIZES(X) PAIR_6(X) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define PAIR_SIZES(X) PAIR_6(X)
#endif
PAIR_SIZES(PAIR_COLUMNS)
static pair_fn *const pair_fns[2][TILE_ROWS][TILE_VECS] = {{PAIR_SIZES(PAIR_ENTRY)}, {PAIR_SIZES(PAIR_TURNED)}};

/* Lines that the end of a tile waits for: the first of each row's part of C and of the residual. */
static inline void pair_ask(const pair_job *j, const tile_row *rows, int n, size_t column)
{
    const size_t size = j->c_f32 ? sizeof(float) : sizeof(ebb_bf16);
    for (int r = 0; r < n; r++)
        __builtin_prefetch((const char *)j->c + (rows[r].c + (ptrdiff_t)column) * (ptrdiff_t)size, 1, 2);
    for (int r = 0; r < n && j->residual; r++)
        __builtin_prefetch(j->residual + rows[r].c + column, 0, 2);
}

/* One tile; where its last vector is not full, sums pass through memory. */
static void pair_one(pair_job *j, const tile_row *rows, int n, size_t column, size_t wide)
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
    pair_ask(j, rows, n, column);
    pair_fns[j->turned][n - 1][(wide - 1) / VW](j, rows, &k, column, direct ? NULL : sum);
    for (int r = 0; r < n && !direct; r++)
        pair_end(j, rows[r].c + (ptrdiff_t)column, sum + r * TILE_WIDE, column, wide);
}

/* How many of the next rows share their chains. */
static inline size_t pair_alike(const tile_row *r, size_t count)
{
    size_t n = 1;
    while (n < count && r[n].b == r->b && r[n].outer == r->outer && r[n].inner == r->inner)
        n++;
    return n;
}

/* All rows by all columns, in tiles of nearly equal height: a thin one would leave the adders waiting. */
static void pair_run(pair_job *j, const tile_row *rows, size_t count)
{
    for (size_t column = 0; column < j->columns; column += TILE_WIDE) {
        size_t wide = j->columns - column < TILE_WIDE ? j->columns - column : TILE_WIDE;
        for (size_t t = 0, n; t < count; t += n) {
            n = j->alike ? count : pair_alike(rows + t, count - t);
            size_t tiles = (n + TILE_ROWS - 1) / TILE_ROWS;
            for (size_t i = 0; i < tiles; i++) {
                size_t begin = n * i / tiles, end = n * (i + 1) / tiles;
                tile_look_ahead(&j->ahead);
                pair_one(j, rows + t + begin, (int)(end - begin), column, wide);
            }
        }
    }
}

/* The next panel, while tiles of `count` rows pass over this one: where rows are few, its time would be memory's. */
static tile_ahead pair_next(const ebb_bf16 *panel, size_t depth, size_t count)
{
    size_t tiles = (count + TILE_ROWS - 1) / TILE_ROWS, bytes = depth * 2 * EBB_PANEL * sizeof *panel;
    tile_ahead next = tile_ahead_make(panel, bytes, tiles * ((2 * depth + PAIR_ASK - 1) / PAIR_ASK));
    next.step = next.step < PAIR_ASK_LINES * 64 ? next.step : PAIR_ASK_LINES * 64;
    return next;
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
        if (first + EBB_PANEL < columns)
            p.weights = pair_next(p.b + depth * 2 * EBB_PANEL, depth, count);
        pair_run(&p, rows, count);
    }
}
