/* history.h: times drawn by how much each has lately contributed to the bound (Nichol & Dhariwal 2021, sec. 3.3). */
#ifndef EBB_HISTORY_H
#define EBB_HISTORY_H

#include "plan/plan.h"

#define EBB_HISTORY_KEPT 10
typedef struct ebb_history {
    int steps;                   /* of the chain; 0: not in use */
    float *kept;                 /* (steps, 1 + EBB_HISTORY_KEPT): how many losses of this t there are, then those */
    double *upto;                /* (steps): probability of t and all below, of the present training step */
} ebb_history;
ebb_status ebb_history_create(ebb_context *ctx, int steps, ebb_history *out);
void ebb_history_free(ebb_history *h);
/* Settles the probabilities; add puts a loss in, which the next settle sees. */
void ebb_history_settle(ebb_history *h);
void ebb_history_add(ebb_history *h, int t, double loss);
/* t at a uniform number in [0,1), and its probability. */
int ebb_history_draw(const ebb_history *h, double u);
double ebb_history_probability(const ebb_history *h, int t);

#endif
