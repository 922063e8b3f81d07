/* test_restore_model.c: ebb_restore on a small trained network: gradients by differences, the same bits for any threads and any
 * company, known pixels, measurements as pictures, what is reported, refusals.
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

#include "diffusion/restore.h"
#include "model/plans.h"
#include "sample/field.h"
#include "support/runs.h"

enum { NUMBERS = SIDE * SIDE, PICTURES = 5, COPIES = 3 };

static ebb_restore_options with(const char *task, const char *method)
{
    ebb_restore_options o = ebb_restore_defaults();
    o.task = task;
    o.method = method;
    o.steps = 4;
    if (strcmp(task, "inpaint") == 0)
        o.mask = "half:left";
    if (strcmp(task, "super-resolution") == 0)
        o.factor = 2;
    if (strcmp(task, "denoise") == 0)
        o.sigma = 0.4;
    return o;
}

/* Values that bytes have. */
static float pixel(int i, int d)
{
    return (float)((37 * i + 101 * d + d * d) % 256) / 127.5f - 1;
}

static void fill(int first, int n, float *x)
{
    for (int i = 0; i < n; i++)
        for (int d = 0; d < NUMBERS; d++)
            x[i * NUMBERS + d] = pixel(first + i, d);
}

static json_t *restore(ebb_context *c, ebb_model *m, const ebb_restore_options *o, int64_t n, const float *in, float *measured,
                       float *out)
{
    char *text;
    ok(c, ebb_restore(c, m, o, n, in, measured, out, &text));
    json_t *json = json_loads(text, 0, NULL);
    ebb_text_free(text);
    assert_non_null(json);
    return json;
}

/* ---- gradients ---------------------------------------------------------------------------------------------------------------- */

/* <v, x0(x + h d) - x0(x - h d)>/2h against <J'v, d>, in float: to the third digit; for rows at levels of their own. */
static void test_gradient(void **state)
{
    (void)state;
    enum { ROWS = 3 };
    static const double times[ROWS] = {3, 9, 17};
    double x[ROWS * NUMBERS], v[ROWS * NUMBERS], along[ROWS * NUMBERS], moved[ROWS * NUMBERS], up[ROWS * NUMBERS],
        down[ROWS * NUMBERS], got[ROWS * NUMBERS], h = 2e-2;
    int32_t label[ROWS] = {0, 2, 3};
    ebb_level at[ROWS];
    ebb_model *m = reference_model(ctx);
    ebb_plan_options options = ebb_recipe_plan(m->recipe, 1);
    ebb_plan *plan, *pull;
    ok(ctx, ebb_eval_plan(ctx, &m->net, ROWS, &options, &plan));
    ok(ctx, ebb_pullback_plan(ctx, &m->net, ROWS, &options, &pull));
    ebb_params_bind(&m->params, plan, m->weights);
    ebb_params_bind(&m->params, pull, m->weights);
    ebb_plan_prepare(plan);
    ebb_plan_prepare(pull);
    ebb_model_field self = {.model = m, .plan = plan, .pull = pull, .n = ROWS, .numbers = NUMBERS, .label = label};
    ebb_field f = ebb_field_of_model(&self);
    for (int i = 0; i < ROWS * NUMBERS; i++) {
        x[i] = sin(1.3 * i) + 0.5 * cos(0.07 * i * i);
        v[i] = cos(2.1 * i);
        along[i] = sin(0.37 * i + 1);
    }
    for (int i = 0; i < ROWS; i++)
        at[i] = ebb_process_level(&m->process, times[i]);
    f.pullback(f.self, x, at, v, got);
    for (int i = 0; i < ROWS * NUMBERS; i++)
        moved[i] = x[i] + h * along[i];
    f.predict(f.self, moved, at, NULL, up);
    for (int i = 0; i < ROWS * NUMBERS; i++)
        moved[i] = x[i] - h * along[i];
    f.predict(f.self, moved, at, NULL, down);
    for (int i = 0; i < ROWS; i++) {
        double want = 0, have = 0;
        for (int d = i * NUMBERS; d < (i + 1) * NUMBERS; d++) {
            want += v[d] * (up[d] - down[d]) / (2 * h);
            have += got[d] * along[d];
        }
        if (!(fabs(have - want) < 3e-3 * (1 + fabs(want))))
            fail_msg("row %d: derivative %g, by differences %g", i, have, want);
    }
    ebb_plan_free(plan);
    ebb_plan_free(pull);
    ebb_model_free(m);
}

/* ---- bits ------------------------------------------------------------------------------------------------------------------------ */

static const struct { const char *task, *method; } jobs[] = {
    {"inpaint", "replacement"},  {"inpaint", "repaint:jump_length=2,resamples=2"}, {"inpaint", "dps:zeta=1"},
    {"super-resolution", "ddrm"}, {"deblur", "dps"},                                 {"denoise", "ddrm"},
};

static void test_same_bits(void **state)
{
    (void)state;
    float in[PICTURES * NUMBERS], all[PICTURES * COPIES * NUMBERS], other[PICTURES * COPIES * NUMBERS], seen[PICTURES * NUMBERS],
        again[PICTURES * NUMBERS];
    fill(0, PICTURES, in);
    for (size_t j = 0; j < sizeof jobs / sizeof jobs[0]; j++)
        for (int threads = 1; threads <= 4; threads++) {
            ebb_model *m = reference_model(contexts[threads]);
            ebb_restore_options o = with(jobs[j].task, jobs[j].method);
            o.copies = COPIES;
            o.label = 1;
            json_decref(restore(contexts[threads], m, &o, PICTURES, in, threads == 1 ? seen : again, threads == 1 ? all : other));
            if (threads > 1) {
                assert_memory_equal(all, other, sizeof all);
                assert_memory_equal(seen, again, sizeof seen);
            }
            /* Picture 3 and fewer copies of it by themselves. */
            o.first = 3;
            o.copies = 2;
            json_decref(restore(contexts[threads], m, &o, 1, in + 3 * NUMBERS, again, other));
            assert_memory_equal(all + 3 * COPIES * NUMBERS, other, 2 * NUMBERS * sizeof *other);
            assert_memory_equal(seen + 3 * NUMBERS, again, NUMBERS * sizeof *again);
            ebb_model_free(m);
        }
}

/* Copies differ, seeds differ, classes differ. */
static void test_differ(void **state)
{
    (void)state;
    float in[NUMBERS], first[2 * NUMBERS], other[2 * NUMBERS];
    ebb_model *m = reference_model(ctx);
    ebb_restore_options o = with("inpaint", "ddrm");
    o.copies = 2;
    fill(0, 1, in);
    json_decref(restore(ctx, m, &o, 1, in, NULL, first));
    assert_memory_not_equal(first, first + NUMBERS, sizeof in);
    o.seed = 1;
    json_decref(restore(ctx, m, &o, 1, in, NULL, other));
    assert_memory_not_equal(first, other, sizeof first);
    o.seed = 0;
    o.label = 2;
    json_decref(restore(ctx, m, &o, 1, in, NULL, other));
    assert_memory_not_equal(first, other, sizeof first);
    ebb_model_free(m);
}

/* Guidance 0 is the class alone, -1 none, and so is 0 an interval in which no level lies; others ask twice, of every method. */
static void test_guided(void **state)
{
    (void)state;
    float in[NUMBERS], plain[NUMBERS], bare[NUMBERS], got[NUMBERS];
    ebb_model *m = reference_model(ctx);
    fill(0, 1, in);
    for (int k = 0; ebb_restorer_at(k) != NULL; k++) {
        ebb_restore_options o = with("inpaint", ebb_restorer_at(k)->way.name);
        json_decref(restore(ctx, m, &o, 1, in, NULL, bare));
        o.label = 1;
        json_t *json = restore(ctx, m, &o, 1, in, NULL, plain);
        json_int_t once = json_integer_value(json_object_get(json, "evaluations"));
        json_decref(json);
        const struct { double w, low, high; json_int_t evaluations; const float *same; } all[] = {
            {-1, 0, 0, once, bare}, {2, 1e6, 2e6, once, plain}, {2, 0, 0, 2 * once, NULL}, {-2, 0, 0, 2 * once, NULL}};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            o.guidance = all[i].w;
            o.guidance_low = all[i].low;
            o.guidance_high = all[i].high;
            json = restore(ctx, m, &o, 1, in, NULL, got);
            assert_int_equal(json_integer_value(json_object_get(json, "evaluations")), all[i].evaluations);
            assert_true(json_number_value(json_object_get(json, "guidance")) == all[i].w);
            assert_true(json_number_value(json_object_get(json, "consistency")) == 0);
            json_decref(json);
            assert_true(all[i].same == NULL ? memcmp(got, plain, sizeof got) != 0 && memcmp(got, bare, sizeof got) != 0
                                            : memcmp(got, all[i].same, sizeof got) == 0);
        }
    }
    ebb_model_free(m);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------------------------- */

/* Known pixels are those of the picture to the bit, by every method, and so are their bytes; hidden ones are not. */
static void test_known(void **state)
{
    (void)state;
    float in[2 * NUMBERS], out[2 * NUMBERS], seen[2 * NUMBERS];
    uint8_t bytes[NUMBERS], want[NUMBERS];
    ebb_model *m = reference_model(ctx);
    fill(0, 2, in);
    for (int k = 0; ebb_restorer_at(k) != NULL; k++) {
        ebb_restore_options o = with("inpaint", ebb_restorer_at(k)->way.name);
        json_t *json = restore(ctx, m, &o, 2, in, seen, out);
        assert_true(json_number_value(json_object_get(json, "consistency")) == 0);
        assert_int_equal(json_integer_value(json_object_get(json, "known")), NUMBERS / 2);
        json_decref(json);
        int same = 0;
        for (int d = 0; d < 2 * NUMBERS; d++) {
            bool known = d % SIDE >= SIDE / 2;
            assert_true(!known || (out[d] == in[d] && seen[d] == in[d]));
            assert_true(known || seen[d] == 0);
            same += !known && out[d] == in[d];
        }
        assert_true(same < NUMBERS / 4);
        ebb_pixels_to_bytes(out, NUMBERS, bytes);
        ebb_pixels_to_bytes(in, NUMBERS, want);
        for (int d = 0; d < NUMBERS; d++)
            assert_true(d % SIDE < SIDE / 2 || bytes[d] == want[d]);
    }
    ebb_model_free(m);
}

/* Means of blocks are met to the rounding of floats by every method, though numbers are kept in [-1,1]. */
static void test_means(void **state)
{
    (void)state;
    float in[NUMBERS], out[NUMBERS];
    ebb_model *m = reference_model(ctx);
    for (int d = 0; d < NUMBERS; d++)
        in[d] = d / (2 * SIDE) % 2 == 0 ? 0.97f : -0.97f;
    for (int k = 0; ebb_restorer_at(k) != NULL; k++) {
        int at_end = 0;
        ebb_restore_options o = with("super-resolution", ebb_restorer_at(k)->way.name);
        json_t *json = restore(ctx, m, &o, 1, in, NULL, out);
        double off = json_number_value(json_object_get(json, "consistency"));
        json_decref(json);
        if (!(off < 0x1p-24))
            fail_msg("%s: means are off by %g", ebb_restorer_at(k)->way.name, off);
        for (int d = 0; d < NUMBERS; d++) {
            assert_true(fabsf(out[d]) <= 1);
            at_end += fabsf(out[d]) == 1;
        }
        assert_true(at_end > 0);         /* some had to be fitted in */
    }
    ebb_model_free(m);
}

/* A measurement that is given is restored as the truth that it was made of. */
static void test_given(void **state)
{
    (void)state;
    static const char *const tasks[] = {"inpaint", "super-resolution", "deblur"};
    float in[NUMBERS], seen[NUMBERS], again[NUMBERS], out[NUMBERS], other[NUMBERS], y[NUMBERS];
    ebb_model *m = reference_model(ctx);
    fill(2, 1, in);
    for (int k = 0; k < 3; k++) {
        int shape[3];
        ebb_restore_options o = with(tasks[k], "ddrm");
        json_decref(restore(ctx, m, &o, 1, in, seen, out));
        o.given = 1;
        ok(ctx, ebb_restore_shape(ctx, m, &o, shape));
        assert_int_equal(shape[0], k == 1 ? SIDE / 2 : SIDE);
        /* Coarse pixels are what blocks of the picture to be looked at hold. */
        for (int i = 0; i < shape[0] * shape[1]; i++)
            y[i] = k == 1 ? seen[i / shape[1] * 2 * SIDE + i % shape[1] * 2] : seen[i];
        json_t *json = restore(ctx, m, &o, 1, y, again, other);
        assert_null(json_object_get(json, "psnr"));
        json_decref(json);
        for (int d = 0; d < NUMBERS; d++)
            if (!(fabsf(out[d] - other[d]) < 2e-3f && fabsf(seen[d] - again[d]) < 1e-6f))
                fail_msg("%s: pixel %d is %g, of the measurement %g", tasks[k], d, out[d], other[d]);
    }
    ebb_model_free(m);
}

/* Mean square error, PSNR, agreement and spread, computed again; noise has the deviation that was asked for. */
static void test_report(void **state)
{
    (void)state;
    enum { N = 4 };
    float in[N * NUMBERS], seen[N * NUMBERS], out[N * COPIES * NUMBERS];
    double psnr = 0, off = 0, noise = 0;
    ebb_model *m = reference_model(ctx);
    ebb_restore_options o = with("denoise", "ddrm");
    o.copies = COPIES;
    fill(0, N, in);
    json_t *json = restore(ctx, m, &o, N, in, seen, out);
    for (int i = 0; i < N * COPIES; i++) {
        double error = 0;
        for (int d = 0; d < NUMBERS; d++) {
            double to = in[i / COPIES * NUMBERS + d], y = seen[i / COPIES * NUMBERS + d], x = out[i * NUMBERS + d];
            error += (x - to) * (x - to) / NUMBERS;
            off += (x - y) * (x - y) / (N * COPIES * NUMBERS);
            noise += (y - to) * (y - to) / (N * COPIES * NUMBERS);
        }
        psnr += 10 * log10(4 / error) / (N * COPIES);
    }
    assert_true(fabs(json_number_value(json_object_get(json, "psnr")) - psnr) < 1e-6);
    assert_true(fabs(json_number_value(json_object_get(json, "consistency")) - sqrt(off)) < 1e-6);
    assert_true(fabs(sqrt(noise) - 0.4) < 4 * 0.4 / sqrt(2.0 * N * NUMBERS));
    assert_true(json_number_value(json_object_get(json, "psnr_of_mean")) > json_number_value(json_object_get(json, "psnr")));
    assert_true(json_number_value(json_object_get(json, "spread")) > 0);
    assert_int_equal(json_array_size(json_object_get(json, "pictures")), N);
    assert_int_equal(json_integer_value(json_object_get(json, "evaluations")), 4);
    json_decref(json);
    ebb_model_free(m);
}

/* ---- refusals -------------------------------------------------------------------------------------------------------------------- */

static int stop(void *user, int64_t done, int64_t total)
{
    assert_true(done >= 1 && done <= total);
    return ++*(int *)user >= 3;
}

static void test_refuses(void **state)
{
    (void)state;
    int calls = 0;
    static const struct { ebb_restore_options o; ebb_status status; const char *says; } all[] = {
        {{.task = "inpant"}, EBB_E_USAGE, "did you mean 'inpaint'"},
        {{.method = "ddrn", .mask = "box:2x2"}, EBB_E_USAGE, "did you mean 'ddrm'"},
        {{.mask = "box:2x2", .grid = "karas"}, EBB_E_USAGE, "did you mean 'karras'"},
        {{.mask = "box:2x2", .precision = "f31"}, EBB_E_USAGE, "f31"},
        {{.task = "inpaint"}, EBB_E_ARGUMENT, "give a mask"},
        {{.task = "denoise"}, EBB_E_ARGUMENT, "sigma"},
        {{.task = "deblur", .mask = "box:2x2"}, EBB_E_ARGUMENT, "takes no mask"},
        {{.task = "deblur", .factor = 2}, EBB_E_ARGUMENT, "takes no factor"},
        {{.task = "inpaint", .mask = "box:2x2", .blur = 2}, EBB_E_ARGUMENT, "takes no blur"},
        {{.task = "colorize"}, EBB_E_ARGUMENT, "1 channels"},
        {{.mask = "box:2x2", .sigma = -1}, EBB_E_ARGUMENT, "-1"},
        {{.mask = "box:2x2", .sigma = NAN}, EBB_E_ARGUMENT, "nan"},
        {{.mask = "box:2x2", .label = 3}, EBB_E_ARGUMENT, "0..2"},
        {{.mask = "box:2x2", .label = EBB_LABEL_NONE, .guidance = 1}, EBB_E_ARGUMENT, "needs a class"},
        {{.mask = "box:2x2", .label = 1, .guidance = NAN}, EBB_E_ARGUMENT, "finite"},
        {{.mask = "box:2x2", .label = 1, .guidance = 1, .guidance_low = 2, .guidance_high = 2}, EBB_E_ARGUMENT, "low < high"},
        {{.mask = "box:2x2", .copies = 5000}, EBB_E_ARGUMENT, "4096"},
        {{.mask = "box:2x2", .copies = -1}, EBB_E_ARGUMENT, "-1"},
        {{.mask = "box:2x2", .first = -1}, EBB_E_ARGUMENT, "-1"},
        {{.mask = "box:2x2", .steps = -1}, EBB_E_ARGUMENT, "-1"},
        {{.mask = "box:2x2", .first = (1 << 20) - 1}, EBB_E_ARGUMENT, "1048575"},
    };
    float in[2 * NUMBERS], out[2 * NUMBERS];
    char *text;
    ebb_model *m = reference_model(ctx);
    fill(0, 2, in);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ebb_restore_options o = all[i].o;
        o.size = sizeof o;
        o.label = o.label != 0 ? o.label : EBB_LABEL_NONE;
        assert_int_equal(ebb_restore(ctx, m, &o, 2, in, NULL, out, &text), all[i].status);
        assert_says(ctx, all[i].says);
        assert_null(text);
    }
    ebb_restore_options o = with("inpaint", "ddrm");
    assert_int_equal(ebb_restore(ctx, m, &o, 0, in, NULL, out, &text), EBB_E_ARGUMENT);
    in[NUMBERS + 7] = NAN;
    assert_int_equal(ebb_restore(ctx, m, &o, 2, in, NULL, out, &text), EBB_E_NUMERIC);
    assert_says(ctx, "picture 1");
    o.progress = stop;
    o.user = &calls;
    in[NUMBERS + 7] = 0;
    assert_int_equal(ebb_restore(ctx, m, &o, 2, in, NULL, out, &text), EBB_E_ARGUMENT);
    assert_says(ctx, "stopped");
    assert_int_equal(calls, 3);
    ebb_model_free(m);
}

static int begin(void **state)
{
    backend = "own";
    if (setup(state) != 0)
        return 1;
    train(ctx, "reference");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient), cmocka_unit_test(test_same_bits), cmocka_unit_test(test_differ),
        cmocka_unit_test(test_known),    cmocka_unit_test(test_given),     cmocka_unit_test(test_report),
        cmocka_unit_test(test_guided),   cmocka_unit_test(test_means),     cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, begin, teardown);
}
