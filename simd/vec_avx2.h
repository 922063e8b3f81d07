/* vec_avx2.h: the vector verbs for AVX2 + FMA, 8 lanes.
 *
 * The same verbs exist for every ISA (vec_avx512.h, vec_neon.h); a template written in them is
 * compiled once for each. Verbs that round are IEEE operations, hence the same bits on each ISA.
 * README.md lists the verbs and says what min, max and NaN do.
 */
#ifndef EBB_VEC_H
#define EBB_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EBB_ISA_TAG avx2
#define VW 8

typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vm;  /* all ones or all zeros in each lane */

#define VEC static inline __attribute__((always_inline))

/* All ones in the first n of 8 lanes when read at 8 - n. */
static const int32_t vec_prefix[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

VEC vm vm_first(size_t n) { return _mm256_loadu_si256((const __m256i *)(vec_prefix + 8 - n)); }
VEC vm vm_and(vm a, vm b) { return _mm256_and_si256(a, b); }
VEC vm vm_or(vm a, vm b) { return _mm256_or_si256(a, b); }

VEC vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
VEC void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
VEC vf vf_load_n(const float *p, size_t n) { return _mm256_maskload_ps(p, vm_first(n)); }
VEC void vf_store_n(float *p, vf v, size_t n) { _mm256_maskstore_ps(p, vm_first(n), v); }
VEC vf vf_set1(float x) { return _mm256_set1_ps(x); }
VEC vf vf_zero(void) { return _mm256_setzero_ps(); }

VEC vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VEC vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VEC vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VEC vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VEC vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
VEC vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VEC vf vf_fms(vf a, vf b, vf c) { return _mm256_fmsub_ps(a, b, c); }
VEC vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
VEC vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VEC vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VEC vf vf_neg(vf a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
VEC vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }

VEC vm vf_lt(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
VEC vm vf_le(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LE_OQ)); }
VEC vm vf_gt(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GT_OQ)); }
VEC vm vf_eq(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)); }
VEC vm vf_isnan(vf a) { return _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)); }
VEC vf vf_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m)); }
VEC vf vf_keep(vm m, vf a) { return _mm256_and_ps(_mm256_castsi256_ps(m), a); }

VEC vi vi_set1(uint32_t x) { return _mm256_set1_epi32((int32_t)x); }
VEC vi vi_iota(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
VEC vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
VEC vi vi_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
VEC vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
VEC vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
VEC vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
#define vi_shl(a, k) _mm256_slli_epi32(a, k)
#define vi_shr(a, k) _mm256_srli_epi32(a, k)
#define vi_sar(a, k) _mm256_srai_epi32(a, k)
VEC vm vi_eq(vi a, vi b) { return _mm256_cmpeq_epi32(a, b); }
/* hi:lo = a * b, unsigned, lane by lane */
VEC void vi_mul_wide(vi a, vi b, vi *hi, vi *lo)
{
    __m256i even = _mm256_mul_epu32(a, b);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    *hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    *lo = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}

VEC vi vf_bits(vf a) { return _mm256_castps_si256(a); }
VEC vf vi_float_bits(vi a) { return _mm256_castsi256_ps(a); }
VEC vf vf_from_int(vi a) { return _mm256_cvtepi32_ps(a); }
/* The two halves are exact, so the fma rounds once, as a direct conversion does. */
VEC vf vf_from_uint(vi a)
{
    vf high = _mm256_cvtepi32_ps(_mm256_srli_epi32(a, 16));
    vf low = _mm256_cvtepi32_ps(_mm256_and_si256(a, _mm256_set1_epi32(0xFFFF)));
    return _mm256_fmadd_ps(high, _mm256_set1_ps(65536.0f), low);
}
VEC vi vi_from_float(vf a) { return _mm256_cvtps_epi32(a); }
VEC vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/* a * 2^n for integral n in [-252, 254] and a near 1: one rounding, as the first product is exact */
VEC vf vf_ldexp(vf a, vf n)
{
    vi whole = vi_from_float(n), half = vi_sar(whole, 1), rest = vi_sub(whole, half);
    vi bias = vi_set1(127);
    vf first = vf_mul(a, vi_float_bits(vi_shl(vi_add(half, bias), 23)));
    return vf_mul(first, vi_float_bits(vi_shl(vi_add(rest, bias), 23)));
}

/* bfloat16 in memory: widening is exact; narrowing rounds to nearest even, a NaN becomes a quiet one. */
VEC vf vf_load_bf16(const uint16_t *p)
{
    return vi_float_bits(vi_shl(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
VEC vf vf_load_bf16_n(const uint16_t *p, size_t n)
{
    uint16_t lane[8] = {0};
    memcpy(lane, p, n * sizeof *lane);
    return vf_load_bf16(lane);
}
/* The rounded number in the upper halves; of a NaN, nonsense. */
VEC vi vec_round_bf16(vf v)
{
    vi bits = vf_bits(v), odd = vi_and(vi_shr(bits, 16), vi_set1(1));
    return vi_add(bits, vi_add(odd, vi_set1(0x7FFF)));
}
/* With the NaN of v put right */
VEC vi vec_quiet_bf16(vi rounded, vf v)
{
    vf quiet = vi_float_bits(vi_or(vf_bits(v), vi_set1(0x00400000)));
    return vf_bits(vf_select(vf_isnan(v), quiet, vi_float_bits(rounded)));
}
VEC __m128i vec_narrow(vf v)
{
    vi bits = vi_shr(vec_quiet_bf16(vec_round_bf16(v), v), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
}
VEC void vf_store_bf16(uint16_t *p, vf v) { _mm_storeu_si128((__m128i *)p, vec_narrow(v)); }
VEC void vf_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    uint16_t lane[8];
    vf_store_bf16(lane, v);
    memcpy(p, lane, n * sizeof *lane);
}

/* Two vectors at once: even and odd elements of p[0 .. 2 VW-1]. */
VEC void vf_load_bf16_pair(const uint16_t *p, vf *even, vf *odd)
{
    vi both = _mm256_loadu_si256((const __m256i *)p);
    *even = vi_float_bits(vi_shl(both, 16));
    *odd = vi_float_bits(vi_and(both, vi_set1(0xFFFF0000u)));
}
VEC void vf_store_bf16_pair(uint16_t *p, vf even, vf odd)
{
    vi low = vec_round_bf16(even), high = vec_round_bf16(odd);
    if (__builtin_expect(_mm256_movemask_ps(_mm256_cmp_ps(even, odd, _CMP_UNORD_Q)) != 0, 0)) {
        low = vec_quiet_bf16(low, even);
        high = vec_quiet_bf16(high, odd);
    }
    _mm256_storeu_si256((__m256i *)p, _mm256_blend_epi16(vi_shr(low, 16), high, 0xAA));
}
/* Elements of the vectors a, b in a row by even and odd places, and back. */
VEC void vf_unzip(vf a, vf b, vf *even, vf *odd)
{
    vf low = _mm256_permute2f128_ps(a, b, 0x20), high = _mm256_permute2f128_ps(a, b, 0x31);
    *even = _mm256_shuffle_ps(low, high, 0x88);
    *odd = _mm256_shuffle_ps(low, high, 0xDD);
}
VEC void vf_zip(vf even, vf odd, vf *a, vf *b)
{
    vf low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    *a = _mm256_permute2f128_ps(low, high, 0x20);
    *b = _mm256_permute2f128_ps(low, high, 0x31);
}

/* Lane sum folded by halving: lane j += lane j+4, then +2, then +1. */
VEC float vf_fold_add(vf a)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}
VEC float vf_fold_max(vf a)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}

/* r[i] lane j <-> r[j] lane i */
VEC void vf_transpose(vf r[VW])
{
    vf s[8];
    for (int i = 0; i < 8; i += 4) {
        vf a = _mm256_unpacklo_ps(r[i], r[i + 1]), b = _mm256_unpackhi_ps(r[i], r[i + 1]);
        vf c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]), d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        s[i] = _mm256_shuffle_ps(a, c, 0x44);
        s[i + 1] = _mm256_shuffle_ps(a, c, 0xEE);
        s[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        s[i + 3] = _mm256_shuffle_ps(b, d, 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(s[i], s[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(s[i], s[i + 4], 0x31);
    }
}

/* p[4i..4i+3] = lane i of a, b, c, d */
VEC void vf_store_interleaved(float *p, vf a, vf b, vf c, vf d)
{
    vf ab = _mm256_unpacklo_ps(a, b), cd = _mm256_unpacklo_ps(c, d);
    vf AB = _mm256_unpackhi_ps(a, b), CD = _mm256_unpackhi_ps(c, d);
    vf r0 = _mm256_shuffle_ps(ab, cd, 0x44), r1 = _mm256_shuffle_ps(ab, cd, 0xEE);
    vf r2 = _mm256_shuffle_ps(AB, CD, 0x44), r3 = _mm256_shuffle_ps(AB, CD, 0xEE);
    vf_store(p, _mm256_permute2f128_ps(r0, r1, 0x20));
    vf_store(p + 8, _mm256_permute2f128_ps(r2, r3, 0x20));
    vf_store(p + 16, _mm256_permute2f128_ps(r0, r1, 0x31));
    vf_store(p + 24, _mm256_permute2f128_ps(r2, r3, 0x31));
}

#endif
