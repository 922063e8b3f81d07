/* norm_bf16.c: the specification of group norm and its adjoint for bfloat16 pictures: norm_loops.h. */
#include "scalar.h"
#include "simd.h"

typedef ebb_bf16 pixel;
static inline float get(pixel x) { return widen_scalar(x); }
static inline pixel put(float x) { return narrow_scalar(x); }

#include "norm_loops.h"

/* dz is not rounded to bfloat16 before it is summed: the faster instances keep it here, for a slab. */
size_t ebb_norm_scratch_bf16(const ebb_norm_shape *s)
{
    size_t width = (size_t)(s->channels / s->groups), slab = width > EBB_NORM_SLAB ? width : EBB_NORM_SLAB;
    return (ebb_norm_scratch(s) + 63) / 64 * 64 + sizeof(float) * (size_t)s->pixels * slab;
}

void ebb_norm_bf16_c(const ebb_norm_shape *s, ebb_bf16 *y, float *stats, const ebb_bf16 *x, const float *shift,
                     const float *gamma, const float *beta)
{
    norm(s, y, stats, x, shift, gamma, beta);
}

void ebb_norm_vjp_bf16_c(const ebb_norm_shape *s, ebb_bf16 *dx, float *dshift, float *dgamma, float *dbeta,
                         const ebb_bf16 *x, const float *shift, const ebb_bf16 *dy, const float *stats,
                         const float *gamma, const float *beta, void *scratch)
{
    (void)scratch;
    norm_vjp(s, dx, dshift, dgamma, dbeta, x, shift, dy, stats, gamma, beta);
}
