/* test_graph.c: making graphs: shapes of every operation, broadcasting, what builders leave out, the
 * latched error and its message, names and scopes, and the listing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"

/* Graphs need a context for memory and messages only. */
static ebb_context context = { .threads = 1 };
static ebb_context *ctx = &context;

static int tear_down(void **state)
{
    (void)state;
    return ebb_mem_read().bytes != 0;
}

static ebb_graph *new_graph(void)
{
    ebb_graph *g;
    assert_int_equal(ebb_graph_create(ctx, &g), EBB_OK);
    return g;
}

static ebb_value f32(ebb_graph *g, const char *name, ebb_shape shape)
{
    return ebb_input(g, name, EBB_F32, shape);
}

static void shape_is(const ebb_graph *g, ebb_value v, const char *want)
{
    assert_true(v >= 0);
    char text[128];
    ebb_shape_text(ebb_graph_shape(g, v), text, sizeof text);
    assert_string_equal(text, want);
    assert_int_equal(ebb_graph_node(g, v)->type, EBB_F32);
}

static ebb_op op_of(const ebb_graph *g, ebb_value v)
{
    assert_true(v >= 0);
    return ebb_graph_node(g, v)->op;
}

/* ---- shapes -------------------------------------------------------------------------------- */

static void shapes(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = f32(g, "x", EBB_SHAPE(2, 8, 6, 4)), m = f32(g, "m", EBB_SHAPE(3, 5, 7));
    ebb_value w = f32(g, "w", EBB_SHAPE(3, 2, 4, 9)), c = f32(g, "c", EBB_SHAPE(4));
    ebb_value table = f32(g, "table", EBB_SHAPE(10, 4)), index = ebb_input(g, "index", EBB_I32, EBB_SHAPE(3));
    shape_is(g, ebb_silu(g, x), "2x8x6x4");
    shape_is(g, ebb_relu(g, x), "2x8x6x4");
    shape_is(g, ebb_step(g, x), "2x8x6x4");
    shape_is(g, ebb_sum(g, x, 6), "2x1x1x4");
    shape_is(g, ebb_sum_all(g, x), "scalar");
    shape_is(g, ebb_mean_all(g, x), "scalar");
    shape_is(g, ebb_reshape(g, x, EBB_SHAPE(16, 24)), "16x24");
    shape_is(g, ebb_transpose(g, m, (const int[]){ 2, 0, 1 }), "7x3x5");
    shape_is(g, ebb_slice(g, m, 1, 2, 5), "3x3x7");
    shape_is(g, ebb_pad(g, m, 2, 1, 4), "3x5x12");
    shape_is(g, ebb_concat(g, m, m, 0), "6x5x7");
    shape_is(g, ebb_matmul(g, m, m, true, false), "3x7x7");
    shape_is(g, ebb_matmul(g, m, m, false, true), "3x5x5");
    ebb_value y = ebb_conv(g, x, w, 2, 1, 0, 4, 3);
    shape_is(g, y, "2x4x3x9");
    assert_int_equal(ebb_graph_node(g, y)->attr.kh, 3);
    assert_int_equal(ebb_graph_node(g, y)->attr.kw, 2);
    shape_is(g, ebb_conv_dx(g, y, w, 2, 1, 0, 8, 6), "2x8x6x4");
    shape_is(g, ebb_conv_dw(g, x, y, 2, 1, 0, 3, 2), "3x2x4x9");
    shape_is(g, ebb_up2(g, x), "2x16x12x4");
    shape_is(g, ebb_down2(g, x), "2x4x3x4");
    shape_is(g, ebb_group_norm(g, x, c, c, 2, 1e-5f), "2x8x6x4");
    ebb_value dx = ebb_group_norm_vjp(g, x, c, c, x, 2, 1e-5f);
    shape_is(g, dx, "2x8x6x4");
    shape_is(g, ebb_part(g, dx, 1), "4");
    shape_is(g, ebb_part(g, dx, 2), "4");
    shape_is(g, ebb_softmax(g, m, 0.5f), "3x5x7");
    shape_is(g, ebb_softmax_vjp(g, m, m, 0.5f), "3x5x7");
    shape_is(g, ebb_silu_vjp(g, m, m), "3x5x7");
    ebb_value keys = ebb_slice(g, x, 1, 0, 5);
    shape_is(g, ebb_attention(g, x, keys, keys, 0.5f), "2x8x6x4");
    ebb_value dq = ebb_attention_vjp(g, x, keys, keys, x, 0.5f);
    shape_is(g, dq, "2x8x6x4");
    shape_is(g, ebb_part(g, dq, 1), "2x5x6x4");
    shape_is(g, ebb_part(g, dq, 2), "2x5x6x4");
    shape_is(g, ebb_gather(g, table, index), "3x4");
    shape_is(g, ebb_scatter_add(g, index, ebb_gather(g, table, index), 10), "10x4");
    shape_is(g, ebb_stop_gradient(g, x), "2x8x6x4");
    assert_int_equal(ebb_graph_status(g), EBB_OK);
    ebb_graph_free(g);
}

static void broadcasting(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = f32(g, "x", EBB_SHAPE(2, 3, 4)), c = f32(g, "c", EBB_SHAPE(4));
    ebb_value col = f32(g, "col", EBB_SHAPE(2, 3, 1)), row = f32(g, "row", EBB_SHAPE(1, 4));
    ebb_value s = f32(g, "s", EBB_SCALAR);
    shape_is(g, ebb_add(g, x, c), "2x3x4");
    shape_is(g, ebb_sub(g, c, x), "2x3x4");
    shape_is(g, ebb_mul(g, col, row), "2x3x4");
    shape_is(g, ebb_div(g, s, col), "2x3x1");
    shape_is(g, ebb_max(g, s, s), "scalar");
    shape_is(g, ebb_min(g, row, col), "2x3x4");
    ebb_value sum = ebb_add(g, x, c);
    assert_int_equal(ebb_graph_node(g, sum)->in[0], x);
    assert_int_equal(op_of(g, ebb_graph_node(g, sum)->in[1]), EBB_OP_broadcast);
    assert_int_equal(ebb_graph_status(g), EBB_OK);
    ebb_graph_free(g);
}

/* What does nothing makes no node; constants stay constants. */
static void left_out(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = f32(g, "x", EBB_SHAPE(2, 1, 4)), two = ebb_constant(g, EBB_SCALAR, 2);
    int32_t before = g->count;
    assert_int_equal(ebb_scale(g, x, 1), x);
    assert_int_equal(ebb_reshape(g, x, EBB_SHAPE(2, 1, 4)), x);
    assert_int_equal(ebb_broadcast(g, x, EBB_SHAPE(2, 1, 4)), x);
    assert_int_equal(ebb_sum(g, x, 2), x);
    assert_int_equal(ebb_slice(g, x, 2, 0, 4), x);
    assert_int_equal(ebb_pad(g, x, 0, 0, 0), x);
    assert_int_equal(ebb_transpose(g, x, (const int[]){ 0, 1, 2 }), x);
    assert_int_equal(g->count, before);
    ebb_value five = ebb_affine(g, two, 2, 1);
    assert_int_equal(op_of(g, five), EBB_OP_constant);
    assert_true(ebb_graph_node(g, five)->attr.alpha == 5);
    ebb_value wide = ebb_broadcast(g, two, EBB_SHAPE(3, 4));
    assert_int_equal(op_of(g, wide), EBB_OP_constant);
    shape_is(g, wide, "3x4");
    assert_int_equal(op_of(g, ebb_mul(g, x, two)), EBB_OP_affine);
    assert_int_equal(op_of(g, ebb_mul(g, two, x)), EBB_OP_affine);
    shape_is(g, ebb_mul(g, x, wide), "2x3x4");
    ebb_graph_free(g);
}

/* ---- errors -------------------------------------------------------------------------------- */

/* One graph a mistake: the message must hold the text, and it must stay the first. */
#define REFUSES(text, expression)                                             \
    do {                                                                      \
        ebb_graph *g = new_graph();                                           \
        ebb_value x = f32(g, "x", EBB_SHAPE(2, 7, 6, 4));                     \
        ebb_value m = f32(g, "m", EBB_SHAPE(3, 5, 7));                        \
        ebb_value w = f32(g, "w", EBB_SHAPE(3, 3, 5, 9));                     \
        ebb_value c = f32(g, "c", EBB_SHAPE(4));                              \
        ebb_value s = f32(g, "s", EBB_SCALAR);                                \
        ebb_value i = ebb_input(g, "i", EBB_I32, EBB_SHAPE(3));               \
        ebb_scope_push(g, "down.%d.", 7);                                     \
        assert_int_equal(ebb_graph_status(g), EBB_OK);                        \
        (void)x, (void)m, (void)w, (void)c, (void)s, (void)i;                 \
        assert_int_equal((expression), EBB_NONE);                             \
        assert_int_not_equal(ebb_graph_status(g), EBB_OK);                    \
        assert_int_equal(ebb_graph_status(g), ctx->status);                   \
        if (!strstr(ebb_message(ctx), text) || !strstr(ebb_message(ctx), "down.7.")) \
            fail_msg("\"%s\" does not tell \"%s\"", ebb_message(ctx), text);  \
        int32_t count = g->count;                                             \
        assert_int_equal(ebb_add(g, x, x), EBB_NONE);                         \
        assert_int_equal(ebb_silu(g, EBB_NONE), EBB_NONE);                    \
        assert_int_equal(ebb_input(g, "later", EBB_F32, EBB_SCALAR), EBB_NONE); \
        assert_int_equal(g->count, count);                                    \
        assert_non_null(strstr(ebb_message(ctx), text));                      \
        ebb_graph_free(g);                                                    \
    } while (0)

static void refuses_shapes(void **state)
{
    (void)state;
    REFUSES("add (2x7x6x4, 3x5x7): the shapes differ", ebb_add(g, x, m));
    REFUSES("silu_vjp (2x7x6x4, 3x5x7): the shapes differ", ebb_silu_vjp(g, x, m));
    REFUSES("sum (3x5x7): the mask of axes 0x8", ebb_sum(g, m, 8));
    REFUSES("broadcast (3x5x7): does not stretch to 3x5x8", ebb_broadcast(g, m, EBB_SHAPE(3, 5, 8)));
    REFUSES("does not stretch to 7", ebb_broadcast(g, m, EBB_SHAPE(7)));
    REFUSES("reshape (3x5x7): holds another count of numbers than 15x8", ebb_reshape(g, m, EBB_SHAPE(15, 8)));
    REFUSES("reshape (3x5x7): holds another", ebb_reshape(g, m, EBB_SHAPE(3, 5, 7, 1, 1, 1, 1)));
    REFUSES("transpose (3x5x7): axis 1 of the result", ebb_transpose(g, m, (const int[]){ 1, 1, 2 }));
    REFUSES("is said to be axis 3", ebb_transpose(g, m, (const int[]){ 0, 1, 3 }));
    REFUSES("slice (3x5x7): there is no axis 3", ebb_slice(g, m, 3, 0, 1));
    REFUSES("slice (3x5x7): [2, 6) is no range of axis 1", ebb_slice(g, m, 1, 2, 6));
    REFUSES("[2, 2) is no range", ebb_slice(g, m, 1, 2, 2));
    REFUSES("pad (3x5x7): there is no axis -1", ebb_pad(g, m, -1, 0, 1));
    REFUSES("cannot pad by -1 before", ebb_pad(g, m, 0, -1, 1));
    REFUSES("cannot pad by", ebb_pad(g, m, 0, INT64_MAX, 0));
    REFUSES("concat (2x7x6x4, 3x5x7): the two cannot be joined", ebb_concat(g, x, m, 0));
    REFUSES("concat (scalar, scalar): there is no axis 0", ebb_concat(g, s, s, 0));
    REFUSES("differ in an axis other than 2", ebb_concat(g, m, ebb_slice(g, m, 0, 0, 2), 2));
    REFUSES("constant (): 3x0 is no shape", ebb_constant(g, EBB_SHAPE(3, 0), 1));
    REFUSES("is no shape", ebb_pad(g, x, 0, INT64_MAX / 64, 0));
    REFUSES("the result would have 7 axes", ebb_constant(g, EBB_SHAPE(1, 1, 1, 1, 1, 1, 1), 1));
}

static void refuses_products(void **state)
{
    (void)state;
    REFUSES("matmul (3x5x7, 3x5x7): the inner axes differ (first as it is, second as it is)",
            ebb_matmul(g, m, m, false, false));
    REFUSES("(first transposed, second transposed)", ebb_matmul(g, m, m, true, true));
    REFUSES("same count of axes", ebb_matmul(g, c, c, false, false));
    REFUSES("same count of axes", ebb_matmul(g, m, x, false, false));
    REFUSES("leading axes differ", ebb_matmul(g, m, ebb_slice(g, m, 0, 0, 2), true, false));
    REFUSES("conv (2x7x6x4, 3x3x5x9): the picture has 4 channels, the weights (kh, kw, in, out) take 5",
            ebb_conv(g, x, w, 1, 1, 1, 7, 6));
    REFUSES("conv (2x7x6x4, 3x3x5x9): stride 0", ebb_conv(g, x, w, 0, 1, 1, 7, 6));
    REFUSES("padding -1, 1", ebb_conv(g, x, w, 1, -1, 1, 7, 6));
    REFUSES("conv (3x5x7, 3x3x5x9): input 0 must have 4 axes", ebb_conv(g, m, w, 1, 1, 1, 7, 6));
    REFUSES("input 1 must have 4 axes", ebb_conv(g, x, m, 1, 1, 1, 7, 6));
    REFUSES("conv (2x7x6x4, 7x12x4x1): 2x0x6x1 is no shape",
            ebb_conv(g, x, ebb_reshape(g, x, EBB_SHAPE(7, 12, 4, 1)), 1, 0, 0, 0, 6));
    REFUSES("conv_dx (2x7x6x4, 3x3x5x9): the cotangent has 4 channels", ebb_conv_dx(g, x, w, 1, 1, 1, 7, 6));
    REFUSES("conv_dw (2x7x6x4, 1x7x6x4): 2 pictures but 1 cotangents",
            ebb_conv_dw(g, x, ebb_slice(g, x, 0, 0, 1), 1, 1, 1, 3, 3));
    REFUSES("up2 (3x5x7): input 0 must have 4 axes", ebb_up2(g, m));
    REFUSES("down2 (2x7x6x4): height and width must be even", ebb_down2(g, x));
}

static void refuses_the_rest(void **state)
{
    (void)state;
    REFUSES("group_norm (2x7x6x4, 4, 4): 3 groups do not divide 4 channels",
            ebb_group_norm(g, x, c, c, 3, 1e-5f));
    REFUSES("0 groups", ebb_group_norm(g, x, c, c, 0, 1e-5f));
    REFUSES("eps is 0", ebb_group_norm(g, x, c, c, 2, 0));
    REFUSES("gamma must be a vector of 4", ebb_group_norm(g, x, m, c, 2, 1e-5f));
    REFUSES("beta must be a vector of 4", ebb_group_norm(g, x, c, s, 2, 1e-5f));
    REFUSES("at least 2 axes", ebb_group_norm(g, c, c, c, 2, 1e-5f));
    REFUSES("the cotangent must have the shape", ebb_group_norm_vjp(g, x, c, c, m, 2, 1e-5f));
    REFUSES("softmax (scalar): there is no last axis", ebb_softmax(g, s, 1));
    REFUSES("attention (3x5x7, 2x7x6x4, 2x7x6x4): input 0 must have 4 axes", ebb_attention(g, m, x, x, 1));
    REFUSES("may differ in tokens only", ebb_attention(g, x, ebb_slice(g, x, 3, 0, 3), x, 1));
    REFUSES("one value for each key", ebb_attention(g, x, ebb_slice(g, x, 1, 0, 3), x, 1));
    REFUSES("shape of the queries", ebb_attention_vjp(g, x, x, x, ebb_slice(g, x, 1, 0, 3), 1));
    REFUSES("softmax_vjp (3x5x7, 4): the shapes differ", ebb_softmax_vjp(g, m, c, 1));
    REFUSES("gather (3x5x7, 3): input 0 must have 2 axes", ebb_gather(g, m, i));
    REFUSES("gather (4, 3): input 0 must have 2 axes", ebb_gather(g, c, i));
    REFUSES("gather (3x5x7, 4): input 1 must be an index (i32)", ebb_gather(g, m, c));
    REFUSES("silu (3): input 0 must be f32", ebb_silu(g, i));
    REFUSES("must be one index for each row", ebb_scatter_add(g, i, ebb_reshape(g, m, EBB_SHAPE(21, 5)), 2));
    REFUSES("0x35 is no shape", ebb_scatter_add(g, i, ebb_reshape(g, m, EBB_SHAPE(3, 35)), 0));
    REFUSES("part (2x7x6x4): input has no part 1", ebb_part(g, x, 1));
    REFUSES("group_norm_vjp has no part 3", ebb_part(g, ebb_group_norm_vjp(g, x, c, c, x, 2, 1e-5f), 3));
    REFUSES("add (3x5x7, nothing): input 1 is missing", ebb_add(g, m, EBB_NONE));
    REFUSES("add (3x5x7, nothing): input 1 is missing", ebb_add(g, m, 99));
    REFUSES("silu was given 2 inputs",
            ebb_graph_add(g, (ebb_node){ .op = EBB_OP_silu, .nin = 2, .in = { x, x } }));
    REFUSES("there is no operation", ebb_graph_add(g, (ebb_node){ .op = EBB_OP_COUNT }));
}

static void refuses_leaves(void **state)
{
    (void)state;
    REFUSES("there are two of input \"x\"", f32(g, "x", EBB_SCALAR));
    REFUSES("there are two of param \"down.7.w\"",
            ebb_param(g, "w", EBB_SHAPE(2), EBB_INIT_ZERO, 0, EBB_LAYOUT_PLAIN) >= 0
                ? ebb_param(g, "w", EBB_SHAPE(3), EBB_INIT_ZERO, 0, EBB_LAYOUT_PLAIN) : 0);
    REFUSES("an input is f32 or i32", ebb_input(g, "b", EBB_BF16, EBB_SCALAR));
    REFUSES("a name has 1 to 255 letters", ebb_input(g, "", EBB_F32, EBB_SCALAR));
    REFUSES("linear layout has 2 axes",
            ebb_param(g, "p", EBB_SHAPE(2), EBB_INIT_ZERO, 0, EBB_LAYOUT_LINEAR));
    REFUSES("conv layout has 4 axes", ebb_param(g, "p", EBB_SHAPE(2, 2), EBB_INIT_ZERO, 0, EBB_LAYOUT_CONV));
    REFUSES("the count of levels is 0", ebb_graph_fail(g, EBB_E_ARGUMENT, "the count of levels is %d", 0));
}

/* ---- names, fused nodes, listing --------------------------------------------------------------- */

static void scopes(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value a = ebb_param(g, "w", EBB_SHAPE(2), EBB_INIT_ONE, 0, EBB_LAYOUT_PLAIN);
    size_t top = ebb_scope_push(g, "down_blocks.%d.", 3);
    size_t inner = ebb_scope_push(g, "%s.", "conv1");
    ebb_value b = ebb_param(g, "w", EBB_SHAPE(2, 3), EBB_INIT_NORMAL, 0.5f, EBB_LAYOUT_LINEAR);
    ebb_scope_pop(g, inner);
    ebb_value c = ebb_param(g, "w", EBB_SHAPE(2), EBB_INIT_ZERO, 0, EBB_LAYOUT_PLAIN);
    ebb_value x = f32(g, "w", EBB_SHAPE(2));
    ebb_scope_pop(g, top);
    assert_string_equal(ebb_graph_node(g, a)->name, "w");
    assert_string_equal(ebb_graph_node(g, b)->name, "down_blocks.3.conv1.w");
    assert_string_equal(ebb_graph_node(g, c)->name, "down_blocks.3.w");
    assert_string_equal(ebb_graph_node(g, x)->name, "w");
    assert_int_equal(g->nparams, 3);
    assert_int_equal(g->params[1], b);
    assert_int_equal(ebb_graph_node(g, c)->attr.index, 2);
    assert_int_equal(g->ninputs, 1);
    assert_int_equal(ebb_graph_node(g, b)->attr.init, EBB_INIT_NORMAL);
    assert_int_equal(ebb_graph_node(g, b)->attr.layout, EBB_LAYOUT_LINEAR);
    assert_true(ebb_graph_node(g, b)->attr.alpha == 0.5f);
    for (int i = 0; i < 20; i++)
        ebb_scope_push(g, "a_scope_of_some_length.");
    assert_int_equal(ebb_graph_status(g), EBB_E_ARGUMENT);
    ebb_graph_free(g);
}

/* The plan gives fused nodes their type and shape, and so those of their parts. */
static void fused_nodes_keep_their_shape(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    ebb_value x = f32(g, "x", EBB_SHAPE(2, 3));
    ebb_node n = { .op = EBB_OP_norm_vjp, .type = EBB_BF16, .shape = EBB_SHAPE(5, 7), .nin = 1, .in = { x } };
    ebb_value v = ebb_graph_add(g, n);
    ebb_node part = { .op = EBB_OP_part, .type = EBB_F32, .shape = EBB_SHAPE(11), .nin = 1, .in = { v },
                      .attr.index = 3 };
    ebb_value p = ebb_graph_add(g, part);
    assert_int_equal(ebb_graph_node(g, v)->type, EBB_BF16);
    assert_true(ebb_shape_equal(ebb_graph_shape(g, v), EBB_SHAPE(5, 7)));
    shape_is(g, p, "11");
    ebb_graph_free(g);
}

static void listing(void **state)
{
    (void)state;
    ebb_graph *g = new_graph();
    char *text;
    assert_int_equal(ebb_graph_show(g, &text), EBB_OK);
    assert_string_equal(text, "");
    ebb_free(text);
    ebb_value x = f32(g, "x", EBB_SHAPE(2, 8, 8, 3)), i = ebb_input(g, "i", EBB_I32, EBB_SHAPE(3));
    ebb_value w = ebb_param(g, "w", EBB_SHAPE(3, 3, 3, 4), EBB_INIT_ZERO, 0, EBB_LAYOUT_CONV);
    ebb_value y = ebb_conv(g, x, w, 1, 1, 1, 8, 8), k = ebb_constant(g, EBB_SHAPE(4), 0.5f);
    ebb_value n = ebb_part(g, ebb_group_norm_vjp(g, y, k, k, y, 2, 1e-5f), 1);
    ebb_affine(g, ebb_sum(g, y, 6), 2, -1);
    ebb_transpose(g, y, (const int[]){ 0, 3, 1, 2 });
    ebb_pad(g, ebb_slice(g, n, 0, 1, 3), 0, 1, 2);
    ebb_concat(g, n, n, 0);
    ebb_matmul(g, y, y, true, false);
    ebb_softmax(g, ebb_gather(g, ebb_reshape(g, y, EBB_SHAPE(8, 64)), i), 0.25f);
    assert_int_equal(ebb_graph_show(g, &text), EBB_OK);
    assert_string_equal(text, "%0 input 2x8x8x3 \"x\"\n"
                              "%1 input 3 i32 \"i\"\n"
                              "%2 param 3x3x3x4 \"w\"\n"
                              "%3 conv 2x8x8x4 (%0, %2) stride 1 pad 1,1\n"
                              "%4 constant 4 0.5\n"
                              "%5 group_norm_vjp 2x8x8x4 (%3, %4, %4, %3) groups 2 eps 1e-05\n"
                              "%6 part 4 (%5) 1\n"
                              "%7 sum 2x1x1x4 (%3) axes 1,2\n"
                              "%8 affine 2x1x1x4 (%7) 2 -1\n"
                              "%9 transpose 2x4x8x8 (%3) perm 0,3,1,2\n"
                              "%10 slice 2 (%6) axis 0 [1,3)\n"
                              "%11 pad 5 (%10) axis 0 before 1 after 2\n"
                              "%12 concat 8 (%6, %6) axis 0\n"
                              "%13 matmul 2x8x4x4 (%3, %3) ta\n"
                              "%14 reshape 8x64 (%3)\n"
                              "%15 gather 3x64 (%14, %1)\n"
                              "%16 softmax 3x64 (%15) scale 0.25\n");
    ebb_free(text);
    ebb_graph_free(g);
}

static void op_names(void **state)
{
    (void)state;
    assert_string_equal(ebb_op_name(EBB_OP_conv_dw), "conv_dw");
    assert_string_equal(ebb_op_name(EBB_OP_COUNT), "unknown operation");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),         cmocka_unit_test(broadcasting),
        cmocka_unit_test(left_out),       cmocka_unit_test(refuses_shapes),
        cmocka_unit_test(refuses_products), cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(refuses_leaves), cmocka_unit_test(scopes),
        cmocka_unit_test(fused_nodes_keep_their_shape), cmocka_unit_test(listing),
        cmocka_unit_test(op_names),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
