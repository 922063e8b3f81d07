/* table.c: neon has every kernel but the products of bfloat16: these fall back (dispatch.c). */
#include "instances.h"

const ebb_kernels ebb_kernels_neon = {
#define EBB_KERNELS_NO_PRODUCTS_BF16
#define KERNEL(name, class, exact) .name = ebb_##name##_neon,
#include "kernels.def"
#undef KERNEL
};
