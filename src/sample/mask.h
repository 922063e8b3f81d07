/* mask.h: which pixels of a picture are known: by a rule or a picture.
 */
#ifndef EBB_MASK_H
#define EBB_MASK_H

#include "model/model.h"

const char *ebb_mask_name(int i);                          /* NULL: past the end */
const char *ebb_mask_help(int i);
/* text: a rule of masks.def, "box:14x14", or the path of a PNG, white known and black not, of that size or smaller: then what
 * lies around it is known. mask (height,width): 1 known, 0 hidden. */
ebb_status ebb_mask_read(ebb_context *ctx, const char *text, int height, int width, uint64_t seed, uint8_t *mask);

#endif
