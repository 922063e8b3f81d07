/* kcheck_conv.h: shapes that every generator of convolution cases uses. */
#ifndef EBB_KCHECK_CONV_H
#define EBB_KCHECK_CONV_H

#include "check/kcheck.h"

typedef void kcheck_conv_case(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random);

/* Random small shapes of any channels, kernel, stride and padding, then those of U-Nets. */
void ebb_kcheck_conv_shapes(kcheck *k, const char *name, size_t offset, kcheck_conv_case *one);
const char *ebb_kcheck_conv_text(const ebb_conv_shape *s);

#endif
