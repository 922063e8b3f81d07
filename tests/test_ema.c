/* test_ema.c: averages of weights: the rules, second averages through a cut, and averages made after the run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/runs.h"
#include "train/ema.h"

/* ---- rules ------------------------------------------------------------------------------------------------------ */

static void test_rules(void **state)
{
    (void)state;
    for (int kind = 0; kind < EBB_EMA_KINDS; kind++) {
        ebb_ema e = {.kind = (ebb_ema_kind)kind, .keep = 0.99, .power = 0.75, .half_life = 1e4, .ramp = 0.05, .batch = 100,
                     .width = 0.1};
        double before = 0;
        assert_int_equal(ebb_ema_find(ebb_ema_name((ebb_ema_kind)kind)), kind);
        for (double n = 1; n < 1e7; n *= 3) {
            double keep = ebb_ema_keep(&e, n);
            assert_true(keep >= before && keep < 1);
            before = keep;
        }
        /* Far on: the bound, half after half_life pictures, or a window that grows with the run. */
        double far = kind == EBB_EMA_HALF_LIFE ? pow(0.5, 0.01) : kind == EBB_EMA_POWER ? 1 : 0.99;
        assert_true(fabs(before - far) < 1e-5);
    }
    assert_int_equal(ebb_ema_find("nothing"), EBB_EMA_KINDS);
}

/* The width is the standard deviation of the window over the run: measured on the weights of the steps themselves. */
static void test_width(void **state)
{
    (void)state;
    enum { RUN = 20000 };
    for (double width = 0.02; width < 0.26; width += 0.05) {
        ebb_ema e = {.kind = EBB_EMA_POWER, .width = width};
        double keep = 1, sum = 0, mean = 0, square = 0;
        for (int n = RUN; n >= 1; n--) {
            double weight = keep * (1 - ebb_ema_keep(&e, n)), at = (double)n / RUN;
            keep *= ebb_ema_keep(&e, n);
            sum += weight;
            mean += weight * at;
            square += weight * at * at;
        }
        assert_true(fabs(sum - 1) < 1e-9);
        assert_true(fabs(sqrt(square - mean * mean) - width) < 1e-3 * width);
        assert_true(fabs(ebb_ema_width(ebb_ema_gamma(width)) - width) < 1e-13);
    }
}

/* One of the stored windows is made from itself alone. */
static void test_factors(void **state)
{
    (void)state;
    double time[] = {100, 100, 200, 200}, gamma[4], factor[4];
    for (int i = 0; i < 4; i++)
        gamma[i] = ebb_ema_gamma(i % 2 ? 0.1 : 0.05);
    ok(ctx, ebb_ema_combine(ctx, 4, time, gamma, 200, gamma[3], factor));
    for (int i = 0; i < 4; i++)
        assert_true(fabs(factor[i] - (i == 3)) < 1e-12);
    time[0] = 200;
    gamma[0] = gamma[3];
    assert_int_equal(ebb_ema_combine(ctx, 4, time, gamma, 200, ebb_ema_gamma(0.07), factor), EBB_E_NUMERIC);
}

/* ---- runs ------------------------------------------------------------------------------------------------------- */

static ebb_recipe *recipe_with(const char *const *keys)
{
    ebb_recipe *r;
    ok(ctx, ebb_recipe_load(ctx, "mixture-ism", &r));
    for (; *keys != NULL; keys++)
        ok(ctx, ebb_recipe_set(ctx, r, *keys));
    return r;
}

static void train_with(const char *name, const char *const *keys, int64_t cut)
{
    ebb_recipe *r = recipe_with(keys);
    ebb_trainer *t;
    ok(ctx, ebb_trainer_create(ctx, r, in_folder(name), &t));
    if (cut > 0) {
        run_steps(ctx, t, cut);
        ok(ctx, ebb_trainer_save(t));
        ebb_trainer_free(t);
        ok(ctx, ebb_trainer_resume(ctx, in_folder(name), &t));
    }
    run_steps(ctx, t, r->train_steps);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
}

static double distance(const ebb_model *a, const ebb_model *b)
{
    double sum = 0;
    for (int64_t i = 0; i < a->params.length; i++)
        sum += pow((double)a->weights[i] - b->weights[i], 2);
    return sqrt(sum);
}

#define SHORT "train.steps=320", "train.batch=32", "train.shard=32", "data.limit=2000", "optim.decay=constant"

/* A run that averages with the width in question, and one that stores two others: the same weights at each step. */
static void test_after_the_run(void **state)
{
    (void)state;
    static const char *const stored[] = {SHORT, "optim.ema_kind=power-function", "train.snapshot_every=40", NULL};
    static const char *const direct[] = {SHORT, "optim.ema_kind=power-function", "optim.ema_width=0.073", "optim.ema_width2=0",
                                         "train.snapshot_every=320", NULL};
    char *json;
    ebb_model *made, *want, *near;
    train_with("stored", stored, 100);
    train_with("whole", stored, 0);
    train_with("direct", direct, 0);
    assert_same_file("stored", "whole", "checkpoint.safetensors");
    assert_same_file("stored", "whole", "ema-0000000320-0.1.safetensors");
    ok(ctx, ebb_ema_make(ctx, in_folder("stored"), 0.073, 0, in_folder("made.safetensors"), &json));
    ebb_text_free(json);
    ok(ctx, ebb_model_load(ctx, in_folder("made.safetensors"), &made));
    ok(ctx, ebb_model_load(ctx, in_folder("direct/ema-0000000320-0.073.safetensors"), &want));
    ok(ctx, ebb_model_load(ctx, in_folder("stored/ema-0000000320-0.05.safetensors"), &near));
    print_message("  made to direct %.2e, to the nearest stored one %.2e\n", distance(made, want), distance(near, want));
    assert_true(distance(made, want) < 0.05 * distance(near, want));
    assert_int_equal(made->step, 320);
    ebb_model_free(made);
    ebb_model_free(want);
    ebb_model_free(near);
    assert_int_equal(ebb_ema_make(ctx, in_folder("stored"), 0.5, 0, in_folder("x"), &json), EBB_E_ARGUMENT);
    assert_int_equal(ebb_ema_make(ctx, in_folder("stored"), 0.1, 39, in_folder("x"), &json), EBB_E_ARGUMENT);
    assert_says(ctx, "snapshot_every");
    assert_int_equal(remove(in_folder("made.safetensors")), 0);
    remove_run("stored");
    remove_run("whole");
    remove_run("direct");
}

static void test_refusal(void **state)
{
    (void)state;
    static const char *const keys[] = {"train.snapshot_every=5", NULL};
    ebb_recipe *r = recipe_with(keys);
    ebb_trainer *t;
    assert_int_equal(ebb_trainer_create(ctx, r, in_folder("wrong"), &t), EBB_E_ARGUMENT);
    assert_says(ctx, "power-function");
    ebb_recipe_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),         cmocka_unit_test(test_width),   cmocka_unit_test(test_factors),
        cmocka_unit_test(test_after_the_run), cmocka_unit_test(test_refusal),
    };
    backend = "own";
    return cmocka_run_group_tests(tests, setup, teardown);
}
