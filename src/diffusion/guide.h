/* guide.h: a classifier's part in one step of an ancestral sampler.
 */
#ifndef EBB_GUIDE_H
#define EBB_GUIDE_H

#include <stdbool.h>
#include <stdint.h>

/* With gradient = grad log p(class | x) of count numbers each, and a step x' ~ N(mean, variance):
 *   guided = mean + scale variance gradient      (Dhariwal & Nichol 2021, algorithm 1)
 * literal: scale sqrt(variance) gradient, as a lecture prints it: a slip, since completing the square in
 * -(x'-mean)^2/(2 variance) + gradient x' moves the mean by variance gradient. guided may be mean. */
void ebb_guide_mean(int64_t count, const double *mean, double variance, const double *gradient, double scale,
                    bool literal, double *guided);
/* The same for samplers that go by noise: guided = eps - scale sigma gradient (their algorithm 2). guided may be eps. */
void ebb_guide_noise(int64_t count, const double *eps, double sigma, const double *gradient, double scale, double *guided);

#endif
