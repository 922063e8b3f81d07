/* attention_bf16.c: attention on bfloat16 for NEON, in f32. */
#include "vec_neon.h"

#include "attention_bf16.tmpl.h"
