/* table.c: the kernels that the bfloat16 instructions of ARMv8.6 make faster; the others are NEON's. */
#include "instances.h"

const ebb_kernels ebb_kernels_neonbf16 = {
    .gemm_bf16 = ebb_gemm_bf16_neonbf16,
    .conv_bf16 = ebb_conv_bf16_neonbf16,
    .conv_dx_bf16 = ebb_conv_dx_bf16_neonbf16,
    .conv_dw_bf16 = ebb_conv_dw_bf16_neonbf16,
    .attention_bf16 = ebb_attention_bf16_neonbf16,
    .attention_vjp_bf16 = ebb_attention_vjp_bf16_neonbf16,
};
