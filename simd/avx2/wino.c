/* wino.c: Winograd's convolution for AVX2: register tiles of 6 rows by 2 vectors. */
#include "vec_avx2.h"

#define WINO_ROWS 6
#define WINO_VECS 2
#include "wino.tmpl.h"
