/* dispatch.c: which kernel table an ISA gets.
 *
 * A table is the specification's (simd/c) overlaid with the instances of each older ISA and then its own:
 * c <- avx2 <- avx512 <- avx512bf16 <- amx, c <- neon <- neonbf16. A kernel that an ISA lacks is the best older one.
 */
#include <string.h>

#include "instances.h"

static const char *const isa_names[EBB_ISA_COUNT] = {"c",      "neon",       "neonbf16", "avx2",
                                                      "avx512", "avx512bf16", "amx"};

static ebb_kernels tables[EBB_ISA_COUNT];
static unsigned available;

/* The table of `older` with the rows that `over` has. */
static void overlay(ebb_isa isa, ebb_isa older, const ebb_kernels *over)
{
    ebb_kernels *table = &tables[isa];
    *table = tables[older];
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
    overlay(EBB_ISA_AVX2, EBB_ISA_C, &ebb_kernels_avx2);
    overlay(EBB_ISA_AVX512, EBB_ISA_AVX2, &ebb_kernels_avx512);
    overlay(EBB_ISA_AVX512BF16, EBB_ISA_AVX512, &ebb_kernels_avx512bf16);
    overlay(EBB_ISA_AMX, EBB_ISA_AVX512BF16, &ebb_kernels_amx);
#elif defined(__aarch64__)
    overlay(EBB_ISA_NEON, EBB_ISA_C, &ebb_kernels_neon);
    overlay(EBB_ISA_NEONBF16, EBB_ISA_NEON, &ebb_kernels_neonbf16);
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
