/* gemm_bf16.c: the specification of the matrix product of bfloat16: widen, one fma chain in f32 over ascending
 * k, bias, residual, and one rounding at the end. */
#include <math.h>

#include "bf16.h"
#include "scalar.h"

void ebb_gemm_bf16_c(const ebb_gemm_bf16_args *g, void *scratch)
{
    (void)scratch;
    size_t panel = bf16_pairs(g->k) * EBB_PANEL * 2;
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < g->n; j++) {
            const ebb_bf16 *b = g->b + j / EBB_PANEL * panel;
            float sum = 0.0f;
            for (size_t k = 0; k < g->k; k++)
                sum = fmaf(widen_scalar(g->a[i * g->lda + k]), widen_scalar(b[bf16_at(k, j % EBB_PANEL)]), sum);
            if (g->bias)
                sum += g->bias[j];
            if (g->residual)
                sum += widen_scalar(g->residual[i * g->ldc + j]);
            if (g->c_f32)
                ((float *)g->c)[i * g->ldc + j] = sum;
            else
                ((ebb_bf16 *)g->c)[i * g->ldc + j] = narrow_scalar(sum);
        }
    }
}
