/* speed.h: a job that is timed, for what ebb_speed measures.
 */
#ifndef EBB_SPEED_H
#define EBB_SPEED_H

#include "model/report.h"

#define EBB_TIMING_MAX 10000     /* steps */

typedef struct ebb_timing {
    ebb_context *ctx;
    int warm_up, steps_min;      /* not timed; timed at least */
    double seconds_min;          /* of timed ones together */
    bool profile;
    /* of the job */
    ebb_status (*step)(void *self);
    void *self;
    ebb_plan *plan;
    int workers;                 /* threads */
    int evaluations;             /* sampling: of the network, for each picture */
    /* out */
    double *seconds;             /* (EBB_TIMING_MAX) of each timed step, sorted: the caller's */
    int steps;
    json_t *report;              /* of the profile */
} ebb_timing;

/* (timing.c) */
ebb_status ebb_timing_run(ebb_timing *timing);
/* Whole sampling runs of train_batch pictures, by the recipe's sampler and random weights (speed_sample.c). */
ebb_status ebb_speed_sampling(ebb_context *ctx, const ebb_recipe *recipe, ebb_timing *timing);

#endif
