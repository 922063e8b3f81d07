/* products_bf16.c: the products of bfloat16 for NEON: register tiles of 6 rows by 4 vectors. */
#include "vec_neon.h"

#define TILE_ROWS 6
#define TILE_VECS 4
#define PAIR_HEADER "pair_widen.h"
#include "tile_bf16.tmpl.h"

#include "conv_bf16.tmpl.h"
