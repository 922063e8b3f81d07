/* test_train_bf16.c: training and sampling with activations in bfloat16: the promises of f32 but for other bits on
 * other instruction sets; the recipe's word for it. */
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

static void test_threads_and_cuts(void **state)
{
    (void)state;
    train(ctx, "reference");
    for (int cut = 0; cut < 4; cut++) {
        ebb_context *c = contexts[1 + cut], *d = contexts[4 - cut];
        ebb_recipe *r = tiny(c);
        ebb_trainer *t;
        ok(c, ebb_trainer_create(c, r, in_folder("cut"), &t));
        run_steps(c, t, 3 * cut);
        ok(c, ebb_trainer_save(t));
        ebb_trainer_free(t);
        ok(d, ebb_trainer_resume(d, in_folder("cut"), &t));
        run_steps(d, t, STEPS);
        ebb_trainer_free(t);
        assert_same_file("reference", "cut", "checkpoint.safetensors");
        assert_same_file("reference", "cut", "model.safetensors");
        remove_run("cut");
        ebb_recipe_free(r);
    }
}

static void test_samples(void **state)
{
    enum { COUNT = 11, NUMBERS = SIDE * SIDE };
    static float batch[COUNT * NUMBERS], other[COUNT * NUMBERS], f32[COUNT * NUMBERS];
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        ebb_context *c = contexts[threads];
        ebb_model *m = reference_model(c);
        ebb_sample_options o = ebb_sample_defaults();
        o.n = COUNT;
        o.label = 1;
        ok(c, ebb_sample(c, m, &o, threads == 1 ? batch : other));
        if (threads > 1)
            assert_memory_equal(batch, other, sizeof batch);
        for (int i = 0; i < COUNT; i += 1 + i % 3) {
            o.first = i;
            o.n = i + 1 + i % 3 <= COUNT ? 1 + i % 3 : COUNT - i;
            ok(c, ebb_sample(c, m, &o, other));
            assert_memory_equal(batch + i * NUMBERS, other, (size_t)o.n * NUMBERS * sizeof(float));
        }
        ebb_model_free(m);
    }
    ebb_model *m = reference_model(ctx);
    ebb_sample_options o = ebb_sample_defaults();
    o.n = COUNT;
    o.label = 1;
    o.precision = "bf16";
    ok(ctx, ebb_sample(ctx, m, &o, other));
    assert_memory_equal(batch, other, sizeof batch);
    o.precision = "f32";
    ok(ctx, ebb_sample(ctx, m, &o, f32));
    assert_memory_not_equal(batch, f32, sizeof batch);
    o.precision = "f16";
    assert_int_equal(ebb_sample(ctx, m, &o, f32), EBB_E_USAGE);
    assert_says(ctx, "unknown precision 'f16'");
    ebb_model_free(m);
}

/* What is not finite is seen, whichever type it passed through. */
static void test_diverges(void **state)
{
    static const float bad[] = {NAN, INFINITY, 3e38f};   /* the last overflows on its way */
    (void)state;
    for (int i = 0; i < 3; i++) {
        ebb_recipe *r = tiny(ctx);
        ebb_trainer *t;
        ok(ctx, ebb_trainer_create(ctx, r, in_folder("diverges"), &t));
        run_steps(ctx, t, 2);
        for (int64_t k = 0; k < t->learner.params.length; k++)
            t->learner.blocks.p[k] = bad[i];
        ebb_learner_refresh(&t->learner);
        assert_int_equal(ebb_trainer_step(t, NULL), EBB_E_NUMERIC);
        assert_says(ctx, "step 3");
        ebb_trainer_free(t);
        ebb_recipe_free(r);
        remove_run("diverges");
    }
}

static ebb_trainer *train_points(const char *precision_of_run, const char *name)
{
    static const char *const keys[] = {"data.kind=ring", "data.size=",   "data.channels=0",  "net.kind=mlp",
                                       "net.width=16",   "net.classes=0", "sample.guidance=0"};
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        ok(ctx, ebb_recipe_set(ctx, r, keys[i]));
    ok(ctx, ebb_recipe_set(ctx, r, precision_of_run));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder(name), &t));
    run_steps(ctx, t, STEPS);
    ebb_recipe_free(r);
    return t;
}

/* Points have no pictures: nothing of an MLP is rounded. */
static void test_points_stay_f32(void **state)
{
    (void)state;
    ebb_trainer *a = train_points("precision=bf16", "a"), *b = train_points("precision=f32", "b");
    assert_string_equal(a->recipe->precision_type, "bf16");
    assert_memory_equal(a->learner.blocks.p, b->learner.blocks.p, (size_t)a->learner.params.length * sizeof(float));
    ebb_trainer_free(a);
    ebb_trainer_free(b);
    remove_run("a");
    remove_run("b");
}

/* auto is settled when a run begins, by the processor; files say what it became. */
static void test_auto(void **state)
{
    (void)state;
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++) {
        ebb_context *c;
        ebb_context_options o = {.size = sizeof o, .cpu = ebb_isa_name((ebb_isa)isa), .backend = "own"};
        if (!ebb_isa_available((ebb_isa)isa))
            continue;
        bool units = strstr(o.cpu, "bf16") != NULL || strcmp(o.cpu, "amx") == 0;
        assert_int_equal(ebb_context_create(&o, &c), EBB_OK);
        ebb_recipe *r = tiny(c);
        ebb_trainer *t;
        ok(c, ebb_recipe_set(c, r, "precision.type=auto"));
        ok(c, ebb_trainer_create(c, r, in_folder("auto"), &t));
        assert_string_equal(t->recipe->precision_type, units ? "bf16" : "f32");
        ok(c, ebb_trainer_save(t));
        ebb_trainer_free(t);
        ok(ctx, ebb_trainer_resume(ctx, in_folder("auto"), &t));
        assert_string_equal(t->recipe->precision_type, units ? "bf16" : "f32");
        ebb_trainer_free(t);
        char *text;
        ok(c, ebb_info(c, in_folder("auto/model.safetensors"), &text));
        json_t *info = json_loads(text, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(info, "precision")), units ? "bf16" : "f32");
        json_decref(info);
        ebb_text_free(text);
        ebb_recipe_free(r);
        remove_run("auto");
        ebb_context_free(c);
    }
}

/* A recipe in a file from before there was the key: f32, on every machine. */
static void test_older_files(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx), *read;
    json_t *metadata, *recipe;
    char *text;
    ok(ctx, ebb_model_metadata(ctx, r, "model", 1, &metadata));
    ok(ctx, ebb_json_parse(ctx, json_string_value(json_object_get(metadata, "ebb.recipe")), "recipe", &recipe));
    assert_int_equal(json_object_del(json_object_get(recipe, "precision"), "type"), 0);
    ok(ctx, ebb_json_text(ctx, recipe, 0, &text));
    json_object_set_new(metadata, "ebb.recipe", json_string(text));
    char path[] = "old.safetensors";
    ebb_safetensors old = {.path = path, .metadata = metadata};
    ok(ctx, ebb_model_recipe(ctx, &old, "model", &read));
    assert_string_equal(read->precision_type, "f32");
    ebb_recipe_free(read);
    ebb_recipe_free(r);
    ebb_text_free(text);
    json_decref(recipe);
    json_decref(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_and_cuts), cmocka_unit_test(test_samples), cmocka_unit_test(test_diverges),
        cmocka_unit_test(test_points_stay_f32),  cmocka_unit_test(test_auto),    cmocka_unit_test(test_older_files),
    };
    backend = "own";
    precision = "precision=bf16";
    return cmocka_run_group_tests(tests, setup, teardown);
}
