/* table.c: the kernels that run on tiles (AMX); the others are AVX-512's. */
#include "instances.h"

const ebb_kernels ebb_kernels_amx = {
    .gemm_bf16 = ebb_gemm_bf16_amx,
};
