/* measure.c: rounds in turn, medians, and the memory that is worked on.
 *
 * One thread is timed by its CPU time, which other programs do not lengthen much; several by the clock on the
 * wall, from a barrier to the last one's end. A sample is as many passes as last a fraction of a millisecond.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of `repeats` passes of all workers. */
static double sample(const bench_impl *impl, int repeats)
{
    if (bench.threads == 1 || impl->together) {
        const clockid_t clock = bench.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
        omp_set_num_threads(impl->together ? bench.threads : 1);
        double start = now(clock);
        for (int i = 0; i < repeats; i++)
            impl->run(impl->arg, 0);
        return now(clock) - start;
    }
    double start = 0.0, end;
#pragma omp parallel num_threads(bench.threads)
    {
        int worker = omp_get_thread_num();
        omp_set_num_threads(1);   /* within this worker: a library's threads */
#pragma omp barrier
#pragma omp master
        start = now(CLOCK_MONOTONIC);
        for (int i = 0; i < repeats; i++)
            impl->run(impl->arg, worker);
    }
    end = now(CLOCK_MONOTONIC);
    return end - start;
}

/* Sets the passes of a sample, after a first pass that warms up. */
static void calibrate(bench_impl *impl)
{
    const double enough = bench.quick ? 5e-5 : 4e-4;
    sample(impl, 1);
    for (impl->repeats = 1; impl->repeats < 1 << 20; impl->repeats *= 2)
        if (sample(impl, impl->repeats) >= enough)
            break;
}

double bench_try(bench_impl *impl)
{
    double least = 1e30;
    calibrate(impl);
    for (int i = 0; i < 3; i++) {
        double t = sample(impl, impl->repeats) / impl->repeats;
        least = t < least ? t : least;
    }
    return least;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted values, between neighbours. */
static double quantile(const double *x, int n, double q)
{
    double at = q * (n - 1);
    int i = (int)at;
    return i + 1 < n ? x[i] + (at - i) * (x[i + 1] - x[i]) : x[n - 1];
}

static void summarise(bench_impl *impl)
{
    qsort(impl->seconds, (size_t)impl->samples, sizeof *impl->seconds, compare);
    impl->median = quantile(impl->seconds, impl->samples, 0.5);
    double width = quantile(impl->seconds, impl->samples, 0.75) - quantile(impl->seconds, impl->samples, 0.25);
    impl->spread = width / impl->median;
}

void bench_measure(bench_state *s, bench_impl *impl, int count)
{
    for (int i = 0; i < count; i++) {
        calibrate(&impl[i]);
        impl[i].samples = 0;
    }
    for (int round = 0; bench_shim_next(s); round++) {
        for (int i = 0; i < count; i++) {
            if (impl[i].every > 1 && round % impl[i].every != 0)
                continue;
            double t = sample(&impl[i], impl[i].repeats) / impl[i].repeats;
            impl[i].seconds[impl[i].samples++] = t;
            if (i == 0)
                bench_shim_time(s, t);
        }
    }
    for (int i = 0; i < count; i++)
        summarise(&impl[i]);
}

void bench_times(bench_state *s, const bench_impl *impl, int count)
{
    char name[64];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s_us", impl[i].name);
        bench_shim_counter(s, name, 1e6 * impl[i].median);
        snprintf(name, sizeof name, "%s:iqr", impl[i].name);
        bench_shim_counter(s, name, impl[i].spread);
    }
}

void *bench_room(size_t bytes)
{
    size_t whole = (bytes + 64) / 64 * 64;
    void *p = aligned_alloc(64, whole);
    if (!p) {
        fprintf(stderr, "bench: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return memset(p, 0, whole);
}

float *bench_floats(size_t n, int seed)
{
    float *x = bench_room(n * sizeof *x);
    ebb_kernels_get(ebb_isa_best())->normal_f32(n, x, &(ebb_rng_at){.seed = (uint64_t)seed});
    return x;
}

ebb_bf16 *bench_bf16s(size_t n, int seed)
{
    float *x = bench_floats(n, seed);
    ebb_bf16 *y = bench_room(n * sizeof *y);
    ebb_kernels_get(ebb_isa_best())->narrow_bf16(n, y, x);
    bench_free(x);
    return y;
}

void *bench_numbers(size_t n, bool bf16, int seed)
{
    return bf16 ? (void *)bench_bf16s(n, seed) : (void *)bench_floats(n, seed);
}

void bench_free(void *p)
{
    free(p);
}

/* What a cache of this machine holds, or what is usual where it does not say. */
static size_t cache(int name, size_t usual)
{
    long bytes = name < 0 ? 0 : sysconf(name);
    return bytes > 0 ? (size_t)bytes : usual;
}

size_t bench_level(int level)
{
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    const int l1 = _SC_LEVEL1_DCACHE_SIZE, l2 = _SC_LEVEL2_CACHE_SIZE, l3 = _SC_LEVEL3_CACHE_SIZE;
#else
    const int l1 = -1, l2 = -1, l3 = -1;
#endif
    if (level == 0)
        return cache(l1, 32 << 10) * 3 / 4;
    if (level == 1)
        return cache(l2, 512 << 10) / 2;
    size_t large = 2 * cache(l3, 32 << 20);
    return large < 128 << 20 ? large : 128 << 20;
}
