/* cases_products.c: matrix products, convolutions, Winograd's, attention. Pictures are as large as the budget says, but
 * channels stay few where it is large: a minute's work shows nothing that a second's does not. */
#include <math.h>

#include "cases.h"

/* ---- matrix product: m x 64 times 64 x 64, or smaller ------------------------------------------- */
static size_t side(size_t budget) { return budget < 100000 ? 32 : 128; }

static void gemm(bench_work *w, size_t budget, size_t size)
{
    w->rows = side(budget);
    w->n = (budget / size - w->rows * w->rows) / (2 * w->rows);
    w->elements = (double)w->n * (double)w->rows;
    w->flops = 2.0 * w->elements * (double)w->rows;
    w->bytes = (double)(size * (2 * w->n * w->rows + w->rows * w->rows));
}

void bench_open_GEMM(bench_work *w, size_t budget)
{
    gemm(w, budget, sizeof(float));
    case_floats(w, w->n * w->rows);
    case_floats(w, w->rows * w->rows);
    case_floats(w, w->n * w->rows);
}

void bench_call_GEMM(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    const size_t k = w->rows;
    const ebb_gemm_args g = {.m = w->n, .n = k, .k = k, .a = w->array[0], .ars = k, .acs = 1, .b = w->array[1],
                             .ldb = k, .c = w->array[2], .ldc = k};
    CASE_FN(GEMM, table, offset)(&g);
}

void bench_open_GEMM_BF16(bench_work *w, size_t budget)
{
    gemm(w, budget, sizeof(ebb_bf16));
    const size_t k = w->rows;
    case_bf16s(w, w->n * k);
    ebb_bf16 *b = case_bf16s(w, k * k), *packed = case_bf16s(w, ebb_gemm_pack_bf16_size(k, k));
    case_bf16s(w, w->n * k);
    ebb_gemm_pack_bf16(k, k, packed, b, k);
    w->scratch = bench_room(ebb_gemm_scratch_bf16(w->n, k, k));
}

void bench_call_GEMM_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    const size_t k = w->rows;
    const ebb_gemm_bf16_args g = {.m = w->n, .n = k, .k = k, .a = w->array[0], .lda = k, .b = w->array[2],
                                  .c = w->array[3], .ldc = k};
    CASE_FN(GEMM_BF16, table, offset)(&g, w->scratch);
}

/* ---- convolutions: one picture, 3x3, as many channels in as out ---------------------------------- */
/* Arrays: x, y, plain weights, then packed ones. */
static void conv(bench_work *w, size_t budget, size_t size)
{
    const int c = budget < 100000 ? 16 : 32;
    const int h = (int)sqrt((double)budget / (double)(2 * size * (size_t)c));
    w->conv = (ebb_conv_shape){1, h, h, c, h, h, c, 3, 3, 1, 1, 1};
    w->n = (size_t)h * h * c;
    w->elements = (double)w->n;
    w->flops = 2.0 * 9 * c * w->elements;
    w->bytes = (double)size * (2.0 * w->elements + 9.0 * c * c);
    for (int i = 0; i < 2; i++)
        size == sizeof(float) ? (void)case_floats(w, w->n) : (void)case_bf16s(w, w->n);
    case_floats(w, 9 * (size_t)c * c);
}

enum { X, Y, W, PACKED };

static void conv_f32(bench_work *w, size_t budget, size_t (*size)(const ebb_conv_shape *),
                     void (*pack)(const ebb_conv_shape *, float *, const float *))
{
    conv(w, budget, sizeof(float));
    pack(&w->conv, case_floats(w, size(&w->conv)), w->array[W]);
    w->scratch = bench_room(ebb_conv_scratch(&w->conv));
}

void bench_open_CONV(bench_work *w, size_t budget) { conv_f32(w, budget, ebb_conv_pack_size, ebb_conv_pack); }
void bench_open_CONV_DX(bench_work *w, size_t budget) { conv_f32(w, budget, ebb_conv_pack_dx_size, ebb_conv_pack_dx); }
void bench_open_CONV_DW(bench_work *w, size_t budget) { conv_f32(w, budget, ebb_conv_pack_size, ebb_conv_pack); }

void bench_call_CONV(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(CONV, table, offset)(&w->conv, a[Y], a[X], a[PACKED], NULL, NULL, w->scratch);
}

void bench_call_CONV_DX(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(CONV_DX, table, offset)(&w->conv, a[X], a[Y], a[PACKED], NULL, w->scratch);
}

void bench_call_CONV_DW(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(CONV_DW, table, offset)(&w->conv, a[W], a[X], a[Y], false, w->scratch);
}

static void conv_bf16(bench_work *w, size_t budget, size_t (*size)(const ebb_conv_shape *),
                      void (*pack)(const ebb_conv_shape *, ebb_bf16 *, const float *))
{
    conv(w, budget, sizeof(ebb_bf16));
    pack(&w->conv, case_bf16s(w, size(&w->conv)), w->array[W]);
    w->scratch = bench_room(ebb_conv_scratch_bf16(&w->conv));
}

void bench_open_CONV_BF16(bench_work *w, size_t budget)
{
    conv_bf16(w, budget, ebb_conv_pack_bf16_size, ebb_conv_pack_bf16);
}

void bench_open_CONV_DX_BF16(bench_work *w, size_t budget)
{
    conv_bf16(w, budget, ebb_conv_pack_dx_bf16_size, ebb_conv_pack_dx_bf16);
}

void bench_open_CONV_DW_BF16(bench_work *w, size_t budget)
{
    conv_bf16(w, budget, ebb_conv_pack_bf16_size, ebb_conv_pack_bf16);
}

void bench_call_CONV_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(CONV_BF16, table, offset)(&w->conv, a[Y], a[X], a[PACKED], NULL, NULL, w->scratch);
}

void bench_call_CONV_DX_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(CONV_DX_BF16, table, offset)(&w->conv, a[X], a[Y], a[PACKED], NULL, w->scratch);
}

void bench_call_CONV_DW_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(CONV_DW_BF16, table, offset)(&w->conv, a[W], a[X], a[Y], false, w->scratch);
}

/* ---- Winograd's ------------------------------------------------------------------------------- */
static void wino(bench_work *w, size_t budget, size_t size)
{
    conv(w, budget, size);
    float *u = case_floats(w, ebb_wino_pack_size(&w->conv));
    ebb_kernels_get(EBB_ISA_C)->wino_pack_f32(&w->conv, u, w->array[W]);
    w->scratch = bench_room(ebb_wino_scratch(&w->conv));
}

void bench_open_WINO(bench_work *w, size_t budget) { wino(w, budget, sizeof(float)); }
void bench_open_WINO_DW(bench_work *w, size_t budget) { wino(w, budget, sizeof(float)); }
void bench_open_WINO_BF16(bench_work *w, size_t budget) { wino(w, budget, sizeof(ebb_bf16)); }
void bench_open_WINO_DW_BF16(bench_work *w, size_t budget) { wino(w, budget, sizeof(ebb_bf16)); }

void bench_call_WINO(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(WINO, table, offset)(&w->conv, a[Y], a[X], a[PACKED], NULL, NULL, w->scratch);
}

void bench_call_WINO_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(WINO_BF16, table, offset)(&w->conv, a[Y], a[X], a[PACKED], NULL, NULL, w->scratch);
}

void bench_call_WINO_DW(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(WINO_DW, table, offset)(&w->conv, a[W], a[X], a[Y], false, w->scratch);
}

void bench_call_WINO_DW_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(WINO_DW_BF16, table, offset)(&w->conv, a[W], a[X], a[Y], false, w->scratch);
}

/* Weights are 9 numbers in, 36 out. */
void bench_open_WINO_PACK(bench_work *w, size_t budget)
{
    const int fit = (int)sqrt((double)budget / (45.0 * sizeof(float))) / 16 * 16, c = fit > 16 ? fit : 16;
    w->conv = (ebb_conv_shape){1, 8, 8, c, 8, 8, c, 3, 3, 1, 1, 1};
    w->n = (size_t)c * (size_t)c;
    case_floats(w, 9 * w->n);
    case_floats(w, ebb_wino_pack_size(&w->conv));
    case_floats(w, ebb_wino_pack_dx_size(&w->conv));
    w->elements = 9.0 * (double)w->n;
    w->bytes = 45.0 * sizeof(float) * (double)w->n;
}

void bench_call_WINO_PACK(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    bool dx = offset == offsetof(ebb_kernels, wino_pack_dx_f32);
    CASE_FN(WINO_PACK, table, offset)(&w->conv, w->array[dx ? 2 : 1], w->array[0]);
}

/* ---- attention: heads of 64 numbers over 256 tokens, or fewer ------------------------------------ */
/* Arrays: q, k, v, o, dq, dk, dv, do, and lse, one head after the other. */
static void attention(bench_work *w, size_t budget, size_t size, int arrays)
{
    const int d = budget < 100000 ? 16 : 64;
    const size_t fit = budget / size / (size_t)arrays / (size_t)d, tokens = fit < 256 ? fit : 256;
    w->attention = (ebb_attention_shape){(int)tokens, (int)tokens, d, (size_t)d, (size_t)d, (size_t)d, (size_t)d,
                                         1.0f / sqrtf((float)d)};
    w->n = fit / tokens;
    w->elements = (double)(w->n * tokens) * d;
    w->bytes = (double)size * arrays * w->elements;
    w->flops = (arrays == 4 ? 4.0 : 10.0) * (double)tokens * w->elements;
    for (int i = 0; i < arrays; i++) {
        size_t count = w->n * tokens * (size_t)d;
        size == sizeof(float) ? (void)case_floats(w, count) : (void)case_bf16s(w, count);
    }
    case_floats(w, w->n * tokens);
    w->scratch = bench_room(size == sizeof(float) ? ebb_attention_scratch(&w->attention)
                                                  : ebb_attention_scratch_bf16(&w->attention));
}

void bench_open_ATTENTION(bench_work *w, size_t budget) { attention(w, budget, sizeof(float), 4); }
void bench_open_ATTENTION_BF16(bench_work *w, size_t budget) { attention(w, budget, sizeof(ebb_bf16), 4); }

void bench_open_ATTENTION_VJP(bench_work *w, size_t budget)
{
    attention(w, budget, sizeof(float), 8);
    const size_t head = (size_t)w->attention.nq * (size_t)w->attention.d;
    float *const *a = (float *const *)w->array;
    for (size_t i = 0; i < w->n; i++)
        bench.kernels->attention_f32(&w->attention, a[3] + i * head, a[8] + i * (size_t)w->attention.nq,
                                     a[0] + i * head, a[1] + i * head, a[2] + i * head, w->scratch);
}

void bench_open_ATTENTION_VJP_BF16(bench_work *w, size_t budget)
{
    attention(w, budget, sizeof(ebb_bf16), 8);
    const size_t head = (size_t)w->attention.nq * (size_t)w->attention.d;
    ebb_bf16 *const *a = (ebb_bf16 *const *)w->array;
    for (size_t i = 0; i < w->n; i++)
        bench.kernels->attention_bf16(&w->attention, a[3] + i * head,
                                      (float *)w->array[8] + i * (size_t)w->attention.nq, a[0] + i * head,
                                      a[1] + i * head, a[2] + i * head, w->scratch);
}

void bench_call_ATTENTION(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    const size_t head = (size_t)w->attention.nq * (size_t)w->attention.d;
    float *const *a = (float *const *)w->array;
    for (size_t i = 0, at = 0; i < w->n; i++, at += head)
        CASE_FN(ATTENTION, table, offset)(&w->attention, a[3] + at, a[4] + i * (size_t)w->attention.nq, a[0] + at,
                                          a[1] + at, a[2] + at, w->scratch);
}

void bench_call_ATTENTION_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    const size_t head = (size_t)w->attention.nq * (size_t)w->attention.d;
    ebb_bf16 *const *a = (ebb_bf16 *const *)w->array;
    for (size_t i = 0, at = 0; i < w->n; i++, at += head)
        CASE_FN(ATTENTION_BF16, table, offset)(&w->attention, a[3] + at,
                                               (float *)w->array[4] + i * (size_t)w->attention.nq, a[0] + at, a[1] + at,
                                               a[2] + at, w->scratch);
}

void bench_call_ATTENTION_VJP(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    const size_t head = (size_t)w->attention.nq * (size_t)w->attention.d;
    float *const *a = (float *const *)w->array;
    for (size_t i = 0, at = 0; i < w->n; i++, at += head)
        CASE_FN(ATTENTION_VJP, table, offset)(&w->attention, a[4] + at, a[5] + at, a[6] + at, a[0] + at, a[1] + at,
                                              a[2] + at, a[3] + at, a[8] + i * (size_t)w->attention.nq, a[7] + at,
                                              w->scratch);
}

void bench_call_ATTENTION_VJP_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    const size_t head = (size_t)w->attention.nq * (size_t)w->attention.d;
    ebb_bf16 *const *a = (ebb_bf16 *const *)w->array;
    for (size_t i = 0, at = 0; i < w->n; i++, at += head)
        CASE_FN(ATTENTION_VJP_BF16, table, offset)(&w->attention, a[4] + at, a[5] + at, a[6] + at, a[0] + at, a[1] + at,
                                                   a[2] + at, a[3] + at,
                                                   (float *)w->array[8] + i * (size_t)w->attention.nq, a[7] + at,
                                                   w->scratch);
}
