/* bench_machine.c: what this machine can do at most, which nothing of ours can beat: multiply-adds in registers,
 * and bytes a second from caches and main memory, read alone or read and written. predict.py builds on them.
 *
 * What other programs take away is not the machine's limit: rates are those of the fastest round (seconds[0]).
 * Each thread takes its memory in its first pass, so that it lies in the domain where the thread runs.
 */
#include <string.h>

#include "bench.h"

enum { LEVELS = 3 };

typedef struct stream {
    bool write;
    int level;
    size_t bytes;                          /* of a thread */
    float *buffer[BENCH_THREADS];
} stream;

static float *own_buffer(stream *s, int worker)
{
    if (!s->buffer[worker])
        s->buffer[worker] = bench_room(s->bytes + 8192);
    return s->buffer[worker];
}

static volatile float sink;

static void read_all(void *arg, int worker)
{
    stream *s = arg;
    sink = bench.kernels->sum_f32(s->bytes / sizeof(float), own_buffer(s, worker));
}

/* The second half over the first; half a page and a page apart, where no processor copies slowly. */
static void copy_half(void *arg, int worker)
{
    stream *s = arg;
    char *to = (char *)own_buffer(s, worker);
    const size_t half = s->bytes / 2 / 4096 * 4096;
    memcpy(to, to + half + 4096 + 2048, half);
    __asm__ volatile("" : : "r"(to) : "memory");
}

static void measure_stream(bench_state *state, void *arg)
{
    stream *s = arg;
    s->bytes = bench_level(s->level);
    bench_impl impl = {.name = s->write ? "memcpy" : "read", .run = s->write ? copy_half : read_all, .arg = s};
    bench_measure(state, &impl, 1);
    bench_times(state, &impl, 1);
    double bytes = s->write ? 2.0 * (double)(s->bytes / 2 / 4096 * 4096) : (double)s->bytes;
    bench_shim_counter(state, "GB/s", 1e-9 * bytes / impl.seconds[0] * bench.threads);
    for (int w = 0; w < bench.threads; w++)
        bench_free(s->buffer[w]);
    memset(s->buffer, 0, sizeof s->buffer);
}

static void measure_peak(bench_state *state, void *arg)
{
    const bool *bf16 = arg;
    bench_impl impl = {.name = "peak", .run = *bf16 ? bench_peak_bf16 : bench_peak_f32};
    bench_measure(state, &impl, 1);
    bench_times(state, &impl, 1);
    double flops = *bf16 ? bench_peak_flops_bf16() : bench_peak_flops_f32;
    bench_shim_counter(state, "GFLOP/s", 1e-9 * flops / impl.seconds[0] * bench.threads);
}

int main(int argc, char **argv)
{
    static const char *const names[LEVELS] = {"L1", "L2", "DRAM"};
    static bool types[2] = {false, true};
    static stream streams[2 * LEVELS];
    bench_begin(argc, argv, "Multiply-adds and bytes a second that this machine can do at most.",
                "  bench_machine --threads 2 --json machine.json\n");
    bench_add(measure_peak, &types[0], "peak/f32");
    if (bench_peak_flops_bf16() > 0)
        bench_add(measure_peak, &types[1], "peak/bf16");
    for (int i = 0; i < 2 * LEVELS; i++) {
        streams[i] = (stream){.write = i % 2, .level = i / 2};
        bench_add(measure_stream, &streams[i], "%s/%s", i % 2 ? "copy" : "read", names[i / 2]);
    }
    return bench_end();
}
