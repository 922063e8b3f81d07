/* test_toy_guidance.c: guidance of exact laws end to end: what is aimed at beside what is sampled, classifiers in both forms,
 * intervals, and what each of them does to how pure a class comes out.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static ebb_context *ctx;

static json_t *run(const ebb_toy_options *o)
{
    char *text;
    if (ebb_toy(ctx, o, &text) != EBB_OK)
        fail_msg("%s: %s", o->target, ebb_message(ctx));
    json_t *json = json_loads(text, 0, NULL);
    ebb_text_free(text);
    return json;
}

static ebb_toy_options options(const char *target)
{
    ebb_toy_options o = ebb_toy_defaults();
    o.target = target;
    o.n = 600;
    o.resamples = -1;
    o.label = 7;
    o.sampler = "dpmpp-2m";
    o.steps = 40;
    return o;
}

static double of_class(const json_t *json, size_t class, const char *key)
{
    const json_t *value = json_object_get(json_array_get(json_object_get(json, "classes"), class), key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double share(const ebb_toy_options *o, int64_t *nfe)
{
    json_t *json = run(o);
    double found = of_class(json, 7, "share");
    if (nfe != NULL)
        *nfe = json_integer_value(json_object_get(json, "nfe"));
    json_decref(json);
    return found;
}

/* Shares of the tilted law are the references', which count points by the nearest mean and not by probabilities of classes, and
 * far from those of the samples. */
static void test_tilted(void **state)
{
    (void)state;
    json_t *root = json_load_file(EBB_SOURCE_DIR "/tests/refs/guidance_frequencies.json", 0, NULL), *row;
    size_t i, rows = 0;
    double apart = 0;
    json_array_foreach (json_object_get(root, "rows"), i, row) {
        ebb_toy_options o = options("digits-1d");
        o.guidance = json_number_value(json_object_get(row, "gamma"));
        json_t *json = run(&o);
        bool law = o.guidance == 0 || o.guidance == -1;
        for (size_t c = 0; c < 10; c++) {
            double want = json_number_value(json_array_get(json_object_get(row, "static_tilted_density"), c)), got = of_class(json, c, "tilted");
            if (law ? !isnan(got) : !(fabs(got - want) < 3e-3))
                fail_msg("w %g, class %zu: tilted share %g, not %g", o.guidance, c, got, want);
            apart = law ? apart : fmax(apart, fabs(got - of_class(json, c, "share")));
        }
        json_decref(json);
        rows++;
    }
    assert_true(rows >= 5 && apart > 0.4);
    json_decref(root);
}

/* In the form epsilon a classifier of scale s, from the score of all, is guidance s - 1, and as much as it adds to any other. */
static void test_classifier(void **state)
{
    (void)state;
    ebb_toy_options o = options("digits-1d:sd=0.4");
    int64_t one, two;
    o.guidance = 0.7;
    double want = share(&o, &two);
    o.guidance = -1;
    o.classifier_scale = 1.7;
    assert_true(fabs(share(&o, &one) - want) < 1e-6);
    assert_true(two == 2 * one);                 /* an exact classifier is no network */
    o.guidance = -0.2;
    o.classifier_scale = 0.9;
    assert_true(fabs(share(&o, &one) - want) < 1e-6);
    assert_true(one == two);
}

/* The class comes out purer the stronger it is led to. */
static void test_purity(void **state)
{
    static const double weights[] = {-1, -0.5, 0, 1, 3};
    (void)state;
    double before = -1;
    for (int k = 0; k < 5; k++) {
        ebb_toy_options o = options("digits-1d:sd=0.5");
        o.guidance = weights[k];
        double pure = share(&o, NULL);
        assert_true(pure > before + 0.01);
        before = pure;
    }
    assert_true(before > 0.7);           /* modes overlap: 0.787 at the mean of the class itself */
}

/* Moved means lead to the law of the class, as the form epsilon does; the finer the steps, the closer. */
static void test_means(void **state)
{
    static const int steps[] = {20, 80, 320};
    (void)state;
    double before = INFINITY, off = 0;
    for (int k = 0; k < 3; k++) {
        double w2[2];
        for (int form = 0; form < 2; form++) {
            ebb_toy_options o = options("digits-1d");
            o.n = 4000;
            o.sampler = "ddpm";
            o.steps = steps[k];
            o.guidance = -1;
            o.classifier_scale = 1;
            o.classifier_form = form ? "mean" : "epsilon";
            json_t *json = run(&o);
            assert_true(of_class(json, 7, "share") > (form && k < 2 ? 0.5 : 0.97));
            w2[form] = json_number_value(json_object_get(json_object_get(json_object_get(json, "distances"), "w2"), "value"));
            json_decref(json);
        }
        off = w2[1];
        assert_true(off < 0.6 * before);
        before = off;
    }
    assert_true(off < 0.03);
}

static void test_interval(void **state)
{
    (void)state;
    ebb_toy_options o = options("digits-1d:sd=0.5");
    int64_t some, all;
    double plain = share(&o, NULL);
    o.guidance = 2;
    double guided = share(&o, &all);
    o.guidance_low = 1e4;
    assert_true(fabs(share(&o, NULL) - plain) < 1e-12);
    o.guidance_low = 0;
    o.guidance_high = 1e9;
    assert_true(fabs(share(&o, NULL) - guided) < 1e-12);
    o.guidance_low = 0.3;
    o.guidance_high = 2;
    double part = share(&o, &some);
    assert_true(part > plain + 0.02 && part < guided && some < all);
}

static int begin(void **state)
{
    (void)state;
    return ebb_context_create(&(ebb_context_options){.size = sizeof(ebb_context_options), .threads = 2}, &ctx) != EBB_OK;
}

static int end(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return ebb_mem_read().bytes != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tilted), cmocka_unit_test(test_classifier), cmocka_unit_test(test_purity), cmocka_unit_test(test_means),
        cmocka_unit_test(test_interval),
    };
    return cmocka_run_group_tests_name("guidance of exact laws", tests, begin, end);
}
