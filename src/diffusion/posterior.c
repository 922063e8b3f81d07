/* posterior.c: the formulas of posterior.h.
 */
#include "diffusion/posterior.h"

#include <math.h>

/* ---- ddpm --------------------------------------------------------------------------------------------------- */

static double before(const ebb_schedule *s, int t)
{
    return t > 0 ? s->alpha_bar[t - 1] : 1.0;
}

static double small_variance(const ebb_schedule *s, int t)
{
    return s->beta[t] * (1.0 - before(s, t)) / (1.0 - s->alpha_bar[t]);
}

ebb_chain_posterior ebb_chain_posterior_at(const ebb_schedule *s, int t)
{
    double beta = s->beta[t], last = before(s, t), rest = 1.0 - s->alpha_bar[t];
    double first = s->steps > 1 ? small_variance(s, 1) : beta;
    return (ebb_chain_posterior){
        .beta = beta,
        .alpha_bar = s->alpha_bar[t],
        .variance = small_variance(s, t),
        .log_variance = log(t > 0 ? small_variance(s, t) : first),
        .variance_large = t > 0 ? beta : first,
        .keep_x0 = beta * sqrt(last) / rest,
        .keep_x = (1.0 - last) * sqrt(1.0 - beta) / rest,
        .keep_eps = beta / sqrt((1.0 - beta) * rest),
        .scale = 1.0 / sqrt(1.0 - beta),
    };
}

/* ---- Ornstein-Uhlenbeck ------------------------------------------------------------------------------------- */

ebb_kernel ebb_ar1_kernel(double a, int k)
{
    double keep = pow(a, k);
    return (ebb_kernel){keep, -expm1(2.0 * k * log(fabs(a)))};
}

double ebb_em_stationary(double gamma)
{
    return gamma > 0 && gamma < 2 ? 1.0 / (1.0 - 0.5 * gamma) : INFINITY;
}

/* The variance is 2 gamma times the sum of (1-gamma)^(2j) over j < k; gamma 2 keeps every term. */
ebb_kernel ebb_em_kernel(double gamma, int k)
{
    double keep = 1.0 - gamma;
    if (gamma == 2 || gamma == 0)
        return (ebb_kernel){k % 2 == 0 || gamma == 0 ? 1.0 : -1.0, 2.0 * gamma * k};
    double grown = keep == 0 ? (k > 0 ? 1.0 : 0.0) : -expm1(2.0 * k * log(fabs(keep)));
    return (ebb_kernel){pow(keep, k), grown / (1.0 - 0.5 * gamma)};
}

ebb_kernel ebb_em_kernel_of(const double *gamma, int k)
{
    ebb_kernel at = {1.0, 0.0};
    for (int j = 0; j < k; j++) {
        double keep = 1.0 - gamma[j];
        at = (ebb_kernel){keep * at.keep, keep * keep * at.variance + 2.0 * gamma[j]};
    }
    return at;
}

ebb_em_posterior ebb_em_posterior_at(ebb_kernel at, double gamma)
{
    double keep = 1.0 - gamma, next = keep * keep * at.variance + 2.0 * gamma;
    return (ebb_em_posterior){
        .keep_x = keep * at.variance / next,
        .keep_x0 = 2.0 * gamma * at.keep / next,
        .a = 1.0 / keep,
        .b_noise = 2.0 * gamma / (keep * sqrt(next)),
        .b_score = 2.0 * gamma / keep,
        .variance = 2.0 * gamma * at.variance / next,
    };
}

double ebb_em_modified_variance(double gamma, double from, double to)
{
    return 2.0 * gamma * (to / from);
}

/* ---- any process ---------------------------------------------------------------------------------------------- */

ebb_kernel ebb_level_kernel(ebb_level s, ebb_level t)
{
    double keep = t.alpha / s.alpha;
    return (ebb_kernel){keep, t.sigma * t.sigma - keep * keep * s.sigma * s.sigma};
}

/* ---- Gaussian data -------------------------------------------------------------------------------------------- */

ebb_gaussian ebb_gaussian_at(ebb_level at, ebb_gaussian data)
{
    return (ebb_gaussian){at.alpha * data.mean, at.alpha * at.alpha * data.variance + at.sigma * at.sigma};
}

double ebb_gaussian_left(ebb_level at, double variance)
{
    double s2 = at.sigma * at.sigma;
    return variance * s2 / (at.alpha * at.alpha * variance + s2);
}

double ebb_gaussian_kl(ebb_gaussian a, ebb_gaussian b)
{
    double u = (a.variance - b.variance) / b.variance, d = a.mean - b.mean;
    return 0.5 * (u - log1p(u) + d * d / b.variance);
}

ebb_gaussian ebb_gaussian_back(ebb_level t, ebb_level s, ebb_gaussian data, double x)
{
    ebb_gaussian prior = ebb_gaussian_at(s, data);
    ebb_kernel k = ebb_level_kernel(s, t);
    double evidence = k.keep * k.keep * prior.variance + k.variance, gain = prior.variance * k.keep / evidence;
    return (ebb_gaussian){prior.mean + gain * (x - k.keep * prior.mean), prior.variance * k.variance / evidence};
}
