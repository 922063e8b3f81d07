/* bench_norm.c: group normalisation with SiLU and its adjoint, nanoseconds an element and thread, f32 and bfloat16.
 *
 * oneDNN 2 has no group normalisation, and that of 3 runs backward by reference loops: the rival is PyTorch
 * (peer_norm.py prints the same rows), the limit is memcpy of as many bytes.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

enum { SHAPES = 6, ARRAYS = 3 };

/* Pictures a pass, and each one's size. */
typedef struct shape { int pictures, pixels, channels, groups; } shape;

static const shape shapes[SHAPES] = {
    {1, 1024, 64, 32}, {2, 256, 128, 32}, {4, 64, 256, 32}, {16, 16, 256, 32}, {1, 1024, 128, 32},
    {16, 1024, 128, 32},    /* of PyTorch's measurement: beyond L2 */
};

typedef struct job {
    shape s;
    bool adjoint, bf16;
    ebb_norm_shape norm;
    size_t numbers;                                  /* of a picture */
    float *gamma, *beta;
    struct { void *x, *dy, *out, *scratch; float *stats, *dgamma, *dbeta; } worker[BENCH_THREADS];
} job;

static void forward(const job *j, int i, size_t at)
{
    const ebb_bf16 *x16 = j->worker[i].x;
    ebb_bf16 *y16 = j->worker[i].out;
    const float *x = j->worker[i].x;
    float *y = j->worker[i].out;
    if (j->bf16)
        bench.kernels->norm_bf16(&j->norm, y16 + at, j->worker[i].stats, x16 + at, NULL, j->gamma, j->beta);
    else
        bench.kernels->norm_f32(&j->norm, y + at, j->worker[i].stats, x + at, NULL, j->gamma, j->beta);
}

static void adjoint(const job *j, int i, size_t at)
{
    const ebb_bf16 *x16 = j->worker[i].x, *dy16 = j->worker[i].dy;
    ebb_bf16 *dx16 = j->worker[i].out;
    const float *x = j->worker[i].x, *dy = j->worker[i].dy;
    float *dx = j->worker[i].out, *stats = j->worker[i].stats;
    if (j->bf16)
        bench.kernels->norm_vjp_bf16(&j->norm, dx16 + at, NULL, j->worker[i].dgamma, j->worker[i].dbeta, x16 + at, NULL,
                                     dy16 + at, stats, j->gamma, j->beta, j->worker[i].scratch);
    else
        bench.kernels->norm_vjp_f32(&j->norm, dx + at, NULL, j->worker[i].dgamma, j->worker[i].dbeta, x + at, NULL,
                                    dy + at, stats, j->gamma, j->beta, j->worker[i].scratch);
}

static void run(void *arg, int worker)
{
    const job *j = arg;
    for (int p = 0; p < j->s.pictures; p++)
        (j->adjoint ? adjoint : forward)(j, worker, (size_t)p * j->numbers);
}

static void open_job(job *j)
{
    const size_t n = (size_t)j->s.pictures * j->numbers, c = (size_t)j->s.channels;
    j->gamma = bench_floats(c, 1);
    j->beta = bench_floats(c, 2);
    for (int i = 0; i < bench.threads; i++) {
        j->worker[i].x = bench_numbers(n, j->bf16, 3 + i);
        j->worker[i].dy = bench_numbers(n, j->bf16, 103 + i);
        j->worker[i].out = bench_numbers(n, j->bf16, 203 + i);
        j->worker[i].stats = bench_floats(2 * (size_t)j->s.groups, 303);
        j->worker[i].dgamma = bench_floats(c, 403);
        j->worker[i].dbeta = bench_floats(c, 503);
        j->worker[i].scratch = bench_room((j->bf16 ? ebb_norm_scratch_bf16 : ebb_norm_scratch)(&j->norm));
        run(&(job){.s = j->s, .bf16 = j->bf16, .norm = j->norm, .numbers = j->numbers, .gamma = j->gamma,
                   .beta = j->beta, .worker[0] = j->worker[i]}, 0);   /* stats of these pictures */
    }
}

static void close_job(job *j)
{
    bench_free(j->gamma);
    bench_free(j->beta);
    for (int i = 0; i < bench.threads; i++) {
        bench_free(j->worker[i].x);
        bench_free(j->worker[i].dy);
        bench_free(j->worker[i].out);
        bench_free(j->worker[i].stats);
        bench_free(j->worker[i].dgamma);
        bench_free(j->worker[i].dbeta);
        bench_free(j->worker[i].scratch);
    }
}

static void measure(bench_state *state, void *arg)
{
    enum { OWN, COPY, COUNT };
    job *j = arg;
    const double elements = (double)j->s.pictures * (double)j->numbers;
    const double bytes = (j->adjoint ? 3 : 2) * (j->bf16 ? 2.0 : 4.0) * elements;
    bench_copy copy;
    open_job(j);
    bench_copy_open(&copy, (size_t)bytes);
    bench_impl impl[COUNT] = {
        [OWN] = {.name = "own", .run = run, .arg = j},
        [COPY] = {.name = "memcpy", .run = bench_copy_run, .arg = &copy},
    };
    bench_measure(state, impl, COUNT);
    bench_times(state, impl, COUNT);
    bench_shim_counter(state, "ns/element", 1e9 * impl[OWN].median / elements);
    bench_shim_counter(state, "own/memcpy", impl[COPY].median / impl[OWN].median);
    bench_copy_close(&copy);
    close_job(j);
}

int main(int argc, char **argv)
{
    static job jobs[4 * SHAPES];
    bench_begin(argc, argv, "Group normalisation with SiLU, forward and adjoint.",
                "  bench_norm --threads 2 --filter f32\n  python3 bench/peer_norm.py --threads 2\n");
    for (int i = 0; i < 4 * SHAPES; i++) {
        const shape s = shapes[i % SHAPES];
        job *j = &jobs[i];
        *j = (job){.s = s, .bf16 = i / SHAPES / 2, .adjoint = i / SHAPES % 2,
                   .norm = {s.pixels, s.channels, s.groups, 1e-5f, true},
                   .numbers = (size_t)s.pixels * (size_t)s.channels};
        bench_add(measure, j, "%s/%s/%dx%dx%d", j->bf16 ? "bf16" : "f32", j->adjoint ? "adjoint" : "forward",
                  s.pictures, s.pixels, s.channels);
    }
    return bench_end();
}
