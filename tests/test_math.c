/* test_math.c: how exact the pointwise functions are, against libm in double precision, on every ISA.
 *
 * Bounds in ulps (of the f32 result) are those promised in simd/README.md. A run looks at each exponent of
 * the range; the arguments step through the fractions by a stride that is prime to powers of two.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "simd.h"

enum { BLOCK = 4096, STRIDE = 4099 };

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double silu(double x) { return x * sigmoid(x); }
static double silu_slope(double x) { return sigmoid(x) * (1.0 + x * sigmoid(-x)); }

/* The spacing of f32 at x. */
static double ulp_of(double x)
{
    int exponent;
    frexp(x, &exponent);
    return ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
}

/* The next arguments of [low, high] after *bits, at most BLOCK. */
static size_t arguments(float *x, uint32_t *bits, float low, float high)
{
    size_t n = 0;
    for (; n < BLOCK && *bits < 0x7F800000; *bits += STRIDE) {
        float positive, negative;
        memcpy(&positive, bits, sizeof positive);
        negative = -positive;
        if (positive >= low && positive <= high)
            x[n++] = positive;
        if (n < BLOCK && negative >= low && negative <= high)
            x[n++] = negative;
    }
    return n;
}

/* Worst error of f over [low, high] in ulps of the result, or of 1 where `absolute`. */
static double worst_error(EBB_FN_UNARY f, double (*reference)(double), float low, float high, bool absolute)
{
    float x[BLOCK], y[BLOCK];
    double worst = 0;
    uint32_t bits = 1;
    for (size_t n; (n = arguments(x, &bits, low, high)) > 0 || bits < 0x7F800000;) {
        f(n, y, x);
        for (size_t i = 0; i < n; i++) {
            double want = reference(x[i]), ulp = ulp_of(absolute ? 1.0 : want);
            double error = fabs(y[i] - want) / ulp;
            if (!(error <= worst))
                worst = error;
        }
    }
    return worst;
}

static EBB_FN_BINARY slope_kernel;
static void slope(size_t n, float *y, const float *x)
{
    float one[BLOCK];
    for (size_t i = 0; i < n; i++)
        one[i] = 1.0f;
    slope_kernel(n, y, x, one);
}

static void check_bound(ebb_isa isa, const char *name, double worst, double bound)
{
    if (!(worst <= bound))
        fail_msg("%s on %s: %.3f ulp, promised %.2f", name, ebb_isa_name(isa), worst, bound);
}

static void check_functions(ebb_isa isa)
{
    const ebb_kernels *k = ebb_kernels_get(isa);
    slope_kernel = k->silu_vjp_f32;
    check_bound(isa, "exp", worst_error(k->exp_f32, exp, -104, 88.72f, false), 1.0);
    check_bound(isa, "log", worst_error(k->log_f32, log, 0, 3.4e38f, false), 1.0);
    check_bound(isa, "sin", worst_error(k->sin_f32, sin, -1e5f, 1e5f, false), 2.0);
    check_bound(isa, "cos", worst_error(k->cos_f32, cos, -1e5f, 1e5f, false), 2.0);
    check_bound(isa, "sin, far", worst_error(k->sin_f32, sin, -6e6f, 6e6f, true), 8.0);
    check_bound(isa, "cos, far", worst_error(k->cos_f32, cos, -6e6f, 6e6f, true), 8.0);
    check_bound(isa, "tanh", worst_error(k->tanh_f32, tanh, -100, 100, false), 1.5);
    check_bound(isa, "sigmoid", worst_error(k->sigmoid_f32, sigmoid, -87.3f, 100, false), 2.5);
    check_bound(isa, "silu", worst_error(k->silu_f32, silu, -87.3f, 3e38f, false), 2.5);
    check_bound(isa, "silu slope", worst_error(slope, silu_slope, -3e38f, 3e38f, true), 10.0);
    check_bound(isa, "sqrt", worst_error(k->sqrt_f32, sqrt, 0, 3.4e38f, false), 0.5);
}

static void each_isa(void (*check)(ebb_isa))
{
    for (int i = 0; i < EBB_ISA_COUNT; i++)
        if (ebb_isa_available((ebb_isa)i))
            check((ebb_isa)i);
}

static void test_accuracy(void **state)
{
    (void)state;
    each_isa(check_functions);
}

/* The sign of a zero counts; NaN expects NaN. */
static void expect(EBB_FN_UNARY f, float x, float want)
{
    float y;
    f(1, &y, &x);
    if (isnan(want) ? !isnan(y) : memcmp(&y, &want, sizeof y) != 0)
        fail_msg("f(%g) is %g, expected %g", (double)x, (double)y, (double)want);
}

static void check_limits(ebb_isa isa)
{
    const ebb_kernels *k = ebb_kernels_get(isa);
    const EBB_FN_UNARY all[] = {k->exp_f32, k->log_f32, k->sin_f32, k->cos_f32, k->tanh_f32, k->sigmoid_f32,
                                k->silu_f32, k->sqrt_f32, k->recip_f32};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        expect(all[i], NAN, NAN);
    expect(k->exp_f32, INFINITY, INFINITY);
    expect(k->exp_f32, 88.73f, INFINITY);
    expect(k->exp_f32, -INFINITY, 0.0f);
    expect(k->exp_f32, 0.0f, 1.0f);
    expect(k->log_f32, 0.0f, -INFINITY);
    expect(k->log_f32, -0.0f, -INFINITY);
    expect(k->log_f32, 1.0f, 0.0f);
    expect(k->log_f32, -1.0f, NAN);
    expect(k->log_f32, -INFINITY, NAN);
    expect(k->log_f32, INFINITY, INFINITY);
    expect(k->sin_f32, INFINITY, NAN);
    expect(k->cos_f32, -INFINITY, NAN);
    expect(k->cos_f32, 0.0f, 1.0f);
    expect(k->tanh_f32, INFINITY, 1.0f);
    expect(k->tanh_f32, -INFINITY, -1.0f);
    expect(k->tanh_f32, -0.0f, -0.0f);
    expect(k->sigmoid_f32, INFINITY, 1.0f);
    expect(k->sigmoid_f32, -INFINITY, 0.0f);
    expect(k->silu_f32, INFINITY, INFINITY);
    expect(k->silu_f32, -INFINITY, -0.0f);
    expect(k->step_f32, 0.0f, 0.0f);
    expect(k->step_f32, 1e-40f, 1.0f);
    expect(k->step_f32, -1.0f, 0.0f);
    expect(k->sqrt_f32, -1.0f, NAN);
    expect(k->recip_f32, -0.0f, -INFINITY);
}

static void test_limits(void **state)
{
    (void)state;
    each_isa(check_limits);
}

static void check_bounded(ebb_isa isa)
{
    const ebb_kernels *k = ebb_kernels_get(isa);
    float y[2];
    for (float x = 1e5f; x < 3e38f; x *= 1.0001f) {
        k->sin_f32(1, &y[0], &x);
        k->cos_f32(1, &y[1], &x);
        assert_true(fabsf(y[0]) <= 1.0f && fabsf(y[1]) <= 1.0f);
    }
}

static void test_sin_is_bounded_everywhere(void **state)
{
    (void)state;
    each_isa(check_bounded);
}

static void check_extrema(ebb_isa isa)
{
    const ebb_kernels *k = ebb_kernels_get(isa);
    const float x[6] = {1, NAN, 1, -INFINITY, 0.0f, -0.0f}, y[6] = {2, 1, NAN, INFINITY, -0.0f, 0.0f};
    float high[6], low[6];
    k->max_f32(6, high, x, y);
    k->min_f32(6, low, x, y);
    assert_true(high[0] == 2 && low[0] == 1 && high[3] == INFINITY && low[3] == -INFINITY);
    for (int i = 1; i < 3; i++)
        assert_true(isnan(high[i]) && isnan(low[i]));
    for (int i = 4; i < 6; i++)
        assert_true(signbit(high[i]) == signbit(y[i]) && signbit(low[i]) == signbit(y[i]));
}

static void test_extrema_keep_nan_and_take_the_second_of_equals(void **state)
{
    (void)state;
    each_isa(check_extrema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_sin_is_bounded_everywhere),
        cmocka_unit_test(test_extrema_keep_nan_and_take_the_second_of_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
