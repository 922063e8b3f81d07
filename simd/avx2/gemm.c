/* gemm.c: the matrix product for AVX2: register tiles of 6 rows by 2 vectors. */
#include "vec_avx2.h"

#define TILE_ROWS 6
#define TILE_VECS 2
#include "gemm.tmpl.h"
