/* convert.h: models as pipelines of diffusers and back.
 */
#ifndef EBB_CONVERT_H
#define EBB_CONVERT_H

#include "model/diffusers.h"

#define EBB_DIFFUSERS_VERSION "0.30.0"   /* whose configurations are written */

/* Writes the folder, which must not be there or be empty (diffusers_write.c). notes: an array; what is written otherwise than the
 * recipe says. EBB_E_UNSUPPORTED: what UNet2DModel cannot express, by its key. */
ebb_status ebb_diffusers_write(const ebb_model *model, const char *folder, json_t *notes);

#endif
