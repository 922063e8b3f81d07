/* math.tmpl.h: exp, log, sin, cos, tanh, sigmoid and silu in vector verbs, step by step those of
 * c/scalar.h, which says why each clamp is there. Included after a vec_*.h.
 */
#ifndef EBB_MATH_TMPL_H
#define EBB_MATH_TMPL_H

#include <float.h>
#include <math.h>

#include "coefficients.h"

VEC vf vf_at_least(vf x, float limit) { return vf_max(vf_set1(limit), x); }
VEC vf vf_at_most(vf x, float limit) { return vf_min(vf_set1(limit), x); }
/* a*x + k */
VEC vf vf_step_fma(vf a, vf x, float k) { return vf_fma(a, x, vf_set1(k)); }

VEC vf exp_reduced(vf r)
{
    vf q = vf_step_fma(vf_set1(EXP_E4), r, EXP_E3);
    q = vf_step_fma(q, r, EXP_E2);
    q = vf_step_fma(q, r, EXP_E1);
    q = vf_step_fma(q, r, EXP_E0);
    q = vf_step_fma(q, r, 1.0f);
    return vf_step_fma(q, r, 1.0f);
}

VEC vf exp_remainder(vf x, vf n)
{
    return vf_fnma(n, vf_set1(LN2_LOW), vf_fnma(n, vf_set1(LN2_HIGH), x));
}

VEC vf exp_parts(vf x, vf *scale)
{
    vf shifted = vf_step_fma(x, vf_set1(LOG2_E), EXPONENT_MAGIC);
    *scale = vi_float_bits(vi_shl(vf_bits(shifted), 23));
    return exp_reduced(exp_remainder(x, vf_sub(shifted, vf_set1(EXPONENT_MAGIC))));
}

VEC vf vec_exp2(vf x)
{
    x = vf_at_least(x, -127.0f);
    vf shifted = vf_add(x, vf_set1(EXPONENT_MAGIC)), r = vf_sub(x, vf_sub(shifted, vf_set1(EXPONENT_MAGIC)));
    vf q = vf_step_fma(vf_set1(EXP2_C4), r, EXP2_C3);
    q = vf_step_fma(q, r, EXP2_C2);
    q = vf_step_fma(q, r, EXP2_C1);
    q = vf_step_fma(q, r, EXP2_C0);
    return vf_mul(vf_step_fma(q, r, 1.0f), vi_float_bits(vi_shl(vf_bits(shifted), 23)));
}

VEC vf vec_exp(vf x)
{
    x = vf_at_most(vf_at_least(x, -104.0f), 89.0f);
    vf n = vf_sub(vf_step_fma(x, vf_set1(LOG2_E), ROUND_MAGIC), vf_set1(ROUND_MAGIC));
    return vf_ldexp(exp_reduced(exp_remainder(x, n)), n);
}

VEC vf log_normal(vf x, vf k_extra)
{
    vi offset = vi_sub(vf_bits(x), vi_set1(SQRT_HALF_BITS));
    vf k = vf_add(vf_from_int(vi_sar(offset, 23)), k_extra);
    vi fraction = vi_add(vi_and(offset, vi_set1(0x7FFFFF)), vi_set1(SQRT_HALF_BITS));
    vf f = vf_sub(vi_float_bits(fraction), vf_set1(1.0f));
    vf p = vf_step_fma(vf_set1(LOG_L7), f, LOG_L6);
    p = vf_step_fma(p, f, LOG_L5);
    p = vf_step_fma(p, f, LOG_L4);
    p = vf_step_fma(p, f, LOG_L3);
    p = vf_step_fma(p, f, LOG_L2);
    p = vf_step_fma(p, f, LOG_L1);
    p = vf_step_fma(p, f, LOG_L0);
    vf z = vf_mul(f, f);
    vf tail = vf_fma(vf_set1(-0.5f), z, vf_mul(vf_mul(z, f), p));
    return vf_fma(k, vf_set1(LN2_HIGH), vf_add(vf_fma(k, vf_set1(LN2_LOW), tail), f));
}

VEC vf vec_log(vf x)
{
    vm tiny = vf_lt(x, vf_set1(FLT_MIN));
    vf y = log_normal(vf_select(tiny, vf_mul(x, vf_set1(0x1p23f)), x), vf_keep(tiny, vf_set1(-23.0f)));
    y = vf_select(vf_lt(x, vf_set1(INFINITY)), y, x);
    y = vf_select(vf_lt(x, vf_zero()), vf_set1(NAN), y);
    return vf_select(vf_eq(x, vf_zero()), vf_set1(-INFINITY), y);
}

VEC vf sin_reduced(vf r)
{
    vf z = vf_mul(r, r);
    vf p = vf_step_fma(vf_step_fma(vf_set1(SIN_S2), z, SIN_S1), z, SIN_S0);
    return vf_fma(vf_mul(r, z), p, r);
}

VEC vf cos_reduced(vf r)
{
    vf z = vf_mul(r, r);
    vf p = vf_step_fma(vf_step_fma(vf_set1(COS_C2), z, COS_C1), z, COS_C0);
    return vf_fma(vf_mul(z, z), p, vf_step_fma(vf_set1(-0.5f), z, 1.0f));
}

/* From sin r and cos r: sin(r + quadrant * pi/2). */
VEC vf sin_choose(vf sine, vf cosine, vi quadrant)
{
    vf y = vf_select(vi_eq(vi_and(quadrant, vi_set1(1)), vi_set1(1)), cosine, sine);
    return vi_float_bits(vi_xor(vf_bits(y), vi_shl(vi_and(quadrant, vi_set1(2)), 30)));
}

VEC vf sin_shifted(vf x, uint32_t quadrants)
{
    vf shifted = vf_step_fma(x, vf_set1(TWO_OVER_PI), ROUND_MAGIC), n = vf_sub(shifted, vf_set1(ROUND_MAGIC));
    vf r = vf_fnma(n, vf_set1(PI_HALF_2), vf_fnma(n, vf_set1(PI_HALF_1), x));
    r = vf_at_most(vf_at_least(vf_fnma(n, vf_set1(PI_HALF_3), r), -1.1f), 1.1f);
    return sin_choose(sin_reduced(r), cos_reduced(r), vi_add(vf_bits(shifted), vi_set1(quadrants)));
}

/* 1 + e^-x, for -89 <= x; beyond 88 it is 1 */
VEC vf sigmoid_divisor(vf x)
{
    vf scale, mantissa = exp_parts(vf_neg(vf_at_most(x, 88.0f)), &scale);
    return vf_fma(mantissa, scale, vf_set1(1.0f));
}

VEC vf vec_sigmoid(vf x)
{
    return vf_div(vf_set1(1.0f), sigmoid_divisor(vf_at_least(x, -89.0f)));
}

VEC vf vec_silu(vf x)
{
    vf low = vf_at_least(x, -89.0f);
    return vf_div(low, sigmoid_divisor(low));
}

VEC vf vec_silu_slope(vf x)
{
    vf z = vf_at_most(vf_at_least(x, -89.0f), 88.0f), s = vf_div(vf_set1(1.0f), sigmoid_divisor(z));
    return vf_fma(s, vf_fnma(z, s, z), s);
}

VEC vf vec_tanh(vf x)
{
    vf a = vf_abs(x), z = vf_mul(a, a);
    vf p = vf_step_fma(vf_step_fma(vf_set1(TANH_T4), z, TANH_T3), z, TANH_T2);
    p = vf_step_fma(vf_step_fma(p, z, TANH_T1), z, TANH_T0);
    vf small = vf_fma(vf_mul(a, z), p, a);
    vf scale, mantissa = exp_parts(vf_at_most(vf_add(a, a), 88.0f), &scale);
    vf large = vf_sub(vf_set1(1.0f), vf_div(vf_set1(2.0f), vf_step_fma(mantissa, scale, 1.0f)));
    vf y = vf_select(vf_lt(a, vf_set1(TANH_SMALL)), small, large);
    return vi_float_bits(vi_or(vf_bits(y), vi_and(vf_bits(x), vi_set1(0x80000000u))));
}

#endif
