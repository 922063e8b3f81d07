/* test_ica.c: independent components: planted sources are found again, whitening and rotation are what they must be, patterns
 * rebuild the data, threads do not matter, and data without enough directions are refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/ica.h"
#include "support/contexts.h"

enum { N = 4000, SOURCES = 3 };

static ebb_context *ctx[2];      /* of one thread, and of three */

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx[0]));
}

static double uniform(int i, uint32_t k)
{
    ebb_rng_at at = {.seed = 7, .stream = EBB_STREAM_TEST, .sample = (uint32_t)i};
    return ebb_rng_uniform(&at, k);
}

/* Laplace, uniform, two modes; mixed by a (dim,SOURCES). */
static void plant(const double *a, int dim, float *x)
{
    for (int i = 0; i < N; i++) {
        double u = uniform(i, 0) - 0.5;
        double s[SOURCES] = {u < 0 ? log(1 + 2 * u + 1e-12) : -log(1 - 2 * u + 1e-12), sqrt(12) * (uniform(i, 1) - 0.5),
                             (uniform(i, 2) < 0.5 ? -1 : 1) + 0.3 * (uniform(i, 3) - 0.5)};
        for (int d = 0; d < dim; d++) {
            double sum = 0.1 * d;
            for (int k = 0; k < SOURCES; k++)
                sum += a[d * SOURCES + k] * s[k];
            x[i * dim + d] = (float)sum;
        }
    }
}

static const double square[] = {1, 0.6, -0.4, -0.3, 1, 0.5, 0.8, -0.2, 1};
static const double tall[] = {1, 0.6, -0.4, -0.3, 1, 0.5, 0.8, -0.2, 1, 0.4, 0.4, 0.4, -1, 0.7, 0.1};

/* W K A. */
static double amari_of(const ebb_ica *ica, const double *a)
{
    double p[SOURCES * SOURCES];
    for (int i = 0; i < SOURCES; i++)
        for (int k = 0; k < SOURCES; k++) {
            double sum = 0;
            for (int j = 0; j < SOURCES; j++)
                for (int d = 0; d < ica->dim; d++)
                    sum += ica->unmix[i * SOURCES + j] * ica->whiten[j * ica->dim + d] * a[d * SOURCES + k];
            p[i * SOURCES + k] = sum;
        }
    return ebb_amari_index(p, SOURCES);
}

static void check(const double *a, int dim)
{
    static float x[N * 5];
    const ebb_ica_options o = {.parts = SOURCES, .steps = 200, .tolerance = 1e-10, .seed = 1};
    ebb_ica ica;
    plant(a, dim, x);
    ok(ebb_ica_create(ctx[0], x, N, dim, &o, &ica));
    assert_true(ica.steps < 200 && ica.change < 1e-10);
    assert_true(ebb_ica_whiteness(&ica) < 1e-8);
    assert_true(ebb_ica_orthonormality(&ica) < 1e-10);
    assert_true(amari_of(&ica, a) < 0.05);
    /* x = mean + A s: three sources are all there is. */
    for (int i = 0; i < N; i += 97)
        for (int d = 0; d < dim; d++) {
            double sum = ica.mean[d];
            for (int k = 0; k < SOURCES; k++)
                sum += ica.mix[d * SOURCES + k] * ica.source[k * N + i];
            assert_true(fabs(sum - x[i * dim + d]) < 1e-5);
        }
    ebb_ica_free(&ica);
}

static void test_planted(void **state)
{
    (void)state;
    check(square, 3);
    check(tall, 5);
}

/* Whitening alone does not find them: the rotation is what does. */
static void test_rotation_matters(void **state)
{
    static float x[N * 3];
    ebb_ica_options o = {.parts = SOURCES, .steps = 0, .tolerance = 1e-10, .seed = 1};
    ebb_ica ica;
    (void)state;
    plant(square, 3, x);
    ok(ebb_ica_create(ctx[0], x, N, 3, &o, &ica));
    assert_true(amari_of(&ica, square) > 0.2);
    ebb_ica_free(&ica);
}

static void test_threads(void **state)
{
    static float x[N * 5];
    const ebb_ica_options o = {.parts = SOURCES, .steps = 50, .tolerance = 1e-10, .seed = 2};
    ebb_ica one, three;
    (void)state;
    plant(tall, 5, x);
    ok(ebb_ica_create(ctx[0], x, N, 5, &o, &one));
    ok(ebb_ica_create(ctx[1], x, N, 5, &o, &three));
    assert_int_equal(one.steps, three.steps);
    assert_memory_equal(one.source, three.source, SOURCES * N * sizeof(double));
    ebb_ica_free(&one);
    ebb_ica_free(&three);
}

static void test_errors(void **state)
{
    static float x[N * 5];
    ebb_ica_options o = {.parts = 4, .steps = 50, .tolerance = 1e-10, .seed = 2};
    ebb_ica ica;
    (void)state;
    for (int i = 0; i < N; i++)
        for (int d = 0; d < 5; d++)
            x[i * 5 + d] = (float)(d < 3 ? uniform(i, (uint32_t)d) : 0.25);
    assert_int_equal(ebb_ica_create(ctx[0], x, N, 5, &o, &ica), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx[0]), "no variance in 4 directions"));
    o.parts = 6;
    assert_int_equal(ebb_ica_create(ctx[0], x, N, 5, &o, &ica), EBB_E_ARGUMENT);
    o.parts = 3;
    assert_int_equal(ebb_ica_create(ctx[0], x, 3, 5, &o, &ica), EBB_E_ARGUMENT);
    x[7] = INFINITY;
    assert_int_equal(ebb_ica_create(ctx[0], x, N, 5, &o, &ica), EBB_E_NUMERIC);
    assert_non_null(strstr(ebb_message(ctx[0]), "sample 1"));
}

static void test_figures(void **state)
{
    static const double permuted[] = {0, -3, 0, 0.5, 0, 0, 0, 0, 2}, alike[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    static double s[N];
    (void)state;
    assert_true(fabs(ebb_amari_index(permuted, 3)) < 1e-15);
    assert_true(fabs(ebb_amari_index(alike, 3) - 1) < 1e-15);
    for (int i = 0; i < N; i++)
        s[i] = 5 + i % 2;
    assert_true(fabs(ebb_kurtosis(s, N) + 2) < 1e-12);                      /* two points: 1 - 3 */
    for (int i = 0; i < N; i++)
        s[i] = (i + 0.5) / N;
    assert_true(fabs(ebb_kurtosis(s, N) + 1.2) < 1e-5);                     /* uniform */
}

static int setup(void **state)
{
    (void)state;
    return contexts_create(ctx);
}

static int teardown(void **state)
{
    (void)state;
    contexts_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_planted), cmocka_unit_test(test_rotation_matters),
                                       cmocka_unit_test(test_threads), cmocka_unit_test(test_errors), cmocka_unit_test(test_figures)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
