/* sample_job.h: what sampling is asked for, filled in and checked.
 */
#ifndef EBB_SAMPLE_JOB_H
#define EBB_SAMPLE_JOB_H

#include "model/model.h"

typedef struct ebb_sample_job {
    ebb_context *ctx;
    const ebb_model *model;
    ebb_sample_options o;
    int classes;                 /* that can be asked for */
    const ebb_sampler *sampler;
    ebb_sampler_settings set;
    ebb_grid grid;
} ebb_sample_job;
/* ctx and model are set; the caller frees the grid, also on failure. */
ebb_status ebb_sample_settle(ebb_sample_job *job, const ebb_sample_options *options);
/* The class of picture i of the job, or `classes` for none. */
int32_t ebb_sample_label(const ebb_sample_job *job, int64_t i);

#endif
