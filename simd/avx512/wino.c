/* wino.c: Winograd's convolution for AVX-512: register tiles of 12 rows by 2 vectors. */
#include "vec_avx512.h"

#define WINO_ROWS 12
#define WINO_VECS 2
#include "wino.tmpl.h"
