/* plan.h: how a convolution becomes products of tiles. Plain C: packing sizes the scratch by it.
 *
 * A tile holds 16 results (or, for the weights' gradient, 32 terms) at a constant distance in memory, so what the
 * convolution reads is copied once into cells, one a position. Two forms:
 *   window     a cell is a pixel: position (row, column, picture) of a zero-padded window. Pictures lie innermost:
 *              `pics` pictures of `nx` results are one row of nx * pics results, which fills tiles where a row of a
 *              small picture alone would not, and without copies of overlapping pixels. A tap is an offset.
 *              With a step between results, rows and columns lie sorted by their remainder, so neighbours stay
 *              neighbours.
 *   gathered   a cell is all that one result reads, (taps, channels): for few channels, where a tile of one tap's
 *              channels would be mostly zeros.
 */
#ifndef EBB_AMX_PLAN_H
#define EBB_AMX_PLAN_H

#include "conv_block.h"

enum {
    AMX_TILE = 16,         /* rows of a tile */
    AMX_DEPTH = 32,        /* numbers in a row */
    AMX_PAIRS = AMX_DEPTH * EBB_PANEL,   /* numbers of a panel in one step of k: two tiles side by side */
    AMX_PICS = 64,         /* most pictures side by side */
};

/* The results of a convolution, and what they read. */
typedef struct amx_grid {
    int n, ny, nx;              /* pictures, rows, columns of results */
    int step, top, left;        /* result (y, x) and tap (a, b): source pixel step * (y, x) + (a, b) - (top, left) */
    int taps_y, taps_x;
    int h, w, c;                /* source pictures */
    bool gathered, mirrored;    /* mirrored: the cell's taps count from the last */
    int cell, row, tap;         /* numbers in a cell; gathered: from one row of taps, from one tap to the next */
} amx_grid;

static inline size_t amx_up(size_t x, size_t unit)
{
    return (x + unit - 1) / unit * unit;
}

/* Whether tiles over pixels would do a quarter more work than tiles over everything that a result reads. */
static inline bool amx_few(int taps, int c, int all, int unit)
{
    return 4 * taps * amx_up(c, unit) > 5 * amx_up(all, unit);
}

static inline void amx_gather(amx_grid *g, int row, int tap)
{
    g->gathered = true;
    g->row = row;
    g->tap = tap;
    g->cell = g->taps_y * row;
}

/* The grid is y and reads x; the cells' order is that of the packed weights, or (weights) of dw. */
static inline amx_grid amx_grid_out(const ebb_conv_shape *s, bool weights)
{
    int taps = s->kh * s->kw, run = s->kw * s->ci, even = weights ? run : run + run % 2;
    amx_grid g = {
        .n = s->n, .ny = s->oh, .nx = s->ow, .step = s->stride, .top = s->pad_top, .left = s->pad_left,
        .taps_y = s->kh, .taps_x = s->kw, .h = s->h, .w = s->w, .c = s->ci, .cell = s->ci,
    };
    /* Pairs of an odd number of channels run across taps. */
    bool odd = !weights && s->ci % 2 != 0;
    if (taps == 1 || odd || amx_few(taps, s->ci, s->kh * even, weights ? AMX_TILE : AMX_DEPTH))
        amx_gather(&g, even, s->ci);
    return g;
}

/* The grid is the pixels of a phase of dx (conv_block.h) and reads dy. */
static inline amx_grid amx_grid_in(const ebb_conv_shape *s)
{
    conv_phase y = conv_phase_make(s->h, s->pad_top, s->kh, s->stride);
    conv_phase x = conv_phase_make(s->w, s->pad_left, s->kw, s->stride);
    int even = s->co + s->co % 2;
    amx_grid g = {
        .n = s->n, .ny = y.count, .nx = x.count, .step = 1, .top = y.taps - 1 - y.first, .left = x.taps - 1 - x.first,
        .taps_y = y.taps, .taps_x = x.taps, .h = s->oh, .w = s->ow, .c = s->co, .mirrored = true, .cell = s->co,
    };
    if (s->stride == 1 && (s->kh * s->kw == 1 || amx_few(s->kh * s->kw, s->co, s->kh * s->kw * even, AMX_DEPTH)))
        amx_gather(&g, s->kw * even, even);
    return g;
}

/* A block of results whose cells are in the scratch together. */
typedef struct amx_block {
    int pics, rows;        /* pictures side by side, rows of results */
    int high, wide;        /* rows and columns of cells, before pictures */
    size_t pitch;          /* positions from one row of cells to the next */
    int unit;              /* positions a tile takes */
    bool linear;           /* tiles run on through the ends of rows; else each row begins with a new tile */
    size_t per_row, tiles;
} amx_block;

static inline amx_block amx_block_make(const amx_grid *g, int unit, int pics, int rows)
{
    int step = g->gathered ? 1 : g->step;
    int reach_y = g->gathered ? 1 : g->taps_y, reach_x = g->gathered ? 1 : g->taps_x;
    amx_block b = {.pics = pics, .rows = rows, .unit = unit};
    b.high = (int)amx_up((size_t)(rows - 1) * step + reach_y, step);
    b.wide = (int)amx_up((size_t)(g->nx - 1) * step + reach_x, step);
    b.pitch = (size_t)b.wide * pics;
    size_t results = (size_t)g->nx * pics;
    size_t linear = amx_up((rows - 1) * b.pitch + results, unit) / unit;
    b.per_row = amx_up(results, unit) / unit;
    b.linear = linear < b.per_row * rows;
    b.tiles = b.linear ? linear : b.per_row * rows;
    return b;
}

/* First position of a tile. */
static inline size_t amx_start(const amx_block *b, size_t tile)
{
    return b->linear ? tile * b->unit : tile / b->per_row * b->pitch + tile % b->per_row * b->unit;
}

/* Tiles of a whole grid cut into blocks of pics x rows. */
static inline size_t amx_tiles(const amx_grid *g, int unit, int pics, int rows)
{
    size_t all = 0;
    int pics_of[2] = {pics, g->n % pics}, rows_of[2] = {rows, g->ny % rows};
    int pics_times[2] = {g->n / pics, 1}, rows_times[2] = {g->ny / rows, 1};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (pics_of[i] > 0 && rows_of[j] > 0)
                all += amx_block_make(g, unit, pics_of[i], rows_of[j]).tiles * pics_times[i] * rows_times[j];
    return all;
}

/* The block of at most about `target` results that makes the fewest tiles; of equals the largest. */
static inline amx_block amx_plan(const amx_grid *g, int unit, size_t target)
{
    size_t best = 0, best_results = 0;
    int best_pics = 1, best_rows = 1;
    for (int pics = 1; pics <= g->n && pics <= AMX_PICS; pics++) {
        size_t row = (size_t)g->nx * pics, rows = target / row;
        if (pics > 1 && rows == 0)
            break;
        rows = rows < 1 ? 1 : rows > (size_t)g->ny ? (size_t)g->ny : rows;
        size_t tiles = amx_tiles(g, unit, pics, (int)rows);
        if (pics == 1 || tiles < best || (tiles == best && row * rows > best_results)) {
            best = tiles;
            best_results = row * rows;
            best_pics = pics;
            best_rows = (int)rows;
        }
    }
    return amx_block_make(g, unit, best_pics, best_rows);
}

static inline size_t amx_clamp(size_t x, size_t low, size_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Forward and adjoint in x: all panels of weights pass over a block, so it is as large as half of an L2 allows. */
static inline amx_block amx_plan_conv(const amx_grid *g)
{
    size_t bytes = sizeof(ebb_bf16) * amx_up(g->cell, AMX_DEPTH);
    return amx_plan(g, AMX_TILE, amx_clamp((512u << 10) / bytes, 256, 2048));
}

/* Adjoint in w: the block's sums pass over all of dw. */
static inline amx_block amx_plan_dw(const amx_grid *g, int co)
{
    size_t bytes = sizeof(ebb_bf16) * (amx_up(g->cell, AMX_TILE) + amx_up(co, EBB_PANEL));
    return amx_plan(g, AMX_DEPTH, amx_clamp((1024u << 10) / bytes, 512, 4096));
}

/* ---- scratch: offsets in bytes ---------------------------------------------------------------- */

/* Part of a sum: a run of a cell's numbers and where its weights are in a panel; for dw a tap: positions from the
 * result's, and where its rows of dw are. */
typedef struct amx_run {
    ptrdiff_t a, b;
} amx_run;

typedef struct amx_room {
    size_t column, map, runs, tails, cells, other, end;
} amx_room;

static inline size_t amx_taps(const amx_grid *g)
{
    return g->gathered ? 1 : (size_t)g->taps_y * g->taps_x;
}

static inline amx_room amx_room_common(const amx_grid *g, const amx_block *b)
{
    amx_room r = {.column = 0};
    r.map = conv_align(b->pitch * sizeof(ptrdiff_t));
    r.runs = r.map + conv_align(b->tiles * b->unit * sizeof(ptrdiff_t));
    r.tails = r.runs + conv_align(amx_taps(g) * 2 * sizeof(amx_run));
    return r;
}

/* cells: a tile may begin at the last position. */
static inline amx_room amx_room_conv(const amx_grid *g, const amx_block *b)
{
    amx_room r = amx_room_common(g, b);
    size_t positions = b->high * b->pitch + AMX_TILE;
    r.cells = r.tails + (g->cell % AMX_DEPTH ? amx_taps(g) * AMX_PAIRS * sizeof(ebb_bf16) : 0);
    r.other = r.cells + positions * amx_up(g->cell, AMX_DEPTH) * sizeof(ebb_bf16);
    r.end = conv_align(r.other);
    return r;
}

/* Positions of a row of transposed cells: as many as a step may touch, and an odd number of cache lines, so that
 * the rows of a tile do not meet in the same sets. */
static inline size_t amx_dw_pitch(const amx_block *b)
{
    size_t lines = amx_up(b->high * b->pitch + AMX_DEPTH, AMX_DEPTH) / AMX_DEPTH;
    return (lines | 1) * AMX_DEPTH;
}

/* tails: 32 gathered cells; cells: x transposed; other: dy in pairs. */
static inline amx_room amx_room_dw(const amx_grid *g, const amx_block *b, int co)
{
    amx_room r = amx_room_common(g, b);
    size_t rows = amx_up(g->cell, AMX_TILE), panels = amx_up(co, EBB_PANEL) / EBB_PANEL;
    r.cells = r.tails + conv_align(AMX_DEPTH * rows * sizeof(ebb_bf16));
    r.other = r.cells + rows * amx_dw_pitch(b) * sizeof(ebb_bf16);
    r.end = r.other + panels * b->tiles * AMX_PAIRS * sizeof(ebb_bf16);
    return r;
}

/* Enough for the three kernels. */
static inline size_t amx_scratch(const ebb_conv_shape *s)
{
    amx_grid out = amx_grid_out(s, false), in = amx_grid_in(s), weights = amx_grid_out(s, true);
    amx_block b_out = amx_plan_conv(&out), b_in = amx_plan_conv(&in), b_weights = amx_plan_dw(&weights, s->co);
    size_t forward = amx_room_conv(&out, &b_out).end, adjoint = amx_room_conv(&in, &b_in).end;
    size_t dw = amx_room_dw(&weights, &b_weights, s->co).end, most = forward > adjoint ? forward : adjoint;
    return most > dw ? most : dw;
}

#endif
