/* test_diffusion.c: schedules, timesteps, transitions and samplers against reference values, exact laws
 * and the promise that a picture depends on seed and index only. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "diffusion/diffusion.h"

static ebb_context *ctx;

/* ---- reference values ---------------------------------------------------------------------- */

static json_t *refs(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, "%s/tests/refs/%s", EBB_SOURCE_DIR, name);
    json_t *json = json_load_file(path, 0, &error);
    if (json == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return json;
}

static json_t *get(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (value == NULL)
        fail_msg("reference without \"%s\"", key);
    return value;
}

static double number(const json_t *array, size_t i)
{
    assert_true(i < json_array_size(array));
    return json_number_value(json_array_get(array, i));
}

static void close_to(double got, double want, double rtol, const char *what, int at)
{
    if (!(fabs(got - want) <= rtol * fabs(want)))
        fail_msg("%s at %d: got %.17g, want %.17g", what, at, got, want);
}

/* ---- schedules -------------------------------------------------------------------------------- */

static void check_schedule(json_t *all, const char *name, ebb_schedule_kind kind)
{
    json_t *want = get(all, name), *idx = get(want, "idx");
    ebb_schedule s;
    assert_int_equal(ebb_schedule_create(ctx, kind, 1000, 1e-4, 0.02, &s), EBB_OK);
    assert_int_equal(s.steps, 1000);
    for (size_t i = 0; i < json_array_size(idx); i++) {
        int t = (int)number(idx, i);
        close_to(s.beta[t], number(get(want, "beta"), i), 1e-10, name, t);
        close_to(s.alpha_bar[t], number(get(want, "alphabar"), i), 1e-10, name, t);
    }
    double sum_beta = 0, sum_log = 0;
    for (int t = 0; t < s.steps; t++) {
        sum_beta += s.beta[t];
        sum_log += log(s.alpha_bar[t]);
    }
    close_to(sum_beta, json_number_value(get(want, "sum_beta")), 1e-10, name, -1);
    close_to(sum_log, json_number_value(get(want, "sum_log_alphabar")), 1e-10, name, -1);
    ebb_schedule_free(&s);
    assert_null(s.beta);
}

static void test_schedules(void **state)
{
    (void)state;
    json_t *all = refs("schedules.json");
    check_schedule(all, "linear", EBB_SCHEDULE_LINEAR);
    check_schedule(all, "cosine", EBB_SCHEDULE_COSINE);
    json_decref(all);
}

static void test_schedule_errors(void **state)
{
    (void)state;
    ebb_schedule s;
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_COSINE, 0, 0, 0, &s), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "at least 1"));
    const double bad[][2] = {{0, 0.1}, {0.2, 0.1}, {0.1, 1}, {-0.1, 0.1}, {NAN, 0.1}, {0.1, NAN}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 10, bad[i][0], bad[i][1], &s),
                         EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "start <= end"));
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 1, 0.1, 0.2, &s), EBB_OK);
    assert_true(s.alpha_bar[0] == 1.0 - 0.1);
    ebb_schedule_free(&s);
}

/* ---- chains ------------------------------------------------------------------------------------- */

static void test_timesteps(void **state)
{
    (void)state;
    json_t *all = refs("schedules.json"), *rows = get(all, "timesteps");
    assert_true(json_array_size(rows) >= 2);
    for (size_t r = 0; r < json_array_size(rows); r++) {
        json_t *row = json_array_get(rows, r), *t = get(row, "t");
        int total = (int)json_integer_value(get(row, "T")), steps = (int)json_integer_value(get(row, "K"));
        for (int k = 0; k < steps; k++)   /* the reference ascends */
            assert_int_equal(ebb_chain_timestep(total, steps, k), (int)number(t, (size_t)(steps - 1 - k)));
    }
    json_decref(all);
    for (int steps = 1; steps <= 37; steps++) {
        assert_int_equal(ebb_chain_timestep(37, steps, 0), 36);
        for (int k = 1; k < steps; k++)
            assert_true(ebb_chain_timestep(37, steps, k) < ebb_chain_timestep(37, steps, k - 1));
        if (steps > 1)
            assert_int_equal(ebb_chain_timestep(37, steps, steps - 1), 0);
    }
}

/* The chain of 10 out of 1000 timesteps: coefficients of the posterior as guided-diffusion has them. */
static void test_respaced(void **state)
{
    (void)state;
    json_t *all = refs("schedules.json"), *want = get(all, "respaced10"), *abar = get(want, "alphabar");
    for (size_t i = 0; i < 10; i++) {
        double next = i > 0 ? number(abar, i - 1) : 1.0;
        ebb_transition small = ebb_transition_ddpm(number(abar, i), next, 0.0);
        ebb_transition large = ebb_transition_ddpm_large(number(abar, i), next, 0.0);
        close_to(small.keep_x0, number(get(want, "coef_x0"), i), 1e-10, "keep_x0", (int)i);
        close_to(small.keep_x, number(get(want, "coef_xt"), i), 1e-10, "keep_x", (int)i);
        close_to(small.noise * small.noise, number(get(want, "posterior_var"), i), 1e-10, "small", (int)i);
        close_to(large.noise * large.noise, i > 0 ? number(get(want, "beta"), i) : 0.0, 1e-10, "large",
                 (int)i);
        assert_true(large.keep_x0 == small.keep_x0 && large.keep_x == small.keep_x);
        ebb_transition ddim = ebb_transition_ddim(number(abar, i), next, 1.0);
        close_to(ddim.keep_x0, small.keep_x0, 1e-9, "ddim keep_x0", (int)i);
        assert_true(fabs(ddim.keep_x - small.keep_x) < 1e-12 && fabs(ddim.noise - small.noise) < 1e-12);
    }
    json_decref(all);
}

/* A mixture of normal laws in the plane, whose eps is known. */
typedef struct mixture { int parts; double weight[4], mean[4][2], cov[4][2][2]; } mixture;

static mixture mixture_read(const json_t *json)
{
    mixture m = {.parts = (int)json_array_size(get(json, "weights"))};
    assert_in_range(m.parts, 1, 4);
    for (int p = 0; p < m.parts; p++) {
        m.weight[p] = number(get(json, "weights"), (size_t)p);
        for (int i = 0; i < 2; i++) {
            m.mean[p][i] = number(json_array_get(get(json, "means"), (size_t)p), (size_t)i);
            for (int j = 0; j < 2; j++)
                m.cov[p][i][j] = number(
                    json_array_get(json_array_get(get(json, "covs"), (size_t)p), (size_t)i), (size_t)j);
        }
    }
    return m;
}

/* eps(x, t) = -sigma grad log p_t(x), p_t the mixture scaled by sqrt(alpha_bar) plus normal noise. */
static void mixture_eps(const mixture *m, double alpha_bar, const float *x, float *eps)
{
    double a = sqrt(alpha_bar), v = 1 - alpha_bar, total = 0, score[2] = {0, 0};
    for (int p = 0; p < m->parts; p++) {
        double c00 = alpha_bar * m->cov[p][0][0] + v, c11 = alpha_bar * m->cov[p][1][1] + v;
        double c01 = alpha_bar * m->cov[p][0][1], det = c00 * c11 - c01 * c01;
        double d0 = x[0] - a * m->mean[p][0], d1 = x[1] - a * m->mean[p][1];
        double s0 = -(c11 * d0 - c01 * d1) / det, s1 = -(c00 * d1 - c01 * d0) / det;
        double density = m->weight[p] / sqrt(det) * exp(0.5 * (s0 * d0 + s1 * d1));
        total += density;
        score[0] += density * s0;
        score[1] += density * s1;
    }
    for (int i = 0; i < 2; i++)
        eps[i] = (float)(-sqrt(v) * score[i] / total);
}

static ebb_transition_rule rule_named(const char *name)
{
    if (strcmp(name, "ddim") == 0)
        return ebb_transition_ddim;
    return strcmp(name, "ddpm") == 0 ? ebb_transition_ddpm : ebb_transition_ddpm_large;
}

static void point(const json_t *array, size_t i, float *to)
{
    for (size_t d = 0; d < 2; d++)
        to[d] = (float)number(json_array_get(array, i), d);
}

static void near_path(const float *x, const json_t *points, size_t i, const char *name, size_t step)
{
    for (size_t d = 0; d < 2; d++) {
        double want = number(json_array_get(points, i), d);
        if (!(fabs(x[d] - want) <= 2e-4 * fmax(1.0, fabs(want))))
            fail_msg("%s, step %zu, sample %zu: got %.9g, want %.9g", name, step, i, x[d], want);
    }
}

static void check_run(const mixture *m, const ebb_schedule *s, const json_t *run)
{
    const char *name = json_string_value(get(run, "name"));
    ebb_transition_rule rule = rule_named(json_string_value(get(run, "rule")));
    double eta = json_number_value(get(run, "eta"));
    json_t *steps = get(run, "timesteps"), *path = get(run, "path"), *noise = json_object_get(run, "noise");
    size_t samples = json_array_size(json_array_get(path, 0));
    for (size_t i = 0; i < samples; i++) {
        float x[2], eps[2], z[2] = {0, 0};
        point(json_array_get(path, 0), i, x);
        for (size_t k = 0; k < json_array_size(steps); k++) {
            double alpha_bar = s->alpha_bar[(int)number(steps, k)];
            double next = k + 1 < json_array_size(steps) ? s->alpha_bar[(int)number(steps, k + 1)] : 1.0;
            ebb_transition q = rule(alpha_bar, next, eta);
            if (noise != NULL)
                point(json_array_get(noise, k), i, z);
            assert_true(noise != NULL || q.noise == 0.0);
            mixture_eps(m, alpha_bar, x, eps);
            ebb_transition_apply(&q, 2, x, eps, z);
            near_path(x, json_array_get(path, k + 1), i, name, k + 1);
        }
    }
}

static void test_paths(void **state)
{
    (void)state;
    json_t *all = refs("chains.json"), *runs = get(all, "runs");
    mixture m = mixture_read(get(all, "gmm"));
    ebb_schedule s;
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &s), EBB_OK);
    assert_int_equal(json_array_size(runs), 7);
    for (size_t r = 0; r < json_array_size(runs); r++)
        check_run(&m, &s, json_array_get(runs, r));
    ebb_schedule_free(&s);
    json_decref(all);
}

/* ---- samplers -------------------------------------------------------------------------------------- */

typedef struct toy {
    const ebb_schedule *schedule;
    mixture m;
    int64_t n, count;
    int calls, last_t, stop_after;
} toy;

static void toy_mixture_eps(void *self, const float *x, int t, float *eps)
{
    toy *y = self;
    for (int64_t i = 0; i < y->n; i++)
        mixture_eps(&y->m, y->schedule->alpha_bar[t], x + 2 * i, eps + 2 * i);
    y->calls++;
    y->last_t = t;
}

/* Data N(0.5, 0.36) in every number: eps = sigma (x - a m)/(a^2 s^2 + sigma^2). */
static void toy_normal_eps(void *self, const float *x, int t, float *eps)
{
    toy *y = self;
    double abar = y->schedule->alpha_bar[t], v = abar * 0.36 + 1 - abar;
    float gain = (float)(sqrt(1 - abar) / v), centre = (float)(sqrt(abar) * 0.5);
    for (int64_t i = 0; i < y->n * y->count; i++)
        eps[i] = gain * (x[i] - centre);
    y->calls++;
    y->last_t = t;
}

static int toy_progress(void *user)
{
    toy *y = user;
    return y->calls == y->stop_after;
}

/* Deals the stored starts out instead of random numbers. */
static float stored_start[8];
static void stored_normal(size_t n, float *y, const ebb_rng_at *at)
{
    assert_int_equal(at->stream, EBB_STREAM_SAMPLE_START);
    memcpy(y, stored_start + 2 * at->sample, n * sizeof *y);
}

static void test_whole_ddim(void **state)
{
    (void)state;
    json_t *all = refs("chains.json"), *runs = get(all, "runs"), *path = NULL;
    for (size_t r = 0; r < json_array_size(runs); r++)
        if (strcmp(json_string_value(get(json_array_get(runs, r), "name")), "ddim_linspace_10") == 0)
            path = get(json_array_get(runs, r), "path");
    assert_non_null(path);
    ebb_schedule s;
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &s), EBB_OK);
    toy y = {.schedule = &s, .m = mixture_read(get(all, "gmm")), .n = 4, .count = 2};
    for (size_t i = 0; i < 4; i++)
        point(get(all, "x_start"), i, stored_start + 2 * i);
    const uint32_t sample[4] = {0, 1, 2, 3};
    ebb_kernels kernels = {.normal_f32 = stored_normal};
    float x[8], work[10];
    assert_int_equal(ebb_sampler_work(4, 2), 10);
    ebb_sampler_args args = {.schedule = &s, .steps = 10, .n = 4, .count = 2, .sample = sample,
                             .kernels = &kernels, .x = x, .work = work};
    assert_int_equal(ebb_sampler_find("ddim")->run(&args, &(ebb_denoiser){toy_mixture_eps, &y}), 0);
    assert_int_equal(y.calls, 10);
    assert_int_equal(y.last_t, 0);
    for (size_t i = 0; i < 4; i++)
        near_path(x + 2 * i, json_array_get(path, 10), i, "whole run", 10);
    ebb_schedule_free(&s);
    json_decref(all);
}

enum { PICTURES = 5, COUNT = 7 };

static void run_toy(const ebb_sampler *sampler, const ebb_schedule *s, const ebb_kernels *kernels,
                    uint64_t seed, const uint32_t *sample, int64_t n, float *x)
{
    float work[(PICTURES + 1) * COUNT];
    toy y = {.schedule = s, .n = n, .count = COUNT};
    ebb_sampler_args args = {.schedule = s, .steps = 9, .eta = 0.7, .clip = true, .n = n, .count = COUNT,
                             .sample = sample, .seed = seed, .kernels = kernels, .x = x, .work = work};
    assert_true(ebb_sampler_work(n, COUNT) * sizeof(float) <= sizeof work);
    assert_int_equal(sampler->run(&args, &(ebb_denoiser){toy_normal_eps, &y}), 0);
    assert_int_equal(y.calls, 9);
}

/* Alone, in a batch, in another order, on every instruction set: the same bits. */
static void test_batches(void **state)
{
    (void)state;
    ebb_schedule s;
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_COSINE, 50, 0, 0, &s), EBB_OK);
    const uint32_t up[PICTURES] = {3, 4, 5, 6, 7}, mixed[PICTURES] = {7, 3, 6, 4, 5};
    for (int which = 0; ebb_sampler_at(which) != NULL; which++) {
        const ebb_sampler *sampler = ebb_sampler_at(which);
        float a[PICTURES][COUNT], b[PICTURES][COUNT], one[COUNT];
        run_toy(sampler, &s, ctx->kernels, 11, up, PICTURES, a[0]);
        run_toy(sampler, &s, ctx->kernels, 11, mixed, PICTURES, b[0]);
        for (int i = 0; i < PICTURES; i++) {
            assert_memory_equal(b[i], a[mixed[i] - 3], sizeof one);
            run_toy(sampler, &s, ctx->kernels, 11, up + i, 1, one);
            assert_memory_equal(one, a[i], sizeof one);
            for (int j = 0; j < i; j++)
                assert_memory_not_equal(a[i], a[j], sizeof one);
        }
        for (int isa = 0; isa < EBB_ISA_COUNT; isa++)
            if (ebb_isa_available((ebb_isa)isa)) {
                run_toy(sampler, &s, ebb_kernels_get((ebb_isa)isa), 11, up, PICTURES, b[0]);
                assert_memory_equal(a, b, sizeof a);
            }
        run_toy(sampler, &s, ctx->kernels, 12, up, PICTURES, b[0]);
        assert_memory_not_equal(a, b, sizeof a);
    }
    ebb_schedule_free(&s);
}

/* The law of the output on normal data follows from the transitions: every step is linear. Wrong or
 * repeated noise shows in the variance. */
static void test_law(void **state)
{
    (void)state;
    enum { N = 256, D = 64, STEPS = 20 };
    static float x[N * D], work[(N + 1) * D];
    static uint32_t sample[N];
    const char *const name[] = {"ddpm", "ddpm-large", "ddim"};
    ebb_schedule s;
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &s), EBB_OK);
    for (uint32_t i = 0; i < N; i++)
        sample[i] = i;
    for (int which = 0; which < 3; which++) {
        double mean = 0, var = 1, eta = 0.5;
        for (int k = 0; k < STEPS; k++) {
            double abar = s.alpha_bar[ebb_chain_timestep(1000, STEPS, k)];
            double next = k + 1 < STEPS ? s.alpha_bar[ebb_chain_timestep(1000, STEPS, k + 1)] : 1.0;
            ebb_transition q = rule_named(name[which])(abar, next, eta);
            double v = abar * 0.36 + 1 - abar, x0_slope = sqrt(abar) * 0.36 / v;
            double slope = q.keep_x0 * x0_slope + q.keep_x;
            mean = slope * mean + q.keep_x0 * (0.5 - x0_slope * sqrt(abar) * 0.5);
            var = slope * slope * var + q.noise * q.noise;
        }
        toy y = {.schedule = &s, .n = N, .count = D};
        ebb_sampler_args args = {.schedule = &s, .steps = STEPS, .eta = eta, .n = N, .count = D, .seed = 5,
                                 .sample = sample, .kernels = ctx->kernels, .x = x, .work = work};
        assert_int_equal(ebb_sampler_find(name[which])->run(&args, &(ebb_denoiser){toy_normal_eps, &y}), 0);
        double sum = 0, squares = 0;
        for (int i = 0; i < N * D; i++) {
            sum += x[i];
            squares += (x[i] - mean) * (x[i] - mean);
        }
        /* five standard errors */
        assert_true(fabs(sum / (N * D) - mean) < 5 * sqrt(var / (N * D)));
        assert_true(fabs(squares / (N * D) - var) < 5 * var * sqrt(2.0 / (N * D)));
    }
    ebb_schedule_free(&s);
}

static void test_clip(void **state)
{
    (void)state;
    ebb_transition q = ebb_transition_ddpm(0.01, 1.0, 0);   /* a last step: x' = x0 */
    const float eps[4] = {-5, 5, 0, NAN};
    float open[4] = {0, 0, 0.05f, 0}, clipped[4] = {0, 0, 0.05f, 0};
    ebb_transition_apply(&q, 4, open, eps, NULL);
    assert_true(open[0] > 40 && open[1] < -40);
    assert_true(fabsf(open[2] - 0.5f) < 1e-6f);
    q.clip = true;
    ebb_transition_apply(&q, 4, clipped, eps, NULL);
    assert_true(clipped[0] == 1 && clipped[1] == -1 && clipped[2] == open[2]);
    assert_true(isnan(clipped[3]));   /* a broken network must show */
}

static void test_stop(void **state)
{
    (void)state;
    ebb_schedule s;
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_COSINE, 50, 0, 0, &s), EBB_OK);
    for (int which = 0; ebb_sampler_at(which) != NULL; which++) {
        const uint32_t sample[1] = {0};
        float x[COUNT], work[2 * COUNT];
        toy y = {.schedule = &s, .n = 1, .count = COUNT, .stop_after = 3};
        ebb_sampler_args args = {.schedule = &s, .steps = 9, .n = 1, .count = COUNT, .sample = sample,
                                 .kernels = ctx->kernels, .x = x, .work = work,
                                 .progress = toy_progress, .user = &y};
        assert_int_not_equal(ebb_sampler_at(which)->run(&args, &(ebb_denoiser){toy_normal_eps, &y}), 0);
        assert_int_equal(y.calls, 3);
    }
    ebb_schedule_free(&s);
}

static void test_table(void **state)
{
    (void)state;
    int count = 0;
    for (const ebb_sampler *s; (s = ebb_sampler_at(count)) != NULL; count++) {
        assert_ptr_equal(ebb_sampler_find(s->name), s);
        assert_true(s->default_steps > 0 && strlen(s->help) > 0);
    }
    assert_true(count >= 3);
    assert_null(ebb_sampler_at(-1));
    assert_null(ebb_sampler_find("ddpn"));
    ebb_schedule s = {.steps = 100};
    assert_int_equal(ebb_sampler_check(ctx, &s, 1, 0), EBB_OK);
    assert_int_equal(ebb_sampler_check(ctx, &s, 100, 1), EBB_OK);
    assert_int_equal(ebb_sampler_check(ctx, &s, 0, 0), EBB_E_ARGUMENT);
    assert_int_equal(ebb_sampler_check(ctx, &s, 101, 0), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "1 to 100"));
    assert_int_equal(ebb_sampler_check(ctx, &s, 10, 1.5), EBB_E_ARGUMENT);
    assert_int_equal(ebb_sampler_check(ctx, &s, 10, NAN), EBB_E_ARGUMENT);
}

int main(void)
{
    if (ebb_context_create(NULL, &ctx) != EBB_OK) {
        fprintf(stderr, "%s\n", ebb_message(ctx));
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_schedule_errors),
        cmocka_unit_test(test_timesteps),
        cmocka_unit_test(test_respaced),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_whole_ddim),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_law),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_table),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
