/* own_matmul.c: batched matrix products on the gemm kernel, which wants B's rows contiguous: b^T is
 * transposed into scratch first. */
#include "backend/own.h"

enum { ROWS = 12 };              /* of a register tile */

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

/* Rows and columns of one product; those of a batch, or with b^T, stay whole. */
void ebb_own_matmul_cut(ebb_executor *e)
{
    product p = dimensions(&e->task);
    double k = (double)p.k;
    if (p.batch == 1 && !e->task.attr.tb)
        ebb_own_cut_grid(e, &(ebb_own_grid){.rows = (int64_t)((p.m + ROWS - 1) / ROWS),
                                            .columns = (int64_t)((p.n + EBB_PANEL - 1) / EBB_PANEL),
                                            .each = k * (double)(p.m < ROWS ? p.m : ROWS), .column = k});
}

static void run_part(const ebb_executor *e, const ebb_step_args *a, ebb_gemm_args g)
{
    ebb_span rows = ebb_own_span((int64_t)g.m, ROWS, a->part / e->across, e->parts / e->across);
    ebb_span columns = ebb_own_span((int64_t)g.n, EBB_PANEL, a->part % e->across, e->across);
    size_t at = (size_t)rows.begin * g.ldc + (size_t)columns.begin;
    g.m = (size_t)(rows.end - rows.begin);
    g.n = (size_t)(columns.end - columns.begin);
    g.a += (size_t)rows.begin * g.ars;
    g.b += columns.begin;
    g.c += at;
    g.bias = g.bias ? g.bias + columns.begin : NULL;
    g.residual = g.residual ? g.residual + at : NULL;
    if (g.m > 0 && g.n > 0)
        e->kernels->gemm_f32(&g);
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
        run_part(e, args, g);
    }
}
