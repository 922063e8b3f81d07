/* test_derivatives.c: the derivative identities for each operation of ops.def that has a derivative.
 *
 * case_<op>(c, variant) builds the operation over fresh inputs; false: there is no such variant. An
 * operation without a case does not compile. Random graphs and whole uses: test_derivative_graphs.c.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

static ebb_value x_of(derivative_case *c, ebb_shape shape)
{
    return derivative_x(c, shape, -1, 1);
}

/* ---- pointwise --------------------------------------------------------------------------- */

#define UNARY(name, low, high)                                                          \
    static bool case_##name(derivative_case *c, int variant)                            \
    {                                                                                   \
        derivative_y(c, ebb_##name(c->g, derivative_x(c, EBB_SHAPE(3, 5), low, high))); \
        return variant == 0;                                                            \
    }
UNARY(recip, 0.5, 2)
UNARY(exp, -1, 1)
UNARY(log, 0.5, 2)
UNARY(sqrt, 0.5, 2)
UNARY(sin, -2, 2)
UNARY(cos, -2, 2)
UNARY(tanh, -2, 2)
UNARY(sigmoid, -3, 3)
UNARY(silu, -3, 3)

static bool case_affine(derivative_case *c, int variant)
{
    derivative_y(c, ebb_affine(c->g, x_of(c, EBB_SHAPE(3, 5)), -1.5f, 0.25f));
    return variant == 0;
}

static bool case_step(derivative_case *c, int variant)
{
    derivative_y(c, ebb_step(c->g, x_of(c, EBB_SHAPE(3, 5))));
    return variant == 0;
}

/* Equal shapes; the first stretched, the second; both. */
#define BINARY(name, low, high)                                                                       \
    static bool case_##name(derivative_case *c, int variant)                                          \
    {                                                                                                 \
        ebb_value a = x_of(c, variant % 2 ? EBB_SHAPE(4, 1) : EBB_SHAPE(2, 4, 3));                    \
        ebb_value b = derivative_x(c, variant / 2 ? EBB_SHAPE(1, 3) : EBB_SHAPE(2, 4, 3), low, high); \
        derivative_y(c, ebb_##name(c->g, a, b));                                                      \
        return variant < 4;                                                                           \
    }
BINARY(add, -1, 1)
BINARY(sub, -1, 1)
BINARY(div, 0.5, 2)
BINARY(max, -1, 1)
BINARY(min, -1, 1)

/* The same, and the square. */
static bool case_mul(derivative_case *c, int variant)
{
    ebb_value a = x_of(c, variant % 2 ? EBB_SHAPE(4, 1) : EBB_SHAPE(2, 4, 3));
    ebb_value b = variant == 4 ? a : x_of(c, variant / 2 ? EBB_SHAPE(1, 3) : EBB_SHAPE(2, 4, 3));
    derivative_y(c, ebb_mul(c->g, a, b));
    return variant < 5;
}

static bool case_silu_vjp(derivative_case *c, int variant)
{
    ebb_value x = derivative_x(c, EBB_SHAPE(3, 5), -3, 3);
    derivative_y(c, ebb_silu_vjp(c->g, x, variant ? x : x_of(c, EBB_SHAPE(3, 5))));
    return variant < 2;
}

/* ---- sums and shapes --------------------------------------------------------------------- */

static bool case_sum(derivative_case *c, int variant)
{
    derivative_y(c, ebb_sum(c->g, x_of(c, EBB_SHAPE(2, 3, 4)), (uint32_t)variant + 1));
    return variant < 7;
}

static bool case_broadcast(derivative_case *c, int variant)
{
    const ebb_shape from[] = { EBB_SCALAR, EBB_SHAPE(4), EBB_SHAPE(3, 1), EBB_SHAPE(1, 1, 4),
                               EBB_SHAPE(2, 3, 1) };
    derivative_y(c, ebb_broadcast(c->g, x_of(c, from[variant % 5]), EBB_SHAPE(2, 3, 4)));
    return variant < 5;
}

static bool case_reshape(derivative_case *c, int variant)
{
    derivative_y(c, ebb_reshape(c->g, x_of(c, EBB_SHAPE(2, 3, 4)), EBB_SHAPE(4, 6)));
    return variant == 0;
}

static bool case_transpose(derivative_case *c, int variant)
{
    static const int perm[][4] = { { 1, 2, 3, 0 }, { 0, 2, 1, 3 }, { 3, 0, 2, 1 } };
    derivative_y(c, ebb_transpose(c->g, x_of(c, EBB_SHAPE(2, 3, 4, 5)), perm[variant % 3]));
    return variant < 3;
}

static bool case_slice(derivative_case *c, int variant)
{
    derivative_y(c, ebb_slice(c->g, x_of(c, EBB_SHAPE(3, 4, 5)), variant % 3, 1, 3));
    return variant < 3;
}

static bool case_pad(derivative_case *c, int variant)
{
    derivative_y(c, ebb_pad(c->g, x_of(c, EBB_SHAPE(3, 4, 5)), variant % 3, 2, variant));
    return variant < 3;
}

/* Both, one twice, and only one that moves. */
static bool case_concat(derivative_case *c, int variant)
{
    ebb_value a = x_of(c, EBB_SHAPE(2, 3, 4)), b = variant == 1 ? a : x_of(c, EBB_SHAPE(2, 3, 4));
    if (variant == 2)
        c->nx = 1;
    derivative_y(c, ebb_concat(c->g, a, b, variant % 3));
    return variant < 3;
}

/* ---- products and pictures --------------------------------------------------------------- */

static bool case_matmul(derivative_case *c, int variant)
{
    bool ta = variant & 1, tb = variant & 2;
    ebb_value a = x_of(c, ta ? EBB_SHAPE(2, 5, 3) : EBB_SHAPE(2, 3, 5));
    derivative_y(c, ebb_matmul(c->g, a, x_of(c, tb ? EBB_SHAPE(2, 4, 5) : EBB_SHAPE(2, 5, 4)), ta, tb));
    return variant < 4;
}

/* Kernel, stride, padding and sizes: the usual 3x3; even kernel off centre; strides that leave rows out;
 * an output that reads far beyond the picture; 1x1. */
typedef struct geometry { int kh, kw, stride, top, left; int64_t h, w, oh, ow; } geometry;
static const geometry geometries[] = {
    { 3, 3, 1, 1, 1, 5, 4, 5, 4 }, { 2, 3, 1, 0, 2, 4, 5, 4, 6 }, { 3, 3, 2, 1, 0, 6, 7, 3, 3 },
    { 3, 2, 3, 0, 1, 8, 5, 2, 2 }, { 2, 2, 2, 1, 1, 3, 3, 4, 5 }, { 1, 1, 1, 0, 0, 3, 2, 3, 2 },
};
#define GEOMETRIES ((int)(sizeof geometries / sizeof geometries[0]))

static bool case_conv(derivative_case *c, int variant)
{
    geometry s = geometries[variant % GEOMETRIES];
    ebb_value x = x_of(c, EBB_SHAPE(2, s.h, s.w, 3)), w = x_of(c, EBB_SHAPE(s.kh, s.kw, 3, 5));
    derivative_y(c, ebb_conv(c->g, x, w, s.stride, s.top, s.left, s.oh, s.ow));
    return variant < GEOMETRIES;
}

static bool case_conv_dx(derivative_case *c, int variant)
{
    geometry s = geometries[variant % GEOMETRIES];
    ebb_value dy = x_of(c, EBB_SHAPE(2, s.oh, s.ow, 5)), w = x_of(c, EBB_SHAPE(s.kh, s.kw, 3, 5));
    derivative_y(c, ebb_conv_dx(c->g, dy, w, s.stride, s.top, s.left, s.h, s.w));
    return variant < GEOMETRIES;
}

static bool case_conv_dw(derivative_case *c, int variant)
{
    geometry s = geometries[variant % GEOMETRIES];
    ebb_value x = x_of(c, EBB_SHAPE(2, s.h, s.w, 3)), dy = x_of(c, EBB_SHAPE(2, s.oh, s.ow, 5));
    derivative_y(c, ebb_conv_dw(c->g, x, dy, s.stride, s.top, s.left, s.kh, s.kw));
    return variant < GEOMETRIES;
}

static bool case_up2(derivative_case *c, int variant)
{
    derivative_y(c, ebb_up2(c->g, x_of(c, EBB_SHAPE(2, 3, 1, 3))));
    return variant == 0;
}

static bool case_down2(derivative_case *c, int variant)
{
    derivative_y(c, ebb_down2(c->g, x_of(c, EBB_SHAPE(2, 4, 6, 3))));
    return variant == 0;
}

/* ---- the rest ---------------------------------------------------------------------------- */

/* Groups of one channel, of several, one group; a plain matrix; only x, gamma or beta moves. */
static bool case_group_norm(derivative_case *c, int variant)
{
    static const int groups[] = { 6, 3, 1, 2, 3, 3, 3 };
    ebb_value x = x_of(c, variant == 3 ? EBB_SHAPE(4, 6) : EBB_SHAPE(2, 3, 2, 6));
    ebb_value gamma = x_of(c, EBB_SHAPE(6)), beta = x_of(c, EBB_SHAPE(6));
    derivative_y(c, ebb_group_norm(c->g, x, gamma, beta, groups[variant % 7], 0.01f));
    if (variant > 3) {
        c->x[0] = c->x[variant - 4];
        c->nx = 1;
    }
    return variant < 7;
}

static ebb_value norm_adjoint(derivative_case *c, int variant)
{
    static const int groups[] = { 6, 3, 1, 2, 3 };
    ebb_shape s = variant == 3 ? EBB_SHAPE(4, 6) : EBB_SHAPE(2, 3, 2, 6);
    ebb_value x = x_of(c, s), gamma = x_of(c, EBB_SHAPE(6)), beta = x_of(c, EBB_SHAPE(6));
    ebb_value dy = variant == 4 ? x : x_of(c, s);
    return ebb_group_norm_vjp(c->g, x, gamma, beta, dy, groups[variant % 5], 0.01f);
}

static bool case_group_norm_vjp(derivative_case *c, int variant)
{
    derivative_y(c, norm_adjoint(c, variant));
    return variant < 5;
}

static bool case_softmax(derivative_case *c, int variant)
{
    ebb_shape s = variant ? EBB_SHAPE(7) : EBB_SHAPE(2, 3, 5);
    derivative_y(c, ebb_softmax(c->g, derivative_x(c, s, -2, 2), 0.75f));
    return variant < 2;
}

static bool case_softmax_vjp(derivative_case *c, int variant)
{
    ebb_value y = x_of(c, EBB_SHAPE(2, 3, 5));
    derivative_y(c, ebb_softmax_vjp(c->g, y, variant ? y : x_of(c, EBB_SHAPE(2, 3, 5)), 0.75f));
    return variant < 2;
}

/* One head and several; other counts of keys than of queries; one key; all three the same; only one moves. */
static ebb_value attention_inputs(derivative_case *c, int variant, ebb_value *k, ebb_value *v)
{
    static const int64_t keys[] = { 3, 5, 2, 3, 4, 4, 1 };
    int64_t heads = variant % 2 ? 2 : 1;
    ebb_value q = x_of(c, EBB_SHAPE(2, 3, heads, 4));
    *k = variant == 3 ? q : x_of(c, EBB_SHAPE(2, keys[variant % 7], heads, 4));
    *v = variant == 3 ? q : x_of(c, EBB_SHAPE(2, keys[variant % 7], heads, 4));
    return q;
}

static bool case_attention(derivative_case *c, int variant)
{
    ebb_value k, v, q = attention_inputs(c, variant, &k, &v);
    derivative_y(c, ebb_attention(c->g, q, k, v, 0.75f));
    if (variant > 3) {
        c->x[0] = c->x[variant - 4];
        c->nx = 1;
    }
    return variant < 7;
}

static ebb_value attention_adjoint(derivative_case *c, int variant)
{
    ebb_value k, v, q = attention_inputs(c, variant, &k, &v);
    return ebb_attention_vjp(c->g, q, k, v, variant == 2 ? q : x_of(c, EBB_SHAPE(2, 3, variant % 2 ? 2 : 1, 4)), 0.75f);
}

static bool case_attention_vjp(derivative_case *c, int variant)
{
    derivative_y(c, attention_adjoint(c, variant));
    return variant < 4;
}

static bool case_gather(derivative_case *c, int variant)
{
    ebb_value index = ebb_input(c->g, "index", EBB_I32, EBB_SHAPE(6));
    derivative_y(c, ebb_gather(c->g, x_of(c, EBB_SHAPE(4, 3)), index));
    return variant == 0;
}

static bool case_scatter_add(derivative_case *c, int variant)
{
    ebb_value index = ebb_input(c->g, "index", EBB_I32, EBB_SHAPE(6));
    derivative_y(c, ebb_scatter_add(c->g, index, x_of(c, EBB_SHAPE(6, 3)), 4));
    return variant == 0;
}

/* Each part alone, then all together; of both operations that have some. */
static bool case_part(derivative_case *c, int variant)
{
    ebb_value whole = variant < 5 ? norm_adjoint(c, variant) : attention_adjoint(c, variant - 5);
    if (variant % 5 != 1)
        derivative_y(c, ebb_part(c->g, whole, 1));
    if (variant % 5 != 0)
        derivative_y(c, ebb_part(c->g, whole, 2));
    if (variant % 5 > 1)
        derivative_y(c, whole);
    return variant < 9;
}

/* ---- the list ---------------------------------------------------------------------------- */

#define CASE_LEAF(name) NULL
#define CASE_UNARY(name) case_##name
#define CASE_BINARY(name) case_##name
#define CASE_SHAPE(name) case_##name
#define CASE_LINEAR(name) case_##name
#define CASE_NONLIN(name) case_##name
#define CASE_ADJOINT(name) case_##name
#define CASE_STOP(name) NULL
#define CASE_FUSED(name) NULL
static bool (*const cases[EBB_OP_COUNT])(derivative_case *, int) = {
#define OP(name, inputs, class) [EBB_OP_##name] = CASE_##class(name),
#include "graph/ops.def"
#undef OP
};

/* Builds variant `variant` of the operation's case; false: no such variant. Free c->g in both cases. */
static bool build_case(ebb_op op, int variant, derivative_case *c)
{
    *c = (derivative_case){ 0 };
    snprintf(c->name, sizeof c->name, "%s variant %d", ebb_op_name(op), variant);
    assert_int_equal(ebb_graph_create(&context, &c->g), EBB_OK);
    bool exists = cases[op](c, variant);
    if (exists && ebb_graph_status(c->g) != EBB_OK)
        fail_msg("%s: %s", c->name, ebb_message(&context));
    return exists;
}

static void every_operation(void **state)
{
    (void)state;
    for (int op = 0; op < EBB_OP_COUNT; op++) {
        derivative_case c;
        for (int variant = 0; cases[op]; variant++) {
            bool exists = build_case((ebb_op)op, variant, &c);
            if (exists && derivative_check(&c) == (op == EBB_OP_step))
                fail_msg("%s: the derivative is %s", c.name, op == EBB_OP_step ? "not zero" : "zero");
            ebb_graph_free(c.g);
            if (!exists)
                break;
        }
    }
}

/* ---- expansions -------------------------------------------------------------------------- */

static void run_at_random(const ebb_graph *g, oracle *o)
{
    double data[256];
    for (int i = 0; i < g->ninputs; i++) {
        assert_true(ebb_shape_count(ebb_graph_shape(g, g->inputs[i])) <= 256);
        randgraph_fill(g, g->inputs[i], 3, data);
        oracle_set(o, g->inputs[i], data);
    }
    oracle_run(o);
}

static void same_values(const derivative_case *c, const oracle *o, ebb_value a, ebb_value b)
{
    assert_true(ebb_shape_equal(ebb_graph_shape(c->g, a), ebb_graph_shape(c->g, b)));
    for (int64_t i = 0; i < ebb_shape_count(ebb_graph_shape(c->g, a)); i++)
        if (!(fabs(oracle_get(o, a)[i] - oracle_get(o, b)[i]) <= 1e-12))
            fail_msg("%s: element %lld is %.15g, by the expansion %.15g", c->name, (long long)i,
                     oracle_get(o, a)[i], oracle_get(o, b)[i]);
}

static void check_expansion(derivative_case *c)
{
    ebb_value v = c->y[0], parts[EBB_PARTS_MAX], own[EBB_PARTS_MAX];
    bool has_parts = c->g->node[v].op == EBB_OP_group_norm_vjp || c->g->node[v].op == EBB_OP_attention_vjp;
    for (int k = 1; k <= 2 && has_parts; k++)
        own[k] = ebb_part(c->g, v, k);
    ebb_value value = ebb_expand(c->g, v, parts);
    assert_true(value != EBB_NONE && value != v);
    oracle *o = oracle_create(c->g);
    run_at_random(c->g, o);
    same_values(c, o, v, value);
    for (int k = 1; k < EBB_PARTS_MAX; k++)
        if (has_parts && k <= 2)
            same_values(c, o, own[k], parts[k]);
        else
            assert_int_equal(parts[k], EBB_NONE);
    oracle_free(o);
}

static bool is_adjoint(int op)
{
    static const char *const class_of[] = {
#define OP(name, inputs, class) #class,
#include "graph/ops.def"
#undef OP
    };
    return strcmp(class_of[op], "ADJOINT") == 0;
}

static void every_expansion(void **state)
{
    (void)state;
    for (int op = 0; op < EBB_OP_COUNT; op++) {
        derivative_case c;
        for (int variant = 0; cases[op]; variant++) {
            bool exists = build_case((ebb_op)op, variant, &c);
            ebb_value parts[EBB_PARTS_MAX];
            if (exists && is_adjoint(op))
                check_expansion(&c);
            else if (exists && op != EBB_OP_part)
                assert_int_equal(ebb_expand(c.g, c.y[0], parts), EBB_NONE);
            ebb_graph_free(c.g);
            if (!exists)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation),
        cmocka_unit_test(every_expansion),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
