/* table.c: the kernels that run on tiles (AMX); the others are AVX-512's. */
#include "instances.h"

const ebb_kernels ebb_kernels_amx = {
    .gemm_bf16 = ebb_gemm_bf16_amx,
    .conv_bf16 = ebb_conv_bf16_amx,
    .conv_dx_bf16 = ebb_conv_dx_bf16_amx,
    .conv_dw_bf16 = ebb_conv_dw_bf16_amx,
    /* Where there are tiles, vdpbf16ps has half of the rate of fma (Sapphire Rapids: 74 against 145 GFLOP/s). */
    .attention_bf16 = ebb_attention_bf16_avx512,
    .attention_vjp_bf16 = ebb_attention_vjp_bf16_avx512,
};
