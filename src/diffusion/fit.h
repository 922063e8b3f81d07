/* fit.h: mixtures of normal laws fitted to points by maximum likelihood: the other way to a score.
 *
 * Instead of learning grad log p, fit p and differentiate (the "option not pursued" of score-based models): where the family
 * holds the truth it is hard to beat, and it gives a yardstick for trained scores.
 */
#ifndef EBB_FIT_H
#define EBB_FIT_H

#include "diffusion/target.h"

typedef struct ebb_fit {
    int parts;
    int rounds;                  /* of expectation and maximization at most; 0: 200 */
    double tolerance;            /* ends when a round gains less log-likelihood a point; 0: 1e-9 */
    double least;                /* variances at least that share of the data's mean variance; 0: 1e-6 */
    uint64_t seed;               /* of the start */
    /* ---- found */
    int used;                    /* rounds */
    double log_likelihood;       /* a point, in nats, of the law that is returned or one round before */
} ebb_fit;
/* x (n,dim), n at least parts; each part its own class. The likelihood never falls from one round to the next; where it
 * ends depends on the start, which is parts of the points, far from each other (k-means++). */
ebb_status ebb_target_fit(ebb_context *ctx, const double *x, int64_t n, int dim, ebb_fit *fit, ebb_target *out);

#endif
