/* attention.c: attention for AVX2: register tiles of 6 rows by 2 vectors. */
#include "vec_avx2.h"

#define ATTENTION_ROWS 6
#include "attention.tmpl.h"
