/* random.c: the neon instance of random.tmpl.h. */
#include "vec_neon.h"

#include "random.tmpl.h"
