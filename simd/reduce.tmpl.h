/* reduce.tmpl.h: the sums in vector verbs. Specification: c/reduce.c. */
#include "instances.h"
#include "lanes.tmpl.h"

float EBB_INSTANCE(sum_f32)(size_t n, const float *x)
{
    lanes l;
    size_t i = 0;
    lanes_zero(&l);
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANE_VECTORS; j++)
            l.v[j] = vf_add(l.v[j], vf_load(x + i + j * VW));
    if (i < n)
        for (int j = 0; j < LANE_VECTORS; j++)
            l.v[j] = vf_add(l.v[j], vf_load_n(x + i + j * VW, lanes_left(i + j * VW, n)));
    return lanes_fold(&l);
}

float EBB_INSTANCE(dot_f32)(size_t n, const float *x, const float *y)
{
    lanes l;
    size_t i = 0;
    lanes_zero(&l);
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANE_VECTORS; j++)
            l.v[j] = vf_fma(vf_load(x + i + j * VW), vf_load(y + i + j * VW), l.v[j]);
    if (i < n) {
        for (int j = 0; j < LANE_VECTORS; j++) {
            size_t at = i + j * VW, left = lanes_left(at, n);
            l.v[j] = vf_fma(vf_load_n(x + at, left), vf_load_n(y + at, left), l.v[j]);
        }
    }
    return lanes_fold(&l);
}

float EBB_INSTANCE(sumsq_f32)(size_t n, const float *x)
{
    return EBB_INSTANCE(dot_f32)(n, x, x);
}

/* Columns in vectors; several at once, since one chain alone waits for each addition. */
VEC void colsum_vectors(const int vectors, size_t rows, float *y, const float *x, size_t ldx)
{
    vf sum[4];
    for (int v = 0; v < vectors; v++)
        sum[v] = vf_zero();
    for (size_t i = 0; i < rows; i++, x += ldx)
        for (int v = 0; v < vectors; v++)
            sum[v] = vf_add(sum[v], vf_load(x + v * VW));
    for (int v = 0; v < vectors; v++)
        vf_store(y + v * VW, sum[v]);
}

static void colsum_tail(size_t rows, size_t cols, float *y, const float *x, size_t ldx)
{
    vf sum = vf_zero();
    for (size_t i = 0; i < rows; i++, x += ldx)
        sum = vf_add(sum, vf_load_n(x, cols));
    vf_store_n(y, sum, cols);
}

void EBB_INSTANCE(colsum_f32)(size_t rows, size_t cols, float *y, const float *x, size_t ldx)
{
    size_t j = 0;
    for (; j + 4 * VW <= cols; j += 4 * VW)
        colsum_vectors(4, rows, y + j, x + j, ldx);
    for (; j + VW <= cols; j += VW)
        colsum_vectors(1, rows, y + j, x + j, ldx);
    if (j < cols)
        colsum_tail(rows, cols - j, y + j, x + j, ldx);
}

/* The same of bfloat16: even and odd columns apart until the end. */
VEC void colsum_pairs(const int pairs, size_t rows, float *y, const ebb_bf16 *x, size_t ldx)
{
    vf even[2], odd[2], a, b;
    for (int p = 0; p < pairs; p++)
        even[p] = odd[p] = vf_zero();
    for (size_t i = 0; i < rows; i++, x += ldx) {
        for (int p = 0; p < pairs; p++) {
            vf_load_bf16_pair(x + p * 2 * VW, &a, &b);
            even[p] = vf_add(even[p], a);
            odd[p] = vf_add(odd[p], b);
        }
    }
    for (int p = 0; p < pairs; p++) {
        vf_zip(even[p], odd[p], &a, &b);
        vf_store(y + p * 2 * VW, a);
        vf_store(y + p * 2 * VW + VW, b);
    }
}

static void colsum_tail_bf16(size_t rows, size_t cols, float *y, const ebb_bf16 *x, size_t ldx)
{
    vf sum = vf_zero();
    for (size_t i = 0; i < rows; i++, x += ldx)
        sum = vf_add(sum, vf_load_bf16_n(x, cols));
    vf_store_n(y, sum, cols);
}

void EBB_INSTANCE(colsum_bf16)(size_t rows, size_t cols, float *y, const ebb_bf16 *x, size_t ldx)
{
    size_t j = 0;
    for (; j + 4 * VW <= cols; j += 4 * VW)
        colsum_pairs(2, rows, y + j, x + j, ldx);
    for (; j + 2 * VW <= cols; j += 2 * VW)
        colsum_pairs(1, rows, y + j, x + j, ldx);
    for (; j < cols; j += VW)
        colsum_tail_bf16(rows, lanes_left(j, cols), y + j, x + j, ldx);
}
