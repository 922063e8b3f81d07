/* resample.c: the avx2 instance of resample.tmpl.h. */
#include "vec_avx2.h"

#include "resample.tmpl.h"
