/* cpu_model.c: a machine that has tile registers if it has AVX-512 with bfloat16: those of tile_model.c. */
#include "instances.h"

/* cpu_x86.c's answer, which the build renames. */
unsigned ebb_machine_isas(void);

unsigned ebb_cpu_isas(void)
{
    const unsigned amx = 1u << EBB_ISA_AMX;
    unsigned isas = ebb_machine_isas();
    return isas & 1u << EBB_ISA_AVX512BF16 ? isas | amx : isas & ~amx;
}
