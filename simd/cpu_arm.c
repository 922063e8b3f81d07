/* cpu_arm.c: what this AArch64 processor offers.
 *
 * NEON with fma is part of the base of AArch64; the operating system is asked all the same, since
 * emulators and trimmed kernels can leave it out.
 */
#if defined(__aarch64__)
#include "instances.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
static bool has_neon(void)
{
    int value = 0;
    size_t size = sizeof value;
    /* Older systems lack the name: NEON is then implied by the architecture. */
    return sysctlbyname("hw.optional.AdvSIMD", &value, &size, NULL, 0) != 0 || value != 0;
}
#elif defined(__linux__)
#include <sys/auxv.h>
static bool has_neon(void)
{
    const unsigned long hwcap_asimd = 1ul << 1;
    return (getauxval(AT_HWCAP) & hwcap_asimd) != 0;
}
#else
static bool has_neon(void) { return true; }
#endif

unsigned ebb_cpu_isas(void)
{
    return has_neon() ? 1u << EBB_ISA_NEON : 0;
}
#elif !defined(__x86_64__)
#include "instances.h"
unsigned ebb_cpu_isas(void) { return 0; }
#else
typedef int ebb_cpu_arm_unused;
#endif
