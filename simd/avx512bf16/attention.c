/* attention.c: attention on bfloat16 by vdpbf16ps: register tiles of 12 rows by 2 vectors. */
#define EBB_ISA_TAG avx512bf16
#include "vec_avx512.h"

VEC vf attention_dot(vf a, vf b, vf c) { return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b); }

VEC vf attention_pair(vf a, vf b)
{
    /* Lane i: number i of a and of b, which is number 16 + i of the two. */
    const __m512i zip = vi_add(_mm512_set1_epi32(0x100000), _mm512_mullo_epi32(vi_iota(), _mm512_set1_epi32(0x10001)));
    return (vf)_mm512_permutexvar_epi16(zip, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

VEC void attention_narrow(uint16_t *to, vf a) { _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(a)); }

#define ATTENTION_MAC attention_dot
#define ATTENTION_ROWS 12
#define ATTENTION_TRANSPOSE ebb_transpose_f32_avx512
#include "attention_pair.tmpl.h"
