/* table.c: avx512 has every kernel. A row that were missing here would fall back (dispatch.c). */
#include "instances.h"

const ebb_kernels ebb_kernels_avx512 = {
#define KERNEL(name, class, exact) .name = ebb_##name##_avx512,
#include "kernels.def"
#undef KERNEL
};
