/* test_bench.c: whole benchmarks: cells that are kept, runs that are cut, the report, what is refused, and what is known of samplers
 * on the mixture of the references.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "study/bench.h"
#include "support/one_context.h"
#include "support/temporary.h"
#include "support/walks.h"

static temporary_folder folder;

static const char *path_of(const char *name)
{
    return temporary_path(folder, name);
}

/* ---- whole runs ---------------------------------------------------------------------------------------------------------------- */

typedef struct watch { int calls; int64_t stop_at; } watch;

static int on_progress(void *user, const char *doing, int64_t cell, int64_t cells, double done)
{
    watch *w = user;
    assert_true(*doing != 0 && (cell < cells || cells == 0) && done >= 0 && done <= 1);
    w->calls++;
    return w->stop_at > 0 && cell >= w->stop_at;
}

static ebb_bench_options options_of(const char *name, watch *w)
{
    ebb_bench_options o = ebb_bench_defaults();
    *w = (watch){0};
    o.what = "toy:mixture";
    o.dir = path_of(name);
    o.samplers = "euler,ddim:eta=1,unipc";
    o.grids = "own";
    o.nfe = "5,10";
    o.n = 500;
    o.resamples = 10;
    o.reference = 20;
    o.progress = on_progress;
    o.user = w;
    return o;
}

static json_t *run(const ebb_bench_options *o)
{
    char *text;
    ok(ebb_bench(ctx, o, &text));
    json_t *json = json_loads(text, 0, NULL);
    ebb_text_free(text);
    assert_non_null(json);
    return json;
}

static int kept(const json_t *results)
{
    size_t i;
    json_t *cell;
    int n = 0;
    json_array_foreach (json_object_get(results, "cells"), i, cell)
        n += json_is_true(json_object_get(cell, "kept"));
    return n;
}

/* All that was measured but time. */
static void assert_same(const json_t *a, const json_t *b)
{
    static const char *const members[] = {"key", "sampler", "grid", "steps", "nfe", "random", "metrics"};
    const json_t *ours = json_object_get(a, "cells"), *theirs = json_object_get(b, "cells");
    assert_int_equal(json_array_size(ours), json_array_size(theirs));
    for (size_t i = 0; i < json_array_size(ours); i++)
        for (int m = 0; m < 7; m++)
            if (!json_equal(json_object_get(json_array_get(ours, i), members[m]), json_object_get(json_array_get(theirs, i), members[m])))
                fail_msg("cell %zu has another %s", i, members[m]);
    assert_true(json_equal(json_object_get(a, "budgets"), json_object_get(b, "budgets")));
}

static void test_run(void **state)
{
    (void)state;
    watch w;
    ebb_bench_options o = options_of("run", &w);
    json_t *first = run(&o), *cell = json_array_get(json_object_get(first, "cells"), 0), *again;
    assert_int_equal(json_array_size(json_object_get(first, "cells")), 7);
    assert_int_equal(kept(first), 0);
    assert_true(w.calls > 0);
    assert_int_equal((int)ebb_bench_number(cell, "nfe"), 5);
    assert_true(ebb_bench_number(cell, "seconds") > 0 && ebb_bench_number(cell, "per_second") > 0);
    assert_true(ebb_bench_number(json_object_get(json_object_get(cell, "metrics"), "sliced-w2"), "value") > 0);
    /* Samplers that draw noise do not follow the flow. */
    assert_true(isfinite(ebb_bench_number(json_object_get(json_object_get(cell, "metrics"), "flow-error"), "value")));
    assert_null(json_object_get(json_object_get(json_array_get(json_object_get(first, "cells"), 2), "metrics"), "flow-error"));
    static const char *const files[] = {"run/results.json", "run/results.csv", "run/nfe.png", "run/seconds.png", "run/report.html"};
    for (int i = 0; i < 5; i++)
        assert_true(ebb_file_exists(path_of(files[i])));

    /* Once more: nothing is evaluated. */
    w = (watch){0};
    again = run(&o);
    assert_int_equal(kept(again), 7);
    assert_int_equal(w.calls, 0);
    assert_same(first, again);
    json_decref(again);

    /* A damaged cell is measured anew, others are not; other samples are other cells. */
    char name[80];
    snprintf(name, sizeof name, "run/cells/%s.json", ebb_bench_text(cell, "key"));
    ok(ebb_file_write(ctx, path_of(name), "{\"metrics", 9));
    again = run(&o);
    assert_int_equal(kept(again), 6);
    assert_same(first, again);
    json_decref(again);
    o.seed = 1;
    again = run(&o);
    assert_int_equal(kept(again), 0);
    json_decref(again);
    json_decref(first);
}

static int value_of_letter(char c)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != 0 ? strchr(letters, c) : NULL;
    return at != NULL ? (int)(at - letters) : -1;
}

/* That the text is the file, by another way than the report's own. */
static void assert_is_file(const char *uri, const char *path)
{
    static const char head[] = "data:image/png;base64,";
    void *data;
    size_t size, n = 0;
    uint32_t bits = 0;
    int held = 0;
    ok(ebb_file_read(ctx, path, 1 << 24, &data, &size));
    assert_memory_equal(uri, head, sizeof head - 1);
    for (uri += sizeof head - 1; value_of_letter(*uri) >= 0; uri++) {
        bits = bits << 6 | (uint32_t)value_of_letter(*uri);
        held += 6;
        if (held >= 8) {
            assert_true(n < size && ((uint8_t *)data)[n++] == (uint8_t)(bits >> (held -= 8)));
        }
    }
    assert_int_equal(n, size);
    assert_true(strspn(uri, "=") == strlen(uri) && strlen(uri) == (3 - size % 3) % 3);
    ebb_free(data);
}

/* One file: the whole results, and the pictures of what is on a front, whatever a name may hold. */
static void test_report(void **state)
{
    (void)state;
    watch w;
    void *page;
    size_t size;
    ebb_bench_options o = options_of("report", &w);
    o.command = "ebb </script><b>@SCRIPT@ @DATA@";
    json_t *results = run(&o), *data, *cell;
    ok(ebb_file_read(ctx, path_of("report/report.html"), 1 << 26, &page, &size));
    static const char begin[] = "id=\"data\">";
    char *from = strstr(page, begin), *to = strstr(from, "</script>");
    assert_null(strstr(page, "@STYLE@"));
    assert_null(strstr(to, "@SCRIPT@\n"));
    assert_null(strstr(page, "http://ebb"));
    *to = 0;
    ok(ebb_json_parse(ctx, from + strlen(begin), "the report", &data));
    assert_string_equal(ebb_bench_text(data, "command"), o.command);
    assert_true(json_equal(json_object_get(data, "cells"), json_object_get(results, "cells")));
    const char *key;
    json_t *uri;
    int pictures = 0;
    json_object_foreach (json_object_get(data, "pictures"), key, uri) {
        char name[80];
        snprintf(name, sizeof name, "report/cells/%s.png", key);
        assert_is_file(json_string_value(uri), path_of(name));
        pictures++;
    }
    size_t i;
    json_array_foreach (json_object_get(results, "cells"), i, cell)
        if (strcmp(ebb_bench_text(cell, "role"), "reference") == 0)
            assert_non_null(json_object_get(json_object_get(data, "pictures"), ebb_bench_text(cell, "key")));
    assert_true(pictures > 1 && pictures < 8);
    json_decref(data);
    json_decref(results);
    ebb_free(page);
}

/* Cut in the middle: what was done is kept, and the next run ends as an uncut one. */
static void test_cut(void **state)
{
    (void)state;
    watch w;
    char *text;
    ebb_bench_options o = options_of("uncut", &w);
    json_t *uncut = run(&o), *gone_on;
    o = options_of("cut", &w);
    w.stop_at = 3;
    assert_int_equal(ebb_bench(ctx, &o, &text), EBB_E_ARGUMENT);
    says("stopped");
    assert_false(ebb_file_exists(path_of("cut/results.json")));
    w.stop_at = 0;
    gone_on = run(&o);
    assert_int_equal(kept(gone_on), 3);
    assert_same(uncut, gone_on);
    json_decref(uncut);
    json_decref(gone_on);
}

static void test_refusals(void **state)
{
    (void)state;
    const struct { const char *what, *samplers, *metric, *guidance; int label; ebb_status status; const char *because; } cases[] = {
        {NULL, NULL, NULL, NULL, EBB_LABEL_ALL, EBB_E_USAGE, "of what"},
        {"toy:mixtur", NULL, NULL, NULL, EBB_LABEL_ALL, EBB_E_USAGE, "mixture"},
        {"nothing.safetensors", NULL, NULL, NULL, EBB_LABEL_ALL, EBB_E_IO, "nothing.safetensors"},
        {"toy:mixture", "heum", NULL, NULL, EBB_LABEL_ALL, EBB_E_USAGE, "heun"},
        {"toy:mixture", NULL, "sliced", NULL, EBB_LABEL_ALL, EBB_E_USAGE, "sliced-w2"},
        {"toy:mixture", NULL, NULL, "2", EBB_LABEL_ALL, EBB_E_ARGUMENT, "needs classes"},
        {"toy:mixture", NULL, NULL, "strong:2", 1, EBB_E_USAGE, "strong"},
        {"toy:mixture", NULL, NULL, NULL, 9, EBB_E_ARGUMENT, "0..1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        watch w;
        char *text;
        ebb_bench_options o = options_of("refused", &w);
        o.what = cases[i].what;
        o.samplers = cases[i].samplers;
        o.metric = cases[i].metric;
        o.guidance = cases[i].guidance;
        o.label = cases[i].label;
        assert_int_equal(ebb_bench(ctx, &o, &text), cases[i].status);
        says(cases[i].because);
        assert_null(text);
    }
    assert_false(ebb_file_exists(path_of("refused/results.json")));
}

/* Guided samples of a class cost two evaluations a step. */
static void test_guided(void **state)
{
    (void)state;
    watch w;
    ebb_bench_options o = options_of("guided", &w);
    o.label = 1;
    o.guidance = "0,scale:2";
    o.samplers = "ddim";
    o.nfe = "10";
    o.reference = -1;
    json_t *results = run(&o), *cells = json_object_get(results, "cells");
    assert_int_equal(json_array_size(cells), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal((int)ebb_bench_number(json_array_get(cells, i), "nfe"), 10);
        assert_int_equal((int)ebb_bench_number(json_array_get(cells, i), "steps"), i == 0 ? 10 : 5);
    }
    json_decref(results);
}

/* ---- what is known of samplers ------------------------------------------------------------------------------------------------- */

/* Over its grid, or the best of them. */
static double least(const json_t *results, const char *sampler, int budget, const char *metric)
{
    size_t i;
    json_t *cell;
    double best = INFINITY;
    json_array_foreach (json_object_get(results, "cells"), i, cell)
        if (strcmp(ebb_bench_text(cell, "sampler"), sampler) == 0 && (int)ebb_bench_number(cell, "budget") == budget)
            best = fmin(best, ebb_bench_number(json_object_get(json_object_get(cell, "metrics"), metric), "value"));
    assert_true(isfinite(best));
    return best;
}

/* Cells over the mixture, without intervals and reference. */
static json_t *cells_of(const char *name, const char *samplers, const char *grids, const char *nfe)
{
    watch w;
    ebb_bench_options o = options_of(name, &w);
    o.samplers = samplers;
    o.grids = grids;
    o.nfe = nfe;
    o.n = 4000;
    o.resamples = -1;
    o.reference = -1;
    return run(&o);
}

/* On the mixture DPM-Solver++(2M) and UniPC reach by 20 evaluations a Wasserstein distance for which Euler needs more than 100, and
 * UniPC a nearness to the exact flow for which it needs more than 100. */
static void test_order_of_samplers(void **state)
{
    (void)state;
    json_t *results = cells_of("order", "euler,dpmpp-2m,unipc", "own", "20,50,100");
    double euler = least(results, "euler", 100, "sliced-w2"), flow = least(results, "euler", 100, "flow-error");
    assert_true(least(results, "dpmpp-2m", 20, "sliced-w2") < euler);
    assert_true(least(results, "unipc", 20, "sliced-w2") < euler);
    assert_true(least(results, "unipc", 20, "flow-error") < flow);
    assert_true(least(results, "dpmpp-2m", 20, "flow-error") < 0.5 * least(results, "euler", 50, "flow-error"));
    json_decref(results);
}

/* Each over the better of two grids, both do by either measure. */
static void test_order_over_grids(void **state)
{
    (void)state;
    static const char *const metrics[] = {"flow-error", "sliced-w2"};
    json_t *results = cells_of("grids", "euler,dpmpp-2m,unipc,unipc:order=2", "own,quadratic", "20,100");
    for (int k = 0; k < 2; k++) {
        double euler = least(results, "euler", 100, metrics[k]);
        assert_true(least(results, "dpmpp-2m", 20, metrics[k]) < euler);
        assert_true(least(results, "unipc", 20, metrics[k]) < euler);
        assert_true(least(results, "unipc:order=2", 20, metrics[k]) < euler);
    }
    json_decref(results);
}

/* ---- the references ------------------------------------------------------------------------------------------------------------ */

static size_t numbers_of(const json_t *json, double *to)
{
    size_t i, n = 0;
    json_t *part;
    if (json_is_number(json)) {
        *to = json_number_value(json);
        return 1;
    }
    json_array_foreach (json, i, part)
        n += numbers_of(part, to + n);
    return n;
}

/* Root mean square distance of the ends of that walk from those of the exact flow, on the references' four starts. */
static double end_error(const ebb_process *p, const ebb_target *law, const char *sampler, int steps, const double *start, const double *end)
{
    double x[8], sum = 0;
    ebb_grid g;
    ok(ebb_grid_create(ctx, p, "logsnr", &(ebb_grid_options){.steps = steps}, &g));
    memcpy(x, start, sizeof x);
    walk_job job = {.sampler = sampler, .process = p, .grid = &g, .target = law, .n = 4, .x = x};
    ok(walk_run(ctx, &job));
    assert_int_equal(job.nfe, steps);
    for (int i = 0; i < 8; i++)
        sum += (x[i] - end[i]) * (x[i] - end[i]);
    ebb_grid_free(&g);
    return sqrt(sum / 4);
}

/* From the references' starts to where their exact flow ends: by 20 evaluations nearer than Euler's (DPM-Solver-1 in the same
 * levels, and in sigma) by 100. Whether the paths are the references' own to rounding is test_refs' business. */
static void test_references(void **state)
{
    (void)state;
    json_t *refs;
    ebb_target law;
    double weight[3], mean[6], cov[12], start[8], end[8];
    int32_t label[] = {0, 1, 2};
    ebb_process p = usual_process(EBB_PROCESS_VP);
    ok(ebb_json_read(ctx, EBB_SOURCE_DIR "/tests/refs/samplers_deterministic.json", &refs));
    const json_t *gmm = json_object_get(refs, "gmm");
    assert_int_equal(numbers_of(json_object_get(gmm, "weights"), weight), 3);
    assert_int_equal(numbers_of(json_object_get(gmm, "means"), mean), 6);
    assert_int_equal(numbers_of(json_object_get(gmm, "covs"), cov), 12);
    assert_int_equal(numbers_of(json_object_get(refs, "x_start"), start), 8);
    assert_int_equal(numbers_of(json_object_get(json_object_get(refs, "exact_pf_ode"), "vp_t1_to_1e-3"), end), 8);
    ok(ebb_target_create(ctx, 3, 2, weight, mean, cov, label, &law));
    double euler = fmin(end_error(&p, &law, "euler", 100, start, end), end_error(&p, &law, "dpm-solver-1", 100, start, end));
    assert_true(end_error(&p, &law, "dpmpp-2m", 20, start, end) < euler);
    assert_true(end_error(&p, &law, "unipc", 20, start, end) < euler);
    assert_true(end_error(&p, &law, "unipc:order=2", 20, start, end) < euler);
    ebb_target_free(&law);
    ebb_process_free(&p);
    json_decref(refs);
}

/* ---- all ----------------------------------------------------------------------------------------------------------------------- */

static int begin(void **state)
{
    return make_context(state) == 0 && temporary_make(folder, "bench") ? 0 : -1;
}

static int end(void **state)
{
    return free_context(state) == 0 && temporary_remove(folder) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run), cmocka_unit_test(test_report), cmocka_unit_test(test_cut), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_guided), cmocka_unit_test(test_order_of_samplers), cmocka_unit_test(test_order_over_grids),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
