/* linear_score.h: score matching of a linear score on a normal law, where every expectation is a closed form.
 *
 * s(x) = A x + b on N(m, C). The three objectives of score matching differ by what does not depend on (A, b), so their
 * gradients are equal:
 *   explicit   E |s - grad log p|^2                          needs the true score
 *   implicit   E |s|^2 + 2 div s                             Hyvarinen 2005: explicit - E |grad log p|^2
 *   denoising  E |s(y) - grad log p(y|x)|^2                  Vincent 2011, y = x + sigma noise: explicit of the law of y
 *                                                            + dim/sigma^2 - E |grad log p(y)|^2
 * Conventions: Hyvarinen's own objective is half of this `implicit`.
 */
#ifndef EBB_LINEAR_SCORE_H
#define EBB_LINEAR_SCORE_H

#include "diffusion/target.h"

typedef struct ebb_linear_score { int dim; const double *a, *b; } ebb_linear_score;    /* (dim,dim), (dim) */
typedef enum ebb_matching { EBB_MATCH_EXPLICIT, EBB_MATCH_IMPLICIT, EBB_MATCH_DENOISING } ebb_matching;

/* The objective over the law (one part) with noise of deviation sigma added, 0: none, which denoising cannot take.
 * gradient (dim,dim) in A, then (dim) in b, or NULL. EBB_E_ARGUMENT: a mixture, another dimension, or a law without a
 * density. */
ebb_status ebb_linear_score_match(ebb_context *ctx, const ebb_linear_score *s, const ebb_target *law, ebb_matching kind,
                                  double sigma, double *value, double *gradient);
/* E |grad log p|^2 of that law: the trace of its inverse covariance. */
double ebb_normal_information(const ebb_target *law, double sigma);

#endif
