/* wino_picture.tmpl.h: Winograd's convolution between pictures and planes. Included by wino.tmpl.h once for each type
 * of numbers in pictures: floats, or, with WINO_BF16, bfloat16, widened when read and rounded when written. What lies
 * between, planes and products, is f32 and the same.
 *
 * The 24 values between columns and rows of outputs and cotangents are registers. Data have 36: they are done a few
 * result rows at a time, whose columns need only some of the inputs, and the compiler drops the rest.
 */
#ifdef WINO_BF16
#define pixel ebb_bf16
#define PIXEL(name) wino_##name##_bf16
#define PIXEL_LOAD(p, n) ((n) == VW ? vf_load_bf16(p) : vf_load_bf16_n(p, n))
#define PIXEL_STORE(p, v, n) ((n) == VW ? vf_store_bf16(p, v) : vf_store_bf16_n(p, v, n))
#else
#define pixel float
#define PIXEL(name) wino_##name##_f32
#define PIXEL_LOAD(p, n) ((n) == VW ? vf_load(p) : vf_load_n(p, n))
#define PIXEL_STORE(p, v, n) ((n) == VW ? vf_store(p, v) : vf_store_n(p, v, n))
#endif

/* The size x size pixels from (y, x) of a picture (h, w, c); those beside it: zeros. */
WINO_INLINE void PIXEL(gather)(const pixel **to, const int size, const pixel *picture, int h, int w, int c, int y,
                               int x, const pixel *zeros)
{
    for (int i = 0; i < size; i++) {
        const pixel *row = picture + ((ptrdiff_t)(y + i) * w + x) * c;
        bool high = y + i >= 0 && y + i < h;
        for (int j = 0; j < size; j++)
            to[i * size + j] = high && x + j >= 0 && x + j < w ? row + (ptrdiff_t)j * c : zeros;
    }
}

/* Rows first..first+count-1 of B^T d B, one vector of n channels. to: the planes. */
WINO_INLINE void PIXEL(data_rows)(const int first, const int count, const pixel *const *from, size_t channel,
                                  size_t n, float *to, size_t plane)
{
    vf half[2][6], d[6], t[6];
    WINO_UNROLL
    for (int j = 0; j < 6; j++) {
        WINO_UNROLL
        for (int i = 0; i < 6; i++)
            d[i] = PIXEL_LOAD(from[i * 6 + j] + channel, n);
        wino_data(t, d);
        WINO_UNROLL
        for (int r = 0; r < count; r++)
            half[r][j] = t[first + r];
    }
    WINO_UNROLL
    for (int r = 0; r < count; r++) {
        wino_data(t, half[r]);
        WINO_UNROLL
        for (int j = 0; j < 6; j++)
            vf_store(to + ((first + r) * 6 + j) * plane, t[j]);
    }
}

WINO_INLINE void PIXEL(data_vector)(const pixel *const *from, size_t channel, size_t n, float *to, size_t plane)
{
    PIXEL(data_rows)(0, 1, from, channel, n, to, plane);
    PIXEL(data_rows)(1, 2, from, channel, n, to, plane);
    PIXEL(data_rows)(3, 2, from, channel, n, to, plane);
    PIXEL(data_rows)(5, 1, from, channel, n, to, plane);
}

/* A dY A^T of one vector. */
WINO_INLINE void PIXEL(cotangent_vector)(const pixel *const *from, size_t channel, size_t n, float *to, size_t plane)
{
    vf half[6][4], d[4], t[6];
    WINO_UNROLL
    for (int j = 0; j < 4; j++) {
        WINO_UNROLL
        for (int i = 0; i < 4; i++)
            d[i] = PIXEL_LOAD(from[i * 4 + j] + channel, n);
        wino_cotangent(t, d);
        WINO_UNROLL
        for (int i = 0; i < 6; i++)
            half[i][j] = t[i];
    }
    WINO_UNROLL
    for (int i = 0; i < 6; i++) {
        wino_cotangent(t, half[i]);
        WINO_UNROLL
        for (int j = 0; j < 6; j++)
            vf_store(to + (i * 6 + j) * plane, t[j]);
    }
}

/* count tiles from `first` of x -> v: planes of panels of `most` tiles. */
static void PIXEL(data_tiles)(const ebb_conv_shape *s, const wino_block *b, float *v, const pixel *x, size_t first,
                              size_t count, const pixel *zeros)
{
    wino_at at = wino_at_make(b, first);
    const pixel *from[36];
    size_t whole = s->ci / VW * VW, rest = s->ci % VW, panel = b->most * EBB_PANEL;
    for (size_t t = 0; t < count; t++, wino_at_next(&at, b)) {
        float *to = v + t * EBB_PANEL;
        PIXEL(gather)(from, 6, x + (size_t)at.n * s->h * s->w * s->ci, s->h, s->w, s->ci, 4 * at.y - s->pad_top,
                      4 * at.x - s->pad_left, zeros);
        for (size_t c = 0; c < whole; c += VW)
            PIXEL(data_vector)(from, c, VW, to + c / EBB_PANEL * panel + c % EBB_PANEL, b->in_plane);
        if (rest)
            PIXEL(data_vector)(from, whole, rest, to + whole / EBB_PANEL * panel + whole % EBB_PANEL, b->in_plane);
    }
}

/* The same of dy. */
static void PIXEL(cotangent_tiles)(const ebb_conv_shape *s, const wino_block *b, float *v, const pixel *dy,
                                   size_t first, size_t count, const pixel *zeros)
{
    wino_at at = wino_at_make(b, first);
    const pixel *from[16];
    size_t whole = s->co / VW * VW, rest = s->co % VW, panel = b->most * EBB_PANEL;
    for (size_t t = 0; t < count; t++, wino_at_next(&at, b)) {
        float *to = v + t * EBB_PANEL;
        PIXEL(gather)(from, 4, dy + (size_t)at.n * s->oh * s->ow * s->co, s->oh, s->ow, s->co, 4 * at.y, 4 * at.x,
                      zeros);
        for (size_t c = 0; c < whole; c += VW)
            PIXEL(cotangent_vector)(from, c, VW, to + c / EBB_PANEL * panel + c % EBB_PANEL, b->out_plane);
        if (rest)
            PIXEL(cotangent_vector)(from, whole, rest, to + whole / EBB_PANEL * panel + whole % EBB_PANEL, b->out_plane);
    }
}

/* Where a tile's outputs go: high x wide of them exist. */
typedef struct PIXEL(place) {
    pixel *y;
    const pixel *residual;  /* NULL: none */
    const float *bias;      /* NULL: none */
    ptrdiff_t row, step;    /* from one row and one pixel to the next */
    int high, wide;
} PIXEL(place);

/* A row of outputs and the epilogue, one vector of n channels. */
WINO_INLINE void PIXEL(output_row)(vf y[4], const PIXEL(place) *p, int row, size_t channel, size_t n)
{
    ptrdiff_t at = row * p->row + (ptrdiff_t)channel;
    if (row >= p->high)
        return;
    if (p->bias) {
        vf bias = wino_load(p->bias + channel, n);
        WINO_UNROLL
        for (int j = 0; j < 4; j++)
            y[j] = vf_add(y[j], bias);
    }
    if (p->wide < 4) {
        for (int j = 0; j < p->wide; j++, at += p->step) {
            vf v = p->residual ? vf_add(y[j], PIXEL_LOAD(p->residual + at, n)) : y[j];
            PIXEL_STORE(p->y + at, v, n);
        }
        return;
    }
    if (p->residual) {
        WINO_UNROLL
        for (int j = 0; j < 4; j++)
            y[j] = vf_add(y[j], PIXEL_LOAD(p->residual + at + j * p->step, n));
    }
    WINO_UNROLL
    for (int j = 0; j < 4; j++)
        PIXEL_STORE(p->y + at + j * p->step, y[j], n);
}

/* A^T M A and the epilogue, one vector of n channels. */
WINO_INLINE void PIXEL(output_vector)(const float *m, size_t plane, const PIXEL(place) *p, size_t channel, size_t n)
{
    vf half[4][6], d[6], t[4];
    WINO_UNROLL
    for (int j = 0; j < 6; j++) {
        WINO_UNROLL
        for (int i = 0; i < 6; i++)
            d[i] = vf_load(m + (i * 6 + j) * plane);
        wino_output(t, d);
        WINO_UNROLL
        for (int i = 0; i < 4; i++)
            half[i][j] = t[i];
    }
    WINO_UNROLL
    for (int i = 0; i < 4; i++) {
        wino_output(t, half[i]);
        PIXEL(output_row)(t, p, i, channel, n);
    }
}

/* Planes m of count tiles from `first` -> y. */
static void PIXEL(output_tiles)(const ebb_conv_shape *s, const wino_block *b, pixel *y, const float *m,
                                const float *bias, const pixel *residual, size_t first, size_t count)
{
    wino_at at = wino_at_make(b, first);
    size_t whole = s->co / VW * VW, rest = s->co % VW, panel = b->most * EBB_PANEL;
    for (size_t t = 0; t < count; t++, wino_at_next(&at, b)) {
        const float *from = m + t * EBB_PANEL;
        size_t begin = (((size_t)at.n * s->oh + 4 * at.y) * s->ow + 4 * at.x) * s->co;
        PIXEL(place) p = {y + begin, residual ? residual + begin : NULL, bias, (ptrdiff_t)s->ow * s->co, s->co,
                          s->oh - 4 * at.y, s->ow - 4 * at.x};
        for (size_t c = 0; c < whole; c += VW)
            PIXEL(output_vector)(from + c / EBB_PANEL * panel + c % EBB_PANEL, b->out_plane, &p, c, VW);
        if (rest)
            PIXEL(output_vector)(from + whole / EBB_PANEL * panel + whole % EBB_PANEL, b->out_plane, &p, whole, rest);
    }
}

static void PIXEL(forward)(const ebb_conv_shape *s, pixel *y, const pixel *x, const float *u, const float *bias,
                           const pixel *residual, float *scratch)
{
    wino_block b = wino_block_make(s, 1);
    float *v = scratch + b.zeros, *m = v + WINO_POINTS * b.in_plane;
    size_t plane = wino_pack_plane(s->ci);
    memset(scratch, 0, b.zeros * sizeof *scratch);
    for (size_t first = 0; first < b.tiles; first += b.most) {
        size_t count = b.tiles - first < b.most ? b.tiles - first : b.most;
        PIXEL(data_tiles)(s, &b, v, x, first, count, (const void *)scratch);
        for (size_t p = 0; p < WINO_POINTS; p++)
            wino_point(s, &b, m + p * b.out_plane, v + p * b.in_plane, u + p * plane, count);
        PIXEL(output_tiles)(s, &b, y, m, bias, residual, first, count);
    }
}

static void PIXEL(adjoint_w)(const ebb_conv_shape *s, float *dw, const pixel *x, const pixel *dy, bool accumulate,
                             float *scratch)
{
    wino_block b = wino_block_make(s, 2);
    float *v = scratch + b.zeros, *w = v + WINO_POINTS * b.in_plane, *sums = w + WINO_POINTS * b.out_plane;
    memset(scratch, 0, b.zeros * sizeof *scratch);
    for (size_t first = 0; first < b.tiles; first += b.most) {
        size_t count = b.tiles - first < b.most ? b.tiles - first : b.most;
        bool last = first + count == b.tiles;
        PIXEL(data_tiles)(s, &b, v, x, first, count, (const void *)scratch);
        PIXEL(cotangent_tiles)(s, &b, w, dy, first, count, (const void *)scratch);
        wino_dw_block(s, &b, sums, v, w, count, first > 0, last, dw, accumulate);
    }
}

#undef pixel
#undef PIXEL
#undef PIXEL_LOAD
#undef PIXEL_STORE
