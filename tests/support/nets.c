/* nets.c: see nets.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/nets.h"

ebb_context *net_ctx;
bool net_fast_conv;
int net_team, net_bf16;

#define UNET(...) {.kind = EBB_NET_UNET, .u.unet = {.eps = 1e-6f, __VA_ARGS__}}
#define PICTURE(h, w, c) .size_h = h, .size_w = w, .channels = c
#define LEVELS(count, ...) .levels = count, .mult = {__VA_ARGS__}
const ebb_network unet_s = UNET(PICTURE(32, 32, 1), .base = 32, LEVELS(3, 1, 2, 2), .attention = {0, 0, 1},
                                .blocks = 2, .groups = 32);
const ebb_network unet_m = UNET(PICTURE(32, 32, 3), .base = 64, LEVELS(4, 1, 2, 2, 2), .attention = {0, 1},
                                .blocks = 2, .groups = 32);
const ebb_network unet_l = UNET(PICTURE(32, 32, 3), .base = 128, LEVELS(4, 1, 2, 2, 2), .attention = {0, 1},
                                .blocks = 2, .groups = 32);
const ebb_network unet_tiny = UNET(PICTURE(10, 6, 3), .base = 4, LEVELS(2, 1, 2), .attention = {1, 1},
                                   .blocks = 1, .groups = 2, .classes = 3);

void net_ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s: %s", ebb_status_name(status), ebb_message(net_ctx));
}

/* ---- the rule -------------------------------------------------------------------------------- */

uint64_t rule_hash(const char *name, const char *suffix)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    for (; *suffix; suffix++)
        h = (h ^ (uint8_t)*suffix) * 0x100000001b3u;
    return h;
}

uint64_t rule_word(uint64_t hash, int64_t i)
{
    uint64_t z = hash + (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- layouts --------------------------------------------------------------------------------- */

/* Shape in a file: PyTorch's. */
ebb_shape net_file_shape(const ebb_node *p)
{
    const int64_t *d = p->shape.dim;
    if (p->attr.layout == EBB_LAYOUT_LINEAR)
        return EBB_SHAPE(d[1], d[0]);
    return p->attr.layout == EBB_LAYOUT_CONV ? EBB_SHAPE(d[3], d[2], d[0], d[1]) : p->shape;
}

/* Element i in memory is element .. in the file. */
int64_t net_file_index(const ebb_node *p, int64_t i)
{
    const int64_t *d = p->shape.dim;
    if (p->attr.layout == EBB_LAYOUT_LINEAR)
        return i % d[1] * d[0] + i / d[1];
    if (p->attr.layout != EBB_LAYOUT_CONV)
        return i;
    int64_t o = i % d[3], c = i / d[3] % d[2], x = i / d[3] / d[2] % d[1], y = i / d[3] / d[2] / d[1];
    return ((o * d[2] + c) * d[0] + y) * d[1] + x;
}

void net_draw(const ebb_node *p, float *w)
{
    ebb_shape file = net_file_shape(p);
    uint64_t hash = rule_hash(p->name, "");
    int64_t count = ebb_shape_count(file);
    double fan_in = (double)count / (double)file.dim[0];
    for (int64_t i = 0; i < count; i++) {
        double u = (double)(rule_word(hash, net_file_index(p, i)) >> 40) * 0x1p-23 - 1.0, v;
        if (strcmp(p->name, "class_embedding.weight") == 0)
            v = u;
        else if (file.rank > 1)
            v = u * sqrt(3.0 / fan_in);
        else
            v = ends_with(p->name, ".bias") ? u * 0.25 : 1.0 + u * 0.25;
        w[i] = (float)v;
    }
}

/* ---- running networks ------------------------------------------------------------------------ */

void *net_memory(size_t count, size_t size)
{
    void *p;
    net_ok(ebb_alloc(net_ctx, &p, count, size, "test"));
    return p;
}

ebb_graph *net_graph(const ebb_network *network, int64_t n, ebb_value *eps)
{
    ebb_graph *g;
    net_ok(ebb_graph_create(net_ctx, &g));
    bool classes = ebb_network_classes(network) > 0;
    ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(network, n));
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value label = classes ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(n)) : EBB_NONE;
    *eps = ebb_network_build(g, network, x, t, label);
    return g;
}

const ebb_node *net_param(const net *e, int i)
{
    return ebb_graph_node(e->g, e->g->params[i]);
}

static void net_plan(net *e)
{
    ebb_plan_options options = {.workers = 1, .team = net_team, .fast_conv = net_fast_conv, .bf16 = net_bf16};
    net_ok(ebb_plan_create(net_ctx, e->g, e->values, e->count, &options, &e->plan));
    e->weight = net_memory((size_t)e->g->nparams, sizeof *e->weight);
    for (int i = 0; i < e->g->nparams; i++) {
        const ebb_node *p = net_param(e, i);
        e->weight[i] = net_memory((size_t)ebb_shape_count(p->shape), sizeof(float));
        net_draw(p, e->weight[i]);
        ebb_plan_bind_param(e->plan, i, e->weight[i]);
    }
    ebb_plan_prepare(e->plan);
}

net net_eps(const ebb_network *network, int64_t n)
{
    net e = {.count = 1, .values = net_memory(1, sizeof(ebb_value))};
    e.g = net_graph(network, n, e.values);
    net_ok(ebb_graph_status(e.g));
    net_plan(&e);
    return e;
}

net net_loss(const ebb_network *network, int64_t n, int64_t batch)
{
    ebb_value eps;
    ebb_graph *counted = net_graph(network, 1, &eps);
    net e = {.count = 1 + counted->nparams};
    ebb_graph_free(counted);
    e.values = net_memory((size_t)e.count, sizeof(ebb_value));
    net_ok(ebb_graph_create(net_ctx, &e.g));
    net_ok(ebb_loss_simple(e.g, network, n, batch, e.values, e.count));
    net_plan(&e);
    return e;
}

void net_free(net *e)
{
    ebb_plan_free(e->plan);
    for (int i = 0; i < e->g->nparams; i++)
        ebb_free(e->weight[i]);
    ebb_free(e->weight);
    ebb_free(e->values);
    ebb_graph_free(e->g);
}

void net_put(net *e, const char *name, const void *data, size_t bytes)
{
    void *to = ebb_plan_input(e->plan, 0, name);
    if (to == NULL)
        fail_msg("the plan has no input \"%s\"", name);
    memcpy(to, data, bytes);
}
