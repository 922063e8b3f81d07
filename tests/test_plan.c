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

#include "nn/nn.h"
#include "plan/internal.h"
#include "plan/plan.h"
#include "support/oracle.h"
#include "support/randgraph.h"

static ebb_context *context(const char *cpu)
{
    ebb_context *ctx = NULL;
    ebb_status st = ebb_context_create(&(ebb_context_options){.size = sizeof(ebb_context_options), .threads = 2, .cpu = cpu, .backend = "own"}, &ctx);
    if (st != EBB_OK)
        print_message("%s\n", ebb_message(ctx));
    assert_int_equal(st, EBB_OK);
    return ctx;
}

#define OK(ctx, call)                                    \
    do {                                                 \
        ebb_status ok_ = (call);                         \
        if (ok_ != EBB_OK)                               \
            print_message("%s\n", ebb_message(ctx));     \
        assert_int_equal(ok_, EBB_OK);                   \
    } while (0)

/* Data of every leaf, as the plan and the oracle take it. */
typedef struct leaves {
    const ebb_graph *g;
    double **wide;               /* by node */
    float **narrow;
} leaves;

static leaves make_leaves(const ebb_graph *g, uint64_t seed)
{
    leaves l = {g, calloc((size_t)g->count, sizeof(double *)), calloc((size_t)g->count, sizeof(float *))};
    for (ebb_value v = 0; v < g->count; v++) {
        const ebb_node *n = &g->node[v];
        if (n->op != EBB_OP_input && n->op != EBB_OP_param)
            continue;
        size_t count = (size_t)ebb_shape_count(n->shape);
        l.wide[v] = malloc(count * sizeof(double));
        l.narrow[v] = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
        randgraph_fill(g, v, seed, l.wide[v]);
        for (size_t i = 0; i < count; i++) {
            if (n->type == EBB_I32)
                ((int32_t *)l.narrow[v])[i] = (int32_t)l.wide[v][i];
            else
                l.narrow[v][i] = (float)l.wide[v][i];
        }
    }
    return l;
}

static void free_leaves(leaves *l)
{
    for (ebb_value v = 0; v < l->g->count; v++) {
        free(l->wide[v]);
        free(l->narrow[v]);
    }
    free(l->wide);
    free(l->narrow);
}

static void feed(ebb_plan *p, int worker, const leaves *l)
{
    for (int i = 0; i < l->g->ninputs; i++) {
        const ebb_node *n = &l->g->node[l->g->inputs[i]];
        void *to = ebb_plan_input(p, worker, n->name);
        if (to)
            memcpy(to, l->narrow[l->g->inputs[i]], (size_t)ebb_shape_count(n->shape) * 4);
    }
}

static void bind(ebb_plan *p, const leaves *l)
{
    for (int i = 0; i < l->g->nparams; i++)
        ebb_plan_bind_param(p, i, l->narrow[l->g->params[i]]);
    ebb_plan_prepare(p);
}

static ebb_plan *plan_of(ebb_context *ctx, const leaves *l, const ebb_value *y, int ny, ebb_plan_options options)
{
    ebb_plan *p = NULL;
    OK(ctx, ebb_plan_create(ctx, l->g, y, ny, &options, &p));
    bind(p, l);
    return p;
}

static void run(ebb_context *ctx, ebb_plan *p, int worker, const leaves *l)
{
    feed(p, worker, l);
    ebb_plan_run(p, worker);
    OK(ctx, ebb_plan_check(p));
}

/* The largest 1/sqrt(var + eps) of a group norm of x: how much it magnifies the rounding of x. */
static double norm_gain(const ebb_graph *g, const oracle *o, ebb_value x, int groups, double eps)
{
    ebb_shape s = g->node[x].shape;
    const double *data = oracle_get(o, x);
    int64_t c = s.dim[s.rank - 1], size = c / groups, pixels = ebb_shape_count(s) / (s.dim[0] * c);
    double least = INFINITY;
    for (int64_t n = 0; n < s.dim[0]; n++)
        for (int64_t k = 0; k < groups; k++) {
            double sum = 0, square = 0;
            for (int64_t i = 0; i < pixels * size; i++) {
                double v = data[(n * pixels + i / size) * c + k * size + i % size];
                sum += v;
                square += v * v;
            }
            sum /= (double)(pixels * size);
            least = fmin(least, fmax(0, square / (double)(pixels * size) - sum * sum));
        }
    return fmax(1, 1 / sqrt(least + eps));
}

/* What the rounding of each node is relative to: the largest value it was made of, since sums may cancel
 * (the gradient of a bias before a norm is exactly zero), times what norms of nearly constant groups and sums
 * of many terms make of it. By node; freed by the caller. */
static double *rounding_scales(const ebb_graph *g, const oracle *o)
{
    double *scale = calloc((size_t)g->count, sizeof *scale);
    for (ebb_value v = 0; v < g->count; v++) {
        const ebb_node *n = &g->node[v];
        for (int64_t i = 0; n->type == EBB_F32 && i < ebb_shape_count(n->shape); i++)
            scale[v] = fmax(scale[v], fabs(oracle_get(o, v)[i]));
        for (int i = 0; i < n->nin; i++)
            scale[v] = fmax(scale[v], scale[n->in[i]]);
        if (n->op == EBB_OP_group_norm || n->op == EBB_OP_group_norm_vjp)
            scale[v] *= norm_gain(g, o, n->in[0], n->attr.groups, n->attr.alpha);
        if (n->op == EBB_OP_sum || n->op == EBB_OP_part)
            scale[v] *= (double)ebb_shape_count(g->node[n->in[0]].shape) / (double)ebb_shape_count(n->shape);
    }
    return scale;
}

enum { ROUNDINGS = 16 };         /* |got - want| <= ROUNDINGS * 2^-24 * scale, over each output */

static void assert_close(const ebb_graph *g, const oracle *o, const double *scale, ebb_value v, const float *got, uint64_t seed)
{
    const double *want = oracle_get(o, v);
    for (int64_t i = 0; i < ebb_shape_count(g->node[v].shape); i++)
        if (!(fabs(got[i] - want[i]) <= ROUNDINGS * 0x1p-24 * scale[v])) {
            print_message("seed %llu, node %d (%s), element %lld: %g, oracle %g, scale %g\n", (unsigned long long)seed, v,
                          ebb_op_name(g->node[v].op), (long long)i, got[i], want[i], scale[v]);
            fail();
        }
}

enum { MAX_OUTPUTS = 24 };

/* A random graph; its gradients in all leaves join the outputs. */
static int random_problem(ebb_context *ctx, uint64_t seed, ebb_graph **g, ebb_value *y)
{
    ebb_value x[MAX_OUTPUTS], dx[MAX_OUTPUTS];
    int ny, nx = 0;
    OK(ctx, ebb_graph_create(ctx, g));
    ny = randgraph_make(*g, seed, 4 + (int)(seed % 26), EBB_OP_COUNT, y, 4);
    ebb_value total = ebb_sum_all(*g, y[0]);
    for (int i = 1; i < ny; i++)
        total = ebb_add(*g, total, ebb_sum_all(*g, ebb_sin(*g, y[i])));
    for (ebb_value v = 0; v < (*g)->count && nx + ny < MAX_OUTPUTS; v++) {
        const ebb_node *n = &(*g)->node[v];
        if ((n->op == EBB_OP_input || n->op == EBB_OP_param) && n->type == EBB_F32)
            x[nx++] = v;
    }
    OK(ctx, ebb_vjp(*g, total, EBB_NONE, x, nx, dx));
    for (int i = 0; i < nx; i++)
        y[ny++] = dx[i];
    OK(ctx, ebb_graph_status(*g));
    return ny;
}

static void check_random(ebb_context *ctx, uint64_t seed, ebb_plan_options options)
{
    ebb_graph *g = NULL;
    ebb_value y[MAX_OUTPUTS];
    int ny = random_problem(ctx, seed, &g, y);
    leaves l = make_leaves(g, seed);
    oracle *o = oracle_create(g);
    for (ebb_value v = 0; v < g->count; v++)
        if (l.wide[v])
            oracle_set(o, v, l.wide[v]);
    oracle_run(o);
    double *scale = rounding_scales(g, o);
    ebb_plan *p = plan_of(ctx, &l, y, ny, options);
    for (int worker = 0; worker < options.workers; worker++) {
        run(ctx, p, worker, &l);
        for (int i = 0; i < ny; i++)
            assert_close(g, o, scale, y[i], ebb_plan_output(p, worker, i), seed);
    }
    ebb_plan_free(p);
    oracle_free(o);
    free(scale);
    free_leaves(&l);
    ebb_graph_free(g);
}

static void test_random_graphs_match_the_oracle(void **state)
{
    (void)state;
    ebb_context *ctx = context(NULL);
    for (uint64_t seed = 1; seed <= 400; seed++)
        check_random(ctx, seed, (ebb_plan_options){.workers = 1 + (int)(seed % 2)});
    for (uint64_t seed = 401; seed <= 500; seed++) {
        check_random(ctx, seed, (ebb_plan_options){.workers = 1, .keep_all = true});
        check_random(ctx, seed, (ebb_plan_options){.workers = 1, .no_fuse = true});
    }
    ebb_context_free(ctx);
}

static double largest_error(const ebb_graph *g, const oracle *o, ebb_value v, const float *got)
{
    double error = 0;
    for (int64_t i = 0; i < ebb_shape_count(g->node[v].shape); i++)
        error = fmax(error, fabs(got[i] - oracle_get(o, v)[i]));
    return error;
}

/* A convolution with its epilogue and adjoints, exact and fast: where choose.c takes Winograd (`expected` steps of
 * it), the largest error is at most 16 times that of the direct sums; elsewhere the bits are the same. */
static void check_winograd(ebb_context *ctx, const ebb_conv_shape *s, int expected)
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
    leaves l = make_leaves(g, (uint64_t)(s->h * 100 + s->ci));
    oracle *o = oracle_create(g);
    for (ebb_value v = 0; v < g->count; v++)
        if (l.wide[v])
            oracle_set(o, v, l.wide[v]);
    oracle_run(o);
    ebb_plan *exact = plan_of(ctx, &l, y, 4, (ebb_plan_options){.workers = 1});
    ebb_plan *fast = plan_of(ctx, &l, y, 4, (ebb_plan_options){.workers = 1, .fast_conv = true});
    int used = 0;
    for (int32_t t = fast->nprepare; t < fast->nsteps; t++)
        used += fast->step[t].executor.task.attr.method == EBB_METHOD_WINOGRAD;
    assert_int_equal(used, expected);
    run(ctx, exact, 0, &l);
    run(ctx, fast, 0, &l);
    for (int i = 0; i < 4; i++) {
        const float *a = ebb_plan_output(exact, 0, i), *b = ebb_plan_output(fast, 0, i);
        assert_true(largest_error(g, o, y[i], b) <= 16 * largest_error(g, o, y[i], a));
        if (!expected)
            assert_memory_equal(a, b, (size_t)ebb_shape_count(g->node[y[i]].shape) * sizeof *a);
    }
    ebb_plan_free(exact);
    ebb_plan_free(fast);
    oracle_free(o);
    free_leaves(&l);
    ebb_graph_free(g);
}

static void test_winograd_matches_the_oracle(void **state)
{
    (void)state;
    static const struct { ebb_conv_shape s; int expected; } cases[] = {
        {{2, 8, 8, 16, 8, 8, 24, 3, 3, 1, 1, 1}, 3},   {{1, 13, 10, 33, 13, 10, 16, 3, 3, 1, 1, 1}, 3},
        {{3, 9, 12, 20, 9, 10, 40, 3, 3, 1, 1, 0}, 3}, {{2, 16, 16, 32, 16, 16, 32, 3, 3, 1, 1, 1}, 3},
        {{2, 4, 4, 32, 4, 4, 32, 3, 3, 1, 1, 1}, 3},   {{2, 7, 7, 32, 7, 7, 32, 3, 3, 1, 1, 1}, 3},
        {{2, 5, 5, 32, 5, 5, 32, 3, 3, 1, 1, 1}, 0},     {{2, 16, 16, 32, 8, 8, 32, 3, 3, 2, 0, 0}, 0},
        {{2, 12, 12, 3, 12, 12, 32, 3, 3, 1, 1, 1}, 0}, {{2, 12, 12, 32, 12, 12, 32, 1, 1, 1, 0, 0}, 0},
    };
    ebb_context *ctx = context(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_winograd(ctx, &cases[i].s, cases[i].expected);
    ebb_context_free(ctx);
}

static void test_isas_give_equal_bits(void **state)
{
    (void)state;
    ebb_context *spec = context("c");
    for (ebb_isa isa = EBB_ISA_C + 1; isa < EBB_ISA_COUNT; isa++) {
        if (!ebb_isa_available(isa))
            continue;
        ebb_context *fast = context(ebb_isa_name(isa));
        for (uint64_t seed = 600; seed < 640; seed++) {
            ebb_graph *g = NULL;
            ebb_value y[MAX_OUTPUTS];
            int ny = random_problem(spec, seed, &g, y);
            leaves l = make_leaves(g, seed);
            ebb_plan *p = plan_of(spec, &l, y, ny, (ebb_plan_options){.workers = 1});
            ebb_plan *q = plan_of(fast, &l, y, ny, (ebb_plan_options){.workers = 1});
            run(spec, p, 0, &l);
            run(fast, q, 0, &l);
            for (int i = 0; i < ny; i++)
                assert_memory_equal(ebb_plan_output(p, 0, i), ebb_plan_output(q, 0, i),
                                    (size_t)ebb_shape_count(g->node[y[i]].shape) * sizeof(float));
            ebb_plan_free(p);
            ebb_plan_free(q);
            free_leaves(&l);
            ebb_graph_free(g);
        }
        ebb_context_free(fast);
    }
    ebb_context_free(spec);
}

static const ebb_unet_config tiny = {.channels = 3, .size_h = 12, .size_w = 8, .base = 8, .levels = 2, .mult = {1, 2},
                                     .attention = {0, 1}, .blocks = 1, .groups = 4, .eps = 1e-6f, .classes = 5};

/* The tiny U-Net on n pictures: its output and, with gradients, d sum(eps^2)/d parameters. */
static ebb_graph *unet_graph(ebb_context *ctx, int64_t n, bool gradients, ebb_value *y, int *ny)
{
    ebb_graph *g = NULL;
    OK(ctx, ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(n, tiny.size_h, tiny.size_w, tiny.channels));
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value label = ebb_input(g, "label", EBB_I32, EBB_SHAPE(n));
    y[0] = ebb_nn_unet(g, &tiny, x, t, label);
    *ny = 1;
    if (gradients) {
        OK(ctx, ebb_vjp(g, ebb_sum_all(g, ebb_square(g, y[0])), EBB_NONE, g->params, g->nparams, y + 1));
        *ny += g->nparams;
    }
    OK(ctx, ebb_graph_status(g));
    return g;
}

static void test_unet_matches_the_oracle(void **state)
{
    (void)state;
    ebb_context *ctx = context(NULL);
    ebb_value y[256];
    int ny;
    ebb_graph *g = unet_graph(ctx, 3, true, y, &ny);
    leaves l = make_leaves(g, 7);
    oracle *o = oracle_create(g);
    for (ebb_value v = 0; v < g->count; v++)
        if (l.wide[v])
            oracle_set(o, v, l.wide[v]);
    oracle_run(o);
    double *scale = rounding_scales(g, o);
    ebb_plan *p = plan_of(ctx, &l, y, ny, (ebb_plan_options){.workers = 1});
    run(ctx, p, 0, &l);
    for (int i = 0; i < ny; i++)
        assert_close(g, o, scale, y[i], ebb_plan_output(p, 0, i), 7);
    ebb_plan_free(p);
    oracle_free(o);
    free(scale);
    free_leaves(&l);
    ebb_graph_free(g);
    ebb_context_free(ctx);
}

/* What fusion is for: in a training plan no norm, activation or bias is left on its own. */
static void test_unet_is_fused(void **state)
{
    (void)state;
    ebb_context *ctx = context(NULL);
    ebb_value y[256];
    int ny, count[EBB_OP_COUNT] = {0}, convs = 0, norms = 0, attentions = 0;
    ebb_graph *g = unet_graph(ctx, 2, true, y, &ny);
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
    leaves l = make_leaves(g, 11);
    oracle *o = oracle_create(g);
    for (ebb_value v = 0; v < g->count; v++)
        if (l.wide[v])
            oracle_set(o, v, l.wide[v]);
    oracle_run(o);
    double *scale = rounding_scales(g, o);
    ebb_plan *fused = plan_of(ctx, &l, y, ny, (ebb_plan_options){.workers = 1});
    ebb_plan *same = plan_of(spec, &l, y, ny, (ebb_plan_options){.workers = 1});
    ebb_plan *plain = plan_of(ctx, &l, y, ny, (ebb_plan_options){.workers = 1, .no_fuse = true});
    if (!others)
        assert_scale_shift_is_fused(fused);
    run(ctx, fused, 0, &l);
    run(ctx, plain, 0, &l);
    run(spec, same, 0, &l);
    for (int i = 0; i < ny; i++) {
        assert_close(g, o, scale, y[i], ebb_plan_output(fused, 0, i), 11);
        assert_close(g, o, scale, y[i], ebb_plan_output(plain, 0, i), 11);
        assert_memory_equal(ebb_plan_output(fused, 0, i), ebb_plan_output(same, 0, i),
                            (size_t)ebb_shape_count(g->node[y[i]].shape) * sizeof(float));
    }
    ebb_plan_free(fused);
    ebb_plan_free(same);
    ebb_plan_free(plain);
    oracle_free(o);
    free(scale);
    free_leaves(&l);
    ebb_graph_free(g);
}

static void test_scale_shift_matches_the_oracle(void **state)
{
    (void)state;
    ebb_context *ctx = context(NULL), *spec = context("c");
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
    ebb_context *ctx = context(NULL);
    ebb_graph *g = NULL;
    OK(ctx, ebb_graph_create(ctx, &g));
    ebb_value x[3], y[4];
    for (int i = 0; i < 3; i++)
        x[i] = ebb_input(g, (const char *[]){"q", "k", "v"}[i], EBB_F32, EBB_SHAPE(1, T, 2, 8));
    y[0] = ebb_attention(g, x[0], x[1], x[2], 0.35f);
    OK(ctx, ebb_vjp(g, ebb_sum_all(g, ebb_square(g, y[0])), EBB_NONE, x, 3, y + 1));
    leaves l = make_leaves(g, 5);
    ebb_plan *kept = plan_of(ctx, &l, y, 4, (ebb_plan_options){.workers = 1});
    ebb_plan *again = plan_of(ctx, &l, y, 4, (ebb_plan_options){.workers = 1, .no_fuse = true});
    assert_true(ebb_plan_measure(kept).worker < T * T * sizeof(float) / 2);
    run(ctx, kept, 0, &l);
    run(ctx, again, 0, &l);
    for (int i = 0; i < 4; i++)
        assert_memory_equal(ebb_plan_output(kept, 0, i), ebb_plan_output(again, 0, i), T * 16 * sizeof(float));
    ebb_plan_free(kept);
    ebb_plan_free(again);
    free_leaves(&l);
    ebb_graph_free(g);
    ebb_context_free(ctx);
}

/* Picture i alone, or among others, on any worker: the same bits. */
static void test_pictures_do_not_see_each_other(void **state)
{
    (void)state;
    ebb_context *ctx = context(NULL);
    ebb_value y[1];
    int ny;
    ebb_graph *many = unet_graph(ctx, 5, false, y, &ny), *one = unet_graph(ctx, 1, false, y, &ny);
    leaves l = make_leaves(many, 3), k = make_leaves(one, 3);
    ebb_plan *p = plan_of(ctx, &l, y, 1, (ebb_plan_options){.workers = 2});
    run(ctx, p, 1, &l);
    ebb_plan *q = plan_of(ctx, &k, y, 1, (ebb_plan_options){.workers = 1});
    for (int i = 0; i < many->nparams; i++)
        ebb_plan_bind_param(q, i, l.narrow[many->params[i]]);
    ebb_plan_prepare(q);
    size_t picture = (size_t)(tiny.size_h * tiny.size_w * tiny.channels);
    for (size_t i = 0; i < 5; i++) {
        memcpy(ebb_plan_input(q, 0, "x"), l.narrow[many->inputs[0]] + i * picture, picture * sizeof(float));
        memcpy(ebb_plan_input(q, 0, "t"), l.narrow[many->inputs[1]] + i, sizeof(float));
        memcpy(ebb_plan_input(q, 0, "label"), l.narrow[many->inputs[2]] + i, sizeof(int32_t));
        ebb_plan_run(q, 0);
        assert_memory_equal(ebb_plan_output(q, 0, 0), ebb_plan_output(p, 1, 0) + i * picture, picture * sizeof(float));
    }
    ebb_plan_free(p);
    ebb_plan_free(q);
    free_leaves(&l);
    free_leaves(&k);
    ebb_graph_free(many);
    ebb_graph_free(one);
    ebb_context_free(ctx);
}

/* Outputs that are inputs, parameters, repeated, or other shapes of each other, bound or not. */
static void test_outputs_of_every_kind(void **state)
{
    (void)state;
    ebb_context *ctx = context(NULL);
    ebb_graph *g = NULL;
    OK(ctx, ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(2, 3)), unused = ebb_input(g, "unused", EBB_F32, EBB_SHAPE(4));
    ebb_value w = ebb_param(g, "w", EBB_SHAPE(2, 3), EBB_INIT_ONE, 1, EBB_LAYOUT_PLAIN);
    ebb_value s = ebb_add(g, x, w), flat = ebb_reshape(g, s, EBB_SHAPE(6)), doubled = ebb_scale(g, w, 2);
    ebb_value y[] = {x, w, s, flat, s, doubled, ebb_constant(g, EBB_SHAPE(2), 3), ebb_mul(g, s, s)};
    enum { N = sizeof y / sizeof *y };
    (void)unused;
    ebb_plan *p = NULL;
    OK(ctx, ebb_plan_create(ctx, g, y, N, &(ebb_plan_options){.workers = 1}, &p));
    float weights[6] = {1, 2, 3, 4, 5, 6}, input[6] = {.5f, 0, -1, 2, 4, 8};
    _Alignas(64) float bound[16];
    ebb_plan_bind_param(p, 0, weights);
    ebb_plan_prepare(p);
    assert_null(ebb_plan_input(p, 0, "unused"));
    for (int pass = 0; pass < 2; pass++) {
        memcpy(ebb_plan_input(p, 0, "x"), input, sizeof input);
        if (pass == 1)
            ebb_plan_bind_output(p, 0, 7, bound);
        ebb_plan_run(p, 0);
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
    ebb_context *ctx = context(NULL);
    ebb_value y[256];
    int ny;
    ebb_graph *g = unet_graph(ctx, 4, true, y, &ny);
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
        cmocka_unit_test(test_outputs_of_every_kind),          cmocka_unit_test(test_random_graphs_match_the_oracle),
        cmocka_unit_test(test_winograd_matches_the_oracle),
        cmocka_unit_test(test_isas_give_equal_bits),           cmocka_unit_test(test_unet_matches_the_oracle),
        cmocka_unit_test(test_unet_is_fused),                  cmocka_unit_test(test_pictures_do_not_see_each_other),
        cmocka_unit_test(test_scale_shift_matches_the_oracle),
        cmocka_unit_test(test_memory_is_planned),               cmocka_unit_test(test_attention_holds_no_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
