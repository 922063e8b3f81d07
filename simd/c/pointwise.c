/* pointwise.c: the specification of the kernels over n contiguous elements. Formulas: scalar.h. */
#include "instances.h"
#include "scalar.h"

#define UNARY(name, formula)                              \
    void ebb_##name##_c(size_t n, float *y, const float *x) \
    {                                                     \
        for (size_t i = 0; i < n; i++) {                  \
            float a = x[i];                               \
            y[i] = (formula);                             \
        }                                                 \
    }

#define BINARY(name, formula)                                               \
    void ebb_##name##_c(size_t n, float *z, const float *x, const float *y) \
    {                                                                       \
        for (size_t i = 0; i < n; i++) {                                    \
            float a = x[i], b = y[i];                                       \
            z[i] = (formula);                                               \
        }                                                                   \
    }

UNARY(recip_f32, 1.0f / a)
UNARY(exp_f32, exp_scalar(a))
UNARY(log_f32, log_scalar(a))
UNARY(sqrt_f32, sqrtf(a))
UNARY(sin_f32, sin_shifted(a, 0))
UNARY(cos_f32, sin_shifted(a, 1))
UNARY(tanh_f32, tanh_scalar(a))
UNARY(sigmoid_f32, sigmoid_scalar(a))
UNARY(silu_f32, silu_scalar(a))
UNARY(step_f32, a > 0.0f ? 1.0f : 0.0f)

BINARY(add_f32, a + b)
BINARY(sub_f32, a - b)
BINARY(mul_f32, a * b)
BINARY(div_f32, a / b)
/* A NaN in either operand is the result; of +0 and -0, the second operand. */
BINARY(max_f32, a > b || isnan(a) ? a : b)
BINARY(min_f32, a < b || isnan(a) ? a : b)
BINARY(silu_vjp_f32, b * silu_slope_scalar(a))

void ebb_affine_f32_c(size_t n, float *y, const float *x, float a, float b)
{
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf(a, x[i], b);
}

void ebb_axpy_f32_c(size_t n, float *y, const float *x, float a, float b)
{
    (void)b;
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf(a, x[i], y[i]);
}
