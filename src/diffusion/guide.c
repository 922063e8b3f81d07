/* guide.c: how the gradient of a classifier moves the mean of a step, or the noise that is predicted (Dhariwal & Nichol 2021).
 *
 * log p(x'|x, class) = log N(x'; mean, variance) + log p(class|x') + const; with the second linear about the mean the sum is
 * a normal law again, of mean + variance gradient. In scores: score + gradient, and eps = -sigma score.
 */
#include "diffusion/guide.h"

#include <math.h>

void ebb_guide_mean(int64_t count, const double *mean, double variance, const double *gradient, double scale,
                    bool literal, double *guided)
{
    double by = scale * (literal ? sqrt(variance) : variance);
    for (int64_t i = 0; i < count; i++)
        guided[i] = mean[i] + by * gradient[i];
}

void ebb_guide_noise(int64_t count, const double *eps, double sigma, const double *gradient, double scale, double *guided)
{
    for (int64_t i = 0; i < count; i++)
        guided[i] = eps[i] - scale * sigma * gradient[i];
}
