/* context.c: what a caller decides once: threads and their places, instruction set, back end.
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

/* Whether the worker's threads are to keep to places, and which. */
static ebb_status choose_bind(ebb_context *ctx, const char *option, const ebb_topology *machine)
{
    static const char *const names[] = {"none", "domain", "core"};
    const char *source;
    const char *name = setting(option, "EBB_BIND", &source);
    ebb_cpus here;
    /* More processes than this one may run here: a domain is wide enough for the system to spread them. */
    int bind = machine->domains > 1 && !ebb_par_bound_by_openmp() ? EBB_BIND_DOMAIN : EBB_BIND_NONE;
    if (name && strcmp(name, "auto") != 0) {
        for (bind = 2; bind >= 0 && strcmp(name, names[bind]) != 0;)
            bind--;
        if (bind < 0)
            return ebb_fail(ctx, EBB_E_USAGE, "bind '%s' (%s) is unknown; choose one of auto, none, domain, core", name,
                            source);
        if (bind != EBB_BIND_NONE && ebb_par_bound_by_openmp())
            return ebb_fail(ctx, EBB_E_USAGE, "bind '%s' (%s): OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY binds "
                            "threads already; unset it, or choose auto", name, source);
        if (bind != EBB_BIND_NONE && !ebb_os_cpus(&here))
            return ebb_fail(ctx, EBB_E_UNSUPPORTED, "bind '%s' (%s): this system binds no threads; choose auto", name,
                            source);
    }
    ebb_par_bind((ebb_bind)bind, machine);
    return EBB_OK;
}

/* Threads beyond what runs at once take turns: each step then waits for the slowest. */
static void warn_of_threads(ebb_context *ctx, const ebb_topology *m, int processes)
{
    int limit = ebb_topology_limit(m);
    char quota[64] = "", each[64] = "";
    ctx->warning[0] = 0;
    if (ctx->threads * processes <= limit || (processes > limit && ctx->threads == 1))
        return;
    if (limit < m->cpus)
        snprintf(quota, sizeof quota, ", and its control group is given the time of %.3g", m->quota);
    if (processes > 1)
        snprintf(each, sizeof each, " in each of %d processes that share them", processes);
    int good = limit / processes > 1 ? limit / processes : 1;
    snprintf(ctx->warning, sizeof ctx->warning,
             "%d threads (%s) are more than can run at once: this process may use %d processor%s%s%s; they will take "
             "turns, which is slower: ask for %d or fewer%s", ctx->threads, ctx->threads_source, m->cpus,
             m->cpus == 1 ? "" : "s", quota, each, good,
             limit < m->cpus ? ", or raise the quota (cpu.max)" : ", or allow it more (taskset, mpirun's binding)");
}

void ebb_context_share(ebb_context *ctx, int index, int processes)
{
    ebb_topology machine;
    ebb_par_machine(&machine);
    if (strcmp(ctx->threads_source, "default") == 0)
        ctx->threads = ctx->threads / processes > 1 ? ctx->threads / processes : 1;
    ebb_par_first_place(index * ctx->threads);
    warn_of_threads(ctx, &machine, processes);
}

static ebb_status configure(ebb_context *ctx, const ebb_context_options *given, const ebb_topology *machine)
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
        return ebb_fail(ctx, EBB_E_ARGUMENT, "threads is %d; it must be 1 to %d, or 0 for a thread a core",
                        options.threads, THREADS_MAX);
    if (options.threads) {
        ctx->threads = options.threads;
        ctx->threads_source = "option";
    }
    EBB_TRY(choose_cpu(ctx, options.cpu));
    EBB_TRY(choose_backend(ctx, options.backend));
    warn_of_threads(ctx, machine, 1);
    return choose_bind(ctx, options.bind, machine);
}

ebb_status ebb_context_create(const ebb_context_options *options, ebb_context **out)
{
    void *memory;
    *out = NULL;
    EBB_TRY(ebb_alloc(NULL, &memory, 1, sizeof(ebb_context), "context"));
    ebb_context *ctx = memory;
    ebb_topology machine;
    ebb_par_machine(&machine);
    int threads = ebb_par_default_threads(&machine, &ctx->threads_source);
    ctx->threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    ctx->isa = ebb_isa_best();
    ctx->kernels = ebb_kernels_get(ctx->isa);
    ctx->backend = EBB_BACKEND_AUTO;
    *out = ctx;
    return configure(ctx, options, &machine);
}

void ebb_context_free(ebb_context *ctx)
{
    ebb_free(ctx);
}

const char *ebb_warning(const ebb_context *ctx)
{
    return ctx ? ctx->warning : "";
}

const char *ebb_version(void)
{
    return EBB_VERSION;
}
