/* vec_neon.h: the vector verbs for AArch64 NEON, 4 lanes. See vec_avx2.h, README.md. */
#ifndef EBB_VEC_H
#define EBB_VEC_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#ifndef EBB_ISA_TAG
#define EBB_ISA_TAG neon
#endif
#define VW 4

typedef float32x4_t vf;
typedef uint32x4_t vi;
typedef uint32x4_t vm;  /* all ones or all zeros in each lane */

#define VEC static inline __attribute__((always_inline))

VEC vi vi_set1(uint32_t x) { return vdupq_n_u32(x); }
VEC vi vi_iota(void) { return (vi){0, 1, 2, 3}; }

VEC vm vm_first(size_t n) { return vcltq_u32(vi_iota(), vdupq_n_u32((uint32_t)n)); }
VEC vm vm_and(vm a, vm b) { return vandq_u32(a, b); }
VEC vm vm_or(vm a, vm b) { return vorrq_u32(a, b); }

VEC vf vf_load(const float *p) { return vld1q_f32(p); }
VEC void vf_store(float *p, vf v) { vst1q_f32(p, v); }
VEC vf vf_load_n(const float *p, size_t n)
{
    float lane[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        lane[i] = p[i];
    return vld1q_f32(lane);
}
VEC void vf_store_n(float *p, vf v, size_t n)
{
    float lane[4];
    vst1q_f32(lane, v);
    for (size_t i = 0; i < n; i++)
        p[i] = lane[i];
}
VEC vf vf_set1(float x) { return vdupq_n_f32(x); }
VEC vf vf_zero(void) { return vdupq_n_f32(0.0f); }

VEC vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
VEC vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
VEC vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
VEC vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
VEC vf vf_sqrt(vf a) { return vsqrtq_f32(a); }
VEC vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
VEC vf vf_fms(vf a, vf b, vf c) { return vfmaq_f32(vnegq_f32(c), a, b); }
VEC vf vf_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
/* Not vminq/vmaxq, whose NaN and signed zero differ from x86's. */
VEC vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
VEC vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
VEC vf vf_neg(vf a) { return vnegq_f32(a); }
VEC vf vf_abs(vf a) { return vabsq_f32(a); }

VEC vm vf_lt(vf a, vf b) { return vcltq_f32(a, b); }
VEC vm vf_le(vf a, vf b) { return vcleq_f32(a, b); }
VEC vm vf_gt(vf a, vf b) { return vcgtq_f32(a, b); }
VEC vm vf_eq(vf a, vf b) { return vceqq_f32(a, b); }
VEC vm vf_isnan(vf a) { return vmvnq_u32(vceqq_f32(a, a)); }
VEC vf vf_select(vm m, vf a, vf b) { return vbslq_f32(m, a, b); }
VEC vf vf_keep(vm m, vf a) { return vreinterpretq_f32_u32(vandq_u32(m, vreinterpretq_u32_f32(a))); }

VEC vi vi_add(vi a, vi b) { return vaddq_u32(a, b); }
VEC vi vi_sub(vi a, vi b) { return vsubq_u32(a, b); }
VEC vi vi_and(vi a, vi b) { return vandq_u32(a, b); }
VEC vi vi_or(vi a, vi b) { return vorrq_u32(a, b); }
VEC vi vi_xor(vi a, vi b) { return veorq_u32(a, b); }
#define vi_shl(a, k) vshlq_n_u32(a, k)
#define vi_shr(a, k) vshrq_n_u32(a, k)
#define vi_sar(a, k) vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a), k))
VEC vm vi_eq(vi a, vi b) { return vceqq_u32(a, b); }
/* hi:lo = a * b, unsigned, lane by lane */
VEC void vi_mul_wide(vi a, vi b, vi *hi, vi *lo)
{
    uint32x4_t low = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(b)));
    uint32x4_t high = vreinterpretq_u32_u64(vmull_high_u32(a, b));
    *hi = vuzp2q_u32(low, high);
    *lo = vuzp1q_u32(low, high);
}

VEC vi vf_bits(vf a) { return vreinterpretq_u32_f32(a); }
VEC vf vi_float_bits(vi a) { return vreinterpretq_f32_u32(a); }
VEC vf vf_from_int(vi a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
VEC vf vf_from_uint(vi a) { return vcvtq_f32_u32(a); }
VEC vi vi_from_float(vf a) { return vreinterpretq_u32_s32(vcvtnq_s32_f32(a)); }
VEC vf vf_round(vf a) { return vrndnq_f32(a); }
/* a * 2^n for integral n in [-252, 254] and a near 1: one rounding, as the first product is exact */
VEC vf vf_ldexp(vf a, vf n)
{
    vi whole = vi_from_float(n), half = vi_sar(whole, 1), rest = vi_sub(whole, half);
    vi bias = vi_set1(127);
    vf first = vf_mul(a, vi_float_bits(vi_shl(vi_add(half, bias), 23)));
    return vf_mul(first, vi_float_bits(vi_shl(vi_add(rest, bias), 23)));
}

/* bfloat16 in memory: widening is exact; narrowing rounds to nearest even, a NaN becomes a quiet one. */
VEC vf vf_load_bf16(const uint16_t *p) { return vi_float_bits(vshll_n_u16(vld1_u16(p), 16)); }
VEC vf vf_load_bf16_n(const uint16_t *p, size_t n)
{
    uint16_t lane[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < n; i++)
        lane[i] = p[i];
    return vf_load_bf16(lane);
}
/* The rounded number in the upper halves */
VEC vi vec_round_bf16(vf v)
{
    vi bits = vf_bits(v), odd = vi_and(vi_shr(bits, 16), vi_set1(1));
    vi rounded = vi_add(bits, vi_add(odd, vi_set1(0x7FFF)));
    return vbslq_u32(vf_isnan(v), vi_or(bits, vi_set1(0x00400000)), rounded);
}
VEC void vf_store_bf16(uint16_t *p, vf v) { vst1_u16(p, vshrn_n_u32(vec_round_bf16(v), 16)); }
VEC void vf_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    uint16_t lane[4];
    vf_store_bf16(lane, v);
    for (size_t i = 0; i < n; i++)
        p[i] = lane[i];
}

/* Two vectors at once: even and odd elements of p[0 .. 2 VW-1]. */
VEC void vf_load_bf16_pair(const uint16_t *p, vf *even, vf *odd)
{
    vi both = vreinterpretq_u32_u16(vld1q_u16(p));
    *even = vi_float_bits(vi_shl(both, 16));
    *odd = vi_float_bits(vi_and(both, vi_set1(0xFFFF0000u)));
}
VEC void vf_store_bf16_pair(uint16_t *p, vf even, vf odd)
{
    vi both = vsriq_n_u32(vec_round_bf16(odd), vec_round_bf16(even), 16);
    vst1q_u16(p, vreinterpretq_u16_u32(both));
}
/* Elements of the vectors a, b in a row by even and odd places, and back. */
VEC void vf_unzip(vf a, vf b, vf *even, vf *odd)
{
    *even = vuzp1q_f32(a, b);
    *odd = vuzp2q_f32(a, b);
}
VEC void vf_zip(vf even, vf odd, vf *a, vf *b)
{
    *a = vzip1q_f32(even, odd);
    *b = vzip2q_f32(even, odd);
}

/* Lane sum folded by halving: lane j += lane j+2, then +1. */
VEC float vf_fold_add(vf a)
{
    float32x2_t x = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(x, 0) + vget_lane_f32(x, 1);
}
VEC float vf_fold_max(vf a)
{
    float x = vgetq_lane_f32(a, 0);
    x = x > vgetq_lane_f32(a, 1) ? x : vgetq_lane_f32(a, 1);
    x = x > vgetq_lane_f32(a, 2) ? x : vgetq_lane_f32(a, 2);
    return x > vgetq_lane_f32(a, 3) ? x : vgetq_lane_f32(a, 3);
}

/* r[i] lane j <-> r[j] lane i */
VEC void vf_transpose(vf r[VW])
{
    float32x4_t a = vtrn1q_f32(r[0], r[1]), b = vtrn2q_f32(r[0], r[1]);
    float32x4_t c = vtrn1q_f32(r[2], r[3]), d = vtrn2q_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a), vget_low_f32(c));
    r[1] = vcombine_f32(vget_low_f32(b), vget_low_f32(d));
    r[2] = vcombine_f32(vget_high_f32(a), vget_high_f32(c));
    r[3] = vcombine_f32(vget_high_f32(b), vget_high_f32(d));
}

/* p[4i..4i+3] = lane i of a, b, c, d */
VEC void vf_store_interleaved(float *p, vf a, vf b, vf c, vf d)
{
    vst4q_f32(p, ((float32x4x4_t){{a, b, c, d}}));
}

#endif
