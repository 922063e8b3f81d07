/* test_precision.c: plans that keep activations in bfloat16.
 *
 * Each step by itself: the operation in double on the very numbers that the step read, rounded once, is what it wrote.
 * Whole plans: as far from the exact result as an interpreter in double that rounds where the plan does.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/plan_check.h"
#include "support/randgraph.h"

enum { MAX_OUTPUTS = 256 };

/* ---- each step ------------------------------------------------------------------------------- */
static double *numbers(const ebb_plan *p, int32_t buffer, ebb_dtype type, int64_t count)
{
    const char *data = ebb_buffer_address(p, buffer, 0);
    double *out = malloc((size_t)count * sizeof *out);
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = 0;
        float x;
        if (type == EBB_BF16)
            bits = (uint32_t)((const ebb_bf16 *)data)[i] << 16;
        else
            memcpy(&bits, data + 4 * i, sizeof bits);
        memcpy(&x, &bits, sizeof x);
        out[i] = type == EBB_I32 ? (double)(int32_t)bits : (double)x;
    }
    return out;
}

/* Products of bfloat16 round their weights too, when these are packed. */
static bool rounds_weights(const ebb_task *t)
{
    bool product = t->op == EBB_OP_conv || t->op == EBB_OP_conv_dx || t->op == EBB_OP_matmul;
    return product && t->in_type[0] == EBB_BF16 && t->out_type[0] == EBB_BF16;
}

/* Operand of a program of one instruction, spread over the axes that it walks. */
static double *spread(const ebb_pointwise *p, int input, const double *x, int64_t count)
{
    double *out = malloc((size_t)count * sizeof *out);
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, at = 0;
        for (int axis = p->rank - 1; axis >= 0; rest /= p->dim[axis], axis--)
            at += rest % p->dim[axis] * p->stride[input][axis];
        out[i] = x[at];
    }
    return out;
}

/* The cell of step t; node: room for that of an instruction. All arrays are the caller's. */
static oracle_cell cell_of(const ebb_plan *p, int32_t t, ebb_node *node)
{
    const ebb_plan_step *s = &p->step[t];
    const ebb_task *task = &s->executor.task;
    oracle_cell c = {.n = node, .count = ebb_shape_count(task->out_shape[0])};
    *node = p->ir.node[s->node];
    for (int i = 0; i < task->nin; i++) {
        c.s[i] = task->in_shape[i];
        double *x = numbers(p, s->in[i], task->in_type[i], ebb_shape_count(c.s[i]));
        for (int64_t j = 0; i == 1 && rounds_weights(task) && j < ebb_shape_count(c.s[i]); j++)
            x[j] = oracle_bf16(x[j]);
        c.x[i] = x;
    }
    for (int k = 0; k < task->nout; k++)
        c.y[k] = calloc((size_t)ebb_shape_count(task->out_shape[k]), sizeof(double));
    if (task->op != EBB_OP_pointwise)
        return c;
    const struct ebb_pointwise_instr *in = &task->program->instr[0];
    assert_int_equal(task->program->ninstr, 1);
    oracle_cell one = {.n = node, .count = c.count, .y = {c.y[0]}};
    node->op = in->op;
    node->nin = ebb_op_class_of(in->op) == EBB_CLASS_UNARY ? 1 : 2;
    node->attr = (ebb_attr){.alpha = in->alpha, .beta = in->beta};
    for (int i = 0; i < node->nin; i++) {
        int input = -1 - (i ? in->b : in->a);
        one.x[i] = spread(task->program, input, c.x[input], c.count);
        one.s[i] = task->out_shape[0];
    }
    for (int i = 0; i < task->nin; i++)
        free((void *)(uintptr_t)c.x[i]);
    return one;
}

static double largest(const oracle_cell *c, int input)
{
    double most = 0;
    for (int64_t i = 0; i < ebb_shape_count(c->s[input]); i++)
        most = fmax(most, fabs(c->x[input][i]));
    return most;
}

/* The adjoint of attention takes <dy, o> from an o that is rounded: the slope of each score is off by at most 2^-8
 * sum |dy| |o|, and q or k times that is summed over as many as there are queries. |o| is at most max |v|. */
static double rounding_within(const oracle_cell *c, const ebb_task *t)
{
    if (t->op != EBB_OP_attention_vjp || t->out_type[0] != EBB_BF16)
        return 0;
    double terms = (double)(c->s[0].dim[1] * c->s[0].dim[3]), token = fmax(largest(c, 0), largest(c, 1));
    return 0x1p-8 * fabs(c->n->attr.alpha) * terms * largest(c, 2) * largest(c, 3) * token;
}

static void check_step(const ebb_plan *p, int32_t t, uint64_t seed)
{
    const ebb_plan_step *s = &p->step[t];
    const ebb_task *task = &s->executor.task;
    ebb_node node;
    oracle_cell c = cell_of(p, t, &node);
    oracle_formula_of(node.op)(&c);
    double scale = plan_step_scale(&c), slack = PLAN_ROUNDINGS * 0x1p-24;
    for (int k = 0; k < (task->op == EBB_OP_attention ? 1 : task->nout); k++) {
        int64_t count = ebb_shape_count(task->out_shape[k]);
        double *got = numbers(p, s->out[k], task->out_type[k], count);
        double off = slack * scale * (double)(k ? c.count / count + 1 : 1) + rounding_within(&c, task);
        for (int64_t i = 0; i < count; i++) {
            /* Half of the last place, which below 2^-126 is 2^-133. */
            double once = task->out_type[k] == EBB_BF16 ? fmax(0x1p-8 * (fabs(c.y[k][i]) + off), 0x1p-134) : 0;
            if (!(fabs(got[i] - c.y[k][i]) <= once + off))
                fail_msg("seed %llu, step %d (%s, %s), part %d, number %lld: %g, in double %g", (unsigned long long)seed, t,
                         ebb_op_name(node.op), ebb_dtype_name(task->out_type[k]), k, (long long)i, got[i], c.y[k][i]);
        }
        free(got);
    }
    for (int i = 0; i < EBB_INPUTS_MAX; i++)
        free((void *)(uintptr_t)c.x[i]);
    for (int k = 0; k < EBB_PARTS_MAX; k++)
        free(c.y[k]);
}

static int count_bf16(const ebb_plan *p)
{
    int count = 0;
    for (int32_t t = 0; t < p->nsteps; t++)
        count += p->step[t].executor.task.out_type[0] == EBB_BF16;
    return count;
}

static int check_steps(ebb_context *ctx, const ebb_graph *g, const ebb_value *y, int ny, int channels, uint64_t seed)
{
    plan_leaves l = plan_leaves_make(g, seed);
    ebb_plan *p = plan_of(ctx, &l, y, ny, (ebb_plan_options){.workers = 1, .keep_all = true, .bf16 = channels});
    plan_run(ctx, p, 0, &l);
    int bf16 = count_bf16(p);
    for (int32_t t = 0; t < p->nsteps; t++)
        check_step(p, t, seed);
    ebb_plan_free(p);
    plan_leaves_free(&l);
    return bf16;
}

/* simd/c rounds nothing within an operation. */
static void test_steps_round_once(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context("c");
    ebb_value y[MAX_OUTPUTS];
    int ny, bf16 = 0;
    for (uint64_t seed = 1; seed <= 240; seed++) {
        ebb_graph *g = NULL;
        OK(ctx, ebb_graph_create(ctx, &g));
        ny = randgraph_make(g, seed, 4 + (int)(seed % 26), EBB_OP_COUNT, y, 4);
        OK(ctx, ebb_graph_status(g));
        bf16 += check_steps(ctx, g, y, ny, 1 + (int)(seed % 4), seed);
        ebb_graph_free(g);
    }
    assert_true(bf16 > 400);
    ebb_graph *g = plan_tiny_graph(ctx, 2, true, y, &ny);
    assert_true(check_steps(ctx, g, y, ny, 8, 7) > 50);
    ebb_graph_free(g);
    ebb_context_free(ctx);
}

/* ---- whole plans ------------------------------------------------------------------------------- */
/* The graph as the planner types it: values of type bf16, and conversions. */
typedef struct typed_graph {
    ebb_ir ir;
    ebb_graph view;
} typed_graph;

static void typed_make(ebb_context *ctx, const ebb_graph *g, const ebb_value *y, int ny, typed_graph *out)
{
    OK(ctx, ebb_ir_from_graph(ctx, g, y, ny, false, &out->ir));
    OK(ctx, ebb_simplify(&out->ir));
    OK(ctx, ebb_precision(&out->ir, EBB_BF16_CHANNELS));
    out->view = (ebb_graph){.ctx = ctx, .node = out->ir.node, .count = out->ir.count};
}

static oracle *oracle_of(const ebb_graph *typed, const plan_leaves *l, bool rounds)
{
    oracle *o = oracle_create(typed);
    if (rounds)
        oracle_round(o);
    for (ebb_value v = 0; v < typed->count; v++) {
        const ebb_node *n = &typed->node[v];
        if (n->op == EBB_OP_input || n->op == EBB_OP_param)
            oracle_set(o, v, l->wide[(n->op == EBB_OP_input ? l->g->inputs : l->g->params)[n->attr.index]]);
    }
    oracle_run(o);
    return o;
}

static const ebb_unet_config small = {.channels = 3, .size_h = 4, .size_w = 4, .base = 16, .levels = 2, .mult = {1, 1},
                                      .blocks = 1, .groups = 4, .eps = 1e-6f, .classes = 5};

/* Of one output, squared and summed over its numbers and all seeds: how far a plan of each kind is from the exact
 * result, how far rounding is, and the result itself. */
enum { KINDS = 3, SEEDS = 8 };
typedef struct distances { double plan[KINDS], rounded, size; } distances;

static const ebb_plan_options kinds[KINDS] = {{.workers = 1, .bf16 = EBB_BF16_CHANNELS},
                                              {.workers = 1, .bf16 = EBB_BF16_CHANNELS, .fast_conv = true},
                                              {.workers = 1, .bf16 = EBB_BF16_CHANNELS, .no_fuse = true}};

static double squared(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += b ? (a[i] - b[i]) * (a[i] - b[i]) : a[i] * a[i];
    return sum;
}

static void add_plans(ebb_context *ctx, const plan_leaves *l, const ebb_value *y, int ny, const typed_graph *t,
                      const oracle *exact, distances *d)
{
    for (int k = 0; k < KINDS; k++) {
        ebb_plan *p = plan_of(ctx, l, y, ny, kinds[k]);
        plan_run(ctx, p, 0, l);
        for (int i = 0; i < ny; i++) {
            int64_t count = ebb_shape_count(l->g->node[y[i]].shape);
            double *got = numbers(p, p->output_buffer[i], EBB_F32, count);
            d[i].plan[k] += squared(got, oracle_get(exact, t->ir.output[i]), count);
            free(got);
        }
        ebb_plan_free(p);
    }
}

/* Errors of independent roundings grow as the root of how many there are. A plan has the interpreter's, and of its
 * attention up to as many again (probabilities, slopes, the output in its adjoint): sqrt(2). What 8 seeds say of either
 * error is within a factor of sqrt(2) of its mean, for vectors of few numbers too. Gradients that are zero in exact
 * arithmetic (of keys' biases) are left with the difference of others' roundings. */
static const double too_far = 2 * 1.41421356237;   /* sqrt(2): more roundings; and for either estimate */

static void check_distances(const char *isa, const ebb_graph *g, const distances *d, int ny)
{
    double worst[KINDS] = {0}, total = 0, most = 0;
    for (int i = 0; i < ny; i++) {
        total += d[i].size;
        most = fmax(most, d[i].rounded);
    }
    for (int i = 0; i < ny; i++) {
        double one = d[i].size > 1e-24 * total ? d[i].rounded : most;
        for (int k = 0; k < KINDS; k++) {
            double ratio = sqrt(d[i].plan[k] / one);
            if (!(ratio <= too_far))
                fail_msg("%s, plan of kind %d: %s is %.2f times as far off as rounding makes it", isa, k,
                         i ? g->node[g->params[i - 1]].name : "eps", ratio);
            worst[k] = fmax(worst[k], ratio);
        }
    }
    printf("%s: at most %.2f (fused), %.2f (fast), %.2f (each operation) times the error of rounding\n", isa, worst[0],
           worst[1], worst[2]);
}

static void test_plans_err_as_rounding_does(void **state)
{
    (void)state;
    ebb_context *contexts[EBB_ISA_COUNT] = {0};
    static distances d[EBB_ISA_COUNT][MAX_OUTPUTS];
    ebb_value y[MAX_OUTPUTS];
    typed_graph t;
    int ny;
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++)
        contexts[isa] = ebb_isa_available((ebb_isa)isa) ? plan_context(ebb_isa_name((ebb_isa)isa)) : NULL;
    ebb_graph *g = plan_unet_graph(contexts[EBB_ISA_C], &small, 1, true, y, &ny);
    typed_make(contexts[EBB_ISA_C], g, y, ny, &t);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        plan_leaves l = plan_leaves_make(g, seed);
        oracle *exact = oracle_of(&t.view, &l, false), *rounded = oracle_of(&t.view, &l, true);
        for (int isa = 0; isa < EBB_ISA_COUNT; isa++) {
            if (!contexts[isa])
                continue;
            add_plans(contexts[isa], &l, y, ny, &t, exact, d[isa]);
            for (int i = 0; i < ny; i++) {
                const double *want = oracle_get(exact, t.ir.output[i]);
                int64_t count = ebb_shape_count(g->node[y[i]].shape);
                d[isa][i].rounded += squared(oracle_get(rounded, t.ir.output[i]), want, count);
                d[isa][i].size += squared(want, NULL, count);
            }
        }
        oracle_free(exact);
        oracle_free(rounded);
        plan_leaves_free(&l);
    }
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++) {
        if (contexts[isa])
            check_distances(ebb_isa_name((ebb_isa)isa), g, d[isa], ny);
    }
    ebb_ir_free(&t.ir);
    ebb_graph_free(g);
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++)
        ebb_context_free(contexts[isa]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_round_once),
        cmocka_unit_test(test_plans_err_as_rounding_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
