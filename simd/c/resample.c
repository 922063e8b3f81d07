/* resample.c: the specification of nearest up-sampling, its adjoint, and transposition. */
#include "instances.h"
#include "scalar.h"

void ebb_up2_f32_c(int h, int w, int c, float *y, const float *x)
{
    for (size_t i = 0; i < 2 * (size_t)h; i++)
        for (size_t j = 0; j < 2 * (size_t)w; j++)
            for (size_t k = 0; k < (size_t)c; k++)
                y[(i * 2 * w + j) * c + k] = x[(i / 2 * w + j / 2) * c + k];
}

void ebb_down2_f32_c(int h, int w, int c, float *y, const float *x)
{
    size_t row = 2 * (size_t)w * c;  /* of x */
    for (size_t i = 0; i < (size_t)h; i++) {
        for (size_t j = 0; j < (size_t)w; j++) {
            for (size_t k = 0; k < (size_t)c; k++) {
                const float *p = x + 2 * i * row + 2 * j * c + k;
                y[(i * w + j) * c + k] = (p[0] + p[c]) + (p[row] + p[row + c]);
            }
        }
    }
}

void ebb_up2_bf16_c(int h, int w, int c, ebb_bf16 *y, const ebb_bf16 *x)
{
    for (size_t i = 0; i < 2 * (size_t)h; i++)
        for (size_t j = 0; j < 2 * (size_t)w; j++)
            for (size_t k = 0; k < (size_t)c; k++)
                y[(i * 2 * w + j) * c + k] = x[(i / 2 * w + j / 2) * c + k];
}

void ebb_down2_bf16_c(int h, int w, int c, ebb_bf16 *y, const ebb_bf16 *x)
{
    size_t row = 2 * (size_t)w * c;  /* of x */
    for (size_t i = 0; i < (size_t)h; i++) {
        for (size_t j = 0; j < (size_t)w; j++) {
            for (size_t k = 0; k < (size_t)c; k++) {
                const ebb_bf16 *p = x + 2 * i * row + 2 * j * c + k;
                float top = widen_scalar(p[0]) + widen_scalar(p[c]);
                float low = widen_scalar(p[row]) + widen_scalar(p[row + c]);
                y[(i * w + j) * c + k] = narrow_scalar(top + low);
            }
        }
    }
}

void ebb_transpose_f32_c(size_t rows, size_t cols, float *y, size_t ldy, const float *x, size_t ldx)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            y[j * ldy + i] = x[i * ldx + j];
}
