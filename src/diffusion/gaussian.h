/* gaussian.h: laws of samplers that are known exactly, and distances between laws on a line.
 *
 * Over normal data the score is linear, so most samplers are affine in their start and in their noise:
 *   x_0 = a + b x_T + sum_j c_j z_j.
 * The sampler itself is asked for a, b and all c_j, by walking from unit starts and with unit noises; its output is then
 * normal of mean a and variance b^2 prior^2 + sum c_j^2, without sampling and without a copy of its formula.
 */
#ifndef EBB_GAUSSIAN_H
#define EBB_GAUSSIAN_H

#include "diffusion/sampler.h"
#include "diffusion/target.h"

typedef struct ebb_normal { double mean, var; } ebb_normal;

/* What a sampler makes of the exact score of a law, plus a shift. EBB_E_ARGUMENT: law is no normal law on a line, the sampler
 * refuses grid or process, or is not affine (correctors that look at norms, adaptive ones, mala). */
typedef struct ebb_law_of {
    const char *sampler;         /* as ebb_sampler_parse takes it */
    const ebb_process *process;
    const ebb_grid *grid;
    const ebb_target *law;
    double score_shift;          /* added to the score: an error of known size */
} ebb_law_of;
ebb_status ebb_sampler_law(ebb_context *ctx, const ebb_law_of *of, ebb_normal *out);

/* The law's own marginal at a level: alpha m, alpha^2 v + sigma^2. */
ebb_normal ebb_normal_at(const ebb_target *law, double alpha, double sigma);
double ebb_normal_kl(ebb_normal p, ebb_normal q);          /* KL(p||q), nats */
double ebb_normal_w2(ebb_normal p, ebb_normal q);          /* Wasserstein-2 distance */
double ebb_normal_tv(ebb_normal p, ebb_normal q);          /* total variation, 0..1, from the crossings of the densities */

/* Of a law on a line at a level against a normal law, by the trapezoidal rule on `points` between lo and hi. */
typedef struct ebb_line_distance { double kl, tv, mean, var; } ebb_line_distance;
ebb_line_distance ebb_target_to_normal(const ebb_target *law, double alpha, double sigma, ebb_normal q, double lo, double hi,
                                       int points);

#endif
