/* wino_bf16.c: the specification of Winograd's convolution for bfloat16 pictures: wino_loops.h. */
#include "scalar.h"
#include "simd.h"

typedef ebb_bf16 pixel;
static inline float get(pixel x) { return widen_scalar(x); }
static inline pixel put(float x) { return narrow_scalar(x); }

#include "wino_loops.h"

void ebb_wino_bf16_c(const ebb_conv_shape *s, ebb_bf16 *y, const ebb_bf16 *x, const float *u, const float *bias,
                     const ebb_bf16 *residual, void *scratch)
{
    forward(s, y, x, u, bias, residual, scratch);
}

void ebb_wino_dw_bf16_c(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy, bool accumulate,
                        void *scratch)
{
    adjoint_w(s, dw, x, dy, accumulate, scratch);
}
