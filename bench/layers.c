/* layers.c: walks the evaluation graphs of the recipes unet-s, -m and -l. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers.h"
#include "model/plans.h"
#include "model/recipe.h"

enum { LAYERS_MAX = 256 };

static void need(const ebb_context *ctx, ebb_status status)
{
    if (status == EBB_OK)
        return;
    fprintf(stderr, "bench: %s\n", ebb_message(ctx));
    exit(1);
}

static ebb_conv_shape shape_of(const ebb_graph *g, const ebb_node *node)
{
    ebb_shape x = ebb_graph_shape(g, node->in[0]), w = ebb_graph_shape(g, node->in[1]), y = node->shape;
    return (ebb_conv_shape){
        .n = (int)x.dim[0], .h = (int)x.dim[1], .w = (int)x.dim[2], .ci = (int)x.dim[3],
        .oh = (int)y.dim[1], .ow = (int)y.dim[2], .co = (int)y.dim[3], .kh = (int)w.dim[0], .kw = (int)w.dim[1],
        .stride = node->attr.stride, .pad_top = node->attr.pad_top, .pad_left = node->attr.pad_left,
    };
}

static int add(layer *layers, int count, const ebb_conv_shape *s, char size)
{
    int i = 0;
    while (i < count && memcmp(&layers[i].shape, s, sizeof *s) != 0)
        i++;
    if (i == LAYERS_MAX)
        exit(1);
    layers[i].shape = *s;
    char *nets = layers[i].nets;
    if (!strchr(nets, size))
        nets[strlen(nets)] = size;
    return i == count ? count + 1 : count;
}

static int read_network(ebb_context *ctx, char size, int n, layer *layers, int count)
{
    ebb_recipe *recipe;
    ebb_network net;
    ebb_graph *g;
    char name[] = "unet-?";
    name[5] = size;
    need(ctx, ebb_recipe_load(ctx, name, &recipe));
    need(ctx, ebb_recipe_complete(ctx, recipe));
    need(ctx, ebb_recipe_network(ctx, recipe, &net));
    need(ctx, ebb_graph_create(ctx, &g));
    ebb_eval_graph(g, &net, n, NULL);
    need(ctx, ebb_graph_status(g));
    for (int32_t i = 0; i < g->count; i++) {
        if (g->node[i].op != EBB_OP_conv)
            continue;
        ebb_conv_shape s = shape_of(g, &g->node[i]);
        count = add(layers, count, &s, size);
    }
    ebb_graph_free(g);
    ebb_recipe_free(recipe);
    return count;
}

int layers_read(int n, layer **out)
{
    ebb_context *ctx;
    layer *layers = bench_room(LAYERS_MAX * sizeof *layers);
    int count = 0;
    ebb_status status = ebb_context_create(NULL, &ctx);
    need(ctx, status);
    for (const char *size = "sml"; *size; size++)
        if (bench_wants(*size))
            count = read_network(ctx, *size, n, layers, count);
    ebb_context_free(ctx);
    *out = layers;
    return count;
}
