/* cases_rows.c: pointwise kernels, sums, rows, norms, moves, the optimiser, random numbers, conversion. */
#include <math.h>
#include <stdint.h>

#include "cases.h"

float *case_floats(bench_work *w, size_t n)
{
    float *x = bench_floats(n, 100 + w->arrays);
    w->array[w->arrays++] = x;
    return x;
}

ebb_bf16 *case_bf16s(bench_work *w, size_t n)
{
    ebb_bf16 *x = bench_bf16s(n, 100 + w->arrays);
    w->array[w->arrays++] = x;
    return x;
}

void case_close(bench_work *w)
{
    for (int i = 0; i < w->arrays; i++)
        bench_free(w->array[i]);
    bench_free(w->scratch);
}

/* n numbers in each of `arrays` arrays of floats, which move `moves` arrays. */
static void floats(bench_work *w, size_t budget, int arrays, int moves)
{
    w->n = budget / sizeof(float) / (size_t)arrays;
    for (int i = 0; i < arrays; i++)
        case_floats(w, w->n);
    w->elements = (double)w->n;
    w->bytes = 4.0 * moves * (double)w->n;
}

/* Positive: square roots and logarithms of them are numbers. */
void bench_open_UNARY(bench_work *w, size_t budget)
{
    floats(w, budget, 2, 2);
    float *x = w->array[0];
    for (size_t i = 0; i < w->n; i++)
        x[i] = fabsf(x[i]) + 0.01f;
}

void bench_call_UNARY(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(UNARY, table, offset)(w->n, w->array[1], w->array[0]);
}

void bench_open_BINARY(bench_work *w, size_t budget) { floats(w, budget, 3, 3); }

void bench_call_BINARY(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(BINARY, table, offset)(w->n, w->array[2], w->array[0], w->array[1]);
}

/* The factor keeps y, which axpy adds to, near where it is. */
void bench_open_AFFINE(bench_work *w, size_t budget) { floats(w, budget, 2, 2); }

void bench_call_AFFINE(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(AFFINE, table, offset)(w->n, w->array[1], w->array[0], 1e-9f, 0.25f);
}

static volatile float sum;

void bench_open_REDUCE(bench_work *w, size_t budget) { floats(w, budget, 1, 1); }

void bench_call_REDUCE(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    sum = CASE_FN(REDUCE, table, offset)(w->n, w->array[0]);
}

void bench_open_DOT(bench_work *w, size_t budget) { floats(w, budget, 2, 2); }

void bench_call_DOT(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    sum = CASE_FN(DOT, table, offset)(w->n, w->array[0], w->array[1]);
}

enum { COLUMNS = 128 };

void bench_open_COLSUM(bench_work *w, size_t budget)
{
    w->rows = budget / sizeof(float) / COLUMNS;
    case_floats(w, w->rows * COLUMNS);
    case_floats(w, COLUMNS);
    w->elements = (double)w->rows * COLUMNS;
    w->bytes = 4.0 * w->elements;
}

void bench_call_COLSUM(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(COLSUM, table, offset)(w->rows, COLUMNS, w->array[1], w->array[0], COLUMNS);
}

void bench_open_COLSUM_BF16(bench_work *w, size_t budget)
{
    w->rows = budget / sizeof(ebb_bf16) / COLUMNS;
    case_bf16s(w, w->rows * COLUMNS);
    case_floats(w, COLUMNS);
    w->elements = (double)w->rows * COLUMNS;
    w->bytes = 2.0 * w->elements;
}

void bench_call_COLSUM_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(COLSUM_BF16, table, offset)(w->rows, COLUMNS, w->array[1], w->array[0], COLUMNS);
}

/* Rows of 256, as attention over 16x16 has them. */
enum { ROW = 256 };

void bench_open_SOFTMAX(bench_work *w, size_t budget) { floats(w, budget / ROW * ROW, 2, 2); }

void bench_call_SOFTMAX(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(SOFTMAX, table, offset)(w->n / ROW, ROW, w->array[1], w->array[0], 0.125f);
}

void bench_open_SOFTMAX_VJP(bench_work *w, size_t budget) { floats(w, budget / ROW * ROW, 3, 3); }

void bench_call_SOFTMAX_VJP(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(SOFTMAX_VJP, table, offset)(w->n / ROW, ROW, w->array[2], w->array[0], w->array[1], 0.125f);
}

/* ---- norms: a picture of 64 channels in 32 groups, with SiLU ----------------------------------- */
enum { CHANNELS = 64, GROUPS = 32 };

/* After the pictures (x, y or x, dy, dx): gamma, beta, stats, dgamma, dbeta. */
static void norm(bench_work *w, size_t budget, int pictures, bool bf16)
{
    size_t size = bf16 ? sizeof(ebb_bf16) : sizeof(float), pixels = budget / size / (size_t)pictures / CHANNELS;
    w->norm = (ebb_norm_shape){(int)pixels, CHANNELS, GROUPS, 1e-5f, true, 0};
    w->n = pixels * CHANNELS;
    for (int i = 0; i < pictures; i++)
        bf16 ? (void)case_bf16s(w, w->n) : (void)case_floats(w, w->n);
    for (int i = 0; i < 5; i++)
        case_floats(w, CHANNELS);
    w->elements = (double)w->n;
    w->bytes = (double)(size * (size_t)pictures * w->n);
}

void bench_open_NORM(bench_work *w, size_t budget) { norm(w, budget, 2, false); }
void bench_open_NORM_BF16(bench_work *w, size_t budget) { norm(w, budget, 2, true); }

void bench_call_NORM(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(NORM, table, offset)(&w->norm, a[1], a[4], a[0], NULL, a[2], a[3]);
}

void bench_call_NORM_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(NORM_BF16, table, offset)(&w->norm, a[1], a[4], a[0], NULL, a[2], a[3]);
}

void bench_open_NORM_VJP(bench_work *w, size_t budget)
{
    norm(w, budget, 3, false);
    w->scratch = bench_room(ebb_norm_scratch(&w->norm));
}

void bench_open_NORM_VJP_BF16(bench_work *w, size_t budget)
{
    norm(w, budget, 3, true);
    w->scratch = bench_room(ebb_norm_scratch_bf16(&w->norm));
}

void bench_call_NORM_VJP(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(NORM_VJP, table, offset)(&w->norm, a[2], NULL, a[6], a[7], a[0], NULL, a[1], a[5], a[3], a[4], w->scratch);
}

void bench_call_NORM_VJP_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    void *const *a = w->array;
    CASE_FN(NORM_VJP_BF16, table, offset)(&w->norm, a[2], NULL, a[6], a[7], a[0], NULL, a[1], a[5], a[3], a[4],
                                          w->scratch);
}

/* ---- moves ------------------------------------------------------------------------------------ */
/* up2 and down2 share a class: the first array is the large picture and the second the small one, of which a call
 * writes one and reads the other. */
static void resize(bench_work *w, size_t budget, size_t size)
{
    w->rows = (size_t)sqrt((double)budget / (5.0 * (double)size * CHANNELS));
    w->n = w->rows * w->rows * CHANNELS;
    for (int i = 0; i < 2; i++) {
        size_t n = i ? w->n : 4 * w->n;
        size == sizeof(float) ? (void)case_floats(w, n) : (void)case_bf16s(w, n);
    }
    w->elements = 4.0 * (double)w->n;
    w->bytes = 5.0 * (double)(size * w->n);
}

void bench_open_RESIZE(bench_work *w, size_t budget) { resize(w, budget, sizeof(float)); }
void bench_open_RESIZE_BF16(bench_work *w, size_t budget) { resize(w, budget, sizeof(ebb_bf16)); }

void bench_call_RESIZE(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    bool up = offset == offsetof(ebb_kernels, up2_f32);
    CASE_FN(RESIZE, table, offset)((int)w->rows, (int)w->rows, CHANNELS, w->array[!up], w->array[up]);
}

void bench_call_RESIZE_BF16(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    bool up = offset == offsetof(ebb_kernels, up2_bf16);
    CASE_FN(RESIZE_BF16, table, offset)((int)w->rows, (int)w->rows, CHANNELS, w->array[!up], w->array[up]);
}

void bench_open_TRANSPOSE(bench_work *w, size_t budget)
{
    w->rows = budget / 2 / sizeof(float) / ROW;
    floats(w, 2 * sizeof(float) * w->rows * ROW, 2, 2);
}

void bench_call_TRANSPOSE(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(TRANSPOSE, table, offset)(w->rows, ROW, w->array[1], w->rows, w->array[0], ROW);
}

/* p, m, v, ema read and written, g read. */
void bench_open_ADAMW(bench_work *w, size_t budget)
{
    floats(w, budget, 5, 9);
    float *v = w->array[2];
    for (size_t i = 0; i < w->n; i++)
        v[i] *= v[i];
}

void bench_call_ADAMW(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    static const ebb_adamw h = {.lr = 1e-6f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 1e-4f,
                                .bias1 = 1.5f, .bias2 = 10.0f, .grad_scale = 0.5f, .ema_keep = 0.999f};
    void *const *a = w->array;
    CASE_FN(ADAMW, table, offset)(w->n, a[0], a[1], a[2], a[3], a[4], &h);
}

void bench_open_NORMAL(bench_work *w, size_t budget) { floats(w, budget, 1, 1); }

void bench_call_NORMAL(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(NORMAL, table, offset)(w->n, w->array[0], &(ebb_rng_at){.seed = 5, .step = 1});
}

static void convert(bench_work *w, size_t budget)
{
    w->n = budget / (sizeof(float) + sizeof(ebb_bf16));
    case_floats(w, w->n);
    case_bf16s(w, w->n);
    w->elements = (double)w->n;
    w->bytes = 6.0 * (double)w->n;
}

void bench_open_NARROW(bench_work *w, size_t budget) { convert(w, budget); }
void bench_open_WIDEN(bench_work *w, size_t budget) { convert(w, budget); }

void bench_call_NARROW(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(NARROW, table, offset)(w->n, w->array[1], w->array[0]);
}

void bench_call_WIDEN(const bench_work *w, const ebb_kernels *table, size_t offset)
{
    CASE_FN(WIDEN, table, offset)(w->n, w->array[0], w->array[1]);
}
