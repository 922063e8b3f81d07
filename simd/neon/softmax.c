/* softmax.c: the neon instance of softmax.tmpl.h. */
#include "vec_neon.h"

#include "softmax.tmpl.h"
