/* test_train.c: training promises bits, whatever the threads and the cuts; and refuses what it cannot do. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/runs.h"
#include "train/optim.h"

/* "reference": 2 threads, never cut; the other tests compare with it. */
static void test_learns(void **state)
{
    (void)state;
    train(ctx, "reference");
    void *text;
    size_t size;
    ok(ctx, ebb_file_read(ctx, in_folder("reference/log.jsonl"), 1 << 20, &text, &size));
    int lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += ((char *)text)[i] == '\n';
    assert_int_equal(lines, STEPS / 3);
    json_t *first = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
    json_t *last = json_loads(strstr(text, "{\"step\": 12"), JSON_DISABLE_EOF_CHECK, NULL);
    assert_true(json_number_value(json_object_get(last, "loss_mean")) <
                json_number_value(json_object_get(first, "loss_mean")));
    json_decref(first);
    json_decref(last);
    ebb_free(text);
}

static void test_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 3, 4};
    for (int i = 0; i < 3; i++) {
        train(contexts[threads[i]], "threads");
        assert_same_file("reference", "threads", "checkpoint.safetensors");
        assert_same_file("reference", "threads", "model.safetensors");
        remove_run("threads");
    }
}

/* Each cut: stop after some steps (saved on the way at any step), forget some steps, resume with another
 * number of threads. The files in the end are those of the uncut run, log included but for times. */
static void test_cuts(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    for (int cut = 0; cut < 20; cut++) {
        ebb_rng_at at = {.seed = 99, .stream = EBB_STREAM_TEST, .sample = (uint32_t)cut};
        int64_t save = 1 + ebb_rng_below(&at, 0, STEPS - 1), stop = save + ebb_rng_below(&at, 1, 3);
        ebb_context *c = contexts[1 + cut % 4], *d = contexts[1 + cut / 4 % 4];
        ebb_trainer *t;
        ok(c, ebb_trainer_create(c, r, in_folder("cut"), &t));
        run_steps(c, t, save);
        ok(c, ebb_trainer_save(t));
        /* Steps after the save are lost; the last one would write the final files. */
        run_steps(c, t, stop < STEPS ? stop : STEPS - 1);
        ebb_trainer_free(t);
        ok(d, ebb_trainer_resume(d, in_folder("cut"), &t));
        assert_int_equal(t->learner.step, save);
        run_steps(d, t, STEPS);
        ebb_trainer_free(t);
        assert_same_file("reference", "cut", "checkpoint.safetensors");
        assert_same_file("reference", "cut", "model.safetensors");
        remove_run("cut");
    }
    ebb_recipe_free(r);
}

#ifdef EBB_HAVE_ONEDNN
/* The other back end would go on with other bits, so it is refused by name. */
static void test_other_backend(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_context *other;
    ebb_trainer *t;
    ebb_context_options o = {.size = sizeof o, .threads = 2, .backend = strcmp(backend, "own") ? "own" : "onednn"};
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("other"), &t));
    run_steps(ctx, t, 1);
    ok(ctx, ebb_trainer_save(t));
    ebb_trainer_free(t);
    assert_int_equal(ebb_context_create(&o, &other), EBB_OK);
    assert_int_equal(ebb_trainer_resume(other, in_folder("other"), &t), EBB_E_ARGUMENT);
    assert_says(other, backend);
    assert_says(other, "EBB_BACKEND=");
    ebb_context_free(other);
    remove_run("other");
    ebb_recipe_free(r);
}
#endif

/* A cut run's log has each interval once, in order. */
static void test_log(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    void *text;
    size_t size;
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("log"), &t));
    run_steps(ctx, t, 5);
    ok(ctx, ebb_trainer_save(t));
    run_steps(ctx, t, 10);
    ebb_trainer_free(t);
    ok(ctx, ebb_file_append(ctx, in_folder("log/log.jsonl"), "{\"step\": 11, \"lo"));
    ok(ctx, ebb_trainer_resume(ctx, in_folder("log"), &t));
    assert_true(t->seconds > 0);
    run_steps(ctx, t, STEPS);
    ebb_trainer_free(t);
    ok(ctx, ebb_file_read(ctx, in_folder("log/log.jsonl"), 1 << 20, &text, &size));
    const char *at = text;
    for (int step = 3; step <= STEPS; step += 3) {
        json_t *line = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
        assert_int_equal(json_integer_value(json_object_get(line, "step")), step);
        json_decref(line);
        at = strchr(at, '\n') + 1;
    }
    assert_int_equal(*at, 0);
    ebb_free(text);
    ebb_recipe_free(r);
    remove_run("log");
}

/* ---- memory ----------------------------------------------------------------------------- */

/* Steps that hold less give the same weights, moments and averages. */
static void test_memory_levels(void **state)
{
    static const char *const levels[] = {"most", "normal", "low", "least"};
    enum { LEVELS = sizeof levels / sizeof *levels };
    ebb_trainer *t[LEVELS];
    (void)state;
    for (int i = 0; i < LEVELS; i++) {
        ebb_recipe *r = tiny(ctx);
        char set[32];
        snprintf(set, sizeof set, "train.memory=%s", levels[i]);
        ok(ctx, ebb_recipe_set(ctx, r, set));
        ok(ctx, ebb_recipe_set(ctx, r, "train.log_every=1000"));
        ok(ctx, ebb_trainer_create(ctx, r, in_folder(levels[i]), &t[i]));
        run_steps(ctx, t[i], STEPS - 1);
        ebb_recipe_free(r);
    }
    const ebb_learner *most = &t[0]->learner;
    for (int i = 1; i < LEVELS; i++)
        assert_memory_equal(t[i]->learner.blocks.p, most->blocks.p, 4 * (size_t)most->params.length * sizeof(float));
    assert_true(ebb_plan_measure(t[2]->learner.shards.plan).worker < ebb_plan_measure(most->shards.plan).worker);
    for (int i = 0; i < LEVELS; i++) {
        ebb_trainer_free(t[i]);
        remove_run(levels[i]);
    }
}

static void test_memory(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    char *about;
    ok(ctx, ebb_recipe_set(ctx, r, "train.sample_every=6"));
    ok(ctx, ebb_recipe_set(ctx, r, "train.log_every=1000"));
    ebb_mem_stats before = ebb_mem_read();
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("memory"), &t));
    ok(ctx, ebb_trainer_about(t, &about));
    json_t *json = json_loads(about, 0, NULL);
    size_t announced = (size_t)json_integer_value(json_object_get(json, "memory_bytes"));
    json_decref(json);
    ebb_text_free(about);
    assert_true(announced >= ebb_mem_read().bytes - before.bytes);
    for (int64_t step = 1; step <= STEPS; step++) {
        uint64_t calls = ebb_mem_read().calls;
        ok(ctx, ebb_trainer_step(t, NULL));
        if (step % 6 != 0)
            assert_int_equal(ebb_mem_read().calls - calls, 0);
    }
    /* The peak is the process's: only one that was made here tells something. */
    size_t peak = ebb_mem_read().peak_bytes;
    assert_true(peak == before.peak_bytes || peak - before.bytes <= announced);
    assert_true(ebb_file_exists(in_folder("memory/samples-000006.png")));
    assert_true(ebb_file_exists(in_folder("memory/samples-000012.png")));
    ebb_trainer_free(t);
    ebb_recipe_free(r);
    remove_run("memory");
}

/* ---- what is refused -------------------------------------------------------------------- */

static void test_directory(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    assert_int_equal(ebb_trainer_create(ctx, r, in_folder("reference"), &t), EBB_E_ARGUMENT);
    assert_null(t);
    assert_says(ctx, "not empty");
    assert_int_equal(ebb_trainer_resume(ctx, folder, &t), EBB_E_IO);
    assert_says(ctx, "no run to resume");
    ok(ctx, ebb_recipe_set(ctx, r, "train.shard=3"));
    assert_int_equal(ebb_trainer_create(ctx, r, in_folder("never"), &t), EBB_E_ARGUMENT);
    assert_says(ctx, "train.shard");
    assert_false(ebb_file_exists(in_folder("never")));
    ebb_recipe_free(r);
}

/* A learning rate that blows up ends in an error that names the step; the last checkpoint stays. */
static void test_diverges(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("diverges"), &t));
    run_steps(ctx, t, 2);
    ok(ctx, ebb_trainer_save(t));
    t->learner.blocks.p[0] = NAN;
    ebb_learner_refresh(&t->learner);
    assert_int_equal(ebb_trainer_step(t, NULL), EBB_E_NUMERIC);
    assert_says(ctx, "step 3");
    assert_int_equal(ebb_trainer_save(t), EBB_E_NUMERIC);
    ebb_trainer_free(t);
    ok(ctx, ebb_trainer_resume(ctx, in_folder("diverges"), &t));
    assert_int_equal(t->learner.step, 2);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
    remove_run("diverges");
}

static void put(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Files cut short or with a flipped bit are refused with a message that names them. */
static void test_damaged_files(void **state)
{
    static const char *const names[] = {"model.safetensors", "checkpoint.safetensors"};
    (void)state;
    assert_int_equal(mkdir(in_folder("damaged"), 0777), 0);
    for (int f = 0; f < 2; f++) {
        char from[256], to[256];
        void *data;
        size_t size;
        snprintf(from, sizeof from, "%s/reference/%s", folder, names[f]);
        snprintf(to, sizeof to, "%s/damaged/%s", folder, names[f]);
        ok(ctx, ebb_file_read(ctx, from, SIZE_MAX / 4, &data, &size));
        for (uint32_t i = 0; i < 40; i++) {
            ebb_rng_at at = {.seed = 7, .stream = EBB_STREAM_TEST, .step = (uint32_t)f, .sample = i};
            size_t where = ebb_rng_below(&at, 0, (uint32_t)(i % 2 ? size : 4000));
            char *byte = (char *)data + where;
            *byte = (char)(*byte ^ 1 << i % 8);
            put(to, data, i < 30 ? size : where);
            *byte = (char)(*byte ^ 1 << i % 8);
            ebb_model *m = NULL;
            ebb_trainer *t = NULL;
            ebb_status status = f == 0 ? ebb_model_load(ctx, to, &m)
                                       : ebb_trainer_resume(ctx, in_folder("damaged"), &t);
            assert_int_not_equal(status, EBB_OK);
            assert_true(m == NULL && t == NULL);
            assert_says(ctx, to);
        }
        ebb_free(data);
    }
    remove_run("damaged");
}

/* Whole files whose content does not fit: another kind, another recipe. */
static void test_foreign_files(void **state)
{
    (void)state;
    ebb_model *m;
    assert_int_equal(ebb_model_load(ctx, in_folder("reference/checkpoint.safetensors"), &m), EBB_E_FORMAT);
    assert_says(ctx, "not a model");
    assert_int_equal(ebb_model_load(ctx, in_folder("reference/log.jsonl"), &m), EBB_E_FORMAT);
    assert_int_equal(ebb_model_load(ctx, in_folder("nowhere"), &m), EBB_E_IO);
    m = reference_model(ctx);
    float *stage;
    ok(ctx, ebb_alloc(ctx, (void **)&stage, (size_t)m->params.length, sizeof *stage, "test"));
    /* The recipe now asks for other shapes, then for other tensors, than the file has. */
    m->recipe->net_classes = 4;
    ok(ctx, ebb_model_save(m, in_folder("foreign"), stage));
    ebb_model *other;
    assert_int_equal(ebb_model_load(ctx, in_folder("foreign"), &other), EBB_E_SHAPE);
    assert_says(ctx, "its recipe makes");
    m->recipe->net_classes = 3;
    m->recipe->net_blocks = 2;
    ok(ctx, ebb_model_save(m, in_folder("foreign"), stage));
    assert_int_equal(ebb_model_load(ctx, in_folder("foreign"), &other), EBB_E_FORMAT);
    assert_null(other);
    ebb_free(stage);
    ebb_model_free(m);
}

/* ---- reports ---------------------------------------------------------------------------- */

/* Every step of the plan is in one row, the shares add up, and each step ran as often as each other. */
static void check_profile(const json_t *speed, bool eval)
{
    const json_t *profile = json_object_get(speed, "profile");
    json_int_t shard = json_integer_value(json_object_get(speed, "shard")), shards = (7 + shard - 1) / shard;
    const json_t *rows = json_object_get(profile, "rows"), *steps = json_object_get(profile, "steps"), *row, *step;
    size_t i, counted = 0;
    double share = 0;
    json_array_foreach(rows, i, row) {
        counted += (size_t)json_integer_value(json_object_get(row, "count"));
        share += json_number_value(json_object_get(row, "share"));
    }
    assert_int_equal(counted, json_array_size(steps));
    assert_true(fabs(share - 1) < 1e-9);
    json_array_foreach(steps, i, step) {
        bool prepare = !strcmp(json_string_value(json_object_get(step, "phase")), "prepare");
        json_int_t calls = json_integer_value(json_object_get(step, "calls"));
        assert_true(json_number_value(json_object_get(step, "least_ms")) <=
                    json_number_value(json_object_get(step, "ms")) * (1 + 1e-9));
        assert_int_equal(calls, prepare && eval ? 0 : prepare ? 5 : 5 * shards);
    }
}

static void test_reports(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    char *text;
    for (int eval = 0; eval < 2; eval++) {
        ok(ctx, ebb_plan_report(ctx, r, eval, &text));
        json_t *plan = json_loads(text, 0, NULL);
        assert_true(json_array_size(json_object_get(plan, "steps")) > 10);
        json_decref(plan);
        ebb_text_free(text);
        ebb_speed_options o = {.size = sizeof o, .eval = eval, .batch = 7, .seconds = 1e-9, .profile = 1};
        ok(ctx, ebb_speed(ctx, r, &o, &text));
        json_t *speed = json_loads(text, 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(speed, "steps")), 5);
        assert_true(json_number_value(json_object_get(speed, "images_per_second")) > 0);
        assert_true(json_number_value(json_object_get(speed, "min")) <=
                    json_number_value(json_object_get(speed, "max")));
        check_profile(speed, eval);
        json_decref(speed);
        ebb_text_free(text);
    }
    ebb_speed_options o = {.size = sizeof o, .sample = 1, .batch = 3, .seconds = 1e-9, .profile = 1};
    ok(ctx, ebb_recipe_set(ctx, r, "sample.steps=4"));
    ok(ctx, ebb_speed(ctx, r, &o, &text));
    json_t *speed = json_loads(text, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(speed, "steps")), 1);
    assert_true(json_number_value(json_object_get(speed, "evaluations_per_second")) >
                3.999 * json_number_value(json_object_get(speed, "images_per_second")));
    json_decref(speed);
    ebb_text_free(text);
    o.eval = 1;
    assert_int_equal(ebb_speed(ctx, r, &o, &text), EBB_E_ARGUMENT);
    o = (ebb_speed_options){.size = sizeof o, .precision = "f33"};
    assert_int_equal(ebb_speed(ctx, r, &o, &text), EBB_E_ARGUMENT);
    static const char *const files[] = {"cpu", "reference/model.safetensors",
                                        "reference/checkpoint.safetensors"};
    static const char *const kinds[] = {"cpu", "model", "checkpoint"};
    for (int i = 0; i < 3; i++) {
        ok(ctx, ebb_info(ctx, i == 0 ? "cpu" : in_folder(files[i]), &text));
        json_t *info = json_loads(text, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(info, "kind")), kinds[i]);
        json_decref(info);
        ebb_text_free(text);
    }
    assert_int_equal(ebb_info(ctx, in_folder("reference/log.jsonl"), &text), EBB_E_FORMAT);
    ebb_recipe_free(r);
}

static void test_learning_rate(void **state)
{
    (void)state;
    ebb_recipe *r;
    ok(ctx, ebb_recipe_default(ctx, &r));
    r->optim_lr = 1;
    r->optim_lr_end = 0.2;
    r->optim_warmup = 10;
    r->train_steps = 110;
    assert_true(ebb_optim_lr(r, 1) == 0.1);
    assert_true(ebb_optim_lr(r, 10) == 1 && ebb_optim_lr(r, 110) == 1);
    strcpy(r->optim_decay, "linear");
    assert_true(fabs(ebb_optim_lr(r, 60) - 0.6) < 1e-12);
    strcpy(r->optim_decay, "cosine");
    assert_true(fabs(ebb_optim_lr(r, 60) - 0.6) < 1e-12 && fabs(ebb_optim_lr(r, 110) - 0.2) < 1e-12);
    assert_true(fabs(ebb_optim_lr(r, 35) - (1 - 0.8 * (0.5 - 0.5 * sqrt(0.5)))) < 1e-12);
    ebb_recipe_free(r);
}

/* Points: no classes, no pictures; the sum over one shard only. */
static void test_points(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    ebb_model *m;
    ebb_model_shape shape;
    float points[10];
    static const char *const keys[] = {"data.kind=ring", "data.size=",        "data.channels=0",
                                       "net.kind=mlp",   "net.width=16",      "net.classes=0",
                                       "train.shard=14", "sample.guidance=0", "train.sample_every=5"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        ok(ctx, ebb_recipe_set(ctx, r, keys[i]));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("points"), &t));
    run_steps(ctx, t, STEPS);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
    ok(ctx, ebb_model_load(ctx, in_folder("points/model.safetensors"), &m));
    ok(ctx, ebb_model_describe(m, &shape));
    assert_int_equal(shape.height * shape.width * shape.channels, 2);
    ebb_sample_options o = ebb_sample_defaults();
    o.n = 5;
    o.steps = 0;
    ok(ctx, ebb_sample(ctx, m, &o, points));
    o.label = 0;
    assert_int_equal(ebb_sample(ctx, m, &o, points), EBB_E_ARGUMENT);
    assert_says(ctx, "has none");
    ebb_model_free(m);
    remove_run("points");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_levels), cmocka_unit_test(test_memory),        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_log),           cmocka_unit_test(test_directory),
        cmocka_unit_test(test_diverges),      cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_foreign_files), cmocka_unit_test(test_reports),
        cmocka_unit_test(test_learning_rate), cmocka_unit_test(test_points),
#ifdef EBB_HAVE_ONEDNN
        cmocka_unit_test(test_other_backend),
#endif
    };
    int failed = 0;
    backend = "own";
    failed += cmocka_run_group_tests_name("train, own kernels", tests, setup, teardown);
#ifdef EBB_HAVE_ONEDNN
    backend = "onednn";
    failed += cmocka_run_group_tests_name("train, oneDNN", tests, setup, teardown);
#endif
    return failed;
}
