/* show.c: a graph as text, one line a node, for eyes and for tests.
 *
 *     %12 conv 8x32x32x64 (%3, %11) stride 1 pad 1,1
 */
#include <stdarg.h>
#include <stdio.h>

#include "graph/graph.h"

typedef struct text {
    ebb_context *ctx;
    ebb_status status;
    char *data;
    int32_t used, capacity;
} text;

__attribute__((format(printf, 2, 3))) static void put(text *t, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (t->status != EBB_OK || length < 0)
        return;
    void *data = t->data;
    t->status = ebb_grow(t->ctx, &data, &t->capacity, t->used + length + 1, 1);
    t->data = data;
    if (t->status == EBB_OK)
        t->used += snprintf(t->data + t->used, (size_t)length + 1, "%s", line);
}

static void put_attributes(text *t, const ebb_node *n, int rank)
{
    const ebb_attr *a = &n->attr;
    switch (n->op) {
    case EBB_OP_input:
    case EBB_OP_param: put(t, " \"%s\"", n->name); break;
    case EBB_OP_constant: put(t, " %g", (double)a->alpha); break;
    case EBB_OP_affine: put(t, " %g %+g", (double)a->alpha, (double)a->beta); break;
    case EBB_OP_sum:
        for (int i = 0, first = 1; i < rank; i++)
            if (a->axes >> i & 1) {
                put(t, "%s%d", first ? " axes " : ",", i);
                first = 0;
            }
        break;
    case EBB_OP_transpose:
        for (int i = 0; i < rank; i++)
            put(t, "%s%d", i ? "," : " perm ", (int)a->perm[i]);
        break;
    case EBB_OP_slice:
        put(t, " axis %d [%lld,%lld)", (int)a->axis, (long long)a->begin, (long long)a->end);
        break;
    case EBB_OP_pad:
        put(t, " axis %d before %lld after %lld", (int)a->axis, (long long)a->begin, (long long)a->end);
        break;
    case EBB_OP_concat: put(t, " axis %d", (int)a->axis); break;
    case EBB_OP_matmul: put(t, "%s%s", a->ta ? " ta" : "", a->tb ? " tb" : ""); break;
    case EBB_OP_conv:
    case EBB_OP_conv_dx:
    case EBB_OP_conv_dw:
    case EBB_OP_conv_packed:
    case EBB_OP_conv_dx_packed:
        put(t, " stride %d pad %d,%d", (int)a->stride, (int)a->pad_top, (int)a->pad_left);
        break;
    case EBB_OP_group_norm:
    case EBB_OP_group_norm_vjp:
    case EBB_OP_norm:
    case EBB_OP_norm_vjp:
        put(t, " groups %d eps %g%s", (int)a->groups, (double)a->alpha, a->silu ? " silu" : "");
        break;
    case EBB_OP_softmax:
    case EBB_OP_softmax_vjp:
    case EBB_OP_attention:
    case EBB_OP_attention_vjp:
    case EBB_OP_attention_vjp_kept: put(t, " scale %g", (double)a->alpha); break;
    case EBB_OP_dropout_mask: put(t, " rate %g layer %d", (double)a->alpha, (int)a->index); break;
    case EBB_OP_part: put(t, " %d", (int)a->index); break;
    default: break; /* nothing beside the inputs and the shape */
    }
}

static void put_node(text *t, const ebb_graph *g, ebb_value v)
{
    static const char *const suffix[] = { [EBB_F32] = "", [EBB_I32] = " i32", [EBB_BF16] = " bf16" };
    const ebb_node *n = &g->node[v];
    char shape[128];
    ebb_shape_text(n->shape, shape, sizeof shape);
    put(t, "%%%d %s %s%s", (int)v, ebb_op_name(n->op), shape, suffix[n->type]);
    for (int i = 0; i < n->nin; i++)
        put(t, "%s%%%d", i ? ", " : " (", (int)n->in[i]);
    put(t, "%s", n->nin ? ")" : "");
    put_attributes(t, n, n->nin ? g->node[n->in[0]].shape.rank : 0);
    put(t, "\n");
}

ebb_status ebb_graph_show(const ebb_graph *g, char **out)
{
    text t = { .ctx = g->ctx };
    put(&t, "%s", "");
    for (ebb_value v = 0; v < g->count; v++)
        put_node(&t, g, v);
    *out = t.data;
    if (t.status != EBB_OK) {
        ebb_free(t.data);
        *out = NULL;
    }
    return t.status;
}
