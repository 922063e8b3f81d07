/* table.c: avx2 has every kernel but the products of bfloat16: these fall back (dispatch.c). */
#include "instances.h"

const ebb_kernels ebb_kernels_avx2 = {
#define EBB_KERNELS_NO_PRODUCTS_BF16
#define KERNEL(name, class, exact) .name = ebb_##name##_avx2,
#include "kernels.def"
#undef KERNEL
};
