/* resample.c: the avx512 instance of resample.tmpl.h. */
#include "vec_avx512.h"

#include "resample.tmpl.h"
