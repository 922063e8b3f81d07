/* reduce.c: the specification of the sums. See lanes.h for their association. */
#include <math.h>

#include "instances.h"
#include "lanes.h"
#include "scalar.h"

float ebb_sum_f32_c(size_t n, const float *x)
{
    float lane[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += element_or_zero(x, i + j, n);
    return lanes_fold(lane);
}

float ebb_dot_f32_c(size_t n, const float *x, const float *y)
{
    float lane[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] = fmaf(element_or_zero(x, i + j, n), element_or_zero(y, i + j, n), lane[j]);
    return lanes_fold(lane);
}

float ebb_sumsq_f32_c(size_t n, const float *x)
{
    return ebb_dot_f32_c(n, x, x);
}

void ebb_colsum_f32_c(size_t rows, size_t cols, float *y, const float *x, size_t ldx)
{
    for (size_t j = 0; j < cols; j++) {
        float sum = 0.0f;
        for (size_t i = 0; i < rows; i++)
            sum += x[i * ldx + j];
        y[j] = sum;
    }
}

void ebb_colsum_bf16_c(size_t rows, size_t cols, float *y, const ebb_bf16 *x, size_t ldx)
{
    for (size_t j = 0; j < cols; j++) {
        float sum = 0.0f;
        for (size_t i = 0; i < rows; i++)
            sum += widen_scalar(x[i * ldx + j]);
        y[j] = sum;
    }
}
