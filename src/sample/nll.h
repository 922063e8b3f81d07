/* nll.h: a job of likelihoods: what is asked, what was found for each picture and repeat, and its report.
 */
#ifndef EBB_NLL_H
#define EBB_NLL_H

#include "diffusion/elbo.h"
#include "model/model.h"
#include "model/report.h"

#define EBB_NLL_MOST 4096         /* repeats, probes */

typedef struct ebb_nll_job {
    ebb_nll_options o;           /* filled in */
    bool elbo, exact, normal;    /* the bound; a divergence without probes; probes of normal numbers */
    ebb_variance variance;
    ebb_decoder decoder;
    const ebb_model *model;
    ebb_dataset data;
    char path[2 * EBB_TEXT_MAX]; /* of the data, or how they are made */
    bool labelled;               /* each picture is seen with its class */
    bool spread;                 /* uniform noise between grey levels */
    double offset;               /* bits a number: of a density of pictures */
    int64_t numbers;
    ebb_eval_way way;
    /* Results in nats, row `ebb_nll_row`: (rows) times what is said. */
    int64_t rows;
    double *prior, *delta;       /* ode: two terms of log p */
    int64_t *nfe;                /* ode: evaluations of the field */
    double *first, *steps;       /* elbo: (variances), as ebb_elbo has them; prior: L_T */
    double *term, *squares;      /* elbo: (times); squares: NULL unless each step is taken */
} ebb_nll_job;

/* Checks the options, fills in what is left open and opens the data. model and numbers are set; options may be NULL. */
ebb_status ebb_nll_settle(ebb_context *ctx, ebb_nll_job *job, const ebb_nll_options *options);
/* Of picture i (0 .. n-1) in that repeat. Rows of a shard are neighbours; the last shard of a repeat is padded. */
int64_t ebb_nll_row(const ebb_nll_job *j, int64_t i, int repeat);
ebb_status ebb_nll_report(ebb_context *ctx, const ebb_nll_job *job, char **json);

#endif
