/* timing.c: the clock over the steps of a job (speed.h): those that warm up are not timed, and at least so many and so long are.
 */
#include <stdlib.h>

#include "study/profile.h"
#include "study/speed.h"
#include "train/dist.h"

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The clock on the wall, over all timed steps, goes into the profile. */
ebb_status ebb_timing_run(ebb_timing *t)
{
    for (int i = 0; i < t->warm_up; i++)
        EBB_TRY(t->step(t->self));
    if (t->profile)
        EBB_TRY(ebb_plan_profile(t->plan));
    double start = ebb_seconds(), last = start;
    for (int more = 1; more && t->steps < EBB_TIMING_MAX;) {
        EBB_TRY(t->step(t->self));
        double now = ebb_seconds();
        t->seconds[t->steps++] = now - last;
        last = now;
        more = t->steps < t->steps_min || last - start < t->seconds_min;
        EBB_TRY(ebb_ranks_any(t->ctx, &more));
    }
    qsort(t->seconds, (size_t)t->steps, sizeof *t->seconds, compare);
    return t->profile ? ebb_profile_report(t->ctx, t->plan, last - start, t->workers, &t->report) : EBB_OK;
}
