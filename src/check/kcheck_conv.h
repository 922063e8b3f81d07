/* kcheck_conv.h: shapes that every generator of convolution cases uses. */
#ifndef EBB_KCHECK_CONV_H
#define EBB_KCHECK_CONV_H

#include "check/kcheck.h"

typedef void kcheck_conv_case(kcheck *k, const char *name, size_t offset, const ebb_conv_shape *s, uint64_t random);

/* 200 random shapes, then the known ones, a case each. */
typedef struct kcheck_conv_list {
    ebb_conv_shape (*random)(kcheck *k);
    const ebb_conv_shape *known;
    size_t count;
} kcheck_conv_list;
void ebb_kcheck_conv_each(kcheck *k, const char *name, size_t offset, const kcheck_conv_list *list,
                          kcheck_conv_case *one);
/* With random small shapes of any channels, kernel, stride and padding, then those of U-Nets. */
void ebb_kcheck_conv_shapes(kcheck *k, const char *name, size_t offset, kcheck_conv_case *one);
/* Any of the channels that meet vectors and panels at their edges. */
int ebb_kcheck_conv_channels(kcheck *k);
const char *ebb_kcheck_conv_text(const ebb_conv_shape *s);

#endif
