/* norm.c: the specification of group norm and its adjoint for pictures of floats: norm_loops.h. */
typedef float pixel;
static inline float get(pixel x) { return x; }
static inline pixel put(float x) { return x; }

#include "norm_loops.h"

size_t ebb_norm_scratch(const ebb_norm_shape *s)
{
    return 2 * sizeof(float) * (size_t)s->groups;
}

void ebb_norm_f32_c(const ebb_norm_shape *s, float *y, float *stats, const float *x, const float *shift,
                    const float *gamma, const float *beta)
{
    norm(s, y, stats, x, shift, gamma, beta);
}

void ebb_norm_vjp_f32_c(const ebb_norm_shape *s, float *dx, float *dshift, float *dgamma, float *dbeta,
                        const float *x, const float *shift, const float *dy, const float *stats,
                        const float *gamma, const float *beta, void *scratch)
{
    (void)scratch;
    norm_vjp(s, dx, dshift, dgamma, dbeta, x, shift, dy, stats, gamma, beta);
}
