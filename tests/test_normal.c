/* test_normal.c: whether normal_f32 is normal: moments, Kolmogorov-Smirnov, tails, and no correlation
 * between neighbours, samples, steps or streams. The seed is fixed, so a pass is for good.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "simd.h"

enum { N = 1 << 20 };
static float x[N], y[N];

static void draw(float *to, uint32_t stream, uint32_t step, uint32_t sample)
{
    const ebb_rng_at at = {.seed = 20240229, .stream = stream, .step = step, .sample = sample};
    ebb_kernels_get(ebb_isa_best())->normal_f32(N, to, &at);
}

/* A mean of N numbers of that variance: five standard errors. */
static void expect_mean(double mean, double want, double variance)
{
    double error = 5 * sqrt(variance / N);
    if (!(fabs(mean - want) <= error))
        fail_msg("mean %.6g, expected %.6g within %.2g", mean, want, error);
}

static void test_moments(void **state)
{
    double moment[5] = {0};
    (void)state;
    draw(x, 1, 2, 3);
    for (int i = 0; i < N; i++)
        for (int k = 1; k <= 4; k++)
            moment[k] += pow(x[i], k) / N;
    expect_mean(moment[1], 0, 1);
    expect_mean(moment[2], 1, 2);
    expect_mean(moment[3], 0, 15);
    expect_mean(moment[4], 3, 96);
}

static int ascending(const void *a, const void *b)
{
    float p = *(const float *)a, q = *(const float *)b;
    return (p > q) - (p < q);
}

/* sqrt(N) D exceeds 1.63 with probability 1%. */
static void test_kolmogorov_smirnov(void **state)
{
    double distance = 0;
    (void)state;
    draw(x, 1, 2, 3);
    qsort(x, N, sizeof *x, ascending);
    for (int i = 0; i < N; i++) {
        double p = 0.5 * erfc(-x[i] / sqrt(2.0));
        distance = fmax(distance, fmax(fabs(p - (double)i / N), fabs(p - (double)(i + 1) / N)));
    }
    assert_true(distance * sqrt((double)N) < 1.63);
}

static void test_tails(void **state)
{
    int beyond3 = 0, beyond4 = 0;
    float most = 0;
    (void)state;
    draw(x, 1, 2, 3);
    for (int i = 0; i < N; i++) {
        beyond3 += fabsf(x[i]) > 3;
        beyond4 += fabsf(x[i]) > 4;
        most = fmaxf(most, fabsf(x[i]));
    }
    expect_mean((double)beyond3 / N, 2.6998e-3, 2.6998e-3);
    expect_mean((double)beyond4 / N, 6.334e-5, 6.334e-5);
    assert_true(most > 4.5f && most < 6.77f);
}

static void expect_uncorrelated(const float *a, const float *b, int n)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        sum += (double)a[i] * b[i] / N;
        squares += ((double)a[i] * a[i] - 1) * ((double)b[i] * b[i] - 1) / N;
    }
    expect_mean(sum, 0, 1);
    expect_mean(squares, 0, 4);
}

static void test_independence(void **state)
{
    (void)state;
    draw(x, 1, 2, 3);
    for (int lag = 1; lag <= 8; lag++)
        expect_uncorrelated(x, x + lag, N - lag);
    draw(y, 1, 2, 4);
    expect_uncorrelated(x, y, N);
    draw(y, 1, 3, 3);
    expect_uncorrelated(x, y, N);
    draw(y, 2, 2, 3);
    expect_uncorrelated(x, y, N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_kolmogorov_smirnov),
        cmocka_unit_test(test_tails),
        cmocka_unit_test(test_independence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
