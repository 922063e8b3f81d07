/* test_schedule.c: the tables of the chain ddpm: bounds, monotony, zero terminal SNR, respacing, errors, and that the
 * recipe's choices are the lists'. Values are held against references by test_refs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/recipe.h"

static ebb_context *ctx;

static ebb_schedule make(ebb_schedule_kind kind, int steps, bool zero_snr)
{
    ebb_schedule s;
    ebb_schedule_options o = ebb_schedule_usual(kind, steps);
    o.zero_snr = zero_snr;
    if (ebb_schedule_make(ctx, &o, &s) != EBB_OK)
        fail_msg("%s, %d steps: %s", ebb_schedule_name(kind), steps, ebb_message(ctx));
    return s;
}

/* 0 < beta < 1, and alpha_bar the falling product. */
static void test_tables(void **state)
{
    (void)state;
    for (int kind = 0; kind < EBB_SCHEDULE_COUNT; kind++)
        for (int steps = 2; steps <= 2000; steps *= 10) {
            ebb_schedule s = make((ebb_schedule_kind)kind, steps, false);
            double log_product = 0;
            for (int t = 0; t < steps; t++) {
                assert_true(s.beta[t] > 0 && s.beta[t] < 1);
                log_product += log1p(-s.beta[t]);
                assert_true(fabs(s.alpha_bar[t] / exp(log_product) - 1) < 1e-12);
            }
            ebb_schedule_free(&s);
            assert_null(s.beta);
        }
}

static void test_names(void **state)
{
    (void)state;
    for (int kind = 0; kind < EBB_SCHEDULE_COUNT; kind++) {
        assert_int_equal(ebb_schedule_find(ebb_schedule_name((ebb_schedule_kind)kind)), kind);
        assert_true(strlen(ebb_schedule_help((ebb_schedule_kind)kind)) > 10);
    }
    assert_int_equal(ebb_schedule_find("none"), EBB_SCHEDULE_COUNT);
}

/* The first timestep stays, the last is exactly pure noise, and the process over it is usable up to that point. */
static void test_zero_snr(void **state)
{
    (void)state;
    for (int kind = 0; kind < EBB_SCHEDULE_COUNT; kind++) {
        ebb_schedule plain = make((ebb_schedule_kind)kind, 100, false);
        ebb_process p, wanted = {.kind = EBB_PROCESS_DDPM, .chain = make((ebb_schedule_kind)kind, 100, true)};
        assert_int_equal(ebb_process_create(ctx, &wanted, &p), EBB_OK);
        assert_true(fabs(p.chain.alpha_bar[0] / plain.alpha_bar[0] - 1) < 1e-14);
        assert_true(p.chain.alpha_bar[99] == 0 && p.chain.beta[99] == 1);
        ebb_level last = ebb_process_level(&p, 99);
        assert_true(last.alpha == 0 && last.sigma == 1);
        assert_true(ebb_process_lambda(&p, 99) == -INFINITY);
        for (double t = 0; t < 99; t += 0.37) {
            ebb_level at = ebb_process_level(&p, t), next = ebb_process_level(&p, fmin(t + 0.37, 99));
            assert_true(next.alpha < at.alpha && next.sigma > at.sigma);
            assert_true(fabs(at.alpha * at.alpha + at.sigma * at.sigma - 1) < 1e-14);
            double lambda = ebb_process_lambda(&p, t);
            if (!(fabs(ebb_process_time(&p, lambda) - t) < 1e-8))
                fail_msg("%s: lambda of t = %g is that of %g", ebb_schedule_name((ebb_schedule_kind)kind), t,
                         ebb_process_time(&p, lambda));
            /* The drift is the slope of log alpha, also in the last cell, where it has no bound. */
            double h = 1e-6, inside = floor(t) + 0.5;
            double slope = log(ebb_process_level(&p, inside + h).alpha / ebb_process_level(&p, inside).alpha) / h;
            assert_true(fabs(ebb_process_drift(&p, inside) / slope - 1) < 1e-2);
        }
        ebb_process_free(&p);
        ebb_schedule_free(&plain);
    }
}

/* A respaced chain has the levels of the timesteps it uses, also where they end in pure noise. */
static void test_respace(void **state)
{
    (void)state;
    const int use[] = {0, 3, 17, 99};
    ebb_schedule s = make(EBB_SCHEDULE_LINEAR, 100, true), few;
    assert_int_equal(ebb_schedule_respace(ctx, &s, use, 4, &few), EBB_OK);
    double product = 1;
    for (int i = 0; i < 4; i++) {
        product *= 1 - few.beta[i];
        assert_true(few.alpha_bar[i] == s.alpha_bar[use[i]]);
        assert_true(fabs(product - few.alpha_bar[i]) < 1e-15);
    }
    ebb_schedule_free(&few);
    assert_int_equal(ebb_schedule_respace(ctx, &s, (const int[]){3, 3}, 2, &few), EBB_E_ARGUMENT);
    assert_int_equal(ebb_schedule_respace(ctx, &s, (const int[]){3, 100}, 2, &few), EBB_E_ARGUMENT);
    assert_int_equal(ebb_schedule_respace(ctx, &s, use, 0, &few), EBB_E_ARGUMENT);
    ebb_schedule_free(&s);
}

static void test_errors(void **state)
{
    (void)state;
    ebb_schedule s;
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_COSINE, 0, 0, 0, &s), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "at least 1"));
    const double bad[][2] = {{0, 0.1}, {0.2, 0.1}, {0.1, 1}, {-0.1, 0.1}, {NAN, 0.1}, {0.1, NAN}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 10, bad[i][0], bad[i][1], &s), EBB_E_ARGUMENT);
        assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_SCALED_LINEAR, 10, bad[i][0], bad[i][1], &s), EBB_E_ARGUMENT);
    }
    assert_non_null(strstr(ebb_message(ctx), "start <= end"));
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 1, 0.1, 0.2, &s), EBB_OK);
    assert_true(s.alpha_bar[0] == 1.0 - 0.1);
    assert_int_equal(ebb_schedule_zero_snr(ctx, &s), EBB_E_ARGUMENT);
    ebb_schedule_free(&s);
    ebb_schedule_options o = ebb_schedule_usual(EBB_SCHEDULE_SIGMOID, 10);
    o.sigmoid_tau = 0;
    assert_int_equal(ebb_schedule_make(ctx, &o, &s), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "tau"));
    o = ebb_schedule_usual(EBB_SCHEDULE_COSINE, 10);
    o.clip = 1;
    assert_int_equal(ebb_schedule_make(ctx, &o, &s), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "clipped"));
    o = ebb_schedule_usual(EBB_SCHEDULE_COUNT, 10);
    assert_int_equal(ebb_schedule_make(ctx, &o, &s), EBB_E_ARGUMENT);
}

/* ---- recipes ------------------------------------------------------------------------------------------------ */

static void same_choices(const char *key, const char *(*name)(int), int count)
{
    const ebb_key *row;
    char list[512] = "";
    assert_int_equal(ebb_key_find(ctx, key, "", &row), EBB_OK);
    for (int i = 0; i < count; i++) {
        strcat(list, i > 0 ? "|" : "");
        strcat(list, name(i));
    }
    assert_string_equal(row->choices, list);
}

static const char *schedule_name(int i) { return ebb_schedule_name((ebb_schedule_kind)i); }
static const char *process_name(int i) { return ebb_process_name((ebb_process_kind)i); }
static const char *prediction_name(int i) { return ebb_prediction_name((ebb_prediction)i); }

/* recipe.def spells the lists out: they must not part. */
static void test_choices(void **state)
{
    (void)state;
    same_choices("process.schedule", schedule_name, EBB_SCHEDULE_COUNT);
    same_choices("process.kind", process_name, EBB_PROCESS_COUNT);
    same_choices("process.prediction", prediction_name, EBB_PREDICTIONS);
}

static ebb_process of_recipe(const char *const *set, ebb_status want)
{
    ebb_process p = {0};
    ebb_recipe *r;
    assert_int_equal(ebb_recipe_default(ctx, &r), EBB_OK);
    for (; *set != NULL; set++)
        assert_int_equal(ebb_recipe_set(ctx, r, *set), EBB_OK);
    assert_int_equal(ebb_recipe_check(ctx, r), want);
    if (want == EBB_OK)
        assert_int_equal(ebb_recipe_process(ctx, r, &p), EBB_OK);
    ebb_recipe_free(r);
    return p;
}

static void test_recipe(void **state)
{
    (void)state;
    ebb_process p = of_recipe((const char *const[]){"process.schedule=scaled-linear", NULL}, EBB_OK);
    assert_true(fabs(p.chain.beta[0] / 0.00085 - 1) < 1e-14 && fabs(p.chain.beta[999] / 0.012 - 1) < 1e-14);
    ebb_process_free(&p);
    p = of_recipe((const char *const[]){"process.beta_end=0.03", NULL}, EBB_OK);
    assert_true(p.chain.beta[0] == 1e-4 && fabs(p.chain.beta[999] / 0.03 - 1) < 1e-14);
    ebb_process_free(&p);
    p = of_recipe((const char *const[]){"process.schedule=sigmoid", "process.sigmoid_start=0", "process.zero_snr=true",
                                        "process.prediction=v", NULL}, EBB_OK);
    assert_true(p.chain.alpha_bar[999] == 0);
    ebb_process_free(&p);
    of_recipe((const char *const[]){"process.zero_snr=true", NULL}, EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "process.prediction"));
}

int main(void)
{
    if (ebb_context_create(NULL, &ctx) != EBB_OK) {
        fprintf(stderr, "%s\n", ebb_message(ctx));
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables), cmocka_unit_test(test_names),  cmocka_unit_test(test_zero_snr),
        cmocka_unit_test(test_respace), cmocka_unit_test(test_errors), cmocka_unit_test(test_choices),
        cmocka_unit_test(test_recipe),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
