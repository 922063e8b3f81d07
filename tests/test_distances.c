/* test_distances.c: distances between samples and laws by closed forms, brute force and the reference values; floors,
 * intervals, shares of modes.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/distances.h"

static ebb_context *ctx;

static void near(const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s: %.15g, not %.15g +- %g", what, got, want, tolerance);
}

static ebb_target named(const char *name)
{
    ebb_target t;
    if (ebb_target_named(ctx, name, &t) != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
    return t;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* ---- reference values ------------------------------------------------------------------------------------------------ */

static double *rows(const json_t *array, size_t *n, size_t *dim)
{
    *n = json_array_size(array);
    *dim = json_array_size(json_array_get(array, 0));
    double *x = malloc(*n * *dim * sizeof *x);
    for (size_t i = 0; i < *n * *dim; i++)
        x[i] = json_number_value(json_array_get(json_array_get(array, i / *dim), i % *dim));
    return x;
}

static double value_of(ebb_pair_kind kind, bool unbiased, size_t dim, const double *x, size_t n, const double *y, size_t m)
{
    ebb_pairs p;
    assert_int_equal(ebb_pairs_create(ctx, kind, unbiased, (int)dim, x, (int64_t)n, y, (int64_t)m, &p), EBB_OK);
    double value = ebb_pairs_value(&p, NULL);
    ebb_pairs_free(&p);
    return value;
}

static void check_tv(const json_t *row)
{
    ebb_target law[2];
    for (int i = 0; i < 2; i++) {
        double mean = json_number_value(json_object_get(row, i == 0 ? "m1" : "m2"));
        double sd = json_number_value(json_object_get(row, i == 0 ? "s1" : "s2")), var = sd * sd, one = 1;
        assert_int_equal(ebb_target_create(ctx, 1, 1, &one, &mean, &var, NULL, &law[i]), EBB_OK);
    }
    near("tv", ebb_targets_tv(&law[0], &law[1], -20, 20, 400001), json_number_value(json_object_get(row, "tv")), 1e-9);
    ebb_target_free(&law[0]);
    ebb_target_free(&law[1]);
}

static void test_references(void **state)
{
    (void)state;
    json_error_t error;
    json_t *root = json_load_file(EBB_SOURCE_DIR "/tests/refs/misc.json", 0, &error), *row;
    const json_t *m = json_object_get(root, "metrics");
    size_t n, k, dim, i;
    double *x = rows(json_object_get(m, "X"), &n, &dim), *y = rows(json_object_get(m, "Y"), &k, &dim), a[64], b[64];
    assert_true(n >= 2 && k >= n && n <= 64);
    for (i = 0; i < n; i++) {
        a[i] = x[i * dim];
        b[i] = y[i * dim];
    }
    qsort(a, n, sizeof *a, ascending);
    qsort(b, n, sizeof *b, ascending);
    near("w1", ebb_samples_wasserstein(a, (int64_t)n, b, (int64_t)n, 1), json_number_value(json_object_get(m, "w1_1d_equal_n")), 1e-12);
    near("w2", ebb_samples_wasserstein(a, (int64_t)n, b, (int64_t)n, 2), json_number_value(json_object_get(m, "w2_1d_equal_n")), 1e-12);
    near("energy", value_of(EBB_PAIR_ENERGY, false, dim, x, n, y, k), json_number_value(json_object_get(m, "energy_distance")), 1e-12);
    near("mmd", value_of(EBB_PAIR_MMD, true, dim, x, n, y, k), json_number_value(json_object_get(m, "kid_poly3_unbiased")), 1e-11);
    /* Of fixed normal laws, see gen_refs.py. */
    const double m1[] = {0, 1}, c1[] = {2, .3, .3, 1}, m2[] = {1, -1}, c2[] = {1, -.2, -.2, 3};
    near("gaussians", ebb_gaussians_w2(2, m1, c1, m2, c2), json_number_value(json_object_get(m, "w2_gaussians")), 1e-12);
    /* Covariances divided by n - 1, as numpy's. */
    double mean[2][EBB_TARGET_DIM_MAX], cov[2][EBB_TARGET_DIM_MAX];
    assert_true(dim * dim <= EBB_TARGET_DIM_MAX);
    ebb_samples_moments(x, NULL, (int64_t)n, (int)dim, mean[0], cov[0]);
    ebb_samples_moments(y, NULL, (int64_t)k, (int)dim, mean[1], cov[1]);
    for (i = 0; i < dim * dim; i++) {
        cov[0][i] *= (double)n / (double)(n - 1);
        cov[1][i] *= (double)k / (double)(k - 1);
    }
    double w2 = ebb_gaussians_w2((int)dim, mean[0], cov[0], mean[1], cov[1]);
    near("frechet", w2 * w2, json_number_value(json_object_get(m, "fid_unbiased_cov")), 1e-11);
    json_array_foreach (json_object_get(m, "tv_1d_gaussians"), i, row)
        check_tv(row);
    assert_true(i == 3);
    free(x);
    free(y);
    json_decref(root);
}

/* ---- a line -------------------------------------------------------------------------------------------------------------- */

static double exact_below(const ebb_target *t, double x)
{
    double sum = 0;
    for (int k = 0; k < t->parts; k++)
        sum += t->weight[k] * 0.5 * erfc(-(x - t->mean[k]) / sqrt(2 * t->cov[k]));
    return sum;
}

static void test_line(void **state)
{
    (void)state;
    static const char *const names[] = {"gaussian:dim=1", "two-modes", "digits-1d"};
    for (int i = 0; i < 3; i++) {
        ebb_target t = named(names[i]);
        ebb_line l;
        assert_int_equal(ebb_line_create(ctx, &t, NULL, &l), EBB_OK);
        for (double x = -6; x < 6; x += 0.0371)
            near(names[i], ebb_line_below(&l, x), exact_below(&t, x), 1e-9);
        for (double u = 1e-6; u < 1; u += 0.00713)
            near("quantile", exact_below(&t, ebb_line_quantile(&l, u)), u, 1e-9);
        ebb_line_free(&l);
        ebb_target_free(&t);
    }
}

/* int |F_n - F| and int |Q_n - Q|^2 by the midpoint rule, with F by its formula. */
static void brute(const ebb_target *t, const ebb_line *l, const double *x, const double *w, int n, double *w1, double *w2)
{
    double u = 0;
    *w1 = *w2 = 0;
    for (double s = -12; s < 12; s += 2e-4) {
        double steps = 0, at = s + 1e-4;
        for (int i = 0; i < n; i++)
            steps += x[i] <= at ? w[i] : 0;
        *w1 += 2e-4 * fabs(steps - exact_below(t, at));
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 20000; k++, u += w[i] / 20000) {
            double q = ebb_line_quantile(l, u + w[i] / 40000);
            *w2 += w[i] / 20000 * (x[i] - q) * (x[i] - q);
        }
    *w2 = sqrt(*w2);
}

static void test_wasserstein(void **state)
{
    (void)state;
    ebb_target t = named("two-modes:separation=3");
    ebb_line l;
    const double x[] = {-2.5, -1.6, -1.2, 0.3, 0.9, 1.7}, w[] = {0.1, 0.3, 0.05, 0.15, 0.25, 0.15};
    double w1, w2;
    assert_int_equal(ebb_line_create(ctx, &t, NULL, &l), EBB_OK);
    brute(&t, &l, x, w, 6, &w1, &w2);
    near("w1", ebb_line_w1(&l, x, w, 6), w1, 1e-5);
    near("w2", ebb_line_w2(&l, x, w, 6), w2, 1e-4);
    /* All mass at one point: E |X - x| and E (X - x)^2. */
    near("w2 of a point", ebb_line_w2(&l, x + 3, NULL, 1), sqrt(0.3 * 0.3 + 2.25 + 0.25), 1e-9);
    ebb_line_free(&l);
    ebb_target_free(&t);
    t = named("gaussian:dim=1,mean=1,sd=2");
    assert_int_equal(ebb_line_create(ctx, &t, NULL, &l), EBB_OK);
    near("w1 of the mean", ebb_line_w1(&l, (double[]){1}, NULL, 1), 2 * sqrt(2 / 3.14159265358979323846), 1e-9);
    ebb_line_free(&l);
    ebb_target_free(&t);
    /* Samples of unequal number: 0, 1 against 0, 0.5, 1: thirds and halves. */
    near("unequal", ebb_samples_wasserstein((double[]){0, 1}, 2, (double[]){0, 0.5, 1}, 3, 1), 1.0 / 6, 1e-15);
}

/* ---- cells ---------------------------------------------------------------------------------------------------------------- */

static void test_cells(void **state)
{
    (void)state;
    static const char *const names[] = {"two-modes", "mixture", "ring", "grid", "checkerboard"};
    enum { N = 200000 };
    double *x = malloc(2 * N * sizeof *x);
    for (int i = 0; i < 5; i++) {
        ebb_target t = named(names[i]);
        ebb_cells c;
        assert_int_equal(ebb_cells_create(ctx, &t, &c), EBB_OK);
        double *share = calloc((size_t)c.count, sizeof *share), sum = 0, chi = 0, most = 0;
        ebb_target_sample(&t, 9, 0, N, x, NULL);
        for (int k = 0; k < N; k++)
            share[ebb_cells_at(&c, x + k * t.dim)] += 1.0 / N;
        for (int k = 0; k < c.count; k++) {
            sum += c.share[k];
            if (c.share[k] * N > 5) {
                chi += N * (share[k] - c.share[k]) * (share[k] - c.share[k]) / c.share[k];
                most++;
            }
        }
        near(names[i], sum, 1, 1e-9);
        if (!(fabs(chi - most) < 5 * sqrt(2 * most)))
            fail_msg("%s: chi-square %g of %g cells", names[i], chi, most);
        near("same", ebb_cells_kl(&c, c.share), 0, 1e-12);
        near("same", ebb_cells_tv(&c, c.share), 0, 1e-12);
        assert_true(c.share[c.count - 1] < 1e-3);
        free(share);
        ebb_cells_free(&c);
        ebb_target_free(&t);
    }
    free(x);
}

/* ---- pairings -------------------------------------------------------------------------------------------------------------- */

static double cheapest(int dim, const double *x, const double *y, int n, int row, unsigned used)
{
    double least = INFINITY;
    if (row == n)
        return 0;
    for (int j = 0; j < n; j++) {
        double cost = 0;
        if (used >> j & 1)
            continue;
        for (int d = 0; d < dim; d++)
            cost += (x[row * dim + d] - y[j * dim + d]) * (x[row * dim + d] - y[j * dim + d]);
        least = fmin(least, cost + cheapest(dim, x, y, n, row + 1, used | 1u << j));
    }
    return least;
}

static void test_assignment(void **state)
{
    (void)state;
    enum { N = 400 };
    static double x[3 * N], y[3 * N];
    double got;
    int32_t partner[N];
    ebb_target t = named("high:dim=3");
    for (int seed = 0; seed < 20; seed++) {
        ebb_target_sample(&t, (uint64_t)seed, 0, 7, x, NULL);
        ebb_target_sample(&t, (uint64_t)seed + 100, 0, 7, y, NULL);
        assert_int_equal(ebb_assignment_w2(ctx, 3, x, y, 7, NULL, &got), EBB_OK);
        near("brute force", got, sqrt(cheapest(3, x, y, 7, 0, 0) / 7), 1e-12);
    }
    /* A shuffled copy finds its partners. */
    ebb_target_sample(&t, 1, 0, N, x, NULL);
    for (int i = 0; i < N; i++)
        memcpy(y + 3 * (i * 7 % N), x + 3 * i, 3 * sizeof *x);
    assert_int_equal(ebb_assignment_w2(ctx, 3, x, y, N, partner, &got), EBB_OK);
    near("copy", got, 0, 1e-12);
    for (int i = 0; i < N; i++)
        assert_int_equal(partner[i], i * 7 % N);
    /* On a line sorting is best. */
    ebb_target_sample(&t, 2, 0, N, x, NULL);
    ebb_target_sample(&t, 3, 0, N, y, NULL);
    assert_int_equal(ebb_assignment_w2(ctx, 1, x, y, N, NULL, &got), EBB_OK);
    qsort(x, N, sizeof *x, ascending);
    qsort(y, N, sizeof *y, ascending);
    near("sorted", got, ebb_samples_wasserstein(x, N, y, N, 2), 1e-12);
    assert_int_equal(ebb_assignment_w2(ctx, 1, x, y, EBB_ASSIGN_MAX + 1, NULL, &got), EBB_E_ARGUMENT);
    ebb_target_free(&t);
}

static void test_gaussians(void **state)
{
    (void)state;
    const double m1[] = {0, 0, 1}, c1[] = {4, 0, 0, 0, 1, 0, 0, 0, 9}, m2[] = {1, 0, 0}, c2[] = {1, 0, 0, 0, 1, 0, 0, 0, 4};
    near("w2", ebb_gaussians_w2(3, m1, c1, m2, c2), sqrt(2 + 1 + 0 + 1), 1e-12);
    near("kl", ebb_gaussians_kl(3, m1, c1, m2, c2), 0.5 * (4 - 1 - log(4) + 9.0 / 4 - 1 - log(9.0 / 4) + 1 + 1.0 / 4), 1e-12);
    /* Turned together, nothing changes; turned apart, KL by quadrature in the plane. */
    const double c3[] = {1, .6, .6, 1}, c4[] = {2, -.5, -.5, .7}, zero[] = {0, 0}, one = 1;
    ebb_target p, q;
    double sum = 0;
    assert_int_equal(ebb_target_create(ctx, 1, 2, &one, zero, c3, NULL, &p), EBB_OK);
    assert_int_equal(ebb_target_create(ctx, 1, 2, &one, zero, c4, NULL, &q), EBB_OK);
    for (double x = -8; x <= 8; x += 0.05)
        for (double y = -8; y <= 8; y += 0.05) {
            double at[] = {x, y}, lp, lq;
            ebb_target_at(&p, at, 1, 0, &lp, NULL, NULL, NULL);
            ebb_target_at(&q, at, 1, 0, &lq, NULL, NULL, NULL);
            sum += 0.05 * 0.05 * exp(lp) * (lp - lq);
        }
    near("kl by quadrature", ebb_gaussians_kl(2, zero, c3, zero, c4), sum, 1e-9);
    ebb_target_free(&p);
    ebb_target_free(&q);
}

/* ---- the judge --------------------------------------------------------------------------------------------------------------- */

/* True points are at the floor; the same points moved by delta are as far as that makes them. */
static void test_judge(void **state)
{
    (void)state;
    static const char *const names[] = {"two-modes:separation=2", "mixture", "moons", "high"};
    enum { N = 2500 };
    const double delta = 0.4;
    for (int i = 0; i < 4; i++) {
        ebb_target t = named(names[i]);
        ebb_judge j;
        ebb_measure m[EBB_DISTANCES], far[EBB_DISTANCES];
        double floor[EBB_DISTANCES], *x = malloc((size_t)(N * t.dim) * sizeof *x);
        assert_int_equal(ebb_judge_create(ctx, &t, &j), EBB_OK);
        ebb_target_sample(&t, 3, 0, N, x, NULL);
        assert_int_equal(ebb_judge_measure(ctx, &j, x, N, 20, m), EBB_OK);
        assert_int_equal(ebb_judge_floor(ctx, &j, N, floor), EBB_OK);
        for (int k = 0; k < N; k++)
            x[k * t.dim] += delta;
        assert_int_equal(ebb_judge_measure(ctx, &j, x, N, 0, far), EBB_OK);
        for (int d = 0; d < EBB_DISTANCES; d++) {
            const char *name = ebb_distance_name((ebb_distance)d);
            if (!ebb_distance_fits((ebb_distance)d, t.dim)) {
                assert_true(isnan(m[d].value));
                continue;
            }
            if (!(m[d].value < 4 * fabs(floor[d]) + 0.02))
                fail_msg("%s, %s: %g for true points, floor %g", names[i], name, m[d].value, floor[d]);
            if (!(far[d].value > 2 * m[d].value && far[d].value > 2 * floor[d]) && d != EBB_DISTANCE_PAIRED)
                fail_msg("%s, %s: %g moved, %g as they were", names[i], name, far[d].value, m[d].value);
            if (d != EBB_DISTANCE_PAIRED && !(m[d].low < m[d].value && m[d].value < m[d].high))
                fail_msg("%s, %s: %g is not within %g .. %g", names[i], name, m[d].value, m[d].low, m[d].high);
        }
        near("moments", far[EBB_DISTANCE_MOMENTS].value, delta, 0.1);
        if (t.dim == 1)
            near("w2", far[EBB_DISTANCE_W2].value, delta, 0.1);
        else if (t.dim == 2)
            near("sliced", far[EBB_DISTANCE_SLICED].value, delta / sqrt(2), 0.08);
        free(x);
        ebb_judge_free(&j);
        ebb_target_free(&t);
    }
}

static void test_threads(void **state)
{
    (void)state;
    ebb_target t = named("mixture");
    ebb_measure result[2][EBB_DISTANCES];
    static double x[2 * 700];
    ebb_target_sample(&t, 4, 0, 700, x, NULL);
    for (int i = 0; i < 2; i++) {
        ebb_context *c;
        ebb_judge j;
        assert_int_equal(ebb_context_create(&(ebb_context_options){.size = sizeof(ebb_context_options), .threads = 1 + 2 * i}, &c), EBB_OK);
        assert_int_equal(ebb_judge_create(c, &t, &j), EBB_OK);
        memset(result[i], 0, sizeof result[i]);
        assert_int_equal(ebb_judge_measure(c, &j, x, 700, 12, result[i]), EBB_OK);
        ebb_judge_free(&j);
        ebb_context_free(c);
    }
    for (int d = 0; d < EBB_DISTANCES; d++)
        assert_memory_equal(&result[0][d], &result[1][d], sizeof result[0][d]);
    x[5] = NAN;
    ebb_judge j;
    assert_int_equal(ebb_judge_create(ctx, &t, &j), EBB_OK);
    assert_int_equal(ebb_judge_measure(ctx, &j, x, 700, 0, result[0]), EBB_E_NUMERIC);
    assert_non_null(strstr(ebb_message(ctx), "sample 2"));
    assert_int_equal(ebb_judge_measure(ctx, &j, x, 1, 0, result[0]), EBB_E_ARGUMENT);
    ebb_judge_free(&j);
    ebb_target_free(&t);
}

/* ---- modes ------------------------------------------------------------------------------------------------------------------- */

static void test_modes(void **state)
{
    (void)state;
    enum { N = 20000 };
    ebb_target t = named("mixture");
    double *x = malloc(2 * N * sizeof *x), share[3], error[3], classes[2];
    ebb_target_sample(&t, 8, 0, N, x, NULL);
    assert_int_equal(ebb_mode_shares(ctx, &t, x, N, share, error, classes), EBB_OK);
    for (int k = 0; k < 3; k++) {
        near("share", share[k], t.weight[k], 4 * error[k]);
        near("error", error[k], sqrt(t.weight[k] * (1 - t.weight[k]) / N), 2e-4);
    }
    near("class", classes[0], share[0], 1e-12);
    near("class", classes[1], share[1] + share[2], 1e-12);
    ebb_chi_square fine = ebb_shares_test(share, t.weight, 3, N), wrong = ebb_shares_test((double[]){.25, .45, .3}, t.weight, 3, N);
    assert_true(fine.freedom == 2 && fine.chance > 1e-3 && wrong.chance < 1e-12);
    near("chi-square", wrong.value, N * (.0025 / .2 + .0025 / .5), 1e-6);
    assert_true(isinf(ebb_shares_test((double[]){.5, .5}, (double[]){1, 0}, 2, 100).value));
    /* Table values: 5% beyond 3.841459 (1), 18.307038 (10), 124.342113 (100); n 1, so share = 1 + root of it. */
    static const double table[][2] = {{1, 3.841458820694124}, {10, 18.307038053275146}, {100, 124.34211340400407}};
    for (int i = 0; i < 3; i++) {
        double s[101], e[101];
        for (int k = 0; k <= (int)table[i][0]; k++)
            s[k] = e[k] = 1;
        s[0] += sqrt(table[i][1]);
        near("5%", ebb_shares_test(s, e, (int)table[i][0] + 1, 1).chance, 0.05, 1e-9);
    }
    free(x);
    ebb_target_free(&t);
}

static int setup(void **state)
{
    (void)state;
    return ebb_context_create(&(ebb_context_options){.size = sizeof(ebb_context_options), .threads = 2}, &ctx) != EBB_OK;
}

static int teardown(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references), cmocka_unit_test(test_line),       cmocka_unit_test(test_wasserstein),
        cmocka_unit_test(test_cells),      cmocka_unit_test(test_assignment), cmocka_unit_test(test_gaussians),
        cmocka_unit_test(test_judge),      cmocka_unit_test(test_threads),    cmocka_unit_test(test_modes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
