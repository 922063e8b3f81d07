/* test_likelihood.c: log-likelihoods along the probability flow over laws where they are known: normal laws, a mixture, grey
 * levels; whatever the field says, a density sums to 1.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/likelihood.h"
#include "diffusion/posterior.h"
#include "support/laws.h"

/* ---- along the flow ------------------------------------------------------------------------------------------- */

static void solve(const ebb_process *p, const ebb_field *field, double tolerance, double *x, double *logp, double *delta)
{
    ebb_likelihood l = {.process = p, .field = field, .rtol = tolerance, .atol = tolerance, .delta = delta};
    double *work = law_memory(ebb_likelihood_work(field->n, field->count));
    law_ok(ebb_likelihood_solve(law_ctx, &l, x, logp, work));
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
    ebb_target t = law_normal(data.mean, data.variance);
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = law_process((ebb_process_kind)kind, 100);
        double x[N] = {-1, 0, 0.4, 0.9, 2}, start[N], logp[N], from, to;
        memcpy(start, x, sizeof x);
        solve_target(&p, &t, N, x, logp, NULL);
        ebb_likelihood_ends(&p, &from, &to);
        ebb_gaussian first = ebb_gaussian_at(ebb_process_level(&p, from), data), last = ebb_gaussian_at(ebb_process_level(&p, to), data);
        double stretch = sqrt(last.variance / first.variance);
        for (int i = 0; i < N; i++) {
            double latent = last.mean + stretch * (start[i] - first.mean), std = ebb_process_prior_std(&p);
            double want = -0.5 * (log(2 * LAW_PI * std * std) + latent * latent / (std * std)) + log(stretch);
            law_near(ebb_process_name(p.kind), x[i], latent, 1e-6 * fmax(1, fabs(latent)));
            law_near(ebb_process_name(p.kind), logp[i], want, 1e-6);
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
    ebb_target t = law_mixture();
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = law_process((ebb_process_kind)kind, 100);
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
            law_near(ebb_process_name(p.kind), at_last + delta[i], at_first, 1e-6);
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
    double *x = law_memory(N), *logp = law_memory(SIDE * SIDE), *plane = law_memory(2 * SIDE * SIDE), sum = 0;
    ebb_target t = law_normal(0.3, 0.25), m = law_mixture();
    bent b = {{.all = &t, .n = N}, 0.3};
    ebb_field field = {.n = N, .count = 1, .divergence = bent_divergence, .self = &b};
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    for (int i = 0; i < N; i++)
        x[i] = -4 + 8.0 * i / (N - 1);
    solve(&p, &field, 1e-6, x, logp, NULL);
    for (int i = 0; i < N; i++)
        sum += exp(logp[i]) * 8.0 / (N - 1);
    law_near("a bent law on a line", sum, 1, 1e-4);
    sum = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        plane[2 * i] = -3.5 + 7.0 * (i % SIDE) / (SIDE - 1);
        plane[2 * i + 1] = -3.5 + 7.0 * (i / SIDE) / (SIDE - 1);
    }
    solve_target(&p, &m, SIDE * SIDE, plane, logp, NULL);
    for (int i = 0; i < SIDE * SIDE; i++)
        sum += exp(logp[i]) * 49.0 / ((SIDE - 1) * (SIDE - 1));
    law_near("a mixture in the plane", sum, 1, 1e-4);
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
    ebb_target t = law_mixture();
    ebb_process p = law_process(EBB_PROCESS_SUBVP, 0);
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
    ebb_target t = law_mixture();
    ebb_target_field self = {.all = &t, .n = 1};
    ebb_field field = ebb_field_of_target(&self), none = field;
    ebb_process p = law_process(EBB_PROCESS_VE, 0);
    double x[2] = {0.1, 0.2}, logp, *work = law_memory(ebb_likelihood_work(1, 2));
    none.divergence = NULL;
    ebb_likelihood l = {.process = &p, .field = &none};
    assert_int_equal(ebb_likelihood_solve(law_ctx, &l, x, &logp, work), EBB_E_UNSUPPORTED);
    l = (ebb_likelihood){.process = &p, .field = &field, .evaluated = stop, .user = &calls};
    assert_int_equal(ebb_likelihood_solve(law_ctx, &l, x, &logp, work), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(law_ctx), "stopped"));
    assert_int_equal(calls, 5);
    ebb_process_free(&p);
    ebb_target_free(&t);
    ebb_free(work);
}

/* ---- grey levels ------------------------------------------------------------------------------------------------ */

/* Their cells [b/128 - 1, (b+1)/128 - 1), evenly filled; blurred by noise each is a difference of
 * two normal laws' sums, so that density, score and its derivative are closed forms. */
static double edge(int k)
{
    return (LAW_FIRST + k) / 128.0 - 1;
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
        for (int k = 0; k < LAW_LEVELS; k++) {
            double low = (x[i] - at[i].alpha * edge(k + 1)) / s, high = (x[i] - at[i].alpha * edge(k)) / s;
            double g_low = exp(-0.5 * low * low) / sqrt(2 * LAW_PI), g_high = exp(-0.5 * high * high) / sqrt(2 * LAW_PI);
            p += LAW_SHARE[k] * between(low, high);
            slope += LAW_SHARE[k] * (g_high - g_low) / s;
            bend -= LAW_SHARE[k] * (g_high * high - g_low * low) / (s * s);
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
    enum { U = 32, N = U * LAW_LEVELS };
    int64_t n = N;
    double x[N], logp[N], entropy = law_levels_entropy(), bits = 0;
    ebb_field field = {.n = N, .count = 1, .divergence = levels_divergence, .self = &n};
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    for (int k = 0; k < LAW_LEVELS; k++)
        for (int u = 0; u < U; u++)
            x[k * U + u] = (LAW_FIRST + k + (u + 0.5) / U) / 128.0 - 1;
    solve(&p, &field, 1e-6, x, logp, NULL);
    for (int k = 0; k < LAW_LEVELS; k++)
        for (int u = 0; u < U; u++)
            bits += LAW_SHARE[k] * ebb_bits_per_dim(logp[k * U + u], 1, ebb_bits_offset(-1, 1, 256)) / U;
    if (!(bits >= entropy && bits < entropy + 0.1))
        fail_msg("%g bits a level, but its entropy is %g", bits, entropy);
    law_near("7 bits in [-1,1)", ebb_bits_offset(-1, 1, 256), 7, 0);
    law_near("8 bits in [0,1)", ebb_bits_offset(0, 1, 256), 8, 0);
    ebb_process_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_law),
        cmocka_unit_test(test_mixture),
        cmocka_unit_test(test_sums_to_one),
        cmocka_unit_test(test_alone_and_together),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, laws_begin, laws_end);
}
