/* conv.tmpl.h: convolution and its two adjoints on the register tile of tile.tmpl.h.
 *
 * Each is a product of rows found in the zero-padded window of a block (conv_block.h):
 *   conv     rows: output pixels      k: (kh)(kw ci), a run of the window per kernel row  columns: co
 *   conv_dx  rows: pixels of a phase  k: (kh)(kw)(co), the window mirrored in both axes   columns: ci
 *   conv_dw  rows: (kh)(kw ci)        k: the block's pixels                                columns: co
 * Chains run in the order of simd/c/conv.c; only dw's cross blocks, and they resume from dw itself.
 */
#include "tile.tmpl.h"

/* A block at hand: pictures n..n+pics-1, grid rows y..y+rows-1. */
typedef struct conv_at {
    int n, pics, y, rows;
} conv_at;

static bool conv_first(conv_at *at, const conv_block *b)
{
    *at = (conv_at){ 0, b->pics, 0, b->rows };
    return true;
}

/* Blocks in ascending (picture, row); false after the last. */
static bool conv_next(conv_at *at, const conv_block *b, int n, int ny)
{
    at->y += at->rows;
    if (at->y == ny) {
        at->y = 0;
        at->n += at->pics;
    }
    at->pics = n - at->n < b->pics ? n - at->n : b->pics;
    at->rows = ny - at->y < b->rows ? ny - at->y : b->rows;
    return at->n < n;
}

/* Window rows from picture rows y..., columns x...; src: (h, w, c), zeros outside. */
static void conv_window(float *window, const conv_block *b, int high, const float *src, int h, int w, int c,
                        int y, int x)
{
    int left = x < 0 ? -x : 0, right = w - x < b->wide ? w - x : b->wide;
    for (int r = 0; r < high; r++, window += b->pitch) {
        if (y + r < 0 || y + r >= h || right <= left) {
            memset(window, 0, b->pitch * sizeof *window);
            continue;
        }
        const float *from = src + ((size_t)(y + r) * w + (x + left)) * c;
        size_t begin = (size_t)left * c, end = (size_t)right * c;
        memset(window, 0, begin * sizeof *window);
        memcpy(window + begin, from, (end - begin) * sizeof *window);
        memset(window + end, 0, (b->pitch - end) * sizeof *window);
    }
}

/* The same pixels, last row and column first. */
static void conv_window_mirrored(float *window, const conv_block *b, int high, const float *src, int h, int w,
                                 int c, int y, int x)
{
    for (int r = high - 1; r >= 0; r--) {
        for (int i = b->wide - 1; i >= 0; i--, window += c) {
            if (y + r < 0 || y + r >= h || x + i < 0 || x + i >= w)
                memset(window, 0, c * sizeof *window);
            else
                memcpy(window, src + ((size_t)(y + r) * w + (x + i)) * c, c * sizeof *window);
        }
    }
}

/* Strides in floats of a grid of (picture, row, pixel). */
typedef struct conv_stride {
    ptrdiff_t picture, row, pixel;
} conv_stride;

/* Every pixel of a pics x rows x wide grid, in groups along the rows. */
static size_t conv_groups(tile_group *g, int pics, int rows, int wide, conv_stride a, conv_stride c)
{
    size_t count = 0;
    for (int p = 0; p < pics; p++) {
        for (int y = 0; y < rows; y++) {
            for (int x = 0; x < wide; x += TILE_ROWS)
                g[count++] = (tile_group){ p * a.picture + y * a.row + x * a.pixel,
                                           p * c.picture + y * c.row + x * c.pixel,
                                           wide - x < TILE_ROWS ? wide - x : TILE_ROWS };
        }
    }
    return count;
}

/* Parts of the scratch. */
typedef struct conv_scratch {
    float *window, *panel;
    tile_group *groups;
} conv_scratch;

static conv_scratch conv_carve(const conv_block *b, size_t panel, void *scratch)
{
    char *at = scratch;
    size_t window = conv_align(b->floats * sizeof(float));
    return (conv_scratch){ (float *)at, (float *)(at + window),
                           (tile_group *)(at + window + conv_align(panel * sizeof(float))) };
}

/* All panels of packed weights (of `rows` rows each) over the groups. */
static void conv_panels(tile_job *j, const float *w, size_t rows, int channels, const float *bias,
                        const float *residual, const tile_group *groups, size_t count)
{
    float *c = j->c;
    for (int p = 0; p < channels; p += EBB_PANEL) {
        j->b = w + p * rows;
        j->c = c + p;
        j->columns = channels - p < EBB_PANEL ? channels - p : EBB_PANEL;
        j->bias = bias ? bias + p : NULL;
        j->residual = residual ? residual + p : NULL;
        tile_run(j, groups, count);
    }
    j->c = c;
}

void EBB_INSTANCE(conv_f32)(const ebb_conv_shape *s, float *y, const float *x, const float *w, const float *bias,
                     const float *residual, void *scratch)
{
    conv_block b = conv_block_out(s);
    conv_scratch m = conv_carve(&b, 0, scratch);
    size_t picture = (size_t)s->h * s->w * s->ci, run = (size_t)s->kw * s->ci;
    conv_stride sa = { b.picture, s->stride * b.pitch, (ptrdiff_t)s->stride * s->ci };
    conv_stride sc = { (ptrdiff_t)s->oh * s->ow * s->co, (ptrdiff_t)s->ow * s->co, s->co };
    tile_job j = { .a = m.window, .a_row = sa.pixel, .c_row = s->co,
                   .k = { s->kh, 1, run, b.pitch, 0, 1, run * EBB_PANEL, 0, EBB_PANEL } };
    conv_at at;
    for (bool more = conv_first(&at, &b); more; more = conv_next(&at, &b, s->n, s->oh)) {
        for (int p = 0; p < at.pics; p++)
            conv_window(m.window + p * b.picture, &b, (at.rows - 1) * s->stride + s->kh,
                        x + (at.n + p) * picture, s->h, s->w, s->ci, at.y * s->stride - s->pad_top, -s->pad_left);
        size_t count = conv_groups(m.groups, at.pics, at.rows, s->ow, sa, sc);
        size_t begin = at.n * sc.picture + at.y * sc.row;
        j.c = y + begin;
        conv_panels(&j, w, s->kh * run, s->co, bias, residual ? residual + begin : NULL, m.groups, count);
    }
}

/* The inputs of one phase along one axis that a block's t cover: last ones first, as the window is
 * mirrored. */
typedef struct conv_range {
    int skip, count;  /* t of the block above the first; how many */
    int first;        /* input index of the first; the next is stride lower */
    int taps;
} conv_range;

static conv_range conv_range_make(int size, int pad, int kernel, int stride, int phase, int t, int rows)
{
    /* i = stride * t + phase - pad in [0, size) */
    int low = pad - phase > 0 ? (pad - phase + stride - 1) / stride : 0;
    int high = size - 1 + pad - phase < 0 ? -1 : (size - 1 + pad - phase) / stride;
    int last = t + rows - 1;
    low = low < t ? t : low;
    high = high > last ? last : high;
    return (conv_range){ last - high, high - low + 1, stride * high + phase - pad,
                         phase < kernel ? (kernel - phase + stride - 1) / stride : 0 };
}

/* One phase of one block. */
static void conv_dx_phase(const ebb_conv_shape *s, const conv_block *b, const conv_at *at, const conv_scratch *m,
                          conv_range y, conv_range x, const float *w, float *dx)
{
    ptrdiff_t co = s->co, ci = s->ci, skip = s->stride;
    conv_stride sa = { b->picture, b->pitch, co };
    conv_stride sc = { s->h * s->w * ci, -skip * s->w * ci, -skip * ci };
    size_t count = conv_groups(m->groups, at->pics, y.count, x.count, sa, sc);
    tile_job j = { .a = m->window + y.skip * sa.row + x.skip * sa.pixel, .a_row = sa.pixel, .c_row = sc.pixel,
                   .c = dx + at->n * sc.picture + (y.first * s->w + x.first) * ci,
                   .k = { y.taps, x.taps, co, sa.row, sa.pixel, 1, skip * s->kw * co * EBB_PANEL,
                          skip * co * EBB_PANEL, EBB_PANEL } };
    conv_panels(&j, w, (size_t)s->kh * s->kw * co, s->ci, NULL, NULL, m->groups, count);
}

void EBB_INSTANCE(conv_dx_f32)(const ebb_conv_shape *s, float *dx, const float *dy, const float *w, void *scratch)
{
    conv_block b = conv_block_in(s);
    conv_scratch m = conv_carve(&b, 0, scratch);
    conv_phase py = conv_phase_make(s->h, s->pad_top, s->kh, s->stride);
    conv_phase px = conv_phase_make(s->w, s->pad_left, s->kw, s->stride);
    size_t picture = (size_t)s->oh * s->ow * s->co, panel_row = (size_t)s->co * EBB_PANEL;
    conv_at at;
    for (bool more = conv_first(&at, &b); more; more = conv_next(&at, &b, s->n, py.count)) {
        int t = py.first + at.y;
        for (int p = 0; p < at.pics; p++)
            conv_window_mirrored(m.window + p * b.picture, &b, at.rows - 1 + py.taps, dy + (at.n + p) * picture,
                                 s->oh, s->ow, s->co, t - (py.taps - 1), px.first - (px.taps - 1));
        for (int fy = 0; fy < s->stride; fy++) {
            conv_range y = conv_range_make(s->h, s->pad_top, s->kh, s->stride, fy, t, at.rows);
            for (int fx = 0; fx < s->stride; fx++) {
                conv_range x = conv_range_make(s->w, s->pad_left, s->kw, s->stride, fx, px.first, px.count);
                conv_dx_phase(s, &b, &at, &m, y, x, w + (fy * s->kw + fx) * panel_row, dx);
            }
        }
    }
}

/* Columns of the block's dy as one linear stream, zero filled. dy: (pixels, co). */
static void conv_dy_panel(float *panel, const float *dy, size_t pixels, int co, size_t columns)
{
    for (size_t i = 0; i < pixels; i++, panel += EBB_PANEL, dy += co) {
        memcpy(panel, dy, columns * sizeof *panel);
        memset(panel + columns, 0, (EBB_PANEL - columns) * sizeof *panel);
    }
}

/* Rows (kh)(kw ci) of dw. */
static size_t conv_dw_groups(tile_group *g, const ebb_conv_shape *s, const conv_block *b)
{
    size_t count = 0, run = (size_t)s->kw * s->ci;
    for (int a = 0; a < s->kh; a++) {
        for (size_t r = 0; r < run; r += TILE_ROWS)
            g[count++] = (tile_group){ a * b->pitch + r, (a * run + r) * s->co,
                                       run - r < TILE_ROWS ? (int)(run - r) : TILE_ROWS };
    }
    return count;
}

void EBB_INSTANCE(conv_dw_f32)(const ebb_conv_shape *s, float *dw, const float *x, const float *dy, bool accumulate,
                        void *scratch)
{
    conv_block b = conv_block_out(s);
    conv_scratch m = conv_carve(&b, (size_t)b.pics * b.rows * s->ow * EBB_PANEL, scratch);
    size_t picture = (size_t)s->h * s->w * s->ci, count = conv_dw_groups(m.groups, s, &b);
    conv_at at;
    for (bool more = conv_first(&at, &b); more; more = conv_next(&at, &b, s->n, s->oh)) {
        for (int p = 0; p < at.pics; p++)
            conv_window(m.window + p * b.picture, &b, (at.rows - 1) * s->stride + s->kh,
                        x + (at.n + p) * picture, s->h, s->w, s->ci, at.y * s->stride - s->pad_top, -s->pad_left);
        size_t first = ((size_t)at.n * s->oh + at.y) * s->ow, row = (size_t)s->ow * EBB_PANEL;
        tile_job j = { .a = m.window, .b = m.panel, .a_row = 1, .c_row = s->co,
                       .accumulate = accumulate || first > 0,
                       .k = { at.pics, at.rows, s->ow, b.picture, s->stride * b.pitch, (ptrdiff_t)s->stride * s->ci,
                              at.rows * row, row, EBB_PANEL } };
        for (int o = 0; o < s->co; o += EBB_PANEL) {
            j.columns = s->co - o < EBB_PANEL ? s->co - o : EBB_PANEL;
            j.c = dw + o;
            conv_dy_panel(m.panel, dy + first * s->co + o, (size_t)at.pics * at.rows * s->ow, s->co, j.columns);
            tile_run(&j, m.groups, count);
        }
    }
}
