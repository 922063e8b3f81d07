/* one_context.h: the one context of a test program, made and freed around its tests, and what hangs on it. A header, since each
 * program has its own.
 *
 *     return cmocka_run_group_tests(tests, make_context, free_context);
 */
#ifndef EBB_TEST_ONE_CONTEXT_H
#define EBB_TEST_ONE_CONTEXT_H

#include <string.h>

#include "diffusion/process.h"

#define EBB_MAYBE_UNUSED __attribute__((unused))

static ebb_context *ctx;

/* Fails the test with the context's message. */
EBB_MAYBE_UNUSED static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
}

/* Fails the test unless that is in the context's message. */
EBB_MAYBE_UNUSED static void says(const char *part)
{
    if (strstr(ebb_message(ctx), part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, ebb_message(ctx));
}

/* With its usual numbers; the chain of 1000 steps. */
EBB_MAYBE_UNUSED static ebb_process usual_process(ebb_process_kind kind)
{
    ebb_process wanted = {.kind = kind}, p;
    if (kind == EBB_PROCESS_DDPM)
        ok(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &wanted.chain));
    ok(ebb_process_create(ctx, &wanted, &p));
    return p;
}

static int make_context(void **state)
{
    (void)state;
    return ebb_context_create(NULL, &ctx) == EBB_OK ? 0 : -1;
}

static int free_context(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return 0;
}

#endif
