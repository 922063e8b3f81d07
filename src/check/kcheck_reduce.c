/* kcheck_reduce.c: cases of the sums and of softmax: every small length, cancellation, special values. */
#include <math.h>

#include "check/kcheck.h"

enum { SMALL = 200, LARGE = 30 };

static size_t length(kcheck *k, int i) { return i < SMALL ? (size_t)i : 500 + ebb_kcheck_below(k, 4000); }

static float *numbers(kcheck *k, size_t n, int i)
{
    return i % 8 == 7 ? ebb_kcheck_special(k, n) : ebb_kcheck_in(k, n);
}

void ebb_kcheck_REDUCE(kcheck *k, const char *name, size_t offset)
{
    for (int i = 0; i < SMALL + LARGE; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        size_t n = length(k, i);
        const float *x = numbers(k, n, i);
        float want = KCHECK_FN(REDUCE, k->spec, offset)(n, x), got = KCHECK_FN(REDUCE, k->fast, offset)(n, x);
        ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu", n), &want, &got, 1);
        ebb_kcheck_done(k);
    }
}

void ebb_kcheck_DOT(kcheck *k, const char *name, size_t offset)
{
    for (int i = 0; i < SMALL + LARGE; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        size_t n = length(k, i);
        const float *x = numbers(k, n, i), *y = ebb_kcheck_in(k, n);
        float want = KCHECK_FN(DOT, k->spec, offset)(n, x, y), got = KCHECK_FN(DOT, k->fast, offset)(n, x, y);
        ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu", n), &want, &got, 1);
        ebb_kcheck_done(k);
    }
}

static void colsum(kcheck *k, const char *name, size_t offset, size_t rows, size_t cols, size_t ldx)
{
    /* The last row ends with its last column: nothing of the stride follows. */
    const float *x = numbers(k, rows ? (rows - 1) * ldx + cols : 0, (int)cols);
    float *want = ebb_kcheck_out(k, cols), *got = ebb_kcheck_out(k, cols);
    KCHECK_FN(COLSUM, k->spec, offset)(rows, cols, want, x, ldx);
    KCHECK_FN(COLSUM, k->fast, offset)(rows, cols, got, x, ldx);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("%zu x %zu, stride %zu", rows, cols, ldx), want, got, cols);
    ebb_kcheck_done(k);
}

static void colsum_bf16(kcheck *k, const char *name, size_t offset, size_t rows, size_t cols, size_t ldx)
{
    size_t n = rows ? (rows - 1) * ldx + cols : 0;
    const ebb_bf16 *x = cols % 8 == 7 ? ebb_kcheck_special_bf16(k, n) : ebb_kcheck_in_bf16(k, n);
    float *want = ebb_kcheck_out(k, cols), *got = ebb_kcheck_out(k, cols);
    KCHECK_FN(COLSUM_BF16, k->spec, offset)(rows, cols, want, x, ldx);
    KCHECK_FN(COLSUM_BF16, k->fast, offset)(rows, cols, got, x, ldx);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("%zu x %zu, stride %zu", rows, cols, ldx), want, got, cols);
    ebb_kcheck_done(k);
}

typedef void colsum_case(kcheck *k, const char *name, size_t offset, size_t rows, size_t cols, size_t ldx);

static void each_colsum(kcheck *k, const char *name, size_t offset, colsum_case *one)
{
    for (size_t cols = 0; cols < SMALL; cols++)
        for (size_t rows = 0; rows < 4; rows++)
            if (ebb_kcheck_next(k))
                one(k, name, offset, rows, cols, cols + rows % 3);
    for (int i = 0; i < 50; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        size_t cols = 1 + ebb_kcheck_below(k, 150), rows = 4 + ebb_kcheck_below(k, 60);
        size_t ldx = cols + ebb_kcheck_below(k, 20);
        one(k, name, offset, rows, cols, ldx);
    }
}

void ebb_kcheck_COLSUM(kcheck *k, const char *name, size_t offset) { each_colsum(k, name, offset, colsum); }
void ebb_kcheck_COLSUM_BF16(kcheck *k, const char *name, size_t offset) { each_colsum(k, name, offset, colsum_bf16); }

/* Ordinary rows, rows with special values, and rows masked by -inf or spread over all of exp's range. */
static float *scores(kcheck *k, size_t count, int i)
{
    float *x = numbers(k, count, i);
    for (size_t j = 0; i % 4 == 1 && j < count; j++)
        x[j] = ebb_kcheck_below(k, 3) ? x[j] * 30.0f : -INFINITY;
    return x;
}

void ebb_kcheck_SOFTMAX(kcheck *k, const char *name, size_t offset)
{
    for (int i = 1; i < SMALL + LARGE; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        size_t rows = i < SMALL ? (size_t)i % 4 : 2, n = length(k, i), count = rows * n;
        const float *x = scores(k, count, i);
        float scale = i % 5 ? 0.125f : -3.0f;
        float *want = ebb_kcheck_out(k, count), *got = ebb_kcheck_out(k, count), *self = ebb_kcheck_copy(k, x, count);
        KCHECK_FN(SOFTMAX, k->spec, offset)(rows, n, want, x, scale);
        KCHECK_FN(SOFTMAX, k->fast, offset)(rows, n, got, x, scale);
        ebb_kcheck_equal(k, name, ebb_kcheck_text("%zu x %zu, scale %g", rows, n, scale), want, got, count);
        KCHECK_FN(SOFTMAX, k->fast, offset)(rows, n, self, self, scale);
        ebb_kcheck_equal(k, name, ebb_kcheck_text("%zu x %zu, in place", rows, n), want, self, count);
        ebb_kcheck_done(k);
    }
}

void ebb_kcheck_SOFTMAX_VJP(kcheck *k, const char *name, size_t offset)
{
    for (int i = 1; i < SMALL + LARGE; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        size_t rows = i < SMALL ? (size_t)i % 4 : 2, n = length(k, i), count = rows * n;
        const float *y = ebb_kcheck_in(k, count), *dy = numbers(k, count, i);
        float *want = ebb_kcheck_out(k, count), *got = ebb_kcheck_out(k, count), *self = ebb_kcheck_copy(k, dy, count);
        KCHECK_FN(SOFTMAX_VJP, k->spec, offset)(rows, n, want, y, dy, 0.35f);
        KCHECK_FN(SOFTMAX_VJP, k->fast, offset)(rows, n, got, y, dy, 0.35f);
        ebb_kcheck_equal(k, name, ebb_kcheck_text("%zu x %zu", rows, n), want, got, count);
        KCHECK_FN(SOFTMAX_VJP, k->fast, offset)(rows, n, self, y, self, 0.35f);
        ebb_kcheck_equal(k, name, ebb_kcheck_text("%zu x %zu, in place", rows, n), want, self, count);
        ebb_kcheck_done(k);
    }
}
