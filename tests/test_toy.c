/* test_toy.c: jobs over exact laws from end to end: what they report is what is known otherwise, whatever the threads.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/format.h"
#include "support/temporary.h"

static temporary_folder folder;
static ebb_context *contexts[4], *ctx;       /* by threads; of two */

static void near(const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s: %.6g, not %.6g +- %g", what, got, want, tolerance);
}

static char *path_of(const char *name)
{
    static char path[4][4200];
    static int turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", folder, name);
    return to;
}

static char *text_of(ebb_context *c, const ebb_toy_options *o)
{
    char *text;
    if (ebb_toy(c, o, &text) != EBB_OK)
        fail_msg("%s: %s", o->target, ebb_message(c));
    return text;
}

static json_t *run(const ebb_toy_options *o)
{
    char *text = text_of(ctx, o);
    json_t *json = json_loads(text, 0, NULL);
    ebb_text_free(text);
    assert_non_null(json);
    return json;
}

static double at(const json_t *json, const char *a, const char *b)
{
    const json_t *value = json_object_get(json_object_get(json, a), b);
    if (!json_is_number(value))
        fail_msg("no number %s.%s", a, b);
    return json_number_value(value);
}

static ebb_toy_options options(const char *target)
{
    ebb_toy_options o = ebb_toy_defaults();
    o.target = target;
    o.n = 900;
    o.resamples = -1;
    return o;
}

/* ---- samples ------------------------------------------------------------------------------------------------------------- */

/* The flow followed exactly gives true samples: each distance is near its floor, the modes have their weights. */
static void test_samples(void **state)
{
    (void)state;
    static const char *const names[] = {"gaussian", "two-modes:separation=3", "mixture", "ring", "high:dim=4,modes=3"};
    for (int i = 0; i < 5; i++) {
        const char *key;
        json_t *value;
        ebb_toy_options o = options(names[i]);
        o.sampler = "rk45:rtol=1e-4,atol=1e-4";
        json_t *json = run(&o);
        json_object_foreach (json_object_get(json, "distances"), key, value) {
            double got = json_number_value(json_object_get(value, "value")), floor = json_number_value(json_object_get(value, "floor"));
            if (!(got < 4 * fabs(floor) + 0.06))
                fail_msg("%s: %s is %g, its floor %g", names[i], key, got, floor);
        }
        if (json_object_get(json, "chi_square"))
            assert_true(at(json, "chi_square", "chance") > 1e-4);
        near(names[i], json_number_value(json_object_get(json, "flow_error")), 0, 0.01);
        assert_true(json_is_false(json_object_get(json, "random")));
        json_decref(json);
    }
}

/* The same text by one thread and by three, and the first samples of many are those of few. */
static void test_threads(void **state)
{
    (void)state;
    ebb_npy few, many;
    ebb_toy_options o = options("mixture");
    o.sampler = "euler-maruyama";
    o.steps = 20;
    o.n = 300;
    o.resamples = 10;
    char *one = text_of(contexts[1], &o), *three = text_of(contexts[3], &o);
    assert_string_equal(one, three);
    ebb_text_free(one);
    ebb_text_free(three);
    char *path = path_of("x.npy");
    o.samples = path;
    for (int i = 0; i < 2; i++) {
        o.n = i == 0 ? 70 : 200;
        json_decref(run(&o));
        assert_int_equal(ebb_npy_read(ctx, path, i == 0 ? &few : &many), EBB_OK);
    }
    assert_true(few.rank == 2 && few.dim[0] == 70 && few.dim[1] == 2 && few.kind == 'f' && few.item == 8);
    assert_memory_equal(few.data, many.data, 70 * 2 * sizeof(double));
    ebb_npy_free(&few);
    ebb_npy_free(&many);
    remove(path);
}

/* Guided shares of the class: those of the reference values, found by Fokker-Planck and the flow's map. */
static void test_guidance(void **state)
{
    (void)state;
    json_t *root = json_load_file(EBB_SOURCE_DIR "/tests/refs/guidance_frequencies.json", 0, NULL), *row;
    int label = (int)json_integer_value(json_object_get(root, "cls"));
    size_t i, rows = 0;
    json_array_foreach (json_object_get(root, "rows"), i, row)
        for (int noise = 0; noise < 2; noise++) {
            const json_t *want = json_object_get(row, noise ? "guided_reverse_sde_fokker_planck" : "guided_pf_ode");
            ebb_toy_options o = options("digits-1d");
            assert_true(json_is_array(want));
            o.label = label;
            o.guidance = json_number_value(json_object_get(row, "gamma"));
            o.sampler = noise ? "euler-maruyama" : "dpmpp-2m";
            o.steps = noise ? 200 : 60;
            json_t *json = run(&o), *class;
            size_t k;
            json_array_foreach (json_object_get(json, "classes"), k, class) {
                double p = json_number_value(json_array_get(want, k));
                near("share", json_number_value(json_object_get(class, "share")), p, 0.012 + 4 * sqrt(p * (1 - p) / (double)o.n));
            }
            json_decref(json);
            rows++;
        }
    assert_true(rows >= 8);
    json_decref(root);
}

/* ---- pictures ------------------------------------------------------------------------------------------------------------------ */

static void check_picture(const char *path, int width, int height)
{
    ebb_image image;
    int coloured = 0;
    assert_int_equal(ebb_png_read(ctx, path, &image), EBB_OK);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    assert_int_equal(image.channels, 3);
    for (int k = 0; k < width * height; k++) {
        const uint8_t *p = image.data + 3 * k;
        coloured += p[2] > p[0] + 40 || p[0] > p[2] + 40;
    }
    assert_true(coloured > 2000 && coloured < width * height / 2);
    ebb_image_free(&image);
    remove(path);
}

static void test_pictures(void **state)
{
    (void)state;
    char *path = path_of("picture.png");
    ebb_toy_options o = options("moons:parts=8");
    o.picture = path;
    json_decref(run(&o));
    check_picture(path, 1250, 700);
    o.target = "two-modes";
    json_decref(run(&o));
    check_picture(path, 1060, 640);
    o.job = "convergence";
    o.sampler = "euler+heun";
    json_decref(run(&o));
    check_picture(path, 1360, 800);
}

/* ---- the other jobs -------------------------------------------------------------------------------------------------------------- */

/* Particles cross as the spectral gap tells; the gap itself is that of the reference values. */
static void test_panels(void **state)
{
    (void)state;
    static const double want[][2] = {{2, 0.4762}, {3, 0.0573}, {4, 2.480e-3}, {5, 3.581e-5}};
    for (int i = 0; i < 4; i++) {
        char target[40], *path = path_of("panels.png");
        size_t k;
        json_t *row;
        snprintf(target, sizeof target, "two-modes:separation=%g", want[i][0]);
        ebb_toy_options o = options(target);
        o.job = "panels";
        o.n = 2000;
        o.picture = i == 0 ? path : NULL;
        json_t *json = run(&o);
        near("gap", json_number_value(json_object_get(json, "gap")), want[i][1], 0.01 * want[i][1]);
        json_array_foreach (json_object_get(json, "rows"), k, row) {
            double got = json_number_value(json_object_get(row, "crossed")), expected = json_number_value(json_object_get(row, "expected"));
            double error = json_number_value(json_object_get(row, "error"));
            /* Overlapping modes start partly across, and 0.01 of a step is not 0. */
            if (i > 0 || k == 2)
                near(target, got, expected, 4 * error + 0.06 * expected + 2e-3 * (i == 1));
            if (i == 3 && k == 2)
                assert_true(got < 1e-3);
        }
        assert_int_equal(k, 3);
        if (i == 0)
            check_picture(path, 1595, 490);
        json_decref(json);
    }
}

static void test_convergence(void **state)
{
    (void)state;
    static const struct { const char *sampler; double order; } want[] = {
        {"ddim", 1}, {"heun", 2}, {"dpm-solver-2", 2}, {"dpm-solver-3", 3}, {"dpmpp-2m", 2}};
    size_t k;
    json_t *row;
    ebb_toy_options o = options("mixture");
    o.job = "convergence";
    o.sampler = "ddim+heun+dpm-solver-2+dpm-solver-3+dpmpp-2m+euler-maruyama+rk45";
    json_t *json = run(&o);
    assert_int_equal(json_array_size(json_object_get(json, "rows")), 5);     /* not of noise, not of adaptive steps */
    json_array_foreach (json_object_get(json, "rows"), k, row) {
        assert_string_equal(json_string_value(json_object_get(row, "sampler")), want[k].sampler);
        near(want[k].sampler, json_number_value(json_object_get(row, "last_order")), want[k].order, 0.15);
        assert_int_equal(json_array_size(json_object_get(row, "error")), 5);
    }
    json_decref(json);
    /* Over a normal law, noise or not; and the theorem: its bound holds. */
    o.target = "gaussian:dim=1";
    o.sampler = "euler-maruyama";
    json = run(&o);
    row = json_array_get(json_object_get(json, "rows"), 0);
    near("euler-maruyama", json_number_value(json_object_get(row, "order")), 1, 0.15);
    json_array_foreach (json_object_get(json, "theorem"), k, row)
        assert_true(json_number_value(json_object_get(row, "tv")) < json_number_value(json_object_get(row, "bound")));
    assert_true(k >= 5);
    json_decref(json);
}

static void test_compare(void **state)
{
    (void)state;
    ebb_toy_options o = options("mixture");
    o.job = "compare";
    o.nfe = 20;
    o.n = 600;
    json_t *json = run(&o), *rows = json_object_get(json, "rows"), *row;
    size_t k;
    int refused = 0, deterministic = 0;
    json_array_foreach (rows, k, row) {
        const char *name = json_string_value(json_object_get(row, "sampler"));
        if (json_object_get(row, "refused")) {
            refused++;
            continue;
        }
        deterministic += json_is_number(json_object_get(row, "flow_error"));
        if (!(json_number_value(json_object_get(row, "sliced-w2")) > 0))
            fail_msg("%s has no distance", name);
        if (strcmp(name, "rk45") == 0)
            assert_true(json_number_value(json_object_get(row, "flow_error")) < 1e-3);
        if (strcmp(name, "heun") == 0)
            assert_true(json_integer_value(json_object_get(row, "nfe")) <= 20);
    }
    assert_true(k > 40 && deterministic > 15 && refused >= 1 && refused < 5);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, k - 1), "sampler")), "(true points)");
    json_decref(json);
}

/* ---- learned scores --------------------------------------------------------------------------------------------------------------- */

static void test_learned(void **state)
{
    (void)state;
    static const char *const keys[] = {"data.limit=5000", "train.steps=250", "train.batch=128", "train.shard=64", "net.width=32"};
    ebb_toy_options o = options("two-modes:separation=2");
    char *path = path_of("model.safetensors");
    o.score = "train";
    o.settings = keys;
    o.settings_count = 5;
    o.save = path;
    o.n = 400;
    json_t *json = run(&o), *fisher = json_object_get(json, "fisher");
    assert_int_equal(json_array_size(fisher), 8);
    /* It has learned something where noise and law are of one size. */
    const json_t *row = json_array_get(fisher, 4);
    assert_true(json_number_value(json_object_get(row, "divergence")) < 0.1 * json_number_value(json_object_get(row, "score")));
    o = options("two-modes:separation=2");
    o.model = path;
    o.n = 400;
    json_t *again = run(&o);
    assert_true(json_equal(fisher, json_object_get(again, "fisher")));
    assert_true(json_equal(json_object_get(json, "distances"), json_object_get(again, "distances")));
    json_decref(again);
    json_decref(json);
    /* A class of a model that knows none; a law of another dimension. */
    char *text;
    o.label = 1;
    assert_int_equal(ebb_toy(ctx, &o, &text), EBB_E_ARGUMENT);
    o.label = EBB_LABEL_NONE;
    o.target = "mixture";
    assert_int_equal(ebb_toy(ctx, &o, &text), EBB_E_SHAPE);
    remove(path);
}

/* Each process has a usual way to be learned and walked. */
static void test_processes(void **state)
{
    (void)state;
    static const char *const keys[] = {"data.limit=5000", "train.steps=40", "train.batch=64", "train.shard=32", "net.width=16"};
    static const char *const names[] = {"ddpm", "smld", "ou:end=4", "vp:beta_max=15", "sub-vp", "ve:sigma_max=20", "edm", "flow"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ebb_toy_options o = options("two-modes:separation=2");
        o.process = names[i];
        o.score = "train";
        o.settings = keys;
        o.settings_count = 5;
        o.n = 100;
        o.label = 1;                 /* conditional */
        json_decref(run(&o));
    }
}

/* ---- refusals ------------------------------------------------------------------------------------------------------------------ */

static int stop(void *user, const char *doing, int64_t done, int64_t total)
{
    (void)doing;
    (void)done;
    (void)total;
    return ++*(int *)user > 3;
}

static void refuse(const ebb_toy_options *o, ebb_status status, const char *says)
{
    char *text = NULL;
    if (ebb_toy(ctx, o, &text) != status || strstr(ebb_message(ctx), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", ebb_message(ctx), says);
    assert_null(text);
}

static void test_refusals(void **state)
{
    (void)state;
    int calls = 0;
    ebb_toy_options o = options("mixtur");
    refuse(&o, EBB_E_USAGE, "did you mean 'mixture'");
    o = options(NULL);
    refuse(&o, EBB_E_USAGE, "which law");
    o = options("mixture");
    o.sampler = "heum";
    refuse(&o, EBB_E_USAGE, "did you mean 'heun'");
    o.job = "compare";
    o.sampler = "heun+eulr";
    refuse(&o, EBB_E_USAGE, "did you mean 'euler'");
    o = options("mixture");
    o.job = "comparison";
    refuse(&o, EBB_E_USAGE, "unknown job");
    o = options("mixture");
    o.process = "vp:beta_mix=1";
    refuse(&o, EBB_E_USAGE, "process.beta_m");
    o = options("mixture");
    o.guidance = 1;
    refuse(&o, EBB_E_ARGUMENT, "needs a class");
    o = options("mixture");
    o.label = 2;
    refuse(&o, EBB_E_ARGUMENT, "0..1");
    o = options("mixture");
    o.job = "panels";
    refuse(&o, EBB_E_ARGUMENT, "two modes");
    o = options("high");
    o.picture = "x.png";
    refuse(&o, EBB_E_ARGUMENT, "8 dimensions");
    o = options("mixture");
    o.picture = path_of("none/x.png");
    refuse(&o, EBB_E_IO, "none/x.png");
    o = options("mixture");
    o.n = 1;
    refuse(&o, EBB_E_ARGUMENT, "1 samples");
    o = options("mixture");
    o.sampler = "euler-maruyama:denoise=3";
    refuse(&o, EBB_E_ARGUMENT, "denoise");
    o = options("mixture");
    o.progress = stop;
    o.user = &calls;
    o.steps = 400;
    refuse(&o, EBB_E_ARGUMENT, "stopped");
}

static int setup(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++)
        if (ebb_context_create(&(ebb_context_options){.size = sizeof(ebb_context_options), .threads = i}, &contexts[i]) != EBB_OK)
            return 1;
    ctx = contexts[2];
    return temporary_make(folder, "toy") ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++)
        ebb_context_free(contexts[i]);
    return !temporary_remove(folder) || ebb_mem_read().bytes != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples), cmocka_unit_test(test_threads),     cmocka_unit_test(test_guidance),
        cmocka_unit_test(test_pictures), cmocka_unit_test(test_panels),      cmocka_unit_test(test_convergence),
        cmocka_unit_test(test_compare), cmocka_unit_test(test_learned),     cmocka_unit_test(test_processes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
