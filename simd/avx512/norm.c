/* norm.c: the avx512 instance of norm.tmpl.h. */
#include "vec_avx512.h"

#include "norm.tmpl.h"
