/* test_score_matching.c: the identities behind score matching, by closed forms, quadrature and enumeration; scores by
 * maximum likelihood; both names of guidance.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/fit.h"
#include "diffusion/guidance.h"
#include "diffusion/inverse.h"
#include "diffusion/linear_score.h"

static ebb_context *ctx;

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
}

static double uniform(uint32_t i, double lo, double hi)
{
    ebb_rng_at at = {.seed = 5, .stream = EBB_STREAM_TEST};
    return lo + (hi - lo) * ebb_rng_uniform(&at, i);
}

/* ---- linear scores on normal laws --------------------------------------------------------------------------------- */

enum { DIM = 3 };

typedef struct model { double a[DIM * DIM], b[DIM]; ebb_target law; } model;

/* Positive covariance B B' + 0.1. */
static void make_model(model *m, uint32_t from)
{
    double b[DIM][DIM], mean[DIM], cov[DIM * DIM], one = 1;
    for (int i = 0; i < DIM; i++) {
        mean[i] = uniform(from++, -1, 1);
        m->b[i] = uniform(from++, -1, 1);
        for (int j = 0; j < DIM; j++) {
            b[i][j] = uniform(from++, -1, 1);
            m->a[i * DIM + j] = uniform(from++, -2, 1);
        }
    }
    for (int i = 0; i < DIM * DIM; i++) {
        cov[i] = i % (DIM + 1) == 0 ? 0.1 : 0;
        for (int k = 0; k < DIM; k++)
            cov[i] += b[i / DIM][k] * b[i % DIM][k];
    }
    ok(ebb_target_create(ctx, 1, DIM, &one, mean, cov, NULL, &m->law));
}

static double match(const model *m, ebb_matching kind, double sigma, double *gradient)
{
    double value;
    ok(ebb_linear_score_match(ctx, &(ebb_linear_score){DIM, m->a, m->b}, &m->law, kind, sigma, &value, gradient));
    return value;
}

/* The objectives differ by what A and b do not change: K = J - E|score|^2, denoising = J + d/sigma^2 - E|score|^2. */
static void test_objectives(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        model m;
        double sigma = 0.3 + 0.2 * i;
        make_model(&m, 100 * i);
        double information = ebb_normal_information(&m.law, 0), noisy = ebb_normal_information(&m.law, sigma);
        double j = match(&m, EBB_MATCH_EXPLICIT, 0, NULL), k = match(&m, EBB_MATCH_IMPLICIT, 0, NULL);
        assert_true(fabs(k - (j - information)) < 1e-10 * (1 + fabs(j) + information));
        j = match(&m, EBB_MATCH_EXPLICIT, sigma, NULL);
        double l = match(&m, EBB_MATCH_DENOISING, sigma, NULL);
        assert_true(fabs(l - j - (DIM / (sigma * sigma) - noisy)) < 1e-10 * (1 + fabs(l)));
        ebb_target_free(&m.law);
    }
}

/* ... so their gradients are the same, and those of the values. */
static void test_gradients(void **state)
{
    enum { COUNT = DIM * DIM + DIM };
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        model m;
        double g[3][COUNT], sigma = 0.3 + 0.2 * i;
        make_model(&m, 100 * i + 50);
        for (ebb_matching kind = EBB_MATCH_EXPLICIT; kind <= EBB_MATCH_DENOISING; kind++)
            match(&m, kind, sigma, g[kind]);
        for (int p = 0; p < COUNT; p++) {
            assert_true(fabs(g[0][p] - g[1][p]) < 1e-10 * (1 + fabs(g[0][p])));
            assert_true(fabs(g[0][p] - g[2][p]) < 1e-10 * (1 + fabs(g[0][p])));
            double *at = p < DIM * DIM ? m.a + p : m.b + p - DIM * DIM, was = *at;
            *at = was + 1e-3;
            double up = match(&m, EBB_MATCH_IMPLICIT, sigma, NULL);
            *at = was - 1e-3;
            double down = match(&m, EBB_MATCH_IMPLICIT, sigma, NULL);
            *at = was;
            /* Quadratic: central differences are exact but for rounding. */
            assert_true(fabs((up - down) / 2e-3 - g[1][p]) < 1e-9 * (1 + fabs(g[1][p])));
        }
        ebb_target_free(&m.law);
    }
}

/* At the true score the explicit objective is 0 and every gradient too. */
static void test_minimum(void **state)
{
    (void)state;
    model m;
    double gradient[DIM * DIM + DIM], jacobian[DIM * DIM], score[DIM], sigma = 0.5;
    const double zero[DIM] = {0};
    make_model(&m, 900);
    ebb_target_at(&m.law, zero, 1, sigma, NULL, score, jacobian, NULL);
    memcpy(m.a, jacobian, sizeof m.a);
    memcpy(m.b, score, sizeof m.b);
    assert_true(fabs(match(&m, EBB_MATCH_EXPLICIT, sigma, NULL)) < 1e-12);
    for (ebb_matching kind = EBB_MATCH_EXPLICIT; kind <= EBB_MATCH_DENOISING; kind++) {
        match(&m, kind, sigma, gradient);
        for (int p = 0; p < DIM * DIM + DIM; p++)
            assert_true(fabs(gradient[p]) < 1e-11);
    }
    ebb_target_free(&m.law);
}

static void test_refused(void **state)
{
    (void)state;
    model m;
    double value, one = 1, zeros[DIM] = {0}, singular[DIM * DIM] = {1};
    ebb_target flat;
    make_model(&m, 1000);
    ebb_linear_score s = {DIM, m.a, m.b}, small = {DIM - 1, m.a, m.b};
    assert_int_equal(ebb_linear_score_match(ctx, &small, &m.law, EBB_MATCH_IMPLICIT, 0, &value, NULL), EBB_E_ARGUMENT);
    assert_int_equal(ebb_linear_score_match(ctx, &s, &m.law, EBB_MATCH_DENOISING, 0, &value, NULL), EBB_E_ARGUMENT);
    ok(ebb_target_create(ctx, 1, DIM, &one, zeros, singular, NULL, &flat));
    assert_int_equal(ebb_linear_score_match(ctx, &s, &flat, EBB_MATCH_EXPLICIT, 0, &value, NULL), EBB_E_ARGUMENT);
    ok(ebb_linear_score_match(ctx, &s, &flat, EBB_MATCH_EXPLICIT, 0.1, &value, NULL));
    ebb_target_free(&flat);
    ebb_target_free(&m.law);
}

/* ---- divergence by probes -------------------------------------------------------------------------------------------- */

static double probe(int n, const double *a, const double *v)
{
    double sum = 0;
    for (int i = 0; i < n * n; i++)
        sum += v[i / n] * a[i] * v[i % n];
    return sum;
}

/* All 2^d vectors of signs: their mean is the trace exactly. Normal probes: variance 2 |sym A|^2. */
static void test_hutchinson(void **state)
{
    enum { D = 6, PROBES = 200000 };
    double a[D * D], trace = 0, sum = 0, square = 0, sym2 = 0, v[D];
    float z[D];
    (void)state;
    for (int i = 0; i < D * D; i++)
        a[i] = uniform(2000 + (uint32_t)i, -1, 1);
    for (int i = 0; i < D; i++) {
        trace += a[i * D + i];
        for (int j = 0; j < D; j++)
            sym2 += (a[i * D + j] + a[j * D + i]) * (a[i * D + j] + a[j * D + i]) / 4;
    }
    for (int signs = 0; signs < 1 << D; signs++) {
        for (int i = 0; i < D; i++)
            v[i] = signs >> i & 1 ? 1 : -1;
        sum += probe(D, a, v) / (1 << D);
    }
    assert_true(fabs(sum - trace) < 1e-13);
    sum = 0;
    for (uint32_t k = 0; k < PROBES; k++) {
        ctx->kernels->normal_f32(D, z, &(ebb_rng_at){.seed = 3, .stream = EBB_STREAM_TEST, .sample = k});
        for (int i = 0; i < D; i++)
            v[i] = z[i];
        double q = probe(D, a, v) - trace;
        sum += q / PROBES;
        square += q * q / PROBES;
    }
    /* Standard errors: sqrt(var/n) of the mean; of the variance at most sqrt(14/n) var, from the fourth moment of chi^2. */
    assert_true(fabs(sum) < 4 * sqrt(2 * sym2 / PROBES));
    assert_true(fabs(square / (2 * sym2) - 1) < 4 * sqrt(14.0 / PROBES));
}

/* ---- laws and projections ---------------------------------------------------------------------------------------------- */

static ebb_target three_parts(void)
{
    static const double weight[] = {0.2, 0.5, 0.3}, mean[] = {-1.5, 0.5, 1, 1, 0.2, -1.2};
    static const double cov[] = {0.1, 0.02, 0.02, 0.3, 0.2, -0.05, -0.05, 0.1, 0.15, 0, 0, 0.12};
    ebb_target t;
    ok(ebb_target_create(ctx, 3, 2, weight, mean, cov, NULL, &t));
    return t;
}

static ebb_target line_of(const double *mean, const double *var)
{
    static const double weight[] = {0.4, 0.6};
    ebb_target t;
    ok(ebb_target_create(ctx, 2, 1, weight, mean, var, NULL, &t));
    return t;
}

/* The score is the posterior mean of the conditional one, -(x - alpha x_0)/sigma^2; the posterior by Bayes's rule. */
static void test_posterior_average(void **state)
{
    (void)state;
    ebb_target law = three_parts(), post;
    for (uint32_t i = 0; i < 20; i++) {
        double alpha = uniform(3000 + 4 * i, 0.1, 1), sigma = uniform(3001 + 4 * i, 0.05, 2);
        double x[] = {uniform(3002 + 4 * i, -2, 2), uniform(3003 + 4 * i, -2, 2)}, score[2], mean[2];
        const double h[] = {alpha, 0, 0, alpha};
        ok(ebb_target_given(ctx, &law, &(ebb_measurement){2, h, x, sigma}, &post));
        ebb_target_moments(&post, mean, NULL);
        ebb_target_at(&law, x, alpha, sigma, NULL, score, NULL, NULL);
        for (int d = 0; d < 2; d++)
            assert_true(fabs(-(x[d] - alpha * mean[d]) / (sigma * sigma) - score[d]) < 1e-9 * (1 + fabs(score[d])));
        ebb_target_free(&post);
    }
    ebb_target_free(&law);
}

/* E[x_0|x] is the projection: the rest is orthogonal to every function of x, and every other guess errs more. */
static void test_projection(void **state)
{
    enum { TESTS = 5, POINTS = 801 };
    double inner[TESTS] = {0}, errors[2] = {0}, mass = 0;
    const ebb_level at = {0.3, 0.7, 0.6};
    (void)state;
    ebb_target law = line_of((double[]){-2, 1.5}, (double[]){0.09, 0.16});
    for (int i = 0; i < POINTS; i++)
        for (int j = 0; j < POINTS; j++) {
            double clean = -5 + 10.0 * i / (POINTS - 1), x = -7 + 14.0 * j / (POINTS - 1), logp, guess;
            double noise = (x - at.alpha * clean) / at.sigma;
            ebb_target_at(&law, &clean, 1, 0, &logp, NULL, NULL, NULL);
            ebb_target_denoise(&law, &x, at, &guess, NULL);
            double p = exp(logp - noise * noise / 2);
            const double functions[TESTS] = {1, x, x * x, sin(3 * x), fabs(x)};
            for (int f = 0; f < TESTS; f++)
                inner[f] += p * (clean - guess) * functions[f];
            double other = guess + 0.1 * cos(x);
            errors[0] += p * (clean - guess) * (clean - guess);
            errors[1] += p * (clean - other) * (clean - other);
            mass += p;
        }
    for (int f = 0; f < TESTS; f++)
        assert_true(fabs(inner[f] / mass) < 1e-8);
    assert_true(errors[0] < errors[1]);
    ebb_target_free(&law);
}

/* Integral of <F, grad p> = - that of p div F. */
static void test_by_parts(void **state)
{
    enum { POINTS = 601 };
    double left = 0, right = 0, step = 14.0 / (POINTS - 1);
    (void)state;
    ebb_target law = three_parts();
    for (int i = 0; i < POINTS * POINTS; i++) {
        double x[] = {-7 + step * (i / POINTS), -7 + step * (i % POINTS)}, logp, score[2];
        ebb_target_at(&law, x, 1, 0, &logp, score, NULL, NULL);
        double p = exp(logp) * step * step, f[] = {sin(x[0]) + x[1] * x[1], x[0] * x[1]};
        left += p * (f[0] * score[0] + f[1] * score[1]);
        right -= p * (cos(x[0]) + x[0]);
    }
    assert_true(fabs(left) > 0.1 && fabs(left - right) < 1e-10);
    ebb_target_free(&law);
}

/* p * N(0, sigma^2): variance grows by sigma^2, mass stays 1, and it tends to p in total variation. */
static void test_smoothing(void **state)
{
    enum { POINTS = 8001 };
    double last = 1;
    (void)state;
    ebb_target law = line_of((double[]){-2, 1.5}, (double[]){0.09, 0.16});
    double mean0, var0;
    ebb_target_moments(&law, &mean0, &var0);
    for (double sigma = 1.6; sigma > 0.02; sigma /= 2) {
        double mass = 0, mean = 0, square = 0, tv = 0, step = 40.0 / (POINTS - 1);
        for (int i = 0; i < POINTS; i++) {
            double x = -20 + step * i, smooth, sharp;
            ebb_target_at(&law, &x, 1, sigma, &smooth, NULL, NULL, NULL);
            ebb_target_at(&law, &x, 1, 0, &sharp, NULL, NULL, NULL);
            double p = exp(smooth) * step;
            mass += p;
            mean += p * x;
            square += p * x * x;
            tv += fabs(p - exp(sharp) * step) / 2;
        }
        assert_true(fabs(mass - 1) < 1e-12 && fabs(mean - mean0) < 1e-12);
        assert_true(fabs(square - mean * mean - var0 - sigma * sigma) < 1e-11);
        assert_true(tv < last);
        last = tv;
    }
    assert_true(last < 3e-3);
    ebb_target_free(&law);
}

/* ---- scores by maximum likelihood --------------------------------------------------------------------------------------- */

/* E|fitted score - score|^2 over other points of the law, at a level. */
static double fisher(const ebb_target *law, const ebb_target *fitted, ebb_level at)
{
    enum { POINTS = 2000 };
    static double x[POINTS * 2];
    double sum = 0, s[2], f[2];
    float z[2];
    ebb_target_sample(law, 99, 0, POINTS, x, NULL);
    for (uint32_t i = 0; i < POINTS; i++) {
        ctx->kernels->normal_f32(2, z, &(ebb_rng_at){.seed = 4, .stream = EBB_STREAM_TEST, .sample = i});
        for (int d = 0; d < 2; d++)
            x[2 * i + (uint32_t)d] = at.alpha * x[2 * i + (uint32_t)d] + at.sigma * z[d];
        ebb_target_at(law, x + 2 * i, at.alpha, at.sigma, NULL, s, NULL, NULL);
        ebb_target_at(fitted, x + 2 * i, at.alpha, at.sigma, NULL, f, NULL, NULL);
        sum += ((s[0] - f[0]) * (s[0] - f[0]) + (s[1] - f[1]) * (s[1] - f[1])) / POINTS;
    }
    return sum;
}

/* With the right number of parts the score's error falls like 1/n; with too few it does not. */
static void test_fit(void **state)
{
    enum { MOST = 16000 };
    static double x[MOST * 2];
    const ebb_level at = {0.1, 0.95, 0.3};
    double error[2], poor[2];
    (void)state;
    ebb_target law = three_parts(), fitted;
    ebb_target_sample(&law, 7, 0, MOST, x, NULL);
    for (int i = 0; i < 2; i++) {
        int64_t n = i == 0 ? 1000 : MOST;
        ebb_fit fit = {.parts = 3, .seed = 1}, few = {.parts = 2, .seed = 1};
        ok(ebb_target_fit(ctx, x, n, 2, &fit, &fitted));
        error[i] = fisher(&law, &fitted, at);
        ebb_target_free(&fitted);
        ok(ebb_target_fit(ctx, x, n, 2, &few, &fitted));
        poor[i] = fisher(&law, &fitted, at);
        ebb_target_free(&fitted);
        print_message("n %5d: score error %.2e of 3 parts (%d rounds, %.4f nats), %.2e of 2 parts (%.4f)\n", (int)n, error[i],
                      fit.used, fit.log_likelihood, poor[i], few.log_likelihood);
        assert_true(fit.log_likelihood > few.log_likelihood);
    }
    /* A factor 16 of points; the estimate from one set of points varies by a few. */
    assert_true(error[1] < error[0] / 4 && error[1] < 0.01);
    assert_true(poor[1] > 0.1 && poor[1] > 10 * error[1]);
    ebb_target_free(&law);
}

/* The likelihood climbs with the rounds; the same seed gives the same law. */
static void test_climb(void **state)
{
    static double x[2000];
    double last = -INFINITY;
    (void)state;
    ebb_target law = three_parts(), one, two;
    ebb_target_sample(&law, 8, 0, 1000, x, NULL);
    for (int rounds = 1; rounds <= 64; rounds *= 2) {
        ebb_fit fit = {.parts = 3, .rounds = rounds, .seed = 3};
        ok(ebb_target_fit(ctx, x, 1000, 2, &fit, &one));
        assert_true(fit.log_likelihood >= last);
        last = fit.log_likelihood;
        ok(ebb_target_fit(ctx, x, 1000, 2, &fit, &two));
        assert_memory_equal(one.mean, two.mean, 6 * sizeof(double));
        ebb_target_free(&one);
        ebb_target_free(&two);
    }
    assert_int_equal(ebb_target_fit(ctx, x, 2, 2, &(ebb_fit){.parts = 3}, &one), EBB_E_ARGUMENT);
    x[5] = NAN;
    assert_int_not_equal(ebb_target_fit(ctx, x, 1000, 2, &(ebb_fit){.parts = 3}, &one), EBB_OK);
    ebb_target_free(&law);
}

/* ---- guidance ------------------------------------------------------------------------------------------------------------- */

/* Every convention is a name of the same thing: unconditional at w = -1, conditional at 0. */
static void test_guidance(void **state)
{
    static const double conditional[] = {1, -2}, unconditional[] = {0.5, 3};
    double guided[2];
    (void)state;
    for (ebb_guidance kind = 0; kind < EBB_GUIDANCES; kind++) {
        assert_int_equal(ebb_guidance_find(ebb_guidance_name(kind)), kind);
        for (double w = -2; w < 3; w += 0.5)
            assert_true(fabs(ebb_guidance_w(kind, ebb_guidance_value(kind, w)) - w) < 1e-14);
    }
    assert_true(ebb_guidance_name(EBB_GUIDANCES) == NULL && ebb_guidance_find("gamma") == EBB_GUIDANCES);
    ebb_guidance_mix(2, conditional, unconditional, ebb_guidance_w(EBB_GUIDANCE_SCALE, 1), guided);
    assert_memory_equal(guided, conditional, sizeof guided);
    ebb_guidance_mix(2, conditional, unconditional, ebb_guidance_w(EBB_GUIDANCE_SCALE, 0), guided);
    assert_memory_equal(guided, unconditional, sizeof guided);
    ebb_guidance_mix(2, conditional, unconditional, ebb_guidance_w(EBB_GUIDANCE_SCALE, 7.5), guided);
    assert_true(guided[0] == 0.5 + 7.5 * 0.5 && guided[1] == 3 + 7.5 * -5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objectives), cmocka_unit_test(test_gradients), cmocka_unit_test(test_minimum),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_hutchinson), cmocka_unit_test(test_posterior_average),
        cmocka_unit_test(test_projection), cmocka_unit_test(test_by_parts), cmocka_unit_test(test_smoothing),
        cmocka_unit_test(test_fit), cmocka_unit_test(test_climb), cmocka_unit_test(test_guidance),
    };
    if (ebb_context_create(NULL, &ctx) != EBB_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
