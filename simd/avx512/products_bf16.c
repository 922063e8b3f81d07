/* products_bf16.c: the products of bfloat16 for AVX-512: register tiles of 12 rows by 2 vectors. */
#include "vec_avx512.h"

#define TILE_ROWS 12
#define TILE_VECS 2
#define PAIR_HEADER "pair_widen.h"
#include "tile_bf16.tmpl.h"

#include "conv_bf16.tmpl.h"
