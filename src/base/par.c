/* par.c: the only OpenMP in the library.
 *
 * One idea: workers take the next item from a shared counter. Which worker gets which item is left to
 * chance, so callers keep results by item, never by worker; then thread counts cannot change a bit.
 * Denormal numbers are flushed in every worker (they are slow on many CPUs), also in a single one,
 * because the value of a denormal result must not depend on the thread count either.
 */
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/base.h"

typedef uint64_t float_mode;

#if defined(__x86_64__)
enum { FLUSH = 0x8040 };              /* MXCSR: FTZ (bit 15) and DAZ (bit 6) */

static float_mode flush_begin(void)
{
    unsigned old = _mm_getcsr();
    _mm_setcsr(old | FLUSH);
    return old;
}

static void flush_end(float_mode old)
{
    /* Only the two bits go back: exception flags raised meanwhile stay visible. */
    _mm_setcsr((_mm_getcsr() & ~(unsigned)FLUSH) | ((unsigned)old & FLUSH));
}
#elif defined(__aarch64__)
static float_mode flush_begin(void)
{
    float_mode old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | ((float_mode)1 << 24)));   /* FZ */
    return old;
}

static void flush_end(float_mode old)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
}
#else
static float_mode flush_begin(void)
{
    return 0;
}

static void flush_end(float_mode old)
{
    (void)old;
}
#endif

static _Thread_local bool inside;     /* this thread is a worker already */

typedef struct job {
    atomic_int_fast64_t next;
    int64_t n;
    ebb_par_fn fn;
    void *arg;
} job;

static void work(job *j, int worker)
{
    bool outer = inside;
    inside = true;
    float_mode mode = flush_begin();
    for (;;) {
        int64_t item = atomic_fetch_add(&j->next, 1);
        if (item >= j->n)
            break;
        j->fn(j->arg, item, worker);
    }
    flush_end(mode);
    inside = outer;
}

void ebb_par_for(int threads, int64_t n, ebb_par_fn fn, void *arg)
{
    job j = { 0, n, fn, arg };
    if (n < threads)
        threads = (int)n;
    if (n <= 0)
        return;
    if (threads <= 1 || inside) {
        work(&j, 0);
        return;
    }
#pragma omp parallel num_threads(threads)
    work(&j, omp_get_thread_num());
}

int ebb_par_cores(void)
{
    int cores = omp_get_num_procs();
    return cores > 0 ? cores : 1;
}

int ebb_par_single_begin(void)
{
    int token = omp_get_max_threads();
    omp_set_num_threads(1);
    return token;
}

void ebb_par_single_end(int token)
{
    omp_set_num_threads(token);
}

void ebb_par_yield(void)
{
    sched_yield();
}

double ebb_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
