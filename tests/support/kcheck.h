/* kcheck.h: what the case generators of kcheck share: buffers between guard pages, random and special
 * numbers, comparison of bits. One generator a shape class of kernels.def.
 */
#ifndef EBB_KCHECK_H
#define EBB_KCHECK_H

#include <stdarg.h>

#include "simd.h"

enum { KCHECK_BUFFERS = 64 };

typedef struct kcheck_buffer {
    unsigned char *base;   /* first byte between the guard pages */
    size_t bytes, data;    /* between the guard pages; of the user's floats */
    bool used;
} kcheck_buffer;

typedef struct kcheck {
    const ebb_kernels *spec, *fast;
    ebb_isa isa;
    uint64_t seed;
    long cases, failures;
    double worst;          /* of rows marked TOL: largest error / bound */
    bool front;            /* buffers start right after a guard page; else they end at one */
    bool flush;            /* denormals are flushed to zero */
    kcheck_buffer buffer[KCHECK_BUFFERS];
} kcheck;

/* n floats against a guard page: uniform in [-4, 4), or NaN (which shows what was not written). */
float *kcheck_in(kcheck *k, size_t n);
float *kcheck_out(kcheck *k, size_t n);
/* n floats, half of them zeros, denormals, infinities, NaN, huge, tiny or random bits. */
float *kcheck_special(kcheck *k, size_t n);
float *kcheck_copy(kcheck *k, const float *x, size_t n);
/* The same of bfloat16s. */
ebb_bf16 *kcheck_in_bf16(kcheck *k, size_t n);
ebb_bf16 *kcheck_out_bf16(kcheck *k, size_t n);
ebb_bf16 *kcheck_special_bf16(kcheck *k, size_t n);
ebb_bf16 *kcheck_copy_bf16(kcheck *k, const ebb_bf16 *x, size_t n);
/* Frees the buffers of a case; a write between a buffer and its far guard page is a failure. */
void kcheck_done(kcheck *k);

uint64_t kcheck_random(kcheck *k);
size_t kcheck_below(kcheck *k, size_t n);
/* Whether all bits agree; any NaN equals any NaN. */
void kcheck_equal(kcheck *k, const char *kernel, const char *shape_text, const float *want, const float *got,
                  size_t n);
void kcheck_equal_bf16(kcheck *k, const char *kernel, const char *shape_text, const ebb_bf16 *want,
                       const ebb_bf16 *got, size_t n);
/* For rows marked TOL: |want - got| <= bound[i], both NaN, or both the same infinity; the largest error in units
 * of the bound is kept in worst. bound is derived from the data of the case. */
void kcheck_close(kcheck *k, const char *kernel, const char *shape_text, const float *want, const float *got,
                  const float *bound, size_t n);
/* Text of a shape, good until the next call. */
const char *kcheck_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The member of a table at an offset, as a function of the class. */
#define KCHECK_FN(class, table, offset) (*(const EBB_FN_##class *)((const char *)(table) + (offset)))

typedef void kcheck_generator(kcheck *k, const char *name, size_t member_offset);
kcheck_generator kcheck_UNARY, kcheck_BINARY, kcheck_AFFINE, kcheck_REDUCE, kcheck_DOT, kcheck_COLSUM,
    kcheck_SOFTMAX, kcheck_SOFTMAX_VJP, kcheck_NORM, kcheck_NORM_VJP, kcheck_RESIZE, kcheck_TRANSPOSE,
    kcheck_ADAMW, kcheck_NORMAL, kcheck_GEMM, kcheck_CONV, kcheck_CONV_DX, kcheck_CONV_DW,
    kcheck_NARROW, kcheck_WIDEN, kcheck_NORM_BF16, kcheck_NORM_VJP_BF16;

#endif
