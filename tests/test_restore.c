/* test_restore.c: methods of restoration over exact laws: what they agree with, their way over the levels, their biases, and the
 * pull-back of denoisers by differences. Networks: test_restore_model.c.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/inverse.h"
#include "support/laws.h"
#include "support/restores.h"
#include "support/walks.h"

static const char *const methods[] = {"replacement", "replacement:predictor=1", "repaint:jump_length=4,resamples=3", "ddrm",
                                      "ddrm:eta=0.5", "dps", "dps:zeta=1"};
enum { METHODS = sizeof methods / sizeof methods[0], MANY = 2000 };

/* H x_0 of the plane: its first number. */
static ebb_operator first_number(void)
{
    ebb_operator op;
    const uint8_t mask[2] = {1, 0};
    ebb_operator_options o = {.height = 1, .width = 2, .channels = 1, .mask = mask};
    law_ok(ebb_operator_create(law_ctx, EBB_OPERATOR_INPAINT, &o, &op));
    return op;
}

static ebb_operator row_of(double a, double b)
{
    ebb_operator op;
    law_ok(ebb_operator_matrix(law_ctx, 1, 2, (double[2]){a, b}, &op));
    return op;
}

/* n samples (n,2) of the law given y by a method; sample numbers from `from` on. */
static void restore(const char *method, const ebb_target *law, const ebb_process *p, const ebb_operator *op, double y, double sigma,
                    int steps, int64_t n, uint32_t from, double *x)
{
    uint32_t *sample = law_memory((size_t)n);
    for (int64_t i = 0; i < n; i++)
        sample[i] = from + (uint32_t)i;
    walk_start(law_ctx, p, 1, sample, n, 2, x);
    restore_job job = {.method = method, .process = p, .steps = steps, .target = law, .op = op, .y = &y, .sigma = sigma, .n = n,
                       .x = x, .seed = 1, .sample = sample};
    law_ok(restore_run(law_ctx, &job));
    assert_int_equal(job.nfe, job.expected);
    ebb_free(sample);
}

/* Every method of the list is in the cases above. */
static void test_all_are_tested(void **state)
{
    (void)state;
    for (int k = 0; ebb_restorer_at(k) != NULL; k++) {
        const char *name = ebb_restorer_at(k)->way.name;
        bool seen = false;
        for (int m = 0; m < METHODS; m++)
            seen = seen || strncmp(methods[m], name, strlen(name)) == 0;
        assert_true(seen);
        assert_ptr_equal(ebb_restorer_find(name), ebb_restorer_at(k));
    }
}

/* Without noise: known numbers to the bit, others to rounding; over every process. */
static void test_agrees(void **state)
{
    (void)state;
    static const ebb_process_kind kinds[] = {EBB_PROCESS_VP, EBB_PROCESS_VE, EBB_PROCESS_DDPM, EBB_PROCESS_FLOW, EBB_PROCESS_EDM};
    ebb_target law = law_mixture();
    double x[20], told;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        ebb_process p = law_process(kinds[k], 30);
        for (int m = 0; m < METHODS; m++) {
            ebb_operator op = first_number(), other = row_of(0.6, -0.3);
            /* Reverse diffusion from where nothing is left has no step. */
            bool none = kinds[k] == EBB_PROCESS_FLOW && strstr(methods[m], "predictor") != NULL;
            restore(none ? "replacement" : methods[m], &law, &p, &op, 0.123456789, 0, 12, 10, 0, x);
            for (int i = 0; i < 10; i++)
                assert_true(x[2 * i] == 0.123456789 && isfinite(x[2 * i + 1]));
            restore(none ? "replacement" : methods[m], &law, &p, &other, 0.4, 0, 12, 10, 0, x);
            for (int i = 0; i < 10; i++) {
                other.apply(&other, x + 2 * i, &told);
                law_near(methods[m], told, 0.4, 1e-12);
            }
            ebb_operator_free(&op);
            ebb_operator_free(&other);
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&law);
}

/* A sample is the same alone, in other company, and at another place of it. */
static void test_same_bits(void **state)
{
    (void)state;
    ebb_target law = law_mixture();
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_operator op = row_of(0.5, 0.5);
    double all[14], part[6];
    for (int m = 0; m < METHODS; m++) {
        restore(methods[m], &law, &p, &op, 0.3, 0.2, 15, 7, 0, all);
        restore(methods[m], &law, &p, &op, 0.3, 0.2, 15, 3, 2, part);
        assert_memory_equal(all + 4, part, sizeof part);
    }
    ebb_operator_free(&op);
    ebb_process_free(&p);
    ebb_target_free(&law);
}

/* ---- the way of RePaint ------------------------------------------------------------------------------------------------------------ */

typedef struct visits { double level[4096]; int count; } visits;

/* A field that knows nothing, and notes at which level it was asked. */
static void note(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    visits *v = self;
    (void)x;
    if (v->count < 4096)
        v->level[v->count++] = at[0].t;
    for (int i = 0; i < 2; i++) {
        if (eps != NULL)
            eps[i] = 0;
        if (x0 != NULL)
            x0[i] = 0;
    }
}

/* The levels that are left downwards by the published code's schedule of t = steps-1 .. 0, -1 (Lugmayr et al., appendix B). */
static int published(int steps, int length, int times, double *t)
{
    int jumps[512] = {0}, at = steps, count = 0;
    for (int j = 0; j < steps - length; j += length)
        jumps[j] = times - 1;
    at--;
    for (;;) {
        t[count++] = at;         /* a step from t = at downwards */
        at--;
        if (at < 0)
            return count;
        if (jumps[at] > 0) {
            jumps[at]--;
            at += length;
        }
    }
}

/* Levels t = steps-1 .. 0 and the clean one, -1. */
static ebb_grid numbered(int steps)
{
    ebb_grid g;
    law_ok(ebb_grid_alloc(law_ctx, steps, false, &g));
    for (int k = 0; k <= steps; k++) {
        double sigma = (double)(steps - k) / (steps + 1);
        g.level[k] = (ebb_level){.t = steps - 1 - k, .alpha = sqrt(1 - sigma * sigma), .sigma = sigma};
    }
    return g;
}

static void test_repaint_way(void **state)
{
    (void)state;
    static const int cases[][3] = {{250, 10, 10}, {20, 5, 3}, {20, 7, 2}, {9, 1, 4}, {6, 6, 5}, {6, 5, 5}, {30, 10, 1}};
    ebb_operator op = first_number();
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        static double want[4096];
        static visits v;
        char method[80];
        double x[2] = {0, 0}, y = 0;
        int steps = cases[c][0], count = published(steps, cases[c][1], cases[c][2], want);
        ebb_grid g = numbered(steps);
        ebb_field field = {.n = 1, .count = 2, .predict = note, .self = &v};
        v.count = 0;
        snprintf(method, sizeof method, "repaint:jump_length=%d,resamples=%d", cases[c][1], cases[c][2]);
        restore_job job = {.method = method, .process = &p, .grid = &g, .field = &field, .op = &op, .y = &y, .n = 1, .x = x};
        law_ok(restore_run(law_ctx, &job));
        assert_int_equal(v.count, count);
        assert_int_equal(job.expected, count);
        for (int i = 0; i < count; i++)
            assert_true(v.level[i] == want[i]);
        ebb_grid_free(&g);
    }
    ebb_process_free(&p);
    ebb_operator_free(&op);
}

/* ---- laws ------------------------------------------------------------------------------------------------------------------------------ */

/* Where what is known tells nothing of the rest (independent numbers), replacement, RePaint, and DDRM with eta 0, which is DDIM
 * there, have no bias: the other number follows its own law. */
static void test_independent(void **state)
{
    (void)state;
    static const char *const fair[] = {"replacement", "replacement:predictor=1", "repaint:resamples=2,jump_length=20", "ddrm:eta=0"};
    const double weight[2] = {0.3, 0.7}, mean[4] = {0.2, -1, 0.2, 1}, cov[8] = {0.5, 0, 0, 0.09, 0.5, 0, 0, 0.09};
    ebb_target law;
    law_ok(ebb_target_create(law_ctx, 2, 2, weight, mean, cov, NULL, &law));
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_operator op = first_number();
    double *x = law_memory(2 * MANY), *up = law_memory(MANY), *square = law_memory(MANY);
    for (size_t m = 0; m < sizeof fair / sizeof fair[0]; m++) {
        restore(fair[m], &law, &p, &op, 1.5, 0, 200, MANY, 0, x);
        for (int i = 0; i < MANY; i++) {
            up[i] = x[2 * i + 1] > 0;
            square[i] = x[2 * i + 1] * x[2 * i + 1];
        }
        law_mean share = law_mean_of(up, MANY), second = law_mean_of(square, MANY);
        law_near(fair[m], share.value, 0.7, 4 * share.error);
        /* Steps of finite length widen the modes a little. */
        law_near(fair[m], second.value, 1.09, 4 * second.error + 0.03);
    }
    ebb_free(x);
    ebb_free(up);
    ebb_free(square);
    ebb_operator_free(&op);
    ebb_process_free(&p);
    ebb_target_free(&law);
}

/* Distance of the samples' mean from the posterior's, in the number that is not known. */
static double bias(const char *method, const ebb_target *law, const ebb_process *p, const ebb_operator *op, double y, double want,
                   double *x)
{
    double sum = 0;
    restore(method, law, p, op, y, 0, strncmp(method, "dps", 3) == 0 ? 400 : 100, MANY, 0, x);
    for (int i = 0; i < MANY; i++)
        sum += x[2 * i + 1] / MANY;
    return fabs(sum - want);
}

/* Of a mixture whose part the known number all but tells: replacement is far off, RePaint nearer and nearer, DPS nearest; none
 * of it by chance (standard errors are below 0.04). */
static void test_biases(void **state)
{
    (void)state;
    ebb_target law = law_mixture(), post;
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_operator op = first_number();
    double y = 0.1349, h[2] = {1, 0}, mean[2], *x = law_memory(2 * MANY);
    ebb_measurement m = {.rows = 1, .h = h, .y = &y};
    law_ok(ebb_target_given(law_ctx, &law, &m, &post));
    ebb_target_moments(&post, mean, NULL);
    double plain = bias("replacement", &law, &p, &op, y, mean[1], x);
    double ten = bias("repaint:resamples=10,jump_length=4", &law, &p, &op, y, mean[1], x);
    double forty = bias("repaint:resamples=40,jump_length=4", &law, &p, &op, y, mean[1], x);
    double dps = bias("dps:zeta=0.5", &law, &p, &op, y, mean[1], x);
    print_message("biases: replacement %.3f, RePaint 10 %.3f, 40 %.3f, DPS %.3f\n", plain, ten, forty, dps);
    assert_true(plain > 0.5);
    assert_true(ten < plain - 0.15);
    assert_true(forty < ten - 0.05);
    assert_true(dps < 0.5 * plain);
    ebb_free(x);
    ebb_operator_free(&op);
    ebb_target_free(&post);
    ebb_process_free(&p);
    ebb_target_free(&law);
}

/* DDRM over one normal law on a line is affine, so that its own mean and variance follow from its equations, step by step. */
static void test_ddrm_law(void **state)
{
    (void)state;
    static const double sigmas[] = {0, 0.3};
    ebb_target law = law_normal(0.4, 0.25);
    ebb_process p = law_process(EBB_PROCESS_DDPM, 40);
    ebb_operator op;
    double *x = law_memory(MANY), y = -0.3, eta = 0.85, one = 1;
    law_ok(ebb_operator_matrix(law_ctx, 1, 1, &one, &op));
    for (int s = 0; s < 2; s++) {
        ebb_grid g;
        ebb_restore_settings set;
        const ebb_restorer *method;
        law_ok(ebb_restorer_parse(law_ctx, "ddrm", &method, &set));
        law_ok(ebb_restore_grid(law_ctx, method, &p, NULL, &(ebb_grid_options){.steps = 20}, &g));
        double ky = sigmas[s], k = g.level[0].sigma / g.level[0].alpha, mean = y, var = k * k - ky * ky;   /* of v = x/alpha */
        for (int i = 0; i < g.steps; i++) {
            double next = g.level[i + 1].sigma / g.level[i + 1].alpha, share = 0.25 / (0.25 + k * k);
            double clean = 0.4 + share * (mean - 0.4), clean_var = share * share * var;
            if (next < ky) {
                double keep = sqrt(1 - eta * eta) * next / ky;
                mean = (1 - keep) * clean + keep * y;
                var = (1 - keep) * (1 - keep) * clean_var + eta * eta * next * next;
            } else {
                mean = y;
                var = next * next - ky * ky;
            }
            k = next;
        }
        walk_start(law_ctx, &p, 1, NULL, MANY, 1, x);
        restore_job job = {.method = "ddrm", .process = &p, .grid = &g, .target = &law, .op = &op, .y = &y, .sigma = ky, .n = MANY,
                           .x = x, .seed = 2};
        law_ok(restore_run(law_ctx, &job));
        law_mean got = law_mean_of(x, MANY);
        law_near("mean of DDRM", got.value, mean, 4 * got.error + 1e-12);
        law_near("variance of DDRM", got.error * got.error * MANY, var, 4 * var * sqrt(2.0 / MANY) + 1e-12);
        ebb_grid_free(&g);
    }
    ebb_free(x);
    ebb_operator_free(&op);
    ebb_process_free(&p);
    ebb_target_free(&law);
}

/* ---- pull-back ------------------------------------------------------------------------------------------------------------------------- */

/* J'v of laws by differences of x0, also of a guided class; the gradient of DPS by that of the residual's norm. */
static void test_pullback(void **state)
{
    (void)state;
    enum { ROWS = 3 };
    ebb_target law = law_mixture(), one;
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    law_ok(ebb_target_class(law_ctx, &law, 1, &one));
    const double x[2 * ROWS] = {0.3, -0.2, 1.1, 0.9, -1.4, 0.6}, v[2 * ROWS] = {1, 0.5, -2, 1, 0.3, 0.7}, step = 1e-5;
    for (int guided = 0; guided < 2; guided++) {
        ebb_target_field self = {.all = &law, .one = guided ? &one : NULL, .w = 0.7, .n = ROWS};
        ebb_field f = ebb_field_of_target(&self);
        ebb_level at[ROWS] = {ebb_process_level(&p, 0.2), ebb_process_level(&p, 0.5), ebb_process_level(&p, 0.9)};
        double got[2 * ROWS], up[2 * ROWS], down[2 * ROWS], moved[2 * ROWS];
        f.pullback(f.self, x, at, v, got);
        for (int d = 0; d < 2; d++) {
            for (int i = 0; i < 2 * ROWS; i++)
                moved[i] = x[i] + (i % 2 == d ? step : 0);
            f.predict(f.self, moved, at, NULL, up);
            for (int i = 0; i < 2 * ROWS; i++)
                moved[i] = x[i] - (i % 2 == d ? step : 0);
            f.predict(f.self, moved, at, NULL, down);
            for (int i = 0; i < ROWS; i++) {
                double want = (v[2 * i] * (up[2 * i] - down[2 * i]) + v[2 * i + 1] * (up[2 * i + 1] - down[2 * i + 1])) / (2 * step);
                law_near("J'v", got[2 * i + d], want, 1e-6 * (1 + fabs(want)));
            }
        }
    }
    ebb_target_free(&one);
    ebb_process_free(&p);
    ebb_target_free(&law);
}

/* One step of DPS is the ancestral step less zeta times the gradient that ebb_target_residual tells. */
static void test_dps_step(void **state)
{
    (void)state;
    ebb_target law = law_mixture();
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_operator op = row_of(0.6, -0.3);
    ebb_grid g;
    double h[2] = {0.6, -0.3}, y = 0.4, noise[4] = {0.3, -1, 0.7, 0.2}, gradient[2], paths[2][6];
    static const char *const both[] = {"dps:zeta=0,project=0", "dps:zeta=0.7,project=0"};
    ebb_measurement m = {.rows = 1, .h = h, .y = &y};
    law_ok(ebb_grid_create(law_ctx, &p, "uniform", &(ebb_grid_options){.steps = 2, .clean = true}, &g));
    for (int k = 0; k < 2; k++) {
        double x[2] = {0.5, -0.8};
        restore_job job = {.method = both[k], .process = &p, .grid = &g, .target = &law, .op = &op, .y = &y, .n = 1, .x = x,
                           .noise = noise, .noise_draws = 2, .path = paths[k], .path_steps = 2};
        law_ok(restore_run(law_ctx, &job));
    }
    ebb_target_residual(&law, paths[0], g.level[0], &m, gradient);
    for (int d = 0; d < 2; d++)
        law_near("push", paths[0][2 + d] - paths[1][2 + d], 0.7 * gradient[d], 1e-12);
    ebb_grid_free(&g);
    ebb_operator_free(&op);
    ebb_process_free(&p);
    ebb_target_free(&law);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------------------------------- */

static void test_refuses(void **state)
{
    (void)state;
    ebb_target law = law_mixture();
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_operator op = first_number();
    ebb_grid open;
    visits v = {.count = 0};
    ebb_field blind = {.n = 1, .count = 2, .predict = note, .self = &v};
    double x[2] = {0}, y = 0;
    law_ok(ebb_grid_create(law_ctx, &p, "uniform", &(ebb_grid_options){.steps = 5}, &open));
    restore_job job = {.method = "ddrm", .process = &p, .target = &law, .op = &op, .y = &y, .n = 1, .x = x};
    static const struct { const char *method; ebb_status status; const char *says; } words[] = {
        {"rapaint", EBB_E_USAGE, "did you mean 'repaint'"},
        {"dps:zeta=-1", EBB_E_ARGUMENT, "outside"},
        {"repaint:jump_length=0", EBB_E_ARGUMENT, "outside"},
        {"repaint:resamples=2.5", EBB_E_ARGUMENT, "whole"},
        {"ddrm:zeta=1", EBB_E_USAGE, "takes no 'zeta'"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        job.method = words[i].method;
        assert_int_equal(restore_run(law_ctx, &job), words[i].status);
        if (strstr(ebb_message(law_ctx), words[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", ebb_message(law_ctx), words[i].says);
    }
    job.method = "ddrm";
    job.sigma = -1;
    assert_int_equal(restore_run(law_ctx, &job), EBB_E_ARGUMENT);
    job.sigma = 0;
    job.grid = &open;
    assert_int_equal(restore_run(law_ctx, &job), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(law_ctx), "clean"));
    job.grid = NULL;
    job.steps = 5;
    job.stop_evaluation = 3;
    law_ok(restore_run(law_ctx, &job));
    assert_true(job.stopped && job.nfe == 3);
    job.method = "dps";
    job.field = &blind;
    assert_int_equal(restore_run(law_ctx, &job), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(law_ctx), "gradients"));
    ebb_grid_free(&open);
    ebb_operator_free(&op);
    ebb_process_free(&p);
    ebb_target_free(&law);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_tested), cmocka_unit_test(test_agrees),   cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_repaint_way),    cmocka_unit_test(test_independent), cmocka_unit_test(test_biases),
        cmocka_unit_test(test_ddrm_law),       cmocka_unit_test(test_pullback), cmocka_unit_test(test_dps_step),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, laws_begin, laws_end);
}
