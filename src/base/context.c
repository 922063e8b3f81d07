/* context.c: what a caller decides once: threads, instruction set, back end.
 *
 * One idea: a context is made usable with defaults first and then told its options, so that a failed
 * creation still leaves a context that can hold the message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

enum { THREADS_MAX = 1024 };

/* The option, else the environment variable, else NULL; empty text counts as not given. */
static const char *setting(const char *option, const char *variable, const char **source)
{
    const char *value = option;
    *source = "option";
    if (!value || !*value) {
        value = getenv(variable);
        *source = variable;
    }
    return value && *value ? value : NULL;
}

/* "c, avx2, avx512": the instruction sets by name; only those this machine runs if `available`. */
static void isa_names(char *text, size_t size, bool available)
{
    size_t length = 0;
    text[0] = 0;
    for (int i = 0; i < EBB_ISA_COUNT; i++) {
        if (available && !ebb_isa_available((ebb_isa)i))
            continue;
        int n = snprintf(text + length, size - length, "%s%s", length ? ", " : "", ebb_isa_name((ebb_isa)i));
        if (n < 0 || (size_t)n >= size - length)
            return;
        length += (size_t)n;
    }
}

static ebb_status choose_cpu(ebb_context *ctx, const char *option)
{
    const char *source;
    const char *name = setting(option, "EBB_CPU", &source);
    if (!name)
        return EBB_OK;
    char all[128], here[128];
    isa_names(all, sizeof all, false);
    isa_names(here, sizeof here, true);
    int isa = ebb_isa_from_name(name);
    if (isa < 0)
        return ebb_fail(ctx, EBB_E_USAGE, "cpu '%s' (%s) is unknown; choose one of %s (this machine has %s)",
                        name, source, all, here);
    if (!ebb_isa_available((ebb_isa)isa))
        return ebb_fail(ctx, EBB_E_UNSUPPORTED,
                        "cpu '%s' (%s): this build or machine does not run it; it has %s", name, source,
                        here);
    ctx->isa = (ebb_isa)isa;
    ctx->kernels = ebb_kernels_get(ctx->isa);
    return EBB_OK;
}

static ebb_status choose_backend(ebb_context *ctx, const char *option)
{
    static const char *const names[] = { "auto", "own", "onednn" };
    const char *source;
    const char *name = setting(option, "EBB_BACKEND", &source);
    if (!name)
        return EBB_OK;
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
#ifndef EBB_HAVE_ONEDNN
        if (i == EBB_BACKEND_ONEDNN)
            return ebb_fail(ctx, EBB_E_UNSUPPORTED, "backend 'onednn' (%s): this build has no oneDNN; "
                            "choose auto or own, or build where oneDNN is installed", source);
#endif
        ctx->backend = (ebb_backend_choice)i;
        return EBB_OK;
    }
    return ebb_fail(ctx, EBB_E_USAGE, "backend '%s' (%s) is unknown; choose one of auto, own, onednn", name,
                    source);
}

static ebb_status configure(ebb_context *ctx, const ebb_context_options *given)
{
    ebb_context_options options = { 0 };
    if (given) {
        if (given->size < sizeof given->size)
            return ebb_fail(ctx, EBB_E_ARGUMENT,
                            "context options: size is %zu; set it to sizeof of the struct", given->size);
        /* A caller of another version has a shorter or longer struct: the common part counts. */
        memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    }
    if (options.threads < 0 || options.threads > THREADS_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "threads is %d; it must be 1 to %d, or 0 for all cores",
                        options.threads, THREADS_MAX);
    if (options.threads)
        ctx->threads = options.threads;
    EBB_TRY(choose_cpu(ctx, options.cpu));
    return choose_backend(ctx, options.backend);
}

ebb_status ebb_context_create(const ebb_context_options *options, ebb_context **out)
{
    void *memory;
    *out = NULL;
    EBB_TRY(ebb_alloc(NULL, &memory, 1, sizeof(ebb_context), "context"));
    ebb_context *ctx = memory;
    int cores = ebb_par_cores();
    ctx->threads = cores < THREADS_MAX ? cores : THREADS_MAX;
    ctx->isa = ebb_isa_best();
    ctx->kernels = ebb_kernels_get(ctx->isa);
    ctx->backend = EBB_BACKEND_AUTO;
    *out = ctx;
    return configure(ctx, options);
}

void ebb_context_free(ebb_context *ctx)
{
    ebb_free(ctx);
}

const char *ebb_version(void)
{
    return EBB_VERSION;
}
