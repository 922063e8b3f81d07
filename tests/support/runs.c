/* runs.c: small training runs in a temporary folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/runs.h"

temporary_folder folder;
ebb_context *contexts[5]; /* by threads */
ebb_context *ctx;
const char *backend;
const char *precision = "precision=f32";

int setup(void **state)
{
    (void)state;
    if (!temporary_make(folder, "train"))
        return 1;
    for (int threads = 1; threads <= 4; threads++) {
        ebb_context_options o = {.size = sizeof o, .threads = threads, .backend = backend};
        if (ebb_context_create(&o, &contexts[threads]) != EBB_OK)
            return 1;
    }
    ctx = contexts[2];
    return 0;
}

int teardown(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++)
        ebb_context_free(contexts[threads]);
    return !temporary_remove(folder) || ebb_mem_read().bytes != 0;
}

void assert_says(const ebb_context *c, const char *part)
{
    if (strstr(ebb_message(c), part) == NULL)
        fail_msg("message \"%s\" does not say \"%s\"", ebb_message(c), part);
}

void ok(const ebb_context *c, ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s: %s", ebb_status_name(status), ebb_message(c));
}

/* A small class-conditional U-Net with attention, 7 shards a step (not a power of two). */
ebb_recipe *tiny(ebb_context *c)
{
    static const char *const keys[] = {
        "about.name=tiny",    "data.kind=synthetic", "data.size=8",       "data.channels=1",
        "data.limit=20",      "data.flip=true",      "net.base=16",       "net.mult=1,2",
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
    ok(c, ebb_recipe_set(c, r, precision));
    return r;
}

char *in_folder(const char *name)
{
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

void run_steps(ebb_context *c, ebb_trainer *t, int64_t until)
{
    ebb_train_report report = {0};
    while (t->learner.step < until)
        ok(c, ebb_trainer_step(t, &report));
}

void train(ebb_context *c, const char *name)
{
    ebb_recipe *r = tiny(c);
    ebb_trainer *t;
    ok(c, ebb_trainer_create(c, r, in_folder(name), &t));
    run_steps(c, t, STEPS);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
}

void assert_same_file(const char *run_a, const char *run_b, const char *name)
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

void remove_run(const char *name)
{
    assert_true(temporary_remove(in_folder(name)));
}

ebb_model *reference_model(ebb_context *c)
{
    ebb_model *m;
    ok(c, ebb_model_load(c, in_folder("reference/model.safetensors"), &m));
    return m;
}
