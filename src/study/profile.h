/* profile.h: the time of a plan's steps as a report.
 */
#ifndef EBB_PROFILE_H
#define EBB_PROFILE_H

#include "plan/plan.h"
#include "format/format.h"

/* {rows: by operation and implementation, the longest first, then what was spent outside of the plan;
 *  steps: each step with its shape}. seconds: by the clock on the wall, while `workers` ran the plan. */
ebb_status ebb_profile_report(ebb_context *ctx, const ebb_plan *plan, double seconds, int workers, json_t **out);

#endif
