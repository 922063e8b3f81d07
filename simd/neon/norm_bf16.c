/* norm_bf16.c: the neon instance of norm.tmpl.h for bfloat16 pictures. */
#include "vec_neon.h"

#define NORM_BF16
#include "norm.tmpl.h"
