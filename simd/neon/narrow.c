/* narrow.c: the neon instance of narrow.tmpl.h. */
#include "vec_neon.h"

#include "narrow.tmpl.h"
