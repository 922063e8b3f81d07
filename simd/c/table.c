/* table.c: the kernels that simd/c has. A row that is missing falls back to an older ISA. */
#include "instances.h"

#define HAVE(name) .name = ebb_##name##_c

const ebb_kernels ebb_kernels_c = {
    HAVE(gemm_f32), HAVE(conv_f32), HAVE(conv_dx_f32), HAVE(conv_dw_f32),
};
