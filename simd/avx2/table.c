/* table.c: avx2 has every kernel. A row that were missing here would fall back (dispatch.c). */
#include "instances.h"

const ebb_kernels ebb_kernels_avx2 = {
#define KERNEL(name, class, exact) .name = ebb_##name##_avx2,
#include "kernels.def"
#undef KERNEL
};
