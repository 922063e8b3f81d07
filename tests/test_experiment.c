/* test_experiment.c: the runner of experiments: what passes and what does not, results that are kept and when they stand, models
 * that are trained once, shared, cut and gone on with, and data that are not here.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "study/experiment.h"
#include "support/temporary.h"

static ebb_context *ctx;
static temporary_folder folder;

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
}

static void says(const char *part)
{
    if (strstr(ebb_message(ctx), part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, ebb_message(ctx));
}

/* ---- trials of the tests' own --------------------------------------------------------------------------------------------------- */

static ebb_status nothing(ebb_trial *x)
{
    (void)x;
    return EBB_OK;
}

#define TINY "mixture-ism net.width=16 train.steps=8 train.batch=64 train.shard=32 train.save_every=3 data.limit=1000"
static const ebb_experiment_kind kind = {"test", "T", TINY " " TINY " optim.lr=1e-3", "a test", "none", nothing};

static ebb_trial trial_of(const ebb_experiment_kind *of, const char *dir)
{
    return (ebb_trial){.ctx = ctx, .kind = of, .o = {.size = sizeof(ebb_experiment_options), .name = of->name, .dir = dir},
                       .checks = json_array(), .pictures = json_array()};
}

static void end(ebb_trial *x)
{
    json_decref(x->checks);
    json_decref(x->pictures);
}

static const json_t *member(const ebb_trial *x, size_t i, const char *key)
{
    return json_object_get(json_array_get(x->checks, i), key);
}

static void test_checks(void **state)
{
    ebb_trial x = trial_of(&kind, folder);
    char path[EBB_TRIAL_PATH];
    (void)state;
    ebb_trial_expect(&x, 1, 1, 2, "1 to 2", "low end %d", 7);
    ebb_trial_expect(&x, 2.0001, 1, 2, "1 to 2", "above");
    ebb_trial_expect(&x, NAN, -INFINITY, INFINITY, "anything", "not a number");
    ebb_trial_expect(&x, -1e300, -INFINITY, 0, "below 0", "open");
    ebb_trial_holds(&x, false, "yes", "does not hold");
    ebb_trial_figure(&x, 3, "4", "nothing claimed");
    assert_int_equal(json_array_size(x.checks), 6);
    const int want[] = {JSON_TRUE, JSON_FALSE, JSON_FALSE, JSON_TRUE, JSON_FALSE, JSON_NULL};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(json_typeof(member(&x, i, "pass")), want[i]);
    assert_string_equal(json_string_value(member(&x, 0, "name")), "low end 7");
    assert_true(json_is_null(member(&x, 2, "value")) && json_is_null(member(&x, 3, "low")));
    assert_int_equal(ebb_trial_scale(&x, 100, 3), 100);
    x.o.quick = 1;
    ebb_trial_expect(&x, 1, 1, 2, "1 to 2", "quick");
    assert_true(json_is_null(member(&x, 6, "pass")));
    assert_int_equal(ebb_trial_scale(&x, 100, 3), 3);
    ok(ebb_trial_picture(&x, "part", path));
    assert_non_null(strstr(path, "/test-quick-part.png"));
    end(&x);
}

/* ---- the list ------------------------------------------------------------------------------------------------------------------- */

/* Every row can be told from the others, and its recipes are recipes. */
static void test_list(void **state)
{
    (void)state;
    int rows = 0;
    for (; ebb_experiment_at(rows) != NULL; rows++) {
        const ebb_experiment_kind *of = ebb_experiment_at(rows);
        uint64_t full, quick;
        assert_non_null(of->run);
        assert_true(of->row[0] == 'E' && *of->help != 0 && *of->source != 0);
        for (int j = 0; j < rows; j++)
            assert_string_not_equal(of->name, ebb_experiment_at(j)->name);
        ebb_trial x = trial_of(of, folder);
        ok(ebb_trial_key(&x, &full));
        x.o.quick = 1;
        ok(ebb_trial_key(&x, &quick));
        assert_true((full == quick) == (*of->models == 0));
        end(&x);
    }
    assert_true(rows >= 20);
    assert_null(ebb_experiment_at(-1));
}

/* ---- models --------------------------------------------------------------------------------------------------------------------- */

typedef struct stopping { int calls, stop_at; } stopping;

static int count_calls(void *user, const char *doing, int64_t done, int64_t total)
{
    stopping *s = user;
    assert_true(done >= 0 && done <= total && *doing != 0);
    return ++s->calls == s->stop_at;
}

static void model_path(const char *dir, int index, stopping *s, char path[EBB_TRIAL_PATH])
{
    ebb_trial x = trial_of(&kind, dir);
    x.o.progress = count_calls;
    x.o.user = s;
    ok(ebb_trial_model_path(&x, index, path));
    end(&x);
}

static void assert_same(const char *a, const char *b)
{
    void *one, *other;
    size_t n, m;
    ok(ebb_file_read(ctx, a, 1 << 26, &one, &n));
    ok(ebb_file_read(ctx, b, 1 << 26, &other, &m));
    assert_int_equal(n, m);
    assert_memory_equal(one, other, n);
    ebb_free(one);
    ebb_free(other);
}

static const char *in(const char *name)
{
    return temporary_path(folder, name);
}

/* Trained once, and another recipe's elsewhere. */
static void test_models(void **state)
{
    char path[EBB_TRIAL_PATH], again[EBB_TRIAL_PATH], other[EBB_TRIAL_PATH];
    stopping s = {0};
    (void)state;
    model_path(in("uncut"), 0, &s, path);
    assert_int_equal(s.calls, 8);
    model_path(in("uncut"), 0, &s, again);
    assert_int_equal(s.calls, 8);
    assert_string_equal(path, again);
    model_path(in("uncut"), 1, &s, other);
    assert_int_equal(s.calls, 16);
    assert_string_not_equal(path, other);
    ebb_trial x = trial_of(&kind, in("uncut"));
    ebb_model *model;
    assert_int_equal(ebb_trial_model_path(&x, 2, other), EBB_E_INTERNAL);
    ok(ebb_trial_model(&x, 0, &model));
    assert_int_equal(model->step, 8);
    ebb_model_free(model);
    end(&x);
}

/* Stopped after step 5, then gone on with; killed before the first checkpoint, then begun anew: the bits of an uncut one. */
static void test_cut(void **state)
{
    char uncut[EBB_TRIAL_PATH], path[EBB_TRIAL_PATH];
    stopping s = {0}, stop = {.stop_at = 5};
    (void)state;
    model_path(in("uncut"), 0, &s, uncut);
    ebb_trial x = trial_of(&kind, in("cut"));
    x.o.progress = count_calls;
    x.o.user = &stop;
    assert_int_equal(ebb_trial_model_path(&x, 0, path), EBB_E_ARGUMENT);
    says("stopped after step 5 of 8");
    end(&x);
    s.calls = 0;
    model_path(in("cut"), 0, &s, path);
    assert_int_equal(s.calls, 3);
    assert_same(uncut, path);
    char *name = strrchr(path, '/') + 1;
    const char *left[] = {"model.safetensors", "checkpoint.safetensors"};
    for (int i = 0; i < 2; i++) {
        strcpy(name, left[i]);
        assert_int_equal(ebb_os_table.unlink(path), 0);
    }
    s.calls = 0;
    model_path(in("cut"), 0, &s, path);
    assert_int_equal(s.calls, 8);
    assert_same(uncut, path);
}

/* A model that is damaged is an error that names it, not a reason to train again in silence. */
static void test_damaged_model(void **state)
{
    char path[EBB_TRIAL_PATH];
    stopping s = {0};
    ebb_writer *w;
    (void)state;
    model_path(in("damaged"), 0, &s, path);
    ok(ebb_writer_open(ctx, path, &w));
    ok(ebb_writer_write(w, "nonsense", 8));
    ok(ebb_writer_commit(&w));
    ebb_trial x = trial_of(&kind, in("damaged"));
    assert_int_equal(ebb_trial_model_path(&x, 0, path), EBB_E_FORMAT);
    says("model.safetensors");
    end(&x);
}

static void test_missing_data(void **state)
{
    static const ebb_experiment_kind lacking = {"lacking", "T", "digits data.path=/nowhere/fashion-mnist.gz", "", "", nothing};
    char path[EBB_TRIAL_PATH];
    ebb_trial x = trial_of(&lacking, folder);
    ebb_trial_pictures p;
    (void)state;
    assert_int_equal(ebb_trial_model_path(&x, 0, path), EBB_E_UNSUPPORTED);
    assert_non_null(strstr(x.missing, "/nowhere/fashion-mnist.gz"));
    assert_non_null(strstr(x.missing, "apt install dataset-fashion-mnist"));
    x.missing[0] = 0;
    assert_int_equal(ebb_trial_read_pictures(&x, "nowhere.gz", NULL, 0, 0, &p), EBB_E_UNSUPPORTED);
    assert_non_null(strstr(x.missing, "nowhere.gz"));
    end(&x);
}

/* A part that lacks its data is told and left out; a failure of another kind is not. */
static void test_skips(void **state)
{
    static const ebb_experiment_kind lacking = {"lacking", "T", "emoji data.path=/nowhere/emoji", "", "", nothing};
    char path[EBB_TRIAL_PATH];
    ebb_trial x = trial_of(&lacking, folder);
    (void)state;
    ebb_status status = ebb_trial_model_path(&x, 0, path), other = EBB_E_UNSUPPORTED, fine = EBB_OK;
    assert_int_equal(status, EBB_E_UNSUPPORTED);
    assert_true(ebb_trial_skips(&x, "emoji", &status));
    assert_true(status == EBB_OK && x.missing[0] == 0);
    assert_non_null(strstr(json_string_value(member(&x, 0, "expected")), "sh cmake/emoji.sh"));
    assert_true(json_is_null(member(&x, 0, "pass")) && json_is_null(member(&x, 0, "value")));
    assert_false(ebb_trial_skips(&x, "emoji", &other) || ebb_trial_skips(&x, "emoji", &fine));
    assert_true(other == EBB_E_UNSUPPORTED && json_array_size(x.checks) == 1);
    end(&x);
}

/* Red lies at 0, green and blue a third of the circle to either side; grey has no length, colours that cancel no sum. */
static void test_colour(void **state)
{
    const float rgb[] = {1, -1, -1, -1, 1, -1, -1, -1, 1, 0.3f, 0.3f, 0.3f};
    const uint8_t mask[] = {1, 0, 0, 0};
    double sum[2];
    (void)state;
    assert_true(fabs(ebb_trial_colour(rgb, 4, NULL, 0, sum) - 3) < 1e-6 && hypot(sum[0], sum[1]) < 1e-6);
    assert_true(fabs(ebb_trial_colour(rgb, 4, mask, 1, sum) - 1) < 1e-6 && fabs(sum[0] - 1) < 1e-6 && fabs(sum[1]) < 1e-6);
    assert_true(fabs(ebb_trial_colour(rgb + 3, 1, NULL, 0, sum) - 1) < 1e-6 && fabs(atan2(sum[1], sum[0]) - 2.0943951) < 1e-6);
}

/* ---- results -------------------------------------------------------------------------------------------------------------------- */

static json_t *run(const char *name, int keep, int (*progress)(void *, const char *, int64_t, int64_t), void *user)
{
    char *text;
    json_t *json;
    ebb_experiment_options o = {.size = sizeof o, .name = name, .dir = in("results"), .keep = keep, .progress = progress, .user = user};
    if (ebb_experiment(ctx, &o, &text) != EBB_OK)
        return NULL;
    ok(ebb_json_parse(ctx, text, "a result", &json));
    ebb_text_free(text);
    return json;
}

static bool kept(int keep)
{
    json_t *r = run("budget", keep, NULL, NULL);
    assert_non_null(r);
    assert_string_equal(json_string_value(json_object_get(r, "state")), "passed");
    assert_int_equal(json_integer_value(json_object_get(r, "failed")), 0);
    bool was = json_is_true(json_object_get(r, "kept"));
    json_decref(r);
    return was;
}

static void write_text(const char *path, const char *text)
{
    ebb_writer *w;
    ok(ebb_writer_open(ctx, path, &w));
    ok(ebb_writer_write(w, text, strlen(text)));
    ok(ebb_writer_commit(&w));
}

/* A result stands while its key does and its pictures are there. */
static void test_results(void **state)
{
    json_t *r;
    char *text;
    (void)state;
    const char *file = "results/results/budget.json";
    assert_false(kept(1));
    assert_true(kept(1));
    assert_false(kept(0));
    assert_int_equal(ebb_os_table.unlink(in("results/budget.png")), 0);
    assert_false(kept(1));
    write_text(in(file), "{ half");
    assert_false(kept(1));
    ok(ebb_json_read(ctx, in(file), &r));
    json_object_set_new(r, "key", json_string("another version's"));
    ok(ebb_json_text(ctx, r, 2, &text));
    write_text(in(file), text);
    ebb_free(text);
    json_decref(r);
    assert_false(kept(1));
    assert_true(kept(1));
}

/* Stopped: no result, no picture. */
static void test_stopped(void **state)
{
    stopping s = {.stop_at = 1};
    (void)state;
    assert_null(run("theorem", 0, count_calls, &s));
    says("stopped during");
    assert_int_equal(s.calls, 1);
    assert_false(ebb_file_exists(in("results/results/theorem.json")) || ebb_file_exists(in("results/theorem.png")));
}

static void test_errors(void **state)
{
    char *text;
    ebb_experiment_options o = {.size = sizeof o, .name = "langevim", .dir = folder};
    (void)state;
    assert_int_equal(ebb_experiment(ctx, &o, &text), EBB_E_USAGE);
    says("did you mean 'langevin'");
    o.name = NULL;
    assert_int_equal(ebb_experiment(ctx, &o, &text), EBB_E_USAGE);
    o.name = "budget";
    o.dir = "/dev/null/x";
    assert_int_equal(ebb_experiment(ctx, &o, &text), EBB_E_IO);
    says("/dev/null");
    o.size = 0;
    assert_int_equal(ebb_experiment(ctx, &o, &text), EBB_E_ARGUMENT);
}

static int setup(void **state)
{
    (void)state;
    return !temporary_make(folder, "experiment") ||
           ebb_context_create(&(ebb_context_options){.size = sizeof(ebb_context_options), .threads = 2}, &ctx) != EBB_OK;
}

static int teardown(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return ebb_mem_read().bytes != 0 || !temporary_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),        cmocka_unit_test(test_list),         cmocka_unit_test(test_models),
        cmocka_unit_test(test_cut),           cmocka_unit_test(test_damaged_model), cmocka_unit_test(test_missing_data),
        cmocka_unit_test(test_results),       cmocka_unit_test(test_stopped),      cmocka_unit_test(test_errors),
        cmocka_unit_test(test_skips),         cmocka_unit_test(test_colour)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
