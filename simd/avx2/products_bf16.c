/* products_bf16.c: the products of bfloat16 for AVX2: register tiles of 6 rows by 2 vectors. */
#include "vec_avx2.h"

#define TILE_ROWS 6
#define TILE_VECS 2
#define PAIR_HEADER "pair_widen.h"
#include "tile_bf16.tmpl.h"

#include "conv_bf16.tmpl.h"
