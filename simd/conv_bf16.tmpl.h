/* conv_bf16.tmpl.h: the convolution trio on bfloat16, by the tile of tile_bf16.tmpl.h.
 *
 * Windows, blocks and rows are those of conv.tmpl.h:
 *   conv_bf16     rows: output pixels      k: (kh)(kw ci), in pairs along each kernel row  columns: co
 *   conv_dx_bf16  rows: pixels of a phase  k: (kh)(kw)(co), in pairs along each tap        columns: ci
 *   conv_dw_bf16  rows: (kh)(kw ci)        k: the block's pixels, in pairs along a row     columns: co
 * but pixels beside the picture take no part either: at 8 x 8 that is a twelfth of all products. Where ci is odd, as
 * in a first layer, pixels get rows of their own, of whole pairs. The sums of dw wait in dw between blocks.
 */
#include "conv_few_bf16.tmpl.h"
#include "gemm_bf16.tmpl.h"

/* Pixels x..x+wide-1 of a row of w, c channels each; zeros beside it. */
static void conv_window_row(pair_a *to, const ebb_bf16 *row, int w, int c, int x, int wide)
{
    int left = x < 0 ? -x : 0, right = w - x < wide ? w - x : wide;
    left = left < wide ? left : wide;
    right = right > left ? right : left;
    size_t begin = (size_t)left * c, end = (size_t)right * c;
    memset(to, 0, begin * sizeof *to);
    if (end > begin)
        pair_copy(to + begin, row + (ptrdiff_t)(x + left) * c, end - begin);
    memset(to + end, 0, ((size_t)wide * c - end) * sizeof *to);
}

/* Picture rows y..y+high-1 as window rows, from column x on, zeros around them. */
static void conv_window(pair_a *window, const conv_block *b, int high, const ebb_bf16 *src, int h, int w, int c,
                        int y, int x)
{
    for (int r = 0; r < high; r++, window += b->pitch) {
        if (y + r < 0 || y + r >= h)
            memset(window, 0, b->pitch * sizeof *window);
        else
            conv_window_row(window, src + (size_t)(y + r) * w * c, w, c, x, b->wide);
    }
}

/* The same pixels, last row and column first, each of whole pairs. */
static void conv_window_mirrored(pair_a *window, const conv_block *b, int high, const ebb_bf16 *src, int h, int w,
                                 int c, int y, int x)
{
    size_t step = bf16_pairs(c) * 2;
    for (int r = high - 1; r >= 0; r--, window += b->pitch) {
        if (y + r < 0 || y + r >= h)
            continue;
        for (int i = 0; i < b->wide; i++) {
            int from = x + b->wide - 1 - i;
            pair_a *to = window + i * step;
            if (from >= 0 && from < w)
                pair_copy(to, src + ((size_t)(y + r) * w + from) * c, c);
            if (c % 2)
                to[c] = 0;
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

/* What the two forms of A differ in, of a forward block. */
typedef struct conv_form {
    conv_grid grid;
    pair_walk k;
    const pair_a *a;
} conv_form;

/* A window: a kernel row is kw touching segments of ci. */
static conv_form conv_form_window(const ebb_conv_shape *s, const conv_block *b, const conv_at *at, const pair_a *a)
{
    ptrdiff_t ci = s->ci, tap = ci * EBB_PANEL;
    return (conv_form){
        .grid = {.a = {b->picture, s->stride * b->pitch, s->stride * ci},
                 .first = at->y * s->stride - s->pad_top, .step = s->stride, .high = s->h, .taps = s->kh,
                 .columns = s->kw, .a_tap = b->pitch, .b_tap = s->kw * tap,
                 .left = -s->pad_left, .across = s->w, .a_column = ci, .b_column = tap},
        .k = {.len = ci, .a_outer = b->pitch, .a_inner = ci, .b_outer = s->kw * tap,
              .b_inner = tap},
        .a = a,
    };
}

/* A row of each pixel: kh runs of whole pairs, which touch. */
static conv_form conv_form_rows(const ebb_conv_shape *s, const conv_at *at, const pair_a *a)
{
    ptrdiff_t row = (ptrdiff_t)bf16_row(s);
    return (conv_form){
        .grid = {.a = {at->rows * s->ow * row, s->ow * row, row}, .high = 1, .taps = 1, .columns = 1},
        .k = {.len = row},
        .a = a,
    };
}

/* From windows to rows, in whole chunks: what is too much is overwritten by the next run. */
static void conv_gather(const ebb_conv_shape *s, const conv_block *b, const conv_at *at, pair_a *to,
                        const pair_a *window)
{
    size_t run = (size_t)s->kw * s->ci, step = bf16_pairs(run) * 2;
    for (int p = 0; p < at->pics; p++)
    for (int y = 0; y < at->rows; y++)
    for (int x = 0; x < s->ow; x++)
    for (int a = 0; a < s->kh; a++, to += step) {
        const pair_a *from = window + p * b->picture + (y * s->stride + a) * b->pitch + (size_t)x * s->stride * s->ci;
        for (size_t i = 0; i < run; i += BF16_CHUNK)
            memcpy(to + i, from + i, BF16_CHUNK * sizeof *to);
        if (run % 2)
            to[run] = 0;
    }
}

static void conv_block_run(const ebb_conv_shape *s, const conv_at *at, const conv_scratch *m, conv_form *f,
                           ebb_bf16 *y, const ebb_bf16 *w, const float *bias, const ebb_bf16 *residual)
{
    ptrdiff_t co = s->co;
    f->grid.pics = at->pics;
    f->grid.rows = at->rows;
    f->grid.wide = s->ow;
    f->grid.c = (conv_stride){co * s->ow * s->oh, co * s->ow, co};
    ptrdiff_t begin = at->n * f->grid.c.picture + at->y * f->grid.c.row;
    pair_job j = {
        .a = f->a, .b = w, .c = y + begin, .k = f->k, .touching = true, .bias = bias,
        .residual = residual ? residual + begin : NULL,
    };
    pair_panels(&j, s->kh * bf16_pairs((size_t)s->kw * s->ci), s->co, m->rows, conv_rows(m->rows, &f->grid));
}

void EBB_INSTANCE(conv_bf16)(const ebb_conv_shape *s, ebb_bf16 *y, const ebb_bf16 *x, const ebb_bf16 *w,
                             const float *bias, const ebb_bf16 *residual, void *scratch)
{
    if (few_conv_bf16(s, y, x, w, bias, residual, scratch) ||
        gemm_conv(s, s->ci, s->co, y, x, w, bias, residual, scratch))
        return;
    conv_block b = conv_block_out(s);
    bool gather = s->ci % 2;
    size_t picture = (size_t)s->h * s->w * s->ci, floats = b.floats + BF16_CHUNK;
    conv_scratch m = conv_carve(floats + (gather ? b.pixels * bf16_row(s) + BF16_CHUNK : 0), 0, scratch);
    conv_at at = {0, b.pics, 0, b.rows};
    do {
        for (int p = 0; p < at.pics; p++)
            conv_window(m.window + p * b.picture, &b, (at.rows - 1) * s->stride + s->kh,
                        x + (at.n + p) * picture, s->h, s->w, s->ci, at.y * s->stride - s->pad_top, -s->pad_left);
        if (gather)
            conv_gather(s, &b, &at, m.window + floats, m.window);
        conv_form f = gather ? conv_form_rows(s, &at, m.window + floats) : conv_form_window(s, &b, &at, m.window);
        conv_block_run(s, &at, &m, &f, y, w, bias, residual);
    } while (conv_next(&at, &b, s->n, s->oh));
}

/* One phase of one block. */
static void conv_dx_phase(const ebb_conv_shape *s, const conv_block *b, const conv_at *at, const conv_scratch *m,
                          conv_range y, conv_range x, const ebb_bf16 *w, ebb_bf16 *dx, const ebb_bf16 *residual)
{
    ptrdiff_t pairs = bf16_pairs(s->co), co = 2 * pairs, ci = s->ci, skip = s->stride, tap = co * EBB_PANEL;
    conv_grid grid = {
        .pics = at->pics, .rows = y.count, .wide = x.count,
        .a = {b->picture, b->pitch, co}, .c = {ci * s->w * s->h, -skip * s->w * ci, -skip * ci},
        .first = s->oh - 1 - y.t, .step = 1, .high = s->oh,
        .taps = y.taps, .columns = x.taps, .a_tap = b->pitch, .b_tap = skip * s->kw * tap,
        .left = s->ow - 1 - x.t, .across = s->ow, .a_column = co, .b_column = skip * tap,
    };
    ptrdiff_t begin = at->n * grid.c.picture + ((ptrdiff_t)y.first * s->w + x.first) * ci;
    pair_job j = {
        .a = m->window + y.skip * grid.a.row + x.skip * grid.a.pixel, .b = w, .c = dx + begin,
        .residual = residual ? residual + begin : NULL,
        .k = {.len = co, .a_outer = grid.a_tap, .a_inner = co, .b_outer = grid.b_tap,
              .b_inner = skip * tap},
        .touching = skip == 1,
    };
    pair_panels(&j, s->kh * s->kw * pairs, s->ci, m->rows, conv_rows(m->rows, &grid));
}

static void conv_dx_windows(const ebb_conv_shape *s, ebb_bf16 *dx, const ebb_bf16 *dy, const ebb_bf16 *w,
                            const ebb_bf16 *residual, void *scratch)
{
    conv_block b = bf16_block_in(s);
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
    if (!few_conv_dx_bf16(s, dx, dy, w, residual, scratch) &&
        !gemm_conv(s, s->co, s->ci, dx, dy, w, NULL, residual, scratch))
        conv_dx_windows(s, dx, dy, w, residual, scratch);
}

/* ---- dw ---------------------------------------------------------------------------------------- */
/* n pixels (step numbers apart) of m channels -> m planes of VW pixels, zeros after n. */
static inline __attribute__((always_inline)) void
conv_transpose_block(pair_a *to, size_t plane, const ebb_bf16 *from, size_t step, const size_t n, const size_t m)
{
    vf r[VW];
    TILE_UNROLL
    for (size_t i = 0; i < VW; i++)
        r[i] = i >= n ? vf_zero() : m == VW ? vf_load_bf16(from + i * step) : vf_load_bf16_n(from + i * step, m);
    vf_transpose(r);
    TILE_UNROLL
    for (size_t i = 0; i < VW; i++)
        if (i < m)
            pair_put_a(to + i * plane, r[i]);
}

/* n pixels of c channels -> c planes. The zeros of the last store may reach what comes after in a plane, and is
 * written after. */
static void conv_transpose(pair_a *to, size_t plane, const ebb_bf16 *from, size_t step, size_t n, size_t c)
{
    for (size_t i = 0; i < c; i += VW) {
        size_t m = c - i < VW ? c - i : VW;
        for (size_t x = 0; x < n; x += VW) {
            size_t k = n - x < VW ? n - x : VW;
            if (k == VW && m == VW)
                conv_transpose_block(to + i * plane + x, plane, from + x * step + i, step, VW, VW);
            else
                conv_transpose_block(to + i * plane + x, plane, from + x * step + i, step, k, m);
        }
    }
}

/* A row of the picture into its place in all planes. */
static void conv_planes_row(const ebb_conv_shape *s, const bf16_planes *p, pair_a *to, const ebb_bf16 *row)
{
    for (int f = 0; f < s->stride; f++, to += p->wide) {
        int first = f - s->pad_left;     /* of the picture's columns, with phase f */
        if (first < 0)
            first += (-first + s->stride - 1) / s->stride * s->stride;
        int at = (first + s->pad_left) / s->stride, left = (s->w - first + s->stride - 1) / s->stride;
        int n = left < p->wide - at ? left : p->wide - at;
        if (first < s->w && n > 0)
            conv_transpose(to + at, p->plane, row + (size_t)first * s->ci, (size_t)s->stride * s->ci, n, s->ci);
    }
}

/* The block's part of x: picture rows only, as no chain reads others. */
static void conv_planes(const ebb_conv_shape *s, const bf16_planes *p, const conv_at *at, pair_a *window,
                        const ebb_bf16 *x)
{
    int y = at->y * s->stride - s->pad_top;
    conv_taps inside = conv_taps_make(y, (at->rows - 1) * s->stride + s->kh, s->h);
    for (int i = 0; i < at->pics; i++)
        for (int r = inside.first; r < inside.first + inside.count; r++)
            conv_planes_row(s, p, window + i * p->picture + r * p->row,
                            x + ((size_t)(at->n + i) * s->h + y + r) * s->w * s->ci);
}

/* Rows (kh)(kw ci) of dw; b_row: of B in an output row. */
static size_t conv_planes_rows(tile_row *row, const ebb_conv_shape *s, const bf16_planes *p, const conv_at *at,
                               ptrdiff_t b_row)
{
    size_t count = 0;
    for (int a = 0; a < s->kh; a++) {
        conv_taps t = conv_dw_range(s, at, a);
        for (int b = 0; b < s->kw; b++) {
            ptrdiff_t from = (a + t.first * s->stride) * p->row + b % s->stride * p->wide + b / s->stride;
            for (int c = 0; c < s->ci; c++, count++)
                row[count] = (tile_row){from + c * p->plane, count * s->co, t.first * b_row, at->pics, t.count};
        }
    }
    return count;
}

/* One block; dy: its first pixel. */
static void conv_dw_block(const ebb_conv_shape *s, const bf16_planes *p, const conv_at *at, const conv_scratch *m,
                          float *dw, const ebb_bf16 *dy, bool accumulate)
{
    size_t row = bf16_pairs(s->ow) * 2 * EBB_PANEL;
    pair_job j = {
        .a = m->window, .b = m->panel, .c_f32 = true, .accumulate = accumulate,
        .k = {.len = s->ow, .a_outer = p->picture, .a_inner = s->stride * p->row, .b_outer = at->rows * row,
              .b_inner = row},
    };
    size_t count = conv_planes_rows(m->rows, s, p, at, row);
    for (int o = 0; o < s->co; o += EBB_PANEL) {
        j.columns = s->co - o < EBB_PANEL ? s->co - o : EBB_PANEL;
        j.c = dw + o;
        pair_pixels(m->panel, dy + o, (size_t)at->pics * at->rows, s->ow, s->co, j.columns);
        pair_run(&j, m->rows, count);
    }
}

/* All blocks; the first one writes dw, unless accumulate. */
static void conv_dw_blocks(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                           bool accumulate, void *scratch)
{
    conv_block b = conv_block_of(s, BF16_PIXELS);
    bf16_planes p = bf16_planes_make(s, &b);
    size_t panel = (size_t)b.pics * b.rows * bf16_pairs(s->ow) * 2 * EBB_PANEL;
    conv_scratch m = conv_carve(s->ci * p.plane, panel, scratch);
    memset(m.window, 0, s->ci * p.plane * sizeof *m.window);
    conv_at at = {0, b.pics, 0, b.rows};
    do {
        size_t first = ((size_t)at.n * s->oh + at.y) * s->ow;
        conv_planes(s, &p, &at, m.window, x);
        conv_dw_block(s, &p, &at, &m, dw, dy + first * s->co, accumulate || first > 0);
    } while (conv_next(&at, &b, s->n, s->oh));
}

/* Of a pointwise convolution: panels of pixels on both sides. One block of pixels. */
static void conv_dw_pixels(const ebb_conv_shape *s, const conv_scratch *m, float *dw, const ebb_bf16 *x,
                           const ebb_bf16 *dy, size_t pixels, bool accumulate)
{
    tile_row rows[EBB_PANEL];
    size_t ci = s->ci, co = s->co, panel = bf16_pairs(pixels) * 2 * EBB_PANEL;
    for (size_t r = 0; r < EBB_PANEL; r++)
        rows[r] = (tile_row){.a = r * PAIR_TURNED_ROW, .c = r * co, .outer = 1, .inner = 1};
    for (size_t i = 0; i < ci; i += EBB_PANEL)
        pair_turn(m->window + i / EBB_PANEL * panel, x + i, pixels, ci, ci - i < EBB_PANEL ? ci - i : EBB_PANEL);
    pair_job j = {
        .b = m->panel, .c_f32 = true, .accumulate = accumulate, .alike = true, .turned = true, .k = {.len = pixels},
    };
    for (size_t o = 0; o < co; o += EBB_PANEL) {
        j.columns = co - o < EBB_PANEL ? co - o : EBB_PANEL;
        pair_pixels(m->panel, dy + o, 1, (int)pixels, s->co, j.columns);
        for (size_t i = 0; i < ci; i += EBB_PANEL) {
            j.a = m->window + i / EBB_PANEL * panel;
            j.c = dw + i * co + o;
            pair_run(&j, rows, ci - i < EBB_PANEL ? ci - i : EBB_PANEL);
        }
    }
}

static bool conv_dw_pointwise(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                              bool accumulate, void *scratch)
{
    ebb_conv_shape flat;
    if (!conv_pointwise(s, &flat))
        return false;
    conv_scratch m = conv_carve(bf16_panels(s->ci) * BF16_TURNED * EBB_PANEL, BF16_TURNED * EBB_PANEL, scratch);
    size_t pixels = flat.h;
    for (size_t p = 0; p < pixels; p += BF16_TURNED)
        conv_dw_pixels(s, &m, dw, x + p * s->ci, dy + p * s->co, pixels - p < BF16_TURNED ? pixels - p : BF16_TURNED,
                       accumulate || p > 0);
    return true;
}

void EBB_INSTANCE(conv_dw_bf16)(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                                bool accumulate, void *scratch)
{
    if (!few_conv_dw_bf16(s, dw, x, dy, accumulate, scratch) &&
        !conv_dw_pointwise(s, dw, x, dy, accumulate, scratch))
        conv_dw_blocks(s, dw, x, dy, accumulate, scratch);
}
