/* elementwise.c: the avx512 instance of elementwise.tmpl.h. */
#include "vec_avx512.h"

#include "elementwise.tmpl.h"
