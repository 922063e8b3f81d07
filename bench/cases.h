/* cases.h: one case of each class of kernels.def for bench_kernels: arrays of a given size, and a call. A class without
 * them does not link, so that no row can be missed.
 */
#ifndef EBB_BENCH_CASES_H
#define EBB_BENCH_CASES_H

#include "bench.h"

enum { CASE_ARRAYS = 12 };

typedef struct bench_work {
    void *array[CASE_ARRAYS];        /* what each is, the class knows; freed by case_close */
    int arrays;
    void *scratch;
    size_t n, rows;
    ebb_conv_shape conv;
    ebb_norm_shape norm;
    ebb_attention_shape attention;   /* n heads */
    double elements, bytes, flops;   /* of results; of each operand once; 0: not counted */
} bench_work;

/* Arrays of about `budget` bytes together. */
typedef void case_open(bench_work *w, size_t budget);
/* Calls the row at this offset of a table. */
typedef void case_call(const bench_work *w, const ebb_kernels *table, size_t offset);
#define KERNEL(name, class, exact)             \
    extern case_open bench_open_##class;       \
    extern case_call bench_call_##class;
#include "kernels.def"
#undef KERNEL

#define CASE_FN(class, table, offset) (*(const EBB_FN_##class *)((const char *)(table) + (offset)))

/* The next array, with random numbers. */
float *case_floats(bench_work *w, size_t n);
ebb_bf16 *case_bf16s(bench_work *w, size_t n);
void case_close(bench_work *w);

#endif
