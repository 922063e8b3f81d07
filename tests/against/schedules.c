/* schedules.c: tables of the discrete chains, levels of the grids.
 */
#include "against/refs.h"

void refs_schedules(refs *r)
{
    refs_claim_note(r, "note");
}
