/* norm.c: the specification of group normalisation over one picture (Wu & He 2018), with SiLU and a
 * per-channel shift folded in, and of its adjoint.
 *
 *   u = x + shift, y = act(gamma (u - mean) rstd + beta), rstd = 1/sqrt(var + eps)
 *
 * Association: a sum over pixels is one chain per channel over ascending pixels; the channels of a
 * group are then added in ascending order. Two passes: the mean, then the squares around it. u is never
 * formed: u - mean is x - centre with centre = mean - shift.
 */
#include "instances.h"
#include "scalar.h"

size_t ebb_norm_scratch(const ebb_norm_shape *s)
{
    return 2 * sizeof(float) * (size_t)s->groups;
}

static float channel_sum(const ebb_norm_shape *s, const float *x)
{
    float sum = 0.0f;
    for (size_t p = 0; p < (size_t)s->pixels; p++)
        sum += x[p * s->channels];
    return sum;
}

static float channel_squares(const ebb_norm_shape *s, const float *x, float centre)
{
    float sum = 0.0f;
    for (size_t p = 0; p < (size_t)s->pixels; p++) {
        float d = x[p * s->channels] - centre;
        sum = fmaf(d, d, sum);
    }
    return sum;
}

static float shift_of(const float *shift, int c) { return shift ? shift[c] : 0.0f; }

static void group_stats(const ebb_norm_shape *s, int g, float stats[2], const float *x, const float *shift)
{
    int width = s->channels / s->groups, begin = g * width, end = begin + width;
    float pixels = (float)s->pixels, count = pixels * (float)width;
    float sum = 0.0f, squares = 0.0f;

    for (int c = begin; c < end; c++)
        sum += fmaf(pixels, shift_of(shift, c), channel_sum(s, x + c));
    stats[0] = sum / count;
    for (int c = begin; c < end; c++)
        squares += channel_squares(s, x + c, stats[0] - shift_of(shift, c));
    stats[1] = 1.0f / sqrtf(squares / count + s->eps);
}

void ebb_norm_f32_c(const ebb_norm_shape *s, float *y, float *stats, const float *x, const float *shift,
                    const float *gamma, const float *beta)
{
    int width = s->channels / s->groups;
    for (int g = 0; g < s->groups; g++)
        group_stats(s, g, stats + 2 * g, x, shift);
    for (int c = 0; c < s->channels; c++) {
        const float *group = stats + 2 * (c / width);
        float centre = group[0] - shift_of(shift, c), gain = gamma[c] * group[1];
        for (size_t i = c; i < (size_t)s->pixels * s->channels; i += s->channels) {
            float z = fmaf(x[i] - centre, gain, beta[c]);
            y[i] = s->silu ? silu_scalar(z) : z;
        }
    }
}

/* dz = dy * act'(z), kept in dx; returns the sums over pixels of dz and of dz * (u - mean). */
static void channel_dz(const ebb_norm_shape *s, int c, float *dx, const float *x, const float *dy,
                       float centre, float gain, float beta, float sums[2])
{
    sums[0] = sums[1] = 0.0f;
    for (size_t i = c; i < (size_t)s->pixels * s->channels; i += s->channels) {
        float d = x[i] - centre;
        float dz = s->silu ? dy[i] * silu_slope_scalar(fmaf(d, gain, beta)) : dy[i];
        sums[0] += dz;
        sums[1] = fmaf(dz, d, sums[1]);
        dx[i] = dz;
    }
}

/* dx = gain dz - rstd mean(gamma dz) - d rstd^3 mean(gamma dz d), d = u - mean; means over the group.
 * Returns the sum over pixels of dx. */
static float channel_dx(const ebb_norm_shape *s, int c, float *dx, const float *x, float centre, float gain,
                        float offset, float slope)
{
    float sum = 0.0f;
    for (size_t i = c; i < (size_t)s->pixels * s->channels; i += s->channels) {
        float d = x[i] - centre;
        dx[i] = fmaf(gain, dx[i], fmaf(-d, slope, -offset));
        sum += dx[i];
    }
    return sum;
}

void ebb_norm_vjp_f32_c(const ebb_norm_shape *s, float *dx, float *dshift, float *dgamma, float *dbeta,
                        const float *x, const float *shift, const float *dy, const float *stats,
                        const float *gamma, const float *beta, void *scratch)
{
    int width = s->channels / s->groups;
    float count = (float)s->pixels * (float)width;
    (void)scratch;

    for (int g = 0; g < s->groups; g++) {
        float mean = stats[2 * g], rstd = stats[2 * g + 1], total = 0.0f, moment = 0.0f;
        for (int c = g * width; c < (g + 1) * width; c++) {
            float sums[2];
            channel_dz(s, c, dx, x, dy, mean - shift_of(shift, c), gamma[c] * rstd, beta[c], sums);
            dbeta[c] += sums[0];
            dgamma[c] = fmaf(sums[1], rstd, dgamma[c]);
            total = fmaf(gamma[c], sums[0], total);
            moment = fmaf(gamma[c], sums[1], moment);
        }
        float offset = rstd * (total / count), slope = rstd * rstd * rstd * (moment / count);
        for (int c = g * width; c < (g + 1) * width; c++) {
            float sum = channel_dx(s, c, dx, x, mean - shift_of(shift, c), gamma[c] * rstd, offset, slope);
            if (dshift)
                dshift[c] = sum;
        }
    }
}
