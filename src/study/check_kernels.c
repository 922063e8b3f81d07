/* check_kernels.c: the equality tests of the kernels on the caller's machine, by all its threads.
 *
 * One item of work is a kernel on an instruction set that has an instance of its own. Items differ a thousandfold
 * in cost, so each is measured on a few of its cases first: shares of the work done, and with them the time that is
 * left, are in measured time.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "check/kcheck.h"
#include "model/report.h"

#define PROBE 40   /* every so many cases are run to measure an item */

typedef struct item {
    ebb_isa isa;
    int row;
    int64_t microseconds;        /* of the cases of the probe */
    long cases, compared, failures;
    double worst;                /* of rows marked TOL */
    bool done, no_memory;
    char message[400];           /* the first difference, "" */
} item;

typedef struct job {
    const ebb_check_options *options;
    item *items;
    int count;
    bool probe;
    int64_t all;                 /* microseconds, as of the probe */
    atomic_int_fast64_t finished;
    atomic_bool stopped;
} job;

static void keep_first(void *user, const char *text)
{
    item *it = user;
    if (!it->message[0])
        snprintf(it->message, sizeof it->message, "%s", text);
}

static void run_item(const job *j, item *it)
{
    kcheck k;
    double start = ebb_seconds();
    ebb_kcheck_start(&k, it->isa);
    k.say = keep_first;
    k.user = it;
    k.sample = (j->options->sample > 1 ? j->options->sample : 1) * (j->probe ? PROBE : 1);
    if (it->isa == EBB_ISA_C && !j->options->cpu)
        k.sample *= 4;   /* it runs beside all others: what is left are results in place */
    it->message[0] = 0;
    it->no_memory = !ebb_kcheck_run(&k, it->row);
    ebb_kcheck_release(&k);
    it->cases = k.cases;
    it->compared = k.compared;
    it->failures = k.failures;
    it->worst = k.worst;
    it->done = !j->probe;
    if (j->probe)
        it->microseconds = 1 + (int64_t)(1e6 * (ebb_seconds() - start));
}

/* Only the caller's own thread, which is worker 0, calls progress. */
static void work(void *arg, int64_t i, int worker)
{
    job *j = arg;
    item *it = &j->items[i];
    if (atomic_load(&j->stopped))
        return;
    run_item(j, it);
    if (j->probe)
        return;
    int64_t finished = atomic_fetch_add(&j->finished, it->microseconds) + it->microseconds;
    if (worker == 0 && j->options->progress &&
        j->options->progress(j->options->user, ebb_kcheck_row(it->row).name, (double)finished / (double)j->all) != 0)
        atomic_store(&j->stopped, true);
}

/* ---- what is asked for ------------------------------------------------------------------------ */

static ebb_status find_isa(ebb_context *ctx, const char *name, int *isa)
{
    const char *names[EBB_ISA_COUNT];
    char near[128];
    for (int i = 0; i < EBB_ISA_COUNT; i++)
        names[i] = ebb_isa_name((ebb_isa)i);
    *isa = name ? ebb_isa_from_name(name) : -1;
    if (name && *isa < 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown instruction set '%s'%s", name,
                        ebb_suggest(name, names, EBB_ISA_COUNT, near, sizeof near));
    if (name && !ebb_isa_available((ebb_isa)*isa))
        return ebb_fail(ctx, EBB_E_USAGE, "this machine or build does not run %s", name);
    return EBB_OK;
}

static ebb_status find_kernel(ebb_context *ctx, const char *name)
{
    enum { NAMES = 512 };
    const char *names[NAMES];
    char near[128];
    int count = 0;
    for (; count < NAMES && ebb_kcheck_row(count).name; count++) {
        names[count] = ebb_kcheck_row(count).name;
        if (!name || strcmp(name, names[count]) == 0)
            return EBB_OK;
    }
    return ebb_fail(ctx, EBB_E_USAGE, "unknown kernel '%s'%s", name,
                    ebb_suggest(name, names, count, near, sizeof near));
}

/* Fills items, or counts them when there are none. */
static int list_items(const ebb_check_options *o, int only, item *items)
{
    int count = 0;
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++) {
        if (!ebb_isa_available((ebb_isa)isa) || (only >= 0 && isa != only))
            continue;
        for (int row = 0; ebb_kcheck_row(row).name; row++) {
            if ((o->kernel && strcmp(o->kernel, ebb_kcheck_row(row).name) != 0) || !ebb_kcheck_own((ebb_isa)isa, row))
                continue;
            if (items)
                items[count] = (item){.isa = (ebb_isa)isa, .row = row};
            count++;
        }
    }
    return count;
}

/* ---- report ----------------------------------------------------------------------------------- */

static json_t *row_json(const item *it)
{
    kcheck_row row = ebb_kcheck_row(it->row);
    json_t *json = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "isa", ebb_isa_name(it->isa), "kernel", row.name,
                             "exact", row.exact, "cases", (json_int_t)it->cases, "compared",
                             (json_int_t)it->compared, "failures", (json_int_t)it->failures);
    if (!row.exact)
        json_object_set_new(json, "largest_error", json_real(it->worst));
    if (it->message[0])
        json_object_set_new(json, "message", json_string(it->message));
    return json;
}

static json_t *report_json(const job *j, double seconds)
{
    json_t *rows = json_array();
    json_int_t cases = 0, compared = 0, failures = 0, kernels = 0;
    for (int i = 0; i < j->count; i++) {
        const item *it = &j->items[i];
        if (!it->done)
            continue;
        json_array_append_new(rows, row_json(it));
        cases += it->cases;
        compared += it->compared;
        failures += it->failures;
        kernels++;
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:f, s:o}", "kind", "kernels", "kernels", kernels, "cases", cases,
                     "compared", compared, "failures", failures, "stopped", (int)atomic_load(&j->stopped), "seconds",
                     seconds, "rows", rows);
}

static ebb_status run_all(ebb_context *ctx, job *j, char **json)
{
    double start = ebb_seconds();
    j->probe = true;
    ebb_par_for(ctx->threads, j->count, work, j);
    j->probe = false;
    for (int i = 0; i < j->count; i++)
        j->all += j->items[i].microseconds;
    ebb_par_for(ctx->threads, j->count, work, j);
    for (int i = 0; i < j->count; i++)
        if (j->items[i].no_memory)
            return ebb_fail(ctx, EBB_E_MEMORY, "out of memory for the cases of kernel %s",
                            ebb_kcheck_row(j->items[i].row).name);
    return ebb_report_text(ctx, report_json(j, ebb_seconds() - start), json);
}

ebb_status ebb_check_kernels(ebb_context *ctx, const ebb_check_options *options, char **json)
{
    ebb_check_options o = {0};
    job j = {.options = &o};
    int only;
    *json = NULL;
    if (options)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (o.sample < 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sample %d: give 0 or more", o.sample);
    EBB_TRY(find_isa(ctx, o.cpu, &only));
    EBB_TRY(find_kernel(ctx, o.kernel));
    j.count = list_items(&o, only, NULL);
    EBB_TRY(ebb_alloc(ctx, (void **)&j.items, (size_t)j.count, sizeof *j.items, "the list of kernels"));
    list_items(&o, only, j.items);
    ebb_status status = run_all(ctx, &j, json);
    ebb_free(j.items);
    return status;
}
