/* kcheck_conv.c: cases of the matrix product and of the convolution trio: random small shapes of any
 * channels, kernel, stride and padding, then the shapes of U-Nets; ordinary and special numbers. */
#include "check/kcheck_conv.h"

static float *numbers(kcheck *k, size_t n, bool special)
{
    return special ? ebb_kcheck_special(k, n) : ebb_kcheck_in(k, n);
}

/* ---- matrix product ---- */

typedef struct gemm_case {
    size_t m, n, k, gap;  /* gap: of each leading dimension beyond the row */
    bool transposed, accumulate, bias, residual, in_place, special;
} gemm_case;

static void gemm(kcheck *k, const char *name, size_t offset, const gemm_case *c)
{
    size_t lda = (c->transposed ? c->m : c->k) + c->gap, ldb = c->n + c->gap, ldc = c->n + c->gap;
    size_t rows_a = c->transposed ? c->k : c->m, row_a = c->transposed ? c->m : c->k;
    size_t nc = c->m && c->n ? (c->m - 1) * ldc + c->n : 0;
    float *a = numbers(k, rows_a && row_a ? (rows_a - 1) * lda + row_a : 0, c->special);
    float *b = numbers(k, c->k && c->n ? (c->k - 1) * ldb + c->n : 0, c->special);
    float *bias = ebb_kcheck_in(k, c->n), *residual = ebb_kcheck_in(k, nc);
    float *want = ebb_kcheck_in(k, nc), *got = ebb_kcheck_copy(k, want, nc);
    ebb_gemm_args g = {c->m, c->n, c->k, a, c->transposed ? 1 : lda, c->transposed ? lda : 1, b, ldb, want,
                       ldc, c->bias ? bias : NULL, NULL, c->accumulate};
    g.residual = c->in_place ? want : c->residual ? residual : NULL;
    KCHECK_FN(GEMM, k->spec, offset)(&g);
    g.residual = c->in_place ? got : g.residual;
    g.c = got;
    KCHECK_FN(GEMM, k->fast, offset)(&g);
    const char *text = ebb_kcheck_text("%zu x %zu, k %zu, gap %zu, transposed %d, accumulate %d, bias %d, "
                                       "residual %d, in place %d", c->m, c->n, c->k, c->gap, c->transposed,
                                       c->accumulate, c->bias, c->residual, c->in_place);
    ebb_kcheck_equal(k, name, text, want, got, nc);
    ebb_kcheck_done(k);
}

void ebb_kcheck_GEMM(kcheck *k, const char *name, size_t offset)
{
    static const size_t sizes[][3] = {
        {8, 512, 128}, {8, 40, 600}, {256, 96, 64}, {200, 33, 513}, {100, 100, 257}, {1, 1, 1000},
        {25, 32, 256}, {300, 40, 1024},
    };
    for (int i = 0; i < 400; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        uint64_t r = ebb_kcheck_random(k);
        gemm_case c = {
            .m = ebb_kcheck_below(k, 30), .n = ebb_kcheck_below(k, 70), .k = ebb_kcheck_below(k, 40), .gap = r % 3,
            .transposed = r >> 8 & 1, .accumulate = r >> 9 & 1, .bias = r >> 10 & 1, .residual = r >> 11 & 1,
            .in_place = (r >> 12 & 3) == 0, .special = (r >> 14 & 3) == 0,
        };
        gemm(k, name, offset, &c);
    }
    for (size_t i = 0; i < 4 * sizeof sizes / sizeof *sizes; i++) {
        const size_t *s = sizes[i / 4];
        if (ebb_kcheck_next(k))
            gemm(k, name, offset, &(gemm_case){.m = s[0], .n = s[1], .k = s[2], .transposed = i & 1,
                                               .accumulate = i & 2, .bias = true, .in_place = !(i & 1)});
    }
    if (!ebb_kcheck_next(k))
        return;
    /* strides of zero repeat a column of A */
    float *a = ebb_kcheck_in(k, 9), *b = ebb_kcheck_in(k, 70);
    float *want = ebb_kcheck_out(k, 63), *got = ebb_kcheck_out(k, 63);
    ebb_gemm_args g = {9, 7, 10, a, 1, 0, b, 7, want, 7, NULL, NULL, false};
    KCHECK_FN(GEMM, k->spec, offset)(&g);
    g.c = got;
    KCHECK_FN(GEMM, k->fast, offset)(&g);
    ebb_kcheck_equal(k, name, "A with equal columns", want, got, 63);
    ebb_kcheck_done(k);
}

/* ---- convolution ---- */

/* n, h, w, ci, oh, ow, co, kh, kw, stride, pad_top, pad_left */
static const ebb_conv_shape known[] = {
    {8, 4, 4, 16, 4, 4, 40, 3, 3, 1, 1, 1},    /* pictures share a block */
    {3, 8, 8, 33, 8, 8, 32, 3, 3, 1, 1, 1},
    {2, 20, 20, 3, 20, 20, 64, 3, 3, 1, 1, 1}, /* blocks of rows */
    {2, 28, 28, 1, 28, 28, 32, 3, 3, 1, 1, 1},
    {1, 19, 18, 32, 19, 18, 1, 3, 3, 1, 1, 1},
    {2, 17, 19, 20, 17, 19, 3, 3, 3, 1, 1, 1},
    {2, 5, 71, 33, 6, 69, 3, 3, 3, 1, 2, 0},   /* rows longer than the lanes of few channels */
    {2, 6, 45, 3, 4, 46, 96, 3, 3, 1, 0, 2},
    {2, 16, 16, 8, 8, 8, 24, 3, 3, 2, 0, 0},
    {3, 7, 7, 12, 7, 7, 96, 1, 1, 1, 0, 0},
    {5, 8, 9, 64, 8, 9, 33, 1, 1, 1, 0, 0},
    {1, 200, 3, 4, 200, 3, 8, 1, 1, 1, 0, 0},
    {1, 2, 300, 2, 2, 300, 3, 3, 3, 1, 1, 1},  /* a row is more than a block */
    {3, 40, 37, 32, 40, 37, 1, 3, 3, 1, 1, 1}, /* more than one block of AMX: y reads x, dx reads dy, dw */
    {3, 40, 37, 1, 40, 37, 32, 3, 3, 1, 1, 1},
    {2, 25, 21, 512, 25, 21, 1, 1, 2, 1, 0, 1},
};

int ebb_kcheck_conv_channels(kcheck *k)
{
    static const int channels[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 48, 65};
    return channels[ebb_kcheck_below(k, sizeof channels / sizeof *channels)];
}

static ebb_conv_shape random_shape(kcheck *k)
{
    int kh = 1 + (int)ebb_kcheck_below(k, 4), kw = 1 + (int)ebb_kcheck_below(k, 4);
    int stride = 1 + (int)ebb_kcheck_below(k, 3);
    int h = 1 + (int)ebb_kcheck_below(k, 9), w = 1 + (int)ebb_kcheck_below(k, 9);
    int top = (int)ebb_kcheck_below(k, kh + 1), left = (int)ebb_kcheck_below(k, kw + 1);
    return (ebb_conv_shape){
        .n = 1 + (int)ebb_kcheck_below(k, 4), .h = h, .w = w, .ci = ebb_kcheck_conv_channels(k),
        .oh = 1 + (int)ebb_kcheck_below(k, (h + top + kh) / stride + 1),
        .ow = 1 + (int)ebb_kcheck_below(k, (w + left + kw) / stride + 1), .co = ebb_kcheck_conv_channels(k),
        .kh = kh, .kw = kw, .stride = stride, .pad_top = top, .pad_left = left,
    };
}

void ebb_kcheck_conv_each(kcheck *k, const char *name, size_t offset, const kcheck_conv_list *list,
                          kcheck_conv_case *one)
{
    for (size_t i = 0; i < 200 + list->count; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        ebb_conv_shape s = i < 200 ? list->random(k) : list->known[i - 200];
        one(k, name, offset, &s, ebb_kcheck_random(k));
        ebb_kcheck_done(k);
    }
}

void ebb_kcheck_conv_shapes(kcheck *k, const char *name, size_t offset, kcheck_conv_case *one)
{
    static const kcheck_conv_list list = {random_shape, known, sizeof known / sizeof *known};
    ebb_kcheck_conv_each(k, name, offset, &list, one);
}

const char *ebb_kcheck_conv_text(const ebb_conv_shape *s)
{
    return ebb_kcheck_text("%d pictures %dx%dx%d -> %dx%dx%d, kernel %dx%d, stride %d, padding %d, %d", s->n,
                           s->h, s->w, s->ci, s->oh, s->ow, s->co, s->kh, s->kw, s->stride, s->pad_top,
                           s->pad_left);
}

static size_t input_size(const ebb_conv_shape *s) { return (size_t)s->n * s->h * s->w * s->ci; }
static size_t output_size(const ebb_conv_shape *s) { return (size_t)s->n * s->oh * s->ow * s->co; }
static size_t weight_size(const ebb_conv_shape *s) { return (size_t)s->kh * s->kw * s->ci * s->co; }
static float *scratch(kcheck *k, const ebb_conv_shape *s) { return ebb_kcheck_scratch(k, ebb_conv_scratch(s)); }

static void forward(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    bool special = (random & 3) == 0, biased = random & 4, added = random & 8;
    size_t n = output_size(s);
    float *x = numbers(k, input_size(s), special), *w = numbers(k, weight_size(s), special);
    float *packed = ebb_kcheck_out(k, ebb_conv_pack_size(s)), *bias = biased ? ebb_kcheck_in(k, s->co) : NULL;
    float *residual = added ? ebb_kcheck_in(k, n) : NULL, *self = added ? ebb_kcheck_copy(k, residual, n) : NULL;
    float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n), *room = scratch(k, s);
    ebb_conv_pack(s, packed, w);
    KCHECK_FN(CONV, k->spec, offset)(s, want, x, packed, bias, residual, room);
    KCHECK_FN(CONV, k->fast, offset)(s, got, x, packed, bias, residual, room);
    ebb_kcheck_equal(k, name, ebb_kcheck_conv_text(s), want, got, n);
    if (added) {
        KCHECK_FN(CONV, k->fast, offset)(s, self, x, packed, bias, self, room);
        ebb_kcheck_equal(k, name, ebb_kcheck_conv_text(s), want, self, n);
    }
}

static void adjoint_x(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    bool special = (random & 3) == 0, added = random & 4;
    size_t n = input_size(s);
    float *dy = numbers(k, output_size(s), special), *w = numbers(k, weight_size(s), special);
    float *packed = ebb_kcheck_out(k, ebb_conv_pack_dx_size(s)), *room = scratch(k, s);
    float *residual = added ? numbers(k, n, special) : NULL, *self = added ? ebb_kcheck_copy(k, residual, n) : NULL;
    float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
    ebb_conv_pack_dx(s, packed, w);
    KCHECK_FN(CONV_DX, k->spec, offset)(s, want, dy, packed, residual, room);
    KCHECK_FN(CONV_DX, k->fast, offset)(s, got, dy, packed, residual, room);
    ebb_kcheck_equal(k, name, ebb_kcheck_conv_text(s), want, got, n);
    if (added) {
        KCHECK_FN(CONV_DX, k->fast, offset)(s, self, dy, packed, self, room);
        ebb_kcheck_equal(k, name, ebb_kcheck_conv_text(s), want, self, n);
    }
}

static void adjoint_w(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    bool special = (random & 3) == 0, accumulate = random & 4;
    size_t n = weight_size(s);
    float *x = numbers(k, input_size(s), special), *dy = numbers(k, output_size(s), special);
    float *want = ebb_kcheck_in(k, n), *got = ebb_kcheck_copy(k, want, n), *room = scratch(k, s);
    KCHECK_FN(CONV_DW, k->spec, offset)(s, want, x, dy, accumulate, room);
    KCHECK_FN(CONV_DW, k->fast, offset)(s, got, x, dy, accumulate, room);
    ebb_kcheck_equal(k, name, ebb_kcheck_conv_text(s), want, got, n);
}

void ebb_kcheck_CONV(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_shapes(k, name, offset, forward);
}
void ebb_kcheck_CONV_DX(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_shapes(k, name, offset, adjoint_x);
}
void ebb_kcheck_CONV_DW(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_shapes(k, name, offset, adjoint_w);
}
