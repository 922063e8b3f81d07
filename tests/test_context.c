/* test_context.c: threads, instruction set and back end as options and environment say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

static int clean_environment(void **state)
{
    (void)state;
    unsetenv("EBB_CPU");
    unsetenv("EBB_BACKEND");
    unsetenv("OMP_NUM_THREADS");
    return 0;
}

static ebb_context_options options_of(int threads, const char *cpu, const char *backend)
{
    return (ebb_context_options){ .size = sizeof(ebb_context_options),
                                  .threads = threads,
                                  .cpu = cpu,
                                  .backend = backend };
}

static void expect_failure(ebb_context_options options, ebb_status status, const char *says, const char *also)
{
    ebb_context *ctx = NULL;
    assert_int_equal(ebb_context_create(&options, &ctx), status);
    assert_non_null(ctx);
    assert_non_null(strstr(ebb_message(ctx), says));
    assert_non_null(strstr(ebb_message(ctx), also));
    /* It holds the message and yet could be used. */
    assert_true(ctx->threads >= 1);
    assert_non_null(ctx->kernels);
    ebb_context_free(ctx);
}

static void test_defaults(void **state)
{
    (void)state;
    ebb_context *ctx;
    assert_int_equal(ebb_context_create(NULL, &ctx), EBB_OK);
    ebb_topology machine;
    ebb_par_machine(&machine);
    assert_int_equal(ctx->threads, ebb_topology_threads(&machine));
    assert_int_equal(ctx->isa, ebb_isa_best());
    assert_ptr_equal(ctx->kernels, ebb_kernels_get(ctx->isa));
    assert_int_equal(ctx->backend, EBB_BACKEND_AUTO);
    assert_string_equal(ebb_message(ctx), "");
    ebb_context_free(ctx);
    ebb_context_free(NULL);
    assert_string_equal(ebb_version(), EBB_VERSION);
    assert_true(strlen(ebb_message(NULL)) > 0);
}

static void test_options(void **state)
{
    (void)state;
    ebb_context *ctx;
    ebb_context_options options = options_of(3, "c", "own");
    setenv("EBB_CPU", "nonsense", 1);    /* an option comes before the environment */
    setenv("EBB_BACKEND", "nonsense", 1);
    assert_int_equal(ebb_context_create(&options, &ctx), EBB_OK);
    assert_int_equal(ctx->threads, 3);
    assert_int_equal(ctx->isa, EBB_ISA_C);
    assert_ptr_equal(ctx->kernels, ebb_kernels_get(EBB_ISA_C));
    assert_int_equal(ctx->backend, EBB_BACKEND_OWN);
    ebb_context_free(ctx);
}

static void test_environment(void **state)
{
    (void)state;
    ebb_context *ctx;
    setenv("EBB_CPU", "c", 1);
    setenv("EBB_BACKEND", "own", 1);
    assert_int_equal(ebb_context_create(NULL, &ctx), EBB_OK);
    assert_int_equal(ctx->isa, EBB_ISA_C);
    assert_int_equal(ctx->backend, EBB_BACKEND_OWN);
    ebb_context_free(ctx);
    setenv("EBB_CPU", "", 1);
    setenv("EBB_BACKEND", "", 1);
    assert_int_equal(ebb_context_create(NULL, &ctx), EBB_OK);
    assert_int_equal(ctx->isa, ebb_isa_best());
    ebb_context_free(ctx);
    setenv("EBB_CPU", "mmx", 1);
    expect_failure(options_of(0, NULL, NULL), EBB_E_USAGE, "EBB_CPU", "'mmx'");
    setenv("EBB_CPU", "c", 1);
    setenv("EBB_BACKEND", "gpu", 1);
    expect_failure(options_of(0, NULL, NULL), EBB_E_USAGE, "EBB_BACKEND", "'gpu'");
}

static void test_errors(void **state)
{
    (void)state;
    expect_failure(options_of(-1, NULL, NULL), EBB_E_ARGUMENT, "-1", "1024");
    expect_failure(options_of(1025, NULL, NULL), EBB_E_ARGUMENT, "1025", "1024");
    expect_failure(options_of(0, "sse", NULL), EBB_E_USAGE, "'sse'", "c, neon, neonbf16, avx2, avx512, avx512bf16, amx");
    expect_failure(options_of(0, NULL, "cuda"), EBB_E_USAGE, "'cuda'", "auto, own, onednn");
    ebb_context_options no_size = { 0 };
    expect_failure(no_size, EBB_E_ARGUMENT, "size", "sizeof");
    /* No machine has both kinds of instructions. */
    expect_failure(options_of(0, ebb_isa_available(EBB_ISA_NEON) ? "avx2" : "neon", NULL), EBB_E_UNSUPPORTED,
                   "does not run it", "c");
#ifndef EBB_HAVE_ONEDNN
    expect_failure(options_of(0, NULL, "onednn"), EBB_E_UNSUPPORTED, "onednn", "own");
#endif
}

/* A caller that was built with a shorter struct: what it does not know is at its default. */
static void test_short_options(void **state)
{
    (void)state;
    ebb_context *ctx;
    ebb_context_options options = options_of(2, "nonsense", "nonsense");
    options.size = offsetof(ebb_context_options, cpu);
    assert_int_equal(ebb_context_create(&options, &ctx), EBB_OK);
    assert_int_equal(ctx->threads, 2);
    ebb_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, clean_environment),
        cmocka_unit_test_setup(test_options, clean_environment),
        cmocka_unit_test_setup(test_environment, clean_environment),
        cmocka_unit_test_setup(test_errors, clean_environment),
        cmocka_unit_test_setup(test_short_options, clean_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
