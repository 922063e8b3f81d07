/* attention.c: attention on bfloat16 by bfdot: register tiles of 12 rows by 2 vectors. */
#define EBB_ISA_TAG neonbf16
#include "vec_neon.h"

VEC vf attention_dot(vf a, vf b, vf c) { return vbfdotq_f32(c, vreinterpretq_bf16_f32(a), vreinterpretq_bf16_f32(b)); }

VEC vf attention_pair(vf a, vf b)
{
    uint16x4_t even = vreinterpret_u16_bf16(vcvt_bf16_f32(a)), odd = vreinterpret_u16_bf16(vcvt_bf16_f32(b));
    return vreinterpretq_f32_u16(vcombine_u16(vzip1_u16(even, odd), vzip2_u16(even, odd)));
}

VEC void attention_narrow(uint16_t *to, vf a) { vst1_u16(to, vreinterpret_u16_bf16(vcvt_bf16_f32(a))); }

#define ATTENTION_MAC attention_dot
#define ATTENTION_ROWS 12
#define ATTENTION_TRANSPOSE ebb_transpose_f32_neon
#include "attention_pair.tmpl.h"
