/* conv_bf16.tmpl.h: the convolution trio on bfloat16, by the tile of tile_bf16.tmpl.h.
 *
 * Windows, blocks and rows are those of conv.tmpl.h:
 *   conv_bf16     rows: output pixels      k: (kh)(kw ci), in pairs along each kernel row  columns: co
 *   conv_dx_bf16  rows: pixels of a phase  k: (kh)(kw)(co), in pairs along each tap        columns: ci
 *   conv_dw_bf16  rows: (kh)(kw ci)        k: the block's pixels, in pairs along a row     columns: co
 * The sums of dw wait in dw between blocks.
 */

/* Picture rows y..y+high-1 as window rows, from column x on; rows above and below the picture are left as they are:
 * no chain reads them. skip: conv_dw's distance of the two pixels of a pair, or 0. */
static void conv_window(pair_a *window, const conv_block *b, int high, const ebb_bf16 *src, int h, int w, int c,
                        int y, int x, int skip)
{
    conv_taps inside = conv_taps_make(y, high, h);
    for (int r = inside.first; r < inside.first + inside.count; r++) {
        const ebb_bf16 *row = src + (size_t)(y + r) * w * c;
        if (skip)
            pair_dw_row(window + r * b->pitch * PAIR_UNIT, row, w, c, x, b->wide, skip);
        else
            pair_row(window + r * b->pitch, row, w, c, x, b->wide);
    }
}

/* The same pixels, last row and column first. */
static void conv_window_mirrored(pair_a *window, const conv_block *b, int high, const ebb_bf16 *src, int h, int w,
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
                pair_copy(window + (size_t)i * c, src + ((size_t)(y + r) * w + from) * c, c);
        }
    }
}

/* Parts of the scratch. */
typedef struct conv_scratch {
    pair_a *window;
    ebb_bf16 *panel;
    tile_row *rows;
} conv_scratch;

static conv_scratch conv_carve(size_t window, size_t panel, void *scratch)
{
    char *at = scratch;
    window = conv_align(window * sizeof(pair_a));
    return (conv_scratch){(pair_a *)scratch, (ebb_bf16 *)(void *)(at + window),
                          (tile_row *)(void *)(at + window + conv_align(panel * sizeof(ebb_bf16)))};
}

static void conv_block_run(const ebb_conv_shape *s, const conv_block *b, const conv_at *at, const conv_scratch *m,
                           ebb_bf16 *y, const ebb_bf16 *w, const float *bias, const ebb_bf16 *residual)
{
    ptrdiff_t run = (ptrdiff_t)s->kw * s->ci, co = s->co, pairs = bf16_pairs(run);
    conv_grid grid = {
        .pics = at->pics, .rows = at->rows, .wide = s->ow,
        .a = {b->picture, s->stride * b->pitch, (ptrdiff_t)s->stride * s->ci},
        .c = {co * s->ow * s->oh, co * s->ow, co},
        .first = at->y * s->stride - s->pad_top, .step = s->stride, .high = s->h,
        .taps = s->kh, .columns = 1, .a_tap = b->pitch, .b_tap = pairs * 2 * EBB_PANEL,
    };
    ptrdiff_t begin = at->n * grid.c.picture + at->y * grid.c.row;
    pair_job j = {
        .a = m->window, .a_unit = 1, .b = w, .c = y + begin, .bias = bias,
        .residual = residual ? residual + begin : NULL,
        .k = {.len = run, .a_outer = grid.a_tap, .a_pair = 2, .a_odd = 1, .b_outer = grid.b_tap},
    };
    pair_panels(&j, s->kh * pairs, s->co, m->rows, conv_rows(m->rows, &grid));
}

void EBB_INSTANCE(conv_bf16)(const ebb_conv_shape *shape, ebb_bf16 *y, const ebb_bf16 *x, const ebb_bf16 *w,
                             const float *bias, const ebb_bf16 *residual, void *scratch)
{
    ebb_conv_shape s = *shape;
    conv_pointwise(shape, &s);
    conv_block b = conv_block_out(&s);
    conv_scratch m = conv_carve(b.floats, 0, scratch);
    size_t picture = (size_t)s.h * s.w * s.ci;
    conv_at at = {0, b.pics, 0, b.rows};
    do {
        for (int p = 0; p < at.pics; p++)
            conv_window(m.window + p * b.picture, &b, (at.rows - 1) * s.stride + s.kh,
                        x + (at.n + p) * picture, s.h, s.w, s.ci, at.y * s.stride - s.pad_top, -s.pad_left, 0);
        conv_block_run(&s, &b, &at, &m, y, w, bias, residual);
    } while (conv_next(&at, &b, s.n, s.oh));
}

/* One phase of one block. */
static void conv_dx_phase(const ebb_conv_shape *s, const conv_block *b, const conv_at *at, const conv_scratch *m,
                          conv_range y, conv_range x, const ebb_bf16 *w, ebb_bf16 *dx, const ebb_bf16 *residual)
{
    ptrdiff_t co = s->co, ci = s->ci, skip = s->stride, tap = bf16_pairs(co) * 2 * EBB_PANEL;
    conv_grid grid = {
        .pics = at->pics, .rows = y.count, .wide = x.count,
        .a = {b->picture, b->pitch, co}, .c = {ci * s->w * s->h, -skip * s->w * ci, -skip * ci},
        .first = s->oh - 1 - y.t, .step = 1, .high = s->oh,
        .taps = y.taps, .columns = x.taps, .a_tap = b->pitch, .b_tap = skip * s->kw * tap,
    };
    ptrdiff_t begin = at->n * grid.c.picture + ((ptrdiff_t)y.first * s->w + x.first) * ci;
    pair_job j = {
        .a = m->window + y.skip * grid.a.row + x.skip * grid.a.pixel, .a_unit = 1, .b = w, .c = dx + begin,
        .residual = residual ? residual + begin : NULL,
        .k = {.len = co, .a_outer = grid.a_tap, .a_inner = co, .a_pair = 2, .a_odd = 1, .b_outer = grid.b_tap,
              .b_inner = skip * tap},
    };
    pair_panels(&j, s->kh * s->kw * bf16_pairs(co), s->ci, m->rows, conv_rows(m->rows, &grid));
}

static void conv_dx_windows(const ebb_conv_shape *s, ebb_bf16 *dx, const ebb_bf16 *dy, const ebb_bf16 *w,
                            const ebb_bf16 *residual, void *scratch)
{
    conv_block b = conv_block_in(s);
    conv_scratch m = conv_carve(b.floats, 0, scratch);
    conv_phase py = conv_phase_make(s->h, s->pad_top, s->kh, s->stride);
    conv_phase px = conv_phase_make(s->w, s->pad_left, s->kw, s->stride);
    size_t picture = (size_t)s->oh * s->ow * s->co, tap = bf16_pairs(s->co) * 2 * EBB_PANEL;
    conv_at at = {0, b.pics, 0, b.rows};
    do {
        int t = py.first + at.y;
        for (int p = 0; p < at.pics; p++)
            conv_window_mirrored(m.window + p * b.picture, &b, at.rows - 1 + py.taps,
                                 dy + (at.n + p) * picture, s->oh, s->ow, s->co, t - (py.taps - 1),
                                 px.first - (px.taps - 1));
        for (int fy = 0; fy < s->stride; fy++) {
            conv_range y = conv_range_make(s->h, s->pad_top, s->kh, s->stride, fy, t, at.rows);
            for (int fx = 0; fx < s->stride; fx++) {
                conv_range x = conv_range_make(s->w, s->pad_left, s->kw, s->stride, fx, px.first, px.count);
                conv_dx_phase(s, &b, &at, &m, y, x, w + (fy * s->kw + fx) * tap, dx, residual);
            }
        }
    } while (conv_next(&at, &b, s->n, py.count));
}

void EBB_INSTANCE(conv_dx_bf16)(const ebb_conv_shape *s, ebb_bf16 *dx, const ebb_bf16 *dy, const ebb_bf16 *w,
                                const ebb_bf16 *residual, void *scratch)
{
    ebb_conv_shape flat;
    if (!conv_pointwise(s, &flat)) {
        conv_dx_windows(s, dx, dy, w, residual, scratch);
        return;
    }
    flat.ci = s->co;
    flat.co = s->ci;
    EBB_INSTANCE(conv_bf16)(&flat, dx, dy, w, NULL, residual, scratch);
}

/* Columns of the block's dy in pairs of pixels, zero filled. dy: (rows, wide, co). */
static void conv_dy_panel(ebb_bf16 *panel, const ebb_bf16 *dy, size_t rows, int wide, int co, size_t columns)
{
    for (size_t r = 0; r < rows; r++, dy += (size_t)wide * co) {
        for (int i = 0; i < wide; i += 2, panel += 2 * EBB_PANEL) {
            const ebb_bf16 *even = dy + (size_t)i * co;
            pair_zip(panel, even, i + 1 < wide ? even + co : NULL, columns);
            memset(panel + 2 * columns, 0, (EBB_PANEL - columns) * 2 * sizeof *panel);
        }
    }
}

/* One block; dy: its first pixel. */
static void conv_dw_block(const ebb_conv_shape *s, const conv_block *b, const conv_at *at, const conv_scratch *m,
                          float *dw, const ebb_bf16 *dy, bool accumulate)
{
    size_t row = bf16_pairs(s->ow) * 2 * EBB_PANEL;
    ptrdiff_t pixel = (ptrdiff_t)s->stride * s->ci * PAIR_UNIT;
    pair_job j = {
        .a = m->window, .a_unit = PAIR_UNIT, .b = m->panel, .c_f32 = true, .accumulate = accumulate,
        .k = {.len = s->ow, .a_outer = b->picture * PAIR_UNIT, .a_inner = s->stride * b->pitch * PAIR_UNIT,
              .a_pair = 2 * pixel, .a_odd = pixel, .b_outer = at->rows * row, .b_inner = row},
    };
    size_t count = conv_dw_rows(m->rows, s, b, at, row);
    for (int o = 0; o < s->co; o += EBB_PANEL) {
        j.columns = s->co - o < EBB_PANEL ? s->co - o : EBB_PANEL;
        j.c = dw + o;
        conv_dy_panel(m->panel, dy + o, (size_t)at->pics * at->rows, s->ow, s->co, j.columns);
        pair_run(&j, m->rows, count);
    }
}

/* All blocks of pictures that begin with nothing yet in dw, unless accumulate. */
static void conv_dw_blocks(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                           bool accumulate, void *scratch)
{
    conv_block b = conv_block_out(s);
    size_t panel = (size_t)b.pics * b.rows * bf16_pairs(s->ow) * 2 * EBB_PANEL;
    conv_scratch m = conv_carve(b.floats * PAIR_UNIT, panel, scratch);
    size_t picture = (size_t)s->h * s->w * s->ci;
    conv_at at = {0, b.pics, 0, b.rows};
    do {
        size_t first = ((size_t)at.n * s->oh + at.y) * s->ow;
        for (int p = 0; p < at.pics; p++)
            conv_window(m.window + p * b.picture * PAIR_UNIT, &b, (at.rows - 1) * s->stride + s->kh,
                        x + (at.n + p) * picture, s->h, s->w, s->ci, at.y * s->stride - s->pad_top, -s->pad_left,
                        s->stride);
        conv_dw_block(s, &b, &at, &m, dw, dy + first * s->co, accumulate || first > 0);
    } while (conv_next(&at, &b, s->n, s->oh));
}

void EBB_INSTANCE(conv_dw_bf16)(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                                bool accumulate, void *scratch)
{
    ebb_conv_shape flat;
    if (!conv_pointwise(s, &flat)) {
        conv_dw_blocks(s, dw, x, dy, accumulate, scratch);
        return;
    }
    /* pixels as one row a block: long segments */
    for (int p = 0; p < flat.h; p += CONV_PIXELS) {
        int wide = flat.h - p < CONV_PIXELS ? flat.h - p : CONV_PIXELS;
        ebb_conv_shape row = {1, 1, wide, s->ci, 1, wide, s->co, 1, 1, 1, 0, 0};
        conv_dw_blocks(&row, dw, x + (size_t)p * s->ci, dy + (size_t)p * s->co, accumulate || p > 0, scratch);
    }
}
