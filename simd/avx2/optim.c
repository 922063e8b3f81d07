/* optim.c: the avx2 instance of optim.tmpl.h. */
#include "vec_avx2.h"

#include "optim.tmpl.h"
