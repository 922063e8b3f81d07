/* plan_check.c: data for the leaves of a graph, the oracle's numbers, and how near a plan must come to them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/plan_check.h"
#include "support/randgraph.h"

ebb_context *plan_context(const char *cpu)
{
    ebb_context *ctx = NULL;
    ebb_status st = ebb_context_create(&(ebb_context_options){.size = sizeof(ebb_context_options), .threads = 2, .cpu = cpu, .backend = "own"}, &ctx);
    if (st != EBB_OK)
        print_message("%s\n", ebb_message(ctx));
    assert_int_equal(st, EBB_OK);
    return ctx;
}

plan_leaves plan_leaves_make(const ebb_graph *g, uint64_t seed)
{
    plan_leaves l = {g, calloc((size_t)g->count, sizeof(double *)), calloc((size_t)g->count, sizeof(float *))};
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

void plan_leaves_free(plan_leaves *l)
{
    for (ebb_value v = 0; v < l->g->count; v++) {
        free(l->wide[v]);
        free(l->narrow[v]);
    }
    free(l->wide);
    free(l->narrow);
}

static void feed(ebb_plan *p, int worker, const plan_leaves *l)
{
    for (int i = 0; i < l->g->ninputs; i++) {
        const ebb_node *n = &l->g->node[l->g->inputs[i]];
        void *to = ebb_plan_input(p, worker, n->name);
        if (to)
            memcpy(to, l->narrow[l->g->inputs[i]], (size_t)ebb_shape_count(n->shape) * 4);
    }
}

static void bind(ebb_plan *p, const plan_leaves *l)
{
    for (int i = 0; i < l->g->nparams; i++)
        ebb_plan_bind_param(p, i, l->narrow[l->g->params[i]]);
    ebb_plan_prepare(p);
}

ebb_plan *plan_of(ebb_context *ctx, const plan_leaves *l, const ebb_value *y, int ny, ebb_plan_options options)
{
    ebb_plan *p = NULL;
    OK(ctx, ebb_plan_create(ctx, l->g, y, ny, &options, &p));
    bind(p, l);
    return p;
}

void plan_run(ebb_context *ctx, ebb_plan *p, int worker, const plan_leaves *l)
{
    feed(p, worker, l);
    ebb_plan_run(p, worker);
    OK(ctx, ebb_plan_check(p));
}

/* The largest 1/sqrt(var + eps) of a group norm of x: how much it magnifies the rounding of x. */
static double norm_gain(ebb_shape s, const double *data, int groups, double eps)
{
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
static double *plan_rounding_scales(const ebb_graph *g, const oracle *o)
{
    double *scale = calloc((size_t)g->count, sizeof *scale);
    for (ebb_value v = 0; v < g->count; v++) {
        const ebb_node *n = &g->node[v];
        for (int64_t i = 0; n->type == EBB_F32 && i < ebb_shape_count(n->shape); i++)
            scale[v] = fmax(scale[v], fabs(oracle_get(o, v)[i]));
        for (int i = 0; i < n->nin; i++)
            scale[v] = fmax(scale[v], scale[n->in[i]]);
        if (n->op == EBB_OP_group_norm || n->op == EBB_OP_group_norm_vjp)
            scale[v] *= norm_gain(g->node[n->in[0]].shape, oracle_get(o, n->in[0]), n->attr.groups, n->attr.alpha);
        if (n->op == EBB_OP_sum || n->op == EBB_OP_part)
            scale[v] *= (double)ebb_shape_count(g->node[n->in[0]].shape) / (double)ebb_shape_count(n->shape);
    }
    return scale;
}

plan_reference plan_reference_make(const ebb_graph *g, uint64_t seed)
{
    plan_reference r = {.leaves = plan_leaves_make(g, seed), .o = oracle_create(g)};
    for (ebb_value v = 0; v < g->count; v++)
        if (r.leaves.wide[v])
            oracle_set(r.o, v, r.leaves.wide[v]);
    oracle_run(r.o);
    r.scale = plan_rounding_scales(g, r.o);
    return r;
}

void plan_reference_free(plan_reference *r)
{
    oracle_free(r->o);
    free(r->scale);
    plan_leaves_free(&r->leaves);
}

double plan_step_scale(const oracle_cell *c)
{
    double scale = 0, size = (double)c->count;
    for (int64_t i = 0; i < c->count; i++)
        scale = fmax(scale, fabs(c->y[0][i]));
    for (int k = 0; k < c->n->nin; k++)
        for (int64_t i = 0; i < ebb_shape_count(c->s[k]); i++)
            scale = fmax(scale, fabs(c->x[k][i]));
    if (c->n->op == EBB_OP_group_norm || c->n->op == EBB_OP_group_norm_vjp)
        return scale * norm_gain(c->s[0], c->x[0], c->n->attr.groups, c->n->attr.alpha);
    return c->n->op == EBB_OP_sum ? scale * (double)ebb_shape_count(c->s[0]) / size : scale;
}


void plan_assert_close(const plan_reference *r, ebb_value v, const float *got, uint64_t seed)
{
    const ebb_graph *g = r->leaves.g;
    const double *want = oracle_get(r->o, v), *scale = r->scale;
    for (int64_t i = 0; i < ebb_shape_count(g->node[v].shape); i++)
        if (!(fabs(got[i] - want[i]) <= PLAN_ROUNDINGS * 0x1p-24 * scale[v])) {
            print_message("seed %llu, node %d (%s), element %lld: %g, oracle %g, scale %g\n", (unsigned long long)seed, v,
                          ebb_op_name(g->node[v].op), (long long)i, got[i], want[i], scale[v]);
            fail();
        }
}

const ebb_unet_config plan_tiny = {.channels = 3, .size_h = 12, .size_w = 8, .base = 8, .levels = 2, .mult = {1, 2},
                                     .attention = {0, 1}, .blocks = 1, .groups = 4, .eps = 1e-6f, .classes = 5};

ebb_graph *plan_unet_graph(ebb_context *ctx, const ebb_unet_config *c, int64_t n, bool gradients, ebb_value *y, int *ny)
{
    ebb_graph *g = NULL;
    OK(ctx, ebb_graph_create(ctx, &g));
    ebb_value x = ebb_input(g, "x", EBB_F32, EBB_SHAPE(n, c->size_h, c->size_w, c->channels));
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value label = ebb_input(g, "label", EBB_I32, EBB_SHAPE(n));
    y[0] = ebb_nn_unet(g, c, x, t, label);
    *ny = 1;
    if (gradients) {
        OK(ctx, ebb_vjp(g, ebb_sum_all(g, ebb_square(g, y[0])), EBB_NONE, g->params, g->nparams, y + 1));
        *ny += g->nparams;
    }
    OK(ctx, ebb_graph_status(g));
    return g;
}

ebb_graph *plan_tiny_graph(ebb_context *ctx, int64_t n, bool gradients, ebb_value *y, int *ny)
{
    return plan_unet_graph(ctx, &plan_tiny, n, gradients, y, ny);
}

int plan_random_graph(ebb_context *ctx, uint64_t seed, ebb_graph **g, ebb_value *y)
{
    ebb_value x[PLAN_RANDOM_OUTPUTS], dx[PLAN_RANDOM_OUTPUTS];
    int ny, nx = 0;
    OK(ctx, ebb_graph_create(ctx, g));
    ny = randgraph_make(*g, seed, 4 + (int)(seed % 26), EBB_OP_COUNT, y, 4);
    ebb_value total = ebb_sum_all(*g, y[0]);
    for (int i = 1; i < ny; i++)
        total = ebb_add(*g, total, ebb_sum_all(*g, ebb_sin(*g, y[i])));
    for (ebb_value v = 0; v < (*g)->count && nx + ny < PLAN_RANDOM_OUTPUTS; v++) {
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
