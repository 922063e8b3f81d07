/* latent.h: a job of encoding or decoding: what is asked, and how it is decoded.
 */
#ifndef EBB_LATENT_H
#define EBB_LATENT_H

#include "diffusion/sampler.h"
#include "sample/field.h"
#include "sample/guided.h"

typedef struct ebb_latent_job {
    ebb_latent_options o;        /* filled in */
    bool encode;
    int64_t n, numbers;
    ebb_model *model;
    const ebb_sampler *sampler;  /* that decodes; NULL: the integration of the flow */
    ebb_sampler_settings set;
    ebb_grid grid;               /* of the sampler */
    ebb_eval_way way;
} ebb_latent_job;

/* Checks the options and what is given (pixels or codes), and fills in what is left open. model, encode, n and numbers are
 * set; options may be NULL. The job's grid is the caller's to free, also on failure. */
ebb_status ebb_latent_settle(ebb_context *ctx, ebb_latent_job *job, const ebb_latent_options *options, const float *pixels,
                             const double *codes);

#endif
