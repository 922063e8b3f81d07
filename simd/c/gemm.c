/* gemm.c: the specification of the matrix product.
 *
 * One fma chain per element over ascending k, then bias, then residual: an order that tiles, blocks
 * of k (the chain resumes from the stored f32) and vector lanes over j all keep.
 */
#include <math.h>

#include "simd.h"

void ebb_gemm_f32_c(const ebb_gemm_args *g)
{
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < g->n; j++) {
            float sum = g->accumulate ? g->c[i * g->ldc + j] : 0.0f;
            for (size_t k = 0; k < g->k; k++)
                sum = fmaf(g->a[i * g->ars + k * g->acs], g->b[k * g->ldb + j], sum);
            if (g->bias)
                sum += g->bias[j];
            if (g->residual)
                sum += g->residual[i * g->ldc + j];
            g->c[i * g->ldc + j] = sum;
        }
    }
}
