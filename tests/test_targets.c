/* test_targets.c: the named laws: samples have their moments and classes, options do what they say, wrong ones are refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/target.h"

enum { N = 20000 };
static ebb_context *ctx;

/* The mean of samples lies within 5 standard errors of the law's, and so does each product about the mean. */
static void check_moments(const char *name, const ebb_target *t)
{
    int d = t->dim;
    double *x = malloc((size_t)N * (size_t)d * sizeof *x), mean[EBB_TARGET_DIM_MAX];
    double cov[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    ebb_target_sample(t, 5, 0, N, x, NULL);
    ebb_target_moments(t, mean, cov);
    for (int a = 0; a < d; a++)
        for (int b = -1; b <= a; b++) {          /* b = -1: the mean alone */
            double sum = 0, squares = 0;
            for (int i = 0; i < N; i++) {
                double v = (x[i * d + a] - mean[a]) * (b < 0 ? 1 : x[i * d + b] - mean[b]);
                sum += v;
                squares += v * v;
            }
            double got = sum / N, want = b < 0 ? 0 : cov[a * d + b], se = sqrt((squares / N - got * got) / N);
            if (!(fabs(got - want) <= 5 * se))
                fail_msg("%s: moment %d,%d is %g, not %g +- %g", name, a, b, got, want, se);
        }
    free(x);
}

static void check_classes(const char *name, const ebb_target *t)
{
    double *x = malloc((size_t)N * (size_t)t->dim * sizeof *x);
    int32_t *label = malloc(N * sizeof *label);
    ebb_target_sample(t, 6, 0, N, x, label);
    for (int c = 0; c < t->classes; c++) {
        double weight = 0, got = 0;
        for (int k = 0; k < t->parts; k++)
            weight += t->label[k] == c ? t->weight[k] : 0;
        for (int i = 0; i < N; i++)
            got += label[i] == c ? 1.0 / N : 0;
        if (!(fabs(got - weight) <= 1e-9 + 5 * sqrt(fmax(weight * (1 - weight), 0) / N) && weight > 0))
            fail_msg("%s: class %d has share %g of the samples and weight %g", name, c, got, weight);
    }
    free(label);
    free(x);
}

static void test_samples(void **state)
{
    (void)state;
    for (int i = 0; ebb_target_kind_at(i) != NULL; i++) {
        ebb_target t;
        const char *name = ebb_target_kind_at(i)->name;
        assert_int_equal(ebb_target_named(ctx, name, &t), EBB_OK);
        assert_true(strlen(ebb_target_kind_at(i)->help) > 10);
        check_moments(name, &t);
        check_classes(name, &t);
        ebb_target_free(&t);
    }
}

/* Default options given by hand make the same law. */
static void test_defaults(void **state)
{
    (void)state;
    for (int i = 0; ebb_target_kind_at(i) != NULL; i++) {
        const ebb_target_kind *k = ebb_target_kind_at(i);
        char text[200];
        ebb_target a, b;
        snprintf(text, sizeof text, "%s:%s", k->name, k->options);
        assert_int_equal(ebb_target_named(ctx, k->name, &a), EBB_OK);
        assert_int_equal(ebb_target_named(ctx, text, &b), EBB_OK);
        assert_int_equal(a.parts, b.parts);
        assert_memory_equal(a.mean, b.mean, (size_t)(a.parts * a.dim) * sizeof *a.mean);
        assert_memory_equal(a.cov, b.cov, (size_t)(a.parts * a.dim * a.dim) * sizeof *a.cov);
        ebb_target_free(&a);
        ebb_target_free(&b);
    }
}

static void test_options(void **state)
{
    (void)state;
    ebb_target t;
    assert_int_equal(ebb_target_named(ctx, "two-modes:sd=0.25,separation=6", &t), EBB_OK);
    assert_true(t.dim == 1 && t.parts == 2 && t.mean[0] == -3 && t.mean[1] == 3 && t.cov[1] == 0.0625);
    ebb_target_free(&t);
    assert_int_equal(ebb_target_named(ctx, "ring:modes=3,radius=2", &t), EBB_OK);
    assert_true(t.parts == 3 && t.classes == 3 && t.mean[0] == 2);
    assert_true(fabs(hypot(t.mean[4], t.mean[5]) - 2) < 1e-12);
    ebb_target_free(&t);
    assert_int_equal(ebb_target_named(ctx, "checkerboard:side=2,size=2,parts=3", &t), EBB_OK);
    assert_true(t.parts == 18 && t.classes == 2);
    for (int k = 0; k < t.parts; k++)              /* the squares below left and above right */
        assert_true(t.mean[2 * k] * t.mean[2 * k + 1] > 0 && fabs(t.mean[2 * k]) < 1);
    ebb_target_free(&t);
    assert_int_equal(ebb_target_named(ctx, "high:dim=3,modes=2", &t), EBB_OK);
    assert_true(t.dim == 3 && t.parts == 2);
    ebb_target_free(&t);
}

static void refuse(const char *name, ebb_status status, const char *says)
{
    ebb_target t;
    assert_int_equal(ebb_target_named(ctx, name, &t), status);
    if (strstr(ebb_message(ctx), says) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", name, ebb_message(ctx), says);
    assert_null(t.weight);
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("rings", EBB_E_USAGE, "did you mean 'ring'");
    refuse("", EBB_E_USAGE, "no exact law");
    refuse("ring:mode=3", EBB_E_USAGE, "did you mean 'modes'");
    refuse("ring:modes", EBB_E_USAGE, "key=number");
    refuse("ring:modes=many", EBB_E_USAGE, "key=number");
    refuse("ring:modes=2.5", EBB_E_ARGUMENT, "whole number");
    refuse("ring:modes=5000", EBB_E_ARGUMENT, "whole number from 1 to 4096");
    refuse("ring:sd=0", EBB_E_ARGUMENT, "above 0");
    refuse("ring:sd=-1", EBB_E_ARGUMENT, "above 0");
    refuse("grid:side=1000", EBB_E_ARGUMENT, "at most 4096");
    refuse("spiral:arms=4000,parts=4000", EBB_E_ARGUMENT, "at most 4096");
    refuse("gaussian:dim=65", EBB_E_ARGUMENT, "at most 64");
    refuse("high:dim=1000", EBB_E_ARGUMENT, "at most 64");
}

static int setup(void **state)
{
    (void)state;
    return ebb_context_create(NULL, &ctx) != EBB_OK;
}

static int teardown(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
