/* table.c: the kernels that the dot product of bfloat16 pairs (vdpbf16ps) makes faster; the others are
 * AVX-512's. */
#include "instances.h"

const ebb_kernels ebb_kernels_avx512bf16 = {0};
