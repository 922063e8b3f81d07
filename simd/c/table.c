/* table.c: the specification has every kernel. */
#include "instances.h"

const ebb_kernels ebb_kernels_c = {
#define KERNEL(name, class, exact) .name = ebb_##name##_c,
#include "kernels.def"
#undef KERNEL
};
