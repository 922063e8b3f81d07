/* kcheck_wino.c: cases of Winograd's convolution: random small shapes with partial tiles, odd channels and every
 * padding, then shapes of U-Nets; ordinary and special numbers, pictures of floats and of bfloat16. */
#include "check/kcheck_conv.h"

static float *numbers(kcheck *k, size_t n, bool special)
{
    return special ? ebb_kcheck_special(k, n) : ebb_kcheck_in(k, n);
}

/* n, h, w, ci, oh, ow, co, kh, kw, stride, pad_top, pad_left */
static const ebb_conv_shape known[] = {
    {2, 32, 32, 32, 32, 32, 32, 3, 3, 1, 1, 1},
    {5, 8, 8, 64, 8, 8, 64, 3, 3, 1, 1, 1},
    {1, 16, 16, 96, 16, 16, 64, 3, 3, 1, 1, 1},
    {1, 8, 8, 288, 8, 8, 40, 3, 3, 1, 1, 1},    /* several blocks of channels */
    {20, 4, 4, 33, 4, 4, 35, 3, 3, 1, 1, 1},    /* one tile a picture */
    {9, 28, 28, 65, 28, 28, 32, 3, 3, 1, 1, 1}, /* several blocks of tiles */
    {1, 3, 500, 5, 3, 500, 3, 3, 3, 1, 1, 1},
};

static ebb_conv_shape random_shape(kcheck *k)
{
    int h = 1 + (int)ebb_kcheck_below(k, 12), w = 1 + (int)ebb_kcheck_below(k, 12);
    int top = (int)ebb_kcheck_below(k, 3), left = (int)ebb_kcheck_below(k, 3);
    return (ebb_conv_shape){
        .n = 1 + (int)ebb_kcheck_below(k, 4), .h = h, .w = w, .ci = ebb_kcheck_conv_channels(k),
        .oh = 1 + (int)ebb_kcheck_below(k, h + top + 3), .ow = 1 + (int)ebb_kcheck_below(k, w + left + 3),
        .co = ebb_kcheck_conv_channels(k), .kh = 3, .kw = 3, .stride = 1, .pad_top = top, .pad_left = left,
    };
}

static const kcheck_conv_list shapes = {random_shape, known, sizeof known / sizeof *known};

static const char *text(const ebb_conv_shape *s)
{
    return ebb_kcheck_text("%d pictures %dx%dx%d -> %dx%dx%d, padding %d, %d", s->n, s->h, s->w, s->ci, s->oh, s->ow,
                           s->co, s->pad_top, s->pad_left);
}

static size_t input_size(const ebb_conv_shape *s) { return (size_t)s->n * s->h * s->w * s->ci; }
static size_t output_size(const ebb_conv_shape *s) { return (size_t)s->n * s->oh * s->ow * s->co; }
static size_t weight_size(const ebb_conv_shape *s) { return (size_t)9 * s->ci * s->co; }
static float *scratch(kcheck *k, const ebb_conv_shape *s) { return ebb_kcheck_scratch(k, ebb_wino_scratch(s)); }

/* The forward of any packed weights; with the scratch of a shape whose adjoint it may be. */
static void forward(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, float *u, float *room,
                    uint64_t random)
{
    bool special = random & 1, biased = random & 4, added = random & 8;
    size_t n = output_size(s);
    float *x = numbers(k, input_size(s), special), *bias = biased ? ebb_kcheck_in(k, s->co) : NULL;
    float *residual = added ? ebb_kcheck_in(k, n) : NULL, *self = added ? ebb_kcheck_copy(k, residual, n) : NULL;
    float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
    KCHECK_FN(WINO, k->spec, offset)(s, want, x, u, bias, residual, room);
    KCHECK_FN(WINO, k->fast, offset)(s, got, x, u, bias, residual, room);
    ebb_kcheck_equal(k, name, text(s), want, got, n);
    if (added) {
        KCHECK_FN(WINO, k->fast, offset)(s, self, x, u, bias, self, room);
        ebb_kcheck_equal(k, name, text(s), want, self, n);
    }
}

static ebb_bf16 *numbers_bf16(kcheck *k, size_t n, bool special)
{
    return special ? ebb_kcheck_special_bf16(k, n) : ebb_kcheck_in_bf16(k, n);
}

static void forward_bf16(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, float *u, float *room,
                         uint64_t random)
{
    bool special = random & 1, biased = random & 4, added = random & 8;
    size_t n = output_size(s);
    ebb_bf16 *x = numbers_bf16(k, input_size(s), special);
    float *bias = biased ? ebb_kcheck_in(k, s->co) : NULL;
    ebb_bf16 *residual = added ? numbers_bf16(k, n, special) : NULL;
    ebb_bf16 *self = added ? ebb_kcheck_copy_bf16(k, residual, n) : NULL;
    ebb_bf16 *want = ebb_kcheck_out_bf16(k, n), *got = ebb_kcheck_out_bf16(k, n);
    KCHECK_FN(WINO_BF16, k->spec, offset)(s, want, x, u, bias, residual, room);
    KCHECK_FN(WINO_BF16, k->fast, offset)(s, got, x, u, bias, residual, room);
    ebb_kcheck_equal_bf16(k, name, text(s), want, got, n);
    if (added) {
        KCHECK_FN(WINO_BF16, k->fast, offset)(s, self, x, u, bias, self, room);
        ebb_kcheck_equal_bf16(k, name, text(s), want, self, n);
    }
}

typedef void forward_case(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, float *u, float *room,
                          uint64_t random);

static void both_ways_of(forward_case *one, kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s,
                         uint64_t random)
{
    bool special = (random & 3) == 0;
    ebb_conv_shape adjoint = ebb_wino_adjoint(s);
    float *w = numbers(k, weight_size(s), special), *room = scratch(k, s);
    float *u = ebb_kcheck_out(k, ebb_wino_pack_size(s)), *u_dx = ebb_kcheck_out(k, ebb_wino_pack_dx_size(s));
    k->spec->wino_pack_f32(s, u, w);
    k->spec->wino_pack_dx_f32(s, u_dx, w);
    one(k, name, offset, s, u, room, random >> 8);
    one(k, name, offset, &adjoint, u_dx, room, random >> 16);
}

static void both_ways(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    both_ways_of(forward, k, name, offset, s, random);
}

static void both_ways_bf16(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    both_ways_of(forward_bf16, k, name, offset, s, random);
}

static void adjoint_w(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    bool special = (random & 3) == 0, accumulate = random & 4;
    size_t n = weight_size(s);
    float *x = numbers(k, input_size(s), special), *dy = numbers(k, output_size(s), special);
    float *want = ebb_kcheck_in(k, n), *got = ebb_kcheck_copy(k, want, n), *room = scratch(k, s);
    KCHECK_FN(WINO_DW, k->spec, offset)(s, want, x, dy, accumulate, room);
    KCHECK_FN(WINO_DW, k->fast, offset)(s, got, x, dy, accumulate, room);
    ebb_kcheck_equal(k, name, text(s), want, got, n);
}

static void adjoint_w_bf16(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    bool special = (random & 3) == 0, accumulate = random & 4;
    size_t n = weight_size(s);
    ebb_bf16 *x = numbers_bf16(k, input_size(s), special), *dy = numbers_bf16(k, output_size(s), special);
    float *want = ebb_kcheck_in(k, n), *got = ebb_kcheck_copy(k, want, n), *room = scratch(k, s);
    KCHECK_FN(WINO_DW_BF16, k->spec, offset)(s, want, x, dy, accumulate, room);
    KCHECK_FN(WINO_DW_BF16, k->fast, offset)(s, got, x, dy, accumulate, room);
    ebb_kcheck_equal(k, name, text(s), want, got, n);
}

static void pack(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random)
{
    bool dx = offset == offsetof(ebb_kernels, wino_pack_dx_f32);
    size_t n = dx ? ebb_wino_pack_dx_size(s) : ebb_wino_pack_size(s);
    float *w = numbers(k, weight_size(s), (random & 3) == 0), *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
    KCHECK_FN(WINO_PACK, k->spec, offset)(s, want, w);
    KCHECK_FN(WINO_PACK, k->fast, offset)(s, got, w);
    ebb_kcheck_equal(k, name, text(s), want, got, n);
}

void ebb_kcheck_WINO(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_each(k, name, offset, &shapes, both_ways);
}

void ebb_kcheck_WINO_BF16(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_each(k, name, offset, &shapes, both_ways_bf16);
}

void ebb_kcheck_WINO_DW(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_each(k, name, offset, &shapes, adjoint_w);
}

void ebb_kcheck_WINO_DW_BF16(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_each(k, name, offset, &shapes, adjoint_w_bf16);
}

void ebb_kcheck_WINO_PACK(kcheck *k, const char *name, size_t offset)
{
    ebb_kcheck_conv_each(k, name, offset, &shapes, pack);
}
