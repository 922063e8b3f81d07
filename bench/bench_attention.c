/* bench_attention.c: attention and its adjoint against oneDNN's composition matmul, softmax, matmul, which writes the
 * matrix of tokens that ours does without.
 *
 * 16 pictures of 256 tokens with one head of 256 numbers; pictures of 1024 tokens with 8
 * heads of 32. q, k and v lie side by side, (tokens, 3, heads, d), as in the network.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dnn.h"

typedef struct shape { int pictures, heads, tokens, d; } shape;

static const shape shapes[] = {{16, 1, 256, 256}, {1, 8, 1024, 32}, {1, 1, 64, 64}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct job {
    shape s;
    bool adjoint, bf16;
    ebb_attention_shape head;
    struct { void *qkv, *dqkv, *o, *do_, *scratch; float *lse; } worker[BENCH_THREADS];
    dnn *rival[BENCH_THREADS], *inner;
} job;

/* Of worker i: q of a head; k and v follow at heads*d and twice that. */
static size_t at_qkv(const job *j, int picture, int head)
{
    return (size_t)picture * j->s.tokens * 3 * j->s.heads * j->s.d + (size_t)head * j->s.d;
}

static size_t at_o(const job *j, int picture, int head)
{
    return (size_t)picture * j->s.tokens * j->s.heads * j->s.d + (size_t)head * j->s.d;
}

static void head_f32(const job *j, int i, size_t q, size_t o, float *lse, bool adjoint)
{
    const size_t k = (size_t)j->s.heads * j->s.d;
    float *qkv = (float *)j->worker[i].qkv + q, *d = (float *)j->worker[i].dqkv + q;
    float *out = (float *)j->worker[i].o + o, *dout = (float *)j->worker[i].do_ + o;
    if (adjoint)
        bench.kernels->attention_vjp_f32(&j->head, d, d + k, d + 2 * k, qkv, qkv + k, qkv + 2 * k, out, lse, dout,
                                         j->worker[i].scratch);
    else
        bench.kernels->attention_f32(&j->head, out, lse, qkv, qkv + k, qkv + 2 * k, j->worker[i].scratch);
}

static void head_bf16(const job *j, int i, size_t q, size_t o, float *lse, bool adjoint)
{
    const size_t k = (size_t)j->s.heads * j->s.d;
    ebb_bf16 *qkv = (ebb_bf16 *)j->worker[i].qkv + q, *d = (ebb_bf16 *)j->worker[i].dqkv + q;
    ebb_bf16 *out = (ebb_bf16 *)j->worker[i].o + o, *dout = (ebb_bf16 *)j->worker[i].do_ + o;
    if (adjoint)
        bench.kernels->attention_vjp_bf16(&j->head, d, d + k, d + 2 * k, qkv, qkv + k, qkv + 2 * k, out, lse, dout,
                                          j->worker[i].scratch);
    else
        bench.kernels->attention_bf16(&j->head, out, lse, qkv, qkv + k, qkv + 2 * k, j->worker[i].scratch);
}

static void all_heads(const job *j, int worker, bool adjoint)
{
    for (int p = 0; p < j->s.pictures; p++)
        for (int h = 0; h < j->s.heads; h++)
            (j->bf16 ? head_bf16 : head_f32)(j, worker, at_qkv(j, p, h), at_o(j, p, h),
                                             j->worker[worker].lse + (p * j->s.heads + h) * j->s.tokens, adjoint);
}

static void run(void *arg, int worker)
{
    const job *j = arg;
    all_heads(j, worker, j->adjoint);
}

static void rival_run(void *arg, int worker)
{
    dnn_run(((job *)arg)->rival[worker]);
}

static void inner_run(void *arg, int worker)
{
    (void)worker;
    dnn_run(((job *)arg)->inner);
}

static void open_job(job *j)
{
    const int heads = j->s.pictures * j->s.heads;
    const size_t n = (size_t)heads * j->s.tokens * j->s.d;
    for (int i = 0; i < bench.threads; i++) {
        j->worker[i].qkv = bench_numbers(3 * n, j->bf16, 1 + i);
        j->worker[i].dqkv = bench_numbers(3 * n, j->bf16, 101 + i);
        j->worker[i].o = bench_numbers(n, j->bf16, 201 + i);
        j->worker[i].do_ = bench_numbers(n, j->bf16, 301 + i);
        j->worker[i].lse = bench_room((size_t)heads * j->s.tokens * sizeof(float));
        j->worker[i].scratch = bench_room((j->bf16 ? ebb_attention_scratch_bf16 : ebb_attention_scratch)(&j->head));
        all_heads(j, i, false);   /* o and lse that belong to these numbers */
        j->rival[i] = dnn_attention_open(heads, j->s.tokens, j->s.d, j->adjoint, j->bf16, 1);
    }
    if (bench.threads > 1)
        j->inner = dnn_attention_open(heads * bench.threads, j->s.tokens, j->s.d, j->adjoint, j->bf16, bench.threads);
}

static void close_job(job *j)
{
    for (int i = 0; i < bench.threads; i++) {
        bench_free(j->worker[i].qkv);
        bench_free(j->worker[i].dqkv);
        bench_free(j->worker[i].o);
        bench_free(j->worker[i].do_);
        bench_free(j->worker[i].lse);
        bench_free(j->worker[i].scratch);
        dnn_free(j->rival[i]);
        j->rival[i] = NULL;
    }
    dnn_free(j->inner);
    j->inner = NULL;
}

static void measure(bench_state *state, void *arg)
{
    enum { OWN, PEAK, RIVAL, INNER, COUNT };
    job *j = arg;
    const bool units = j->bf16 && bench_peak_flops_bf16() > 0;
    /* two products forward; four and one that is computed again backward */
    const double numbers_squared = (double)j->s.pictures * j->s.heads * j->s.tokens * j->s.tokens * j->s.d;
    const double flops = (j->adjoint ? 10.0 : 4.0) * numbers_squared;
    open_job(j);
    bench_impl impl[COUNT] = {
        [OWN] = {.name = "own", .run = run, .arg = j},
        [PEAK] = {.name = "peak", .run = units ? bench_peak_bf16 : bench_peak_f32},
        [RIVAL] = {.name = "onednn", .run = rival_run, .arg = j},
        [INNER] = {.name = "inner", .run = inner_run, .arg = j, .together = true},
    };
    const int count = j->inner && j->rival[0] ? COUNT : j->rival[0] ? INNER : RIVAL;
    bench_measure(state, impl, count);
    bench_times(state, impl, count);
    const double own = impl[OWN].median;
    const double peak = (units ? bench_peak_flops_bf16() : bench_peak_flops_f32) / impl[PEAK].median;
    bench_shim_counter(state, "GFLOP/s", 1e-9 * flops / own * bench.threads);
    bench_shim_counter(state, "own/peak", flops / own / peak);
    if (count > RIVAL)
        bench_shim_counter(state, "own/onednn", impl[RIVAL].median / own);
    if (count > INNER)
        bench_shim_counter(state, "own/inner", impl[INNER].median / own);
    close_job(j);
}

int main(int argc, char **argv)
{
    static job jobs[4 * SHAPES];
    bench_begin(argc, argv, "Attention and its adjoint against oneDNN's matmul, softmax, matmul.",
                "  bench_attention --threads 2 --filter f32/forward\n");
    for (int i = 0; i < 4 * SHAPES; i++) {
        const shape s = shapes[i % SHAPES];
        const size_t stride = (size_t)s.heads * (size_t)s.d;
        job *j = &jobs[i];
        *j = (job){.s = s, .bf16 = i / SHAPES / 2, .adjoint = i / SHAPES % 2};
        j->head = (ebb_attention_shape){s.tokens, s.tokens, s.d, 3 * stride, 3 * stride, 3 * stride, stride,
                                        1.0f / sqrtf((float)s.d)};
        bench_add(measure, j, "%s/%s/%dx%dx%dx%d", j->bf16 ? "bf16" : "f32", j->adjoint ? "adjoint" : "forward",
                  s.pictures, s.heads, s.tokens, s.d);
    }
    return bench_end();
}
