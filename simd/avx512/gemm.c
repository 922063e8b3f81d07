/* gemm.c: the matrix product for AVX512: register tiles of 12 rows by 2 vectors. */
#include "vec_avx512.h"

#define TILE_ROWS 12
#define TILE_VECS 2
#include "gemm.tmpl.h"
