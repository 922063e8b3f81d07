/* products_bf16.c: the products of bfloat16 for AVX-512 BF16: register tiles of 12 rows by 2 vectors. */
#define EBB_ISA_TAG avx512bf16
#include "vec_avx512.h"

#define TILE_ROWS 12
#define TILE_VECS 2
#define PAIR_HEADER "avx512bf16/pair_dot.h"
#include "tile_bf16.tmpl.h"

#include "conv_bf16.tmpl.h"
