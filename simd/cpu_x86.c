/* cpu_x86.c: what this x86-64 processor and its operating system offer.
 *
 * CPUID says what the processor has; XCR0 says which registers the operating system saves. An
 * instruction set counts only with both (Intel SDM vol. 1, 13.3 and 14.3, 15.2).
 */
#if defined(__x86_64__)
#include <cpuid.h>

#include "instances.h"

enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xE6, XCR0_AMX = 0x60000 };

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool has_bits(uint64_t word, uint64_t bits)
{
    return (word & bits) == bits;
}

/* Linux gives the tile registers to processes that ask for them (arch_prctl, ARCH_REQ_XCOMP_PERM). */
static bool tiles_permitted(void)
{
#if defined(__linux__)
    const long arch_prctl = 158, request = 0x1023, tile_data = 18;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(arch_prctl), "D"(request), "S"(tile_data) : "rcx", "r11", "memory");
    return result == 0;
#else
    return false;
#endif
}

unsigned ebb_cpu_isas(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_bits(c, bit_OSXSAVE | bit_FMA | bit_F16C))
        return 0;
    uint64_t xcr0 = read_xcr0();
    if (!has_bits(xcr0, XCR0_AVX) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has_bits(b, bit_AVX2))
        return 0;
    unsigned isas = 1u << EBB_ISA_AVX2;
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if (!has_bits(xcr0, XCR0_AVX512) || !has_bits(b, avx512))
        return isas;
    isas |= 1u << EBB_ISA_AVX512;
    const unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;  /* of EDX of leaf 7, 0 */
    bool amx = has_bits(xcr0, XCR0_AMX) && has_bits(d, amx_bf16 | amx_tile);
    const unsigned avx512_bf16 = 1u << 5;                      /* of EAX of leaf 7, 1 */
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !has_bits(a, avx512_bf16))
        return isas;
    isas |= 1u << EBB_ISA_AVX512BF16;
    return isas | (amx && tiles_permitted() ? 1u << EBB_ISA_AMX : 0);
}
#else
typedef int ebb_cpu_x86_unused;
#endif
