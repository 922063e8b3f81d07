/* onednn.c: f32 convolutions and matrix products by oneDNN.
 *
 * The one idea: a step is a primitive made for ONE thread, run by many workers at once, each with memory
 * objects of its own. Threads then never change bits, and oneDNN's backward-weights, whose bits do depend
 * on its thread count, becomes reproducible.
 *
 * Pictures stay NHWC. Convolution weights are plain HWIO outside and in the layout that oneDNN chooses
 * inside: each run reorders them through the scratch, because they change every step. Measured with one
 * Zen 4 core, 8 pictures, 2.6.3: computing on plain HWIO falls to gemm and takes 1.1 to 3.4 times as long
 * for 3x3 (1x1: equal), the reorder adds 1 to 3 % from 16x16 pictures up, about 10 % for 256 channels at
 * 8x8 and 25 to 50 % at 4x4, where it still wins or draws level.
 */
#include "backend/backend.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "backend/dnx.h"

/* A step has three tensors: input 0, input 1, output 0. Which of them plays the picture x, the weights w
 * and the result y of the forward formula, and what oneDNN calls each. */
typedef struct roles {
    int x, w, y;
    int arg[3];
} roles;

/* Where the tensors of a convolution lie, in oneDNN's order of axes: NCHW and OIHW. */
typedef struct geometry {
    dnnl_dims_t x, w, y;
    dnnl_dims_t strides, left, right;   /* height, width */
} geometry;

enum { MEM_IN0, MEM_IN1, MEM_OUT, MEM_PACKED, MEM_SCRATCH, MEM_REORDER_SCRATCH, MEM_COUNT };

/* What one worker may touch while it runs. */
typedef struct slot {
    dnnl_stream_t stream;
    dnnl_memory_t memory[MEM_COUNT];
    dnnl_exec_arg_t args[4], reorder_args[3];
} slot;

typedef struct state {
    dnnl_engine_t engine;
    dnnl_primitive_desc_t pd, reorder_pd;
    dnnl_primitive_t primitive;
    dnnl_primitive_t reorder;           /* NULL: the primitive takes the weights as they lie */
    roles roles;
    size_t packed_bytes;                /* of weights in oneDNN's layout, at the start of the scratch */
    atomic_int failed;                  /* first dnnl_status_t that was not success */
    int workers;
    slot slots[];
} state;

static roles roles_of(ebb_op op)
{
    switch (op) {
    case EBB_OP_conv_dx:
        return (roles){2, 1, 0, {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC}};
    case EBB_OP_conv_dw:
        return (roles){0, 2, 1, {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS}};
    default:
        return (roles){0, 1, 2, {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}};
    }
}

static const ebb_shape *shape_of(const ebb_task *task, int tensor)
{
    return tensor < 2 ? &task->in_shape[tensor] : &task->out_shape[0];
}

/* ---- descriptors ------------------------------------------------------------------------------- */
/* Zeros after the picture that give `out` positions; -1 where there is no such number: oneDNN cannot
 * leave out positions at the end of a picture beyond what a stride skips. */
static int64_t right_padding(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t left)
{
    int64_t right = (out - 1) * stride + kernel - in - left;
    if (right > -stride && right < 0)
        return 0;
    return right < 0 ? -1 : right;
}

static bool geometry_of(const ebb_task *task, geometry *g)
{
    roles r = roles_of(task->op);
    const int64_t *x = shape_of(task, r.x)->dim, *w = shape_of(task, r.w)->dim, *y = shape_of(task, r.y)->dim;
    int64_t stride = task->attr.stride, top = task->attr.pad_top, left = task->attr.pad_left;
    int64_t bottom = right_padding(x[1], y[1], w[0], stride, top);
    int64_t right = right_padding(x[2], y[2], w[1], stride, left);
    *g = (geometry){
        .x = {x[0], x[3], x[1], x[2]}, .w = {w[3], w[2], w[0], w[1]}, .y = {y[0], y[3], y[1], y[2]},
        .strides = {stride, stride}, .left = {top, left}, .right = {bottom, right},
    };
    return stride >= 1 && top >= 0 && left >= 0 && bottom >= 0 && right >= 0;
}

static dnnl_status_t conv_pd(dnnl_engine_t engine, ebb_op op, const geometry *g, const dnx_md md[3],
                             const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd)
{
    static const dnnl_dims_t dense = {0, 0};
    /* direct: the Winograd that "auto" may take rounds otherwise */
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    dnx_cmd x = dnx_ref(&md[0]), w = dnx_ref(&md[1]), y = dnx_ref(&md[2]);
    dnnl_primitive_desc_t forward = NULL;
    DNX_TRY(dnx_conv(&forward, engine, dnnl_forward_training, alg, x, w, NULL, y, g->strides, dense, g->left,
                 g->right, attr));
    if (op == EBB_OP_conv) {
        *pd = forward;
        return dnnl_success;
    }
    dnnl_status_t status = op == EBB_OP_conv_dx
        ? dnx_conv_dx(pd, engine, alg, x, w, y, g->strides, dense, g->left, g->right, forward, attr)
        : dnx_conv_dw(pd, engine, alg, x, w, NULL, y, g->strides, dense, g->left, g->right, forward, attr);
    dnnl_primitive_desc_destroy(forward);
    return status;
}

static dnnl_status_t conv_open(dnnl_engine_t engine, const ebb_task *task, const_dnnl_primitive_attr_t attr,
                               dnnl_primitive_desc_t *pd)
{
    geometry g;
    if (!geometry_of(task, &g))
        return dnnl_unimplemented;
    dnx_md md[3] = {0};
    dnnl_status_t status = dnx_md_tag(&md[0], 4, g.x, dnnl_f32, dnnl_nhwc);
    if (status == dnnl_success)
        status = dnx_md_tag(&md[1], 4, g.w, dnnl_f32, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = dnx_md_tag(&md[2], 4, g.y, dnnl_f32, dnnl_nhwc);
    if (status == dnnl_success)
        status = conv_pd(engine, task->op, &g, md, attr, pd);
    for (int i = 0; i < 3; i++)
        dnx_md_free(&md[i]);
    return status;
}

/* (..., rows, columns) as (batch, rows, columns), or with the last two swapped in memory. */
static dnnl_status_t matrix_md(dnx_md *md, const ebb_shape *s, bool swapped)
{
    int64_t rows = s->dim[s->rank - 2], columns = s->dim[s->rank - 1];
    int64_t batch = ebb_shape_count(*s) / (rows * columns);
    dnnl_dims_t dims = {batch, swapped ? columns : rows, swapped ? rows : columns};
    return dnx_md_tag(md, 3, dims, dnnl_f32, swapped ? dnnl_acb : dnnl_abc);
}

static dnnl_status_t matmul_open(dnnl_engine_t engine, const ebb_task *task, const_dnnl_primitive_attr_t attr,
                                 dnnl_primitive_desc_t *pd)
{
    dnx_md md[3] = {0};
    dnnl_status_t status = matrix_md(&md[0], &task->in_shape[0], task->attr.ta);
    if (status == dnnl_success)
        status = matrix_md(&md[1], &task->in_shape[1], task->attr.tb);
    if (status == dnnl_success)
        status = matrix_md(&md[2], &task->out_shape[0], false);
    if (status == dnnl_success)
        status = dnx_matmul(pd, engine, dnx_ref(&md[0]), dnx_ref(&md[1]), NULL, dnx_ref(&md[2]), attr);
    for (int i = 0; i < 3; i++)
        dnx_md_free(&md[i]);
    return status;
}

/* User scratchpad: so that memory is known before a run and nothing is allocated in it. */
static dnnl_status_t scratch_attr(dnnl_primitive_attr_t *attr)
{
    DNX_TRY(dnnl_primitive_attr_create(attr));
    return dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
}

/* From plain HWIO to what the primitive wants, or back for a weight gradient; none if they are equal. */
static dnnl_status_t reorder_open(state *s, const ebb_task *task, const_dnnl_primitive_attr_t attr)
{
    geometry g;
    dnx_cmd chosen = dnnl_primitive_desc_query_md(s->pd, dnnl_query_exec_arg_md, s->roles.arg[s->roles.w]);
    if (task->op == EBB_OP_matmul || !geometry_of(task, &g))
        return dnnl_success;
    dnx_md plain = {0};
    DNX_TRY(dnx_md_tag(&plain, 4, g.w, dnnl_f32, dnnl_hwio));
    dnx_cmd from = dnx_ref(&plain), to = chosen;
    if (task->op == EBB_OP_conv_dw) {
        from = chosen;
        to = dnx_ref(&plain);
    }
    dnnl_status_t status = dnnl_success;
    if (!dnnl_memory_desc_equal(from, to)) {
        s->packed_bytes = (dnnl_memory_desc_get_size(chosen) + 63) / 64 * 64;
        status = dnnl_reorder_primitive_desc_create(&s->reorder_pd, from, s->engine, to, s->engine, attr);
    }
    dnx_md_free(&plain);
    return status;
}

static dnnl_status_t open_descriptors(state *s, const ebb_task *task)
{
    DNX_TRY(dnnl_engine_create(&s->engine, dnnl_cpu, 0));
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = scratch_attr(&attr);
    if (status == dnnl_success)
        status = task->op == EBB_OP_matmul ? matmul_open(s->engine, task, attr, &s->pd)
                                           : conv_open(s->engine, task, attr, &s->pd);
    if (status == dnnl_success)
        status = reorder_open(s, task, attr);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return status;
}

static void close_descriptors(state *s)
{
    if (s->reorder_pd)
        dnnl_primitive_desc_destroy(s->reorder_pd);
    if (s->pd)
        dnnl_primitive_desc_destroy(s->pd);
    if (s->engine)
        dnnl_engine_destroy(s->engine);
}

/* ---- choosing ---------------------------------------------------------------------------------- */
static bool is_ours(const ebb_task *task)
{
    bool known = task->op == EBB_OP_conv || task->op == EBB_OP_conv_dx || task->op == EBB_OP_conv_dw ||
                 task->op == EBB_OP_matmul;
    return known && task->nin == 2 && task->in_type[0] == EBB_F32 && task->in_type[1] == EBB_F32 &&
           task->out_type[0] == EBB_F32;
}

/* Asks oneDNN itself; its reference loops, the answer where it has nothing better, count as no. */
static bool onednn_supports(const ebb_context *ctx, const ebb_task *task)
{
    (void)ctx;
    if (!is_ours(task))
        return false;
    state s = {.roles = roles_of(task->op)};
    int token = ebb_par_single_begin();
    bool good = open_descriptors(&s, task) == dnnl_success && !strstr(dnx_name(s.pd), "ref");
    close_descriptors(&s);
    ebb_par_single_end(token);
    return good;
}

/* ---- running ----------------------------------------------------------------------------------- */
static dnnl_status_t execute(const state *s, slot *w, void *const data[MEM_COUNT])
{
    for (int i = 0; i < MEM_COUNT; i++)
        if (w->memory[i])
            DNX_TRY(dnnl_memory_set_data_handle(w->memory[i], data[i]));
    bool first = s->roles.w == MEM_IN1;   /* weights go in; else a weight gradient comes out */
    if (s->reorder && first)
        DNX_TRY(dnnl_primitive_execute(s->reorder, w->stream, 3, w->reorder_args));
    DNX_TRY(dnnl_primitive_execute(s->primitive, w->stream, 4, w->args));
    if (s->reorder && !first)
        DNX_TRY(dnnl_primitive_execute(s->reorder, w->stream, 3, w->reorder_args));
    return dnnl_stream_wait(w->stream);
}

static void record_failure(state *s, dnnl_status_t status, const ebb_task *task, float *out)
{
    int none = dnnl_success;
    atomic_compare_exchange_strong(&s->failed, &none, (int)status);
    int64_t n = ebb_shape_count(task->out_shape[0]);
    for (int64_t i = 0; i < n; i++)
        out[i] = NAN;
}

static void onednn_run(const ebb_executor *e, const ebb_step_args *args)
{
    state *s = e->state;
    char *scratch = args->scratch;
    /* the primitive and the reorder do not run at once: one scratchpad serves both */
    void *data[MEM_COUNT] = {
        [MEM_IN0] = (void *)(uintptr_t)args->in[0],
        [MEM_IN1] = (void *)(uintptr_t)args->in[1],
        [MEM_OUT] = args->out[0],
        [MEM_PACKED] = scratch,
        [MEM_SCRATCH] = scratch + s->packed_bytes,
        [MEM_REORDER_SCRATCH] = scratch + s->packed_bytes,
    };
    int token = ebb_par_single_begin();
    dnnl_status_t status = execute(s, &s->slots[args->worker], data);
    ebb_par_single_end(token);
    if (status != dnnl_success)
        record_failure(s, status, &e->task, args->out[0]);
}

/* ---- preparing --------------------------------------------------------------------------------- */
static dnnl_status_t memory_of(const state *s, dnnl_memory_t *memory, const_dnnl_primitive_desc_t pd, int arg)
{
    dnx_cmd md = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, arg);
    return md ? dnnl_memory_create(memory, md, s->engine, DNNL_MEMORY_NONE) : dnnl_unimplemented;
}

static dnnl_status_t open_slot(const state *s, slot *w)
{
    const roles *r = &s->roles;
    dnnl_memory_t *m = w->memory;
    bool first = r->w == MEM_IN1;
    DNX_TRY(dnnl_stream_create(&w->stream, s->engine, dnnl_stream_default_flags));
    for (int i = 0; i < 3; i++)
        if (i != r->w || !s->reorder)
            DNX_TRY(memory_of(s, &m[i], s->pd, r->arg[i]));
    DNX_TRY(memory_of(s, &m[MEM_SCRATCH], s->pd, DNNL_ARG_SCRATCHPAD));
    if (s->reorder) {
        DNX_TRY(memory_of(s, &m[MEM_PACKED], s->pd, r->arg[r->w]));
        DNX_TRY(memory_of(s, &m[r->w], s->reorder_pd, first ? DNNL_ARG_FROM : DNNL_ARG_TO));
        DNX_TRY(memory_of(s, &m[MEM_REORDER_SCRATCH], s->reorder_pd, DNNL_ARG_SCRATCHPAD));
    }
    for (int i = 0; i < 3; i++)
        w->args[i] = (dnnl_exec_arg_t){r->arg[i], i == r->w && s->reorder ? m[MEM_PACKED] : m[i]};
    w->args[3] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, m[MEM_SCRATCH]};
    w->reorder_args[0] = (dnnl_exec_arg_t){DNNL_ARG_FROM, first ? m[r->w] : m[MEM_PACKED]};
    w->reorder_args[1] = (dnnl_exec_arg_t){DNNL_ARG_TO, first ? m[MEM_PACKED] : m[r->w]};
    w->reorder_args[2] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, m[MEM_REORDER_SCRATCH]};
    return dnnl_success;
}

static void close_slot(slot *w)
{
    for (int i = 0; i < MEM_COUNT; i++)
        if (w->memory[i])
            dnnl_memory_destroy(w->memory[i]);
    if (w->stream)
        dnnl_stream_destroy(w->stream);
}

static dnnl_status_t open_state(state *s, const ebb_task *task)
{
    DNX_TRY(open_descriptors(s, task));
    DNX_TRY(dnnl_primitive_create(&s->primitive, s->pd));
    if (s->reorder_pd)
        DNX_TRY(dnnl_primitive_create(&s->reorder, s->reorder_pd));
    for (int i = 0; i < s->workers; i++)
        DNX_TRY(open_slot(s, &s->slots[i]));
    return dnnl_success;
}

static void onednn_release(ebb_executor *e)
{
    state *s = e->state;
    if (!s)
        return;
    for (int i = 0; i < s->workers; i++)
        close_slot(&s->slots[i]);
    if (s->reorder)
        dnnl_primitive_destroy(s->reorder);
    if (s->primitive)
        dnnl_primitive_destroy(s->primitive);
    close_descriptors(s);
    ebb_free(s);
    e->state = NULL;
}

static ebb_status onednn_prepare(ebb_context *ctx, ebb_executor *e, int workers)
{
    void *memory;
    EBB_TRY(ebb_alloc(ctx, &memory, 1, sizeof(state) + (size_t)workers * sizeof(slot), "a oneDNN step"));
    state *s = e->state = memory;
    s->roles = roles_of(e->task.op);
    s->workers = workers;
    int token = ebb_par_single_begin();
    dnnl_status_t status = open_state(s, &e->task);
    ebb_par_single_end(token);
    if (status != dnnl_success) {
        onednn_release(e);
        return ebb_fail(ctx, status == dnnl_out_of_memory ? EBB_E_MEMORY : EBB_E_UNSUPPORTED,
                        "oneDNN cannot prepare this %s (its status %d); EBB_BACKEND=own does without it",
                        ebb_op_name(e->task.op), (int)status);
    }
    size_t own = dnx_scratch_bytes(s->pd), reorder = s->reorder ? dnx_scratch_bytes(s->reorder_pd) : 0;
    e->scratch_bytes = s->packed_bytes + (own > reorder ? own : reorder);
    e->implementation = dnx_name(s->pd);
    e->run = onednn_run;
    return EBB_OK;
}

static ebb_status onednn_check(ebb_context *ctx, const ebb_executor *e)
{
    state *s = e->state;
    int status = atomic_load(&s->failed);
    if (status == dnnl_success)
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_INTERNAL,
                    "oneDNN failed while running %s (%s, its status %d); EBB_BACKEND=own does without it",
                    ebb_op_name(e->task.op), e->implementation, status);
}

const ebb_backend ebb_backend_onednn = {
    .name = "onednn",
    .supports = onednn_supports,
    .prepare = onednn_prepare,
    .release = onednn_release,
    .check = onednn_check,
};
