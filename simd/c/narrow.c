/* narrow.c: the specification of the conversions between f32 and bfloat16. */
#include "instances.h"
#include "scalar.h"

void ebb_narrow_bf16_c(size_t n, ebb_bf16 *y, const float *x)
{
    for (size_t i = 0; i < n; i++)
        y[i] = narrow_scalar(x[i]);
}

void ebb_widen_bf16_c(size_t n, float *y, const ebb_bf16 *x)
{
    for (size_t i = 0; i < n; i++)
        y[i] = widen_scalar(x[i]);
}
