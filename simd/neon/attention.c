/* attention.c: attention for NEON: register tiles of 12 rows by 2 vectors. */
#include "vec_neon.h"

#define ATTENTION_ROWS 12
#include "attention.tmpl.h"
