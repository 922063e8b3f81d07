/* own_matmul.c: batched matrix products on the gemm kernel, which wants B's rows contiguous: b^T is
 * transposed into scratch first. */
#include "backend/own.h"

typedef struct product {
    size_t batch, m, n, k;
} product;

static product dimensions(const ebb_task *t)
{
    const ebb_shape *a = &t->in_shape[0], *c = &t->out_shape[0];
    int r = c->rank;
    product p = {.m = (size_t)c->dim[r - 2], .n = (size_t)c->dim[r - 1], .k = (size_t)a->dim[t->attr.ta ? r - 2 : r - 1]};
    p.batch = (size_t)ebb_shape_count(*c) / (p.m * p.n);
    return p;
}

size_t ebb_own_matmul_scratch(const ebb_task *t)
{
    product p = dimensions(t);
    return t->attr.tb ? p.n * p.k * sizeof(float) : 0;
}

void ebb_own_matmul(const ebb_executor *e, const ebb_step_args *args)
{
    const ebb_task *t = &e->task;
    product p = dimensions(t);
    int next = 2, has = t->op == EBB_OP_linear ? t->attr.index : 0;
    const float *bias = has & EBB_HAS_BIAS ? args->in[next++] : NULL;
    const float *residual = has & EBB_HAS_RESIDUAL ? args->in[next] : NULL;

    for (size_t i = 0; i < p.batch; i++) {
        const float *b = (const float *)args->in[1] + i * p.n * p.k;
        ebb_gemm_args g = {.m = p.m, .n = p.n, .k = p.k, .a = (const float *)args->in[0] + i * p.m * p.k,
                           .ars = t->attr.ta ? 1 : p.k, .acs = t->attr.ta ? p.m : 1, .b = b, .ldb = p.n,
                           .c = (float *)args->out[0] + i * p.m * p.n, .ldc = p.n, .bias = bias,
                           .residual = residual ? residual + i * p.m * p.n : NULL};
        if (t->attr.tb) {
            e->kernels->transpose_f32(p.n, p.k, args->scratch, p.n, b, p.k);
            g.b = args->scratch;
        }
        e->kernels->gemm_f32(&g);
    }
}
