/* norm.c: the neon instance of norm.tmpl.h. */
#include "vec_neon.h"

#include "norm.tmpl.h"
