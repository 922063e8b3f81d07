/* ddim.c: denoising diffusion implicit models (Song, Meng & Ermon 2021, eq. 12 and 16).
 *
 *   x' = sqrt(alpha_bar') x0 + sqrt(1 - alpha_bar' - s^2) e + s z
 *   s  = eta sqrt((1-alpha_bar')/(1-alpha_bar)) sqrt(1 - alpha_bar/alpha_bar')
 *
 * where e is the noise that x and the clipped x0 imply: x = sqrt(alpha_bar) x0 + sqrt(1-alpha_bar) e. So
 * clipping keeps x on the path between x0 and noise (as in guided-diffusion), and e goes into x0 and x:
 * eta 1 gives exactly the transition of "ddpm".
 */
#include "diffusion/diffusion.h"

#include <math.h>

ebb_transition ebb_transition_ddim(double alpha_bar, double next, double eta)
{
    double s = eta * sqrt((1.0 - next) / (1.0 - alpha_bar) * (1.0 - alpha_bar / next));
    double keep_x = sqrt(fmax(1.0 - next - s * s, 0.0) / (1.0 - alpha_bar));
    return (ebb_transition){
        .alpha_bar = alpha_bar,
        .keep_x0 = sqrt(next) - sqrt(alpha_bar) * keep_x,
        .keep_x = keep_x,
        .noise = s,
    };
}

int ebb_sample_ddim(const ebb_sampler_args *args, const ebb_denoiser *denoiser)
{
    return ebb_chain_run(args, denoiser, ebb_transition_ddim);
}
