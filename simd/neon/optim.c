/* optim.c: the neon instance of optim.tmpl.h. */
#include "vec_neon.h"

#include "optim.tmpl.h"
