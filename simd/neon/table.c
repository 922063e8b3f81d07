/* table.c: neon has every kernel. A row that were missing here would fall back (dispatch.c). */
#include "instances.h"

const ebb_kernels ebb_kernels_neon = {
#define KERNEL(name, class, exact) .name = ebb_##name##_neon,
#include "kernels.def"
#undef KERNEL
};
