/* resample.c: the neon instance of resample.tmpl.h. */
#include "vec_neon.h"

#include "resample.tmpl.h"
