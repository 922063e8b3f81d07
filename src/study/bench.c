/* bench.c: ebb_bench: what is asked for, checked and filled in; cells measured; results written (bench.h).
 */
#include "study/bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/guidance.h"

#define GUIDANCES_MAX 16

ebb_bench_options ebb_bench_defaults(void)
{
    return (ebb_bench_options){.size = sizeof(ebb_bench_options), .label = EBB_LABEL_ALL};
}

/* ---- options ---------------------------------------------------------------------------------------------------------------- */

static bool is_toy(const ebb_bench_options *o)
{
    return strncmp(o->what, "toy:", 4) == 0;
}

static ebb_status check(const ebb_bench_job *b)
{
    const ebb_bench_options *o = &b->o;
    ebb_context *ctx = b->ctx;
    if (o->what == NULL || *o->what == 0)
        return ebb_fail(ctx, EBB_E_USAGE, "a benchmark of what? name a model's file, or a law, as toy:mixture");
    if (o->dir == NULL || *o->dir == 0)
        return ebb_fail(ctx, EBB_E_USAGE, "where are the results to go? name a directory");
    if (o->scale < -1 || o->scale > 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "scale %d: -1 (quick), 0 or 1 (full)", o->scale);
    if (o->reference < -1 || o->reference > 100000)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "a reference of %d evaluations: 1 to 100000 are possible, or -1 for none", o->reference);
    if (o->n < 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%lld samples: from 2 on are possible", (long long)o->n);
    if (is_toy(o) && (o->data != NULL || o->labels != NULL || o->keep != NULL || o->precision != NULL))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "data, labels, keep and precision are of models of pictures: %s is a law", o->what);
    if (!is_toy(o) && (o->model != NULL || o->process != NULL))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "model and process are of laws, as toy:mixture: %s has its own", o->what);
    return EBB_OK;
}

static ebb_status settle(ebb_bench_job *b, const ebb_bench_options *options)
{
    if (options->size < sizeof options->size)
        return ebb_fail(b->ctx, EBB_E_ARGUMENT, "benchmark options: size is %zu; start from ebb_bench_defaults()", options->size);
    b->o = ebb_bench_defaults();
    memcpy(&b->o, options, options->size < sizeof b->o ? options->size : sizeof b->o);
    b->scale = (ebb_bench_scale)(b->o.scale + 1);
    return check(b);
}

static ebb_status read_guidance(ebb_bench_job *b, double *guidance, int *count)
{
    char word[EBB_BENCH_NAME];
    const char *list = b->o.guidance;
    *count = 1;
    guidance[0] = b->subject.guidance;
    if (list == NULL || *list == 0)
        return EBB_OK;
    for (*count = 0; ebb_bench_next(&list, word); (*count)++) {
        if (*count == GUIDANCES_MAX)
            return ebb_fail(b->ctx, EBB_E_ARGUMENT, "more than %d strengths of guidance", GUIDANCES_MAX);
        EBB_TRY(ebb_guidance_parse(b->ctx, word, &guidance[*count]));
        if (guidance[*count] != 0 && b->subject.classes == 0)
            return ebb_fail(b->ctx, EBB_E_ARGUMENT, "guidance %s needs classes: choose one", word);
    }
    return EBB_OK;
}

static ebb_status plan(ebb_bench_job *b)
{
    static const int reference[] = {[EBB_SCALE_QUICK] = 200, [EBB_SCALE_USUAL] = 1000, [EBB_SCALE_FULL] = 1000};
    static const int fine[] = {[EBB_SCALE_QUICK] = 200, [EBB_SCALE_USUAL] = 1000, [EBB_SCALE_FULL] = 1000};
    double guidance[GUIDANCES_MAX];
    ebb_bench_wanted w = {.process = b->subject.process, .scale = b->scale, .samplers = b->o.samplers, .nfe = b->o.nfe,
                          .grids = b->o.grids, .guidance = guidance, .doubled = b->subject.classes > 0};
    EBB_TRY(read_guidance(b, guidance, &w.guidances));
    w.reference = b->o.reference < 0 ? 0 : b->o.reference > 0 ? b->o.reference : reference[b->scale];
    w.score = b->o.model != NULL ? fine[b->scale] : 0;
    return ebb_bench_expand(b->ctx, &w, &b->cells);
}

/* ---- results ---------------------------------------------------------------------------------------------------------------- */

static json_t *cell_json(const ebb_bench_cell *c)
{
    if (c->found != NULL) {
        json_t *shown = json_copy(c->found);
        json_object_del(shown, "of");
        return shown;
    }
    return json_pack("{s:s, s:s, s:s, s:f, s:i, s:s}", "role", ebb_bench_role_name(c->role), "sampler", c->sampler, "grid", c->grid,
                     "guidance", c->guidance, "budget", c->budget, "refused", c->refused);
}

static ebb_status machine(ebb_bench_job *b, json_t **out)
{
    char *text;
    EBB_TRY(ebb_info(b->ctx, "cpu", &text));
    ebb_status status = ebb_json_parse(b->ctx, text, "this machine", out);
    ebb_text_free(text);
    return status;
}

static ebb_status results_of(ebb_bench_job *b, json_t **out)
{
    json_t *of_machine, *cells = json_array();
    for (int32_t i = 0; i < b->cells.count; i++)
        json_array_append_new(cells, cell_json(&b->cells.cell[i]));
    ebb_status status = machine(b, &of_machine);
    if (status != EBB_OK) {
        json_decref(cells);
        return status;
    }
    *out = json_pack("{s:s, s:i, s:s, s:O, s:I, s:I, s:i, s:s, s:o, s:O, s:s, s:o}", "ebb", EBB_VERSION, "format", 1, "what", b->o.what,
                     "about", b->subject.about, "samples", (json_int_t)b->o.n, "seed", (json_int_t)b->o.seed, "resamples", b->o.resamples,
                     "command", b->o.command != NULL ? b->o.command : "", "machine", of_machine, "metrics", b->subject.metrics, "metric",
                     b->subject.metric, "cells", cells);
    return *out != NULL ? EBB_OK : ebb_fail(b->ctx, EBB_E_MEMORY, "out of memory for the results");
}

/* Better to know before the work than after it whether there is anything to hold it against. */
static ebb_status look_at_reference(ebb_bench_job *b)
{
    json_t *against, *nothing = json_pack("{s:[], s:[]}", "cells", "metrics");
    ebb_status status = b->o.against != NULL ? ebb_bench_against(b->ctx, nothing, b->o.against, &against) : EBB_OK;
    if (status == EBB_OK && b->o.against != NULL)
        json_decref(against);
    json_decref(nothing);
    return status;
}

/* Read before this run's results are written, which may be in its place. */
static ebb_status hold_against(ebb_bench_job *b, json_t *results)
{
    json_t *against;
    if (b->o.against == NULL)
        return EBB_OK;
    EBB_TRY(ebb_bench_against(b->ctx, results, b->o.against, &against));
    json_object_set_new(results, "against", against);
    return EBB_OK;
}

static ebb_status run(ebb_bench_job *b, json_t **results)
{
    EBB_TRY(look_at_reference(b));
    EBB_TRY(is_toy(&b->o) ? ebb_bench_toy(b) : ebb_bench_model(b));
    EBB_TRY(ebb_bench_choose_metric(b));
    EBB_TRY(plan(b));
    EBB_TRY(ebb_bench_measure(b));
    EBB_TRY(results_of(b, results));
    EBB_TRY(ebb_bench_recommend(b->ctx, *results));
    EBB_TRY(hold_against(b, *results));
    EBB_TRY(ebb_bench_write(b, *results));
    return ebb_bench_html(b, *results);
}

static void free_all(ebb_bench_job *b)
{
    if (b->subject.free != NULL)
        b->subject.free(b->subject.self);
    json_decref(b->subject.about);
    json_decref(b->subject.metrics);
    ebb_bench_cells_free(&b->cells);
}

ebb_status ebb_bench(ebb_context *ctx, const ebb_bench_options *options, char **json)
{
    ebb_bench_job b = {.ctx = ctx, .subject.metrics = json_array()};
    json_t *results = NULL;
    *json = NULL;
    ebb_status status = settle(&b, options);
    if (status == EBB_OK)
        status = run(&b, &results);
    free_all(&b);
    if (status == EBB_OK)
        return ebb_report_text(ctx, results, json);
    json_decref(results);
    return status;
}
