/* softmax.c: the avx512 instance of softmax.tmpl.h. */
#include "vec_avx512.h"

#include "softmax.tmpl.h"
