/* instances.h: declares ebb_<kernel>_<isa> for every row of kernels.def and every ISA, and the table of
 * the rows each ISA really has. A row that an ISA lacks stays NULL and falls back (dispatch.c).
 */
#ifndef EBB_INSTANCES_H
#define EBB_INSTANCES_H

#include "simd.h"

#define KERNEL(name, class, exact)                           \
    extern __typeof__(*(EBB_FN_##class)0) ebb_##name##_c;          \
    extern __typeof__(*(EBB_FN_##class)0) ebb_##name##_neon;       \
    extern __typeof__(*(EBB_FN_##class)0) ebb_##name##_neonbf16;   \
    extern __typeof__(*(EBB_FN_##class)0) ebb_##name##_avx2;       \
    extern __typeof__(*(EBB_FN_##class)0) ebb_##name##_avx512;     \
    extern __typeof__(*(EBB_FN_##class)0) ebb_##name##_avx512bf16; \
    extern __typeof__(*(EBB_FN_##class)0) ebb_##name##_amx;
#include "kernels.def"
#undef KERNEL

extern const ebb_kernels ebb_kernels_c, ebb_kernels_neon, ebb_kernels_neonbf16, ebb_kernels_avx2, ebb_kernels_avx512,
    ebb_kernels_avx512bf16, ebb_kernels_amx;

/* The name of this translation unit's instance of a kernel; a vec_*.h sets EBB_ISA_TAG. */
#define EBB_INSTANCE_(name, isa) ebb_##name##_##isa
#define EBB_INSTANCE_2(name, isa) EBB_INSTANCE_(name, isa)
#define EBB_INSTANCE(name) EBB_INSTANCE_2(name, EBB_ISA_TAG)

/* What the machine and its operating system offer (cpu_x86.c, cpu_arm.c): bit 1 << ebb_isa. */
unsigned ebb_cpu_isas(void);

#endif
