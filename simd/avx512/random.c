/* random.c: the avx512 instance of random.tmpl.h. */
#include "vec_avx512.h"

#include "random.tmpl.h"
