/* test_posterior.c: laws of the chains in closed form against Bayes' rule, against each other and against what the
 * processes say: both factorizations of a chain, steps that make up marginals, clocks, limits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "diffusion/diffusion.h"
#include "diffusion/posterior.h"

static ebb_context *ctx;

static void near(const char *what, double at, double got, double want, double rtol)
{
    if (!(fabs(got - want) <= rtol * fmax(fabs(want), 1e-3)))
        fail_msg("%s at %g: %.17g, not %.17g", what, at, got, want);
}

static ebb_process process(ebb_process_kind kind)
{
    ebb_process p, wanted = {.kind = kind};
    if (kind == EBB_PROCESS_DDPM)
        assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &wanted.chain), EBB_OK);
    assert_int_equal(ebb_process_create(ctx, &wanted, &p), EBB_OK);
    return p;
}

static double log_normal(double x, ebb_gaussian g)
{
    double d = x - g.mean;
    return -0.5 * (log(2 * 3.14159265358979323846 * g.variance) + d * d / g.variance);
}

static double log_step(ebb_level s, ebb_level t, double xs, double xt)
{
    ebb_kernel k = ebb_level_kernel(s, t);
    return log_normal(xt, (ebb_gaussian){k.keep * xs, k.variance});
}

/* ---- any process ------------------------------------------------------------------------------------------------ */

/* p(a) p(b|a) p(c|b) = p(c) p(b|c) p(a|b) for three states of every process (De Bortoli's two decompositions): the backward
 * kernels are Bayes'. */
static void test_decompositions(void **state)
{
    (void)state;
    const ebb_gaussian data = {0.7, 0.36};
    const double points[][3] = {{0.3, -0.2, 0.9}, {1.5, 2.0, -1.0}, {-2, 0.1, 0.2}};
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = process((ebb_process_kind)kind);
        ebb_level at[3] = {ebb_process_level(&p, 0.05 * p.end), ebb_process_level(&p, 0.3 * p.end),
                           ebb_process_level(&p, 0.8 * p.end)};
        for (int i = 0; i < 3; i++) {
            const double *x = points[i];
            double forward = log_normal(x[0], ebb_gaussian_at(at[0], data)) + log_step(at[0], at[1], x[0], x[1]) +
                             log_step(at[1], at[2], x[1], x[2]);
            double backward = log_normal(x[2], ebb_gaussian_at(at[2], data)) +
                              log_normal(x[1], ebb_gaussian_back(at[2], at[1], data, x[2])) +
                              log_normal(x[0], ebb_gaussian_back(at[1], at[0], data, x[1]));
            near(ebb_process_name(p.kind), i, backward, forward, 1e-10);
        }
        ebb_process_free(&p);
    }
}

/* The step back given x_0 is the one of data that are x_0 for sure; for ddpm the chain's own formulas say the same. */
static void test_given_start(void **state)
{
    (void)state;
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = process((ebb_process_kind)kind);
        for (double u = 0.1; u < 0.95; u += 0.2) {
            ebb_level s = ebb_process_level(&p, (u - 0.05) * p.end), t = ebb_process_level(&p, u * p.end);
            ebb_between q = ebb_level_between(t, s);
            ebb_gaussian back = ebb_gaussian_back(t, s, (ebb_gaussian){-0.4, 0}, 1.3);
            near("mean", u, q.keep_x * 1.3 + q.keep_x0 * -0.4, back.mean, 1e-10);
            near("variance", u, q.posterior, back.variance, 1e-10);
            near("added", u, q.added, ebb_level_kernel(s, t).variance, 1e-12);
        }
        ebb_process_free(&p);
    }
    ebb_process p = process(EBB_PROCESS_DDPM);
    for (int t = 1; t < 1000; t += 37) {
        ebb_between q = ebb_level_between(ebb_process_level(&p, t), ebb_process_level(&p, t - 1));
        ebb_chain_posterior c = ebb_chain_posterior_at(&p.chain, t);
        near("keep_x", t, q.keep_x, c.keep_x, 1e-9);
        near("keep_x0", t, q.keep_x0, c.keep_x0, 1e-9);
        near("variance", t, q.posterior, c.variance, 1e-9);
        near("beta", t, q.added, c.beta, 1e-9);
        /* The mean from eps is the mean from x_0 = (x - sigma eps)/alpha. */
        double x = 0.8, eps = -0.3, x0 = (x - sqrt(1 - c.alpha_bar) * eps) / sqrt(c.alpha_bar);
        near("mean of eps", t, c.scale * x - c.keep_eps * eps, c.keep_x0 * x0 + c.keep_x * x, 1e-9);
    }
    ebb_process_free(&p);
}

/* Steps of the chain follow each other to its marginal: keep multiplies, variance adds up (ddpm: beta; smld: differences
 * of sigma^2). */
static void test_steps_make_marginals(void **state)
{
    (void)state;
    ebb_process ddpm = process(EBB_PROCESS_DDPM), smld = process(EBB_PROCESS_SMLD);
    double keep = 1, variance = 0, sigma2 = pow(ebb_process_level(&smld, 0).sigma, 2);
    for (int t = 0; t < 1000; t++) {
        double beta = ddpm.chain.beta[t];
        keep *= sqrt(1 - beta);
        variance = (1 - beta) * variance + beta;
        ebb_level at = ebb_process_level(&ddpm, t);
        near("ddpm keep", t, at.alpha, keep, 1e-12);
        near("ddpm variance", t, at.sigma * at.sigma, variance, 1e-9);
        if (t > 0)
            sigma2 += ebb_level_kernel(ebb_process_level(&smld, t - 1), ebb_process_level(&smld, t)).variance;
        near("smld", t, pow(ebb_process_level(&smld, t).sigma, 2), sigma2, 1e-12);
    }
    ebb_process_free(&ddpm);
}

/* vp is ou with the clock t_ou = int beta/2, 5.025 at its end; sub-vp's variance lies below vp's and meets it there. */
static void test_clocks(void **state)
{
    (void)state;
    ebb_process vp = process(EBB_PROCESS_VP), sub = process(EBB_PROCESS_SUBVP), ou = process(EBB_PROCESS_OU);
    for (double t = 0.01; t <= 1; t += 0.01) {
        ebb_level a = ebb_process_level(&vp, t), b = ebb_process_level(&ou, 0.5 * (0.1 * t + 9.95 * t * t));
        ebb_level c = ebb_process_level(&sub, t);
        near("alpha", t, b.alpha, a.alpha, 1e-12);
        near("sigma", t, b.sigma, a.sigma, 1e-12);
        assert_true(c.alpha == a.alpha && c.sigma < a.sigma);
    }
    near("end", 1, ebb_process_level(&vp, 1).alpha, exp(-5.025), 1e-12);
    assert_true(ebb_process_level(&vp, 1).sigma - ebb_process_level(&sub, 1).sigma < 5e-5);
}

/* ---- chains of Ornstein-Uhlenbeck ------------------------------------------------------------------------------------ */

/* Distance of Wasserstein between normal laws. */
static double w2(ebb_gaussian a, ebb_gaussian b)
{
    double d = sqrt(a.variance) - sqrt(b.variance), m = a.mean - b.mean;
    return sqrt(m * m + d * d);
}

static void test_limits(void **state)
{
    (void)state;
    const double gammas[] = {0.5, 0.1, 0.01, 1, 1.5};
    for (int i = 0; i < 5; i++) {
        double steps[200], g = gammas[i], limit = ebb_em_stationary(g);
        /* One more step leaves the limit as it is. */
        near("limit", g, (1 - g) * (1 - g) * limit + 2 * g, limit, 1e-13);
        for (int k = 0; k < 200; k++)
            steps[k] = g;
        for (int k = 0; k <= 200; k += 20) {
            ebb_kernel one = ebb_em_kernel(g, k), other = ebb_em_kernel_of(steps, k);
            near("keep", k, one.keep, other.keep, 1e-11);
            near("variance", k, one.variance, other.variance, 1e-11);
        }
        near("far", g, ebb_em_kernel(g, 100000).variance, limit, 1e-12);
    }
    assert_true(isinf(ebb_em_stationary(2)));
    near("gamma 2", 3, ebb_em_kernel(2, 3).variance, 12, 1e-14);
    /* AR(1) contracts at least like a^k towards N(0,1), from wherever it starts. */
    const ebb_gaussian start = {1.7, 0.2}, end = {0, 1};
    for (int k = 0; k < 100; k++) {
        ebb_kernel at = ebb_ar1_kernel(0.9, k);
        ebb_gaussian law = {at.keep * start.mean, at.keep * at.keep * start.variance + at.variance};
        assert_true(w2(law, end) <= pow(0.9, k) * w2(start, end) * (1 + 1e-12));
    }
}

/* Small steps: the exact posterior's coefficients are De Bortoli's 1 + gamma and 2 gamma up to O(gamma^2), and its variance
 * that of the bridge; all three forms of the mean agree. */
static void test_em_posterior(void **state)
{
    (void)state;
    for (double g = 0.1; g > 1e-4; g /= 10) {
        ebb_kernel at = ebb_em_kernel(g, (int)(1 / g));
        ebb_em_posterior q = ebb_em_posterior_at(at, g);
        assert_true(fabs(q.a - (1 + g)) < 2 * g * g && fabs(q.b_score - 2 * g) < 3 * g * g);
        assert_true(fabs(q.variance - 2 * g) < 6 * g * g);
        double next = (1 - g) * (1 - g) * at.variance + 2 * g, z = 0.6, x0 = -0.3;
        double x = (1 - g) * at.keep * x0 + sqrt(next) * z, mean = q.keep_x * x + q.keep_x0 * x0;
        near("of noise", g, q.a * x - q.b_noise * z, mean, 1e-12);
        near("of score", g, q.a * x + q.b_score * (-z / sqrt(next)), mean, 1e-12);
    }
    /* The bridge: near the data, where the law of X_k is all noise of short steps, both variances are one. */
    double g = 1e-4;
    ebb_kernel at = ebb_em_kernel(g, 3);
    near("bridge", g, ebb_em_modified_variance(g, 4 * g, 3 * g), ebb_em_posterior_at(at, g).variance, 1e-3);
    assert_true(ebb_em_modified_variance(g, g, 0) == 0);
}

/* ---- Gaussian data ---------------------------------------------------------------------------------------------------- */

/* KL of normal laws against its integral. */
static void test_kl(void **state)
{
    (void)state;
    const ebb_gaussian a = {0.3, 0.5}, b = {-0.4, 1.7};
    double sum = 0, h = 1e-3;
    for (double x = -12; x < 12; x += h)
        sum += h * exp(log_normal(x, a)) * (log_normal(x, a) - log_normal(x, b));
    near("KL", 0, ebb_gaussian_kl(a, b), sum, 1e-9);
    assert_true(ebb_gaussian_kl(a, a) == 0);
    /* Along a chain the law comes closer to its limit. */
    ebb_process ou = process(EBB_PROCESS_OU);
    double last = INFINITY;
    for (double t = 0; t <= 5; t += 0.25) {
        double kl = ebb_gaussian_kl(ebb_gaussian_at(ebb_process_level(&ou, t), a), (ebb_gaussian){0, 1});
        assert_true(kl <= last * exp(-0.5) * (1 + 1e-9));       /* exp(-2 dt) */
        last = kl;
    }
}

int main(void)
{
    if (ebb_context_create(NULL, &ctx) != EBB_OK) {
        fprintf(stderr, "%s\n", ebb_message(ctx));
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decompositions), cmocka_unit_test(test_given_start),
        cmocka_unit_test(test_steps_make_marginals), cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_em_posterior), cmocka_unit_test(test_kl),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
