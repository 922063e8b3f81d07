/* kcheck_run.c: walks the list of kernels.
 *
 * Each generator runs three times: with buffers that end at a page without access; with buffers that start right
 * after one, while denormals are flushed to zero; and with buffers at any alignment.
 */
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "check/kcheck.h"

/* The thread's way with denormals: a word to keep, change and put back. */
#if defined(__x86_64__)
enum { FLUSH = 0x8040 };      /* MXCSR: FTZ and DAZ */
static uint64_t mode_get(void) { return _mm_getcsr(); }
static void mode_set(uint64_t mode) { _mm_setcsr((unsigned)mode); }
#elif defined(__aarch64__)
enum { FLUSH = 1 << 24 };     /* FPCR: FZ */
static uint64_t mode_get(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static void mode_set(uint64_t mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
enum { FLUSH = 0 };
static uint64_t mode_get(void) { return 0; }
static void mode_set(uint64_t mode) { (void)mode; }
#endif

typedef struct row {
    kcheck_row row;
    size_t offset;
    kcheck_generator *generate;
} row;

enum { TOL, EXACT };

static const row rows[] = {
#define KERNEL(name, class, exact) {{#name, exact}, offsetof(ebb_kernels, name), ebb_kcheck_##class},
#include "kernels.def"
#undef KERNEL
};
enum { ROWS = sizeof rows / sizeof *rows, PASSES = 3 };

kcheck_row ebb_kcheck_row(int i)
{
    return i >= 0 && i < ROWS ? rows[i].row : (kcheck_row){0};
}

bool ebb_kcheck_own(ebb_isa isa, int i)
{
    typedef void (*any)(void);
    for (int older = 0; older < (int)isa; older++)
        if (*(const any *)((const char *)ebb_kernels_get((ebb_isa)older) + rows[i].offset) ==
            *(const any *)((const char *)ebb_kernels_get(isa) + rows[i].offset))
            return false;
    return true;
}

void ebb_kcheck_start(kcheck *k, ebb_isa isa)
{
    *k = (kcheck){.spec = ebb_kernels_get(EBB_ISA_C), .fast = ebb_kernels_get(isa), .isa = isa};
}

bool ebb_kcheck_run(kcheck *k, int i)
{
    const uint64_t mode = mode_get();
    if (setjmp(k->no_memory)) {
        mode_set(mode);
        return false;
    }
    k->worst = 0.0;
    for (k->pass = k->inside ? KCHECK_INSIDE : 0; k->pass < PASSES; k->pass++) {
        k->base = (uint64_t)(PASSES * i + k->pass) << 32;
        k->number = 0;
        k->place = (kcheck_place)k->pass;
        k->flush = k->place == KCHECK_FIRST;
        mode_set(k->flush ? mode | FLUSH : mode & ~(uint64_t)FLUSH);
        rows[i].generate(k, rows[i].row.name, rows[i].offset);
        mode_set(mode);
    }
    return true;
}
