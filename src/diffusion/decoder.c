/* decoder.c: the mass that a normal law gives to a grey level of a picture in [-1,1] (Ho et al. 2020, eq. 13).
 *
 * Level x owns [x - 1/255, x + 1/255]; black and white own all that lies beyond, so that the 256 masses sum to 1. Far from
 * the mean the mass is a difference of two tails, which keeps its digits as logarithms.
 */
#include <math.h>

#include "diffusion/elbo.h"

#define HALF (1.0 / 255)
#define EDGE 0.999               /* beyond: black or white */

/* log of the normal law's mass above z. */
static double log_tail(double z)
{
    double inverse = 1 / (z * z);
    if (z < 25)
        return log(0.5 * erfc(z * 0.70710678118654752440));
    /* Mills' ratio; the next term is below 1e-8. */
    return -0.5 * z * z - log(z * 2.50662827463100050242) + log1p(inverse * (-1 + inverse * (3 - 15 * inverse)));
}

/* log(mass between a and b), a < b: on the side where both tails are small. */
static double log_between(double a, double b)
{
    if (a + b < 0)
        return log_between(-b, -a);
    if (a < 1)
        return log(0.5 * (erfc(a * 0.70710678118654752440) - erfc(b * 0.70710678118654752440)));
    return log_tail(a) + log1p(-exp(log_tail(b) - log_tail(a)));
}

/* Page's approximation of the mass below z. */
static double page(double z)
{
    return 0.5 * (1 + tanh(0.79788456080286535588 * (z + 0.044715 * z * z * z)));
}

double ebb_decoder_log_mass(double x, double mean, double std, bool tanh_form, double floor)
{
    double low = (x - HALF - mean) / std, high = (x + HALF - mean) / std, least = floor > 0 ? log(floor) : -INFINITY;
    bool black = x < -EDGE, white = x > EDGE;
    if (tanh_form)
        return fmax(least, log(fmax(0, black ? page(high) : white ? 1 - page(low) : page(high) - page(low))));
    return fmax(least, black ? log_tail(-high) : white ? log_tail(low) : log_between(low, high));
}

double ebb_decoder_nats(ebb_decoder d, const double *x, const double *mean, double variance, int64_t count)
{
    double sum = 0, std = sqrt(variance);
    for (int64_t i = 0; i < count; i++) {
        if (d == EBB_DECODER_DENSITY)
            sum += ebb_elbo_density(variance, (x[i] - mean[i]) * (x[i] - mean[i]), 1);
        else
            sum -= ebb_decoder_log_mass(x[i], mean[i], std, d == EBB_DECODER_TANH, d == EBB_DECODER_TANH ? 1e-12 : 0);
    }
    return sum;
}
