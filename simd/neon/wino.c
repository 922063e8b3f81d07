/* wino.c: Winograd's convolution for NEON: register tiles of 6 rows by 4 vectors. */
#include "vec_neon.h"

#define WINO_ROWS 6
#define WINO_VECS 4
#include "wino.tmpl.h"
