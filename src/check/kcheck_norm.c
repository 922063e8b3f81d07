/* kcheck_norm.c: cases of group normalisation and its adjoint: every small number of channels with each
 * divisor as number of groups, then the widths of networks; with and without SiLU and shift; some as a part of
 * the channels of wider pictures. */
#include <string.h>

#include "check/kcheck.h"

typedef void norm_case(kcheck *k, const char *name, size_t offset, const ebb_norm_shape *s, bool shifted);

static void each_shape(kcheck *k, const char *name, size_t offset, norm_case *one)
{
    static const int wide[][3] = {  /* pixels, channels, groups */
        {64, 64, 32}, {49, 96, 32}, {16, 256, 32}, {4, 512, 32}, {30, 130, 2}, {9, 300, 1}, {25, 320, 5},
        {7, 129, 43}, {6, 198, 66}, {5, 195, 3},
    };
    for (int channels = 1; channels <= 70; channels++) {
        for (int groups = 1; groups <= channels; groups++) {
            if (channels % groups)
                continue;
            for (int i = 0; i < 2; i++) {
                if (!ebb_kcheck_next(k))
                    continue;
                int pixels = 1 + (int)ebb_kcheck_below(k, 12);
                ebb_norm_shape s = {.pixels = pixels, .channels = channels, .groups = groups, .eps = 1e-5f,
                                    .silu = ebb_kcheck_below(k, 2)};
                s.stride = ebb_kcheck_below(k, 3) ? 0 : channels + (int)ebb_kcheck_below(k, 20);
                one(k, name, offset, &s, i);
                ebb_kcheck_done(k);
            }
        }
    }
    for (size_t i = 0; i < 4 * sizeof wide / sizeof *wide; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        ebb_norm_shape s = {.pixels = wide[i / 4][0], .channels = wide[i / 4][1], .groups = wide[i / 4][2],
                            .eps = 1e-5f, .silu = i & 1};
        s.stride = ebb_kcheck_below(k, 2) ? s.channels + 64 : 0;
        one(k, name, offset, &s, i & 2);
        ebb_kcheck_done(k);
    }
}

static const char *text(const ebb_norm_shape *s, bool shifted, const char *what)
{
    return ebb_kcheck_text("%d pixels, %d channels, stride %d, %d groups, silu %d, shift %d: %s", s->pixels, s->channels,
                           s->stride, s->groups, s->silu, shifted, what);
}

/* Of a picture, up to the last number that belongs to it. */
static size_t numbers(const ebb_norm_shape *s)
{
    return (size_t)(s->pixels - 1) * (size_t)(s->stride ? s->stride : s->channels) + (size_t)s->channels;
}

/* Where a picture goes; what lies between its pixels, as in x, has to stay. */
static float *room(kcheck *k, const ebb_norm_shape *s, const float *x)
{
    return s->stride ? ebb_kcheck_copy(k, x, numbers(s)) : ebb_kcheck_out(k, numbers(s));
}

static void forward(kcheck *k, const char *name, size_t offset, const ebb_norm_shape *s, bool shifted)
{
    size_t c = (size_t)s->channels, n = numbers(s), g = 2 * (size_t)s->groups;
    const float *x = ebb_kcheck_in(k, n), *gamma = ebb_kcheck_in(k, c), *beta = ebb_kcheck_in(k, c);
    const float *shift = shifted ? ebb_kcheck_in(k, c) : NULL;
    float *want = room(k, s, x), *got = room(k, s, x), *self = ebb_kcheck_copy(k, x, n);
    float *want_stats = ebb_kcheck_out(k, g), *got_stats = ebb_kcheck_out(k, g), *self_stats = ebb_kcheck_out(k, g);
    KCHECK_FN(NORM, k->spec, offset)(s, want, want_stats, x, shift, gamma, beta);
    KCHECK_FN(NORM, k->fast, offset)(s, got, got_stats, x, shift, gamma, beta);
    ebb_kcheck_equal(k, name, text(s, shifted, "stats"), want_stats, got_stats, g);
    ebb_kcheck_equal(k, name, text(s, shifted, "y"), want, got, n);
    KCHECK_FN(NORM, k->fast, offset)(s, self, self_stats, self, shift, gamma, beta);
    ebb_kcheck_equal(k, name, text(s, shifted, "in place"), want, self, n);
}

void ebb_kcheck_NORM(kcheck *k, const char *name, size_t offset) { each_shape(k, name, offset, forward); }

typedef struct adjoint {
    float *dx, *dshift, *dgamma, *dbeta, *scratch;
} adjoint;

static adjoint results(kcheck *k, const ebb_norm_shape *s, const float *dy, const float *start, bool shifted)
{
    size_t c = (size_t)s->channels;
    return (adjoint){.dx = room(k, s, dy), .dshift = shifted ? ebb_kcheck_out(k, c) : NULL,
                     .dgamma = ebb_kcheck_copy(k, start, c), .dbeta = ebb_kcheck_copy(k, start, c),
                     .scratch = ebb_kcheck_scratch(k, ebb_norm_scratch(s))};
}

static void backward(kcheck *k, const char *name, size_t offset, const ebb_norm_shape *s, bool shifted)
{
    size_t c = (size_t)s->channels, n = numbers(s), g = 2 * (size_t)s->groups;
    const float *x = ebb_kcheck_in(k, n), *dy = ebb_kcheck_in(k, n), *stats = ebb_kcheck_in(k, g);
    const float *gamma = ebb_kcheck_in(k, c), *beta = ebb_kcheck_in(k, c), *start = ebb_kcheck_in(k, c);
    const float *shift = shifted ? ebb_kcheck_in(k, c) : NULL;
    adjoint want = results(k, s, dy, start, shifted), got = results(k, s, dy, start, shifted), self = got;
    EBB_FN_NORM_VJP fast = KCHECK_FN(NORM_VJP, k->fast, offset);
    EBB_FN_NORM_VJP spec = KCHECK_FN(NORM_VJP, k->spec, offset);
    spec(s, want.dx, want.dshift, want.dgamma, want.dbeta, x, shift, dy, stats, gamma, beta, want.scratch);
    fast(s, got.dx, got.dshift, got.dgamma, got.dbeta, x, shift, dy, stats, gamma, beta, got.scratch);
    ebb_kcheck_equal(k, name, text(s, shifted, "dx"), want.dx, got.dx, n);
    ebb_kcheck_equal(k, name, text(s, shifted, "dgamma"), want.dgamma, got.dgamma, c);
    ebb_kcheck_equal(k, name, text(s, shifted, "dbeta"), want.dbeta, got.dbeta, c);
    if (shifted)
        ebb_kcheck_equal(k, name, text(s, shifted, "dshift"), want.dshift, got.dshift, c);
    self.dx = ebb_kcheck_copy(k, dy, n);
    fast(s, self.dx, self.dshift, self.dgamma, self.dbeta, x, shift, self.dx, stats, gamma, beta,
         self.scratch);
    ebb_kcheck_equal(k, name, text(s, shifted, "dx in place"), want.dx, self.dx, n);
}

void ebb_kcheck_NORM_VJP(kcheck *k, const char *name, size_t offset) { each_shape(k, name, offset, backward); }

/* ---- bfloat16 pictures ------------------------------------------------------------------------ */
/* Now and then with infinities and NaN: vectors of which some lanes are NaN take a way of their own. */
static ebb_bf16 *picture(kcheck *k, size_t n)
{
    return ebb_kcheck_below(k, 4) ? ebb_kcheck_in_bf16(k, n) : ebb_kcheck_special_bf16(k, n);
}

static ebb_bf16 *room_bf16(kcheck *k, const ebb_norm_shape *s, const ebb_bf16 *x)
{
    return s->stride ? ebb_kcheck_copy_bf16(k, x, numbers(s)) : ebb_kcheck_out_bf16(k, numbers(s));
}

/* n numbers, one of them the NaN that rounding as a number would turn into -0. */
static float *with_nan(kcheck *k, size_t n)
{
    static const uint32_t full = 0x7FFFFFFF;
    float *x = ebb_kcheck_in(k, n);
    memcpy(&x[ebb_kcheck_below(k, n)], &full, sizeof full);
    return x;
}

static void forward_bf16(kcheck *k, const char *name, size_t offset, const ebb_norm_shape *s, bool shifted)
{
    size_t c = (size_t)s->channels, n = numbers(s), g = 2 * (size_t)s->groups;
    const ebb_bf16 *x = picture(k, n);
    const float *gamma = ebb_kcheck_in(k, c), *beta = ebb_kcheck_below(k, 4) ? ebb_kcheck_in(k, c) : with_nan(k, c);
    const float *shift = shifted ? ebb_kcheck_in(k, c) : NULL;
    ebb_bf16 *want = room_bf16(k, s, x), *got = room_bf16(k, s, x), *self = ebb_kcheck_copy_bf16(k, x, n);
    float *want_stats = ebb_kcheck_out(k, g), *got_stats = ebb_kcheck_out(k, g), *self_stats = ebb_kcheck_out(k, g);
    KCHECK_FN(NORM_BF16, k->spec, offset)(s, want, want_stats, x, shift, gamma, beta);
    KCHECK_FN(NORM_BF16, k->fast, offset)(s, got, got_stats, x, shift, gamma, beta);
    ebb_kcheck_equal(k, name, text(s, shifted, "stats"), want_stats, got_stats, g);
    ebb_kcheck_equal_bf16(k, name, text(s, shifted, "y"), want, got, n);
    KCHECK_FN(NORM_BF16, k->fast, offset)(s, self, self_stats, self, shift, gamma, beta);
    ebb_kcheck_equal_bf16(k, name, text(s, shifted, "in place"), want, self, n);
}

void ebb_kcheck_NORM_BF16(kcheck *k, const char *name, size_t offset) { each_shape(k, name, offset, forward_bf16); }

typedef struct adjoint_bf16 {
    ebb_bf16 *dx;
    float *dshift, *dgamma, *dbeta, *scratch;
} adjoint_bf16;

static adjoint_bf16 results_bf16(kcheck *k, const ebb_norm_shape *s, const ebb_bf16 *dy, const float *start,
                                 bool shifted)
{
    size_t c = (size_t)s->channels;
    return (adjoint_bf16){.dx = room_bf16(k, s, dy),
                          .dshift = shifted ? ebb_kcheck_out(k, c) : NULL,
                          .dgamma = ebb_kcheck_copy(k, start, c), .dbeta = ebb_kcheck_copy(k, start, c),
                          .scratch = ebb_kcheck_scratch(k, ebb_norm_scratch_bf16(s))};
}

static void backward_bf16(kcheck *k, const char *name, size_t offset, const ebb_norm_shape *s, bool shifted)
{
    size_t c = (size_t)s->channels, n = numbers(s), g = 2 * (size_t)s->groups;
    const ebb_bf16 *x = ebb_kcheck_in_bf16(k, n), *dy = picture(k, n);
    const float *stats = ebb_kcheck_in(k, g), *gamma = ebb_kcheck_in(k, c), *beta = ebb_kcheck_in(k, c);
    const float *start = ebb_kcheck_in(k, c), *shift = shifted ? ebb_kcheck_in(k, c) : NULL;
    adjoint_bf16 want = results_bf16(k, s, dy, start, shifted), got = results_bf16(k, s, dy, start, shifted), self = got;
    EBB_FN_NORM_VJP_BF16 fast = KCHECK_FN(NORM_VJP_BF16, k->fast, offset);
    EBB_FN_NORM_VJP_BF16 spec = KCHECK_FN(NORM_VJP_BF16, k->spec, offset);
    spec(s, want.dx, want.dshift, want.dgamma, want.dbeta, x, shift, dy, stats, gamma, beta, want.scratch);
    fast(s, got.dx, got.dshift, got.dgamma, got.dbeta, x, shift, dy, stats, gamma, beta, got.scratch);
    ebb_kcheck_equal_bf16(k, name, text(s, shifted, "dx"), want.dx, got.dx, n);
    ebb_kcheck_equal(k, name, text(s, shifted, "dgamma"), want.dgamma, got.dgamma, c);
    ebb_kcheck_equal(k, name, text(s, shifted, "dbeta"), want.dbeta, got.dbeta, c);
    if (shifted)
        ebb_kcheck_equal(k, name, text(s, shifted, "dshift"), want.dshift, got.dshift, c);
    self.dx = ebb_kcheck_copy_bf16(k, dy, n);
    fast(s, self.dx, self.dshift, self.dgamma, self.dbeta, x, shift, self.dx, stats, gamma, beta, self.scratch);
    ebb_kcheck_equal_bf16(k, name, text(s, shifted, "dx in place"), want.dx, self.dx, n);
}

void ebb_kcheck_NORM_VJP_BF16(kcheck *k, const char *name, size_t offset)
{
    each_shape(k, name, offset, backward_bf16);
}
