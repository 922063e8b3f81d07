/* test_bench.c: benchmarks of samplers: lists and budgets, cells, fronts and what cannot be told apart, what has changed since
 * another run, cells that are kept, the report, and what is known of samplers on the mixture of the references.
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

static void says(const char *part)
{
    if (strstr(ebb_message(ctx), part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, ebb_message(ctx));
}

static const char *path_of(const char *name)
{
    static char path[32][4200];
    static int turn;
    char *to = path[turn++ % 32];
    snprintf(to, sizeof path[0], "%s/%s", folder, name);
    return to;
}

/* ---- lists and budgets --------------------------------------------------------------------------------------------------------- */

static void test_lists(void **state)
{
    (void)state;
    static const char *const want[] = {"heun", "edm:churn=40,s_noise=1", "unipc:order=2", "karras:rho=5", "ddim"};
    const char *list = "heun,edm:churn=40,s_noise=1, unipc:order=2,karras:rho=5,,ddim,";
    char name[EBB_BENCH_NAME];
    int *numbers = NULL;
    int32_t count;
    for (int i = 0; i < 5; i++) {
        assert_true(ebb_bench_next(&list, name));
        assert_string_equal(name, want[i]);
    }
    assert_false(ebb_bench_next(&list, name));
    ok(ebb_bench_numbers(ctx, "5,10, 20", &numbers, &count));
    assert_int_equal(count, 3);
    assert_int_equal(numbers[2], 20);
    ebb_free(numbers);
    static const char *const wrong[] = {"x", "5,0", "-3", "5.5", "100001", "99999999999999999999"};
    for (int i = 0; i < 6; i++) {
        numbers = NULL;
        assert_int_equal(ebb_bench_numbers(ctx, wrong[i], &numbers, &count), EBB_E_USAGE);
        ebb_free(numbers);
    }
}

static int64_t count_of(const ebb_process *p, const char *sampler, int steps)
{
    int64_t nfe = -1;
    ok(ebb_bench_count(ctx, p, sampler, "", steps, &nfe));
    return nfe;
}

/* What is known of each: Heun's last step towards clean data is Euler's, PLMS begins with one more. */
static void test_count(void **state)
{
    (void)state;
    ebb_process p = usual_process(EBB_PROCESS_VP);
    assert_int_equal(count_of(&p, "euler", 7), 7);
    assert_int_equal(count_of(&p, "heun", 7), 13);
    assert_int_equal(count_of(&p, "plms", 7), 8);
    assert_int_equal(count_of(&p, "dpm-solver-3", 4), 12);
    assert_int_equal(count_of(&p, "pc:corrector_steps=3", 5), 20);
    assert_int_equal(count_of(&p, "unipc", 9), 9);
    ebb_process_free(&p);
}

/* As many steps as the budget pays for, and not one more; for every sampler, in continuous time and on a chain. */
static void test_budget(void **state)
{
    (void)state;
    static const int budgets[] = {1, 2, 5, 10, 33};
    for (int kind = 0; kind < 2; kind++) {
        ebb_process p = usual_process(kind == 0 ? EBB_PROCESS_VP : EBB_PROCESS_DDPM);
        for (int s = 0; ebb_sampler_at(s) != NULL; s++) {
            const ebb_sampler *of = ebb_sampler_at(s);
            for (int k = 0; k < 5 && of->evaluations > 0; k++) {
                int64_t nfe;
                int steps;
                if (ebb_bench_steps(ctx, &p, of->name, "", budgets[k], &steps) != EBB_OK)
                    continue;
                if (steps > 0)
                    assert_true(ebb_bench_count(ctx, &p, of->name, "", steps, &nfe) == EBB_OK && nfe <= budgets[k]);
                if (ebb_bench_count(ctx, &p, of->name, "", steps + 1, &nfe) == EBB_OK && nfe <= budgets[k])
                    fail_msg("%s: %d evaluations pay for more than %d steps", of->name, budgets[k], steps);
            }
        }
        ebb_process_free(&p);
    }
}

/* ---- cells ------------------------------------------------------------------------------------------------------------------------ */

static const double unguided[] = {0};

static ebb_bench_cells expand(const ebb_process *p, const ebb_bench_wanted *options)
{
    ebb_bench_cells cells = {0};
    ebb_bench_wanted w = *options;
    w.process = p;
    w.guidance = w.guidance != NULL ? w.guidance : unguided;
    w.guidances = w.guidances > 0 ? w.guidances : 1;
    ok(ebb_bench_expand(ctx, &w, &cells));
    return cells;
}

/* At each scale, for each process: every row of the list takes part and none is refused. */
static void test_usual_cells(void **state)
{
    (void)state;
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = usual_process((ebb_process_kind)kind);
        int32_t before = 0;
        for (int scale = EBB_SCALE_QUICK; scale <= EBB_SCALE_FULL; scale++) {
            ebb_bench_cells cells = expand(&p, &(ebb_bench_wanted){.scale = (ebb_bench_scale)scale, .reference = 100, .score = 50});
            int references = 0, scores = 0;
            assert_true(cells.count > before);
            before = cells.count;
            for (int32_t i = 0; i < cells.count; i++) {
                const ebb_bench_cell *c = &cells.cell[i];
                references += c->role == EBB_BENCH_REFERENCE;
                scores += c->role == EBB_BENCH_SCORE;
                if (c->role == EBB_BENCH_CELL && c->refused[0] != 0)
                    fail_msg("%s, %s over %s: %s", ebb_process_name(p.kind), c->sampler, c->grid, c->refused);
                for (int32_t k = 0; k < i; k++)
                    assert_false(cells.cell[k].role == c->role && strcmp(cells.cell[k].sampler, c->sampler) == 0 &&
                                 strcmp(cells.cell[k].grid, c->grid) == 0 && cells.cell[k].steps == c->steps);
            }
            assert_int_equal(references, 1);
            assert_int_equal(scores, 1);
            ebb_bench_cells_free(&cells);
        }
        ebb_process_free(&p);
    }
}

static void test_given_cells(void **state)
{
    (void)state;
    ebb_process p = usual_process(EBB_PROCESS_VP);
    /* "own" and the name of the own grid are one; adaptive methods and grids that count their levels have one cell. */
    ebb_bench_cells cells = expand(&p, &(ebb_bench_wanted){.samplers = "dpmpp-2m,rk45", .grids = "own,logsnr", .nfe = "10,5"});
    assert_int_equal(cells.count, 4);
    assert_string_equal(cells.cell[0].grid, "logsnr");
    assert_int_equal(cells.cell[0].steps, 5);
    assert_int_equal(cells.cell[1].steps, 10);
    assert_string_equal(cells.cell[2].sampler, "rk45");
    assert_string_equal(cells.cell[2].grid, "uniform");
    assert_int_equal(cells.cell[2].budget, 0);
    ebb_bench_cells_free(&cells);
    /* Guidance asks twice, so that a budget pays for half as many steps; not with 0 and -1. */
    const double guidance[] = {0, 2, -1};
    cells = expand(&p, &(ebb_bench_wanted){.samplers = "ddim", .nfe = "20", .grids = "own", .guidance = guidance, .guidances = 3, .doubled = true});
    assert_int_equal(cells.count, 3);
    assert_int_equal(cells.cell[0].steps, 20);
    assert_int_equal(cells.cell[1].steps, 10);
    assert_int_equal(cells.cell[2].steps, 20);
    ebb_bench_cells_free(&cells);
    /* What was asked for and cannot be is there, with the reason. */
    cells = expand(&p, &(ebb_bench_wanted){.samplers = "heun,dpm-solver-3", .grids = "logsnr,even", .nfe = "2,40"});
    int refused = 0;
    for (int32_t i = 0; i < cells.count; i++)
        refused += cells.cell[i].refused[0] != 0;
    assert_int_equal(refused, 3);
    ebb_bench_cells_free(&cells);
    ebb_process_free(&p);
}

static void test_wrong_cells(void **state)
{
    (void)state;
    ebb_process p = usual_process(EBB_PROCESS_VP);
    const ebb_bench_wanted wrong[] = {{.samplers = "heum"}, {.samplers = "heun:churn=4"}, {.grids = "karas"}, {.nfe = "5,x"}};
    static const char *const because[] = {"heun", "churn", "karras", "'x'"};
    for (int i = 0; i < 4; i++) {
        ebb_bench_cells cells = {0};
        ebb_bench_wanted w = wrong[i];
        w.process = &p;
        w.guidance = unguided;
        w.guidances = 1;
        assert_int_equal(ebb_bench_expand(ctx, &w, &cells), EBB_E_USAGE);
        says(because[i]);
        ebb_bench_cells_free(&cells);
    }
    ebb_bench_cells none = {0};
    ebb_bench_wanted w = {.process = &p, .samplers = "heun", .grids = "even", .guidance = unguided, .guidances = 1};
    assert_int_equal(ebb_bench_expand(ctx, &w, &none), EBB_E_ARGUMENT);
    says("nothing to run");
    ebb_bench_cells_free(&none);
    ebb_process_free(&p);
}

/* ---- fronts ------------------------------------------------------------------------------------------------------------------------- */

static void test_front(void **state)
{
    (void)state;
    const ebb_bench_point p[] = {{5, 3, 3, 3}, {10, 2, 2, 2}, {10, 2.5, 2.5, 2.5}, {20, 2, 2, 2}, {20, 1, 1, 1}, {4, NAN, NAN, NAN},
                                 {NAN, 0, 0, 0}, {5, 3, 3, 3}};
    const bool want[] = {true, true, false, false, true, false, false, true};
    bool front[8];
    ebb_bench_front(p, 8, front);
    for (int i = 0; i < 8; i++)
        assert_int_equal(front[i], want[i]);
    assert_int_equal(ebb_bench_best(p, 8, 4), -1);
    assert_int_equal(ebb_bench_best(p, 8, 5), 0);
    assert_int_equal(ebb_bench_best(p, 8, 19), 1);
    assert_int_equal(ebb_bench_best(p, 8, 1e9), 4);
    const ebb_bench_point q[] = {{1, 1, 0.8, 1.2}, {1, 1.3, 1.2, 1.4}, {1, 1.5, 1.21, 2}, {1, 0.7, 0.5, 0.79}};
    assert_true(ebb_bench_ties(q, 1, 0));
    assert_false(ebb_bench_ties(q, 2, 0) || ebb_bench_ties(q, 3, 0));
}

static void is_point(ebb_bench_point p, double loss, double low, double high)
{
    assert_true(p.cost == 7 && fabs(p.loss - loss) < 1e-12 && fabs(p.low - low) < 1e-12 && fabs(p.high - high) < 1e-12);
}

/* Whatever is better, less loss is. */
static void test_point(void **state)
{
    (void)state;
    is_point(ebb_bench_point_of(7, "lower", 0, 2, 1, 4), 2, 1, 4);
    is_point(ebb_bench_point_of(7, "lower", 0, 2, NAN, NAN), 2, 2, 2);
    is_point(ebb_bench_point_of(7, "higher", 0, 2, 1, 4), -2, -4, -1);
    is_point(ebb_bench_point_of(7, "near", 1, 3, 2, 5), 2, 1, 4);
    is_point(ebb_bench_point_of(7, "near", 3, 2, 1.5, 3.5), 1, 0, 1.5);
    assert_true(isnan(ebb_bench_point_of(7, "lower", 0, NAN, NAN, NAN).loss));
}

static json_t *cell(const char *key, const char *role, int budget, double nfe, double value, double low, double high)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:f, s:i, s:f, s:f, s:{s:{s:f, s:f, s:f}}}", "key", key, "role", role, "sampler", key, "grid", "g",
                     "guidance", 0.0, "budget", budget, "nfe", nfe, "per_second", 1000 / nfe, "metrics", "m", "value", value, "low", low,
                     "high", high);
}

static bool holds(const json_t *keys, const char *key)
{
    size_t i;
    json_t *value;
    json_array_foreach (keys, i, value)
        if (strcmp(json_string_value(value), key) == 0)
            return true;
    return false;
}

/* The best of each budget, what cannot be told from it, and how it is to floor and reference. */
static void test_recommend(void **state)
{
    (void)state;
    json_t *results = json_pack("{s:s, s:[{s:s, s:s, s:f}], s:[o, o, o, o, o]}", "metric", "m", "metrics", "name", "m", "better", "lower",
                                "floor", 0.5, "cells", cell("a", "cell", 5, 5, 4, 3, 5), cell("b", "cell", 10, 9, 2, 1.5, 2.5),
                                cell("c", "cell", 10, 10, 2.4, 2.2, 3), cell("d", "cell", 10, 10, 3, 2.6, 4),
                                cell("r", "reference", 1000, 1000, 1, 0.9, 1.1));
    ok(ebb_bench_recommend(ctx, results));
    const json_t *budgets = json_object_get(results, "budgets"), *five = json_array_get(budgets, 0), *ten = json_array_get(budgets, 1);
    const json_t *front = json_object_get(json_object_get(json_object_get(results, "front"), "nfe"), "m");
    assert_int_equal(json_array_size(budgets), 2);
    assert_string_equal(ebb_bench_text(five, "key"), "a");
    assert_int_equal(json_array_size(json_object_get(five, "ties")), 0);
    assert_string_equal(ebb_bench_text(ten, "key"), "b");
    assert_true(ebb_bench_number(ten, "over_floor") == 4 && ebb_bench_number(ten, "over_reference") == 2);
    assert_int_equal(json_array_size(json_object_get(ten, "ties")), 1);
    assert_true(holds(json_object_get(ten, "ties"), "c"));
    assert_non_null(strstr(ebb_bench_text(ten, "text"), "b over g (9 evaluations): m 2 (1.5 to 2.5), 4.00 times the floor, 2.00 times"));
    assert_int_equal(json_array_size(front), 2);
    assert_true(holds(front, "a") && holds(front, "b"));
    json_decref(results);
}

/* ---- held against others --------------------------------------------------------------------------------------------------------------- */

static json_t *results_with(json_t *a, json_t *b, json_t *c)
{
    return json_pack("{s:s, s:[{s:s, s:s, s:f}], s:[o, o, o]}", "metric", "m", "metrics", "name", "m", "better", "lower", "floor", 0.5,
                     "cells", a, b, c);
}

static json_t *held_against(const json_t *results, const char *path)
{
    json_t *out;
    ok(ebb_bench_against(ctx, results, path, &out));
    return out;
}

static const char *verdict_of(const json_t *against, const char *sampler)
{
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(against, "rows"), i, row)
        if (strcmp(ebb_bench_text(row, "sampler"), sampler) == 0)
            return ebb_bench_text(row, "verdict");
    return "none";
}

static void counts(const json_t *against, int better, int worse, int same, int new, int missing)
{
    static const char *const names[] = {"better", "worse", "same", "new", "missing"};
    const int want[] = {better, worse, same, new, missing};
    for (int k = 0; k < 5; k++)
        if ((int)ebb_bench_number(against, names[k]) != want[k])
            fail_msg("%s: %g, not %d", names[k], ebb_bench_number(against, names[k]), want[k]);
}

/* Another run: told apart where intervals do not overlap, cell by cell. */
static void test_against_run(void **state)
{
    (void)state;
    json_t *was = results_with(cell("a", "cell", 5, 5, 4, 3, 5), cell("b", "cell", 10, 9, 2, 1.5, 2.5), cell("gone", "cell", 10, 10, 1, 1, 1));
    json_t *is = results_with(cell("a", "cell", 5, 5, 6, 5.1, 7), cell("b", "cell", 10, 9, 1, 0.8, 1.4), cell("c", "cell", 10, 10, 3, 2, 4));
    json_object_set_new(was, "samples", json_integer(100));
    ok(ebb_json_write(ctx, path_of("was.json"), was));
    json_t *against = held_against(is, path_of("was.json"));
    assert_string_equal(verdict_of(against, "a"), "worse");
    assert_string_equal(verdict_of(against, "b"), "better");
    assert_string_equal(verdict_of(against, "c"), "new");
    assert_string_equal(verdict_of(against, "gone"), "missing");
    counts(against, 1, 1, 0, 1, 1);
    assert_string_equal(ebb_bench_text(json_array_get(json_object_get(against, "differs"), 0), "member"), "samples");
    json_decref(against);
    against = held_against(was, path_of("was.json"));
    counts(against, 0, 0, 3, 0, 0);
    assert_int_equal(json_array_size(json_object_get(against, "differs")), 0);
    json_decref(against);
    /* The same numbers of a metric of which more is better are the other way round. */
    json_object_set_new(json_array_get(json_object_get(is, "metrics"), 0), "better", json_string("higher"));
    against = held_against(is, path_of("was.json"));
    assert_string_equal(verdict_of(against, "a"), "better");
    assert_string_equal(verdict_of(against, "b"), "worse");
    json_decref(against);
    json_decref(was);
    json_decref(is);
}

static void write_text(const char *name, const char *text)
{
    ok(ebb_file_write(ctx, path_of(name), text, strlen(text)));
}

/* A table: without intervals a row is what it says; without a grid it is held against the best of ours. */
static void test_against_table(void **state)
{
    (void)state;
    json_t *is = results_with(cell("a:x=1,y=2", "cell", 5, 5, 6, 5, 7), cell("b", "cell", 10, 9, 1, 0.8, 1.4), cell("b", "cell", 10, 9, 3, 2, 4));
    json_object_set_new(json_array_get(json_object_get(is, "cells"), 2), "grid", json_string("other"));
    write_text("t.csv", "# of a paper\r\nmetric,nfe,sampler,note,value,grid,low,high\nm,5,\"a:x=1,y=2\",\"n, n\",5.5,,,\n"
                        "m,9,b,,1.5,,,\nm,9,b,,1.5,other,1,1.9\nm,9,b,,1.5,none,,\n\nother,9,b,,1,,,\n");
    json_t *against = held_against(is, path_of("t.csv"));
    assert_string_equal(verdict_of(against, "a:x=1,y=2"), "same");
    /* better: the best of b; worse: over the other grid; missing: no such grid, no such metric */
    counts(against, 1, 1, 1, 0, 2);
    json_decref(against);
    static const char *const wrong[] = {"", "sampler,nfe,metric,value\n", "sampler,nfe,metric\na,5,m\n", "sampler,nfe,metric,value\na,5,m,x\n",
                                        "sampler,nfe,metric,value\na,,m,1\n"};
    static const char *const because[] = {"no rows", "no rows", "line 2", "'x' is no number", "line 2"};
    for (int i = 0; i < 5; i++) {
        write_text("w.csv", wrong[i]);
        assert_int_equal(ebb_bench_against(ctx, is, path_of("w.csv"), &against), EBB_E_FORMAT);
        says(because[i]);
        assert_null(against);
    }
    write_text("w.json", "{\"cell\": 3}");
    assert_int_equal(ebb_bench_against(ctx, is, path_of("w.json"), &against), EBB_E_FORMAT);
    says("no results of ebb bench");
    assert_int_equal(ebb_bench_against(ctx, is, path_of("none.json"), &against), EBB_E_IO);
    json_decref(is);
}

/* ---- whole runs ----------------------------------------------------------------------------------------------------------------------- */

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

/* ---- what is known of samplers ------------------------------------------------------------------------------------------------------------ */

static double value_of(const json_t *results, const char *sampler, int budget, const char *metric)
{
    size_t i;
    json_t *cell;
    json_array_foreach (json_object_get(results, "cells"), i, cell)
        if (strcmp(ebb_bench_text(cell, "sampler"), sampler) == 0 && (int)ebb_bench_number(cell, "budget") == budget)
            return ebb_bench_number(json_object_get(json_object_get(cell, "metrics"), metric), "value");
    fail_msg("no cell of %s with %d evaluations", sampler, budget);
    return NAN;
}

/* On the mixture DPM-Solver++(2M) and UniPC reach by 20 evaluations a Wasserstein distance for which Euler needs more than 100, and
 * UniPC a nearness to the exact flow for which it needs more than 100. */
static void test_order_of_samplers(void **state)
{
    (void)state;
    watch w;
    ebb_bench_options o = options_of("order", &w);
    o.samplers = "euler,dpmpp-2m,unipc";
    o.nfe = "20,50,100";
    o.n = 4000;
    o.resamples = -1;
    o.reference = -1;
    json_t *results = run(&o);
    double euler = value_of(results, "euler", 100, "sliced-w2"), flow = value_of(results, "euler", 100, "flow-error");
    assert_true(value_of(results, "dpmpp-2m", 20, "sliced-w2") < euler);
    assert_true(value_of(results, "unipc", 20, "sliced-w2") < euler);
    assert_true(value_of(results, "unipc", 20, "flow-error") < flow);
    assert_true(value_of(results, "dpmpp-2m", 20, "flow-error") < 0.5 * value_of(results, "euler", 50, "flow-error"));
    json_decref(results);
}

/* ---- the references ---------------------------------------------------------------------------------------------------------------------- */

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

/* ---- all ------------------------------------------------------------------------------------------------------------------------------------ */

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
        cmocka_unit_test(test_lists), cmocka_unit_test(test_count), cmocka_unit_test(test_budget), cmocka_unit_test(test_usual_cells),
        cmocka_unit_test(test_given_cells), cmocka_unit_test(test_wrong_cells), cmocka_unit_test(test_front), cmocka_unit_test(test_point),
        cmocka_unit_test(test_recommend), cmocka_unit_test(test_against_run), cmocka_unit_test(test_against_table),
        cmocka_unit_test(test_report), cmocka_unit_test(test_run), cmocka_unit_test(test_cut), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_guided), cmocka_unit_test(test_order_of_samplers), cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
