/* table.c: the kernels that simd/avx2 has. A row that is missing falls back to an older ISA. */
#include "instances.h"

#define HAVE(name) .name = ebb_##name##_avx2

const ebb_kernels ebb_kernels_avx2 = {
    HAVE(gemm_f32), HAVE(conv_f32), HAVE(conv_dx_f32), HAVE(conv_dw_f32),
};
