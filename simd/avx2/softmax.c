/* softmax.c: the avx2 instance of softmax.tmpl.h. */
#include "vec_avx2.h"

#include "softmax.tmpl.h"
