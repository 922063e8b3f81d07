/* test_check.c: the check of the kernels finds what it is there for: a wrong bit, a write out of bounds, a case that
 * was left out; and the public function counts and refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "check/kcheck.h"
#include "ebb.h"

static ebb_kernels wrong;

static int row_of(const char *name)
{
    int i = 0;
    while (strcmp(ebb_kcheck_row(i).name, name) != 0)
        i++;
    return i;
}

static void remember(void *user, const char *text)
{
    char *message = user;
    if (!message[0])
        strncpy(message, text, 199);
}

/* Runs a row with the wrong table; the first message into text. */
static kcheck run_row(const char *name, char text[200])
{
    kcheck k;
    ebb_kcheck_start(&k, EBB_ISA_C);
    memset(text, 0, 200);
    k.fast = &wrong;
    k.say = remember;
    k.user = text;
    assert_true(ebb_kcheck_run(&k, row_of(name)));
    ebb_kcheck_release(&k);
    return k;
}

static void one_bit(size_t n, float *y, const float *x)
{
    ebb_kernels_get(EBB_ISA_C)->exp_f32(n, y, x);
    uint32_t bits;
    if (n != 77)
        return;
    memcpy(&bits, &y[76], sizeof bits);
    bits ^= 1;
    memcpy(&y[76], &bits, sizeof bits);
}

static void one_too_far(size_t n, float *y, const float *x)
{
    volatile float *end = y + n;
    ebb_kernels_get(EBB_ISA_C)->exp_f32(n, y, x);
    if (((uintptr_t)end & 4095) != 0)   /* else it would trap */
        *end = 1.0f;
}

static void one_before(size_t n, float *y, const float *x)
{
    volatile float *before = y - 1;
    ebb_kernels_get(EBB_ISA_C)->exp_f32(n, y, x);
    if (((uintptr_t)y & 4095) != 0)
        *before = 1.0f;
}

static void test_differences(void **state)
{
    (void)state;
    char text[200];
    wrong = *ebb_kernels_get(EBB_ISA_C);
    kcheck k = run_row("exp_f32", text);
    assert_int_equal(k.failures, 0);
    assert_true(k.cases > 400 && k.compared > k.cases);
    wrong.exp_f32 = one_bit;
    k = run_row("exp_f32", text);
    assert_true(k.failures > 0);
    assert_non_null(strstr(text, "exp_f32 n 77: element 76 of 77"));
}

static void test_bounds(void **state)
{
    (void)state;
    char text[200];
    wrong = *ebb_kernels_get(EBB_ISA_C);
    wrong.exp_f32 = one_too_far;
    assert_true(run_row("exp_f32", text).failures > 0);
    assert_non_null(strstr(text, "write behind"));
    wrong.exp_f32 = one_before;
    assert_true(run_row("exp_f32", text).failures > 0);
    assert_non_null(strstr(text, "write before"));
}

/* A sample is a part of the same cases: what it finds is found by all, too. */
static void test_sample(void **state)
{
    (void)state;
    char text[200] = "";
    long failures[2];
    for (int i = 0; i < 2; i++) {
        kcheck k;
        ebb_kcheck_start(&k, EBB_ISA_C);
        wrong = *ebb_kernels_get(EBB_ISA_C);
        wrong.exp_f32 = one_bit;
        k.fast = &wrong;
        k.sample = i ? 2 : 3;   /* n is 77 in case 78 */
        assert_true(ebb_kcheck_run(&k, row_of("exp_f32")));
        failures[i] = k.failures;
        ebb_kcheck_release(&k);
    }
    assert_true(failures[0] > 0 && failures[1] > 0);
    wrong.exp_f32 = ebb_kernels_get(EBB_ISA_C)->log_f32;
    assert_true(run_row("exp_f32", text).failures > 100);
}

static int stop_at_once(void *user, const char *kernel, double done)
{
    assert_non_null(kernel);
    assert_true(done > 0.0 && done <= 1.0);
    ++*(int *)user;
    return 1;
}

static void test_public(void **state)
{
    (void)state;
    ebb_context *ctx;
    char *json;
    int calls = 0;
    ebb_check_options o = {.size = sizeof o, .cpu = "c", .kernel = "sqrt_f32", .sample = 4};
    ebb_context_options one = {.size = sizeof one, .threads = 1};
    assert_int_equal(ebb_context_create(&one, &ctx), EBB_OK);
    assert_int_equal(ebb_check_kernels(ctx, &o, &json), EBB_OK);
    assert_non_null(strstr(json, "\"failures\": 0"));
    assert_non_null(strstr(json, "\"kernel\": \"sqrt_f32\""));
    ebb_text_free(json);
    o = (ebb_check_options){.size = sizeof o, .cpu = "c", .sample = 100, .progress = stop_at_once, .user = &calls};
    assert_int_equal(ebb_check_kernels(ctx, &o, &json), EBB_OK);
    assert_int_equal(calls, 1);
    assert_non_null(strstr(json, "\"stopped\": true"));
    ebb_text_free(json);
    o = (ebb_check_options){.size = sizeof o, .cpu = "avx3"};
    assert_int_equal(ebb_check_kernels(ctx, &o, &json), EBB_E_USAGE);
    assert_null(json);
    o = (ebb_check_options){.size = sizeof o, .kernel = "sqrt_f33"};
    assert_int_equal(ebb_check_kernels(ctx, &o, &json), EBB_E_USAGE);
    assert_non_null(strstr(ebb_message(ctx), "sqrt_f32"));
    ebb_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
