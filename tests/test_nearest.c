/* test_nearest.c: nearest neighbours against all distances, ties, threads; and the test for copies of training data on data
 * that are copies, and on data that are not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/copies.h"
#include "eval/nearest.h"
#include "support/contexts.h"

enum { N = 40, M = 300, DIM = 131, K = 5 };

static ebb_context *ctx[2];      /* of one thread, and of three */

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx[0]));
}

/* Normal numbers, row i a function of (seed, i). */
static void normal(uint64_t seed, int64_t n, int64_t dim, float *x)
{
    for (int64_t i = 0; i < n; i++) {
        ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_TEST, .sample = (uint32_t)i};
        ctx[0]->kernels->normal_f32((size_t)dim, x + i * dim, &at);
    }
}

static double squared(const float *a, const float *b)
{
    double sum = 0;
    for (int d = 0; d < DIM; d++)
        sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    return sum;
}

/* Each of the k found is nearer than all that were not, and distances are what they say. */
static void test_all(void **state)
{
    static float x[N * DIM], y[M * DIM];
    static int32_t index[N * K];
    static double distance[N * K];
    (void)state;
    normal(1, N, DIM, x);
    normal(2, M, DIM, y);
    ok(ebb_nearest(ctx[0], x, N, y, M, DIM, K, false, index, distance));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < K; j++) {
            double d = sqrt(squared(x + i * DIM, y + index[i * K + j] * DIM));
            int nearer = 0;
            assert_true(fabs(d - distance[i * K + j]) < 1e-12 * d);
            for (int m = 0; m < M; m++)
                nearer += sqrt(squared(x + i * DIM, y + m * DIM)) < d * (1 - 1e-13);
            assert_int_equal(nearer, j);
        }
}

static void test_ties(void **state)
{
    static const float y[] = {3, 0, 1, 0, 1, 0, 2}, x[] = {1, 0};
    int32_t index[4];
    double distance[4];
    (void)state;
    ok(ebb_nearest(ctx[0], x, 2, y, 7, 1, 2, false, index, distance));
    assert_int_equal(index[0], 2);
    assert_int_equal(index[1], 4);
    assert_int_equal(index[2], 1);
    assert_int_equal(index[3], 3);
}

static void test_self(void **state)
{
    static const float y[] = {0, 5, 5, 7};
    int32_t index[4];
    double distance[4];
    (void)state;
    ok(ebb_nearest(ctx[0], y, 4, y, 4, 1, 1, true, index, distance));
    assert_int_equal(index[0], 1);
    assert_int_equal(index[1], 2);
    assert_int_equal(index[2], 1);
    assert_true(distance[0] == 5 && distance[1] == 0 && distance[2] == 0 && distance[3] == 2);
}

static void test_threads(void **state)
{
    static float x[N * DIM];
    static int32_t index[2][N * K];
    static double distance[2][N * K];
    (void)state;
    normal(3, N, DIM, x);
    for (int t = 0; t < 2; t++)
        ok(ebb_nearest(ctx[t], x, N, x, N, DIM, K, true, index[t], distance[t]));
    assert_memory_equal(index[0], index[1], sizeof index[0]);
    assert_memory_equal(distance[0], distance[1], sizeof distance[0]);
}

static void test_errors(void **state)
{
    float x[] = {0, NAN};
    double distance[4];
    (void)state;
    assert_int_equal(ebb_nearest(ctx[0], x, 2, x, 2, 1, 1, false, NULL, distance), EBB_E_NUMERIC);
    assert_non_null(strstr(ebb_message(ctx[0]), "sample 1"));
    assert_int_equal(ebb_nearest(ctx[0], x, 1, x, 2, 1, 2, true, NULL, distance), EBB_E_ARGUMENT);
    assert_int_equal(ebb_nearest(ctx[0], x, 1, x, 2, 1, 0, false, NULL, distance), EBB_E_ARGUMENT);
    assert_int_equal(ebb_nearest(ctx[0], x, 1, x, 1, 1, 1, true, NULL, distance), EBB_E_ARGUMENT);
}

static void test_quantile(void **state)
{
    double x[] = {4, 1, 3, 2};
    (void)state;
    assert_true(ebb_quantile(x, 4, 0) == 1 && ebb_quantile(x, 4, 1) == 4);
    assert_true(fabs(ebb_quantile(x, 4, 0.5) - 2.5) < 1e-15 && fabs(ebb_quantile(x, 4, 0.05) - 1.15) < 1e-15);
}

/* Points within reach of a line's points, and a real set that lacks half of them. */
static void test_manifold(void **state)
{
    static const float of[] = {0, 1, 2, 10, 11}, points[] = {0.5f, 1, 3, 3.01f, 9, 12, 20, -1};
    double share;
    (void)state;
    ok(ebb_manifold_share(ctx[0], points, 8, of, 5, 1, 1, &share));          /* all reach 1: 3.01, 20 are outside */
    assert_true(fabs(share - 6.0 / 8) < 1e-15);
    ok(ebb_manifold_share(ctx[1], points, 8, of, 5, 1, 2, &share));          /* 2, 1, 2, 8, 9 */
    assert_true(fabs(share - 1) < 1e-15);
    assert_int_equal(ebb_manifold_share(ctx[0], points, 8, of, 5, 1, 5, &share), EBB_E_ARGUMENT);
}

/* Fresh data behave as such; half copies with a little noise are seen at once. */
static void test_copies(void **state)
{
    enum { TRAIN = 600, OTHER = 200, WIDE = 16 };
    static float train[TRAIN * WIDE], fresh[OTHER * WIDE], made[OTHER * WIDE];
    static double distance[OTHER];
    static int32_t index[OTHER];
    ebb_memorised found;
    (void)state;
    normal(4, TRAIN, WIDE, train);
    normal(5, OTHER, WIDE, fresh);
    normal(6, OTHER, WIDE, made);
    ebb_memory_test t = {.made = made, .fresh = fresh, .train = train, .n = OTHER, .f = OTHER, .m = TRAIN, .probed = TRAIN, .dim = WIDE,
                         .index = index, .distance = distance};
    ok(ebb_memorised_test(ctx[0], &t, &found));
    assert_true(found.below < 0.1 && found.below_fresh < 0.1);
    assert_true(fabs(found.median / found.median_fresh - 1) < 0.05);
    assert_true(found.least > 0.5 * found.threshold && found.least_train <= found.threshold);
    for (int i = 0; i < OTHER / 2 * WIDE; i++)
        made[i] = train[i] + 0.01f * made[i];
    ok(ebb_memorised_test(ctx[0], &t, &found));
    assert_true(found.below > 0.45 && found.below < 0.6);
    assert_true(found.least < 0.1 * found.threshold);
    for (int i = 0; i < OTHER / 2; i++)
        assert_true(index[i] == i && distance[i] < 0.1);
    t.probed = TRAIN + 1;
    assert_int_equal(ebb_memorised_test(ctx[0], &t, &found), EBB_E_ARGUMENT);
}

/* Shares of copies against all distances, over more data than are looked through at once; data come to 5%, copies to 1. */
enum { KNOWN = 4500, SEEN = 60, BYTES = 6 };

static double nearest_of(const uint8_t *x, const uint8_t *data, int but)
{
    double best = INFINITY;
    for (int i = 0; i < KNOWN; i++) {
        double sum = 0;
        for (int d = 0; d < BYTES; d++)
            sum += pow((double)x[d] - data[i * BYTES + d], 2);
        best = i == but ? best : fmin(best, sqrt(sum));
    }
    return best;
}

static void test_bytes(void **state)
{
    static uint8_t data[KNOWN * BYTES], made[SEEN * BYTES];
    static float x[(KNOWN + SEEN) * BYTES];
    uint32_t probe[SEEN];
    double distance[SEEN], want = 0;
    ebb_copies c;
    ebb_measure got, again;
    (void)state;
    normal(11, KNOWN + SEEN, BYTES, x);
    ebb_pixels_to_bytes(x, KNOWN * BYTES, data);
    ebb_pixels_to_bytes(x + KNOWN * BYTES, SEEN * BYTES, made);
    for (int i = 0; i < SEEN; i++) {
        probe[i] = (uint32_t)(i * 75 + 3);
        distance[i] = nearest_of(data + probe[i] * BYTES, data, (int)probe[i]);
    }
    ok(ebb_copies_create(ctx[1], data, KNOWN, BYTES, probe, SEEN, &c));
    assert_true(fabs(c.threshold - ebb_quantile(distance, SEEN, 0.05)) < 1e-9);
    c.threshold = ebb_quantile(distance, SEEN, 0.4);
    for (int i = 0; i < SEEN; i++)
        want += (nearest_of(made + i * BYTES, data, -1) < c.threshold) / (double)SEEN;
    ok(ebb_copies_measure(ctx[0], &c, made, SEEN, false, 20, &got));
    ok(ebb_copies_measure(ctx[1], &c, made, SEEN, false, 20, &again));
    assert_true(want > 0.1 && want < 0.9 && fabs(got.value - want) < 1e-12 && got.low < want && got.high > want);
    assert_memory_equal(&got, &again, sizeof got);
    ok(ebb_copies_measure(ctx[0], &c, data + 4400 * BYTES, SEEN, false, 0, &got));
    assert_true(got.value == 1);
    ok(ebb_copies_measure(ctx[0], &c, data + 4400 * BYTES, SEEN, true, 0, &got));
    assert_true(got.value > 0.1 && got.value < 0.9);
    assert_int_equal(ebb_copies_create(ctx[0], data, KNOWN, BYTES, probe, 1, &c), EBB_E_ARGUMENT);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),    cmocka_unit_test(test_ties),     cmocka_unit_test(test_self),  cmocka_unit_test(test_threads),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_quantile), cmocka_unit_test(test_manifold),
        cmocka_unit_test(test_copies), cmocka_unit_test(test_bytes)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
