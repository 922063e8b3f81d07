/* test_bench_cells.c: which cells a benchmark has: lists, budgets, steps that a budget pays for, the usual grid, what is refused.
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

/* ---- cells --------------------------------------------------------------------------------------------------------------------- */

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

/* ---- all ----------------------------------------------------------------------------------------------------------------------- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists), cmocka_unit_test(test_count), cmocka_unit_test(test_budget),
        cmocka_unit_test(test_usual_cells), cmocka_unit_test(test_given_cells), cmocka_unit_test(test_wrong_cells),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
