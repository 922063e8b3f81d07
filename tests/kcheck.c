/* kcheck.c: every kernel of kernels.def, on every ISA of this machine, against simd/c, bit for bit.
 *
 * The list drives it: a row whose class has no case generator does not compile. Each generator runs
 * twice: with buffers that end at a page without access, and with buffers that start right after one
 * while denormals are flushed to zero.
 * Usage: kcheck [--isa NAME] [--kernel NAME]. Uses no test library, so that it runs on a cross target.
 */
#include <stdio.h>
#include <string.h>

#include "support/kcheck.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
static void flush_denormals(bool on)
{
    const unsigned ftz_daz = 0x8040;
    _mm_setcsr(on ? _mm_getcsr() | ftz_daz : _mm_getcsr() & ~ftz_daz);
}
#elif defined(__aarch64__)
static void flush_denormals(bool on)
{
    const uint64_t fz = 1u << 24;
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = on ? fpcr | fz : fpcr & ~fz;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}
#else
static void flush_denormals(bool on) { (void)on; }
#endif

typedef struct kcheck_row {
    const char *name;
    size_t offset;
    kcheck_generator *generate;
    bool exact;
} kcheck_row;

enum { TOL, EXACT };

static const kcheck_row rows[] = {
#define KERNEL(name, class, exact) {#name, offsetof(ebb_kernels, name), kcheck_##class, exact},
#include "kernels.def"
#undef KERNEL
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Returns the failures. */
static long check_isa(ebb_isa isa, const char *only)
{
    kcheck k = {.spec = ebb_kernels_get(EBB_ISA_C), .fast = ebb_kernels_get(isa), .isa = isa};
    for (int i = 0; i < ROWS; i++) {
        if (only && strcmp(only, rows[i].name) != 0)
            continue;
        k.worst = 0.0;
        for (int pass = 0; pass < 2; pass++) {
            long before = k.failures;
            k.seed = 1000 * (uint64_t)i + pass;
            k.front = k.flush = pass == 1;
            flush_denormals(k.flush);
            rows[i].generate(&k, rows[i].name, rows[i].offset);
            flush_denormals(false);
            if (k.failures != before)
                printf("  %s failed, denormals %s\n", rows[i].name, pass ? "flushed" : "kept");
        }
        if (!rows[i].exact && isa != EBB_ISA_C)
            printf("  %s %s: largest error %.3f of its bound\n", ebb_isa_name(isa), rows[i].name, k.worst);
    }
    printf("isa %s: %ld cases, %ld failures\n", ebb_isa_name(isa), k.cases, k.failures);
    fflush(stdout);
    return k.failures + (k.cases == 0);
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

int main(int argc, char **argv)
{
    const char *isa_name = option(argc, argv, "--isa"), *kernel = option(argc, argv, "--kernel");
    int only = isa_name ? ebb_isa_from_name(isa_name) : -1;
    long failures = 0;

    if (argc % 2 == 0 || (argc > 1 && !isa_name && !kernel) || (isa_name && only < 0)) {
        fprintf(stderr, "usage: kcheck [--isa NAME] [--kernel NAME]\n");
        return 2;
    }
    if (only >= 0 && !ebb_isa_available((ebb_isa)only)) {
        fprintf(stderr, "kcheck: this machine or build has no %s\n", isa_name);
        return 2;
    }
    for (int i = 0; i < EBB_ISA_COUNT; i++)
        if (ebb_isa_available((ebb_isa)i) && (only < 0 || i == only))
            failures += check_isa((ebb_isa)i, kernel);
    return failures != 0;
}
