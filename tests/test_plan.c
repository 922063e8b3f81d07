/* test_plan.c: plans against the double-precision oracle, on random graphs and on networks.
 *
 * The oracle sees the graph as it was built; the plan has simplified, fused and placed it. What a plan
 * gives must be the oracle's numbers up to rounding, the same bits on every ISA, for every number of
 * pictures and on every worker.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/plan_check.h"

static void check_random(ebb_context *ctx, uint64_t seed, ebb_plan_options options)
{
    ebb_graph *g = NULL;
    ebb_value y[PLAN_RANDOM_OUTPUTS];
    int ny = plan_random_graph(ctx, seed, &g, y);
    plan_reference r = plan_reference_make(g, seed);
    ebb_plan *p = plan_of(ctx, &r.leaves, y, ny, options);
    for (int worker = 0; worker < options.workers; worker++) {
        plan_run(ctx, p, worker, &r.leaves);
        for (int i = 0; i < ny; i++)
            plan_assert_close(&r, y[i], ebb_plan_output(p, worker, i), seed);
    }
    ebb_plan_free(p);
    plan_reference_free(&r);
    ebb_graph_free(g);
}

static void test_random_graphs_match_the_oracle(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    for (uint64_t seed = 1; seed <= 400; seed++)
        check_random(ctx, seed, (ebb_plan_options){.workers = 1 + (int)(seed % 2)});
    for (uint64_t seed = 401; seed <= 500; seed++) {
        check_random(ctx, seed, (ebb_plan_options){.workers = 1, .keep_all = true});
        check_random(ctx, seed, (ebb_plan_options){.workers = 1, .no_fuse = true});
    }
    ebb_context_free(ctx);
}

static void test_isas_give_equal_bits(void **state)
{
    (void)state;
    ebb_context *spec = plan_context("c");
    for (ebb_isa isa = EBB_ISA_C + 1; isa < EBB_ISA_COUNT; isa++) {
        if (!ebb_isa_available(isa))
            continue;
        ebb_context *fast = plan_context(ebb_isa_name(isa));
        for (uint64_t seed = 600; seed < 640; seed++) {
            ebb_graph *g = NULL;
            ebb_value y[PLAN_RANDOM_OUTPUTS];
            int ny = plan_random_graph(spec, seed, &g, y);
            plan_leaves l = plan_leaves_make(g, seed);
            ebb_plan *p = plan_of(spec, &l, y, ny, (ebb_plan_options){.workers = 1});
            ebb_plan *q = plan_of(fast, &l, y, ny, (ebb_plan_options){.workers = 1});
            plan_run(spec, p, 0, &l);
            plan_run(fast, q, 0, &l);
            for (int i = 0; i < ny; i++)
                assert_memory_equal(ebb_plan_output(p, 0, i), ebb_plan_output(q, 0, i),
                                    (size_t)ebb_shape_count(g->node[y[i]].shape) * sizeof(float));
            ebb_plan_free(p);
            ebb_plan_free(q);
            plan_leaves_free(&l);
            ebb_graph_free(g);
        }
        ebb_context_free(fast);
    }
    ebb_context_free(spec);
}

static void test_unet_matches_the_oracle(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    ebb_value y[256];
    int ny;
    ebb_graph *g = plan_tiny_graph(ctx, 3, true, y, &ny);
    plan_reference r = plan_reference_make(g, 7);
    ebb_plan *p = plan_of(ctx, &r.leaves, y, ny, (ebb_plan_options){.workers = 1});
    plan_run(ctx, p, 0, &r.leaves);
    for (int i = 0; i < ny; i++)
        plan_assert_close(&r, y[i], ebb_plan_output(p, 0, i), 7);
    ebb_plan_free(p);
    plan_reference_free(&r);
    ebb_graph_free(g);
    ebb_context_free(ctx);
}

/* Picture i alone, or among others, on any worker: the same bits. */
static void test_pictures_do_not_see_each_other(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    ebb_value y[1];
    int ny;
    ebb_graph *many = plan_tiny_graph(ctx, 5, false, y, &ny), *one = plan_tiny_graph(ctx, 1, false, y, &ny);
    plan_leaves l = plan_leaves_make(many, 3), k = plan_leaves_make(one, 3);
    ebb_plan *p = plan_of(ctx, &l, y, 1, (ebb_plan_options){.workers = 2});
    plan_run(ctx, p, 1, &l);
    ebb_plan *q = plan_of(ctx, &k, y, 1, (ebb_plan_options){.workers = 1});
    for (int i = 0; i < many->nparams; i++)
        ebb_plan_bind_param(q, i, l.narrow[many->params[i]]);
    ebb_plan_prepare(q);
    size_t picture = (size_t)(plan_tiny.size_h * plan_tiny.size_w * plan_tiny.channels);
    for (size_t i = 0; i < 5; i++) {
        memcpy(ebb_plan_input(q, 0, "x"), l.narrow[many->inputs[0]] + i * picture, picture * sizeof(float));
        memcpy(ebb_plan_input(q, 0, "t"), l.narrow[many->inputs[1]] + i, sizeof(float));
        memcpy(ebb_plan_input(q, 0, "label"), l.narrow[many->inputs[2]] + i, sizeof(int32_t));
        ebb_plan_run(q, 0);
        assert_memory_equal(ebb_plan_output(q, 0, 0), ebb_plan_output(p, 1, 0) + i * picture, picture * sizeof(float));
    }
    ebb_plan_free(p);
    ebb_plan_free(q);
    plan_leaves_free(&l);
    plan_leaves_free(&k);
    ebb_graph_free(many);
    ebb_graph_free(one);
    ebb_context_free(ctx);
}

enum { KINDS = 8 };

/* One step after the other: each output is complete after the step that the plan tells. */
static void run_by_steps(ebb_plan *p)
{
    float early[KINDS][6];
    static const size_t count[KINDS] = {6, 6, 6, 6, 6, 6, 2, 6};
    for (int32_t t = 0; t < ebb_plan_run_steps(p); t++) {
        ebb_plan_run_part(p, 0, t, t + 1);
        for (int i = 0; i < KINDS; i++)
            if (ebb_plan_output_step(p, i) == t)
                memcpy(early[i], ebb_plan_output(p, 0, i), count[i] * sizeof(float));
    }
    for (int i = 0; i < KINDS; i++)
        assert_memory_equal(early[i], ebb_plan_output(p, 0, i), count[i] * sizeof(float));
    /* A repeated output is copied at once, not when all else is done. */
    assert_true(ebb_plan_output_step(p, 4) < ebb_plan_output_step(p, 7));
}

/* Outputs that are inputs, parameters, repeated, or other shapes of each other, bound or not. */
static void test_outputs_of_every_kind(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    ebb_graph *g = NULL;
    OK(ctx, ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(2, 3)), unused = ebb_input(g, "unused", EBB_F32, EBB_SHAPE(4));
    ebb_value w = ebb_param(g, "w", EBB_SHAPE(2, 3), EBB_INIT_ONE, 1, EBB_LAYOUT_PLAIN);
    ebb_value s = ebb_add(g, x, w), flat = ebb_reshape(g, s, EBB_SHAPE(6)), doubled = ebb_scale(g, w, 2);
    ebb_value y[] = {x, w, s, flat, s, doubled, ebb_constant(g, EBB_SHAPE(2), 3), ebb_mul(g, s, s)};
    (void)unused;
    ebb_plan *p = NULL;
    OK(ctx, ebb_plan_create(ctx, g, y, KINDS, &(ebb_plan_options){.workers = 1}, &p));
    float weights[6] = {1, 2, 3, 4, 5, 6}, input[6] = {.5f, 0, -1, 2, 4, 8};
    _Alignas(64) float bound[16];
    ebb_plan_bind_param(p, 0, weights);
    ebb_plan_prepare(p);
    assert_null(ebb_plan_input(p, 0, "unused"));
    for (int pass = 0; pass < 2; pass++) {
        memcpy(ebb_plan_input(p, 0, "x"), input, sizeof input);
        if (pass == 1) {
            ebb_plan_bind_output(p, 0, 7, bound);
            run_by_steps(p);
        } else {
            ebb_plan_run(p, 0);
        }
        OK(ctx, ebb_plan_check(p));
        assert_memory_equal(ebb_plan_output(p, 0, 0), input, sizeof input);
        assert_memory_equal(ebb_plan_output(p, 0, 1), weights, sizeof weights);
        for (int i = 0; i < 6; i++) {
            float sum = input[i] + weights[i];
            assert_true(ebb_plan_output(p, 0, 2)[i] == sum && ebb_plan_output(p, 0, 3)[i] == sum && ebb_plan_output(p, 0, 4)[i] == sum);
            assert_true(ebb_plan_output(p, 0, 5)[i] == 2 * weights[i]);
            assert_true(ebb_plan_output(p, 0, 7)[i] == sum * sum);
        }
        assert_true(ebb_plan_output(p, 0, 6)[0] == 3 && ebb_plan_output(p, 0, 6)[1] == 3);
    }
    assert_ptr_equal(ebb_plan_output(p, 0, 7), bound);
    ebb_plan_free(p);
    ebb_graph_free(g);
    ebb_context_free(ctx);
}

/* Memory is reused: a training plan needs far less than all its values together, and what
 * measure_only announces is what a real plan takes. */
static void test_memory_is_planned(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    ebb_value y[256];
    int ny;
    ebb_graph *g = plan_tiny_graph(ctx, 4, true, y, &ny);
    ebb_plan *dry = NULL, *kept = NULL, *real = NULL;
    OK(ctx, ebb_plan_create(ctx, g, y, ny, &(ebb_plan_options){.workers = 2, .measure_only = true}, &dry));
    OK(ctx, ebb_plan_create(ctx, g, y, ny, &(ebb_plan_options){.workers = 2, .measure_only = true, .keep_all = true}, &kept));
    ebb_plan_size d = ebb_plan_measure(dry), k = ebb_plan_measure(kept);
    assert_true(2 * d.worker < k.worker);
    size_t before = ebb_mem_read().bytes;
    OK(ctx, ebb_plan_create(ctx, g, y, ny, &(ebb_plan_options){.workers = 2}, &real));
    size_t taken = ebb_mem_read().bytes - before;
    assert_true(taken >= d.shared + 2 * d.worker);
    assert_true(taken <= d.shared + 2 * d.worker + (2u << 20));
    char *text = NULL;
    OK(ctx, ebb_plan_text(dry, &text));
    assert_non_null(strstr(text, "\"conv_packed\""));
    ebb_free(text);
    ebb_plan_free(dry);
    ebb_plan_free(kept);
    ebb_plan_free(real);
    ebb_graph_free(g);
    ebb_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_of_every_kind),       cmocka_unit_test(test_random_graphs_match_the_oracle),
        cmocka_unit_test(test_isas_give_equal_bits),        cmocka_unit_test(test_unet_matches_the_oracle),
        cmocka_unit_test(test_pictures_do_not_see_each_other), cmocka_unit_test(test_memory_is_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
