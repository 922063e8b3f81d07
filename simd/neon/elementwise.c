/* elementwise.c: the neon instance of elementwise.tmpl.h. */
#include "vec_neon.h"

#include "elementwise.tmpl.h"
