/* plan.c: makes a plan: passes over the graph, executors, memory. */
#include <string.h>

#include "plan/internal.h"

static bool repeats_buffer(const ebb_ir *ir, int output)
{
    ebb_value root[2] = {ir->output[output], EBB_NONE};
    for (int i = -1; i < output; i++) {
        ebb_value v = i < 0 ? root[0] : ir->output[i];
        while (ir->node[v].op == EBB_OP_reshape)
            v = ir->node[v].in[0];
        root[i >= 0] = v;
        const ebb_node *n = &ir->node[v];
        if (i < 0) {
            root[0] = v;
            if (n->op == EBB_OP_input || n->op == EBB_OP_param)
                return true;
        } else if (root[0] == root[1]) {
            return true;
        }
    }
    return false;
}

/* Gives every output a buffer of its own: leaves and repetitions are copied. */
static ebb_status separate_outputs(ebb_ir *ir)
{
    for (int i = 0; i < ir->noutputs; i++) {
        if (!repeats_buffer(ir, i))
            continue;
        ebb_value v = ir->output[i];
        ebb_shape s = ir->node[v].shape;
        EBB_TRY(ebb_grow(ir->ctx, (void **)&ir->program, &ir->programs_capacity, ir->nprograms + 1, sizeof *ir->program));
        ir->program[ir->nprograms] = (ebb_pointwise){
            .ninstr = 1, .nregisters = 1, .rank = 1, .dim = {ebb_shape_count(s)}, .stride = {{1}},
            .instr = {{.op = EBB_OP_affine, .a = -1, .alpha = 1}}};
        ir->output[i] = ebb_ir_add(ir, &(ebb_node){.op = EBB_OP_pointwise, .type = EBB_F32, .shape = s, .nin = 1,
                                                   .in = {v}, .attr.index = ir->nprograms++});
        EBB_TRY(ir->status);
    }
    return EBB_OK;
}

/* What waits for an output need not wait for the whole run: the copies, which separate_outputs has put behind
 * all other nodes, come right after what they copy. */
static ebb_value copy_early(ebb_rewrite *rw, ebb_value v)
{
    const int32_t first = *(const int32_t *)rw->state;
    ebb_value to = rw->map[v] = ebb_rewrite_copy(rw, v);
    for (ebb_value u = first; v < first && u < rw->from->count; u++)
        if (rw->from->node[u].in[0] == v)
            rw->map[u] = ebb_rewrite_copy(rw, u);
    return to;
}

static ebb_status run_passes(ebb_ir *ir, const ebb_plan_options *options)
{
    bool fuse = !options->no_fuse && !options->keep_all;
    EBB_TRY(ebb_simplify(ir));
    if (options->bf16)
        EBB_TRY(ebb_precision(ir, options->bf16));
    ebb_select(ir);
    if (fuse)
        EBB_TRY(ebb_fuse(ir));
    EBB_TRY(ebb_fuse_pointwise(ir, fuse));
    int32_t first_copy = ir->count;
    EBB_TRY(separate_outputs(ir));
    if (options->memory != EBB_MEMORY_PREPARED)
        ebb_pack_in_runs(ir);
    EBB_TRY(ebb_rewrite_run(ir, copy_early, &first_copy));
    return ebb_recompute(ir, options->memory);
}

static ebb_status prepare_executors(ebb_plan *p)
{
    for (int32_t t = 0; t < p->nsteps; t++) {
        ebb_executor *e = &p->step[t].executor;
        const ebb_node *n = &p->ir.node[p->step[t].node];
        char shape[96];

        ebb_ir_task(&p->ir, n, &e->task);
        e->kernels = p->ctx->kernels;
        e->team = t < p->nprepare ? 1 : p->team;
        e->parts = e->across = 1;
        const ebb_backend *b = ebb_backend_choose(p->ctx, &e->task).backend;
        ebb_shape_text(n->shape, shape, sizeof shape);
        if (!b)
            return ebb_fail(p->ctx, EBB_E_UNSUPPORTED, "plan: no back end runs %s giving %s", ebb_op_name(n->op), shape);
        EBB_TRY(b->prepare(p->ctx, e, p->workers * p->team));
        e->backend = b;
        if (e->scratch_bytes > p->scratch_bytes)
            p->scratch_bytes = e->scratch_bytes;
    }
    p->scratch_bytes = (p->scratch_bytes + 63) / 64 * 64;    /* of a thread */
    return EBB_OK;
}

static ebb_status list_inputs(ebb_plan *p)
{
    int n = 0;
    for (ebb_value v = 0; v < p->ir.count; v++)
        n += p->ir.node[v].op == EBB_OP_input;
    EBB_TRY(ebb_alloc(p->ctx, (void **)&p->input, (size_t)n + 1, sizeof *p->input, "plan inputs"));
    for (ebb_value v = 0; v < p->ir.count; v++)
        if (p->ir.node[v].op == EBB_OP_input) {
            EBB_TRY(ebb_strdup(p->ctx, &p->input[p->ninputs].name, p->ir.node[v].name));
            p->input[p->ninputs++].buffer = p->buffer_of[v];
        }
    return EBB_OK;
}

static ebb_status allocate_tables(ebb_plan *p, const ebb_graph *g)
{
    size_t n = (size_t)p->ir.count + 1;
    p->nparams = g->nparams;
    p->noutputs = p->ir.noutputs;
    EBB_TRY(ebb_alloc(p->ctx, (void **)&p->arena, (size_t)p->workers, sizeof *p->arena, "plan arenas"));
    EBB_TRY(ebb_alloc(p->ctx, (void **)&p->buffer_of, n, sizeof *p->buffer_of, "plan"));
    EBB_TRY(ebb_alloc(p->ctx, (void **)&p->step, n, sizeof *p->step, "plan steps"));
    EBB_TRY(ebb_alloc(p->ctx, (void **)&p->wave, n, sizeof *p->wave, "plan"));
    EBB_TRY(ebb_alloc(p->ctx, (void **)&p->param, (size_t)p->nparams + 1, sizeof *p->param, "plan parameters"));
    EBB_TRY(ebb_alloc(p->ctx, (void **)&p->output_buffer, (size_t)p->noutputs + 1, sizeof *p->output_buffer, "plan outputs"));
    return ebb_alloc(p->ctx, (void **)&p->bound, (size_t)(p->noutputs * p->workers) + 1, sizeof *p->bound, "plan outputs");
}

static size_t worker_bytes(const ebb_plan *p)
{
    return p->arena_bytes + (size_t)p->team * p->scratch_bytes + 64;
}

static ebb_status allocate_memory(ebb_plan *p)
{
    EBB_TRY(ebb_alloc(p->ctx, (void **)&p->shared, p->shared_bytes + 64, 1, "prepared parameters"));
    for (int w = 0; w < p->workers; w++)
        EBB_TRY(ebb_alloc(p->ctx, (void **)&p->arena[w], worker_bytes(p), 1, "a worker's activations"));
    return EBB_OK;
}

static ebb_status build(ebb_plan *p, const ebb_graph *g, const ebb_value *outputs, int noutputs, const ebb_plan_options *options)
{
    EBB_TRY(ebb_ir_from_graph(p->ctx, g, outputs, noutputs, options->fast_conv, &p->ir));
    EBB_TRY(run_passes(&p->ir, options));
    EBB_TRY(allocate_tables(p, g));
    EBB_TRY(ebb_place(p, options));
    EBB_TRY(prepare_executors(p));
    EBB_TRY(ebb_set_meetings(p));
    EBB_TRY(list_inputs(p));
    return options->measure_only ? EBB_OK : allocate_memory(p);
}

ebb_status ebb_plan_create(ebb_context *ctx, const ebb_graph *g, const ebb_value *outputs, int noutputs,
                           const ebb_plan_options *options, ebb_plan **out)
{
    ebb_plan *p = NULL;
    *out = NULL;
    EBB_TRY(ebb_alloc(ctx, (void **)&p, 1, sizeof *p, "plan"));
    p->ctx = ctx;
    p->workers = options->workers > 0 ? options->workers : 1;
    p->keep_all = options->keep_all;
    p->team = options->team > 0 ? options->team : 1;
    ebb_status st = build(p, g, outputs, noutputs, options);
    if (st != EBB_OK) {
        ebb_plan_free(p);
        return st;
    }
    /* Names belong to the graph, which may go now. */
    for (ebb_value v = 0; v < p->ir.count; v++)
        p->ir.node[v].name = NULL;
    *out = p;
    return EBB_OK;
}

void ebb_plan_free(ebb_plan *p)
{
    if (!p)
        return;
    for (int32_t t = 0; t < p->nsteps; t++) {
        ebb_executor *e = &p->step[t].executor;
        if (e->backend && e->backend->release)
            e->backend->release(e);
    }
    for (int i = 0; i < p->ninputs; i++)
        ebb_free(p->input[i].name);
    for (int w = 0; p->arena && w < p->workers; w++)
        ebb_free(p->arena[w]);
    void *blocks[] = {p->arena, p->shared, p->bound, p->output_buffer, p->param, p->input, p->wave, p->step, p->buffer_of, p->buffer,
                      p->times};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        ebb_free(blocks[i]);
    ebb_ir_free(&p->ir);
    ebb_free(p);
}

void ebb_plan_bind_param(ebb_plan *p, int i, const float *data) { p->param[i] = data; }

void *ebb_plan_input(ebb_plan *p, int worker, const char *name)
{
    for (int i = 0; i < p->ninputs; i++)
        if (!strcmp(p->input[i].name, name))
            return ebb_buffer_address(p, p->input[i].buffer, worker);
    return NULL;
}

const float *ebb_plan_output(const ebb_plan *p, int worker, int i)
{
    return ebb_buffer_address(p, p->output_buffer[i], worker);
}

void ebb_plan_bind_output(ebb_plan *p, int worker, int i, float *data) { p->bound[worker * p->noutputs + i] = data; }

ebb_plan_size ebb_plan_measure(const ebb_plan *p)
{
    ebb_plan_size s = {.shared = p->shared_bytes + 64, .worker = worker_bytes(p), .arena = p->arena_bytes,
                       .alive = p->alive_bytes, .steps = p->nsteps};
    for (int32_t t = 0; t < p->nsteps; t++)
        s.flops += ebb_node_flops(&p->ir, &p->ir.node[p->step[t].node]);
    return s;
}
