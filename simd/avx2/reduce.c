/* reduce.c: the avx2 instance of reduce.tmpl.h. */
#include "vec_avx2.h"

#include "reduce.tmpl.h"
