/* test_elbo.c: variational bounds over laws where they are closed forms: the decoder's masses, bounds in continuous time and of
 * chains, of normal laws and grey levels.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/elbo.h"
#include "diffusion/likelihood.h"
#include "diffusion/posterior.h"
#include "support/laws.h"

/* ---- the decoder ------------------------------------------------------------------------------------------------- */

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
            law_near("mass of all levels", sum, 1, 1e-9);
        }
    /* Where the tail's own formula takes over it goes on smoothly. */
    double before = ebb_decoder_log_mass(1, 0, (1 - 1 / 255.0) / 24.999, false, 0);
    double after = ebb_decoder_log_mass(1, 0, (1 - 1 / 255.0) / 25.001, false, 0);
    law_near("slope of the tail", (before - after) / 0.002, 25.04, 0.01);
    /* Page's form is right to the third decimal of the mass. */
    double exact = ebb_decoder_log_mass(0.2, 0.21, 0.005, false, 0), page = ebb_decoder_log_mass(0.2, 0.21, 0.005, true, 1e-12);
    assert_true(exact != page);
    law_near("Page", exp(page), exp(exact), 1e-3);
    law_near("the floor", ebb_decoder_log_mass(0, 0.9, 0.01, true, 1e-12), log(1e-12), 0);
}

/* ---- bounds --------------------------------------------------------------------------------------------------------- */

static void draw_normal(void *random, int64_t draw, double *z)
{
    int64_t n = *(const int64_t *)random;
    float block[4];
    for (int64_t i = 0; i < n; i++) {
        ebb_rng_at at = {.seed = 5, .stream = EBB_STREAM_TEST, .step = (uint32_t)draw, .sample = (uint32_t)i};
        law_ctx->kernels->normal_f32(4, block, &at);
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

enum { ROWS = 4000 };

/* The bound of each of ROWS points of the normal law with its exact denoiser, in nats, to total. */
static void bound(const ebb_process *p, const ebb_target *t, ebb_variance v, int64_t times, double *total)
{
    int64_t n = ROWS;
    ebb_target_field self = {.all = t, .n = n};
    ebb_field field = ebb_field_of_target(&self);
    double *x = law_memory(ROWS), *prior = law_memory(ROWS), *first = law_memory(ROWS * EBB_VARIANCES), *steps = law_memory(ROWS * EBB_VARIANCES);
    double *term = law_memory((size_t)(ROWS * times)), *work = law_memory(ebb_elbo_work(p, n, 1));
    ebb_elbo e = {.process = p, .field = &field, .decoder = EBB_DECODER_DENSITY, .variance = v, .times = times,
                  .normal = draw_normal, .uniform = draw_uniform, .random = &n, .prior = prior, .first = first, .steps = steps,
                  .term = term};
    ebb_target_sample(t, 3, 0, n, x, NULL);
    law_ok(ebb_elbo_estimate(law_ctx, &e, x, work));
    assert_int_equal(e.nfe, times + 1);
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int64_t k = 0; k < times; k++)
            sum += term[i * times + k];
        law_near("terms", sum, steps[i * EBB_VARIANCES + (int)v], 1e-9 * fabs(sum) + 1e-12);
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
    return 0.5 * log(2 * LAW_PI * exp(1) * variance);
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
    ebb_target t = law_normal(data.mean, data.variance);
    double *total = law_memory(ROWS);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        ebb_process p = law_process(kinds[k], 0);
        double expected = expected_in_time(&p, data);
        bound(&p, &t, EBB_VARIANCE_BETA, 16, total);
        law_mean m = law_mean_of(total, ROWS);
        law_near(ebb_process_name(p.kind), m.value, expected, 4 * m.error);
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
    ebb_target t = law_normal(data.mean, data.variance);
    double *total = law_memory(ROWS);
    for (int kind = 0; kind < 2; kind++) {
        ebb_process p = law_process(kind ? EBB_PROCESS_SMLD : EBB_PROCESS_DDPM, 60);
        for (int v = 0; v < EBB_VARIANCE_LEARNED; v++) {
            double expected = expected_of_chain(&p, data, (ebb_variance)v);
            assert_true(expected >= entropy_of(data.variance));
            for (int all = 0; all < 2; all++) {
                bound(&p, &t, (ebb_variance)v, all ? 59 : 12, total);
                law_mean m = law_mean_of(total, ROWS);
                law_near(ebb_variance_name((ebb_variance)v), m.value, expected, 4 * m.error);
            }
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&t);
    ebb_free(total);
}

/* The levels' own law on their grid, b/127.5 - 1, and its exact denoiser; v: the learned variance that it claims. */
typedef struct grid_law { int64_t n; double v[ROWS]; } grid_law;

static void grid_predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    const grid_law *g = self;
    assert_null(eps);
    for (int64_t i = 0; i < g->n; i++) {
        double sum = 0, top = -INFINITY, log_weight[LAW_LEVELS];
        for (int k = 0; k < LAW_LEVELS; k++) {
            double z = (x[i] - at[i].alpha * ((LAW_FIRST + k) / 127.5 - 1)) / at[i].sigma;
            log_weight[k] = log(LAW_SHARE[k]) - 0.5 * z * z;
            top = fmax(top, log_weight[k]);
        }
        x0[i] = 0;
        for (int k = 0; k < LAW_LEVELS; k++) {
            sum += exp(log_weight[k] - top);
            x0[i] += exp(log_weight[k] - top) * ((LAW_FIRST + k) / 127.5 - 1);
        }
        x0[i] /= sum;
    }
}

static const double *grid_variance(void *self)
{
    return ((const grid_law *)self)->v;
}

/* Mean bits of points drawn from the levels' law by each variance. */
static void bound_of_levels(const ebb_process *p, double v, double bits[EBB_VARIANCES], double *error)
{
    grid_law *law = law_memory(sizeof *law / sizeof(double));
    ebb_field field = {.n = ROWS, .count = 1, .predict = grid_predict, .variance = grid_variance, .self = law};
    double *x = law_memory(ROWS), *prior = law_memory(ROWS), *first = law_memory(ROWS * EBB_VARIANCES), *steps = law_memory(ROWS * EBB_VARIANCES);
    double *term = law_memory(ROWS * 40), *total = law_memory(ROWS), *work = law_memory(ebb_elbo_work(p, ROWS, 1));
    law->n = ROWS;
    for (int i = 0; i < ROWS; i++) {
        double u = (i + 0.5) / ROWS;
        int k = 0;
        while (k + 1 < LAW_LEVELS && u >= LAW_SHARE[k])
            u -= LAW_SHARE[k++];
        x[i] = (LAW_FIRST + k) / 127.5 - 1;
        law->v[i] = v;
    }
    ebb_elbo e = {.process = p, .field = &field, .decoder = EBB_DECODER_DISCRETE, .clip = true, .times = 40, .normal = draw_normal,
                  .uniform = draw_uniform, .random = &law->n, .prior = prior, .first = first, .steps = steps, .term = term};
    law_ok(ebb_elbo_estimate(law_ctx, &e, x, work));
    for (int k = 0; k < EBB_VARIANCES; k++) {
        for (int i = 0; i < ROWS; i++)
            total[i] = (prior[i] + first[i * EBB_VARIANCES + k] + steps[i * EBB_VARIANCES + k]) / log(2);
        law_mean m = law_mean_of(total, ROWS);
        bits[k] = m.value;
        *error = k == EBB_VARIANCE_BETA ? m.error : *error;
    }
    double *all[] = {x, prior, first, steps, term, total, work, (double *)law};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ebb_free(all[i]);
}

/* Grey levels as they are, by their masses: no less than their entropy, and close to it where steps are small. What the
 * network says of variances lies between fixed-small and beta, and at its ends is they. */
static void test_bound_of_levels(void **state)
{
    (void)state;
    static const ebb_process_kind kinds[] = {EBB_PROCESS_DDPM, EBB_PROCESS_SMLD, EBB_PROCESS_VP, EBB_PROCESS_VE};
    double entropy = law_levels_entropy(), bits[EBB_VARIANCES], error = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        ebb_process p = law_process(kinds[k], 1000);
        bool chain = p.steps > 0;
        bound_of_levels(&p, 1, bits, &error);
        if (!(bits[EBB_VARIANCE_BETA] > entropy - 3 * error) || !(bits[EBB_VARIANCE_BETA] < entropy + 1))
            fail_msg("%s: %g +- %g bits a level, entropy %g", ebb_process_name(p.kind), bits[EBB_VARIANCE_BETA], error, entropy);
        if (chain) {
            law_near("learned, v = 1", bits[EBB_VARIANCE_LEARNED], bits[EBB_VARIANCE_BETA], 1e-9 * bits[EBB_VARIANCE_BETA]);
            bound_of_levels(&p, -1, bits, &error);
            law_near("learned, v = -1", bits[EBB_VARIANCE_LEARNED], bits[EBB_VARIANCE_SMALL], 1e-9 * fabs(bits[EBB_VARIANCE_SMALL]));
        }
        ebb_process_free(&p);
    }
}

/* Means over the same points: the bound lies above the flow's value where the denoiser is not exact. */
static void test_bound_above_flow(void **state)
{
    (void)state;
    ebb_target t = law_normal(0.3, 0.4), wrong = law_normal(0.2, 0.5);
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    double *total = law_memory(ROWS), *x = law_memory(ROWS), *logp = law_memory(ROWS);
    ebb_target_field self = {.all = &wrong, .n = ROWS};
    ebb_field field = ebb_field_of_target(&self);
    double *prior = law_memory(ROWS), *first = law_memory(ROWS * EBB_VARIANCES), *steps = law_memory(ROWS * EBB_VARIANCES);
    double *term = law_memory(ROWS * 32), *work = law_memory(ebb_elbo_work(&p, ROWS, 1));
    int64_t n = ROWS;
    ebb_elbo e = {.process = &p, .field = &field, .decoder = EBB_DECODER_DENSITY, .times = 32, .normal = draw_normal,
                  .uniform = draw_uniform, .random = &n, .prior = prior, .first = first, .steps = steps, .term = term};
    ebb_target_sample(&t, 3, 0, ROWS, x, NULL);
    law_ok(ebb_elbo_estimate(law_ctx, &e, x, work));
    double *along = law_memory(ebb_likelihood_work(ROWS, 1));
    ebb_likelihood flow = {.process = &p, .field = &field, .rtol = 1e-6, .atol = 1e-6};
    law_ok(ebb_likelihood_solve(law_ctx, &flow, x, logp, along));
    for (int i = 0; i < ROWS; i++)
        total[i] = prior[i] + first[i * EBB_VARIANCES] + steps[i * EBB_VARIANCES] + logp[i];
    law_mean gap = law_mean_of(total, ROWS);
    assert_true(gap.value > -3 * gap.error);
    double *all[] = {total, x, logp, prior, first, steps, term, work, along};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoder),
        cmocka_unit_test(test_bound_in_time),
        cmocka_unit_test(test_bound_of_chains),
        cmocka_unit_test(test_bound_of_levels),
        cmocka_unit_test(test_bound_above_flow),
        cmocka_unit_test(test_small_steps),
    };
    return cmocka_run_group_tests(tests, laws_begin, laws_end);
}
