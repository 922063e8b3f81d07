/* scalar.h: scalar functions of the specification, as fma chains that every ISA repeats.
 *
 * Clamps are written `limit > x ? limit : x`, which keeps a NaN in x.
 */
#ifndef EBB_SCALAR_H
#define EBB_SCALAR_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "coefficients.h"

static inline uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* bfloat16 is the upper half of a float: rounding to nearest even carries into it; a NaN becomes quiet. */
static inline uint16_t narrow_scalar(float x)
{
    uint32_t bits = float_bits(x);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x0040);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static inline float widen_scalar(uint16_t x) { return bits_float((uint32_t)x << 16); }

static inline float at_least(float x, float limit) { return limit > x ? limit : x; }
static inline float at_most(float x, float limit) { return limit < x ? limit : x; }

/* e^r for |r| <= ln(2)/2 */
static inline float exp_reduced(float r)
{
    float q = fmaf(EXP_E4, r, EXP_E3);
    q = fmaf(q, r, EXP_E2);
    q = fmaf(q, r, EXP_E1);
    q = fmaf(q, r, EXP_E0);
    q = fmaf(q, r, 1.0f);
    return fmaf(q, r, 1.0f);
}

/* x - n ln 2 */
static inline float exp_remainder(float x, float n)
{
    return fmaf(-n, LN2_LOW, fmaf(-n, LN2_HIGH, x));
}

/* e^x = mantissa * *scale for x in [-88, 89]; scale is 0 where e^x < 2^-126.5, infinite where
 * e^x > 2^127.5. Cheaper than exp_f32, for users whose result saturates anyway. */
static inline float exp_parts(float x, float *scale)
{
    float shifted = fmaf(x, LOG2_E, EXPONENT_MAGIC);
    *scale = bits_float(float_bits(shifted) << 23);
    return exp_reduced(exp_remainder(x, shifted - EXPONENT_MAGIC));
}

/* 2^x for x <= 128; 0 where 2^x < 2^-126.5 */
static inline float exp2_scalar(float x)
{
    x = at_least(x, -127.0f);
    float shifted = x + EXPONENT_MAGIC, r = x - (shifted - EXPONENT_MAGIC);
    float q = fmaf(EXP2_C4, r, EXP2_C3);
    q = fmaf(q, r, EXP2_C2);
    q = fmaf(q, r, EXP2_C1);
    q = fmaf(q, r, EXP2_C0);
    return fmaf(q, r, 1.0f) * bits_float(float_bits(shifted) << 23);
}

static inline float exp_scalar(float x)
{
    x = at_most(at_least(x, -104.0f), 89.0f);
    float n = fmaf(x, LOG2_E, ROUND_MAGIC) - ROUND_MAGIC;
    return ldexpf(exp_reduced(exp_remainder(x, n)), isnan(n) ? 0 : (int)n);
}

/* log of a positive normal number: x = 2^k (1+f), k ln 2 + log(1+f) */
static inline float log_normal(float x, float k_extra)
{
    uint32_t offset = float_bits(x) - SQRT_HALF_BITS;
    float k = (float)((int32_t)offset >> 23) + k_extra;
    float f = bits_float((offset & 0x7FFFFF) + SQRT_HALF_BITS) - 1.0f;
    float p = fmaf(LOG_L7, f, LOG_L6);
    p = fmaf(p, f, LOG_L5);
    p = fmaf(p, f, LOG_L4);
    p = fmaf(p, f, LOG_L3);
    p = fmaf(p, f, LOG_L2);
    p = fmaf(p, f, LOG_L1);
    p = fmaf(p, f, LOG_L0);
    float z = f * f;
    float tail = fmaf(-0.5f, z, z * f * p);
    return fmaf(k, LN2_HIGH, fmaf(k, LN2_LOW, tail) + f);
}

static inline float log_scalar(float x)
{
    if (x == 0.0f)
        return -INFINITY;
    if (x < 0.0f)
        return NAN;
    if (!(x < INFINITY))
        return x;
    return x < FLT_MIN ? log_normal(x * 0x1p23f, -23.0f) : log_normal(x, 0.0f);
}

/* |r| <= pi/4 */
static inline float sin_reduced(float r)
{
    float z = r * r;
    return fmaf(r * z, fmaf(fmaf(SIN_S2, z, SIN_S1), z, SIN_S0), r);
}

static inline float cos_reduced(float r)
{
    float z = r * r;
    return fmaf(z * z, fmaf(fmaf(COS_C2, z, COS_C1), z, COS_C0), fmaf(-0.5f, z, 1.0f));
}

/* sin(r + quadrant * pi/2); cos is sin one quadrant on. */
static inline float sin_quadrant(float r, uint32_t quadrant)
{
    float y = quadrant & 1 ? cos_reduced(r) : sin_reduced(r);
    return quadrant & 2 ? -y : y;
}

/* Beyond |x| of 2^22 pi/2 the quadrant is lost; the clamp keeps the result within [-1, 1]. */
static inline float sin_shifted(float x, uint32_t quadrants)
{
    float shifted = fmaf(x, TWO_OVER_PI, ROUND_MAGIC), n = shifted - ROUND_MAGIC;
    float r = fmaf(-n, PI_HALF_3, fmaf(-n, PI_HALF_2, fmaf(-n, PI_HALF_1, x)));
    return sin_quadrant(at_most(at_least(r, -1.1f), 1.1f), float_bits(shifted) + quadrants);
}

/* 1/(1 + e^-x); the clamps make the scale 0 or infinite, hence the result exactly 1 or 0 */
static inline float sigmoid_scalar(float x)
{
    float scale, mantissa = exp_parts(-at_most(at_least(x, -89.0f), 88.0f), &scale);
    return 1.0f / fmaf(mantissa, scale, 1.0f);
}

static inline float silu_scalar(float x)
{
    float low = at_least(x, -89.0f);
    float scale, mantissa = exp_parts(-at_most(low, 88.0f), &scale);
    return low / fmaf(mantissa, scale, 1.0f);
}

/* s (1 + x (1 - s)) with s = sigmoid(x) */
static inline float silu_slope_scalar(float x)
{
    float z = at_most(at_least(x, -89.0f), 88.0f), s = sigmoid_scalar(x);
    return fmaf(s, fmaf(-z, s, z), s);
}

static inline float tanh_scalar(float x)
{
    float a = fabsf(x), z = a * a;
    if (a < TANH_SMALL) {
        float p = fmaf(fmaf(TANH_T4, z, TANH_T3), z, TANH_T2);
        p = fmaf(fmaf(p, z, TANH_T1), z, TANH_T0);
        return copysignf(fmaf(a * z, p, a), x);
    }
    float scale, mantissa = exp_parts(at_most(a + a, 88.0f), &scale);
    return copysignf(1.0f - 2.0f / fmaf(mantissa, scale, 1.0f), x);
}

#endif
