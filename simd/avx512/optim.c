/* optim.c: the avx512 instance of optim.tmpl.h. */
#include "vec_avx512.h"

#include "optim.tmpl.h"
