/* attention_bf16.c: attention on bfloat16 for AVX-512, in f32. */
#include "vec_avx512.h"

#include "attention_bf16.tmpl.h"
