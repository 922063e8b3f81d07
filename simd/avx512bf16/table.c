/* table.c: the kernels that the dot product of bfloat16 pairs (vdpbf16ps) makes faster; the others are
 * AVX-512's. */
#include "instances.h"

const ebb_kernels ebb_kernels_avx512bf16 = {
    .gemm_bf16 = ebb_gemm_bf16_avx512bf16,
    .conv_bf16 = ebb_conv_bf16_avx512bf16,
    .conv_dx_bf16 = ebb_conv_dx_bf16_avx512bf16,
    .conv_dw_bf16 = ebb_conv_dw_bf16_avx512bf16,
    .attention_bf16 = ebb_attention_bf16_avx512bf16,
    .attention_vjp_bf16 = ebb_attention_vjp_bf16_avx512bf16,
};
