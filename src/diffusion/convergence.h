/* convergence.h: the terms of the theorem on the convergence of diffusion models, measured where all of them are known.
 *
 * Chen et al. 2023 (theorem 2): for the reverse SDE of the Ornstein-Uhlenbeck process, in steps h from time T, with scores of
 * Lipschitz constant L that are wrong by epsilon (in L2) and data of second moment m^2 in d dimensions,
 *   TV(output, data) <~ sqrt(KL(law of X_T || N(0,1)))  +  (L sqrt(d h) + L m h) sqrt(T)  +  epsilon sqrt(T):
 * not started from the true end, not integrated exactly, not told the true score. (Slides drop L.) Over normal data on a line
 * the output's law is exact, and so is the distance.
 */
#ifndef EBB_CONVERGENCE_H
#define EBB_CONVERGENCE_H

#include "diffusion/gaussian.h"

typedef struct ebb_convergence {
    double end, error;           /* given: T; what is added to the score */
    int steps;                   /* given: of length h = T/steps */
    double h, lipschitz, moment; /* found: L = largest 1/variance on the way; m */
    double start, step, score;   /* found: the three terms */
    double bound;                /* their sum */
    double tv;                   /* between the output's law and the data's */
} ebb_convergence;
/* law: normal, on a line, of a variance above 0. */
ebb_status ebb_convergence_measure(ebb_context *ctx, const ebb_target *law, ebb_convergence *row);

#endif
