/* conv_dw_bf16.c: the weights' gradient of a convolution of bfloat16 pictures on tiles, added up in f32 in place.
 *
 *   dw[tap, i, o] += sum over positions p    x[p + tap, i] dy[p, o]
 *
 * k is the position. For A, x is transposed once a block: row i holds channel i of each position (plan.h), so that a
 * tap is the same row read a few numbers further on. For B, dy goes into panels of pairs of positions, zero where no
 * result is. Both are used for all taps and channels. Sums of 32 channels by 32 columns stay in tiles over as
 * many positions as L1 holds of both; then the next tap's follow. (A zero of dy meets other pixels of x there: an
 * infinity in x makes NaN of more of dw than simd/c does.)
 */
#include "cells.h"
#include "instances.h"

enum { CHUNK = 12 };   /* most steps of k for all taps: 2 KB of A and of B each */

typedef struct job {
    amx_grid g;
    amx_at at;
    int co;
    ptrdiff_t *column, *map;
    amx_run *tap;
    ebb_bf16 *staged, *xt, *dy;
    size_t pitch;    /* from one row of xt to the next */
    float *dw;
    bool add;        /* to what dw holds */
} job;

static job start(const amx_grid *g, const amx_block *b, int co, void *scratch)
{
    amx_room r = amx_room_dw(g, b, co);
    char *room = scratch;
    return (job){
        .g = *g, .at = {0, 0, *b}, .co = co, .column = (ptrdiff_t *)(room + r.column),
        .map = (ptrdiff_t *)(room + r.map), .tap = (amx_run *)(room + r.runs), .staged = (ebb_bf16 *)(room + r.tails),
        .xt = (ebb_bf16 *)(room + r.cells), .dy = (ebb_bf16 *)(room + r.other), .pitch = amx_dw_pitch(b),
    };
}

/* 32 cells, NULL: zeros, become columns p..p+31 of the rows of xt. */
static void transpose_cells(const job *j, const ebb_bf16 *const cell[AMX_DEPTH], size_t p)
{
    const vi pairs = vi_or(vi_iota(), vi_shl(vi_add(vi_iota(), vi_set1(16)), 16));
    for (int c = 0; c < j->g.cell; c += AMX_TILE) {
        size_t left = (size_t)(j->g.cell - c);
        __mmask16 m = left < AMX_TILE ? vm_first(left) : 0xFFFF;
        vf r[AMX_TILE];
        for (int i = 0; i < AMX_TILE; i++) {
            const ebb_bf16 *even = cell[2 * i], *odd = cell[2 * i + 1];
            __m256i e = even ? _mm256_maskz_loadu_epi16(m, even + c) : _mm256_setzero_si256();
            __m256i o = odd ? _mm256_maskz_loadu_epi16(m, odd + c) : _mm256_setzero_si256();
            vi both = _mm512_inserti64x4(_mm512_castsi256_si512(e), o, 1);
            r[i] = vi_float_bits(_mm512_permutexvar_epi16(pairs, both));
        }
        vf_transpose(r);
        for (int i = 0; i < AMX_TILE; i++)
            _mm512_storeu_si512(j->xt + (c + i) * j->pitch + p, vf_bits(r[i]));
    }
}

/* Rows of the window in ascending order: the zeros that a row's last cells write into the next one are replaced. */
static void fill_window(const job *j, const ebb_bf16 *src)
{
    const amx_grid *g = &j->g;
    size_t pitch = j->at.b.pitch;
    const ebb_bf16 *cell[AMX_DEPTH];
    amx_columns(j->column, g, &j->at.b);
    for (int q = 0; q < j->at.b.high; q++) {
        int y = amx_source_row(g, &j->at, q);
        const ebb_bf16 *row = src + (ptrdiff_t)(y < 0 ? 0 : y) * g->w * g->c;
        for (size_t p = 0; p < pitch; p += AMX_DEPTH) {
            for (size_t i = 0; i < AMX_DEPTH; i++)
                cell[i] = y < 0 || p + i >= pitch || j->column[p + i] < 0 ? NULL : row + j->column[p + i];
            transpose_cells(j, cell, q * pitch + p);
        }
    }
}

/* The same pixel of all pictures, then the next pixel. */
typedef struct place {
    int y, x, i;
} place;

static void advance(place *at, const job *j)
{
    if (++at->i < j->at.b.pics)
        return;
    at->i = 0;
    if (++at->x == j->g.nx) {
        at->x = 0;
        at->y++;
    }
}

/* A pixel that is all its result reads stays where it is. */
static const ebb_bf16 *gathered_cell(const job *j, const place *at, const ebb_bf16 *src, ebb_bf16 *staged)
{
    const amx_grid *g = &j->g;
    int y = (j->at.y + at->y) * g->step - g->top, x = at->x * g->step - g->left;
    src += (size_t)at->i * g->h * g->w * g->c;
    if (g->taps_y * g->taps_x == 1)
        return y < 0 || y >= g->h || x < 0 || x >= g->w ? NULL : src + ((ptrdiff_t)y * g->w + x) * g->c;
    amx_gather_cell(staged, g->cell, g, src, j->at.y + at->y, at->x);
    return staged;
}

static void fill_gathered(const job *j, const ebb_bf16 *src)
{
    size_t all = j->at.b.rows * j->at.b.pitch, size = amx_up(j->g.cell, AMX_TILE);
    const ebb_bf16 *cell[AMX_DEPTH];
    place at = {0, 0, 0};
    for (size_t p = 0; p < all; p += AMX_DEPTH) {
        for (size_t i = 0; i < AMX_DEPTH; i++) {
            cell[i] = p + i < all ? gathered_cell(j, &at, src, j->staged + i * size) : NULL;
            advance(&at, j);
        }
        transpose_cells(j, cell, p);
    }
}

static void fill_x(const job *j, const ebb_bf16 *x)
{
    size_t used = j->at.b.high * j->at.b.pitch, rows = amx_up(j->g.cell, AMX_TILE);
    x += (size_t)j->at.n * j->g.h * j->g.w * j->g.c;
    for (size_t r = 0; r < rows; r++)
        memset(j->xt + r * j->pitch + used, 0, (j->pitch - used) * sizeof *x);
    if (j->g.gathered)
        fill_gathered(j, x);
    else
        fill_window(j, x);
}

/* dy in panels of pairs of positions: (panel, step, pair, PANEL, 2). */
static void fill_dy(const job *j, const ebb_bf16 *dy)
{
    const vi even = vi_iota(), odd = vi_add(even, vi_set1(32));   /* numbers of e, of o */
    const vi first = vi_or(even, vi_shl(odd, 16)), second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    size_t positions = j->at.b.tiles * AMX_DEPTH;
    ebb_bf16 *to = j->dy;
    dy += (size_t)j->at.n * j->g.ny * j->g.nx * j->co;
    for (int p = 0; p < j->co; p += EBB_PANEL) {
        __mmask32 m = j->co - p < EBB_PANEL ? (1u << (j->co - p)) - 1u : ~0u;
        for (size_t i = 0; i < positions; i += 2, to += 2 * EBB_PANEL) {
            const ptrdiff_t *at = j->map + i;
            __m512i e = at[0] < 0 ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi16(m, dy + at[0] + p);
            __m512i o = at[1] < 0 ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi16(m, dy + at[1] + p);
            _mm512_storeu_si512(to, _mm512_permutex2var_epi16(e, first, o));
            _mm512_storeu_si512(to + EBB_PANEL, _mm512_permutex2var_epi16(e, second, o));
        }
    }
}

/* Each tap: positions from the result's cell, and its rows of dw. */
static size_t taps(const job *j)
{
    const amx_grid *g = &j->g;
    size_t count = 0;
    if (g->gathered) {
        j->tap[0] = (amx_run){0, 0};
        return 1;
    }
    for (int a = 0; a < g->taps_y; a++)
        for (int b = 0; b < g->taps_x; b++, count++)
            j->tap[count] = (amx_run){amx_tap(g, &j->at.b, a, b), (ptrdiff_t)count * g->c * j->co};
    return count;
}

/* Sums over steps first..end-1, in c (rows ld bytes apart): the old ones, if `add`, and those of this block. */
VEC void multiply(int high, int wide, const job *j, const ebb_bf16 *a, const ebb_bf16 *b, size_t first, size_t end,
                  float *c, size_t ld, bool add)
{
    float *c1 = (float *)((char *)c + AMX_TILE * ld);
    size_t pitch = j->pitch * sizeof *a, half = AMX_TILE * j->pitch;
    size_t per_row = j->at.b.linear ? j->at.b.tiles : j->at.b.per_row, row_pitch = j->at.b.pitch;
    size_t column = first % per_row;
    const ebb_bf16 *row = a + first / per_row * row_pitch;
    if (add) {
        tile_load(0, c, ld);
        if (wide > 1)
            tile_load(1, c + AMX_TILE, ld);
        if (high > 1)
            tile_load(2, c1, ld);
        if (high > 1 && wide > 1)
            tile_load(3, c1 + AMX_TILE, ld);
    } else {
        tile_zero(0);
        tile_zero(1);
        tile_zero(2);
        tile_zero(3);
    }
    b += first * AMX_PAIRS;
    for (size_t s = first; s < end; s++, b += AMX_PAIRS) {
        const ebb_bf16 *a0 = row + column * AMX_DEPTH;
        tile_load(6, b, EBB_PANEL * 4);
        tile_load(4, a0, pitch);
        tile_dp(0, 4, 6);
        if (wide > 1) {
            tile_load(7, b + AMX_DEPTH, EBB_PANEL * 4);
            tile_dp(1, 4, 7);
        }
        if (high > 1) {
            tile_load(5, a0 + half, pitch);
            tile_dp(2, 5, 6);
        }
        if (high > 1 && wide > 1)
            tile_dp(3, 5, 7);
        if (++column == per_row) {
            column = 0;
            row += row_pitch;
        }
    }
    tile_store(0, c, ld);
    if (wide > 1)
        tile_store(1, c + AMX_TILE, ld);
    if (high > 1)
        tile_store(2, c1, ld);
    if (high > 1 && wide > 1)
        tile_store(3, c1 + AMX_TILE, ld);
}

static void dispatch(bool high, bool wide, const job *j, const ebb_bf16 *a, const ebb_bf16 *b, size_t first,
                     size_t end, float *c, size_t ld, bool add)
{
    if (high && wide)
        multiply(2, 2, j, a, b, first, end, c, ld, add);
    else if (high)
        multiply(2, 1, j, a, b, first, end, c, ld, add);
    else if (wide)
        multiply(1, 2, j, a, b, first, end, c, ld, add);
    else
        multiply(1, 1, j, a, b, first, end, c, ld, add);
}

/* rows x columns at c, which may be less than whole tiles: those go by way of a copy. */
static void part(const job *j, const ebb_bf16 *a, const ebb_bf16 *b, size_t first, size_t end, float *c, int rows,
                 int columns, bool add)
{
    bool high = rows > AMX_TILE, wide = columns > AMX_TILE;
    if (rows % AMX_TILE == 0 && columns % AMX_TILE == 0) {
        dispatch(high, wide, j, a, b, first, end, c, j->co * sizeof *c, add);
        return;
    }
    float sums[AMX_SIDE * AMX_SIDE] __attribute__((aligned(64))) = {0};
    for (int r = 0; add && r < rows; r++)
        memcpy(sums + r * AMX_SIDE, c + (size_t)r * j->co, columns * sizeof *c);
    dispatch(high, wide, j, a, b, first, end, sums, AMX_SIDE * sizeof *c, add);
    for (int r = 0; r < rows; r++)
        memcpy(c + (size_t)r * j->co, sums + r * AMX_SIDE, columns * sizeof *c);
}

/* All of dw, 32 channels by 32 columns and some steps at a time, so that all taps find both operands in L1. */
static void products(const job *j)
{
    size_t count = taps(j), steps = j->at.b.tiles, chunks = count == 1 ? 1 : (steps + CHUNK - 1) / CHUNK;
    for (int i = 0; i < j->g.cell; i += AMX_SIDE) {
        int rows = j->g.cell - i < AMX_SIDE ? j->g.cell - i : AMX_SIDE;
        for (int o = 0; o < j->co; o += EBB_PANEL) {
            int columns = j->co - o < EBB_PANEL ? j->co - o : EBB_PANEL;
            const ebb_bf16 *a = j->xt + i * j->pitch, *b = j->dy + o / EBB_PANEL * steps * AMX_PAIRS;
            for (size_t n = 0; n < chunks; n++)
                for (size_t t = 0; t < count; t++)
                    part(j, a + j->tap[t].a, b, steps * n / chunks, steps * (n + 1) / chunks,
                         j->dw + j->tap[t].b + (size_t)i * j->co + o, rows, columns, j->add || n > 0);
        }
    }
}

void ebb_conv_dw_bf16_amx(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                          bool accumulate, void *scratch)
{
    amx_grid g = amx_grid_out(s, true);
    amx_block b = amx_plan_dw(&g, s->co);
    job j = start(&g, &b, s->co, scratch);
    amx_target y = {s->oh, s->ow, s->co, 1, 0, 0};
    j.dw = dw;
    j.add = accumulate;
    amx_config(AMX_TILE, AMX_TILE);
    do {
        amx_map(j.map, &g, &j.at, &y);
        fill_x(&j, x);
        fill_dy(&j, dy);
        products(&j);
        j.add = true;
    } while (amx_next(&j.at, &g, &b));
    tile_release();
}
