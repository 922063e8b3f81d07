/* test_derivative_graphs.c: derivatives of whole graphs: random ones, implicit score matching end to end,
 * what must cost nothing, and what is refused.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/derivative_check.h"
#include "support/oracle.h"
#include "support/randgraph.h"

static ebb_context context = { .threads = 1 };

static int tear_down(void **state)
{
    (void)state;
    return ebb_mem_read().bytes != 0;
}

static ebb_graph *new_graph(void)
{
    ebb_graph *g;
    assert_int_equal(ebb_graph_create(&context, &g), EBB_OK);
    return g;
}

static int count_op(const ebb_graph *g, ebb_value from, ebb_op op)
{
    int n = 0;
    for (ebb_value v = from; v < g->count; v++)
        n += g->node[v].op == op;
    return n;
}

/* ---- random graphs ------------------------------------------------------------------------- */

static void random_graphs(void **state)
{
    (void)state;
    bool seen[EBB_OP_COUNT] = { false };
    int moving = 0, kinks = 0, graphs = 80;
    for (int seed = 0; seed < graphs; seed++) {
        derivative_case c = { .g = new_graph() };
        snprintf(c.name, sizeof c.name, "random graph of seed %d", seed);
        /* Differences see through stop_gradient. */
        c.ny = randgraph_make(c.g, (uint64_t)seed, 5 + seed % 26, EBB_OP_stop_gradient, c.y, DERIVATIVE_Y);
        if (ebb_graph_status(c.g) != EBB_OK)
            fail_msg("%s: %s", c.name, ebb_message(&context));
        for (int k = 0; k < c.g->ninputs + c.g->nparams; k++) {
            ebb_value leaf = k < c.g->ninputs ? c.g->inputs[k] : c.g->params[k - c.g->ninputs];
            if (c.g->node[leaf].type != EBB_F32)
                continue;
            assert_true(c.nx < DERIVATIVE_X);
            c.low[c.nx] = -1;
            c.high[c.nx] = 1;
            c.x[c.nx++] = leaf;
        }
        for (ebb_value v = 0; v < c.g->count; v++)
            seen[c.g->node[v].op] = true;
        moving += derivative_check(&c);
        kinks += c.kinks;
        ebb_graph_free(c.g);
    }
    assert_true(kinks < graphs / 10);
    assert_true(moving > graphs * 9 / 10);
    for (int op = 0; op < EBB_OP_COUNT; op++)
        if (oracle_formula_of((ebb_op)op) && op != EBB_OP_stop_gradient && !seen[op])
            fail_msg("no random graph had a %s", ebb_op_name((ebb_op)op));
}

/* ---- implicit score matching ---------------------------------------------------------------- */

/* A score network in small: convolutions, group norm + SiLU, self-attention, a time input. */
static ebb_value small_network(ebb_graph *g, ebb_value x, ebb_value t)
{
    ebb_value w1 = ebb_param(g, "w1", EBB_SHAPE(3, 3, 2, 4), EBB_INIT_UNIFORM, 1, EBB_LAYOUT_CONV);
    ebb_value w2 = ebb_param(g, "w2", EBB_SHAPE(3, 3, 4, 2), EBB_INIT_UNIFORM, 1, EBB_LAYOUT_CONV);
    ebb_value wt = ebb_param(g, "wt", EBB_SHAPE(1, 4), EBB_INIT_UNIFORM, 1, EBB_LAYOUT_LINEAR);
    ebb_value gamma = ebb_param(g, "gamma", EBB_SHAPE(4), EBB_INIT_ONE, 0, EBB_LAYOUT_PLAIN);
    ebb_value beta = ebb_param(g, "beta", EBB_SHAPE(4), EBB_INIT_ZERO, 0, EBB_LAYOUT_PLAIN);
    ebb_value wq = ebb_param(g, "wq", EBB_SHAPE(2, 4, 4), EBB_INIT_UNIFORM, 1, EBB_LAYOUT_PLAIN);
    ebb_value h = ebb_conv(g, x, w1, 1, 1, 1, 4, 4);
    ebb_value time = ebb_matmul(g, ebb_reshape(g, t, EBB_SHAPE(2, 1)), wt, false, false);
    h = ebb_add(g, h, ebb_reshape(g, ebb_silu(g, time), EBB_SHAPE(2, 1, 1, 4)));
    h = ebb_silu(g, ebb_group_norm(g, h, gamma, beta, 2, 1e-5f));
    ebb_value tokens = ebb_reshape(g, h, EBB_SHAPE(2, 16, 4)), heads = ebb_reshape(g, h, EBB_SHAPE(2, 16, 2, 2));
    ebb_value queries = ebb_reshape(g, ebb_matmul(g, tokens, wq, false, false), EBB_SHAPE(2, 16, 2, 2));
    h = ebb_add(g, h, ebb_reshape(g, ebb_attention(g, queries, heads, heads, 0.5f), EBB_SHAPE(2, 4, 4, 4)));
    ebb_value low = ebb_up2(g, ebb_scale(g, ebb_down2(g, h), 0.25f));
    return ebb_conv(g, ebb_add(g, h, low), w2, 1, 1, 1, 4, 4);
}

static void set_random(const ebb_graph *g, oracle *o, ebb_value leaf, double step)
{
    double data[512], direction[512];
    int64_t n = ebb_shape_count(ebb_graph_shape(g, leaf));
    assert_true(n <= 512);
    randgraph_fill(g, leaf, 1, data);
    randgraph_fill(g, leaf, 2, direction);
    for (int64_t i = 0; i < n; i++)
        data[i] += step * direction[i];
    oracle_set(o, leaf, data);
}

/* dL/dp along a random direction, by five-point differences and by the emitted gradient. */
static void check_gradient(const ebb_graph *g, oracle *o, ebb_value loss, ebb_value p, ebb_value gradient)
{
    double h = 1e-4, l[5], direction[512], sum = 0, scale = 0;
    for (int k = 0; k < 5; k++) {
        set_random(g, o, p, (k - 2) * h);
        oracle_run(o);
        l[k] = oracle_get(o, loss)[0];
    }
    set_random(g, o, p, 0);
    oracle_run(o);
    randgraph_fill(g, p, 2, direction);
    for (int64_t i = 0; i < ebb_shape_count(ebb_graph_shape(g, p)); i++) {
        sum += oracle_get(o, gradient)[i] * direction[i];
        scale += fabs(oracle_get(o, gradient)[i] * direction[i]);
    }
    double difference = (8 * (l[3] - l[1]) - (l[4] - l[0])) / (12 * h);
    assert_true(scale > 0);
    if (!(fabs(sum - difference) <= 1e-6 * scale))
        fail_msg("\"%s\": gradient along a direction is %.12g, by differences %.12g", g->node[p].name, sum,
                 difference);
}

/* L = mean(|s|^2 + 2 v.Jv), s the network, J its Jacobian in x (Hyvarinen 2005; Song et al. 2019, sliced). */
static void implicit_score_matching(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(2, 4, 4, 2));
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(2));
    ebb_value v = ebb_input(g, "v", EBB_F32, EBB_SHAPE(2, 4, 4, 2)), jv, gradient[16];
    ebb_value s = small_network(g, x, t);
    assert_int_equal(ebb_jvp(g, &s, 1, &x, &v, 1, &jv), EBB_OK);
    ebb_value inside = ebb_add(g, ebb_square(g, s), ebb_scale(g, ebb_mul(g, v, jv), 2));
    ebb_value loss = ebb_mean_all(g, inside);
    assert_true(g->nparams <= 16);
    assert_int_equal(ebb_vjp(g, loss, EBB_NONE, g->params, g->nparams, gradient), EBB_OK);
    oracle *o = oracle_create(g);
    for (int i = 0; i < g->ninputs; i++)
        set_random(g, o, g->inputs[i], 0);
    for (int i = 0; i < g->nparams; i++)
        set_random(g, o, g->params[i], 0);
    for (int i = 0; i < g->nparams; i++)
        check_gradient(g, o, loss, g->params[i], gradient[i]);
    oracle_free(o);
    ebb_graph_free(g);
}

/* ---- what must cost nothing ------------------------------------------------------------------ */

/* In x alone (guidance, likelihood): no gradient of weights, of the time path, of gamma. */
static void gradient_in_the_input_alone(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(2, 4, 4, 2));
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(2));
    ebb_value loss = ebb_mean_all(g, small_network(g, x, t)), dx;
    ebb_value before = g->count;
    assert_int_equal(ebb_vjp(g, loss, EBB_NONE, &x, 1, &dx), EBB_OK);
    assert_int_equal(count_op(g, before, EBB_OP_conv_dx), 2);
    assert_int_equal(count_op(g, before, EBB_OP_conv_dw), 0);
    /* Keys and values are functions of x, too. */
    assert_int_equal(count_op(g, before, EBB_OP_attention_vjp), 1);
    assert_int_equal(count_op(g, before, EBB_OP_part), 2);
    assert_int_equal(count_op(g, before, EBB_OP_silu_vjp), 1);
    assert_int_equal(count_op(g, before, EBB_OP_sum), 0);
    ebb_graph_free(g);
}

static void no_path_no_nodes(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(3, 4));
    ebb_value z = ebb_input(g, "z", EBB_F32, EBB_SHAPE(3, 4));
    ebb_value y = ebb_exp(g, ebb_mul(g, x, ebb_sin(g, x))), held = ebb_stop_gradient(g, x);
    ebb_value of_z = ebb_sin(g, z), of_held = ebb_exp(g, held), d, t;
    ebb_value before = g->count;
    assert_int_equal(ebb_vjp(g, y, EBB_NONE, &z, 1, &d), EBB_OK);
    assert_int_equal(ebb_jvp(g, &y, 1, &z, &x, 1, &t), EBB_OK);
    assert_int_equal(ebb_vjp(g, of_held, EBB_NONE, &x, 1, &d), EBB_OK);
    assert_int_equal(ebb_jvp(g, &of_held, 1, &x, &z, 1, &t), EBB_OK);
    ebb_value steps = ebb_step(g, x);
    assert_int_equal(ebb_vjp(g, steps, z, &x, 1, &d), EBB_OK);
    /* Four zeros; the step and its zero. */
    assert_int_equal(g->count, before + 6);
    assert_int_equal(count_op(g, before, EBB_OP_constant), 5);
    assert_int_equal(g->node[d].op, EBB_OP_constant);
    assert_true(g->node[d].attr.alpha == 0 && ebb_shape_equal(g->node[d].shape, EBB_SHAPE(3, 4)));
    before = g->count;
    assert_int_equal(ebb_jvp(g, &of_z, 1, (ebb_value[]){ x, z }, (ebb_value[]){ x, x }, 2, &t), EBB_OK);
    assert_int_equal(g->count, before + 2);
    ebb_graph_free(g);
}

static void expect_all(const oracle *o, ebb_value v, double want)
{
    for (int i = 0; i < 3; i++)
        assert_float_equal(oracle_get(o, v)[i], want, 1e-12);
}

/* Intermediate values as x; x that depend on each other; y itself; the same x twice; a seed. */
static void any_value_may_be_x(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(3)), seed = ebb_constant(g, EBB_SHAPE(3), 10);
    ebb_value h = ebb_scale(g, x, 2), y = ebb_affine(g, ebb_square(g, h), 1, 1), d[4], t, own;
    assert_int_equal(ebb_vjp(g, y, seed, (ebb_value[]){ x, h, y, x }, 4, d), EBB_OK);
    ebb_value ones = ebb_constant(g, EBB_SHAPE(3), 1), twos = ebb_constant(g, EBB_SHAPE(3), 2);
    assert_int_equal(ebb_jvp(g, &y, 1, (ebb_value[]){ x, h }, (ebb_value[]){ ones, twos }, 2, &t), EBB_OK);
    assert_int_equal(ebb_jvp(g, &x, 1, &x, &twos, 1, &own), EBB_OK);
    oracle *o = oracle_create(g);
    oracle_set(o, x, (const double[]){ 3, 3, 3 });
    oracle_run(o);
    expect_all(o, d[0], 10 * 2 * 6 * 2);
    expect_all(o, d[1], 10 * 2 * 6);
    expect_all(o, d[2], 10);
    expect_all(o, d[3], 10 * 2 * 6 * 2);
    expect_all(o, t, 2 * 6 * 2 * 1 + 2 * 6 * 2);
    expect_all(o, own, 2);
    oracle_free(o);
    ebb_graph_free(g);
}

/* An adjoint node and its part as x, beside what they depend on. */
static void adjoints_may_be_x(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(3, 2)), c = ebb_constant(g, EBB_SHAPE(2), 1);
    ebb_value whole = ebb_group_norm_vjp(g, x, c, c, ebb_sin(g, x), 1, 0.01f), part = ebb_part(g, whole, 1);
    ebb_value y[] = { ebb_sum_all(g, whole), ebb_sum_all(g, part) }, both[2], alone[2], d[3];
    const ebb_value at[] = { x, whole, part };
    ebb_value one = ebb_constant(g, EBB_SHAPE(3, 2), 1), direction[] = { one, one, c };
    ebb_jvp(g, y, 2, at, direction, 3, both);
    ebb_jvp(g, y, 2, at, direction, 1, alone);
    assert_int_equal(ebb_vjp(g, ebb_add(g, y[0], y[1]), EBB_NONE, at, 3, d), EBB_OK);
    oracle *o = oracle_create(g);
    oracle_set(o, x, (const double[]){ 3, -1, 2, 0.5, 0.25, 1 });
    oracle_run(o);
    assert_true(fabs(*oracle_get(o, alone[1])) > 1e-3);
    assert_float_equal(*oracle_get(o, both[0]), *oracle_get(o, alone[0]) + 6, 1e-12);
    assert_float_equal(*oracle_get(o, both[1]), *oracle_get(o, alone[1]) + 2, 1e-12);
    double sum = 0;
    for (int i = 0; i < 6; i++) {
        assert_true(oracle_get(o, d[1])[i] == 1);
        sum += oracle_get(o, d[0])[i];
    }
    assert_true(oracle_get(o, d[2])[0] == 1 && oracle_get(o, d[2])[1] == 1);
    assert_float_equal(sum, *oracle_get(o, alone[0]) + *oracle_get(o, alone[1]), 1e-12);
    oracle_free(o);
    ebb_graph_free(g);
}

static void ties_go_to_the_second(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value a = ebb_input(g, "a", EBB_F32, EBB_SHAPE(3)), b = ebb_input(g, "b", EBB_F32, EBB_SHAPE(3));
    ebb_value d[4];
    const ebb_value x[] = { a, b };
    ebb_vjp(g, ebb_max(g, a, b), EBB_NONE, x, 2, d);
    ebb_vjp(g, ebb_min(g, a, b), EBB_NONE, x, 2, d + 2);
    oracle *o = oracle_create(g);
    oracle_set(o, a, (const double[]){ 1, 2, 3 });
    oracle_set(o, b, (const double[]){ 2, 2, 2 });
    oracle_run(o);
    static const double want[4][3] = { { 0, 0, 1 }, { 1, 1, 0 }, { 1, 0, 0 }, { 0, 1, 1 } };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++)
            assert_true(oracle_get(o, d[i])[k] == want[i][k]);
    oracle_free(o);
    ebb_graph_free(g);
}

/* ---- what is refused --------------------------------------------------------------------------- */

#define REFUSES(text, call)                                                      \
    do {                                                                         \
        ebb_graph *g = new_graph();                                              \
        ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(3));                  \
        ebb_value i = ebb_input(g, "i", EBB_I32, EBB_SHAPE(3));                  \
        ebb_value fused = ebb_graph_add(g, (ebb_node){ .op = EBB_OP_linear, .nin = 1, .in = { x }, \
                                                       .shape = EBB_SHAPE(3) }); \
        ebb_value y = ebb_exp(g, x), d = 5;                                      \
        (void)i, (void)fused, (void)y;                                           \
        assert_int_not_equal((call), EBB_OK);                                    \
        assert_int_equal(ebb_graph_status(g), context.status);                   \
        assert_int_equal(d, EBB_NONE);                                           \
        if (!strstr(ebb_message(&context), text))                                \
            fail_msg("\"%s\" does not tell \"%s\"", ebb_message(&context), text); \
        ebb_graph_free(g);                                                       \
    } while (0)

static void refused(void **state)
{
    (void)state;
    REFUSES("vjp: linear is fused", ebb_vjp(g, fused, EBB_NONE, &x, 1, &d));
    REFUSES("jvp: linear is fused", ebb_jvp(g, &fused, 1, &x, &y, 1, &d));
    REFUSES("vjp: y is no f32 value", ebb_vjp(g, i, EBB_NONE, &x, 1, &d));
    REFUSES("vjp: y is no f32 value", ebb_vjp(g, EBB_NONE, EBB_NONE, &x, 1, &d));
    REFUSES("vjp: x[0] is no f32 value", ebb_vjp(g, y, EBB_NONE, &i, 1, &d));
    REFUSES("vjp: the seed must have the shape of y", ebb_vjp(g, ebb_sum_all(g, y), x, &x, 1, &d));
    REFUSES("jvp: y[0] is no f32 value", ebb_jvp(g, &i, 1, &x, &x, 1, &d));
    REFUSES("jvp: x[0] is no f32 value", ebb_jvp(g, &y, 1, &i, &x, 1, &d));
    REFUSES("jvp: v[0] must have the shape of x[0]", ebb_jvp(g, &y, 1, &x, (ebb_value[]){ EBB_NONE }, 1, &d));
    REFUSES("latched before", (ebb_graph_fail(g, EBB_E_ARGUMENT, "latched before"),
                               ebb_vjp(g, y, EBB_NONE, &x, 1, &d)));
    REFUSES("latched before", (ebb_graph_fail(g, EBB_E_ARGUMENT, "latched before"),
                               ebb_jvp(g, &y, 1, &x, &x, 1, &d)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs),
        cmocka_unit_test(implicit_score_matching),
        cmocka_unit_test(gradient_in_the_input_alone),
        cmocka_unit_test(no_path_no_nodes),
        cmocka_unit_test(any_value_may_be_x),
        cmocka_unit_test(adjoints_may_be_x),
        cmocka_unit_test(ties_go_to_the_second),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
