/* cpu_arm.c: what this AArch64 processor offers.
 *
 * NEON with fma is part of the base of AArch64; the operating system is asked all the same, since
 * emulators and trimmed kernels can leave it out.
 */
#if defined(__aarch64__)
#include "instances.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
/* `missing` where an older system lacks the name. */
static bool has(const char *feature, bool missing)
{
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(feature, &value, &size, NULL, 0) != 0 ? missing : value != 0;
}
static bool has_neon(void) { return has("hw.optional.AdvSIMD", true); }   /* the architecture implies it */
static bool has_bf16(void) { return has("hw.optional.arm.FEAT_BF16", false); }
#elif defined(__linux__)
#include <sys/auxv.h>
static bool has_neon(void)
{
    const unsigned long hwcap_asimd = 1ul << 1;
    return (getauxval(AT_HWCAP) & hwcap_asimd) != 0;
}
static bool has_bf16(void)
{
    const unsigned long hwcap2_bf16 = 1ul << 14;
    return (getauxval(AT_HWCAP2) & hwcap2_bf16) != 0;
}
#else
static bool has_neon(void) { return true; }
static bool has_bf16(void) { return false; }
#endif

unsigned ebb_cpu_isas(void)
{
    if (!has_neon())
        return 0;
    return 1u << EBB_ISA_NEON | (has_bf16() ? 1u << EBB_ISA_NEONBF16 : 0);
}
#elif !defined(__x86_64__)
#include "instances.h"
unsigned ebb_cpu_isas(void) { return 0; }
#else
typedef int ebb_cpu_arm_unused;
#endif
