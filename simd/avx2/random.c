/* random.c: the avx2 instance of random.tmpl.h. */
#include "vec_avx2.h"

#include "random.tmpl.h"
