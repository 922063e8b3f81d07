/* kcheck.h: every kernel of kernels.def on an instruction set, against simd/c.
 *
 * The list drives it: a row whose class has no case generator does not link. Generators share what stands
 * here: buffers between guard pages, random and special numbers, comparison of bits. They own nothing but
 * those buffers, so that running out of memory may leave them by a jump.
 * The layer needs simd only: it also runs where no library is (cross targets).
 */
#ifndef EBB_KCHECK_H
#define EBB_KCHECK_H

#include <setjmp.h>
#include <stdarg.h>

#include "simd.h"

enum { KCHECK_BUFFERS = 64 };

typedef struct kcheck_buffer {
    unsigned char *base;   /* first byte between the guard pages */
    size_t bytes;          /* between the guard pages */
    size_t start, data;    /* the user's part */
    bool used;
} kcheck_buffer;

/* Where data lie between their guard pages: at the first byte, at the last, or anywhere, at any alignment. */
typedef enum kcheck_place { KCHECK_LAST, KCHECK_FIRST, KCHECK_INSIDE } kcheck_place;

typedef struct kcheck {
    const ebb_kernels *spec, *fast;
    ebb_isa isa;
    uint64_t seed;
    long cases;            /* shapes with numbers of their own */
    long compared;         /* arrays of results: a case has one or more, in place and not */
    long failures;
    double worst;          /* of rows marked TOL: largest error / bound */
    kcheck_place place;
    bool flush;            /* denormals are flushed to zero */
    bool inside;           /* only the pass without edges: for emulators, which read lanes that are masked out */
    long sample, number;   /* every so many cases are run; of this case in its pass */
    bool begun;            /* a case, by ebb_kcheck_next */
    uint64_t base;         /* of the seeds of a pass */
    void (*say)(void *user, const char *text);   /* told of each of the first failures; may be NULL */
    void *user;
    jmp_buf no_memory;
    int pass;              /* of the row */
    kcheck_buffer buffer[KCHECK_BUFFERS];
} kcheck;

/* ---- running (kcheck_run.c) ------------------------------------------------------------------ */
typedef struct kcheck_row { const char *name; bool exact; } kcheck_row;
/* Rows of kernels.def in order; name is NULL at the end. */
kcheck_row ebb_kcheck_row(int row);
/* Whether the ISA has an instance of its own of the row, not just an older one's. */
bool ebb_kcheck_own(ebb_isa isa, int row);
/* Sets k up for an ISA that is available; say, user, sample and inside are the caller's to set. Release in the end. */
void ebb_kcheck_start(kcheck *k, ebb_isa isa);
/* All cases of a row: adds to k->cases and k->failures, sets k->worst. False: out of memory. */
bool ebb_kcheck_run(kcheck *k, int row);
void ebb_kcheck_release(kcheck *k);

/* ---- for generators (kcheck_buffer.c) --------------------------------------------------------- */
/* Begins the next case, whose numbers depend on nothing before it. False: it is left out. */
bool ebb_kcheck_next(kcheck *k);
/* n floats between guard pages: uniform in [-4, 4), or NaN (which shows what was not written). */
float *ebb_kcheck_in(kcheck *k, size_t n);
float *ebb_kcheck_out(kcheck *k, size_t n);
/* n floats, half of them zeros, denormals, infinities, NaN, huge, tiny or random bits. */
float *ebb_kcheck_special(kcheck *k, size_t n);
float *ebb_kcheck_copy(kcheck *k, const float *x, size_t n);
/* The same of bfloat16s. */
ebb_bf16 *ebb_kcheck_in_bf16(kcheck *k, size_t n);
ebb_bf16 *ebb_kcheck_out_bf16(kcheck *k, size_t n);
ebb_bf16 *ebb_kcheck_special_bf16(kcheck *k, size_t n);
ebb_bf16 *ebb_kcheck_copy_bf16(kcheck *k, const ebb_bf16 *x, size_t n);
/* Not written yet, 64-byte aligned. */
void *ebb_kcheck_scratch(kcheck *k, size_t bytes);
/* Ends a case: frees its buffers; a write between a buffer and a guard page is a failure. */
void ebb_kcheck_done(kcheck *k);

uint64_t ebb_kcheck_random(kcheck *k);
size_t ebb_kcheck_below(kcheck *k, size_t n);
/* Whether all bits agree; any NaN equals any NaN. */
void ebb_kcheck_equal(kcheck *k, const char *kernel, const char *shape_text, const float *want, const float *got,
                  size_t n);
void ebb_kcheck_equal_bf16(kcheck *k, const char *kernel, const char *shape_text, const ebb_bf16 *want,
                           const ebb_bf16 *got, size_t n);
/* For rows marked TOL: |want - got| <= bound[i], both NaN, or both the same infinity; the largest error in units
 * of the bound is kept in worst. bound is derived from the data of the case. */
void ebb_kcheck_close(kcheck *k, const char *kernel, const char *shape_text, const float *want, const float *got,
                  const float *bound, size_t n);
/* Counts a failure of another kind and says it. */
void ebb_kcheck_fail(kcheck *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text of a shape, good until this thread's next call. */
const char *ebb_kcheck_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The member of a table at an offset, as a function of the class. */
#define KCHECK_FN(class, table, offset) (*(const EBB_FN_##class *)((const char *)(table) + (offset)))

/* Every class has a generator, ebb_kcheck_<class>. */
typedef void kcheck_generator(kcheck *k, const char *name, size_t member_offset);
#define KERNEL(name, class, exact) extern kcheck_generator ebb_kcheck_##class;
#include "kernels.def"
#undef KERNEL

#endif
