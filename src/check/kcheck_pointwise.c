/* kcheck_pointwise.c: cases of the kernels over n elements: every small n, special values, all aliases
 * that simd.h allows. */
#include <string.h>

#include "check/kcheck.h"

enum { SMALL = 150, LARGE = 30 };

typedef void sized_case(kcheck *k, const char *name, size_t offset, size_t n);

/* Calls `one` with each n up to SMALL and some larger ones, of which half lie about multiples of all widths. */
static void each_size(kcheck *k, const char *name, size_t offset, sized_case *one)
{
    for (int i = 0; i < SMALL + LARGE; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        size_t whole = 64 * ebb_kcheck_below(k, 64), about = whole + ebb_kcheck_below(k, 5);
        one(k, name, offset, i < SMALL ? (size_t)i : i % 2 ? about : 500 + ebb_kcheck_below(k, 4000));
        ebb_kcheck_done(k);
    }
}

static void unary(kcheck *k, const char *name, size_t offset, size_t n)
{
    const float *x = ebb_kcheck_special(k, n);
    float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n), *self = ebb_kcheck_copy(k, x, n);
    KCHECK_FN(UNARY, k->spec, offset)(n, want, x);
    KCHECK_FN(UNARY, k->fast, offset)(n, got, x);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu", n), want, got, n);
    KCHECK_FN(UNARY, k->fast, offset)(n, self, self);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu, in place", n), want, self, n);
}

/* A sweep over the whole range of f32: every sign, every exponent, evenly spread fractions. */
static void sweep(kcheck *k, const char *name, size_t offset)
{
    enum { COUNT = 1 << 16 };
    if (!ebb_kcheck_next(k))
        return;
    float *x = ebb_kcheck_out(k, COUNT), *want = ebb_kcheck_out(k, COUNT), *got = ebb_kcheck_out(k, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t bits = (i << 16) + (uint32_t)ebb_kcheck_below(k, 1 << 16);
        memcpy(&x[i], &bits, sizeof bits);
    }
    KCHECK_FN(UNARY, k->spec, offset)(COUNT, want, x);
    KCHECK_FN(UNARY, k->fast, offset)(COUNT, got, x);
    ebb_kcheck_equal(k, name, "sweep over all exponents", want, got, COUNT);
    ebb_kcheck_done(k);
}

void ebb_kcheck_UNARY(kcheck *k, const char *name, size_t offset)
{
    each_size(k, name, offset, unary);
    sweep(k, name, offset);
}

static void binary(kcheck *k, const char *name, size_t offset, size_t n)
{
    const float *x = ebb_kcheck_special(k, n), *y = ebb_kcheck_special(k, n);
    float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
    float *first = ebb_kcheck_copy(k, x, n), *second = ebb_kcheck_copy(k, y, n);
    KCHECK_FN(BINARY, k->spec, offset)(n, want, x, y);
    KCHECK_FN(BINARY, k->fast, offset)(n, got, x, y);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu", n), want, got, n);
    KCHECK_FN(BINARY, k->fast, offset)(n, first, first, y);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu, z = x", n), want, first, n);
    KCHECK_FN(BINARY, k->fast, offset)(n, second, x, second);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu, z = y", n), want, second, n);
}

void ebb_kcheck_BINARY(kcheck *k, const char *name, size_t offset) { each_size(k, name, offset, binary); }

static void affine(kcheck *k, const char *name, size_t offset, size_t n)
{
    const float *x = ebb_kcheck_special(k, n), *factors = ebb_kcheck_special(k, 2), *before = ebb_kcheck_special(k, n);
    float *want = ebb_kcheck_copy(k, before, n), *got = ebb_kcheck_copy(k, before, n);
    KCHECK_FN(AFFINE, k->spec, offset)(n, want, x, factors[0], factors[1]);
    KCHECK_FN(AFFINE, k->fast, offset)(n, got, x, factors[0], factors[1]);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu, a %g, b %g", n, factors[0], factors[1]), want, got, n);
}

void ebb_kcheck_AFFINE(kcheck *k, const char *name, size_t offset) { each_size(k, name, offset, affine); }

/* Gradient, momentum and weights are numbers of any size; squares are not negative. */
static void adamw(kcheck *k, const char *name, size_t offset, size_t n)
{
    const ebb_adamw h = {.lr = 3e-3f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.01f,
                         .bias1 = 1.7f, .bias2 = 20.0f, .grad_scale = 0.37f, .ema_keep = 0.9f};
    const float *g = ebb_kcheck_special(k, n);
    float *want[4], *got[4];
    for (int i = 0; i < 4; i++) {
        want[i] = i == 0 ? ebb_kcheck_special(k, n) : ebb_kcheck_in(k, n);
        for (size_t j = 0; i == 2 && j < n; j++)
            want[i][j] = want[i][j] < 0 ? -want[i][j] : want[i][j];
        got[i] = ebb_kcheck_copy(k, want[i], n);
    }
    bool ema = ebb_kcheck_below(k, 2);
    KCHECK_FN(ADAMW, k->spec, offset)(n, want[0], want[1], want[2], ema ? want[3] : NULL, g, &h);
    KCHECK_FN(ADAMW, k->fast, offset)(n, got[0], got[1], got[2], ema ? got[3] : NULL, g, &h);
    for (int i = 0; i < 4; i++)
        ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu, ema %d, result %d", n, ema, i), want[i], got[i], n);
}

void ebb_kcheck_ADAMW(kcheck *k, const char *name, size_t offset) { each_size(k, name, offset, adamw); }

static void narrow(kcheck *k, const char *name, size_t offset, size_t n)
{
    const float *x = ebb_kcheck_special(k, n);
    ebb_bf16 *want = ebb_kcheck_out_bf16(k, n), *got = ebb_kcheck_out_bf16(k, n);
    KCHECK_FN(NARROW, k->spec, offset)(n, want, x);
    KCHECK_FN(NARROW, k->fast, offset)(n, got, x);
    ebb_kcheck_equal_bf16(k, name, ebb_kcheck_text("n %zu", n), want, got, n);
}

/* Every upper half, with lower halves around the middle of two bfloat16s, at it, and random. */
static void narrow_ties(kcheck *k, const char *name, size_t offset)
{
    enum { COUNT = 1 << 16 };
    for (int i = 0; i < 4; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        float *x = ebb_kcheck_out(k, COUNT);
        ebb_bf16 *want = ebb_kcheck_out_bf16(k, COUNT), *got = ebb_kcheck_out_bf16(k, COUNT);
        for (uint32_t j = 0; j < COUNT; j++) {
            uint32_t bits = j << 16 | (i < 3 ? 0x7FFF + (uint32_t)i : (uint32_t)ebb_kcheck_below(k, 1 << 16));
            memcpy(&x[j], &bits, sizeof bits);
        }
        KCHECK_FN(NARROW, k->spec, offset)(COUNT, want, x);
        KCHECK_FN(NARROW, k->fast, offset)(COUNT, got, x);
        ebb_kcheck_equal_bf16(k, name, ebb_kcheck_text("every upper half, lower half %d", i), want, got, COUNT);
        ebb_kcheck_done(k);
    }
}

void ebb_kcheck_NARROW(kcheck *k, const char *name, size_t offset)
{
    each_size(k, name, offset, narrow);
    narrow_ties(k, name, offset);
}

static void widen(kcheck *k, const char *name, size_t offset, size_t n)
{
    const ebb_bf16 *x = ebb_kcheck_special_bf16(k, n);
    float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
    KCHECK_FN(WIDEN, k->spec, offset)(n, want, x);
    KCHECK_FN(WIDEN, k->fast, offset)(n, got, x);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu", n), want, got, n);
}

void ebb_kcheck_WIDEN(kcheck *k, const char *name, size_t offset) { each_size(k, name, offset, widen); }
