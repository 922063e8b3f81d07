/* field.h: what a sampler, a likelihood or an experiment asks of a model, whatever it is: a trained network or an exact
 * law. All in double; a network computes in float inside.
 *
 * Rows are samples: x (n,count); at (n): the level of each row, since adaptive methods take each sample at its own pace.
 */
#ifndef EBB_FIELD_H
#define EBB_FIELD_H

#include "diffusion/process.h"

typedef struct ebb_field {
    int64_t n, count;
    /* eps = -sigma * score and x0 = E[x_0|x], (n,count) each, guidance applied; either may be NULL. They are two forms
     * of one thing, x = alpha x0 + sigma eps, but where alpha or sigma is 0 only one gives the other. */
    void (*predict)(void *self, const double *x, const ebb_level *at, double *eps, double *x0);
    /* The score itself; NULL: -eps/sigma. Exact laws have one, also where sigma is 0. */
    void (*score)(void *self, const double *x, const ebb_level *at, double *score);
    /* eps and its divergence in x, (n), exact or an estimate by probes that self holds; NULL: none. */
    void (*divergence)(void *self, const double *x, const ebb_level *at, double *eps, double *div);
    /* log p_t(x), (n); NULL: not known. */
    void (*log_density)(void *self, const double *x, const ebb_level *at, double *logp);
    /* After predict: the network's second output v (n,count), which places log variances between the posterior's and
     * beta: v = -1 posterior, 1 beta (Nichol & Dhariwal 2021, eq. 15); NULL: not learned. */
    const double *(*variance)(void *self);
    /* After predict: (n,count) by which a step whose noise has some variance moves its mean, mean + variance lead (guide.h);
     * NULL: none. Only ancestral samplers know such steps. */
    const double *(*lead)(void *self);
    /* After predict or score: how many networks, or laws, were asked then; NULL: one. */
    int (*evaluations)(void *self);
    void *self;
    /* out = J'v (n,count), J = dx0/dx of predict's x0 for each row; NULL: none. */
    void (*pullback)(void *self, const double *x, const ebb_level *at, const double *v, double *out);
} ebb_field;

/* score (n,count), by the field's own or -eps/sigma. */
void ebb_field_score(const ebb_field *f, const double *x, const ebb_level *at, double *score);
/* Of the last call of predict or score. */
int ebb_field_evaluations(const ebb_field *f);

#endif
