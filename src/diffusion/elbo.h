/* elbo.h: the variational bound of -log p(x_0), term by term, for chains and in continuous time.
 *
 *   -log p(x_0) <= L_T + sum over t >= 1 of L_t + L_0                                 (Ho et al. 2020, eq. 5)
 *   L_T = KL(q(x_T | x_0) || prior)
 *   L_t = E KL(q(x_(t-1) | x_t, x_0) || p(x_(t-1) | x_t)), p normal with the mean of q at x_0 = x0_hat and a variance of
 *         variances.def
 *   L_0 = -E log p(x_0 | x at the least time), normal around x0_hat, as density or mass of a grey level: decoders.def
 * With ever more steps the sum becomes (Kingma et al. 2021, eqs. 17, 18; Song, Durkan et al. 2021, eq. 8)
 *   integral of g^2/(2 sigma^2) E|eps - eps_hat|^2 dt = integral of E|eps - eps_hat|^2 d(-lambda),
 * and then L_0 has the variance sigma^2/alpha^2 of the least time, so that it is D/2 log(2 pi sigma^2/alpha^2) + |eps -
 * eps_hat|^2/2 as a density. A bound for any network: the law it bounds is that of the backward process from the prior to
 * the least time and one such normal step to the data. That is not the law of the probability flow (likelihood.h): where
 * a network knows its scores well, the flow's value lies below the bound, but nothing makes it. Counts in nats.
 */
#ifndef EBB_ELBO_H
#define EBB_ELBO_H

#include "diffusion/field.h"

typedef enum ebb_variance {
#define VARIANCE(id, name, help) EBB_VARIANCE_##id,
#include "diffusion/variances.def"
#undef VARIANCE
    EBB_VARIANCES
} ebb_variance;
const char *ebb_variance_name(ebb_variance v);
const char *ebb_variance_help(ebb_variance v);
ebb_variance ebb_variance_find(const char *name);          /* EBB_VARIANCES: unknown */

typedef enum ebb_decoder {
#define DECODER(id, name, bytes, help) EBB_DECODER_##id,
#include "diffusion/decoders.def"
#undef DECODER
    EBB_DECODERS
} ebb_decoder;
const char *ebb_decoder_name(ebb_decoder d);
const char *ebb_decoder_help(ebb_decoder d);
bool ebb_decoder_bytes(ebb_decoder d);
ebb_decoder ebb_decoder_find(const char *name);            /* EBB_DECODERS: unknown */

/* ---- one term (elbo.c, decoder.c) ---------------------------------------------------------------------------- */
/* A backward step of a chain, t -> t-1, or of t = 0 to the data. */
typedef struct ebb_elbo_law {
    double keep_x0;              /* of x0_hat in its mean */
    double posterior;            /* of q; 0 at t = 0 */
    double variance[EBB_VARIANCES];    /* learned: NaN */
} ebb_elbo_law;
ebb_elbo_law ebb_elbo_step_law(const ebb_process *p, int t);
/* L_t, t >= 1, of `count` numbers; squares: |x_0 - x0_hat|^2, or its expectation. */
double ebb_elbo_step(const ebb_elbo_law *law, double variance, double squares, int64_t count);
/* The variance that makes the mean of L_t least where the mean of squares is that: fitted to data (Bao et al. 2022, eq. 6). */
double ebb_elbo_best_variance(const ebb_elbo_law *law, double squares, int64_t count);
/* L_T; squares: |x_0|^2. */
double ebb_elbo_prior(const ebb_process *p, ebb_level end, double squares, int64_t count);
/* L_0 as a density. */
double ebb_elbo_density(double variance, double squares, int64_t count);
/* log of the mass of grey level x under N(mean, std^2). floor: at least its logarithm; 0: none. */
double ebb_decoder_log_mass(double x, double mean, double std, bool tanh_form, double floor);
/* -log of what that decoder says of x (count) around mean. */
double ebb_decoder_nats(ebb_decoder d, const double *x, const double *mean, double variance, int64_t count);

/* ---- estimates over a field (elbo_estimate.c) ------------------------------------------------------------------ */
/* Per row one x_t for L_0 and one for each of `times` others: steps drawn, or points between the ends, one out of each of
 * as many equal parts of the way in lambda (stratified: unbiased). */
typedef struct ebb_elbo {
    const ebb_process *process;
    const ebb_field *field;
    ebb_decoder decoder;
    ebb_variance variance;       /* of `term`; chains only */
    bool clip;                   /* keep x0_hat in [-1,1] */
    int64_t times;               /* at least 1; a chain's steps - 1: each step once, none drawn */
    /* (n,count) standard normal numbers, (n) uniform ones of [0,1), of draw 0 .. times. */
    void (*normal)(void *random, int64_t draw, double *z);
    void (*uniform)(void *random, int64_t draw, double *u);
    void *random;
    int (*evaluated)(void *user, double done);   /* after each evaluation; non-zero stops. NULL: none */
    void *user;
    /* found, in nats; all (n) times what is said */
    double *prior;               /* L_T */
    double *first;               /* (variances) L_0; continuous time: all alike */
    double *steps;               /* (variances) the sum, or its estimate; learned: 0 where the field has none */
    double *term;                /* (times) what adds up to the sum for `variance` */
    double *at;                  /* (times) t of each; NULL: not wanted */
    double *squares;             /* (times) |x_0 - x0_hat|^2; NULL: not wanted */
    int64_t nfe;
} ebb_elbo;
/* Whether each step of that chain would be taken once. */
bool ebb_elbo_takes_all(const ebb_process *p, int64_t times);
size_t ebb_elbo_work(const ebb_process *p, int64_t n, int64_t count);
/* x (field->n, field->count): data, grey levels or values as the decoder wants them. EBB_E_ARGUMENT: stopped. */
ebb_status ebb_elbo_estimate(ebb_context *ctx, ebb_elbo *e, const double *x, double *work);

#endif
