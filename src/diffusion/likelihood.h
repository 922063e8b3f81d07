/* likelihood.h: the log-likelihood that a field gives to data, by the probability flow.
 *
 * dx/dt = v(x,t) carries the law of the prior into that of the model, and along it log p changes by -div v (Chen et al.
 * 2018; Song et al. 2021, eq. 39):
 *   log p_0(x) = log prior(x_T) + integral of div v from the least time to the end,
 *   v = c x + g^2/(2 sigma) eps_hat = (alpha'/alpha) x + (sigma' - sigma alpha'/alpha) eps_hat.
 * With an exact score it is the density of the flow that starts from the prior, which differs from the process's own by what
 * the process does not forget of its start.
 */
#ifndef EBB_LIKELIHOOD_H
#define EBB_LIKELIHOOD_H

#include "diffusion/field.h"

typedef struct ebb_likelihood {
    const ebb_process *process;
    const ebb_field *field;      /* with divergence */
    double rtol, atol;           /* of a step; 0: 1e-5 */
    double from, to;             /* times; to 0: ebb_likelihood_ends */
    /* After each evaluation, with the part of the way that the rows have gone on average; non-zero stops. NULL: none. */
    int (*evaluated)(void *user, double done);
    void *user;
    int64_t nfe;                 /* found: evaluations of the field */
    int64_t *row_nfe;            /* (n) evaluations that each row needed; NULL: not wanted */
    double *prior, *delta;       /* (n) found: the two terms of log p, in nats; NULL: not wanted */
} ebb_likelihood;

/* Doubles of work for n rows of count numbers. */
size_t ebb_likelihood_work(int64_t n, int64_t count);
/* x (field->n, field->count): data, becomes the latent x_T; logp (n) in nats. Each row's result is a function of that row
 * alone. Errors of ebb_ode_solve. */
ebb_status ebb_likelihood_solve(ebb_context *ctx, ebb_likelihood *l, double *x, double *logp, double *work);

/* Where likelihoods begin and end: least and end of the process; an end that keeps nothing of the picture is approached
 * until alpha is 1e-5. */
void ebb_likelihood_ends(const ebb_process *p, double *from, double *to);
/* log N(x; 0, std^2 I) of count numbers. */
double ebb_normal_log_density(const double *x, int64_t count, double std);

/* A density of values spread evenly over `levels` cells of [low,high) gives the levels' own bits a number when this is
 * added: log2(levels/(high - low)), 7 for bytes in [-1,1), 8 in [0,1). */
double ebb_bits_offset(double low, double high, int levels);
double ebb_bits_per_dim(double logp, int64_t count, double offset);

#endif
