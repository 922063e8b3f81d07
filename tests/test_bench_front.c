/* test_bench_front.c: what is made of the cells of a benchmark: fronts, recommendations and what cannot be told apart, and what has
 * changed since another run or beside a table.
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

static temporary_folder folder;

static const char *path_of(const char *name)
{
    return temporary_path(folder, name);
}

/* ---- fronts -------------------------------------------------------------------------------------------------------------------- */

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
    assert_true(ebb_bench_holds(json_object_get(ten, "ties"), "c"));
    assert_non_null(strstr(ebb_bench_text(ten, "text"), "b over g (9 evaluations): m 2 (1.5 to 2.5), 4.00 times the floor, 2.00 times"));
    assert_int_equal(json_array_size(front), 2);
    assert_true(ebb_bench_holds(front, "a") && ebb_bench_holds(front, "b"));
    json_decref(results);
}

/* ---- held against others ------------------------------------------------------------------------------------------------------- */

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

/* ---- all ----------------------------------------------------------------------------------------------------------------------- */

static int begin(void **state)
{
    return make_context(state) == 0 && temporary_make(folder, "front") ? 0 : -1;
}

static int end(void **state)
{
    return free_context(state) == 0 && temporary_remove(folder) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front), cmocka_unit_test(test_point), cmocka_unit_test(test_recommend),
        cmocka_unit_test(test_against_run), cmocka_unit_test(test_against_table),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
