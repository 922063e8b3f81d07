/* dnn.c: a chain of oneDNN primitives, each with memory of its own, filled with random numbers. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "backend/dnx.h"
#include "dnn.h"

enum { PRIMITIVES = 6, TENSORS = 12 + PRIMITIVES };   /* and a scratchpad each */

typedef struct step {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[4];
    int nargs;
} step;

struct dnn {
    dnnl_engine_t engine;
    dnnl_primitive_attr_t attr;   /* scratchpads of their own: the library's would be shared by the threads */
    dnnl_stream_t stream;
    dnnl_memory_t memory[TENSORS];
    int memories;
    step steps[PRIMITIVES];
    int count;
};

/* Numbers of about 1, written as the type asks; integers of neither type do not occur. */
static dnnl_status_t fill(dnnl_memory_t memory, size_t bytes, bool bf16)
{
    void *data;
    DNX_TRY(dnnl_memory_get_data_handle(memory, &data));
    void *numbers = bench_numbers(bf16 ? bytes / 2 : bytes / 4, bf16, 7);
    memcpy(data, numbers, bf16 ? bytes / 2 * 2 : bytes / 4 * 4);
    bench_free(numbers);
    return dnnl_success;
}

/* A tensor of that layout with random numbers. */
static dnnl_status_t tensor(dnn *d, dnx_cmd md, bool bf16, dnnl_memory_t *out)
{
    DNX_TRY(dnnl_memory_create(out, md, d->engine, DNNL_MEMORY_ALLOCATE));
    d->memory[d->memories++] = *out;
    return fill(*out, dnnl_memory_desc_get_size(md), bf16);
}

static dnnl_status_t add_step(dnn *d, dnnl_primitive_desc_t pd, const dnnl_exec_arg_t *args, int nargs)
{
    step *s = &d->steps[d->count++];
    s->pd = pd;
    s->nargs = nargs + 1;
    memcpy(s->args, args, (size_t)nargs * sizeof *args);
    s->args[nargs].arg = DNNL_ARG_SCRATCHPAD;
    DNX_TRY(dnnl_memory_create(&s->args[nargs].memory, dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0), d->engine,
                           DNNL_MEMORY_ALLOCATE));
    d->memory[d->memories++] = s->args[nargs].memory;
    return dnnl_primitive_create(&s->primitive, pd);
}

static dnn *open_chain(dnnl_status_t (*build)(dnn *d, const void *what), const void *what, int threads)
{
    dnn *d = bench_room(sizeof *d);
    omp_set_num_threads(threads);
    dnnl_status_t status = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&d->attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(d->attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = build(d, what);
    if (status == dnnl_success)
        return d;
    dnn_free(d);
    return NULL;
}

void dnn_run(dnn *d)
{
    for (int i = 0; i < d->count; i++) {
        const step *s = &d->steps[i];
        if (dnnl_primitive_execute(s->primitive, d->stream, s->nargs, s->args) != dnnl_success)
            abort();   /* it has run before: memory is lost */
    }
    dnnl_stream_wait(d->stream);
}

const char *dnn_name(const dnn *d)
{
    return dnx_name(d->steps[0].pd);
}

void dnn_free(dnn *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->count; i++) {
        if (d->steps[i].primitive)
            dnnl_primitive_destroy(d->steps[i].primitive);
        dnnl_primitive_desc_destroy(d->steps[i].pd);
    }
    for (int i = 0; i < d->memories; i++)
        dnnl_memory_destroy(d->memory[i]);
    if (d->attr)
        dnnl_primitive_attr_destroy(d->attr);
    if (d->stream)
        dnnl_stream_destroy(d->stream);
    if (d->engine)
        dnnl_engine_destroy(d->engine);
    bench_free(d);
}

/* ---- convolution ------------------------------------------------------------------------------ */
typedef struct conv {
    const ebb_conv_shape *s;
    dnn_pass pass;
    bool bf16;
    dnn_way way;
} conv;

/* md: x, w, y, and the weights of the forward pass, which an adjoint refers to. */
static dnnl_status_t conv_pd(dnn *d, const conv *c, const dnx_md md[4], dnnl_primitive_desc_t *pd)
{
    const ebb_conv_shape *s = c->s;
    const dnnl_dims_t dense = {0, 0}, strides = {s->stride, s->stride}, left = {s->pad_top, s->pad_left};
    const dnnl_dims_t right = {(s->oh - 1) * s->stride + s->kh - s->h - s->pad_top,
                               (s->ow - 1) * s->stride + s->kw - s->w - s->pad_left};
    const dnnl_alg_kind_t alg = c->way == DNN_ANY_AUTO ? dnnl_convolution_auto : dnnl_convolution_direct;
    dnx_cmd x = dnx_ref(&md[0]), w = dnx_ref(&md[1]), y = dnx_ref(&md[2]);
    dnnl_primitive_desc_t forward = NULL;
    DNX_TRY(dnx_conv(&forward, d->engine, dnnl_forward_training, alg, x, dnx_ref(&md[3]), NULL, y, strides, dense, left,
                 right, d->attr));
    if (c->pass == DNN_FORWARD) {
        *pd = forward;
        return dnnl_success;
    }
    dnnl_status_t status = c->pass == DNN_DX
        ? dnx_conv_dx(pd, d->engine, alg, x, w, y, strides, dense, left, right, forward, d->attr)
        : dnx_conv_dw(pd, d->engine, alg, x, w, NULL, y, strides, dense, left, right, forward, d->attr);
    dnnl_primitive_desc_destroy(forward);
    return status;
}

/* What the primitive calls x, w and y. */
static const int arguments[3][3] = {
    [DNN_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
    [DNN_DX] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
    [DNN_DW] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
};

static dnnl_status_t conv_chain(dnn *d, const void *what)
{
    const conv *c = what;
    const ebb_conv_shape *s = c->s;
    const dnnl_dims_t x = {s->n, s->ci, s->h, s->w}, w = {s->co, s->ci, s->kh, s->kw}, y = {s->n, s->co, s->oh, s->ow};
    const dnnl_format_tag_t picture = c->way == DNN_NHWC ? dnnl_nhwc : dnnl_format_tag_any;
    const dnnl_data_type_t type = c->bf16 ? dnnl_bf16 : dnnl_f32;
    const bool w_bf16 = c->bf16 && c->pass != DNN_DW;
    dnx_md md[4] = {0};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_exec_arg_t args[3];
    dnnl_status_t status = dnx_md_tag(&md[0], 4, x, type, picture);
    if (status == dnnl_success)
        status = dnx_md_tag(&md[1], 4, w, w_bf16 ? dnnl_bf16 : dnnl_f32, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = dnx_md_tag(&md[2], 4, y, type, picture);
    if (status == dnnl_success)
        status = dnx_md_tag(&md[3], 4, w, type, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = conv_pd(d, c, md, &pd);
    for (int i = 0; i < 4; i++)
        dnx_md_free(&md[i]);
    if (status == dnnl_success && strstr(dnx_name(pd), "ref")) {
        dnnl_primitive_desc_destroy(pd);
        status = dnnl_unimplemented;
    }
    DNX_TRY(status);
    for (int i = 0; i < 3 && status == dnnl_success; i++) {
        args[i].arg = arguments[c->pass][i];
        status = tensor(d, dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, args[i].arg),
                        i == 1 ? w_bf16 : c->bf16, &args[i].memory);
    }
    dnnl_status_t added = add_step(d, pd, args, 3);
    return status == dnnl_success ? added : status;
}

dnn *dnn_conv_open(const ebb_conv_shape *s, dnn_pass pass, bool bf16, dnn_way way, int threads)
{
    return open_chain(conv_chain, &(conv){s, pass, bf16, way}, threads);
}

/* ---- attention -------------------------------------------------------------------------------- */
typedef struct attention {
    int heads, tokens, d;
    bool adjoint, bf16;
} attention;

/* (heads, rows, columns), or with the last two swapped in memory. */
static dnnl_status_t matrices(dnx_md *md, const attention *a, int rows, int columns, bool swapped)
{
    const dnnl_dims_t dims = {a->heads, rows, columns};
    return dnx_md_tag(md, 3, dims, a->bf16 ? dnnl_bf16 : dnnl_f32, swapped ? dnnl_acb : dnnl_abc);
}

static dnnl_status_t new_matrices(dnn *d, const attention *a, int rows, int columns, dnnl_memory_t *out)
{
    dnx_md md = {0};
    DNX_TRY(matrices(&md, a, rows, columns, false));
    dnnl_status_t status = tensor(d, dnx_ref(&md), a->bf16, out);
    dnx_md_free(&md);
    return status;
}

/* c (m, n) = a (m, k) b (k, n); ta, tb: the factor lies in memory as its transpose. */
static dnnl_status_t product(dnn *d, const attention *at, int m, int n, int k, dnnl_memory_t a, bool ta,
                             dnnl_memory_t b, bool tb, dnnl_memory_t c)
{
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}};
    dnx_md md[3] = {0};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = matrices(&md[0], at, m, k, ta);
    if (status == dnnl_success)
        status = matrices(&md[1], at, k, n, tb);
    if (status == dnnl_success)
        status = matrices(&md[2], at, m, n, false);
    if (status == dnnl_success)
        status = dnx_matmul(&pd, d->engine, dnx_ref(&md[0]), dnx_ref(&md[1]), NULL, dnx_ref(&md[2]), d->attr);
    for (int i = 0; i < 3; i++)
        dnx_md_free(&md[i]);
    return status == dnnl_success ? add_step(d, pd, args, 3) : status;
}

static dnnl_status_t softmax_pd(dnn *d, dnx_cmd md, dnnl_primitive_desc_t *forward)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_softmax_forward_primitive_desc_create(forward, d->engine, dnnl_forward_training,
                                                      dnnl_softmax_accurate, md, md, 2, d->attr);
#else
    dnnl_softmax_v2_desc_t desc;
    DNX_TRY(dnnl_softmax_v2_forward_desc_init(&desc, dnnl_forward_training, dnnl_softmax_accurate, md, md, 2));
    return dnnl_primitive_desc_create(forward, &desc, d->attr, d->engine, NULL);
#endif
}

static dnnl_status_t softmax_adjoint_pd(dnn *d, dnx_cmd md, dnnl_primitive_desc_t forward, dnnl_primitive_desc_t *pd)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_softmax_backward_primitive_desc_create(pd, d->engine, dnnl_softmax_accurate, md, md, md, 2, forward,
                                                       d->attr);
#else
    dnnl_softmax_v2_desc_t desc;
    DNX_TRY(dnnl_softmax_v2_backward_desc_init(&desc, dnnl_softmax_accurate, md, md, md, 2));
    return dnnl_primitive_desc_create(pd, &desc, d->attr, d->engine, forward);
#endif
}

/* p = softmax(s), or with dp: ds = its adjoint. */
static dnnl_status_t softmax(dnn *d, const attention *a, dnnl_memory_t s, dnnl_memory_t p, dnnl_memory_t dp)
{
    const dnnl_exec_arg_t forward_args[] = {{DNNL_ARG_SRC, s}, {DNNL_ARG_DST, p}};
    const dnnl_exec_arg_t adjoint_args[] = {{DNNL_ARG_DIFF_SRC, s}, {DNNL_ARG_DST, p}, {DNNL_ARG_DIFF_DST, dp}};
    dnx_md md = {0};
    dnnl_primitive_desc_t forward = NULL, pd = NULL;
    DNX_TRY(matrices(&md, a, a->tokens, a->tokens, false));
    dnnl_status_t status = softmax_pd(d, dnx_ref(&md), &forward);
    if (status == dnnl_success && dp) {
        status = softmax_adjoint_pd(d, dnx_ref(&md), forward, &pd);
        dnnl_primitive_desc_destroy(forward);
    }
    dnx_md_free(&md);
    if (status != dnnl_success)
        return status;
    return dp ? add_step(d, pd, adjoint_args, 3) : add_step(d, forward, forward_args, 2);
}

static dnnl_status_t attention_chain(dnn *d, const void *what)
{
    const attention *a = what;
    const int n = a->tokens;
    dnnl_memory_t q, k, v, o, s, p, dp, dq, dk, dv;
    dnnl_memory_t *const pictures[] = {&q, &k, &v, &o, &dq, &dk, &dv}, *const squares[] = {&s, &p, &dp};
    for (int i = 0; i < (a->adjoint ? 7 : 4); i++)
        DNX_TRY(new_matrices(d, a, n, a->d, pictures[i]));
    for (int i = 0; i < (a->adjoint ? 3 : 2); i++)
        DNX_TRY(new_matrices(d, a, n, n, squares[i]));
    if (!a->adjoint) {
        DNX_TRY(product(d, a, n, n, a->d, q, false, k, true, s));
        DNX_TRY(softmax(d, a, s, p, NULL));
        return product(d, a, n, a->d, n, p, false, v, false, o);
    }
    DNX_TRY(product(d, a, n, a->d, n, p, true, o, false, dv));   /* o stands for its cotangent */
    DNX_TRY(product(d, a, n, n, a->d, o, false, v, true, dp));
    DNX_TRY(softmax(d, a, s, p, dp));                            /* s becomes ds */
    DNX_TRY(product(d, a, n, a->d, n, s, false, k, false, dq));
    return product(d, a, n, a->d, n, s, true, q, false, dk);
}

dnn *dnn_attention_open(int heads, int tokens, int d, bool adjoint, bool bf16, int threads)
{
    return open_chain(attention_chain, &(attention){heads, tokens, d, adjoint, bf16}, threads);
}
