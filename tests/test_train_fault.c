/* test_train_fault.c: allocations and system calls of a training run fail, one a run, and the
 * process "dies" at system calls (builds with EBB_FAULT). After each: an error with a message,
 * nothing leaked; what is on the disk resumes to the bits of an undisturbed run.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "support/temporary.h"
#include "train/trainer.h"

enum { STEPS = 3 };
static temporary_folder folder;
static char run[96], reference[96];
static ebb_context *ctx;

static int setup(void **state)
{
    (void)state;
    ebb_context_options o = {.size = sizeof o, .threads = 2, .backend = "own"};
    if (!temporary_make(folder, "train-fault") || ebb_context_create(&o, &ctx) != EBB_OK)
        return 1;
    snprintf(run, sizeof run, "%s/run", folder);
    snprintf(reference, sizeof reference, "%s/reference", folder);
    return 0;
}

static void remove_tree(const char *path)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

static int teardown(void **state)
{
    (void)state;
    ebb_fault_set(EBB_FAULT_NONE, 0, 0);
    bool removed = temporary_remove(folder);
    ebb_context_free(ctx);
    return !removed || ebb_mem_read().bytes != 0;
}

static ebb_status set_keys(ebb_recipe *r)
{
    static const char *const keys[] = {
        "data.size=4",    "data.channels=1",   "data.limit=8",       "net.base=4",
        "net.mult=1",     "net.attention=0",   "net.blocks=1",       "net.groups=2",
        "net.classes=2",  "process.steps=8",   "train.batch=4",      "train.shard=2",
        "train.steps=3",  "train.log_every=1", "train.save_every=2", "train.sample_every=3",
        "sample.steps=1", "sample.count=2",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        EBB_TRY(ebb_recipe_set(ctx, r, keys[i]));
    return EBB_OK;
}

static ebb_status to_the_end(ebb_trainer *t)
{
    ebb_train_report report = {0};
    while (!report.done)
        EBB_TRY(ebb_trainer_step(t, &report));
    return EBB_OK;
}

static ebb_status train_in(const char *dir)
{
    ebb_recipe *r;
    ebb_trainer *t = NULL;
    EBB_TRY(ebb_recipe_default(ctx, &r));
    ebb_status status = set_keys(r);
    if (status == EBB_OK)
        status = ebb_trainer_create(ctx, r, dir, &t);
    if (status == EBB_OK)
        status = to_the_end(t);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
    return status;
}

static ebb_status resume_in(const char *dir)
{
    ebb_trainer *t;
    EBB_TRY(ebb_trainer_resume(ctx, dir, &t));
    ebb_status status = to_the_end(t);
    ebb_trainer_free(t);
    return status;
}

static ebb_status sample_from(const char *dir)
{
    char path[128];
    float pixels[16], *p = pixels;
    ebb_model *m;
    ebb_sample_options o = ebb_sample_defaults();
    o.label = 1;
    o.guidance = 1;
    o.steps = 2;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    EBB_TRY(ebb_model_load(ctx, path, &m));
    ebb_status status = ebb_sample(ctx, m, &o, p);
    ebb_model_free(m);
    return status;
}

static ebb_status everything(void)
{
    EBB_TRY(train_in(run));
    EBB_TRY(resume_in(run));
    return sample_from(run);
}

static void assert_as_reference(void)
{
    static const char *const names[] = {"model.safetensors", "checkpoint.safetensors"};
    for (int i = 0; i < 2; i++) {
        char a[128], b[128];
        void *x, *y;
        size_t nx, ny;
        snprintf(a, sizeof a, "%s/%s", run, names[i]);
        snprintf(b, sizeof b, "%s/%s", reference, names[i]);
        assert_int_equal(ebb_file_read(ctx, a, 1 << 24, &x, &nx), EBB_OK);
        assert_int_equal(ebb_file_read(ctx, b, 1 << 24, &y, &ny), EBB_OK);
        assert_int_equal(nx, ny);
        assert_memory_equal(x, y, nx);
        ebb_free(x);
        ebb_free(y);
    }
}

/* Ends the run that a fault left behind, as a user would: resume what can be resumed, else start again. */
static void finish(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/checkpoint.safetensors", run);
    if (!ebb_file_exists(path)) {
        remove_tree(run);
        assert_int_equal(train_in(run), EBB_OK);
    } else if (resume_in(run) != EBB_OK) {
        fail_msg("%s", ebb_message(ctx));
    }
    assert_as_reference();
}

static void test_reference(void **state)
{
    (void)state;
    assert_int_equal(train_in(reference), EBB_OK);
    assert_int_equal(sample_from(reference), EBB_OK);
}

/* A run makes thousands of calls: growing strides, but each one with EBB_FAULT_ALL in the environment. */
static uint64_t next(uint64_t nth)
{
    return nth + 1 + (getenv("EBB_FAULT_ALL") != NULL ? 0 : nth / 8);
}

static void test_allocations(void **state)
{
    uint64_t failures = 0;
    (void)state;
    for (uint64_t nth = 1;; nth = next(nth)) {
        size_t before = ebb_mem_read().bytes;
        ebb_fault_set(EBB_FAULT_ALLOC, nth, 0);
        ebb_status status = everything();
        bool failed = ebb_fault_calls() >= nth;
        ebb_fault_set(EBB_FAULT_NONE, 0, 0);
        assert_int_equal(ebb_mem_read().bytes, before);
        remove_tree(run);
        if (!failed) {
            assert_int_equal(status, EBB_OK);
            break;
        }
        if (status != EBB_E_MEMORY)
            fail_msg("allocation %llu failed: %s", (unsigned long long)nth, ebb_status_name(status));
        failures++;
    }
    assert_true(failures > 30);
}

static void fail_system_calls(ebb_fault kind, int error)
{
    uint64_t failures = 0;
    for (uint64_t nth = 1;; nth = next(nth)) {
        size_t before = ebb_mem_read().bytes;
        ebb_fault_set(kind, nth, error);
        ebb_status status = everything();
        bool failed = ebb_fault_calls() >= nth;
        ebb_fault_set(EBB_FAULT_NONE, 0, 0);
        assert_int_equal(ebb_mem_read().bytes, before);
        if (kind == EBB_FAULT_CRASH && failed)
            assert_int_not_equal(status, EBB_OK);
        if (status != EBB_OK)
            assert_true(ebb_message(ctx)[0] != 0);
        finish();
        remove_tree(run);
        if (!failed)
            break;
        failures += status != EBB_OK;
    }
    assert_true(failures > 15);
}

static void test_system_calls(void **state)
{
    (void)state;
    fail_system_calls(EBB_FAULT_OS, ENOSPC);
}

static void test_crashes(void **state)
{
    (void)state;
    fail_system_calls(EBB_FAULT_CRASH, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_system_calls),
        cmocka_unit_test(test_crashes),
    };
    return cmocka_run_group_tests_name("training with faults", tests, setup, teardown);
}
