/* narrow.c: the avx2 instance of narrow.tmpl.h. */
#include "vec_avx2.h"

#include "narrow.tmpl.h"
