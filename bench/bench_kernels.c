/* bench_kernels.c: every kernel of kernels.def on data of the size of L1, of L2 and of main memory, against memcpy
 * of as many bytes and against simd/c.
 */
#include <stddef.h>
#include <string.h>

#include "cases.h"

typedef struct row {
    const char *name;
    size_t offset;
    case_open *open;
    case_call *call;
} row;

static const row rows[] = {
#define KERNEL(name, class, exact) {#name, offsetof(ebb_kernels, name), bench_open_##class, bench_call_##class},
#include "kernels.def"
#undef KERNEL
};
enum { ROWS = sizeof rows / sizeof *rows, LEVELS = 3 };

typedef struct job {
    const row *row;
    int level;
    bench_work worker[BENCH_THREADS];
} job;

static const char *const level_names[LEVELS] = {"L1", "L2", "DRAM"};

static void run_own(void *arg, int worker)
{
    const job *j = arg;
    j->row->call(&j->worker[worker], bench.kernels, j->row->offset);
}

static void run_c(void *arg, int worker)
{
    const job *j = arg;
    j->row->call(&j->worker[worker], ebb_kernels_get(EBB_ISA_C), j->row->offset);
}

static void measure(bench_state *state, void *arg)
{
    enum { OWN, COPY, PEAK, C, COUNT };
    job *j = arg;
    bench_copy copy;
    for (int i = 0; i < bench.threads; i++)
        j->row->open(&j->worker[i], bench_level(j->level));
    const bench_work *w = &j->worker[0];
    const bool units = strstr(j->row->name, "bf16") && bench_peak_flops_bf16() > 0;
    const double peak = units ? bench_peak_flops_bf16() : bench_peak_flops_f32;
    bench_copy_open(&copy, (size_t)w->bytes);
    bench_impl impl[COUNT] = {
        [OWN] = {.name = "own", .run = run_own, .arg = j},
        [COPY] = {.name = "memcpy", .run = bench_copy_run, .arg = &copy},
        [PEAK] = {.name = "peak", .run = units ? bench_peak_bf16 : bench_peak_f32},
        [C] = {.name = "c", .run = run_c, .arg = j, .every = 5},
    };
    /* plain loops over products of that size would take seconds, and show what L2 shows */
    int count = w->flops > 0 && j->level == 2 ? C : COUNT;
    bench_measure(state, impl, count);
    bench_times(state, impl, count);
    const double own = impl[OWN].median;
    bench_shim_counter(state, "ns/element", 1e9 * own / w->elements);
    bench_shim_counter(state, "GB/s", 1e-9 * w->bytes / own * bench.threads);
    bench_shim_counter(state, "own/memcpy", w->bytes / own / (2 * (double)copy.bytes / impl[COPY].median));
    if (w->flops > 0)
        bench_shim_counter(state, "own/peak", w->flops / own / (peak / impl[PEAK].median));
    if (count > C)
        bench_shim_counter(state, "own/c", impl[C].median / own);
    bench_copy_close(&copy);
    for (int i = 0; i < bench.threads; i++)
        case_close(&j->worker[i]);
    memset(j->worker, 0, sizeof j->worker);
}

int main(int argc, char **argv)
{
    static job jobs[ROWS * LEVELS];
    bench_begin(argc, argv, "Every kernel in L1, L2 and main memory, against memcpy and plain C.",
                "  bench_kernels --filter 'silu.*/L2' --isa avx2\n");
    for (int i = 0; i < ROWS * LEVELS; i++) {
        jobs[i] = (job){.row = &rows[i / LEVELS], .level = i % LEVELS};
        bench_add(measure, &jobs[i], "%s/%s", jobs[i].row->name, level_names[jobs[i].level]);
    }
    return bench_end();
}
