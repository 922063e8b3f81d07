/* cells.h: what a block of results reads, as plan.h lays it out: one cell a position.
 */
#ifndef EBB_AMX_CELLS_H
#define EBB_AMX_CELLS_H

#include <string.h>

#include "product.h"

/* A block at hand: pictures n..n+pics-1 side by side, rows y..y+rows-1 of results. */
typedef struct amx_at {
    int n, y;
    amx_block b;
} amx_at;

/* Blocks like `whole` in ascending (picture, row), smaller ones at the edges; false after the last. */
static inline bool amx_next(amx_at *at, const amx_grid *g, const amx_block *whole)
{
    at->y += at->b.rows;
    if (at->y == g->ny) {
        at->y = 0;
        at->n += at->b.pics;
    }
    if (at->n == g->n)
        return false;
    int pics = g->n - at->n < whole->pics ? g->n - at->n : whole->pics;
    int rows = g->ny - at->y < whole->rows ? g->ny - at->y : whole->rows;
    at->b = amx_block_make(g, whole->unit, pics, rows);
    return true;
}

/* The pixel of c-channel pictures (h, w) that a phase of results stands for; step 1 and first 0: the grid itself. */
typedef struct amx_target {
    int h, w, c, step;
    int first_y, first_x;   /* result (y, x) is pixel (y, x) * step + first */
} amx_target;

/* map[16 t + r]: where the result of row r of tile t lies, from picture n on; -1: nowhere. */
static inline void amx_map(ptrdiff_t *map, const amx_grid *g, const amx_at *at, const amx_target *t)
{
    const amx_block *b = &at->b;
    size_t row = b->linear ? b->pitch : b->per_row * b->unit;
    memset(map, 0xFF, b->tiles * b->unit * sizeof *map);
    for (int r = 0; r < b->rows; r++, map += row) {
        int y = (at->y + r) * t->step + t->first_y;
        for (int x = 0; y >= 0 && y < t->h && x < g->nx; x++) {
            int px = x * t->step + t->first_x;
            for (int i = 0; px >= 0 && px < t->w && i < b->pics; i++)
                map[x * b->pics + i] = (((ptrdiff_t)i * t->h + y) * t->w + px) * t->c;
        }
    }
}

/* column[position in a row of the window]: numbers from a picture row's first one, -1 in the padding. */
static inline void amx_columns(ptrdiff_t *column, const amx_grid *g, const amx_block *b)
{
    int per_phase = b->wide / g->step;
    for (int slot = 0; slot < b->wide; slot++) {
        int x = slot % per_phase * g->step + slot / per_phase - g->left;
        for (int i = 0; i < b->pics; i++)
            *column++ = x < 0 || x >= g->w ? -1 : ((ptrdiff_t)i * g->h * g->w + x) * g->c;
    }
}

/* The picture row that a row of the window holds, or -1. */
static inline int amx_source_row(const amx_grid *g, const amx_at *at, int q)
{
    int per_phase = at->b.high / g->step;
    int y = at->y * g->step - g->top + q % per_phase * g->step + q / per_phase;
    return y < 0 || y >= g->h ? -1 : y;
}

/* Positions between the cell of a result and that of its tap. */
static inline ptrdiff_t amx_tap(const amx_grid *g, const amx_block *b, int tap_y, int tap_x)
{
    int row = tap_y % g->step * (b->high / g->step) + tap_y / g->step;
    int column = tap_x % g->step * (b->wide / g->step) + tap_x / g->step;
    return (ptrdiff_t)row * (ptrdiff_t)b->pitch + (ptrdiff_t)column * b->pics;
}

VEC void amx_copy(ebb_bf16 *to, const ebb_bf16 *from, size_t n)
{
    for (; n >= 32; n -= 32, to += 32, from += 32)
        _mm512_storeu_si512(to, _mm512_loadu_si512(from));
    if (n)
        _mm512_mask_storeu_epi16(to, (1u << n) - 1u, _mm512_maskz_loadu_epi16((1u << n) - 1u, from));
}

/* All taps of result (y, x) of a picture (h, w, c), zero outside it; size: of the cell, filled up with zeros. */
static inline void amx_gather_cell(ebb_bf16 *cell, size_t size, const amx_grid *g, const ebb_bf16 *src, int y, int x)
{
    memset(cell, 0, size * sizeof *cell);
    y = y * g->step - g->top;
    x = x * g->step - g->left;
    for (int a = 0; a < g->taps_y; a++, cell += g->row) {
        int sy = g->mirrored ? y + g->taps_y - 1 - a : y + a;
        if (sy < 0 || sy >= g->h)
            continue;
        const ebb_bf16 *row = src + (ptrdiff_t)sy * g->w * g->c;
        int first = x < 0 ? -x : 0, end = g->w - x < g->taps_x ? g->w - x : g->taps_x;
        if (!g->mirrored && first < end)
            amx_copy(cell + first * g->tap, row + (ptrdiff_t)(x + first) * g->c, (size_t)(end - first) * g->c);
        for (int b = first; g->mirrored && b < end; b++)
            amx_copy(cell + (g->taps_x - 1 - b) * g->tap, row + (ptrdiff_t)(x + b) * g->c, g->c);
    }
}

#endif
