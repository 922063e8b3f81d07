/* attention.c: attention for AVX-512: register tiles of 12 rows by 2 vectors. */
#include "vec_avx512.h"

#define ATTENTION_ROWS 12
#include "attention.tmpl.h"
