/* norm_bf16.c: the avx512 instance of norm.tmpl.h for bfloat16 pictures. */
#include "vec_avx512.h"

#define NORM_BF16
#include "norm.tmpl.h"
