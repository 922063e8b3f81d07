/* test_sample.c: sampling promises bits, whatever the threads and the batch; and refuses wrong options. */
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
#include "sample/sampling.h"

static ebb_sample_options sampling_options(void)
{
    ebb_sample_options o = ebb_sample_defaults();
    o.n = 11;
    o.seed = 4;
    o.label = 1;
    o.steps = 4;
    o.guidance = 0.7;
    o.eta = 0.5;
    return o;
}

static void test_samples(void **state)
{
    enum { N = 11, NUMBERS = SIDE * SIDE };
    static float batch[N * NUMBERS], other[N * NUMBERS];
    (void)state;
    ebb_model *m = reference_model(ctx);
    ebb_sample_options o = sampling_options();
    ok(ctx, ebb_sample(ctx, m, &o, batch));
    ebb_model_free(m);
    assert_memory_not_equal(batch, batch + NUMBERS, NUMBERS * sizeof(float));
    for (int threads = 1; threads <= 4; threads++) {
        m = reference_model(contexts[threads]);
        o = sampling_options();
        ok(contexts[threads], ebb_sample(contexts[threads], m, &o, other));
        assert_memory_equal(batch, other, sizeof batch);
        /* Alone, and in parts. */
        for (int i = 0; i < N; i += 1 + i % 3) {
            o.first = i;
            o.n = i + 1 + i % 3 <= N ? 1 + i % 3 : N - i;
            ok(contexts[threads], ebb_sample(contexts[threads], m, &o, other));
            assert_memory_equal(batch + i * NUMBERS, other, (size_t)o.n * NUMBERS * sizeof(float));
        }
        ebb_model_free(m);
    }
}

/* All memory is there before the first picture begins, alone (by a team) and in a batch. */
static void test_allocates_nothing(void **state)
{
    static float pixels[11 * SIDE * SIDE];
    (void)state;
    ebb_model *m = reference_model(ctx);
    ebb_sample_options o = sampling_options();
    for (int many = 0; many < 2; many++) {
        ebb_sampling *s;
        o.n = many ? 11 : 1;
        ok(ctx, ebb_sampling_create(ctx, m, &o, &s));
        uint64_t calls = ebb_mem_read().calls;
        ok(ctx, ebb_sampling_run(s, pixels));
        assert_int_equal(ebb_mem_read().calls, calls);
        ebb_sampling_free(s);
    }
    ebb_model_free(m);
}

/* EBB_LABEL_ALL gives blocks of classes; guidance 0 is the conditional model. */
static void test_labels(void **state)
{
    enum { NUMBERS = SIDE * SIDE };
    static float all[6 * NUMBERS], one[2 * NUMBERS], none[2 * NUMBERS];
    (void)state;
    ebb_model *m = reference_model(ctx);
    for (int guided = 0; guided < 2; guided++) {
        ebb_sample_options o = sampling_options();
        o.guidance = guided;
        o.n = 6;
        o.label = EBB_LABEL_ALL;
        ok(ctx, ebb_sample(ctx, m, &o, all));
        o.n = 2;
        for (int c = 0; c < 3; c++) {
            o.label = c;
            o.first = 2 * c;
            ok(ctx, ebb_sample(ctx, m, &o, one));
            assert_memory_equal(all + c * 2 * NUMBERS, one, sizeof one);
        }
        o.label = EBB_LABEL_NONE;
        o.guidance = 0;
        ok(ctx, ebb_sample(ctx, m, &o, none));
        assert_memory_not_equal(none, one, sizeof one);
    }
    ebb_model_free(m);
}

/* A class for each picture: those that one class for all gives. */
static void test_each_label(void **state)
{
    enum { NUMBERS = SIDE * SIDE };
    static const int32_t labels[4] = {2, 0, 2, 1};
    static float all[4 * NUMBERS], one[NUMBERS];
    (void)state;
    ebb_model *m = reference_model(ctx);
    ebb_sample_options o = sampling_options();
    o.n = 4;
    o.label = EBB_LABEL_ALL;
    o.labels = labels;
    ok(ctx, ebb_sample(ctx, m, &o, all));
    o.n = 1;
    o.labels = NULL;
    for (int i = 0; i < 4; i++) {
        o.label = labels[i];
        o.first = i;
        ok(ctx, ebb_sample(ctx, m, &o, one));
        assert_memory_equal(all + i * NUMBERS, one, sizeof one);
    }
    ebb_model_free(m);
}

/* Each sampler runs on a trained network, makes what it says and the same picture again. */
static void test_every_sampler(void **state)
{
    enum { NUMBERS = SIDE * SIDE };
    static float one[2 * NUMBERS], again[2 * NUMBERS];
    (void)state;
    char *text;
    json_t *list, *item;
    size_t i;
    int made = 0;
    ok(ctx, ebb_sampler_list(ctx, &text));
    list = json_loads(text, 0, NULL);
    ebb_free(text);
    ebb_model *m = reference_model(ctx);
    json_array_foreach (list, i, item) {
        ebb_sample_options o = sampling_options();
        o.sampler = json_string_value(json_object_get(item, "name"));
        o.n = 2;
        o.eta = NAN;
        ebb_status status = ebb_sample(ctx, m, &o, one);
        /* Some need what this network lacks, and say so. */
        if (status == EBB_OK) {
            ok(ctx, ebb_sample(ctx, m, &o, again));
            assert_memory_equal(one, again, sizeof one);
            made++;
        } else {
            assert_int_equal(status, EBB_E_ARGUMENT);
        }
    }
    assert_true(made >= (int)json_array_size(list) * 2 / 3);
    json_decref(list);
    ebb_model_free(m);
}

/* A grid whose text counts its levels settles the steps, unless other steps are asked for. */
static void test_counted_grid(void **state)
{
    enum { NUMBERS = SIDE * SIDE };
    static float one[2 * NUMBERS], other[2 * NUMBERS];
    (void)state;
    ebb_model *m = reference_model(ctx);
    ebb_sample_options o = sampling_options();
    o.n = 2;
    o.grid = "sections:counts=4+3";
    o.steps = 0;
    ok(ctx, ebb_sample(ctx, m, &o, one));
    o.steps = 7;
    ok(ctx, ebb_sample(ctx, m, &o, other));
    assert_memory_equal(one, other, sizeof one);
    o.steps = 8;
    assert_int_equal(ebb_sample(ctx, m, &o, other), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "makes 7 steps"));
    ebb_model_free(m);
}

static int count_calls(void *user, int64_t done, int64_t total)
{
    int64_t *seen = user;
    assert_int_equal(done, seen[0] + 1);
    assert_int_equal(total, seen[2]);
    seen[0] = done;
    return done >= seen[1];
}

static void test_progress(void **state)
{
    static float pixels[11 * SIDE * SIDE];
    int64_t seen[3] = {0, 1000, 0};
    (void)state;
    ebb_model *m = reference_model(ctx);
    ebb_sample_options o = sampling_options();
    o.progress = count_calls;
    o.user = seen;
    seen[2] = 2 * o.steps; /* 11 pictures in two shards */
    ok(ctx, ebb_sample(ctx, m, &o, pixels));
    assert_int_equal(seen[0], seen[2]);
    seen[0] = 0;
    seen[1] = 3;
    assert_int_equal(ebb_sample(ctx, m, &o, pixels), EBB_E_ARGUMENT);
    assert_says(ctx, "stopped after 3 of 8");
    ebb_model_free(m);
}

typedef struct wrong {
    ebb_sample_options change;
    ebb_status status;
    const char *says;
} wrong;

static void test_wrong_options(void **state)
{
    static float pixels[11 * SIDE * SIDE];
    (void)state;
    ebb_model *m = reference_model(ctx);
    ebb_sample_options good = sampling_options();
    static const int32_t beyond[11] = {0, 1, 3};
    wrong cases[10];
    for (int i = 0; i < 10; i++)
        cases[i].change = good;
    cases[0].change.label = 3, cases[0].status = EBB_E_ARGUMENT, cases[0].says = "class 3 is outside 0..2";
    cases[1].change.sampler = "ddmp", cases[1].status = EBB_E_USAGE, cases[1].says = "did you mean 'dd";
    cases[2].change.steps = 21, cases[2].status = EBB_E_ARGUMENT, cases[2].says = "1 to 20";
    cases[3].change.eta = 1.5, cases[3].status = EBB_E_ARGUMENT, cases[3].says = "eta";
    cases[4].change.n = 0, cases[4].status = EBB_E_ARGUMENT, cases[4].says = "at least one";
    cases[5].change.first = UINT32_MAX, cases[5].status = EBB_E_ARGUMENT, cases[5].says = "outside";
    cases[6].change.guidance = INFINITY, cases[6].status = EBB_E_ARGUMENT, cases[6].says = "guidance";
    cases[7].change.label = EBB_LABEL_NONE, cases[7].status = EBB_E_ARGUMENT, cases[7].says = "needs a class";
    cases[8].change.labels = beyond, cases[8].change.label = EBB_LABEL_ALL, cases[8].change.n = 3;
    cases[8].status = EBB_E_ARGUMENT, cases[8].says = "class 3 of picture 2";
    cases[9].change.labels = beyond, cases[9].status = EBB_E_ARGUMENT, cases[9].says = "EBB_LABEL_ALL";
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ebb_sample(ctx, m, &cases[i].change, pixels), cases[i].status);
        assert_says(ctx, cases[i].says);
    }
    ebb_model_free(m);
}

static int setup_with_model(void **state)
{
    int failed = setup(state);
    if (!failed)
        train(ctx, "reference");
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_every_sampler),
        cmocka_unit_test(test_counted_grid),
        cmocka_unit_test(test_allocates_nothing),
        cmocka_unit_test(test_labels), cmocka_unit_test(test_each_label),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_wrong_options),
    };
    int failed = 0;
    backend = "own";
    failed += cmocka_run_group_tests_name("sample, own kernels", tests, setup_with_model, teardown);
#ifdef EBB_HAVE_ONEDNN
    backend = "onednn";
    failed += cmocka_run_group_tests_name("sample, oneDNN", tests, setup_with_model, teardown);
#endif
    return failed;
}
