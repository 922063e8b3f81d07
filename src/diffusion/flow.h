/* flow.h: the probability flow, an ordinary differential equation whose solutions have the process's laws at each t.
 *
 * dx/dt = c(t) x - g(t)^2/2 score (Song et al. 2021, eq. 13) in a form that holds from pure noise to data:
 *   dx/dt = alpha'(t) x0 + sigma'(t) eps,
 * with the estimates x0, eps of the field. Chains, whose slopes jump from timestep to timestep, run in lambda =
 * log(alpha/sigma) instead of t: the curve is the same. Backwards it decodes x_T to x_0, forwards it encodes.
 *
 * So the flow makes a model a normalizing flow (Chen et al. 2018): an invertible map between pictures and standard normal
 * codes, whose log-density is known (likelihood.h). Unlike that of a flow trained as one, the map does not depend on the
 * network but on the law of the data alone: any two perfect models of it give a picture the same code (Song et al. 2021,
 * sec. 4.3, "uniquely identifiable encoding").
 */
#ifndef EBB_FLOW_H
#define EBB_FLOW_H

#include "diffusion/field.h"

/* Adaptive integration by ode.h: each row as fine as it needs. */
typedef struct ebb_flow {
    const ebb_process *process;
    const ebb_field *field;
    double rtol, atol;           /* of a step; 0: 1e-5 */
    int64_t nfe;                 /* found: evaluations of the field */
    int64_t *row_nfe;            /* (n) evaluations that each row needed; NULL: not wanted */
    /* After each evaluation of the field, with the part of the way that rows have gone, 0 to 1; non-zero stops. NULL: none. */
    int (*evaluated)(void *user, double done);
    void *user;
} ebb_flow;
/* Doubles of work for n rows of count numbers. */
size_t ebb_flow_work(int64_t n, int64_t count);
/* x (field->n, field->count) in place, from one time to another (of a chain: timesteps, any real number between). Errors
 * of ebb_ode_solve. */
ebb_status ebb_flow_solve(ebb_context *ctx, ebb_flow *flow, double from, double to, double *x, double *work);
/* The time of the noise: the end, or of a chain that ends in pure noise, where lambda is infinite, the timestep before. */
double ebb_flow_end(const ebb_process *p);
/* From data (at t = least_sample) to noise (at ebb_flow_end), and back. */
ebb_status ebb_flow_encode(ebb_context *ctx, ebb_flow *flow, double *x, double *work);
ebb_status ebb_flow_decode(ebb_context *ctx, ebb_flow *flow, double *x, double *work);

/* The derivatives of alpha and sigma there, in t or, for a chain, in lambda. */
void ebb_flow_rates(const ebb_process *p, ebb_level at, double *alpha, double *sigma);

#endif
