/* guidance.h: classifier-free guidance: how strength is written, and what it does to scores or predictions.
 *
 * One strength has names a one apart (and ebb_guidance_parse, of ebb.h, reads them all). Here it is always w of Ho & Salimans 2022 (eq. 6):
 *   guided = (1+w) conditional - w unconditional,
 * w = -1 unconditional, 0 conditional, > 0 beyond. Others write guided = unconditional + scale (conditional -
 * unconditional), scale = 1+w.
 */
#ifndef EBB_GUIDANCE_H
#define EBB_GUIDANCE_H

#include <stdint.h>

#include "ebb.h"

typedef enum ebb_guidance {
#define GUIDANCE(id, name, scale, offset, help) EBB_GUIDANCE_##id,
#include "diffusion/guidance.def"
#undef GUIDANCE
    EBB_GUIDANCES
} ebb_guidance;
const char *ebb_guidance_name(ebb_guidance kind);          /* NULL: past the end */
const char *ebb_guidance_help(ebb_guidance kind);
ebb_guidance ebb_guidance_find(const char *name);          /* EBB_GUIDANCES: unknown */
/* w of a value in that convention, and the value of a w. */
double ebb_guidance_w(ebb_guidance kind, double value);
double ebb_guidance_value(ebb_guidance kind, double w);

/* guided (count) of scores, noises or clean pictures, all alike since all are linear in the score; guided may be either. */
void ebb_guidance_mix(int64_t count, const double *conditional, const double *unconditional, double w, double *guided);

#endif
