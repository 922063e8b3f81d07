/* table.c: the kernels that simd/c has. A row that is missing falls back to an older ISA. */
#include "instances.h"

#define HAVE(name) .name = ebb_##name##_c

const ebb_kernels ebb_kernels_c = {
    .recip_f32 = NULL,
};
