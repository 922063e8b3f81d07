/* sampling.h: a sampling job: plan and buffers made first, then run.
 */
#ifndef EBB_SAMPLING_H
#define EBB_SAMPLING_H

#include "model/model.h"

typedef struct ebb_sampling ebb_sampling;
/* Checks the options and allocates all that running needs. The model must outlive the job. */
ebb_status ebb_sampling_create(ebb_context *ctx, ebb_model *model, const ebb_sample_options *options,
                               ebb_sampling **out);
ebb_status ebb_sampling_run(ebb_sampling *sampling, float *pixels);
/* For measuring: the network's plan, and its evaluations for each picture. */
ebb_plan *ebb_sampling_plan(ebb_sampling *sampling);
int ebb_sampling_steps(const ebb_sampling *sampling);
void ebb_sampling_free(ebb_sampling *sampling);

#endif
