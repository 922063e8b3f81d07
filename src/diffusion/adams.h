/* adams.h: multistep samplers that sum the noise of several levels: y' = y + sum_j W_j eps_j with y = x/alpha.
 *
 * lms.c, deis.c and plms.c differ in the W_j alone, which sum to the change of k = sigma/alpha.
 */
#ifndef EBB_ADAMS_H
#define EBB_ADAMS_H

#include "diffusion/sampler.h"

enum { EBB_ADAMS_ORDER = 4, EBB_ADAMS_BUFFERS = EBB_ADAMS_ORDER + 1 };

/* Weights of the noise at the nodes level[0] (of now), level[-1], ..., level[1-order] for the step to level[1]. */
typedef void (*ebb_adams_weights)(const ebb_walk *w, const ebb_level *level, int order, double *weight);
/* Walks with steps of as many nodes as there are, at most `order`. The step from alpha 0 is Euler's; so is that to
 * sigma 0 where `denoise` says so. */
int ebb_adams_run(ebb_walk *w, int order, bool denoise, ebb_adams_weights weights);
/* x' = alpha'/alpha x + alpha' sum_j weight[j] eps[j], in place. */
void ebb_adams_step(ebb_walk *w, ebb_level t, ebb_level s, int order, const double *weight, double *const *eps);

#endif
