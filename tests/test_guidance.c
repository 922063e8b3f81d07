/* test_guidance.c: guided sampling from networks: conventions, interval, weaker models, what the caller knows of y; who is asked
 * how often; bits that do not depend on threads or batch.
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
#include <jansson.h>

#include "support/runs.h"

enum { N = 11, NUMBERS = SIDE * SIDE, COUNT = 4 };
static float plain[N * NUMBERS], one[N * NUMBERS], other[N * NUMBERS];

static ebb_sample_options usual(void)
{
    ebb_sample_options o = ebb_sample_defaults();
    o.n = N;
    o.seed = 4;
    o.label = 1;
    o.sampler = "ddim";
    o.steps = COUNT;
    o.guidance = 0;
    return o;
}

static int64_t draw(ebb_context *c, const ebb_sample_options *given, float *to)
{
    ebb_model *m = reference_model(c);
    ebb_sample_options o = *given;
    int64_t evaluations = -1;
    o.evaluations = &evaluations;
    ok(c, ebb_sample(c, m, &o, to));
    ebb_model_free(m);
    return evaluations;
}

static void refused(const ebb_sample_options *o, ebb_status status, const char *says)
{
    ebb_model *m = reference_model(ctx);
    assert_int_equal(ebb_sample(ctx, m, o, one), status);
    assert_says(ctx, says);
    ebb_model_free(m);
}

static double farthest(const float *a, const float *b)
{
    double most = 0;
    for (int i = 0; i < N * NUMBERS; i++)
        most = fmax(most, fabs((double)a[i] - b[i]));
    return most;
}

/* ---- strength ------------------------------------------------------------------------------------------------------------ */

static void test_conventions(void **state)
{
    static const struct { const char *text; double w; } good[] = {
        {"1.5", 1.5}, {"-2", -2}, {"w:1.5", 1.5}, {"ho:0", 0}, {"ilin:-0.5", -0.5}, {"isachenko:2.5", 1.5}, {"scale:2.5", 1.5},
        {"scale:0", -1}, {"isachenko:1", 0}};
    static const struct { const char *text, *says; } bad[] = {
        {"", "finite number"}, {"x", "finite number"}, {"1.5x", "finite number"}, {"inf", "finite number"}, {"scale:", "finite number"},
        {"scal:2", "did you mean 'scale'"}, {"gamma:2", "w, ho, ilin, isachenko, scale"}};
    char *text;
    double w;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ok(ctx, ebb_guidance_parse(ctx, good[i].text, &w));
        assert_true(w == good[i].w);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ebb_guidance_parse(ctx, bad[i].text, &w), EBB_E_USAGE);
        assert_says(ctx, bad[i].says);
    }
    ok(ctx, ebb_guidance_list(ctx, &text));
    json_t *list = json_loads(text, 0, NULL), *last = json_array_get(list, json_array_size(list) - 1);
    assert_true(json_array_size(list) == 5 && json_number_value(json_object_get(last, "offset")) == -1);
    json_decref(list);
    ebb_text_free(text);
}

/* w -1 is the model without its class, with one evaluation; w in between lies in between; -2 asks both. */
static void test_strength(void **state)
{
    (void)state;
    ebb_sample_options o = usual();
    assert_int_equal(draw(ctx, &o, plain), COUNT);
    o.guidance = -1;
    assert_int_equal(draw(ctx, &o, one), COUNT);
    o.guidance = 0;
    o.label = EBB_LABEL_NONE;
    assert_int_equal(draw(ctx, &o, other), COUNT);
    assert_memory_equal(one, other, sizeof one);
    assert_memory_not_equal(one, plain, sizeof one);
    o.label = 1;
    o.guidance = -2;
    assert_int_equal(draw(ctx, &o, one), 2 * COUNT);
    assert_memory_not_equal(one, other, sizeof one);
}

/* Nothing outside: the conditional picture; everything inside: the guided one; a part: as many evaluations more as levels. */
static void test_interval(void **state)
{
    (void)state;
    static float guided[N * NUMBERS];
    ebb_sample_options o = usual();
    draw(ctx, &o, plain);
    o.guidance = 1.5;
    assert_int_equal(draw(ctx, &o, guided), 2 * COUNT);
    o.guidance_low = 1e5;
    o.guidance_high = 1e6;
    assert_int_equal(draw(ctx, &o, one), COUNT);
    assert_memory_equal(one, plain, sizeof one);
    o.guidance_low = 0;
    assert_int_equal(draw(ctx, &o, one), 2 * COUNT);
    assert_memory_equal(one, guided, sizeof one);
    o.guidance_low = 0.2;
    o.guidance_high = 0;
    int64_t part = draw(ctx, &o, one);
    assert_true(part > COUNT && part < 2 * COUNT);
    assert_memory_not_equal(one, guided, sizeof one);
    assert_memory_not_equal(one, plain, sizeof one);
    o.guidance_high = 0.1;
    refused(&o, EBB_E_ARGUMENT, "0 <= low < high");
    o.guidance_low = NAN;
    refused(&o, EBB_E_ARGUMENT, "0 <= low < high");
}

/* ---- a weaker model -------------------------------------------------------------------------------------------------------- */

/* One that says the same leads nowhere; one of fewer steps does, without a class too. */
static void test_guide(void **state)
{
    (void)state;
    ebb_model *same = reference_model(ctx), *weak;
    ok(ctx, ebb_model_load(ctx, in_folder("weak/model.safetensors"), &weak));
    ebb_sample_options o = usual();
    draw(ctx, &o, plain);
    o.guide = same;
    o.guidance = 2;
    assert_int_equal(draw(ctx, &o, one), 2 * COUNT);
    assert_true(farthest(one, plain) < 1e-5);
    o.guide = weak;
    assert_int_equal(draw(ctx, &o, one), 2 * COUNT);
    assert_true(farthest(one, plain) > 1e-2);
    o.label = EBB_LABEL_NONE;
    assert_int_equal(draw(ctx, &o, other), 2 * COUNT);
    o.guidance = -1;             /* (1 + w) = 0: the weak model alone */
    draw(ctx, &o, one);
    assert_true(farthest(one, other) > 1e-2);
    ebb_sample_options bare = usual();
    bare.label = EBB_LABEL_NONE;
    ok(ctx, ebb_sample(ctx, weak, &bare, other));
    assert_true(farthest(one, other) < 1e-5);
    ebb_model_free(same);
    ebb_model_free(weak);
}

static void test_guides_refused(void **state)
{
    static const struct { const char *run, *says; } cases[] = {
        {"chain", "process"}, {"size", "8x8x1"}, {"classes", "knows 4 classes"}};
    (void)state;
    ebb_sample_options o = usual();
    ebb_model *weak;
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/model.safetensors", cases[i].run);
        ok(ctx, ebb_model_load(ctx, in_folder(name), &weak));
        o.guide = weak;
        o.guidance = 1;
        refused(&o, i == 1 ? EBB_E_SHAPE : EBB_E_ARGUMENT, cases[i].says);
        ebb_model_free(weak);
    }
    weak = reference_model(ctx);
    o.guide = weak;
    o.guidance = NAN;
    refused(&o, EBB_E_ARGUMENT, "how strongly");
    ebb_model_free(weak);
}

/* ---- what the caller knows --------------------------------------------------------------------------------------------------- */

typedef struct asking {
    double gradient;             /* of every number */
    int refuse;
    int64_t first, last;
    double alpha[N], sigma[N];   /* of the last call for each picture: one thread's */
} asking;

static int constant(void *user, int64_t n, const int64_t *sample, const double *x, double alpha, double sigma, const double *x0,
                    double *gradient)
{
    asking *a = user;
    for (int64_t i = 0; i < n; i++) {
        if (sample[i] < a->first || sample[i] > a->last)
            return 99;
        a->alpha[sample[i] - a->first] = alpha;
        a->sigma[sample[i] - a->first] = sigma;
    }
    if (!(alpha > 0 && alpha < 1 && sigma > 0) || n < 1 || !isfinite(x0[n * NUMBERS - 1]) || !isfinite(x[n * NUMBERS - 1]))
        return 98;
    for (int64_t i = 0; i < n * NUMBERS; i++)
        gradient[i] = a->gradient;
    return a->refuse;
}

/* No gradient: the same bits. Of one step to the clean picture: x_0 + sigma^2/alpha gradient, which is clipped. */
static void test_condition(void **state)
{
    (void)state;
    asking a = {.first = 3, .last = 3 + N - 1};
    ebb_sample_options o = usual();
    o.first = 3;
    draw(ctx, &o, plain);
    o.condition = constant;
    o.condition_user = &a;
    assert_int_equal(draw(ctx, &o, one), COUNT);
    assert_memory_equal(one, plain, sizeof one);

    o.steps = 1;
    o.condition = NULL;
    draw(ctx, &o, plain);
    a.gradient = 0.3;
    o.condition = constant;
    draw(ctx, &o, one);
    for (int i = 0; i < N * NUMBERS; i++) {
        double sigma = a.sigma[i / NUMBERS], want = fmin(plain[i] + sigma * sigma / a.alpha[i / NUMBERS] * a.gradient, 1);
        if (fabs(plain[i]) < 1)
            assert_true(fabs(one[i] - want) < 1e-6);
    }
    assert_true(farthest(one, plain) > 1e-3);
    a.refuse = 7;
    refused(&o, EBB_E_ARGUMENT, "condition() returned 7");
}

static void draw_all(ebb_context *c, const char *sampler, int64_t first, int64_t n, float *to)
{
    asking a = {.gradient = 0.2, .last = N - 1};
    ebb_sample_options o = usual();
    ok(c, ebb_model_load(c, in_folder("weak/model.safetensors"), &o.guide));
    o.guidance = 1.5;
    o.guidance_low = 0.2;
    o.condition = constant;
    o.condition_user = &a;
    o.sampler = sampler;
    o.first = first;
    o.n = n;
    draw(c, &o, to);
    ebb_model_free(o.guide);
}

/* A caller's gradient and all else at once: bits of any number of threads, alone or in a batch. */
static void test_bits(void **state)
{
    static const char *const samplers[] = {"ddpm", "euler-ancestral", "heun"};
    (void)state;
    for (int k = 0; k < 3; k++) {
        draw_all(contexts[2], samplers[k], 0, N, plain);
        for (int threads = 1; threads <= 4; threads++) {
            draw_all(contexts[threads], samplers[k], 0, N, one);
            assert_memory_equal(one, plain, sizeof one);
        }
        draw_all(contexts[2], samplers[k], 5, 2, one);
        assert_memory_equal(one, plain + 5 * NUMBERS, 2 * NUMBERS * sizeof *one);
    }
}

/* ---- setting up ---------------------------------------------------------------------------------------------------------------- */

static void train_with(const char *name, const char *const *keys)
{
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    for (; *keys != NULL; keys++)
        ok(ctx, ebb_recipe_set(ctx, r, *keys));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder(name), &t));
    run_steps(ctx, t, r->train_steps);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
}

static int setup_models(void **state)
{
    int failed = setup(state);
    if (failed)
        return failed;
    train(ctx, "reference");
    train_with("weak", (const char *const[]){"train.steps=4", "net.base=8", NULL});
    train_with("chain", (const char *const[]){"train.steps=1", "process.steps=19", NULL});
    train_with("size", (const char *const[]){"train.steps=1", "data.size=16", NULL});
    train_with("classes", (const char *const[]){"train.steps=1", "net.classes=4", NULL});
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conventions), cmocka_unit_test(test_strength), cmocka_unit_test(test_interval),
        cmocka_unit_test(test_guide), cmocka_unit_test(test_guides_refused), cmocka_unit_test(test_condition),
        cmocka_unit_test(test_bits),
    };
    backend = "own";
    return cmocka_run_group_tests_name("guidance of networks", tests, setup_models, teardown);
}
