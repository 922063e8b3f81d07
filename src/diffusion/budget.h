/* budget.h: the best few levels out of many, for a budget of evaluations.
 *
 * The one idea (Watson et al. 2021, sec. 3): the ELBO of a chain that uses a subsequence of levels is a sum of terms
 * L(s,t), one for each step t -> s, so that the best subsequence of every length is a shortest path with that many edges:
 * total[k][t] = min_{s<t} total[k-1][s] + L(s,t), by dynamic programming.
 */
#ifndef EBB_BUDGET_H
#define EBB_BUDGET_H

#include "diffusion/process.h"

typedef struct ebb_budget {
    int nodes, most;             /* nodes 0 .. nodes-1, cleanest first; paths of 1 .. most steps */
    double *total;               /* (most+1): least sum over paths from nodes-1 to 0 in k steps; [0] unused */
    int *from;                   /* (most+1, nodes): the node that the best path of k steps takes after t */
} ebb_budget;
/* cost(self, s, t), s < t: of the step from node t to node s; +infinity forbids it, NaN is refused. nodes <= 4096. */
ebb_status ebb_budget_create(ebb_context *ctx, int nodes, int most, double (*cost)(void *self, int s, int t), void *self,
                             ebb_budget *out);
void ebb_budget_free(ebb_budget *b);
/* The nodes of the best path: node (steps+1), from nodes-1 down to 0. 1 <= steps <= most. */
void ebb_budget_path(const ebb_budget *b, int steps, int *node);

/* The terms for data N(m, variance), a number each, and the exact network: nats a dimension. level[0] is the cleanest. With
 * V = Var(x_0|x_t), the posterior's variance p, its factor c of x_0 and the variance w of the reverse step,
 *   L = (log(w/p) - 1 + (p + c^2 V)/w)/2, and into a clean level (log(2 pi w) + V/w)/2.
 * w is what the process adds from s to t (DDPM's beta), or with `small` p; into a clean level what it adds in both cases:
 * with the best there, V, one jump from anywhere would be perfect for Gaussian data, and for no other.
 */
typedef struct ebb_gaussian_cost { const ebb_level *level; double variance; bool small; } ebb_gaussian_cost;
double ebb_gaussian_cost_of(void *self, int s, int t);

#endif
