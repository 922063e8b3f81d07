/* test_train.c: training and sampling promise bits: whatever the threads, the batch, the cuts. */
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

#include "train/optim.h"
#include "train/trainer.h"

enum { STEPS = 12, SIDE = 8 };
static char folder[64];
static ebb_context *contexts[5]; /* by threads */
static ebb_context *ctx;
static const char *backend;

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "train-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    for (int threads = 1; threads <= 4; threads++) {
        ebb_context_options o = {.size = sizeof o, .threads = threads, .backend = backend};
        if (ebb_context_create(&o, &contexts[threads]) != EBB_OK)
            return 1;
    }
    ctx = contexts[2];
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    for (int threads = 1; threads <= 4; threads++)
        ebb_context_free(contexts[threads]);
    return system(command) != 0 || ebb_mem_read().bytes != 0;
}

static void assert_says(const ebb_context *c, const char *part)
{
    if (strstr(ebb_message(c), part) == NULL)
        fail_msg("message \"%s\" does not say \"%s\"", ebb_message(c), part);
}

static void ok(const ebb_context *c, ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s: %s", ebb_status_name(status), ebb_message(c));
}

/* A small class-conditional U-Net with attention, 7 shards a step (not a power of two). */
static ebb_recipe *tiny(ebb_context *c)
{
    static const char *const keys[] = {
        "about.name=tiny",    "data.kind=synthetic", "data.size=8",       "data.channels=1",
        "data.limit=20",      "data.flip=true",      "net.base=8",        "net.mult=1,2",
        "net.attention=1",    "net.blocks=1",        "net.groups=4",      "net.classes=3",
        "process.steps=20",   "loss.label_drop=0.3", "optim.lr=1e-2",     "optim.warmup=3",
        "optim.decay=cosine", "optim.clip=0.5",      "train.steps=12",    "train.batch=14",
        "train.shard=2",      "train.seed=3",        "train.log_every=3", "train.save_every=0",
        "sample.steps=3",     "sample.count=6",      "sample.guidance=1",
    };
    ebb_recipe *r;
    ok(c, ebb_recipe_default(c, &r));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        ok(c, ebb_recipe_set(c, r, keys[i]));
    return r;
}

static char *in_folder(const char *name)
{
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void run_steps(ebb_context *c, ebb_trainer *t, int64_t until)
{
    ebb_train_report report = {0};
    while (t->learner.step < until)
        ok(c, ebb_trainer_step(t, &report));
}

/* Trains the tiny recipe to its end in folder/name. */
static void train(ebb_context *c, const char *name)
{
    ebb_recipe *r = tiny(c);
    ebb_trainer *t;
    ok(c, ebb_trainer_create(c, r, in_folder(name), &t));
    run_steps(c, t, STEPS);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
}

static void assert_same_file(const char *run_a, const char *run_b, const char *name)
{
    char a[256], b[256];
    void *x, *y;
    size_t nx, ny;
    snprintf(a, sizeof a, "%s/%s/%s", folder, run_a, name);
    snprintf(b, sizeof b, "%s/%s/%s", folder, run_b, name);
    ok(ctx, ebb_file_read(ctx, a, SIZE_MAX / 4, &x, &nx));
    ok(ctx, ebb_file_read(ctx, b, SIZE_MAX / 4, &y, &ny));
    assert_int_equal(nx, ny);
    if (memcmp(x, y, nx) != 0)
        fail_msg("%s and %s differ", a, b);
    ebb_free(x);
    ebb_free(y);
}

static void remove_run(const char *name)
{
    char command[300];
    snprintf(command, sizeof command, "rm -r %s/%s", folder, name);
    assert_int_equal(system(command), 0);
}

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

/* ---- sampling --------------------------------------------------------------------------- */

static ebb_model *reference_model(ebb_context *c)
{
    ebb_model *m;
    ok(c, ebb_model_load(c, in_folder("reference/model.safetensors"), &m));
    return m;
}

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
    wrong cases[8];
    for (int i = 0; i < 8; i++)
        cases[i].change = good;
    cases[0].change.label = 3, cases[0].status = EBB_E_ARGUMENT, cases[0].says = "class 3 is outside 0..2";
    cases[1].change.sampler = "ddmp", cases[1].status = EBB_E_USAGE, cases[1].says = "did you mean 'dd";
    cases[2].change.steps = 21, cases[2].status = EBB_E_ARGUMENT, cases[2].says = "1 to 20";
    cases[3].change.eta = 1.5, cases[3].status = EBB_E_ARGUMENT, cases[3].says = "eta";
    cases[4].change.n = 0, cases[4].status = EBB_E_ARGUMENT, cases[4].says = "at least one";
    cases[5].change.first = UINT32_MAX, cases[5].status = EBB_E_ARGUMENT, cases[5].says = "outside";
    cases[6].change.guidance = INFINITY, cases[6].status = EBB_E_ARGUMENT, cases[6].says = "guidance";
    cases[7].change.label = EBB_LABEL_NONE, cases[7].status = EBB_E_ARGUMENT, cases[7].says = "needs a class";
    for (int i = 0; i < 8; i++) {
        assert_int_equal(ebb_sample(ctx, m, &cases[i].change, pixels), cases[i].status);
        assert_says(ctx, cases[i].says);
    }
    ebb_model_free(m);
}

/* ---- memory ----------------------------------------------------------------------------- */

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
        ebb_speed_options o = {.size = sizeof o, .eval = eval, .batch = 7, .seconds = 1e-9};
        ok(ctx, ebb_speed(ctx, r, &o, &text));
        json_t *speed = json_loads(text, 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(speed, "steps")), 5);
        assert_true(json_number_value(json_object_get(speed, "images_per_second")) > 0);
        assert_true(json_number_value(json_object_get(speed, "min")) <=
                    json_number_value(json_object_get(speed, "max")));
        json_decref(speed);
        ebb_text_free(text);
    }
    ebb_speed_options o = {.size = sizeof o, .precision = "bf16"};
    assert_int_equal(ebb_speed(ctx, r, &o, &text), EBB_E_UNSUPPORTED);
    o.precision = "f33";
    assert_int_equal(ebb_speed(ctx, r, &o, &text), EBB_E_USAGE);
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
        cmocka_unit_test(test_memory),        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_log),           cmocka_unit_test(test_samples),
        cmocka_unit_test(test_labels),        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_wrong_options), cmocka_unit_test(test_directory),
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
