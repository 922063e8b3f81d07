/* elementwise.c: the avx2 instance of elementwise.tmpl.h. */
#include "vec_avx2.h"

#include "elementwise.tmpl.h"
