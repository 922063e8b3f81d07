/* norm.c: the avx2 instance of norm.tmpl.h. */
#include "vec_avx2.h"

#include "norm.tmpl.h"
