/* test_quality.c: pictures judged beside a data set: its halves, the classifier that is trained once, the floor, better and worse
 * pictures in their order, the same bits by any number of threads; and what cannot be judged.
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

#include "sample/pictures.h"
#include "study/quality.h"
#include "support/contexts.h"
#include "support/temporary.h"

#define DIGITS(part) EBB_SOURCE_DIR "/data/mnist/mnist-" part "-ubyte.gz"

enum { N = 200, NUMBERS = 28 * 28, ROUNDS = 20 };

static ebb_context *ctx[2];      /* of one thread, and of three */
static temporary_folder folder;
static ebb_recipe *digits;       /* 1,000 held-out digits as the data */
static ebb_quality *quality[2];
static uint8_t *others;          /* (N) digits that are not among them */

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s%s", ebb_message(ctx[0]), ebb_message(ctx[1]));
}

static void says(const char *part)
{
    if (strstr(ebb_message(ctx[0]), part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, ebb_message(ctx[0]));
}

static ebb_recipe *recipe(const char *const *keys)
{
    ebb_recipe *r;
    ok(ebb_recipe_default(ctx[0], &r));
    for (; *keys != NULL; keys++)
        ok(ebb_recipe_set(ctx[0], r, *keys));
    return r;
}

static ebb_quality_options options(const ebb_recipe *r)
{
    return (ebb_quality_options){.dir = folder, .recipe = r, .n = N, .resamples = ROUNDS, .quick = true};
}

/* ---- halves ------------------------------------------------------------------------------------------------------------------- */

/* Each picture in one half and once, and always the same. */
static void test_split(void **state)
{
    enum { COUNT = 1001 };
    uint32_t order[COUNT], again[COUNT], first = 0;
    char seen[COUNT] = {0};
    (void)state;
    ebb_quality_split(COUNT, order);
    ebb_quality_split(COUNT, again);
    assert_memory_equal(order, again, sizeof order);
    for (int i = 0; i < COUNT; i++) {
        assert_true(order[i] < COUNT && !seen[order[i]]++);
        first += i < 501 && order[i] < 501;
    }
    assert_true(first > 200 && first < 300);
    assert_int_equal(order[0], 851);
    assert_int_equal(order[COUNT - 1], 184);
}

/* ---- judging -------------------------------------------------------------------------------------------------------------------- */

static void judge(ebb_quality *q, const uint8_t *pictures, ebb_measure *found)
{
    ok(ebb_quality_judge(q, pictures, N, ROUNDS, found));
}

/* Worse by every metric that sees data, beyond the intervals. */
static void test_order(void **state)
{
    uint8_t *noisy = malloc(N * NUMBERS);
    ebb_measure real[EBB_METRICS], found[EBB_METRICS];
    const ebb_measure *floor = ebb_quality_floor(quality[0]);
    (void)state;
    for (int i = 0; i < N * NUMBERS; i++) {
        int row = i / 28 % 28, column = i % 28, from = i / NUMBERS * NUMBERS + column * 28 + row;   /* turned over, too */
        int value = others[from] + (int)((unsigned)i * 2654435761u >> 24) - 128;
        noisy[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    judge(quality[0], others, real);
    judge(quality[0], noisy, found);
    for (int m = 0; m < EBB_METRICS; m++) {
        const char *name = ebb_metric_name((ebb_metric)m);
        if (m == EBB_METRIC_BITS) {
            assert_true(isnan(real[m].value) && isnan(floor[m].value));
            continue;
        }
        assert_true(isfinite(real[m].value) && isfinite(real[m].low) && isfinite(floor[m].low));
        if (m == EBB_METRIC_SCORE || m == EBB_METRIC_COPIES)
            continue;
        bool higher = strcmp(ebb_metric_better((ebb_metric)m), "higher") == 0;
        if (higher ? !(found[m].high < real[m].low) : !(found[m].low > real[m].high))
            fail_msg("%s: noisy %g to %g, real %g to %g", name, found[m].low, found[m].high, real[m].low, real[m].high);
        if (higher ? !(found[m].high < floor[m].low) : !(found[m].low > floor[m].high))
            fail_msg("%s: noisy %g to %g, floor %g to %g", name, found[m].low, found[m].high, floor[m].low, floor[m].high);
    }
    free(noisy);
}

/* The other half of the data: what chance makes of it, each figure. */
static void test_floor(void **state)
{
    const ebb_measure *floor = ebb_quality_floor(quality[0]);
    (void)state;
    assert_int_equal(ebb_quality_reference_count(quality[0]), 500);
    assert_int_equal(ebb_quality_floor_count(quality[0]), N);
    assert_true(floor[EBB_METRIC_KID].low < 0 && floor[EBB_METRIC_KID].high > 0);
    assert_true(floor[EBB_METRIC_SHARES].value < 3);
    assert_true(floor[EBB_METRIC_PRECISION].value > 0.7 && floor[EBB_METRIC_COVERAGE].value > 0.7);
    assert_true(fabs(floor[EBB_METRIC_DENSITY].value - 1) < 0.15);
    assert_true(floor[EBB_METRIC_COPIES].value > 0.005 && floor[EBB_METRIC_COPIES].value < 0.12);
}

/* Pictures of the data, whichever half they are from, are found to be copies; other digits are not. */
static void test_copies(void **state)
{
    ebb_dataset data;
    ebb_measure found[EBB_METRICS];
    (void)state;
    ok(ebb_recipe_dataset(ctx[0], digits, &data));
    judge(quality[0], data.bytes + 300 * NUMBERS, found);
    assert_true(found[EBB_METRIC_COPIES].value == 1);
    judge(quality[0], others, found);
    assert_true(found[EBB_METRIC_COPIES].value < 0.12);
    ebb_dataset_free(&data);
}

/* One classifier for both, which was trained once. */
static void test_threads(void **state)
{
    ebb_measure found[2][EBB_METRICS];
    (void)state;
    for (int k = 0; k < 2; k++)
        judge(quality[k], others, found[k]);
    for (int m = 0; m < EBB_METRICS; m++)
        if (memcmp(&found[0][m], &found[1][m], sizeof found[0][m]) != 0 ||
            memcmp(&ebb_quality_floor(quality[0])[m], &ebb_quality_floor(quality[1])[m], sizeof found[0][m]) != 0)
            fail_msg("%s depends on threads", ebb_metric_name((ebb_metric)m));
    char **names, models[128];
    int32_t count;
    snprintf(models, sizeof models, "%s/models", folder);
    ok(ebb_directory_list(ctx[0], models, &names, &count));
    assert_int_equal(count, 1);
    ebb_free(names);
}

static void test_about(void **state)
{
    double share[10], sum = 0;
    int shape[3];
    json_t *about = ebb_quality_about(quality[0]), *features = json_object_get(about, "features");
    (void)state;
    assert_int_equal(json_integer_value(json_object_get(about, "pictures")), 1000);
    assert_int_equal(json_integer_value(json_object_get(about, "reference")), 500);
    assert_int_equal(json_integer_value(json_object_get(about, "floor")), N);
    assert_int_equal(json_integer_value(json_object_get(features, "held_out")), 100);
    assert_int_equal(json_integer_value(json_object_get(features, "dim")), 32);
    assert_true(json_real_value(json_object_get(features, "accuracy")) > 0.5);
    assert_int_equal(strlen(json_string_value(json_object_get(features, "key"))), 16);
    assert_non_null(strstr(json_string_value(json_object_get(features, "model")), "/models/features-"));
    json_decref(about);
    ebb_quality_shape(quality[0], shape);
    assert_true(shape[0] == 28 && shape[1] == 28 && shape[2] == 1 && ebb_quality_classes(quality[0]) == 10);
    ebb_quality_shares(quality[0], share);
    for (int c = 0; c < 10; c++)
        sum += share[c];
    assert_true(fabs(sum - 1) < 1e-12 && share[1] > 0.08);
}

/* The same data by another path of a recipe that has no labels of its own. */
static void test_other_data(void **state)
{
    ebb_recipe *r = recipe((const char *const[]){"data.kind=synthetic", "data.size=8", NULL});
    ebb_recipe *data = NULL;
    ebb_quality *q;
    (void)state;
    r->data_size = (ebb_key_INTS){0};
    r->data_channels = 0;
    ok(ebb_data_recipe(ctx[0], r, DIGITS("test-images-idx3"), DIGITS("test-labels-idx1"), &data));
    ebb_quality_options o = options(data);
    ok(ebb_quality_create(ctx[0], &o, &q));
    assert_memory_equal(ebb_quality_floor(q), ebb_quality_floor(quality[0]), EBB_METRICS * sizeof(ebb_measure));
    ebb_quality_free(q);
    ebb_recipe_free(data);
    ebb_recipe_free(r);
}

/* ---- what cannot be judged ------------------------------------------------------------------------------------------------------------ */

static ebb_status stop(void *user, const char *doing, int64_t done, int64_t total)
{
    (void)user, (void)done, (void)total;
    return strcmp(doing, "reading the reference") == 0 ? EBB_E_ARGUMENT : EBB_OK;
}

static void refused(const ebb_quality_options *o, const char *why)
{
    ebb_quality *q;
    assert_int_equal(ebb_quality_create(ctx[0], o, &q), EBB_E_ARGUMENT);
    assert_null(q);
    says(why);
}

static void test_refusals(void **state)
{
    ebb_measure found[EBB_METRICS];
    ebb_recipe *unlabelled = NULL;
    ebb_quality_options o = options(digits);
    (void)state;
    assert_int_equal(ebb_quality_judge(quality[0], others, 5, 0, found), EBB_E_ARGUMENT);
    says("too few");
    ok(ebb_data_recipe(ctx[0], digits, DIGITS("test-images-idx3"), NULL, &unlabelled));
    o = options(unlabelled);
    refused(&o, "no labels");
    ebb_recipe_free(unlabelled);
    o = options(digits);
    o.n = 5;
    refused(&o, "too few");
    o = options(digits);
    o.progress = stop;
    refused(&o, "stopped while reading the reference");
    ebb_recipe *r = recipe((const char *const[]){"data.kind=ring", NULL});
    o = options(r);
    refused(&o, "points");
    ok(ebb_recipe_set(ctx[0], r, "data.kind=synthetic"));
    ok(ebb_recipe_set(ctx[0], r, "data.size=8"));
    ok(ebb_recipe_set(ctx[0], r, "net.classes=2"));
    ok(ebb_recipe_set(ctx[0], r, "data.limit=11"));
    refused(&o, "too few");
    ebb_recipe_free(r);
}

/* ebb_eval, before anything is computed. */
static void test_eval_refusals(void **state)
{
    ebb_eval_options o = {.size = sizeof o, .data = DIGITS("test-images-idx3"), .dir = folder};
    const char *pictures = DIGITS("train-images-idx3");
    char *text;
    (void)state;
    const struct { int64_t n, nll; int resamples; const ebb_sample_options *sample; const char *data, *says; } cases[] = {
        {-1, 0, 0, NULL, o.data, "judging -1"}, {0, 3, 0, NULL, o.data, "of models"}, {0, 0, -2, NULL, o.data, "-2 resamples"},
        {0, 0, 0, &(ebb_sample_options){.size = sizeof(ebb_sample_options)}, o.data, "of models"}, {0, 0, 0, NULL, NULL, "which data"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        o.n = cases[i].n, o.nll = cases[i].nll, o.resamples = cases[i].resamples, o.sample = cases[i].sample, o.data = cases[i].data;
        assert_int_equal(ebb_eval(ctx[0], NULL, pictures, &o, &text), EBB_E_ARGUMENT);
        says(cases[i].says);
        assert_null(text);
    }
    assert_int_equal(ebb_eval(ctx[0], NULL, NULL, &o, &text), EBB_E_ARGUMENT);
    says("one of them");
    o.size = 0;
    assert_int_equal(ebb_eval(ctx[0], NULL, pictures, &o, &text), EBB_E_ARGUMENT);
    says("size is 0");
}

static int setup(void **state)
{
    ebb_dataset data;
    (void)state;
    if (!temporary_make(folder, "quality") || contexts_create(ctx) != 0)
        return 1;
    digits = recipe((const char *const[]){"data.kind=idx", "data.path=" DIGITS("test-images-idx3"), "data.labels=" DIGITS("test-labels-idx1"), NULL});
    ebb_quality_options o = options(digits);
    for (int k = 0; k < 2; k++)
        ok(ebb_quality_create(ctx[k], &o, &quality[k]));
    ok(ebb_dataset_open(ctx[0], &(ebb_dataset_options){.kind = "idx", .path = DIGITS("train-images-idx3"), .limit = N}, &data));
    others = data.bytes;
    ebb_free(data.labels);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++)
        ebb_quality_free(quality[k]);
    ebb_free(others);
    ebb_recipe_free(digits);
    contexts_free(ctx);
    return ebb_mem_read().bytes != 0 || !temporary_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),   cmocka_unit_test(test_floor), cmocka_unit_test(test_order),      cmocka_unit_test(test_copies),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_about), cmocka_unit_test(test_other_data), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_eval_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
