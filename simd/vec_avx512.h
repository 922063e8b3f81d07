/* vec_avx512.h: the vector verbs for AVX-512 (F, BW, DQ, VL), 16 lanes. See vec_avx2.h, README.md. */
#ifndef EBB_VEC_H
#define EBB_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#ifndef EBB_ISA_TAG
#define EBB_ISA_TAG avx512
#endif
#define VW 16

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

#define VEC static inline __attribute__((always_inline))

VEC vm vm_first(size_t n) { return (__mmask16)((1u << n) - 1u); }
VEC vm vm_and(vm a, vm b) { return a & b; }
VEC vm vm_or(vm a, vm b) { return a | b; }

VEC vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VEC void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
VEC vf vf_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(vm_first(n), p); }
VEC void vf_store_n(float *p, vf v, size_t n) { _mm512_mask_storeu_ps(p, vm_first(n), v); }
VEC vf vf_set1(float x) { return _mm512_set1_ps(x); }
VEC vf vf_zero(void) { return _mm512_setzero_ps(); }

VEC vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VEC vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VEC vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VEC vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VEC vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
VEC vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VEC vf vf_fms(vf a, vf b, vf c) { return _mm512_fmsub_ps(a, b, c); }
VEC vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
VEC vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VEC vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VEC vf vf_neg(vf a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
VEC vf vf_abs(vf a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }

VEC vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VEC vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
VEC vm vf_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
VEC vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VEC vm vf_isnan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
VEC vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
VEC vf vf_keep(vm m, vf a) { return _mm512_maskz_mov_ps(m, a); }

VEC vi vi_set1(uint32_t x) { return _mm512_set1_epi32((int32_t)x); }
VEC vi vi_iota(void) { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
VEC vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
VEC vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
VEC vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
VEC vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
VEC vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
#define vi_shl(a, k) _mm512_slli_epi32(a, k)
#define vi_shr(a, k) _mm512_srli_epi32(a, k)
#define vi_sar(a, k) _mm512_srai_epi32(a, k)
VEC vm vi_eq(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
/* hi:lo = a * b, unsigned, lane by lane */
VEC void vi_mul_wide(vi a, vi b, vi *hi, vi *lo)
{
    __m512i even = _mm512_mul_epu32(a, b);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    *hi = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_CDAB);
    *lo = _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, _MM_PERM_CDAB);
}

VEC vi vf_bits(vf a) { return _mm512_castps_si512(a); }
VEC vf vi_float_bits(vi a) { return _mm512_castsi512_ps(a); }
VEC vf vf_from_int(vi a) { return _mm512_cvtepi32_ps(a); }
VEC vf vf_from_uint(vi a) { return _mm512_cvtepu32_ps(a); }
VEC vi vi_from_float(vf a) { return _mm512_cvtps_epi32(a); }
VEC vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* a * 2^n for integral n, one rounding */
VEC vf vf_ldexp(vf a, vf n) { return _mm512_scalef_ps(a, n); }

/* bfloat16 in memory: widening is exact; narrowing rounds to nearest even, a NaN becomes a quiet one. */
VEC vf vf_load_bf16(const uint16_t *p)
{
    return vi_float_bits(vi_shl(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
VEC vf vf_load_bf16_n(const uint16_t *p, size_t n)
{
    return vi_float_bits(vi_shl(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(vm_first(n), p)), 16));
}
/* The rounded number in the upper halves; of a NaN, nonsense. */
VEC vi vec_round_bf16(vf v)
{
    vi bits = vf_bits(v), up = vi_add(bits, vi_set1(0x7FFF));
    return _mm512_mask_add_epi32(up, _mm512_test_epi32_mask(bits, vi_set1(0x10000)), up, vi_set1(1));
}
/* With the NaN of v put right */
VEC vi vec_quiet_bf16(vi rounded, vf v)
{
    return _mm512_mask_or_epi32(rounded, vf_isnan(v), vf_bits(v), vi_set1(0x00400000));
}
VEC __m256i vec_narrow(vf v) { return _mm512_cvtepi32_epi16(vi_shr(vec_quiet_bf16(vec_round_bf16(v), v), 16)); }
VEC void vf_store_bf16(uint16_t *p, vf v) { _mm256_storeu_si256((__m256i *)p, vec_narrow(v)); }
VEC void vf_store_bf16_n(uint16_t *p, vf v, size_t n) { _mm256_mask_storeu_epi16(p, vm_first(n), vec_narrow(v)); }

/* Two vectors at once: even and odd elements of p[0 .. 2 VW-1]. */
VEC void vf_load_bf16_pair(const uint16_t *p, vf *even, vf *odd)
{
    vi both = _mm512_loadu_si512(p);
    *even = vi_float_bits(vi_shl(both, 16));
    *odd = vi_float_bits(vi_and(both, vi_set1(0xFFFF0000u)));
}
VEC void vf_store_bf16_pair(uint16_t *p, vf even, vf odd)
{
    vi low = vec_round_bf16(even), high = vec_round_bf16(odd);
    if (__builtin_expect(_mm512_cmp_ps_mask(even, odd, _CMP_UNORD_Q) != 0, 0)) {
        low = vec_quiet_bf16(low, even);
        high = vec_quiet_bf16(high, odd);
    }
    _mm512_storeu_si512(p, _mm512_mask_blend_epi16(0xAAAAAAAAu, vi_shr(low, 16), high));
}
/* Elements of the vectors a, b in a row by even and odd places, and back. */
VEC void vf_unzip(vf a, vf b, vf *even, vf *odd)
{
    vi at = _mm512_slli_epi32(vi_iota(), 1);
    *even = _mm512_permutex2var_ps(a, at, b);
    *odd = _mm512_permutex2var_ps(a, vi_add(at, vi_set1(1)), b);
}
VEC void vf_zip(vf even, vf odd, vf *a, vf *b)
{
    vi at = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    *a = _mm512_permutex2var_ps(even, at, odd);
    *b = _mm512_permutex2var_ps(even, vi_add(at, vi_set1(8)), odd);
}

/* Lane sum folded by halving: lane j += lane j+8, then +4, +2, +1. */
VEC float vf_fold_add(vf a)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}
VEC float vf_fold_max(vf a)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}

/* 4 x 4 transposes inside each of the four 128-bit parts of r[0..3] */
VEC void vec_transpose_parts(vf r[4])
{
    vf a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
    vf c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
    r[0] = _mm512_shuffle_ps(a, c, 0x44);
    r[1] = _mm512_shuffle_ps(a, c, 0xEE);
    r[2] = _mm512_shuffle_ps(b, d, 0x44);
    r[3] = _mm512_shuffle_ps(b, d, 0xEE);
}

/* The 4 x 4 transpose of 128-bit parts: a, b, c, d become parts 0, 1, 2, 3 of each */
VEC void vec_transpose_quads(vf *a, vf *b, vf *c, vf *d)
{
    vf ab0 = _mm512_shuffle_f32x4(*a, *b, 0x44), ab1 = _mm512_shuffle_f32x4(*a, *b, 0xEE);
    vf cd0 = _mm512_shuffle_f32x4(*c, *d, 0x44), cd1 = _mm512_shuffle_f32x4(*c, *d, 0xEE);
    *a = _mm512_shuffle_f32x4(ab0, cd0, 0x88);
    *b = _mm512_shuffle_f32x4(ab0, cd0, 0xDD);
    *c = _mm512_shuffle_f32x4(ab1, cd1, 0x88);
    *d = _mm512_shuffle_f32x4(ab1, cd1, 0xDD);
}

/* r[i] lane j <-> r[j] lane i */
VEC void vf_transpose(vf r[VW])
{
    for (int i = 0; i < 16; i += 4)
        vec_transpose_parts(r + i);
    for (int i = 0; i < 4; i++)
        vec_transpose_quads(&r[i], &r[i + 4], &r[i + 8], &r[i + 12]);
}

/* p[4i..4i+3] = lane i of a, b, c, d */
VEC void vf_store_interleaved(float *p, vf a, vf b, vf c, vf d)
{
    vf r[4] = {a, b, c, d};
    vec_transpose_parts(r);
    vec_transpose_quads(&r[0], &r[1], &r[2], &r[3]);
    for (int i = 0; i < 4; i++)
        vf_store(p + 16 * i, r[i]);
}

#endif
