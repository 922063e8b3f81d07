/* show.c: a plan as JSON, for `ebb plan`: one object a step, and the totals. */
#include <jansson.h>
#include <string.h>

#include "plan/internal.h"

/* [home, place, bytes]: where a value lies; place: its byte there, or the number of the parameter or output. */
static json_t *place_json(const ebb_plan *p, int32_t buffer)
{
    static const char *const homes[] = {
        [EBB_HOME_ARENA] = "arena", [EBB_HOME_SHARED] = "shared", [EBB_HOME_PARAM] = "param",
        [EBB_HOME_OUTPUT] = "output"};
    const ebb_buffer *b = &p->buffer[buffer];
    bool numbered = b->home == EBB_HOME_PARAM || b->home == EBB_HOME_OUTPUT;
    return json_pack("[s,I,I]", homes[b->home], numbered ? (json_int_t)b->index : (json_int_t)b->offset,
                     (json_int_t)b->bytes);
}

static json_t *places_json(const ebb_plan *p, const int32_t *buffer, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, place_json(p, buffer[i]));
    return list;
}

static json_t *step_json(const ebb_plan *p, int32_t t)
{
    const ebb_plan_step *s = &p->step[t];
    const ebb_node *n = &p->ir.node[s->node];
    const ebb_buffer *b = &p->buffer[s->out[0]];
    bool prepare = t < p->nprepare;
    char shape[96];

    ebb_shape_text(n->shape, shape, sizeof shape);
    json_t *j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "step", (int)t, "phase",
                          prepare ? "prepare" : "run", "op", ebb_op_name(n->op), "shape", shape, "type",
                          ebb_dtype_name(n->type), "backend", s->executor.backend->name, "implementation", s->executor.implementation, "bytes",
                          (json_int_t)ebb_step_bytes(p, t), "flops", (json_int_t)ebb_node_flops(&p->ir, n));
    if (j && !prepare)
        json_object_set_new(j, "lifetime", json_pack("[i,i]", b->first, b->last));
    json_object_set_new(j, "reads", places_json(p, s->in, n->nin));
    json_object_set_new(j, "writes", places_json(p, s->out, s->executor.task.nout));
    if (j && b->home == EBB_HOME_ARENA)
        json_object_set_new(j, "offset", json_integer((json_int_t)b->offset));
    return j;
}

static ebb_status text_of(const ebb_plan *p, json_t *j, char **out)
{
    size_t length = j ? json_dumpb(j, NULL, 0, JSON_COMPACT) : 0;
    *out = NULL;
    ebb_status st = length ? ebb_alloc(p->ctx, (void **)out, length + 1, 1, "the description of a plan")
                           : ebb_fail(p->ctx, EBB_E_MEMORY, "plan: no memory for its description");
    if (st == EBB_OK)
        json_dumpb(j, *out, length, JSON_COMPACT);
    json_decref(j);
    return st;
}

ebb_status ebb_plan_text(const ebb_plan *p, char **out)
{
    ebb_plan_size size = ebb_plan_measure(p);
    json_t *steps = json_array();
    for (int32_t t = 0; steps && t < p->nsteps; t++)
        json_array_append_new(steps, step_json(p, t));
    json_t *j = json_pack("{s:o, s:i, s:I, s:I, s:I, s:I}", "steps", steps, "workers", p->workers, "shared_bytes",
                          (json_int_t)size.shared, "worker_bytes", (json_int_t)size.worker, "scratch_bytes",
                          (json_int_t)p->scratch_bytes, "flops", (json_int_t)size.flops);
    return text_of(p, j, out);
}

/* ---- what is alive when most is ------------------------------------------------------------------ */

/* The largest buffer alive at the peak that comes after `before` in order of size, then number; -1: none. */
static int32_t next_alive(const ebb_plan *p, int32_t before)
{
    int32_t best = -1;
    for (int32_t i = 0; i < p->nbuffers; i++) {
        const ebb_buffer *b = &p->buffer[i], *q = before < 0 ? NULL : &p->buffer[before];
        bool alive = b->home == EBB_HOME_ARENA && b->same_as < 0 && b->first <= p->peak && p->peak <= b->last;
        bool after = !q || b->bytes < q->bytes || (b->bytes == q->bytes && i > before);
        if (alive && after && (best < 0 || b->bytes > p->buffer[best].bytes))
            best = i;
    }
    return best;
}

/* The node whose first output, or part, the buffer holds. */
static const ebb_node *maker_of(const ebb_plan *p, int32_t buffer)
{
    ebb_value v = 0;
    for (ebb_value u = 0; u < p->ir.count; u++)
        if (!ebb_node_is_alias(&p->ir.node[u]) && p->buffer_of[u] <= buffer && p->buffer_of[u] >= p->buffer_of[v])
            v = u;
    return &p->ir.node[v];
}

static json_t *alive_json(const ebb_plan *p, int32_t buffer)
{
    const ebb_node *n = maker_of(p, buffer);
    const ebb_buffer *b = &p->buffer[buffer];
    char shape[96];
    ebb_shape_text(n->shape, shape, sizeof shape);
    return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i}", "op", ebb_op_name(n->op), "shape", shape, "type",
                     ebb_dtype_name(n->type), "bytes", (json_int_t)b->bytes, "first", (int)b->first, "last", (int)b->last);
}

ebb_status ebb_plan_peak_text(const ebb_plan *p, char **out)
{
    enum { SHOWN = 16 };
    json_t *values = json_array();
    int32_t buffer = -1;
    for (int i = 0; i < SHOWN && (buffer = next_alive(p, buffer)) >= 0; i++)
        json_array_append_new(values, alive_json(p, buffer));
    const ebb_node *n = &p->ir.node[p->step[p->peak].node];
    json_t *j = json_pack("{s:i, s:s, s:I, s:I, s:o}", "step", (int)p->peak, "op", ebb_op_name(n->op), "alive_bytes",
                          (json_int_t)p->alive_bytes, "arena_bytes", (json_int_t)p->arena_bytes, "values", values);
    return text_of(p, j, out);
}
