/* attention_bf16.c: attention on bfloat16 for AVX2, in f32. */
#include "vec_avx2.h"

#include "attention_bf16.tmpl.h"
