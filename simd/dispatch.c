/* dispatch.c: which kernel table an ISA gets.
 *
 * A table is the specification's (simd/c) overlaid with the instances of each older ISA and then its own:
 * c <- avx2 <- avx512 <- amx, c <- neon. A kernel that an ISA lacks is the best older one.
 */
#include <string.h>

#include "instances.h"

static const char *const isa_names[EBB_ISA_COUNT] = {"c", "neon", "avx2", "avx512", "amx"};

static ebb_kernels tables[EBB_ISA_COUNT];
static unsigned available;

static void overlay(ebb_kernels *table, const ebb_kernels *over)
{
#define KERNEL(name, class, exact) \
    if (over->name)                \
        table->name = over->name;
#include "kernels.def"
#undef KERNEL
}

/* Runs before main: nothing to lock afterwards. */
__attribute__((constructor)) static void build_tables(void)
{
    available = ebb_cpu_isas() | 1u << EBB_ISA_C;
    for (int i = 0; i < EBB_ISA_COUNT; i++)
        tables[i] = ebb_kernels_c;
#if defined(__x86_64__)
    overlay(&tables[EBB_ISA_AVX2], &ebb_kernels_avx2);
    tables[EBB_ISA_AVX512] = tables[EBB_ISA_AVX2];
    overlay(&tables[EBB_ISA_AVX512], &ebb_kernels_avx512);
    tables[EBB_ISA_AMX] = tables[EBB_ISA_AVX512];
#elif defined(__aarch64__)
    overlay(&tables[EBB_ISA_NEON], &ebb_kernels_neon);
#else
    available = 1u << EBB_ISA_C;
    (void)overlay;
#endif
}

const char *ebb_isa_name(ebb_isa isa)
{
    return (unsigned)isa < EBB_ISA_COUNT ? isa_names[isa] : "?";
}

int ebb_isa_from_name(const char *name)
{
    for (int i = 0; i < EBB_ISA_COUNT; i++)
        if (strcmp(name, isa_names[i]) == 0)
            return i;
    return -1;
}

bool ebb_isa_available(ebb_isa isa)
{
    return (unsigned)isa < EBB_ISA_COUNT && (available >> isa & 1);
}

ebb_isa ebb_isa_best(void)
{
    int best = EBB_ISA_COUNT - 1;
    while (!ebb_isa_available((ebb_isa)best))
        best--;
    return (ebb_isa)best;
}

const ebb_kernels *ebb_kernels_get(ebb_isa isa)
{
    return ebb_isa_available(isa) ? &tables[isa] : &tables[EBB_ISA_C];
}
