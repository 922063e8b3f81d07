/* test_likelihood.c: log-likelihoods along the probability flow, and variational bounds of them, over laws where both are
 * known: normal laws, a mixture, grey levels.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/elbo.h"
#include "diffusion/likelihood.h"
#include "diffusion/posterior.h"
#include "diffusion/target.h"

#define PI 3.14159265358979323846

static ebb_context *ctx;

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
}

static void *memory(size_t doubles)
{
    void *data;
    ok(ebb_alloc(ctx, &data, doubles, sizeof(double), "a test"));
    return data;
}

static void near(const char *what, double got, double want, double allowed)
{
    if (!(fabs(got - want) <= allowed))
        fail_msg("%s: %.12g, expected %.12g +- %.2g", what, got, want, allowed);
}

static ebb_process process_of(ebb_process_kind kind, int steps)
{
    ebb_process wanted = {.kind = kind, .steps = steps}, p;
    if (kind == EBB_PROCESS_DDPM)
        ok(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, steps, 20.0 / (200 * steps), 20.0 / steps, &wanted.chain));
    ok(ebb_process_create(ctx, &wanted, &p));
    return p;
}

static ebb_target normal_law(double mean, double variance)
{
    const double one = 1;
    ebb_target t;
    ok(ebb_target_create(ctx, 1, 1, &one, &mean, &variance, NULL, &t));
    return t;
}

static ebb_target mixture(void)
{
    static const double weight[3] = {0.2, 0.5, 0.3}, mean[3][2] = {{-1.5, 0.5}, {1, 1}, {0.2, -1.2}};
    static const double cov[3][2][2] = {{{0.16, 0.05}, {0.05, 0.1}}, {{0.2, -0.06}, {-0.06, 0.18}},
                                        {{0.2, -0.03}, {-0.03, 0.12}}};
    ebb_target t;
    ok(ebb_target_create(ctx, 3, 2, weight, mean[0], cov[0][0], NULL, &t));
    return t;
}

/* ---- along the flow ------------------------------------------------------------------------------------------- */

static void solve(const ebb_process *p, const ebb_field *field, double tolerance, double *x, double *logp, double *delta)
{
    ebb_likelihood l = {.process = p, .field = field, .rtol = tolerance, .atol = tolerance, .delta = delta};
    double *work = memory(ebb_likelihood_work(field->n, field->count));
    ok(ebb_likelihood_solve(ctx, &l, x, logp, work));
    ebb_free(work);
}

static void solve_target(const ebb_process *p, const ebb_target *t, int64_t n, double *x, double *logp, double *delta)
{
    ebb_target_field self = {.all = t, .n = n};
    ebb_field field = ebb_field_of_target(&self);
    solve(p, &field, 1e-9, x, logp, delta);
}

/* The flow of a normal law is linear: deviations from the mean keep their proportion. */
static void test_normal_law(void **state)
{
    (void)state;
    enum { N = 5 };
    const ebb_gaussian data = {0.4, 0.3};
    ebb_target t = normal_law(data.mean, data.variance);
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = process_of((ebb_process_kind)kind, 100);
        double x[N] = {-1, 0, 0.4, 0.9, 2}, start[N], logp[N], from, to;
        memcpy(start, x, sizeof x);
        solve_target(&p, &t, N, x, logp, NULL);
        ebb_likelihood_ends(&p, &from, &to);
        ebb_gaussian first = ebb_gaussian_at(ebb_process_level(&p, from), data), last = ebb_gaussian_at(ebb_process_level(&p, to), data);
        double stretch = sqrt(last.variance / first.variance);
        for (int i = 0; i < N; i++) {
            double latent = last.mean + stretch * (start[i] - first.mean), std = ebb_process_prior_std(&p);
            double want = -0.5 * (log(2 * PI * std * std) + latent * latent / (std * std)) + log(stretch);
            near(ebb_process_name(p.kind), x[i], latent, 1e-6 * fmax(1, fabs(latent)));
            near(ebb_process_name(p.kind), logp[i], want, 1e-6);
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&t);
}

/* With the true law at the end in place of the prior it is the true density at the beginning. */
static void test_mixture(void **state)
{
    (void)state;
    enum { N = 6 };
    ebb_target t = mixture();
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = process_of((ebb_process_kind)kind, 100);
        double x[2 * N], start[2 * N], logp[N], delta[N], from, to;
        ebb_target_sample(&t, 1, 0, N, x, NULL);
        memcpy(start, x, sizeof x);
        solve_target(&p, &t, N, x, logp, delta);
        ebb_likelihood_ends(&p, &from, &to);
        ebb_level first = ebb_process_level(&p, from), last = ebb_process_level(&p, to);
        for (int i = 0; i < N; i++) {
            double at_first, at_last;
            ebb_target_at(&t, start + 2 * i, first.alpha, first.sigma, &at_first, NULL, NULL, NULL);
            ebb_target_at(&t, x + 2 * i, last.alpha, last.sigma, &at_last, NULL, NULL, NULL);
            near(ebb_process_name(p.kind), at_last + delta[i], at_first, 1e-6);
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&t);
}

/* A law of one number with an error put onto its noise, and the error's derivative. */
typedef struct bent { ebb_target_field law; double by; } bent;

static void bent_divergence(void *self, const double *x, const ebb_level *at, double *eps, double *div)
{
    bent *b = self;
    ebb_field exact = ebb_field_of_target(&b->law);
    exact.divergence(exact.self, x, at, eps, div);
    for (int64_t i = 0; i < b->law.n; i++) {
        eps[i] += b->by * sin(2 * x[i]);
        div[i] += 2 * b->by * cos(2 * x[i]);
    }
}

/* Whatever a field says, the flow carries a density to a density: it sums to 1. */
static void test_sums_to_one(void **state)
{
    (void)state;
    enum { N = 801, SIDE = 61 };
    double *x = memory(N), *logp = memory(SIDE * SIDE), *plane = memory(2 * SIDE * SIDE), sum = 0;
    ebb_target t = normal_law(0.3, 0.25), m = mixture();
    bent b = {{.all = &t, .n = N}, 0.3};
    ebb_field field = {.n = N, .count = 1, .divergence = bent_divergence, .self = &b};
    ebb_process p = process_of(EBB_PROCESS_VP, 0);
    for (int i = 0; i < N; i++)
        x[i] = -4 + 8.0 * i / (N - 1);
    solve(&p, &field, 1e-6, x, logp, NULL);
    for (int i = 0; i < N; i++)
        sum += exp(logp[i]) * 8.0 / (N - 1);
    near("a bent law on a line", sum, 1, 1e-4);
    sum = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        plane[2 * i] = -3.5 + 7.0 * (i % SIDE) / (SIDE - 1);
        plane[2 * i + 1] = -3.5 + 7.0 * (i / SIDE) / (SIDE - 1);
    }
    solve_target(&p, &m, SIDE * SIDE, plane, logp, NULL);
    for (int i = 0; i < SIDE * SIDE; i++)
        sum += exp(logp[i]) * 49.0 / ((SIDE - 1) * (SIDE - 1));
    near("a mixture in the plane", sum, 1, 1e-4);
    ebb_process_free(&p);
    ebb_target_free(&t);
    ebb_target_free(&m);
    ebb_free(x);
    ebb_free(logp);
    ebb_free(plane);
}

static void test_alone_and_together(void **state)
{
    (void)state;
    enum { N = 9 };
    ebb_target t = mixture();
    ebb_process p = process_of(EBB_PROCESS_SUBVP, 0);
    double x[2 * N], start[2 * N], logp[N], alone[2], one;
    ebb_target_sample(&t, 2, 0, N, x, NULL);
    memcpy(start, x, sizeof x);
    solve_target(&p, &t, N, x, logp, NULL);
    for (int i = 0; i < N; i++) {
        memcpy(alone, start + 2 * i, sizeof alone);
        solve_target(&p, &t, 1, alone, &one, NULL);
        assert_memory_equal(&one, logp + i, sizeof one);
        assert_memory_equal(alone, x + 2 * i, sizeof alone);
    }
    ebb_process_free(&p);
    ebb_target_free(&t);
}

static int stop(void *user, double done)
{
    assert_true(done >= 0 && done <= 1);
    return ++*(int *)user == 5;
}

static void test_refuses(void **state)
{
    (void)state;
    int calls = 0;
    ebb_target t = mixture();
    ebb_target_field self = {.all = &t, .n = 1};
    ebb_field field = ebb_field_of_target(&self), none = field;
    ebb_process p = process_of(EBB_PROCESS_VE, 0);
    double x[2] = {0.1, 0.2}, logp, *work = memory(ebb_likelihood_work(1, 2));
    none.divergence = NULL;
    ebb_likelihood l = {.process = &p, .field = &none};
    assert_int_equal(ebb_likelihood_solve(ctx, &l, x, &logp, work), EBB_E_UNSUPPORTED);
    l = (ebb_likelihood){.process = &p, .field = &field, .evaluated = stop, .user = &calls};
    assert_int_equal(ebb_likelihood_solve(ctx, &l, x, &logp, work), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "stopped"));
    assert_int_equal(calls, 5);
    ebb_process_free(&p);
    ebb_target_free(&t);
    ebb_free(work);
}

/* ---- grey levels ------------------------------------------------------------------------------------------------ */

/* Cells [b/128 - 1, (b+1)/128 - 1) of FIRST .. FIRST + LEVELS - 1, evenly filled; blurred by noise each is a difference of
 * two normal laws' sums, so that density, score and its derivative are closed forms. */
enum { FIRST = 96, LEVELS = 6 };
static const double SHARE[LEVELS] = {0.05, 0.3, 0.1, 0.25, 0.2, 0.1};

static double edge(int k)
{
    return (FIRST + k) / 128.0 - 1;
}

static double below(double z)
{
    return 0.5 * erfc(-z / sqrt(2));
}

/* Mass between two places, by the tails on the side where they are small. */
static double between(double low, double high)
{
    return low > 0 ? below(-low) - below(-high) : below(high) - below(low);
}

static void levels_divergence(void *self, const double *x, const ebb_level *at, double *eps, double *div)
{
    int64_t n = *(const int64_t *)self;
    for (int64_t i = 0; i < n; i++) {
        double p = 0, slope = 0, bend = 0, s = at[i].sigma;
        for (int k = 0; k < LEVELS; k++) {
            double low = (x[i] - at[i].alpha * edge(k + 1)) / s, high = (x[i] - at[i].alpha * edge(k)) / s;
            double g_low = exp(-0.5 * low * low) / sqrt(2 * PI), g_high = exp(-0.5 * high * high) / sqrt(2 * PI);
            p += SHARE[k] * between(low, high);
            slope += SHARE[k] * (g_high - g_low) / s;
            bend -= SHARE[k] * (g_high * high - g_low * low) / (s * s);
        }
        eps[i] = -s * slope / p;
        div[i] = -s * (bend / p - slope / p * (slope / p));
    }
}

/* -log2 of what the spread law says, plus 7 bits, on average over a level's cell: the level's own bits, and a little more for
 * the blur at the least time. */
static void test_levels(void **state)
{
    (void)state;
    enum { U = 32, N = U * LEVELS };
    int64_t n = N;
    double x[N], logp[N], entropy = 0, bits = 0;
    ebb_field field = {.n = N, .count = 1, .divergence = levels_divergence, .self = &n};
    ebb_process p = process_of(EBB_PROCESS_VP, 0);
    for (int k = 0; k < LEVELS; k++)
        for (int u = 0; u < U; u++)
            x[k * U + u] = (FIRST + k + (u + 0.5) / U) / 128.0 - 1;
    solve(&p, &field, 1e-6, x, logp, NULL);
    for (int k = 0; k < LEVELS; k++) {
        entropy -= SHARE[k] * log2(SHARE[k]);
        for (int u = 0; u < U; u++)
            bits += SHARE[k] * ebb_bits_per_dim(logp[k * U + u], 1, ebb_bits_offset(-1, 1, 256)) / U;
    }
    if (!(bits >= entropy && bits < entropy + 0.1))
        fail_msg("%g bits a level, but its entropy is %g", bits, entropy);
    near("7 bits in [-1,1)", ebb_bits_offset(-1, 1, 256), 7, 0);
    near("8 bits in [0,1)", ebb_bits_offset(0, 1, 256), 8, 0);
    ebb_process_free(&p);
}

static void test_decoder(void **state)
{
    (void)state;
    static const double mean[] = {0, 0.3, -0.99, 1.2, -40, 1e3}, std[] = {1e-4, 3e-3, 0.02, 0.3, 5};
    for (size_t m = 0; m < sizeof mean / sizeof *mean; m++)
        for (size_t s = 0; s < sizeof std / sizeof *std; s++) {
            double sum = 0;
            for (int b = 0; b < 256; b++) {
                double one = ebb_decoder_log_mass(b / 127.5 - 1, mean[m], std[s], false, 0);
                assert_true(isfinite(one) && one <= 1e-12);
                sum += exp(one);
            }
            near("mass of all levels", sum, 1, 1e-9);
        }
    /* Where the tail's own formula takes over it goes on smoothly. */
    double before = ebb_decoder_log_mass(1, 0, (1 - 1 / 255.0) / 24.999, false, 0);
    double after = ebb_decoder_log_mass(1, 0, (1 - 1 / 255.0) / 25.001, false, 0);
    near("slope of the tail", (before - after) / 0.002, 25.04, 0.01);
    /* Page's form is right to the third decimal of the mass. */
    double exact = ebb_decoder_log_mass(0.2, 0.21, 0.005, false, 0), page = ebb_decoder_log_mass(0.2, 0.21, 0.005, true, 1e-12);
    assert_true(exact != page);
    near("Page", exp(page), exp(exact), 1e-3);
    near("the floor", ebb_decoder_log_mass(0, 0.9, 0.01, true, 1e-12), log(1e-12), 0);
}

/* ---- bounds --------------------------------------------------------------------------------------------------------- */

static void draw_normal(void *random, int64_t draw, double *z)
{
    int64_t n = *(const int64_t *)random;
    float block[4];
    for (int64_t i = 0; i < n; i++) {
        ebb_rng_at at = {.seed = 5, .stream = EBB_STREAM_TEST, .step = (uint32_t)draw, .sample = (uint32_t)i};
        ctx->kernels->normal_f32(4, block, &at);
        z[i] = block[0];
    }
}

static void draw_uniform(void *random, int64_t draw, double *u)
{
    int64_t n = *(const int64_t *)random;
    for (int64_t i = 0; i < n; i++) {
        ebb_rng_at at = {.seed = 6, .stream = EBB_STREAM_TEST, .step = (uint32_t)draw, .sample = (uint32_t)i};
        u[i] = ebb_rng_uniform(&at, 0);
    }
}

typedef struct mean { double value, error; } mean;

static mean mean_of(const double *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - sum) * (x[i] - sum);
    return (mean){sum, sqrt(squares) / (double)n};
}

enum { ROWS = 4000 };

/* The bound of each of ROWS points of the normal law with its exact denoiser, in nats, to total. */
static void bound(const ebb_process *p, const ebb_target *t, ebb_variance v, int64_t times, double *total)
{
    int64_t n = ROWS;
    ebb_target_field self = {.all = t, .n = n};
    ebb_field field = ebb_field_of_target(&self);
    double *x = memory(ROWS), *prior = memory(ROWS), *first = memory(ROWS * EBB_VARIANCES), *steps = memory(ROWS * EBB_VARIANCES);
    double *term = memory((size_t)(ROWS * times)), *work = memory(ebb_elbo_work(p, n, 1));
    ebb_elbo e = {.process = p, .field = &field, .decoder = EBB_DECODER_DENSITY, .variance = v, .times = times,
                  .normal = draw_normal, .uniform = draw_uniform, .random = &n, .prior = prior, .first = first, .steps = steps,
                  .term = term};
    ebb_target_sample(t, 3, 0, n, x, NULL);
    ok(ebb_elbo_estimate(ctx, &e, x, work));
    assert_int_equal(e.nfe, times + 1);
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int64_t k = 0; k < times; k++)
            sum += term[i * times + k];
        near("terms", sum, steps[i * EBB_VARIANCES + (int)v], 1e-9 * fabs(sum) + 1e-12);
        total[i] = prior[i] + first[i * EBB_VARIANCES + (int)v] + sum;
    }
    ebb_free(x);
    ebb_free(prior);
    ebb_free(first);
    ebb_free(steps);
    ebb_free(term);
    ebb_free(work);
}

static double entropy_of(double variance)
{
    return 0.5 * log(2 * PI * exp(1) * variance);
}

/* Var(x_0 | x_t) alpha^2/sigma^2 = v snr/(1 + v snr) with snr = exp(2 lambda), whose integral is log(1 + v snr)/2. */
static double expected_in_time(const ebb_process *p, ebb_gaussian data)
{
    double from, to, v = data.variance;
    ebb_likelihood_ends(p, &from, &to);
    ebb_level first = ebb_process_level(p, from), last = ebb_process_level(p, to);
    double k2 = first.sigma * first.sigma / (first.alpha * first.alpha), end2 = last.alpha * last.alpha / (last.sigma * last.sigma);
    double way = 0.5 * (log1p(v / k2) - log1p(v * end2)), prior = ebb_elbo_prior(p, last, data.mean * data.mean + v, 1);
    return prior + way + ebb_elbo_density(k2, ebb_gaussian_left(first, v), 1);
}

static double expected_of_chain(const ebb_process *p, ebb_gaussian data, ebb_variance variance)
{
    double sum = ebb_elbo_prior(p, ebb_process_level(p, p->end), data.mean * data.mean + data.variance, 1);
    for (int t = 0; t < p->steps; t++) {
        ebb_elbo_law law = ebb_elbo_step_law(p, t);
        double left = ebb_gaussian_left(ebb_process_level(p, t), data.variance);
        sum += t == 0 ? ebb_elbo_density(law.variance[variance], left, 1) : ebb_elbo_step(&law, law.variance[variance], left, 1);
    }
    return sum;
}

/* Estimates are unbiased, and the bound is one: above the entropy, by little where the denoiser is exact. */
static void test_bound_in_time(void **state)
{
    (void)state;
    static const ebb_process_kind kinds[] = {EBB_PROCESS_OU, EBB_PROCESS_VP, EBB_PROCESS_SUBVP, EBB_PROCESS_VE, EBB_PROCESS_EDM,
                                             EBB_PROCESS_FLOW};
    const ebb_gaussian data = {0.3, 0.4};
    ebb_target t = normal_law(data.mean, data.variance);
    double *total = memory(ROWS);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        ebb_process p = process_of(kinds[k], 0);
        double expected = expected_in_time(&p, data);
        bound(&p, &t, EBB_VARIANCE_BETA, 16, total);
        mean m = mean_of(total, ROWS);
        near(ebb_process_name(p.kind), m.value, expected, 4 * m.error);
        if (!(expected >= entropy_of(data.variance) && expected < entropy_of(data.variance) + 1e-2))
            fail_msg("%s: bound %g, entropy %g", ebb_process_name(p.kind), expected, entropy_of(data.variance));
        ebb_process_free(&p);
    }
    ebb_target_free(&t);
    ebb_free(total);
}

/* Steps drawn and steps taken all give the same sum, for each variance and both chains. */
static void test_bound_of_chains(void **state)
{
    (void)state;
    const ebb_gaussian data = {0.3, 0.4};
    ebb_target t = normal_law(data.mean, data.variance);
    double *total = memory(ROWS);
    for (int kind = 0; kind < 2; kind++) {
        ebb_process p = process_of(kind ? EBB_PROCESS_SMLD : EBB_PROCESS_DDPM, 60);
        for (int v = 0; v < EBB_VARIANCE_LEARNED; v++) {
            double expected = expected_of_chain(&p, data, (ebb_variance)v);
            assert_true(expected >= entropy_of(data.variance));
            for (int all = 0; all < 2; all++) {
                bound(&p, &t, (ebb_variance)v, all ? 59 : 12, total);
                mean m = mean_of(total, ROWS);
                near(ebb_variance_name((ebb_variance)v), m.value, expected, 4 * m.error);
            }
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&t);
    ebb_free(total);
}

/* Means over the same points: the bound lies above the flow's value where the denoiser is not exact. */
static void test_bound_above_flow(void **state)
{
    (void)state;
    ebb_target t = normal_law(0.3, 0.4), wrong = normal_law(0.2, 0.5);
    ebb_process p = process_of(EBB_PROCESS_VP, 0);
    double *total = memory(ROWS), *x = memory(ROWS), *logp = memory(ROWS);
    ebb_target_field self = {.all = &wrong, .n = ROWS};
    ebb_field field = ebb_field_of_target(&self);
    double *prior = memory(ROWS), *first = memory(ROWS * EBB_VARIANCES), *steps = memory(ROWS * EBB_VARIANCES);
    double *term = memory(ROWS * 32), *work = memory(ebb_elbo_work(&p, ROWS, 1));
    int64_t n = ROWS;
    ebb_elbo e = {.process = &p, .field = &field, .decoder = EBB_DECODER_DENSITY, .times = 32, .normal = draw_normal,
                  .uniform = draw_uniform, .random = &n, .prior = prior, .first = first, .steps = steps, .term = term};
    ebb_target_sample(&t, 3, 0, ROWS, x, NULL);
    ok(ebb_elbo_estimate(ctx, &e, x, work));
    solve(&p, &field, 1e-6, x, logp, NULL);
    for (int i = 0; i < ROWS; i++)
        total[i] = prior[i] + first[i * EBB_VARIANCES] + steps[i * EBB_VARIANCES] + logp[i];
    mean gap = mean_of(total, ROWS);
    assert_true(gap.value > -3 * gap.error);
    double *all[] = {total, x, logp, prior, first, steps, term, work};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ebb_free(all[i]);
    ebb_process_free(&p);
    ebb_target_free(&t);
    ebb_target_free(&wrong);
}

/* De Bortoli's chain with small steps: twice a term of the bound is 2 gamma |score - score_hat|^2, to first order in gamma. */
static void test_small_steps(void **state)
{
    (void)state;
    double before = INFINITY;
    for (double gamma = 0.1; gamma > 1e-4; gamma /= 4) {
        int k = (int)(0.8 / gamma);
        ebb_kernel at = ebb_em_kernel(gamma, k), next = ebb_em_kernel(gamma, k + 1);
        ebb_em_posterior q = ebb_em_posterior_at(at, gamma);
        ebb_elbo_law law = {.keep_x0 = q.keep_x0, .posterior = q.variance};
        /* A score off by 1 puts x_0 off by variance/keep. */
        double off = next.variance / next.keep, ratio = 2 * ebb_elbo_step(&law, q.variance, off * off, 1) / (2 * gamma);
        assert_true(fabs(ratio - 1) < 0.5 * before && fabs(ratio - 1) < 4 * gamma);
        before = fabs(ratio - 1);
    }
}

static int start(void **state)
{
    (void)state;
    return ebb_context_create(NULL, &ctx) != EBB_OK;
}

static int end(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return ebb_mem_read().bytes != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_law),      cmocka_unit_test(test_mixture),
        cmocka_unit_test(test_sums_to_one),     cmocka_unit_test(test_alone_and_together),
        cmocka_unit_test(test_refuses),         cmocka_unit_test(test_levels),
        cmocka_unit_test(test_decoder),         cmocka_unit_test(test_bound_in_time),
        cmocka_unit_test(test_bound_of_chains), cmocka_unit_test(test_bound_above_flow),
        cmocka_unit_test(test_small_steps),
    };
    return cmocka_run_group_tests(tests, start, end);
}
