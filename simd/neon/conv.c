/* conv.c: the convolution for NEON: register tiles of 6 rows by 4 vectors. */
#include "vec_neon.h"

#define TILE_ROWS 6
#define TILE_VECS 4
#include "conv.tmpl.h"
