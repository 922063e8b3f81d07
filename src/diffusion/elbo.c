/* elbo.c: the terms of the variational bound that are closed forms (elbo.h), and the lists of variances and decoders.
 *
 * KL of two isotropic normal laws of `count` numbers, r = posterior/variance:
 *   count/2 (r - 1 - log r) + |difference of the means|^2/(2 variance).
 */
#include "diffusion/elbo.h"

#include <math.h>
#include <string.h>

#include "diffusion/posterior.h"
#include "diffusion/sampler.h"

/* ---- lists -------------------------------------------------------------------------------------------------- */

static const struct { const char *name, *help; } variances[] = {
#define VARIANCE(id, name, help) {name, help},
#include "diffusion/variances.def"
#undef VARIANCE
};
static const struct { const char *name, *help; bool bytes; } decoders[] = {
#define DECODER(id, name, bytes, help) {name, help, bytes},
#include "diffusion/decoders.def"
#undef DECODER
};

const char *ebb_variance_name(ebb_variance v)
{
    return v < EBB_VARIANCES ? variances[v].name : "";
}

const char *ebb_variance_help(ebb_variance v)
{
    return v < EBB_VARIANCES ? variances[v].help : "";
}

ebb_variance ebb_variance_find(const char *name)
{
    int v = 0;
    while (v < EBB_VARIANCES && strcmp(variances[v].name, name) != 0)
        v++;
    return (ebb_variance)v;
}

const char *ebb_decoder_name(ebb_decoder d)
{
    return d < EBB_DECODERS ? decoders[d].name : "";
}

const char *ebb_decoder_help(ebb_decoder d)
{
    return d < EBB_DECODERS ? decoders[d].help : "";
}

bool ebb_decoder_bytes(ebb_decoder d)
{
    return d < EBB_DECODERS && decoders[d].bytes;
}

ebb_decoder ebb_decoder_find(const char *name)
{
    int d = 0;
    while (d < EBB_DECODERS && strcmp(decoders[d].name, name) != 0)
        d++;
    return (ebb_decoder)d;
}

/* ---- terms --------------------------------------------------------------------------------------------------- */

static ebb_elbo_law law_of(double keep_x0, double posterior, double small, double large, double added)
{
    return (ebb_elbo_law){.keep_x0 = keep_x0, .posterior = posterior,
                          .variance = {[EBB_VARIANCE_SMALL] = small, [EBB_VARIANCE_LARGE] = large,
                                       [EBB_VARIANCE_BETA] = added, [EBB_VARIANCE_LEARNED] = NAN}};
}

/* Behind t = 0 lie the data: alpha 1, sigma 0. */
static ebb_between step_between(const ebb_process *p, int t)
{
    ebb_level clean = {0, 1, 0};
    return ebb_level_between(ebb_process_level(p, t), t > 0 ? ebb_process_level(p, t - 1) : clean);
}

ebb_elbo_law ebb_elbo_step_law(const ebb_process *p, int t)
{
    if (p->kind == EBB_PROCESS_DDPM) {
        ebb_chain_posterior q = ebb_chain_posterior_at(&p->chain, t);
        return law_of(q.keep_x0, q.variance, t > 0 ? q.variance : exp(q.log_variance), q.variance_large, q.beta);
    }
    ebb_between q = step_between(p, t);
    double second = t > 0 ? q.posterior : step_between(p, 1).posterior;
    return law_of(q.keep_x0, q.posterior, second, t > 0 ? q.added : second, q.added);
}

/* r - 1 - log r, for r near 1 too. */
static double excess(double r)
{
    return r - 1 - log1p(r - 1);
}

double ebb_elbo_step(const ebb_elbo_law *law, double variance, double squares, int64_t count)
{
    return 0.5 * ((double)count * excess(law->posterior / variance) + law->keep_x0 * law->keep_x0 * squares / variance);
}

double ebb_elbo_best_variance(const ebb_elbo_law *law, double squares, int64_t count)
{
    return law->posterior + law->keep_x0 * law->keep_x0 * squares / (double)count;
}

double ebb_elbo_prior(const ebb_process *p, ebb_level end, double squares, int64_t count)
{
    double std = ebb_process_prior_std(p), r = end.sigma * end.sigma / (std * std);
    return 0.5 * ((double)count * excess(r) + end.alpha * end.alpha * squares / (std * std));
}

double ebb_elbo_density(double variance, double squares, int64_t count)
{
    return 0.5 * ((double)count * log(2 * 3.14159265358979323846 * variance) + squares / variance);
}
