/* test_fuse.c: what the planner puts in the place of the nodes of a graph: fused norms, Winograd's convolutions,
 * attention that keeps what its adjoint needs. Each is there where it should be, and gives the right numbers.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/plan_check.h"

static double largest_error(const plan_reference *r, ebb_value v, const float *got)
{
    double error = 0;
    for (int64_t i = 0; i < ebb_shape_count(r->leaves.g->node[v].shape); i++)
        error = fmax(error, fabs(got[i] - oracle_get(r->o, v)[i]));
    return error;
}

/* A convolution with its epilogue and adjoints, exact and fast: where choose.c takes Winograd (`expected` steps of
 * it), the largest error is at most 16 times that of the direct sums; elsewhere the bits are the same. The fast bits
 * are those of simd/c. */
static void check_winograd(ebb_context *ctx, ebb_context *spec, const ebb_conv_shape *s, int expected)
{
    ebb_graph *g = NULL;
    ebb_value leaf[3], y[4];
    OK(ctx, ebb_graph_create(ctx, &g));
    leaf[0] = ebb_input(g, "x", EBB_F32, EBB_SHAPE(s->n, s->h, s->w, s->ci));
    leaf[1] = ebb_param(g, "w", EBB_SHAPE(s->kh, s->kw, s->ci, s->co), EBB_INIT_NORMAL, 1, EBB_LAYOUT_CONV);
    leaf[2] = ebb_param(g, "b", EBB_SHAPE(s->co), EBB_INIT_NORMAL, 1, EBB_LAYOUT_PLAIN);
    y[0] = ebb_conv(g, leaf[0], leaf[1], s->stride, s->pad_top, s->pad_left, s->oh, s->ow);
    y[0] = ebb_add(g, ebb_add(g, y[0], leaf[2]), ebb_input(g, "r", EBB_F32, ebb_graph_shape(g, y[0])));
    OK(ctx, ebb_vjp(g, ebb_sum_all(g, ebb_sin(g, y[0])), EBB_NONE, leaf, 3, y + 1));
    plan_reference r = plan_reference_make(g, (uint64_t)(s->h * 100 + s->ci));
    ebb_plan *exact = plan_of(ctx, &r.leaves, y, 4, (ebb_plan_options){.workers = 1});
    ebb_plan *fast = plan_of(ctx, &r.leaves, y, 4, (ebb_plan_options){.workers = 1, .fast_conv = true});
    ebb_plan *same = plan_of(spec, &r.leaves, y, 4, (ebb_plan_options){.workers = 1, .fast_conv = true});
    int used = 0;
    for (int32_t t = fast->nprepare; t < fast->nsteps; t++)
        used += fast->step[t].executor.task.attr.method == EBB_METHOD_WINOGRAD;
    assert_int_equal(used, expected);
    plan_run(ctx, exact, 0, &r.leaves);
    plan_run(ctx, fast, 0, &r.leaves);
    plan_run(spec, same, 0, &r.leaves);
    for (int i = 0; i < 4; i++) {
        size_t bytes = (size_t)ebb_shape_count(g->node[y[i]].shape) * sizeof(float);
        const float *a = ebb_plan_output(exact, 0, i), *b = ebb_plan_output(fast, 0, i);
        assert_true(largest_error(&r, y[i], b) <= 16 * largest_error(&r, y[i], a));
        assert_memory_equal(b, ebb_plan_output(same, 0, i), bytes);
        if (!expected)
            assert_memory_equal(a, b, bytes);
    }
    ebb_plan_free(exact);
    ebb_plan_free(fast);
    ebb_plan_free(same);
    plan_reference_free(&r);
    ebb_graph_free(g);
}

static void test_winograd_matches_the_oracle(void **state)
{
    (void)state;
    static const struct { ebb_conv_shape s; int expected; } cases[] = {
        {{2, 8, 8, 16, 8, 8, 24, 3, 3, 1, 1, 1}, 3},   {{1, 13, 10, 33, 13, 10, 16, 3, 3, 1, 1, 1}, 3},
        {{3, 9, 12, 20, 9, 10, 40, 3, 3, 1, 1, 0}, 3}, {{1, 16, 12, 16, 16, 12, 32, 3, 3, 1, 1, 1}, 3},
        {{2, 4, 4, 32, 4, 4, 32, 3, 3, 1, 1, 1}, 3},   {{2, 7, 7, 32, 7, 7, 32, 3, 3, 1, 1, 1}, 3},
        {{2, 5, 5, 32, 5, 5, 32, 3, 3, 1, 1, 1}, 0},     {{2, 16, 16, 32, 8, 8, 32, 3, 3, 2, 0, 0}, 0},
        {{2, 12, 12, 3, 12, 12, 32, 3, 3, 1, 1, 1}, 0}, {{2, 12, 12, 32, 12, 12, 32, 1, 1, 1, 0, 0}, 0},
    };
    ebb_context *ctx = plan_context(NULL), *spec = plan_context("c");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_winograd(ctx, spec, &cases[i].s, cases[i].expected);
    ebb_context_free(ctx);
    ebb_context_free(spec);
}

/* What fusion is for: in a training plan no norm, activation or bias is left on its own. */
static void test_unet_is_fused(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    ebb_value y[256];
    int ny, count[EBB_OP_COUNT] = {0}, convs = 0, norms = 0, attentions = 0;
    ebb_graph *g = plan_tiny_graph(ctx, 2, true, y, &ny);
    for (ebb_value v = 0; v < g->count; v++) {
        convs += g->node[v].op == EBB_OP_conv;
        norms += g->node[v].op == EBB_OP_group_norm;
        attentions += g->node[v].op == EBB_OP_attention;
    }
    ebb_plan *p = NULL;
    OK(ctx, ebb_plan_create(ctx, g, y, ny, &(ebb_plan_options){.workers = 1, .measure_only = true}, &p));
    for (int32_t t = 0; t < p->nsteps; t++) {
        const ebb_node *n = &p->ir.node[p->step[t].node];
        count[n->op]++;
        if (n->op == EBB_OP_conv_packed)
            assert_true(n->attr.index & EBB_HAS_BIAS);
    }
    assert_int_equal(count[EBB_OP_conv] + count[EBB_OP_conv_dx], 0);
    assert_int_equal(count[EBB_OP_group_norm] + count[EBB_OP_group_norm_vjp], 0);
    assert_int_equal(count[EBB_OP_conv_packed], convs);
    assert_int_equal(count[EBB_OP_conv_dw], convs);
    assert_int_equal(count[EBB_OP_norm], norms);
    assert_int_equal(count[EBB_OP_norm_vjp], norms);
    assert_true(attentions > 0);
    assert_int_equal(count[EBB_OP_attention], attentions);
    assert_int_equal(count[EBB_OP_attention_vjp_kept], attentions);
    assert_int_equal(count[EBB_OP_softmax] + count[EBB_OP_softmax_vjp] + count[EBB_OP_attention_vjp], 0);
    ebb_plan_free(p);
    ebb_graph_free(g);
    ebb_context_free(ctx);
}

/* Two norms with scales and shifts from an embedding, one before silu, one without; y[0] the result, then the
 * gradients of sum(sin(result)) in every parameter, in x and in the embedding. With `others`, the insides of
 * the first norm have readers of their own, which fusion must leave right. */
static ebb_graph *scale_shift_graph(ebb_context *ctx, bool others, ebb_value *y, int *ny)
{
    ebb_graph *g = NULL;
    ebb_value leaf[16];
    OK(ctx, ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(3, 6, 5, 4)), e = ebb_input(g, "e", EBB_F32, EBB_SHAPE(3, 7));
    ebb_value h = ebb_nn_conv(g, "in", x, 12, 3, 1, 1);
    ebb_value modulated = ebb_nn_scale_shift_norm(g, "norm1", h, ebb_nn_linear(g, "emb1", e, 24, 1), 3, 1e-5f);
    h = ebb_nn_conv(g, "mid", ebb_silu(g, modulated), 10, 3, 1, 1);
    y[0] = ebb_nn_scale_shift_norm(g, "norm2", h, ebb_nn_linear(g, "emb2", e, 20, 1), 5, 1e-5f);
    memcpy(leaf, g->params, (size_t)g->nparams * sizeof *leaf);
    leaf[g->nparams] = x, leaf[g->nparams + 1] = e;
    *ny = 1 + g->nparams + 2;
    ebb_value total = ebb_sum_all(g, ebb_sin(g, y[0]));
    if (others) {
        ebb_value product = g->node[modulated].in[0], norm = g->node[product].in[0];
        total = ebb_add(g, total, ebb_sum_all(g, ebb_sin(g, ebb_add(g, modulated, ebb_sin(g, product)))));
        total = ebb_add(g, total, ebb_sum_all(g, ebb_sin(g, norm)));
    }
    OK(ctx, ebb_vjp(g, total, EBB_NONE, leaf, *ny - 1, y + 1));
    OK(ctx, ebb_graph_status(g));
    return g;
}

/* Each norm and each adjoint is one step that does the scales, the shifts and their gradients too. */
static void assert_scale_shift_is_fused(const ebb_plan *p)
{
    int norms = 0, adjoints = 0, silus = 0;
    for (int32_t t = 0; t < p->nsteps; t++) {
        const ebb_node *n = &p->ir.node[p->step[t].node];
        assert_true(n->op != EBB_OP_group_norm && n->op != EBB_OP_group_norm_vjp);
        assert_true(n->op != EBB_OP_sum || n->attr.axes != (1u << 1 | 1u << 2));  /* biases sum over pictures too */
        if (n->op == EBB_OP_norm || n->op == EBB_OP_norm_vjp) {
            assert_true(n->attr.index == EBB_HAS_SCALE_SHIFT);
            norms += n->op == EBB_OP_norm;
            adjoints += n->op == EBB_OP_norm_vjp;
            silus += n->attr.silu;
        }
    }
    assert_true(norms == 2 && adjoints == 2 && silus == 2);
}

static void check_scale_shift(ebb_context *ctx, ebb_context *spec, bool others)
{
    ebb_value y[32];
    int ny;
    ebb_graph *g = scale_shift_graph(ctx, others, y, &ny);
    plan_reference r = plan_reference_make(g, 11);
    ebb_plan *fused = plan_of(ctx, &r.leaves, y, ny, (ebb_plan_options){.workers = 1});
    ebb_plan *same = plan_of(spec, &r.leaves, y, ny, (ebb_plan_options){.workers = 1});
    ebb_plan *plain = plan_of(ctx, &r.leaves, y, ny, (ebb_plan_options){.workers = 1, .no_fuse = true});
    if (!others)
        assert_scale_shift_is_fused(fused);
    plan_run(ctx, fused, 0, &r.leaves);
    plan_run(ctx, plain, 0, &r.leaves);
    plan_run(spec, same, 0, &r.leaves);
    for (int i = 0; i < ny; i++) {
        plan_assert_close(&r, y[i], ebb_plan_output(fused, 0, i), 11);
        plan_assert_close(&r, y[i], ebb_plan_output(plain, 0, i), 11);
        assert_memory_equal(ebb_plan_output(fused, 0, i), ebb_plan_output(same, 0, i),
                            (size_t)ebb_shape_count(g->node[y[i]].shape) * sizeof(float));
    }
    ebb_plan_free(fused);
    ebb_plan_free(same);
    ebb_plan_free(plain);
    plan_reference_free(&r);
    ebb_graph_free(g);
}

static void test_scale_shift_matches_the_oracle(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL), *spec = plan_context("c");
    check_scale_shift(ctx, spec, false);
    check_scale_shift(ctx, spec, true);
    ebb_context_free(ctx);
    ebb_context_free(spec);
}

/* Through attention of T tokens and back nothing of T x T numbers is held, not even scratch; and what the forward
 * kept is what the adjoint would compute again, to the bit. */
static void test_attention_holds_no_matrix(void **state)
{
    (void)state;
    enum { T = 512 };
    ebb_context *ctx = plan_context(NULL);
    ebb_graph *g = NULL;
    OK(ctx, ebb_graph_create(ctx, &g));
    ebb_value x[3], y[4];
    for (int i = 0; i < 3; i++)
        x[i] = ebb_input(g, (const char *[]){"q", "k", "v"}[i], EBB_F32, EBB_SHAPE(1, T, 2, 8));
    y[0] = ebb_attention(g, x[0], x[1], x[2], 0.35f);
    OK(ctx, ebb_vjp(g, ebb_sum_all(g, ebb_square(g, y[0])), EBB_NONE, x, 3, y + 1));
    plan_leaves l = plan_leaves_make(g, 5);
    ebb_plan *kept = plan_of(ctx, &l, y, 4, (ebb_plan_options){.workers = 1});
    ebb_plan *again = plan_of(ctx, &l, y, 4, (ebb_plan_options){.workers = 1, .no_fuse = true});
    assert_true(ebb_plan_measure(kept).worker < T * T * sizeof(float) / 2);
    plan_run(ctx, kept, 0, &l);
    plan_run(ctx, again, 0, &l);
    for (int i = 0; i < 4; i++)
        assert_memory_equal(ebb_plan_output(kept, 0, i), ebb_plan_output(again, 0, i), T * 16 * sizeof(float));
    ebb_plan_free(kept);
    ebb_plan_free(again);
    plan_leaves_free(&l);
    ebb_graph_free(g);
    ebb_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unet_is_fused),
        cmocka_unit_test(test_scale_shift_matches_the_oracle),
        cmocka_unit_test(test_winograd_matches_the_oracle),
        cmocka_unit_test(test_attention_holds_no_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
