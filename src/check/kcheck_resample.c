/* kcheck_resample.c: cases of resampling, transposition and random normals. */
#include <Random123/philox.h>
#include <math.h>
#include <string.h>

#include "check/kcheck.h"

void ebb_kcheck_RESIZE(kcheck *k, const char *name, size_t offset)
{
    for (int i = 0; i < 4 * 140; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        int c = 1 + i / 4;
        int h = 1 + (int)ebb_kcheck_below(k, 4), w = 1 + (int)ebb_kcheck_below(k, 4);
        size_t small = (size_t)h * w * c, large = 4 * small;
        bool up = strcmp(name, "up2_f32") == 0;
        size_t n = up ? large : small;
        const float *x = ebb_kcheck_in(k, up ? small : large);
        float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
        KCHECK_FN(RESIZE, k->spec, offset)(h, w, c, want, x);
        KCHECK_FN(RESIZE, k->fast, offset)(h, w, c, got, x);
        ebb_kcheck_equal(k, name, ebb_kcheck_text("%d x %d x %d", h, w, c), want, got, n);
        ebb_kcheck_done(k);
    }
}

void ebb_kcheck_RESIZE_BF16(kcheck *k, const char *name, size_t offset)
{
    for (int i = 0; i < 4 * 140; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        int c = 1 + i / 4;
        int h = 1 + (int)ebb_kcheck_below(k, 4), w = 1 + (int)ebb_kcheck_below(k, 4);
        size_t small = (size_t)h * w * c, large = 4 * small;
        bool up = strcmp(name, "up2_bf16") == 0;
        size_t n = up ? large : small, of = up ? small : large;
        const ebb_bf16 *x = i % 4 ? ebb_kcheck_in_bf16(k, of) : ebb_kcheck_special_bf16(k, of);
        ebb_bf16 *want = ebb_kcheck_out_bf16(k, n), *got = ebb_kcheck_out_bf16(k, n);
        KCHECK_FN(RESIZE_BF16, k->spec, offset)(h, w, c, want, x);
        KCHECK_FN(RESIZE_BF16, k->fast, offset)(h, w, c, got, x);
        ebb_kcheck_equal_bf16(k, name, ebb_kcheck_text("%d x %d x %d", h, w, c), want, got, n);
        ebb_kcheck_done(k);
    }
}

static void transpose(kcheck *k, const char *name, size_t offset, size_t rows, size_t cols)
{
    size_t ldx = cols + ebb_kcheck_below(k, 3), ldy = rows + ebb_kcheck_below(k, 3), n = (cols - 1) * ldy + rows;
    const float *x = ebb_kcheck_in(k, (rows - 1) * ldx + cols);
    float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
    KCHECK_FN(TRANSPOSE, k->spec, offset)(rows, cols, want, ldy, x, ldx);
    KCHECK_FN(TRANSPOSE, k->fast, offset)(rows, cols, got, ldy, x, ldx);
    ebb_kcheck_equal(k, name, ebb_kcheck_text("%zu x %zu, strides %zu, %zu", rows, cols, ldx, ldy), want, got, n);
    ebb_kcheck_done(k);
}

void ebb_kcheck_TRANSPOSE(kcheck *k, const char *name, size_t offset)
{
    for (size_t rows = 1; rows <= 36; rows++)
        for (size_t cols = 1; cols <= 36; cols++)
            if (ebb_kcheck_next(k))
                transpose(k, name, offset, rows, cols);
    for (int i = 0; i < 20; i++)
        if (ebb_kcheck_next(k))
            transpose(k, name, offset, 37 + ebb_kcheck_below(k, 100), 37 + ebb_kcheck_below(k, 100));
}

/* Normal i by Random123 and Box-Muller in double precision. *error: u is rounded to f32, by at most
 * 2^-25, which moves the radius by 2^-25/(u radius), or 2^-12 near 0; then a few roundings of f32. */
static double reference_normal(const ebb_rng_at *at, size_t i, double *error)
{
    philox4x32_key_t key = { { (uint32_t)at->seed, (uint32_t)(at->seed >> 32) } };
    philox4x32_ctr_t counter = { { (uint32_t)(i / 4), at->sample, at->step, at->stream } };
    philox4x32_ctr_t words = philox4x32_R(10, counter, key);
    const uint32_t *pair = words.v + (i % 4 < 2 ? 0 : 2);
    double u = (pair[0] + 0.5) * 0x1p-32, radius = sqrt(-2.0 * log(u));
    double angle = 2 * 3.14159265358979323846 * 0x1p-32 * pair[1];
    *error = fmin(0x1p-25 / (u * radius), 0x1p-12) + 0x1p-21 * radius;
    return radius * (i % 2 ? sin(angle) : cos(angle));
}

static void check_reference(kcheck *k, const char *name, const ebb_rng_at *at, const float *y, size_t n)
{
    k->compared++;
    for (size_t i = 0; i < n; i++) {
        double error, want = reference_normal(at, i, &error);
        if (!(fabs(y[i] - want) <= error)) {
            ebb_kcheck_fail(k, "%s: normal %zu is %.9g, Random123 gives %.9g", name, i, (double)y[i], want);
            return;
        }
    }
}

void ebb_kcheck_NORMAL(kcheck *k, const char *name, size_t offset)
{
    for (size_t i = 0; i < 230; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        size_t n = i < 200 ? i : 1000 + ebb_kcheck_below(k, 3000);
        uint64_t seed = ebb_kcheck_random(k), low = ebb_kcheck_random(k), high = ebb_kcheck_random(k);
        ebb_rng_at at = {seed, (uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high};
        float *want = ebb_kcheck_out(k, n), *got = ebb_kcheck_out(k, n);
        KCHECK_FN(NORMAL, k->spec, offset)(n, want, &at);
        KCHECK_FN(NORMAL, k->fast, offset)(n, got, &at);
        ebb_kcheck_equal(k, name, ebb_kcheck_text("n %zu", n), want, got, n);
        check_reference(k, name, &at, got, n);
        ebb_kcheck_done(k);
    }
}
