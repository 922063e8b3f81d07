/* oracle.c: memory and order of the interpreter; the formulas are in oracle_ops.c. */
#include "support/oracle.h"

#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct oracle {
    const ebb_graph *g;
    double *(*data)[EBB_PARTS_MAX];
    bool *known;
    bool rounds;
};

static void give_up(const char *what, ebb_value v)
{
    fprintf(stderr, "oracle: %s %%%d\n", what, (int)v);
    abort();
}

static void *new_array(int64_t count, size_t size)
{
    void *p = calloc((size_t)count, size);
    if (!p)
        give_up("no memory for", EBB_NONE);
    return p;
}

oracle *oracle_create(const ebb_graph *g)
{
    oracle *o = new_array(1, sizeof *o);
    o->g = g;
    o->data = new_array(g->count + 1, sizeof *o->data);
    o->known = new_array(g->count + 1, sizeof *o->known);
    for (ebb_value v = 0; v < g->count; v++) {
        const ebb_node *n = &g->node[v];
        o->data[v][0] = new_array(ebb_shape_count(n->shape), sizeof(double));
        if (n->op == EBB_OP_group_norm_vjp || n->op == EBB_OP_attention_vjp)
            for (int k = 1; k <= 2; k++)
                o->data[v][k] = new_array(ebb_shape_count(ebb_graph_shape(g, n->in[k])), sizeof(double));
    }
    return o;
}

void oracle_free(oracle *o)
{
    for (ebb_value v = 0; v < o->g->count; v++)
        for (int k = 0; k < EBB_PARTS_MAX; k++)
            free(o->data[v][k]);
    free(o->data);
    free(o->known);
    free(o);
}

static bool from_outside(const ebb_node *n)
{
    return n->op == EBB_OP_input || n->op == EBB_OP_param;
}

static double *leaf_data(oracle *o, ebb_value leaf)
{
    const ebb_node *n = ebb_graph_node(o->g, leaf);
    if (!n || !from_outside(n))
        give_up("not an input or parameter:", leaf);
    o->known[leaf] = true;
    return o->data[leaf][0];
}

#define SET(name, type)                                                        \
    void name(oracle *o, ebb_value leaf, const type *data)                     \
    {                                                                          \
        double *to = leaf_data(o, leaf);                                       \
        for (int64_t i = 0; i < ebb_shape_count(o->g->node[leaf].shape); i++)  \
            to[i] = (double)data[i];                                           \
    }
SET(oracle_set, double)
SET(oracle_set_f32, float)
SET(oracle_set_i32, int32_t)

double oracle_bf16(double x)
{
    int exponent;
    double part = frexp(x, &exponent);   /* |part| in [1/2, 1): 8 bits are kept */
    return isfinite(x) && x != 0 ? ldexp(nearbyint(ldexp(part, 8)), exponent - 8) : x;
}

void oracle_round(oracle *o) { o->rounds = true; }

static double *rounded(const double *x, int64_t count)
{
    double *y = new_array(count, sizeof *y);
    for (int64_t i = 0; i < count; i++)
        y[i] = oracle_bf16(x[i]);
    return y;
}

static bool rounds_weights(const oracle *o, const ebb_node *n)
{
    bool product = n->op == EBB_OP_conv || n->op == EBB_OP_conv_dx || n->op == EBB_OP_matmul;
    return product && o->rounds && n->type == EBB_BF16 && o->g->node[n->in[0]].type == EBB_BF16;
}

/* Statistics and gradients of parameters are f32. */
static void round_results(const ebb_node *n, const oracle_cell *c)
{
    for (int k = 0; k < EBB_PARTS_MAX && n->type == EBB_BF16; k++) {
        int64_t count = k ? ebb_shape_count(c->s[k]) : c->count;
        for (int64_t i = 0; c->y[k] && (k == 0 || n->op == EBB_OP_attention_vjp) && i < count; i++)
            c->y[k][i] = oracle_bf16(c->y[k][i]);
    }
}

static void run_node(oracle *o, ebb_value v)
{
    const ebb_node *n = &o->g->node[v];
    oracle_formula formula = oracle_formula_of(n->op);
    oracle_cell c = { .n = n, .count = ebb_shape_count(n->shape) };
    o->known[v] = formula != NULL;
    for (int i = 0; i < n->nin; i++) {
        o->known[v] &= o->known[n->in[i]];
        c.x[i] = o->data[n->in[i]][n->op == EBB_OP_part ? n->attr.index : 0];
        c.s[i] = o->g->node[n->in[i]].shape;
    }
    memcpy(c.y, o->data[v], sizeof c.y);
    double *weights = o->known[v] && rounds_weights(o, n) ? rounded(c.x[1], ebb_shape_count(c.s[1])) : NULL;
    if (weights)
        c.x[1] = weights;
    if (o->known[v])
        formula(&c);
    if (o->known[v] && o->rounds)
        round_results(n, &c);
    free(weights);
}

void oracle_run(oracle *o)
{
    for (ebb_value v = 0; v < o->g->count; v++)
        if (!from_outside(&o->g->node[v]))
            run_node(o, v);
}

const double *oracle_get(const oracle *o, ebb_value v)
{
    if (!ebb_graph_node(o->g, v) || !o->known[v])
        give_up("no value (a leaf not set? the graph grown?) for", v);
    return o->data[v][0];
}
