/* ddpm.c: ancestral sampling (Ho et al. 2020, alg. 2 and eq. 6-7), also on a part of the timesteps.
 *
 * From alpha_bar to the next alpha_bar' (1 at the end), with a = alpha_bar/alpha_bar' and beta = 1 - a, as
 * if the chain had only ever had these timesteps (Nichol & Dhariwal 2021, eq. 19):
 *   mean     = sqrt(alpha_bar') beta/(1-alpha_bar) x0 + sqrt(a) (1-alpha_bar')/(1-alpha_bar) x
 *   variance = (1-alpha_bar')/(1-alpha_bar) beta   ("small", beta-tilde: right for data in one point)
 *           or beta                                ("large": right for normal data)
 * and no noise at the end.
 */
#include "diffusion/diffusion.h"

#include <math.h>

static ebb_transition posterior(double alpha_bar, double next, bool large)
{
    double a = alpha_bar / next, beta = 1.0 - a;
    double small = (1.0 - next) / (1.0 - alpha_bar) * beta;
    return (ebb_transition){
        .alpha_bar = alpha_bar,
        .keep_x0 = sqrt(next) * beta / (1.0 - alpha_bar),
        .keep_x = sqrt(a) * (1.0 - next) / (1.0 - alpha_bar),
        .noise = next < 1.0 ? sqrt(large ? beta : small) : 0.0,
    };
}

ebb_transition ebb_transition_ddpm(double alpha_bar, double next, double eta)
{
    (void)eta;
    return posterior(alpha_bar, next, false);
}

ebb_transition ebb_transition_ddpm_large(double alpha_bar, double next, double eta)
{
    (void)eta;
    return posterior(alpha_bar, next, true);
}

int ebb_sample_ddpm(const ebb_sampler_args *args, const ebb_denoiser *denoiser)
{
    return ebb_chain_run(args, denoiser, ebb_transition_ddpm);
}

int ebb_sample_ddpm_large(const ebb_sampler_args *args, const ebb_denoiser *denoiser)
{
    return ebb_chain_run(args, denoiser, ebb_transition_ddpm_large);
}
