/* conv.tmpl.h: convolution and its two adjoints on the register tile of tile.tmpl.h.
 *
 * Each is a product of rows found in the zero-padded window of a block (conv_block.h):
 *   conv     rows: output pixels      k: (kh)(kw ci), a run of the window per kernel row  columns: co
 *   conv_dx  rows: pixels of a phase  k: (kh)(kw)(co), the window mirrored in both axes   columns: ci
 *   conv_dw  rows: (kh)(kw ci)        k: the block's pixels                                columns: co
 * Chains run in the order of simd/c/conv.c; only dw's cross blocks, and they resume from dw itself.
 */
#include "conv_walk.h"
#include "tile.tmpl.h"
#include "conv_few.tmpl.h"

/* Window rows from picture rows y..., columns x...; src: (h, w, c). Zeros left and right of it; rows
 * above and below are left as they are: no chain reads them. */
static void conv_window(float *window, const conv_block *b, int high, const float *src, int h, int w, int c,
                        int y, int x)
{
    int left = x < 0 ? -x : 0, right = w - x < b->wide ? w - x : b->wide;
    left = left < b->wide ? left : b->wide;
    right = right > left ? right : left;
    size_t begin = (size_t)left * c, end = (size_t)right * c;
    conv_taps inside = conv_taps_make(y, high, h);
    window += inside.first * b->pitch;
    for (int r = inside.first; r < inside.first + inside.count; r++, window += b->pitch) {
        memset(window, 0, begin * sizeof *window);
        if (end > begin)
            memcpy(window + begin, src + ((size_t)(y + r) * w + x + left) * c,
                   (end - begin) * sizeof *window);
        memset(window + end, 0, (b->pitch - end) * sizeof *window);
    }
}

/* The same pixels, last row and column first. */
static void conv_window_mirrored(float *window, const conv_block *b, int high, const float *src, int h, int w,
                                 int c, int y, int x)
{
    for (int r = high - 1; r >= 0; r--, window += b->pitch) {
        if (y + r < 0 || y + r >= h)
            continue;
        for (int i = 0; i < b->wide; i++) {
            int from = x + b->wide - 1 - i;
            if (from < 0 || from >= w)
                memset(window + (size_t)i * c, 0, c * sizeof *window);
            else
                memcpy(window + (size_t)i * c, src + ((size_t)(y + r) * w + from) * c, c * sizeof *window);
        }
    }
}

/* Parts of the scratch. */
typedef struct conv_scratch {
    float *window, *panel;
    tile_row *rows;
} conv_scratch;

static conv_scratch conv_carve(size_t window, size_t panel, void *scratch)
{
    char *at = scratch;
    window = conv_align(window * sizeof(float));
    return (conv_scratch){(float *)at, (float *)(at + window),
                          (tile_row *)(at + window + conv_align(panel * sizeof(float)))};
}

/* Tiles that `rows` rows and all panels of channels make. */
static size_t conv_tiles(size_t rows, int channels)
{
    return ((size_t)channels + TILE_WIDE - 1) / TILE_WIDE * ((rows + TILE_ROWS - 1) / TILE_ROWS);
}

/* What the next block reads of x, where a grid row has `row` floats and a picture `picture`. */
static tile_ahead conv_ahead(const conv_at *at, const conv_block *b, int n, int ny, const float *x, size_t picture,
                             size_t row, size_t tiles)
{
    conv_at next = *at;
    if (!conv_next(&next, b, n, ny))
        return (tile_ahead){0};
    size_t from = next.n * picture + next.y * row, floats = (next.pics - 1) * picture + next.rows * row;
    size_t left = n * picture - from;
    return tile_ahead_make(x + from, (floats < left ? floats : left) * sizeof *x, tiles);
}

/* The windows of a block. x: (n, h, w, ci). */
static void conv_input(const ebb_conv_shape *s, const conv_block *b, const conv_at *at, const float *x, float *window)
{
    size_t picture = (size_t)s->h * s->w * s->ci;
    for (int p = 0; p < at->pics; p++)
        conv_window(window + p * b->picture, b, (at->rows - 1) * s->stride + s->kh,
                    x + (at->n + p) * picture, s->h, s->w, s->ci, at->y * s->stride - s->pad_top,
                    -s->pad_left);
}

/* All panels of packed weights (depth rows each) over the rows. */
static void conv_panels(tile_job *j, const float *w, size_t depth, int channels, const float *bias,
                        const float *residual, const tile_row *rows, size_t count)
{
    float *c = j->c;
    for (int p = 0; p < channels; p += EBB_PANEL) {
        j->b = w + p * depth;
        j->c = c + p;
        j->columns = channels - p < EBB_PANEL ? channels - p : EBB_PANEL;
        j->bias = bias ? bias + p : NULL;
        j->residual = residual ? residual + p : NULL;
        tile_run(j, rows, count);
    }
}

static void conv_block_run(const ebb_conv_shape *s, const conv_block *b, const conv_at *at,
                           const conv_scratch *m, const float *x, float *y, const float *w,
                           const float *bias, const float *residual)
{
    ptrdiff_t run = (ptrdiff_t)s->kw * s->ci, co = s->co;
    conv_grid grid = {
        .pics = at->pics, .rows = at->rows, .wide = s->ow,
        .a = {b->picture, s->stride * b->pitch, (ptrdiff_t)s->stride * s->ci},
        .c = {co * s->ow * s->oh, co * s->ow, co},
        .first = at->y * s->stride - s->pad_top, .step = s->stride, .high = s->h,
        .taps = s->kh, .columns = 1, .a_tap = b->pitch, .b_tap = run * EBB_PANEL,
    };
    ptrdiff_t begin = at->n * grid.c.picture + at->y * grid.c.row;
    size_t row = (size_t)s->w * s->ci, count = conv_rows(m->rows, &grid);
    tile_job j = {
        .a = m->window, .c = y + begin,
        .k = {.len = run, .a_outer = grid.a_tap, .a_step = 1, .b_outer = grid.b_tap, .b_step = EBB_PANEL},
        .ahead[0] = conv_ahead(at, b, s->n, s->oh, x, s->h * row, s->stride * row, conv_tiles(count, s->co)),
    };
    conv_panels(&j, w, s->kh * run, s->co, bias, residual ? residual + begin : NULL, m->rows, count);
}

/* A pointwise convolution reads pixels where they lie. */
static void conv_pixels(size_t pixels, int ci, int co, float *y, const float *x, const float *w, const float *bias,
                        const float *residual, void *scratch)
{
    tile_row *rows = scratch;
    for (int i = 0; i < CONV_PIXELS; i++)
        rows[i] = (tile_row){.a = (ptrdiff_t)i * ci, .c = (ptrdiff_t)i * co, .outer = 1, .inner = 1};
    for (size_t p = 0; p < pixels; p += CONV_PIXELS) {
        size_t left = pixels - p, count = left < CONV_PIXELS ? left : CONV_PIXELS;
        size_t next = left - count < CONV_PIXELS ? left - count : CONV_PIXELS;
        tile_job j = {
            .a = x + p * ci, .c = y + p * co, .alike = true, .k = {.len = ci, .a_step = 1, .b_step = EBB_PANEL},
            .ahead[0] = tile_ahead_make(x + (p + count) * ci, next * ci * sizeof *x, conv_tiles(count, co)),
        };
        conv_panels(&j, w, ci, co, bias, residual ? residual + p * co : NULL, rows, count);
    }
}

void EBB_INSTANCE(conv_f32)(const ebb_conv_shape *s, float *y, const float *x, const float *w,
                            const float *bias, const float *residual, void *scratch)
{
    few_map few = few_forward(s);
    if (few_conv(s, &few, y, x, w, bias, residual, scratch))
        return;
    ebb_conv_shape flat;
    if (conv_pointwise(s, &flat)) {
        conv_pixels(flat.h, s->ci, s->co, y, x, w, bias, residual, scratch);
        return;
    }
    conv_block b = conv_block_out(s);
    conv_scratch m = conv_carve(b.floats, 0, scratch);
    conv_at at = {0, b.pics, 0, b.rows};
    do {
        conv_input(s, &b, &at, x, m.window);
        conv_block_run(s, &b, &at, &m, x, y, w, bias, residual);
    } while (conv_next(&at, &b, s->n, s->oh));
}

/* One phase of one block. */
static void conv_dx_phase(const ebb_conv_shape *s, const conv_block *b, const conv_at *at,
                          const conv_scratch *m, conv_range y, conv_range x, const float *w, float *dx,
                          const float *residual, tile_ahead *ahead)
{
    ptrdiff_t co = s->co, ci = s->ci, skip = s->stride;
    int columns = skip == 1 ? 1 : x.taps;   /* without a stride, kernel columns are one run */
    conv_grid grid = {
        .pics = at->pics, .rows = y.count, .wide = x.count,
        .a = {b->picture, b->pitch, co}, .c = {ci * s->w * s->h, -skip * s->w * ci, -skip * ci},
        .first = s->oh - 1 - y.t, .step = 1, .high = s->oh,
        .taps = y.taps, .columns = columns, .a_tap = b->pitch, .b_tap = skip * s->kw * co * EBB_PANEL,
    };
    ptrdiff_t begin = at->n * grid.c.picture + ((ptrdiff_t)y.first * s->w + x.first) * ci;
    tile_job j = {
        .a = m->window + y.skip * grid.a.row + x.skip * grid.a.pixel,
        .c = dx + begin,
        .k = {.len = skip == 1 ? x.taps * co : co, .a_outer = grid.a_tap, .a_inner = co, .a_step = 1,
              .b_outer = grid.b_tap, .b_inner = skip * co * EBB_PANEL, .b_step = EBB_PANEL},
        .ahead[0] = *ahead,
    };
    size_t count = conv_rows(m->rows, &grid);
    conv_panels(&j, w, (size_t)s->kh * s->kw * co, s->ci, NULL, residual ? residual + begin : NULL, m->rows,
                count);
    *ahead = j.ahead[0];
}

static void conv_dx_windows(const ebb_conv_shape *s, float *dx, const float *dy, const float *w,
                            const float *residual, void *scratch)
{
    conv_block b = conv_block_in(s);
    conv_scratch m = conv_carve(b.floats, 0, scratch);
    conv_phase py = conv_phase_make(s->h, s->pad_top, s->kh, s->stride);
    conv_phase px = conv_phase_make(s->w, s->pad_left, s->kw, s->stride);
    size_t picture = (size_t)s->oh * s->ow * s->co, panel_row = (size_t)s->co * EBB_PANEL;
    conv_at at = {0, b.pics, 0, b.rows};
    do {
        int t = py.first + at.y;
        for (int p = 0; p < at.pics; p++)
            conv_window_mirrored(m.window + p * b.picture, &b, at.rows - 1 + py.taps,
                                 dy + (at.n + p) * picture, s->oh, s->ow, s->co, t - (py.taps - 1),
                                 px.first - (px.taps - 1));
        tile_ahead ahead = conv_ahead(&at, &b, s->n, py.count, dy, picture, (size_t)s->ow * s->co,
                                      conv_tiles(b.pixels, s->ci) * s->stride * s->stride);
        for (int fy = 0; fy < s->stride; fy++) {
            conv_range y = conv_range_make(s->h, s->pad_top, s->kh, s->stride, fy, t, at.rows);
            for (int fx = 0; fx < s->stride; fx++) {
                conv_range x = conv_range_make(s->w, s->pad_left, s->kw, s->stride, fx, px.first,
                                               px.count);
                conv_dx_phase(s, &b, &at, &m, y, x, w + (fy * s->kw + fx) * panel_row, dx, residual,
                              &ahead);
            }
        }
    } while (conv_next(&at, &b, s->n, py.count));
}

void EBB_INSTANCE(conv_dx_f32)(const ebb_conv_shape *s, float *dx, const float *dy, const float *w,
                               const float *residual, void *scratch)
{
    few_map few = few_adjoint(s);
    if (few_conv(s, &few, dx, dy, w, NULL, residual, scratch))
        return;
    ebb_conv_shape flat;
    if (!conv_pointwise(s, &flat)) {
        conv_dx_windows(s, dx, dy, w, residual, scratch);
        return;
    }
    conv_pixels(flat.h, s->co, s->ci, dx, dy, w, NULL, residual, scratch);
}

/* Columns of the block's dy as one linear stream, zero filled. dy: (pixels, co). */
static void conv_dy_panel(float *panel, const float *dy, size_t pixels, int co, size_t columns)
{
    for (size_t i = 0; i < pixels; i++, panel += EBB_PANEL, dy += co) {
        if (columns == EBB_PANEL) {
            memcpy(panel, dy, EBB_PANEL * sizeof *panel);
        } else {
            memcpy(panel, dy, columns * sizeof *panel);
            memset(panel + columns, 0, (EBB_PANEL - columns) * sizeof *panel);
        }
    }
}

/* One block; dy: its first pixel. */
static void conv_dw_block(const ebb_conv_shape *s, const conv_block *b, const conv_at *at,
                          const conv_scratch *m, const float *a, float *dw, const float *dy,
                          const tile_ahead ahead[2], bool accumulate)
{
    size_t row = (size_t)s->ow * EBB_PANEL, pixels = (size_t)at->pics * at->rows * s->ow;
    tile_job j = {
        .a = a, .b = m->panel, .accumulate = accumulate, .ahead = {ahead[0], ahead[1]},
        .k = {.len = s->ow, .a_outer = b->picture, .a_inner = s->stride * b->pitch,
              .a_step = (ptrdiff_t)s->stride * s->ci, .b_outer = at->rows * row, .b_inner = row,
              .b_step = EBB_PANEL},
    };
    size_t count = conv_dw_rows(m->rows, s, b, at, row);
    if (count <= 3 * TILE_ROWS && s->co % TILE_WIDE == 0) {
        /* A copy would cost as much as the few tiles that read it. */
        j.b = dy;
        j.c = dw;
        j.columns = s->co;
        j.k.b_outer = (ptrdiff_t)at->rows * s->ow * s->co;
        j.k.b_inner = (ptrdiff_t)s->ow * s->co;
        j.k.b_step = s->co;
        for (size_t i = 0; i < count; i++)
            m->rows[i].b = m->rows[i].b / EBB_PANEL * s->co;
        tile_run(&j, m->rows, count);
        return;
    }
    for (int o = 0; o < s->co; o += EBB_PANEL) {
        j.columns = s->co - o < EBB_PANEL ? s->co - o : EBB_PANEL;
        j.c = dw + o;
        conv_dy_panel(m->panel, dy + o, pixels, s->co, j.columns);
        tile_run(&j, m->rows, count);
    }
}

/* Pixels as one row a block: the chain runs through. */
static void conv_dw_pointwise(const ebb_conv_shape *s, float *dw, const float *x, const float *dy,
                              bool accumulate, void *scratch)
{
    conv_scratch m = conv_carve(0, (size_t)CONV_PIXELS * EBB_PANEL, scratch);
    for (int p = 0; p < s->h; p += CONV_PIXELS) {
        int wide = s->h - p < CONV_PIXELS ? s->h - p : CONV_PIXELS;
        ebb_conv_shape row = {1, 1, wide, s->ci, 1, wide, s->co, 1, 1, 1, 0, 0};
        conv_block b = conv_block_out(&row);
        conv_at at = {0, 1, 0, 1};
        int left = s->h - p - wide, next = left < CONV_PIXELS ? left : CONV_PIXELS;
        size_t tiles = conv_tiles(s->ci, s->co), end = (size_t)p + wide;
        tile_ahead ahead[2] = {tile_ahead_make(x + end * s->ci, (size_t)next * s->ci * sizeof *x, tiles),
                               tile_ahead_make(dy + end * s->co, (size_t)next * s->co * sizeof *dy, tiles)};
        conv_dw_block(&row, &b, &at, &m, x + (size_t)p * s->ci, dw, dy + (size_t)p * s->co, ahead,
                      accumulate || p > 0);
    }
}

void EBB_INSTANCE(conv_dw_f32)(const ebb_conv_shape *s, float *dw, const float *x, const float *dy,
                               bool accumulate, void *scratch)
{
    if (few_is_dw(s)) {
        few_dw(s, dw, x, dy, accumulate, scratch);
        return;
    }
    ebb_conv_shape flat;
    if (conv_pointwise(s, &flat)) {
        conv_dw_pointwise(&flat, dw, x, dy, accumulate, scratch);
        return;
    }
    conv_block b = conv_block_out(s);
    conv_scratch m = conv_carve(b.floats, b.pixels * EBB_PANEL, scratch);
    conv_at at = {0, b.pics, 0, b.rows};
    size_t in = (size_t)s->w * s->ci, out = (size_t)s->ow * s->co;
    size_t tiles = conv_tiles((size_t)s->kh * s->kw * s->ci, s->co);
    do {
        size_t first = ((size_t)at.n * s->oh + at.y) * s->ow;
        tile_ahead ahead[2] = {
            conv_ahead(&at, &b, s->n, s->oh, x, s->h * in, s->stride * in, tiles),
            conv_ahead(&at, &b, s->n, s->oh, dy, s->oh * out, out, tiles),
        };
        conv_input(s, &b, &at, x, m.window);
        conv_dw_block(s, &b, &at, &m, m.window, dw, dy + first * s->co, ahead, accumulate || first > 0);
    } while (conv_next(&at, &b, s->n, s->oh));
}
