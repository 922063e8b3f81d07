/* posterior.h: laws of the chains in closed form: the step back given the start, chains of Ornstein-Uhlenbeck, and what
 * Gaussian data become.
 *
 * Everything here is one-dimensional or isotropic: means are factors, variances are numbers a dimension.
 */
#ifndef EBB_POSTERIOR_H
#define EBB_POSTERIOR_H

#include "diffusion/process.h"

/* ---- q(x_{t-1} | x_t, x_0) of the chain ddpm (Ho et al. 2020, eqs. 6, 7, 11) ------------------------------------ */
typedef struct ebb_chain_posterior {
    double beta, alpha_bar;
    double variance;             /* beta (1 - abar_{t-1})/(1 - abar_t); 0 at t = 0 ("fixed small") */
    double log_variance;         /* its logarithm; at t = 0 that of t = 1 instead of -infinity */
    double variance_large;       /* beta; at t = 0 the posterior's of t = 1 ("fixed large" of public code) */
    double keep_x0, keep_x;      /* mean = keep_x0 x_0 + keep_x x_t */
    double keep_eps;             /* mean = scale x_t - keep_eps eps */
    double scale;                /* 1/sqrt(1 - beta); infinite, as keep_eps, after zero terminal SNR */
} ebb_chain_posterior;
/* 0 <= t < steps. A chain of one step has no t = 1: then t = 0 has beta in its place. */
ebb_chain_posterior ebb_chain_posterior_at(const ebb_schedule *s, int t);

/* ---- chains whose limit is (about) N(0,1) ----------------------------------------------------------------------- */
/* X_k given X_0: keep X_0 + sqrt(variance) noise. */
typedef struct ebb_kernel { double keep, variance; } ebb_kernel;
/* AR(1): X_{k+1} = a X_k + sqrt(1 - a^2) Z; its limit is N(0,1) exactly. */
ebb_kernel ebb_ar1_kernel(double a, int k);
/* Euler-Maruyama of dx = -x dt + sqrt(2) dw: X_{k+1} = (1 - gamma) X_k + sqrt(2 gamma) Z. */
ebb_kernel ebb_em_kernel(double gamma, int k);
/* The same with steps gamma[0..k-1]. */
ebb_kernel ebb_em_kernel_of(const double *gamma, int k);
/* Variance of its limit, 1/(1 - gamma/2); 0 < gamma < 2, else infinite. */
double ebb_em_stationary(double gamma);

/* X_k given X_{k+1} = (1 - gamma) X_k + sqrt(2 gamma) Z and X_0, exactly (De Bortoli's chain, without expansion in gamma):
 *   mean = keep_x X_{k+1} + keep_x0 X_0 = a X_{k+1} - b_noise z = a X_{k+1} + b_score score
 * where X_{k+1} = (keep of k+1) X_0 + (its deviation) z and score = -z/(its deviation). */
typedef struct ebb_em_posterior { double keep_x, keep_x0, a, b_noise, b_score, variance; } ebb_em_posterior;
/* at: the kernel of X_k; gamma: of the step from k to k+1. */
ebb_em_posterior ebb_em_posterior_at(ebb_kernel at, double gamma);
/* Variance of the modified Euler-Maruyama step from time `from` back to `to` = from - gamma: 2 gamma to/from, as of a
 * bridge (Durham & Gallant 2002). */
double ebb_em_modified_variance(double gamma, double from, double to);

/* ---- any process --------------------------------------------------------------------------------------------------- */
/* x_t given x_s, s less noisy than t. */
ebb_kernel ebb_level_kernel(ebb_level s, ebb_level t);

/* ---- Gaussian data N(mean, variance) -------------------------------------------------------------------------------- */
typedef struct ebb_gaussian { double mean, variance; } ebb_gaussian;
/* The law of x_t. */
ebb_gaussian ebb_gaussian_at(ebb_level at, ebb_gaussian data);
/* Var(x_0 | x_t): what is left to know about the picture. */
double ebb_gaussian_left(ebb_level at, double variance);
/* KL(a || b) in nats. */
double ebb_gaussian_kl(ebb_gaussian a, ebb_gaussian b);
/* x_s given x_t = x: mean and variance, by Bayes. s less noisy than t. */
ebb_gaussian ebb_gaussian_back(ebb_level t, ebb_level s, ebb_gaussian data, double x);

#endif
