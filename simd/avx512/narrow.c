/* narrow.c: the avx512 instance of narrow.tmpl.h. */
#include "vec_avx512.h"

#include "narrow.tmpl.h"
