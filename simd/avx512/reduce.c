/* reduce.c: the avx512 instance of reduce.tmpl.h. */
#include "vec_avx512.h"

#include "reduce.tmpl.h"
