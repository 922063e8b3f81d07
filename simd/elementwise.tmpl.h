/* elementwise.tmpl.h: the pointwise kernels in vector verbs. Specification: c/pointwise.c. */
#include "instances.h"
#include "math.tmpl.h"

#define UNARY(name, formula)                                         \
    void EBB_INSTANCE(name)(size_t n, float *y, const float *x)      \
    {                                                                \
        size_t i = 0;                                                \
        for (; i + VW <= n; i += VW) {                               \
            vf a = vf_load(x + i);                                   \
            vf_store(y + i, formula);                                \
        }                                                            \
        if (i < n) {                                                 \
            vf a = vf_load_n(x + i, n - i);                          \
            vf_store_n(y + i, formula, n - i);                       \
        }                                                            \
    }

#define BINARY(name, formula)                                                     \
    void EBB_INSTANCE(name)(size_t n, float *z, const float *x, const float *y)   \
    {                                                                             \
        size_t i = 0;                                                             \
        for (; i + VW <= n; i += VW) {                                            \
            vf a = vf_load(x + i), b = vf_load(y + i);                            \
            vf_store(z + i, formula);                                             \
        }                                                                         \
        if (i < n) {                                                              \
            vf a = vf_load_n(x + i, n - i), b = vf_load_n(y + i, n - i);          \
            vf_store_n(z + i, formula, n - i);                                    \
        }                                                                         \
    }

UNARY(recip_f32, vf_div(vf_set1(1.0f), a))
UNARY(exp_f32, vec_exp(a))
UNARY(log_f32, vec_log(a))
UNARY(sqrt_f32, vf_sqrt(a))
UNARY(sin_f32, sin_shifted(a, 0))
UNARY(cos_f32, sin_shifted(a, 1))
UNARY(tanh_f32, vec_tanh(a))
UNARY(sigmoid_f32, vec_sigmoid(a))
UNARY(silu_f32, vec_silu(a))
UNARY(step_f32, vf_keep(vf_gt(a, vf_zero()), vf_set1(1.0f)))

BINARY(add_f32, vf_add(a, b))
BINARY(sub_f32, vf_sub(a, b))
BINARY(mul_f32, vf_mul(a, b))
BINARY(div_f32, vf_div(a, b))
BINARY(max_f32, vf_select(vm_or(vf_gt(a, b), vf_isnan(a)), a, b))
BINARY(min_f32, vf_select(vm_or(vf_lt(a, b), vf_isnan(a)), a, b))
BINARY(silu_vjp_f32, vf_mul(b, vec_silu_slope(a)))

void EBB_INSTANCE(affine_f32)(size_t n, float *y, const float *x, float a, float b)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        vf_store(y + i, vf_fma(vf_set1(a), vf_load(x + i), vf_set1(b)));
    if (i < n)
        vf_store_n(y + i, vf_fma(vf_set1(a), vf_load_n(x + i, n - i), vf_set1(b)), n - i);
}

void EBB_INSTANCE(axpy_f32)(size_t n, float *y, const float *x, float a, float b)
{
    size_t i = 0;
    (void)b;
    for (; i + VW <= n; i += VW)
        vf_store(y + i, vf_fma(vf_set1(a), vf_load(x + i), vf_load(y + i)));
    if (i < n)
        vf_store_n(y + i, vf_fma(vf_set1(a), vf_load_n(x + i, n - i), vf_load_n(y + i, n - i)), n - i);
}
