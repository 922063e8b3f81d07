/* graph.c: the graph itself: nodes in an array, the latched error, scopes, shapes and names.
 *
 * The one idea: a value is the index of its node and inputs always precede, so every pass over a
 * graph is a loop, forwards or backwards.
 */
#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/rules.h"

static const struct { const char *name; int inputs; ebb_op_class class; } op_table[EBB_OP_COUNT] = {
#define OP(name, inputs, class) [EBB_OP_##name] = { #name, inputs, EBB_CLASS_##class },
#include "graph/ops.def"
#undef OP
};

const char *ebb_op_name(ebb_op op)
{
    return (unsigned)op < EBB_OP_COUNT ? op_table[op].name : "unknown operation";
}

ebb_op_class ebb_op_class_of(ebb_op op)
{
    return op_table[op].class;
}

int ebb_op_inputs(ebb_op op)
{
    return op_table[op].inputs;
}

/* ---- life -------------------------------------------------------------------------------- */

ebb_status ebb_graph_create(ebb_context *ctx, ebb_graph **out)
{
    *out = NULL;
    void *memory;
    EBB_TRY(ebb_alloc(ctx, &memory, 1, sizeof(ebb_graph), "a graph"));
    *out = memory;
    (*out)->ctx = ctx;
    return EBB_OK;
}

void ebb_graph_free(ebb_graph *g)
{
    if (!g)
        return;
    for (int32_t i = 0; i < g->count; i++)
        ebb_free((void *)g->node[i].name);
    for (int32_t i = 0; i < g->marks; i++)
        ebb_free(g->mark[i].name);
    ebb_free(g->mark);
    ebb_free(g->node);
    ebb_free(g->params);
    ebb_free(g->inputs);
    ebb_free(g);
}

/* ---- errors ------------------------------------------------------------------------------ */

ebb_status ebb_graph_status(const ebb_graph *g)
{
    return g->status;
}

ebb_value ebb_graph_fail(ebb_graph *g, ebb_status status, const char *format, ...)
{
    if (g->status != EBB_OK)
        return EBB_NONE;
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *in = g->scope[0] ? " in " : "";
    g->status = ebb_fail(g->ctx, status, "graph%s%s: %s", in, g->scope, text);
    return EBB_NONE;
}

ebb_value ebb_graph_reject(ebb_graph *g, const ebb_node *n, const char *why, ...)
{
    char shapes[384], text[256];
    size_t used = 0;
    shapes[0] = 0;
    for (int i = 0; i < n->nin && used < sizeof shapes; i++) {
        char one[128] = "nothing";
        if (ebb_graph_node(g, n->in[i]))
            ebb_shape_text(g->node[n->in[i]].shape, one, sizeof one);
        used += (size_t)snprintf(shapes + used, sizeof shapes - used, "%s%s", i ? ", " : "", one);
    }
    va_list args;
    va_start(args, why);
    vsnprintf(text, sizeof text, why, args);
    va_end(args);
    return ebb_graph_fail(g, EBB_E_SHAPE, "%s (%s): %s", ebb_op_name(n->op), shapes, text);
}

/* ---- nodes ------------------------------------------------------------------------------- */

static bool inputs_exist(ebb_graph *g, const ebb_node *n)
{
    int want = ebb_op_inputs(n->op);
    if (n->nin < 0 || n->nin > EBB_INPUTS_MAX || (want >= 0 && n->nin != want)) {
        ebb_graph_fail(g, EBB_E_INTERNAL, "%s was given %d inputs", ebb_op_name(n->op), n->nin);
        return false;
    }
    for (int i = 0; i < n->nin; i++)
        if (!ebb_graph_node(g, n->in[i])) {
            ebb_graph_reject(g, n, "input %d is missing; pass a value of this graph", i);
            return false;
        }
    return true;
}

/* Dimensions in range and their product, in bytes, representable. */
static bool shape_valid(ebb_graph *g, const ebb_node *n)
{
    if (n->shape.rank < 0 || n->shape.rank > EBB_RANK_MAX) {
        ebb_graph_reject(g, n, "the result would have %d axes, at most %d are possible", n->shape.rank,
                         EBB_RANK_MAX);
        return false;
    }
    int64_t bytes = (int64_t)sizeof(double);
    for (int i = 0; i < n->shape.rank; i++)
        if (n->shape.dim[i] < 1 || __builtin_mul_overflow(bytes, n->shape.dim[i], &bytes)) {
            char text[128];
            ebb_shape_text(n->shape, text, sizeof text);
            ebb_graph_reject(g, n, "%s is no shape: each axis is at least 1 and the whole addressable", text);
            return false;
        }
    return true;
}

ebb_value ebb_graph_add(ebb_graph *g, ebb_node node)
{
    if (g->status != EBB_OK)
        return EBB_NONE;
    if ((unsigned)node.op >= EBB_OP_COUNT)
        return ebb_graph_fail(g, EBB_E_INTERNAL, "there is no operation %d", (int)node.op);
    if (!inputs_exist(g, &node) || !ebb_infer(g, &node) || !shape_valid(g, &node))
        return EBB_NONE;
    void *nodes = g->node;
    ebb_status status = ebb_grow(g->ctx, &nodes, &g->capacity, g->count + 1, sizeof *g->node);
    g->node = nodes;
    if (status != EBB_OK) {
        g->status = status;
        return EBB_NONE;
    }
    g->node[g->count] = node;
    return g->count++;
}

const ebb_node *ebb_graph_node(const ebb_graph *g, ebb_value v)
{
    return v >= 0 && v < g->count ? &g->node[v] : NULL;
}

ebb_shape ebb_graph_shape(const ebb_graph *g, ebb_value v)
{
    const ebb_node *n = ebb_graph_node(g, v);
    return n ? n->shape : EBB_SCALAR;
}

/* ---- leaves ------------------------------------------------------------------------------ */

/* Appends a named leaf to the nodes and to its list; the graph keeps a copy of the name. */
static ebb_value add_named(ebb_graph *g, ebb_node node, const char *prefix, const char *name,
                           ebb_value **list, int32_t *count, int32_t *capacity)
{
    if (g->status != EBB_OK)
        return EBB_NONE;
    char full[256];
    int length = snprintf(full, sizeof full, "%s%s", prefix, name);
    if (length <= 0 || (size_t)length >= sizeof full)
        return ebb_graph_fail(g, EBB_E_ARGUMENT, "%s \"%s\": a name has 1 to %zu letters",
                              ebb_op_name(node.op), full, sizeof full - 1);
    for (int32_t i = 0; i < *count; i++)
        if (strcmp(g->node[(*list)[i]].name, full) == 0)
            return ebb_graph_fail(g, EBB_E_ARGUMENT, "there are two of %s \"%s\"; give each its own name",
                                  ebb_op_name(node.op), full);
    node.attr.index = *count;
    void *grown = *list;
    ebb_status status = ebb_grow(g->ctx, &grown, capacity, *count + 1, sizeof **list);
    *list = grown;
    char *copy = NULL;
    if (status == EBB_OK)
        status = ebb_strdup(g->ctx, &copy, full);
    if (status != EBB_OK) {
        g->status = status;
        return EBB_NONE;
    }
    node.name = copy;
    ebb_value v = ebb_graph_add(g, node);
    if (v == EBB_NONE)
        ebb_free(copy);
    else
        (*list)[(*count)++] = v;
    return v;
}

void ebb_mark_value(ebb_graph *g, const char *name, ebb_value v)
{
    char full[256];
    if (!g->marking || v == EBB_NONE || g->status != EBB_OK)
        return;
    int length = snprintf(full, sizeof full, "%s%s", g->scope, name);
    if (*name == 0 && length > 0)
        full[length - 1] = 0;        /* the scope's dot */
    void *grown = g->mark;
    ebb_status status = ebb_grow(g->ctx, &grown, &g->marks_capacity, g->marks + 1, sizeof *g->mark);
    g->mark = grown;
    if (status == EBB_OK)
        status = ebb_strdup(g->ctx, &g->mark[g->marks].name, full);
    if (status == EBB_OK)
        g->mark[g->marks++].value = v;
    else
        ebb_graph_fail(g, status, "no memory for the name of a value");
}

ebb_value ebb_input(ebb_graph *g, const char *name, ebb_dtype type, ebb_shape shape)
{
    ebb_node n = { .op = EBB_OP_input, .type = type, .shape = shape };
    return add_named(g, n, "", name, &g->inputs, &g->ninputs, &g->inputs_capacity);
}

ebb_value ebb_param(ebb_graph *g, const char *name, ebb_shape shape, ebb_init init, float scale,
                    ebb_layout layout)
{
    ebb_node n = { .op = EBB_OP_param, .type = EBB_F32, .shape = shape };
    n.attr.alpha = scale;
    n.attr.init = (uint8_t)init;
    n.attr.layout = (uint8_t)layout;
    return add_named(g, n, g->scope, name, &g->params, &g->nparams, &g->params_capacity);
}

ebb_value ebb_param_fixed(ebb_graph *g, const char *name, ebb_shape shape, ebb_init init, float scale,
                          ebb_layout layout)
{
    ebb_value p = ebb_param(g, name, shape, init, scale, layout);
    if (p != EBB_NONE)
        g->node[p].attr.fixed = 1;
    return ebb_stop_gradient(g, p);
}

size_t ebb_scope_push(ebb_graph *g, const char *format, ...)
{
    size_t old = strlen(g->scope);
    va_list args;
    va_start(args, format);
    int length = vsnprintf(g->scope + old, sizeof g->scope - old, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof g->scope - old)
        ebb_graph_fail(g, EBB_E_ARGUMENT, "the scope is longer than %zu letters", sizeof g->scope - 1);
    return old;
}

void ebb_scope_pop(ebb_graph *g, size_t length)
{
    g->scope[length] = 0;
}

/* ---- shapes ------------------------------------------------------------------------------ */

ebb_shape ebb_shape_from(int rank, const int64_t *dim)
{
    /* A rank out of range is kept, so that the node made of it is refused. */
    ebb_shape s = { .rank = rank };
    for (int i = 0; i < rank && i < EBB_RANK_MAX; i++)
        s.dim[i] = dim[i];
    return s;
}

size_t ebb_dtype_bytes(ebb_dtype type) { return type == EBB_BF16 ? 2 : 4; }

const char *ebb_dtype_name(ebb_dtype type) { return type == EBB_BF16 ? "bf16" : type == EBB_I32 ? "i32" : "f32"; }

int64_t ebb_shape_count(ebb_shape s)
{
    int64_t count = 1;
    for (int i = 0; i < s.rank; i++)
        count *= s.dim[i];
    return count;
}

bool ebb_shape_equal(ebb_shape a, ebb_shape b)
{
    return a.rank == b.rank && memcmp(a.dim, b.dim, (size_t)a.rank * sizeof a.dim[0]) == 0;
}

void ebb_shape_text(ebb_shape s, char *buffer, size_t size)
{
    size_t used = (size_t)snprintf(buffer, size, "%s", s.rank == 0 ? "scalar" : "");
    for (int i = 0; i < s.rank && i < EBB_RANK_MAX && used < size; i++)
        used += (size_t)snprintf(buffer + used, size - used, "%s%lld", i ? "x" : "", (long long)s.dim[i]);
}

bool ebb_shape_broadcast(ebb_shape a, ebb_shape b, ebb_shape *out)
{
    *out = (ebb_shape){ .rank = a.rank > b.rank ? a.rank : b.rank };
    for (int i = 1; i <= out->rank; i++) {
        int64_t da = i <= a.rank ? a.dim[a.rank - i] : 1, db = i <= b.rank ? b.dim[b.rank - i] : 1;
        if (da != db && da != 1 && db != 1)
            return false;
        out->dim[out->rank - i] = da == 1 ? db : da;
    }
    return true;
}
