/* conv_bf16.c: the convolution of bfloat16 pictures and its adjoint in x on tiles.
 *
 * Both are products of cells (plan.h) with packed weights: rows are results, k is (taps, channels), columns are the
 * panels' 32 channels. Cells are filled up with zeros to whole steps of k, and so are copies of the weights' rows
 * that a whole step would reach beyond. A pointwise convolution is a plain product and copies nothing.
 *   conv     one pass: tap (a, b) is a cell further down and right
 *   conv_dx  one pass a phase (conv_block.h): dx[t] = sum over j of dy[t - j] w[stride j + phase]
 */
#include "cells.h"
#include "instances.h"

typedef struct job {
    amx_grid g;
    amx_at at;
    ebb_bf16 *cells, *tails;
    ptrdiff_t *column, *map;
    amx_run *body, *tail;       /* runs of whole steps of k, and of what is left */
    size_t count;               /* of either */
    size_t stride;              /* numbers of a cell with its zeros */
    const ebb_bf16 *w;
    size_t panel, pairs;        /* numbers in a panel; pairs in a run */
} job;

static job start(const amx_grid *g, const amx_block *b, const ebb_bf16 *w, size_t panel, void *scratch)
{
    amx_room r = amx_room_conv(g, b);
    char *room = scratch;
    amx_run *runs = (amx_run *)(room + r.runs);
    return (job){
        .g = *g, .at = {0, 0, *b}, .column = (ptrdiff_t *)(room + r.column), .map = (ptrdiff_t *)(room + r.map),
        .body = runs, .tail = runs + amx_taps(g), .tails = (ebb_bf16 *)(room + r.tails),
        .cells = (ebb_bf16 *)(room + r.cells), .stride = amx_up(g->cell, AMX_DEPTH), .w = w, .panel = panel,
        .pairs = ((size_t)g->cell + 1) / 2,
    };
}

/* The pixel of each position. src: the block's first picture. */
static void fill_window(job *j, const ebb_bf16 *src)
{
    const amx_grid *g = &j->g;
    size_t pitch = j->at.b.pitch, stride = j->stride, c = g->c, rest = c % AMX_DEPTH, even = c - rest;
    ebb_bf16 *cell = j->cells;
    amx_columns(j->column, g, &j->at.b);
    for (int q = 0; q < j->at.b.high; q++) {
        int y = amx_source_row(g, &j->at, q);
        const ebb_bf16 *row = src + (ptrdiff_t)(y < 0 ? 0 : y) * g->w * g->c;
        for (size_t p = 0; p < pitch; p++, cell += stride) {
            if (y < 0 || j->column[p] < 0) {
                memset(cell, 0, stride * sizeof *cell);
                continue;
            }
            amx_copy(cell, row + j->column[p], even);
            if (rest)
                amx_copy_n(cell + even, row + j->column[p] + even, rest);
        }
    }
}

/* All that each result reads. */
static void fill_gathered(job *j, const ebb_bf16 *src)
{
    const amx_grid *g = &j->g;
    size_t picture = (size_t)g->h * g->w * g->c;
    ebb_bf16 *cell = j->cells;
    for (int y = 0; y < j->at.b.rows; y++)
        for (int x = 0; x < g->nx; x++)
            for (int i = 0; i < j->at.b.pics; i++, cell += j->stride)
                amx_gather_cell(cell, j->stride, g, src + i * picture, j->at.y + y, x);
}

static void fill(job *j, const ebb_bf16 *src)
{
    src += (size_t)j->at.n * j->g.h * j->g.w * j->g.c;
    if (j->g.gathered)
        fill_gathered(j, src);
    else
        fill_window(j, src);
}

/* One more run: numbers from a result's cell, and from the panel's beginning. */
static void add_run(job *j, ptrdiff_t a, ptrdiff_t b)
{
    ptrdiff_t whole = j->g.cell / AMX_DEPTH;
    j->body[j->count] = (amx_run){a, b};
    j->tail[j->count] = (amx_run){a + whole * AMX_DEPTH, (ptrdiff_t)j->count * AMX_PAIRS};
    j->count++;
}

/* 32 columns of all the block's results. */
static void panel(const job *j, const ebb_bf16 *w, const amx_results *to)
{
    float sums[AMX_SIDE * AMX_SIDE] __attribute__((aligned(64)));
    const amx_block *b = &j->at.b;
    size_t steps = (size_t)j->g.cell / AMX_DEPTH, bytes = j->stride * sizeof *w, even = steps * (AMX_DEPTH / 2);
    bool rest = j->g.cell % AMX_DEPTH != 0;
    for (size_t i = 0; rest && i < j->count; i++)
        amx_tail(j->tails + i * AMX_PAIRS, w + j->body[i].b + steps * AMX_PAIRS, j->pairs - even);
    for (size_t t = 0; t < b->tiles; t += 2) {
        bool high = t + 1 < b->tiles;
        const ebb_bf16 *a0 = j->cells + amx_start(b, t) * j->stride;
        const ebb_bf16 *a1 = j->cells + amx_start(b, high ? t + 1 : t) * j->stride;
        amx_factors body = {a0, a1, w, bytes, j->body, j->count, steps};
        amx_factors tail = {a0, a1, j->tails, bytes, j->tail, rest ? j->count : 0, 1};
        amx_product(high, to->columns > AMX_TILE, &body, &tail, sums);
        amx_finish(to, sums, j->map + t * AMX_TILE, high ? AMX_SIDE : AMX_TILE);
    }
}

/* The block's results of one phase of channels-channel pictures. */
static void pass(const job *j, const amx_target *t, ebb_bf16 *y, const float *bias, const ebb_bf16 *residual)
{
    amx_map(j->map, &j->g, &j->at, t);
    size_t first = (size_t)j->at.n * t->h * t->w * t->c;
    for (int p = 0; p < t->c; p += EBB_PANEL) {
        amx_results to = {
            .c = y + first + p, .bias = bias ? bias + p : NULL, .residual = residual ? residual + first + p : NULL,
            .columns = t->c - p < EBB_PANEL ? t->c - p : EBB_PANEL,
        };
        panel(j, j->w + p / EBB_PANEL * j->panel, &to);
    }
}

static bool pointwise(const ebb_conv_shape *s)
{
    return s->kh == 1 && s->kw == 1 && s->stride == 1 && !s->pad_top && !s->pad_left && s->oh == s->h && s->ow == s->w;
}

/* What a run of the forward form reads. */
static void forward_runs(job *j, const ebb_conv_shape *s)
{
    ptrdiff_t row = (ptrdiff_t)(s->kw * s->ci + 1) / 2 * 2 * EBB_PANEL, tap = (ptrdiff_t)s->ci * EBB_PANEL;
    j->count = 0;
    if (j->g.gathered) {
        add_run(j, 0, 0);
        return;
    }
    for (int a = 0; a < s->kh; a++)
        for (int b = 0; b < s->kw; b++)
            add_run(j, amx_tap(&j->g, &j->at.b, a, b) * (ptrdiff_t)j->stride, a * row + b * tap);
}

void ebb_conv_bf16_amx(const ebb_conv_shape *s, ebb_bf16 *y, const ebb_bf16 *x, const ebb_bf16 *w,
                       const float *bias, const ebb_bf16 *residual, void *scratch)
{
    if (pointwise(s)) {
        size_t pixels = (size_t)s->n * s->h * s->w;
        ebb_gemm_bf16_args g = {pixels, s->co, s->ci, x, s->ci, w, y, s->co, false, bias, residual};
        ebb_gemm_bf16_amx(&g, scratch);
        return;
    }
    amx_grid g = amx_grid_out(s, false);
    amx_block b = amx_plan_conv(&g);
    job j = start(&g, &b, w, (size_t)s->kh * ((size_t)(s->kw * s->ci + 1) / 2) * 2 * EBB_PANEL, scratch);
    amx_target t = {s->oh, s->ow, s->co, 1, 0, 0};
    amx_config(AMX_TILE, AMX_TILE);
    do {
        fill(&j, x);
        forward_runs(&j, s);
        pass(&j, &t, y, bias, residual);
    } while (amx_next(&j.at, &g, &b));
    tile_release();
}

/* Taps stride * i + phase of both axes; the window's pixels count against them. */
static void adjoint_runs(job *j, const ebb_conv_shape *s, int phase_y, int phase_x)
{
    const amx_grid *g = &j->g;
    ptrdiff_t tap = (ptrdiff_t)(s->co + 1) / 2 * 2 * EBB_PANEL;
    j->count = 0;
    if (g->gathered) {
        add_run(j, 0, 0);
        return;
    }
    for (int a = phase_y, y = g->taps_y - 1; a < s->kh; a += s->stride, y--)
        for (int b = phase_x, x = g->taps_x - 1; b < s->kw; b += s->stride, x--)
            add_run(j, amx_tap(g, &j->at.b, y, x) * (ptrdiff_t)j->stride, ((ptrdiff_t)a * s->kw + b) * tap);
}

void ebb_conv_dx_bf16_amx(const ebb_conv_shape *s, ebb_bf16 *dx, const ebb_bf16 *dy, const ebb_bf16 *w,
                          const ebb_bf16 *residual, void *scratch)
{
    if (pointwise(s)) {
        size_t pixels = (size_t)s->n * s->h * s->w;
        ebb_gemm_bf16_args g = {pixels, s->ci, s->co, dy, s->co, w, dx, s->ci, false, NULL, residual};
        ebb_gemm_bf16_amx(&g, scratch);
        return;
    }
    amx_grid g = amx_grid_in(s);
    amx_block b = amx_plan_conv(&g);
    job j = start(&g, &b, w, (size_t)s->kh * s->kw * ((size_t)(s->co + 1) / 2) * 2 * EBB_PANEL, scratch);
    int first_y = g.taps_y - 1 - g.top, first_x = g.taps_x - 1 - g.left;
    amx_config(AMX_TILE, AMX_TILE);
    do {
        fill(&j, dy);
        for (int phase = 0; phase < s->stride * s->stride; phase++) {
            int phase_y = phase / s->stride, phase_x = phase % s->stride;
            amx_target t = {s->h, s->w, s->ci, s->stride, first_y * s->stride + phase_y - s->pad_top,
                            first_x * s->stride + phase_x - s->pad_left};
            adjoint_runs(&j, s, phase_y, phase_x);
            pass(&j, &t, dx, NULL, residual);
        }
    } while (amx_next(&j.at, &g, &b));
    tile_release();
}
