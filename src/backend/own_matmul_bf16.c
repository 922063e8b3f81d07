/* own_matmul_bf16.c: layers on rows of bfloat16, y = x w + bias + residual, and the gradient x^T dy of their weights.
 *
 * Both are convolutions of one tap: w (K,N) is packed as such a convolution's weights (the adjoint's for x w^T), and
 * x^T dy is the gradient of its weights, the rows being pixels of one long picture.
 */
#include "backend/own.h"

static ebb_conv_shape weights(const ebb_shape *w)
{
    return (ebb_conv_shape){.kh = 1, .kw = 1, .ci = (int)w->dim[w->rank - 2], .co = (int)w->dim[w->rank - 1]};
}

static ebb_conv_shape pixels(const ebb_task *t)
{
    int rows = (int)t->in_shape[0].dim[0];
    return (ebb_conv_shape){.n = 1, .h = 1, .w = rows, .ci = (int)t->in_shape[0].dim[1], .oh = 1, .ow = rows,
                            .co = (int)t->in_shape[1].dim[1], .kh = 1, .kw = 1, .stride = 1};
}

static size_t pack_bytes(const ebb_task *t)
{
    ebb_conv_shape s = weights(&t->in_shape[1]);
    size_t numbers = t->attr.tb ? ebb_conv_pack_dx_bf16_size(&s) : ebb_conv_pack_bf16_size(&s);
    return (numbers * sizeof(ebb_bf16) + 63) / 64 * 64;
}

static ebb_gemm_bf16_args product(const ebb_task *t, const ebb_step_args *a, const ebb_bf16 *packed)
{
    size_t m = (size_t)t->out_shape[0].dim[0], n = (size_t)t->out_shape[0].dim[1], k = (size_t)t->in_shape[0].dim[1];
    return (ebb_gemm_bf16_args){.m = m, .n = n, .k = k, .a = a->in[0], .lda = k, .b = packed, .c = a->out[0], .ldc = n};
}

size_t ebb_own_linear_bf16_scratch(const ebb_task *t)
{
    ebb_gemm_bf16_args g = product(t, &(ebb_step_args){0}, NULL);
    return ebb_gemm_scratch_bf16(g.m, g.n, g.k);
}

enum { ROWS = 12 };              /* of a register tile */

void ebb_own_linear_bf16_cut(ebb_executor *e)
{
    ebb_gemm_bf16_args g = product(&e->task, &(ebb_step_args){0}, NULL);
    double k = (double)g.k;
    ebb_own_cut_grid(e, &(ebb_own_grid){.rows = (int64_t)((g.m + ROWS - 1) / ROWS),
                                        .columns = (int64_t)((g.n + EBB_PANEL - 1) / EBB_PANEL),
                                        .each = k / 2 * (double)(g.m < ROWS ? g.m : ROWS), .column = k / 2});
}

void ebb_own_linear_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    int next = 2, has = e->task.attr.index;
    ebb_gemm_bf16_args g = product(&e->task, a, a->in[1]);
    const float *bias = has & EBB_HAS_BIAS ? a->in[next++] : NULL;
    const ebb_bf16 *residual = has & EBB_HAS_RESIDUAL ? a->in[next] : NULL;
    ebb_span rows = ebb_own_span((int64_t)g.m, ROWS, a->part / e->across, e->parts / e->across);
    ebb_span columns = ebb_own_span((int64_t)g.n, EBB_PANEL, a->part % e->across, e->across);
    size_t at = (size_t)rows.begin * g.ldc + (size_t)columns.begin;
    g.m = (size_t)(rows.end - rows.begin);
    g.n = (size_t)(columns.end - columns.begin);
    g.a += (size_t)rows.begin * g.lda;
    g.b += (size_t)columns.begin / EBB_PANEL * ebb_gemm_pack_bf16_size(g.k, EBB_PANEL);
    g.c = (ebb_bf16 *)a->out[0] + at;
    g.bias = bias ? bias + columns.begin : NULL;
    g.residual = residual ? residual + at : NULL;
    if (g.m > 0 && g.n > 0)
        e->kernels->gemm_bf16(&g, a->scratch);
}

/* A plain matmul packs its weights first; with a^T it is the gradient. */
size_t ebb_own_matmul_bf16_scratch(const ebb_task *t)
{
    ebb_conv_shape s = pixels(t);
    return t->attr.ta ? ebb_conv_scratch_bf16(&s) : pack_bytes(t) + ebb_own_linear_bf16_scratch(t);
}

void ebb_own_matmul_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_task *t = &e->task;
    ebb_conv_shape s = t->attr.ta ? pixels(t) : weights(&t->in_shape[1]);
    if (t->attr.ta) {
        e->kernels->conv_dw_bf16(&s, a->out[0], a->in[0], a->in[1], false, a->scratch);
        return;
    }
    (t->attr.tb ? ebb_conv_pack_dx_bf16 : ebb_conv_pack_bf16)(&s, a->scratch, a->in[1]);
    ebb_gemm_bf16_args g = product(t, a, a->scratch);
    e->kernels->gemm_bf16(&g, (char *)a->scratch + pack_bytes(t));
}
