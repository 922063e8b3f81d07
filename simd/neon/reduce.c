/* reduce.c: the neon instance of reduce.tmpl.h. */
#include "vec_neon.h"

#include "reduce.tmpl.h"
