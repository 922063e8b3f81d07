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

int main(void)
{
    if (ebb_context_create(NULL, &ctx) != EBB_OK) {
        fprintf(stderr, "%s\n", ebb_message(ctx));
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_schedule_errors),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
