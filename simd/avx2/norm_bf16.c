/* norm_bf16.c: the avx2 instance of norm.tmpl.h for bfloat16 pictures. */
#include "vec_avx2.h"

#define NORM_BF16
#include "norm.tmpl.h"
