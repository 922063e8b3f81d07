/* guided.h: guidance: one field put together of others.
 *
 *   eps = (1+w) eps_main - w eps_other     where low < sigma/alpha <= high (Kynkaanniemi et al. 2024), eps_main elsewhere
 *   eps <- eps - sigma gradient            gradient = sum of scale grad log p(y | x_t)
 * and x_0 in step with it. main is with a class, say; other the same without (Ho & Salimans 2022, eq. 6) or a weaker model
 * (Karras et al. 2024, autoguidance). Fields of networks and of exact laws alike.
 */
#ifndef EBB_GUIDED_H
#define EBB_GUIDED_H

#include "diffusion/field.h"

/* grad log p(y | x) in x, (n,count), for whatever y. */
typedef struct ebb_lead {
    /* x0: E[x_0|x] by main and other; NULL unless wants_x0. Non-zero: it refuses, and the walk must end. */
    int (*gradient)(void *self, const double *x, const ebb_level *at, const double *x0, double *gradient);
    void *self;
    double scale;
    bool wants_x0;
    bool network;                /* an evaluation of a network, to be counted */
} ebb_lead;
#define EBB_LEADS_MAX 2

typedef struct ebb_guided {
    ebb_field main, other;       /* other.predict NULL: none */
    double w, low, high;         /* high 0: no bound */
    ebb_lead lead[EBB_LEADS_MAX];
    int leads;
    bool mean;                   /* the gradient does not change eps, but is the field's lead, for ancestral samplers */
    double *work;                /* ebb_guided_work() doubles */
    /* ---- found */
    int evaluations;             /* of the last call */
    int refused;                 /* what a lead returned; the walk's `evaluated` must look at it */
} ebb_guided;
size_t ebb_guided_work(int64_t n, int64_t count);
/* EBB_E_ARGUMENT: a weight that is not finite, an interval that is none. */
ebb_status ebb_guided_check(ebb_context *ctx, double w, double low, double high);
/* No divergence and no density: what is guided is the flow of no law (but at w 0 and -1). */
ebb_field ebb_field_guided(ebb_guided *g);

#endif
