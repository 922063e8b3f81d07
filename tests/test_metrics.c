/* test_metrics.c: metrics of features, classes and pixels beside plain loops over all pairs; intervals beside samples drawn anew
 * in fact; singular covariances; threads; floors.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval/gaussians.h"
#include "eval/line.h"
#include "eval/metrics.h"
#include "eval/products.h"
#include "support/contexts.h"

enum { DIM = 7, N = 150, M = 210, CLASSES = 4, NUMBERS = 30, ROUNDS = 40 };

static ebb_context *ctx[2];      /* of one thread, and of three */

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s%s", ebb_message(ctx[0]), ebb_message(ctx[1]));
}

static void near(const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s: %.15g, not %.15g +- %g", what, got, want, tolerance);
}

/* Normal numbers of some width around some mean, row i a function of (seed, i); ebb_free. */
static double *normal(uint64_t seed, int64_t n, int64_t dim, double mean, double width)
{
    double *x;
    float *row;
    ok(ebb_alloc(ctx[0], (void **)&x, (size_t)(n * dim), sizeof *x, "numbers"));
    ok(ebb_alloc(ctx[0], (void **)&row, (size_t)dim, sizeof *row, "numbers"));
    for (int64_t i = 0; i < n; i++) {
        ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_TEST, .sample = (uint32_t)i};
        ctx[0]->kernels->normal_f32((size_t)dim, row, &at);
        for (int64_t d = 0; d < dim; d++)
            x[i * dim + d] = mean + width * row[d];
    }
    ebb_free(row);
    return x;
}

static double squared(const double *a, const double *b, int dim)
{
    double sum = 0;
    for (int d = 0; d < dim; d++)
        sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

/* ---- products ------------------------------------------------------------------------------------------------------------------ */

/* Sizes with a rest in every direction; each product one plain sum, from both sides. */
static void test_products(void **state)
{
    static double out[N * M], back[M * N], length[N];
    double *x = normal(1, N, DIM, 0, 1), *y = normal(2, M, DIM, 1, 2);
    (void)state;
    ok(ebb_products_all(ctx[1], x, N, y, M, DIM, out));
    ok(ebb_products_all(ctx[0], y, M, x, N, DIM, back));
    ebb_products_squares(x, N, DIM, length);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            double sum = 0;
            for (int d = 0; d < DIM; d++)
                sum += x[i * DIM + d] * y[j * DIM + d];
            assert_true(out[i * M + j] == sum && back[j * N + i] == sum);
        }
    ok(ebb_products_all(ctx[0], x, N, x, N, DIM, out));
    for (int i = 0; i < N; i++)
        assert_true(out[i * N + i] == length[i]);
    ebb_free(x);
    ebb_free(y);
}

/* ---- Frechet -------------------------------------------------------------------------------------------------------------------- */

static double frechet(const double *x, int64_t n, const double *y, int64_t m, int dim, int resamples, ebb_measure *all)
{
    ebb_moments b;
    ebb_measure found;
    ok(ebb_moments_create(ctx[0], y, m, dim, true, &b));
    ok(ebb_frechet_measure(ctx[0], x, n, &b, resamples, &found));
    ebb_moments_free(&b);
    if (all != NULL)
        *all = found;
    return found.value;
}

/* By another way of taking roots, and divided by n instead of n - 1. */
static double frechet_by_axes(const double *x, int64_t n, const double *y, int64_t m, int dim)
{
    enum { SQUARE = EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX };
    static double mean[2][EBB_TARGET_DIM_MAX], cov[2][SQUARE];
    ebb_samples_moments(x, NULL, n, dim, mean[0], cov[0]);
    ebb_samples_moments(y, NULL, m, dim, mean[1], cov[1]);
    for (int i = 0; i < dim * dim; i++) {
        cov[0][i] *= (double)n / (double)(n - 1);
        cov[1][i] *= (double)m / (double)(m - 1);
    }
    return pow(ebb_gaussians_w2(dim, mean[0], cov[0], mean[1], cov[1]), 2);
}

static void test_frechet(void **state)
{
    double *x = normal(3, N, DIM, 0, 1), *y = normal(4, M, DIM, 0.5, 1.5);
    (void)state;
    near("frechet", frechet(x, N, y, M, DIM, 0, NULL), frechet_by_axes(x, N, y, M, DIM), 1e-11);
    near("itself", frechet(x, N, x, N, DIM, 0, NULL), 0, 1e-12);
    /* Fewer samples than features: both covariances are singular. */
    near("singular", frechet(x, 5, y, 6, 20, 0, NULL), frechet_by_axes(x, 5, y, 6, 20), 1e-6);
    /* Moved and nothing else: the squared distance of means. */
    for (int i = 0; i < N * DIM; i++)
        y[i] = x[i] + 0.25;
    near("moved", frechet(x, N, y, N, DIM, 0, NULL), DIM * 0.0625, 1e-10);
    ebb_free(x);
    ebb_free(y);
}

/* The interval's width is that of distances of samples drawn anew in fact. */
static void test_interval(void **state)
{
    enum { DRAWS = 60, OF = 400 };
    double *y = normal(5, 2000, 3, 0.3, 1.2), found[DRAWS], width = 0;
    (void)state;
    for (int k = 0; k < DRAWS; k++) {
        ebb_measure all;
        double *x = normal(100 + (uint64_t)k, OF, 3, 0, 1);
        found[k] = frechet(x, OF, y, 2000, 3, k < 5 ? 200 : 0, &all);
        if (k < 5) {
            width += (all.high - all.low) / 5;
            assert_true(all.low < all.value && all.value < all.high);
        } else {
            assert_true(isnan(all.low) && isnan(all.high));
        }
        ebb_free(x);
    }
    ebb_measure drawn = ebb_resample_interval(found[0], found, DRAWS);
    double ratio = width / (drawn.high - drawn.low);
    if (!(ratio > 0.7 && ratio < 1.4))
        fail_msg("an interval is %g times as wide as it must be", ratio);
    ebb_free(y);
}

/* ---- kernel distance --------------------------------------------------------------------------------------------------------------- */

/* More samples than groups: drawing groups anew is weighing all pairs of their samples. */
static void test_kid(void **state)
{
    enum { MANY = 300 };
    double *x = normal(6, MANY, DIM, 0, 1), *y = normal(7, M, DIM, 0.3, 1), own, found[ROUNDS], weight[MANY];
    ebb_measure got;
    ebb_pairs p;
    (void)state;
    ok(ebb_kid_own(ctx[1], y, M, DIM, &own));
    ok(ebb_kid_measure(ctx[1], x, MANY, y, M, DIM, own, ROUNDS, &got));
    ok(ebb_pairs_create(ctx[0], EBB_PAIR_MMD, true, DIM, x, MANY, y, M, &p));
    near("kid", got.value, ebb_pairs_value(&p, NULL), 1e-10);
    assert_int_equal(ebb_resample_groups(MANY), EBB_RESAMPLE_GROUPS);
    for (int b = 0; b < ROUNDS; b++) {
        double count[EBB_RESAMPLE_GROUPS];
        ebb_resample_counts(b + 1, 0, EBB_RESAMPLE_GROUPS, count);
        for (int i = 0; i < MANY; i++)
            weight[i] = count[i % EBB_RESAMPLE_GROUPS];
        found[b] = ebb_pairs_value(&p, weight);
    }
    ebb_measure want = ebb_resample_interval(got.value, found, ROUNDS);
    near("low", got.low, want.low, 1e-9);
    near("high", got.high, want.high, 1e-9);
    ebb_pairs_free(&p);
    ebb_free(x);
    ebb_free(y);
}

/* ---- manifolds ------------------------------------------------------------------------------------------------------------------- */

static double kth(const double *x, int n, int i, int k)
{
    double best[EBB_DENSITY_K];
    for (int a = 0; a < k; a++)
        best[a] = INFINITY;
    for (int j = 0; j < n; j++) {
        double d = i == j ? INFINITY : squared(x + i * DIM, x + j * DIM, DIM);
        for (int a = 0; a < k; a++)
            if (d < best[a]) {
                double next = best[a];
                best[a] = d;
                d = next;
            }
    }
    return best[k - 1];
}

static void test_manifold(void **state)
{
    static double reach[M * EBB_DENSITY_K];
    double *made = normal(8, N, DIM, 0.4, 1.3), *real = normal(9, M, DIM, 0, 1);
    double precision = 0, recall = 0, density = 0, coverage = 0;
    ebb_manifold_measures got;
    (void)state;
    ok(ebb_manifold_reach(ctx[0], real, M, DIM, reach));
    ok(ebb_manifold_measure(ctx[1], made, N, real, M, DIM, reach, ROUNDS, &got));
    for (int i = 0; i < N; i++) {
        bool inside = false;
        for (int j = 0; j < M; j++) {
            double d = squared(made + i * DIM, real + j * DIM, DIM);
            inside = inside || d <= kth(real, M, j, 3);
            density += d <= kth(real, M, j, 5) ? 1.0 / (5 * N) : 0;
        }
        precision += inside ? 1.0 / N : 0;
    }
    for (int j = 0; j < M; j++) {
        bool inside = false, holds = false;
        for (int i = 0; i < N; i++) {
            double d = squared(made + i * DIM, real + j * DIM, DIM);
            inside = inside || d <= kth(made, N, i, 3);
            holds = holds || d <= kth(real, M, j, 5);
        }
        recall += inside ? 1.0 / M : 0;
        coverage += holds ? 1.0 / M : 0;
    }
    assert_true(precision > 0.05 && precision < 0.95 && recall > 0.05 && recall < 0.95 && coverage > 0.05 && coverage < 0.95);
    near("precision", got.precision.value, precision, 1e-12);
    near("recall", got.recall.value, recall, 1e-12);
    near("density", got.density.value, density, 1e-12);
    near("coverage", got.coverage.value, coverage, 1e-12);
    /* Means of shares: their intervals are known. */
    near("interval", (got.precision.high - got.precision.low) / (2 * 1.645 * sqrt(precision * (1 - precision) / N)), 1, 0.35);
    near("interval", (got.recall.high - got.recall.low) / (2 * 1.645 * sqrt(recall * (1 - recall) / M)), 1, 0.35);
    ebb_free(made);
    ebb_free(real);
}

/* ---- classes --------------------------------------------------------------------------------------------------------------------- */

static void test_classes(void **state)
{
    const double sure[] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, blank[] = {0.5, 0.5, 0.5, 0.5}, half[] = {1, 0, 0.5, 0.5};
    double count[3];
    ebb_measure got;
    (void)state;
    ok(ebb_inception_score(ctx[0], sure, 3, 3, 0, &got));
    near("sure of all classes", got.value, 3, 1e-13);
    ok(ebb_inception_score(ctx[0], blank, 2, 2, 0, &got));
    near("sure of nothing", got.value, 1, 1e-13);
    ok(ebb_inception_score(ctx[0], half, 2, 2, 0, &got));
    near("by hand", got.value, exp(0.5 * log(1 / 0.75) + 0.5 * (0.5 * log(0.5 / 0.75) + 0.5 * log(0.5 / 0.25))), 1e-13);
    ebb_classes_count(sure, 3, 3, count);
    assert_true(count[0] == 1 && count[1] == 1 && count[2] == 1);
    /* Counts beside those expected of both together, by NumPy; a class that neither has does not count. */
    ebb_chi_square t = ebb_classes_test((const double[]){10, 20, 0, 30}, (const double[]){6, 9, 0, 15}, 4);
    near("chi-square", t.value, 0.1939655172413793, 1e-12);
    assert_int_equal(t.freedom, 2);
    near("chance", t.chance, 0.907571653785513, 1e-12);
    ok(ebb_classes_measure(ctx[0], sure, 3, (const double[]){1, 1, 1}, 3, 0, &got));
    near("the same shares", got.value, 0, 1e-13);
}

/* ---- sliced ------------------------------------------------------------------------------------------------------------------------ */

static float *narrow(const double *x, int64_t count)
{
    float *y;
    ok(ebb_alloc(ctx[0], (void **)&y, (size_t)count, sizeof *y, "pixels"));
    for (int64_t i = 0; i < count; i++)
        y[i] = (float)x[i];
    return y;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Samples `count` times each (NULL: once), by the distance between plain samples. */
static double sliced_by_copies(const ebb_sliced *s, const float *x, int n, const double *count, int groups)
{
    static double along[16 * N];
    double sum = 0;
    for (int d = 0; d < EBB_SLICES; d++) {
        int total = 0;
        for (int i = 0; i < n; i++) {
            double dot = 0;
            for (int k = 0; k < NUMBERS; k++)
                dot += (double)x[i * NUMBERS + k] * s->direction[k * EBB_SLICES + d];
            for (int c = 0; c < (count != NULL ? (int)count[i % groups] : 1); c++)
                along[total++] = dot;
        }
        qsort(along, (size_t)total, sizeof *along, ascending);
        sum += pow(ebb_samples_wasserstein(along, total, s->along + d * s->m, s->m, 2), 2) / EBB_SLICES;
    }
    return sqrt(sum);
}

static void test_sliced(void **state)
{
    double *a = normal(10, N, NUMBERS, 0.1, 1), *b = normal(11, M, NUMBERS, 0, 1.2), found[ROUNDS], count[EBB_RESAMPLE_GROUPS];
    float *x = narrow(a, N * NUMBERS), *y = narrow(b, M * NUMBERS);
    ebb_sliced s;
    ebb_measure got, same;
    (void)state;
    ok(ebb_sliced_create(ctx[1], y, M, NUMBERS, &s));
    ok(ebb_sliced_measure(ctx[1], &s, x, N, ROUNDS, &got));
    for (int d = 0; d < EBB_SLICES; d++) {
        double length = 0;
        for (int k = 0; k < NUMBERS; k++)
            length += (double)s.direction[k * EBB_SLICES + d] * s.direction[k * EBB_SLICES + d];
        near("length of a direction", length, 1, 1e-6);
    }
    near("sliced", got.value, sliced_by_copies(&s, x, N, NULL, 0), 1e-6);
    for (int r = 0; r < ROUNDS; r++) {
        ebb_resample_counts(r + 1, 0, N, count);
        found[r] = sliced_by_copies(&s, x, N, count, N);
    }
    ebb_measure want = ebb_resample_interval(got.value, found, ROUNDS);
    near("low", got.low, want.low, 1e-6);
    near("high", got.high, want.high, 1e-6);
    ok(ebb_sliced_measure(ctx[0], &s, y, M, 0, &same));
    near("itself", same.value, 0, 1e-12);
    ebb_sliced_free(&s);
    ebb_free(a);
    ebb_free(b);
    ebb_free(x);
    ebb_free(y);
}

/* ---- all of them ----------------------------------------------------------------------------------------------------------------- */

/* Features, pixels, and classes whose shares depend on the mean; free feature, pixels, probability. */
static ebb_picture_set make_set(uint64_t seed, int64_t n, double mean)
{
    double *pixel = normal(seed + 50, n, NUMBERS, mean, 1), *p;
    ebb_picture_set s = {.n = n, .numbers = NUMBERS, .dim = DIM, .classes = CLASSES};
    s.feature = normal(seed, n, DIM, mean, 1);
    s.pixels = narrow(pixel, n * NUMBERS);
    ok(ebb_alloc(ctx[0], (void **)&p, (size_t)(n * CLASSES), sizeof *p, "probabilities"));
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int c = 0; c < CLASSES; c++)
            sum += p[i * CLASSES + c] = exp(3 * s.feature[i * DIM + c] - (c == 0 ? 3 * mean : 0));
        for (int c = 0; c < CLASSES; c++)
            p[i * CLASSES + c] /= sum;
    }
    s.probability = p;
    ebb_free(pixel);
    return s;
}

static void free_set(ebb_picture_set *s)
{
    ebb_free((void *)s->feature);
    ebb_free((void *)s->pixels);
    ebb_free((void *)s->probability);
}

/* Other samples of the law lie at the floor; moved ones are found out by every metric that sees data; threads do not matter. */
static void test_judge(void **state)
{
    ebb_picture_set real = make_set(20, 400, 0), other = make_set(21, 400, 0), moved = make_set(22, 400, 0.8);
    ebb_measure found[EBB_METRICS], again[EBB_METRICS], floor[EBB_METRICS];
    ebb_reference r, r3;
    (void)state;
    ok(ebb_reference_create(ctx[0], &real, &r));
    ok(ebb_reference_create(ctx[1], &real, &r3));
    ok(ebb_reference_judge(ctx[0], &r, &moved, ROUNDS, found));
    ok(ebb_reference_judge(ctx[1], &r3, &moved, ROUNDS, again));
    ok(ebb_reference_judge(ctx[0], &r, &other, ROUNDS, floor));
    for (int m = 0; m < EBB_METRICS; m++) {
        const char *better = ebb_metric_better((ebb_metric)m);
        if (ebb_metric_needs_of((ebb_metric)m) >= EBB_NEEDS_DATA) {
            assert_true(isnan(found[m].value) && isnan(floor[m].value));
            continue;
        }
        if (!isfinite(found[m].value) || !isfinite(found[m].low) || !isfinite(floor[m].high))
            fail_msg("%s: %g from %g to %g", ebb_metric_name((ebb_metric)m), found[m].value, found[m].low, found[m].high);
        if (memcmp(&found[m], &again[m], sizeof found[m]) != 0)
            fail_msg("%s depends on threads", ebb_metric_name((ebb_metric)m));
        if (m == EBB_METRIC_SCORE)
            continue;
        /* Far from the floor, on the side that is worse. */
        bool worse = strcmp(better, "higher") == 0 ? found[m].high < floor[m].low : found[m].low > floor[m].high;
        if (!worse)
            fail_msg("%s: %g from %g to %g, floor %g from %g to %g", ebb_metric_name((ebb_metric)m), found[m].value, found[m].low,
                     found[m].high, floor[m].value, floor[m].low, floor[m].high);
    }
    assert_true(floor[EBB_METRIC_SHARES].value < 4 && floor[EBB_METRIC_DENSITY].value > 0.8);
    assert_true(floor[EBB_METRIC_KID].low < 0 && floor[EBB_METRIC_FRECHET].value < 0.5);
    ebb_reference_free(&r);
    ebb_reference_free(&r3);
    free_set(&real);
    free_set(&other);
    free_set(&moved);
}

static void refused(ebb_status got, ebb_status want, const char *word)
{
    assert_int_equal(got, want);
    if (strstr(ebb_message(ctx[0]), word) == NULL)
        fail_msg("\"%s\" does not say %s", ebb_message(ctx[0]), word);
}

static void test_refusals(void **state)
{
    ebb_picture_set real = make_set(30, 20, 0), few = real, other = real;
    ebb_measure found[EBB_METRICS];
    ebb_reference r;
    (void)state;
    ok(ebb_reference_create(ctx[0], &real, &r));
    few.n = 5;
    refused(ebb_reference_judge(ctx[0], &r, &few, 0, found), EBB_E_ARGUMENT, "6 at least");
    other.dim = DIM - 1;
    refused(ebb_reference_judge(ctx[0], &r, &other, 0, found), EBB_E_SHAPE, "6 features");
    refused(ebb_reference_judge(ctx[0], &r, &real, -1, found), EBB_E_ARGUMENT, "resamples");
    ((double *)real.feature)[19 * DIM] = NAN;
    refused(ebb_reference_judge(ctx[0], &r, &real, 0, found), EBB_E_NUMERIC, "number 19");
    ((double *)real.feature)[19 * DIM] = 0;
    ((float *)real.pixels)[3 * NUMBERS] = INFINITY;
    refused(ebb_reference_judge(ctx[0], &r, &real, 0, found), EBB_E_NUMERIC, "picture 3");
    ebb_reference_free(&r);
    free_set(&real);
}

static int begin(void **state)
{
    (void)state;
    return contexts_create(ctx);
}

static int end(void **state)
{
    (void)state;
    contexts_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products), cmocka_unit_test(test_frechet), cmocka_unit_test(test_interval), cmocka_unit_test(test_kid),
        cmocka_unit_test(test_manifold), cmocka_unit_test(test_classes), cmocka_unit_test(test_sliced), cmocka_unit_test(test_judge),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
