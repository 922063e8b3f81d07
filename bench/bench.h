/* bench.h: what the benchmarks share.
 *
 * One idea: everything that is compared is measured in turn within one run (own, rival, own, rival, ...), the
 * machine's peak and memcpy among them, and only ratios of medians are read: a machine that is busy or changes
 * its clock then slows both sides.
 */
#ifndef EBB_BENCH_H
#define EBB_BENCH_H

#ifdef __cplusplus
#include <cstddef>
extern "C" {
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simd.h"
#endif

/* ---- Google Benchmark (shim.cc) --------------------------------------------------------------- */
typedef struct bench_state bench_state;
void bench_shim_add(const char *name, int rounds, void (*body)(bench_state *, void *), void *arg);
int bench_shim_next(bench_state *s);                      /* another round? */
void bench_shim_time(bench_state *s, double seconds);     /* of this round */
void bench_shim_counter(bench_state *s, const char *name, double value);   /* a column; with ':' only in the file */
void bench_shim_label(bench_state *s, const char *text);
void bench_shim_context(const char *key, const char *value);
size_t bench_shim_run(int argc, char **argv);             /* benchmarks that ran */

#ifdef __cplusplus
}
#else

/* ---- options (options.c) ---------------------------------------------------------------------- */
typedef struct bench_options {
    int threads, rounds;
    const char *filter, *json, *shapes;   /* shapes: s, m, l or all */
    int quick;
    ebb_isa isa;
    const ebb_kernels *kernels;           /* of that ISA */
} bench_options;
extern bench_options bench;
/* Reads the command line; --help and errors end the program. `example`: lines for --help. */
void bench_begin(int argc, char **argv, const char *about, const char *example);
/* Runs all that was added; the program's exit code. */
int bench_end(void);
/* Adds a row of the table, if --filter wants it; arg must live until bench_end. Whether it did. */
bool bench_add(void (*body)(bench_state *, void *), void *arg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds a row of one round in any case: what sums up the others. */
void bench_add_summary(void (*body)(bench_state *, void *), void *arg, const char *name);
/* Whether rows of unet-s, -m or -l are asked for; size is 's', 'm' or 'l'. */
bool bench_wants(char size);

/* ---- measuring (measure.c) -------------------------------------------------------------------- */
enum { BENCH_THREADS = 64, BENCH_ROUNDS = 201 };

typedef struct bench_impl {
    const char *name;
    void (*run)(void *arg, int worker);   /* one pass over the data of a worker */
    void *arg;
    bool together;                        /* has threads of its own: one call does the work of all workers */
    int every;                            /* takes part in each round of this number; 0: in all */
    /* out: seconds a pass, and its interquartile range over the median */
    double median, spread;
    int samples, repeats;
    double seconds[BENCH_ROUNDS];
} bench_impl;

/* Seconds of one pass: the least of a few short samples. */
double bench_try(bench_impl *impl);
/* All rounds, in turn; the time of impl[0] is the one that Google Benchmark shows. */
void bench_measure(bench_state *s, bench_impl *impl, int count);
/* Columns <name>_us and, in the file, <name>:iqr. */
void bench_times(bench_state *s, const bench_impl *impl, int count);

/* ---- the machine (peak.c) ---------------------------------------------------------------------- */
/* A loop of multiply-adds in registers; bf16: by bfloat16 units, where there are any. */
void bench_peak_f32(void *unused, int worker);
void bench_peak_bf16(void *unused, int worker);
extern const double bench_peak_flops_f32;
double bench_peak_flops_bf16(void);       /* 0: no units */
/* memcpy within a worker's buffer of `bytes`: half of them read, half written. */
typedef struct bench_copy { size_t bytes; char *buffer[BENCH_THREADS]; } bench_copy;
void bench_copy_open(bench_copy *copy, size_t bytes);
void bench_copy_run(void *copy, int worker);
void bench_copy_close(bench_copy *copy);

/* ---- memory (measure.c): ends the program when there is none -------------------------------------- */
void *bench_room(size_t bytes);                   /* zeros, 64-byte aligned; free with bench_free */
float *bench_floats(size_t n, int seed);          /* standard normals */
ebb_bf16 *bench_bf16s(size_t n, int seed);
void *bench_numbers(size_t n, bool bf16, int seed);   /* either */
void bench_free(void *p);
/* Bytes that fit well into L1 (0) or L2 (1), or that no cache holds (2). */
size_t bench_level(int level);

#endif
#endif
