/* norm_loops.h: the specification of group normalisation over one picture (Wu & He 2018), with SiLU and a
 * per-channel shift folded in, and of its adjoint. norm.c makes it for pictures of floats, norm_bf16.c for
 * bfloat16: they say what a `pixel` is, how it is read and how it is written.
 *
 *   u = x + shift, y = act(gamma (u - mean) rstd + beta), rstd = 1/sqrt(var + eps)
 *
 * Association: a sum over pixels is one chain per channel over ascending pixels; the channels of a
 * group are then added in ascending order. Two passes: the mean, then the squares around it. u is never
 * formed: u - mean is x - centre with centre = mean - shift. Everything is f32 until it is written.
 */
#include "instances.h"
#include "scalar.h"

static size_t pixel_stride(const ebb_norm_shape *s) { return (size_t)(s->stride ? s->stride : s->channels); }

static float channel_sum(const ebb_norm_shape *s, const pixel *x)
{
    float sum = 0.0f;
    for (size_t p = 0; p < (size_t)s->pixels; p++)
        sum += get(x[p * pixel_stride(s)]);
    return sum;
}

static float channel_squares(const ebb_norm_shape *s, const pixel *x, float centre)
{
    float sum = 0.0f;
    for (size_t p = 0; p < (size_t)s->pixels; p++) {
        float d = get(x[p * pixel_stride(s)]) - centre;
        sum = fmaf(d, d, sum);
    }
    return sum;
}

static float shift_of(const float *shift, int c) { return shift ? shift[c] : 0.0f; }

static void group_stats(const ebb_norm_shape *s, int g, float stats[2], const pixel *x, const float *shift)
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

static void norm(const ebb_norm_shape *s, pixel *y, float *stats, const pixel *x, const float *shift,
                 const float *gamma, const float *beta)
{
    int width = s->channels / s->groups;
    for (int g = 0; g < s->groups; g++)
        group_stats(s, g, stats + 2 * g, x, shift);
    for (int c = 0; c < s->channels; c++) {
        const float *group = stats + 2 * (c / width);
        float centre = group[0] - shift_of(shift, c), gain = gamma[c] * group[1];
        for (size_t i = c; i < s->pixels * pixel_stride(s); i += pixel_stride(s)) {
            float z = fmaf(get(x[i]) - centre, gain, beta[c]);
            y[i] = put(s->silu ? silu_scalar(z) : z);
        }
    }
}

/* What a channel's adjoint is made of: z = d gain + beta with d = x - centre = u - mean. */
typedef struct channel {
    const ebb_norm_shape *s;
    const pixel *x, *dy;
    float centre, gain, beta;
} channel;

/* dz = dy act'(z) */
static float dz_at(const channel *k, size_t i, float d)
{
    float dy = get(k->dy[i]);
    return k->s->silu ? dy * silu_slope_scalar(fmaf(d, k->gain, k->beta)) : dy;
}

/* Sums over pixels of dz and of dz d. */
static void channel_moments(const channel *k, int c, float sums[2])
{
    sums[0] = sums[1] = 0.0f;
    for (size_t i = c; i < k->s->pixels * pixel_stride(k->s); i += pixel_stride(k->s)) {
        float d = get(k->x[i]) - k->centre, dz = dz_at(k, i, d);
        sums[0] += dz;
        sums[1] = fmaf(dz, d, sums[1]);
    }
}

/* dx = gain dz - rstd mean(gamma dz) - d rstd^3 mean(gamma dz d); means over the group.
 * Returns the sum over pixels of dx before it is rounded to a pixel. */
static float channel_dx(const channel *k, int c, pixel *dx, float offset, float slope)
{
    float sum = 0.0f;
    for (size_t i = c; i < k->s->pixels * pixel_stride(k->s); i += pixel_stride(k->s)) {
        float d = get(k->x[i]) - k->centre;
        float out = fmaf(k->gain, dz_at(k, i, d), fmaf(-d, slope, -offset));
        dx[i] = put(out);
        sum += out;
    }
    return sum;
}

static void norm_vjp(const ebb_norm_shape *s, pixel *dx, float *dshift, float *dgamma, float *dbeta,
                     const pixel *x, const float *shift, const pixel *dy, const float *stats,
                     const float *gamma, const float *beta)
{
    int width = s->channels / s->groups;
    float count = (float)s->pixels * (float)width;

    for (int g = 0; g < s->groups; g++) {
        float mean = stats[2 * g], rstd = stats[2 * g + 1], total = 0.0f, moment = 0.0f;
        for (int c = g * width; c < (g + 1) * width; c++) {
            float sums[2];
            channel_moments(&(channel){s, x, dy, mean - shift_of(shift, c), gamma[c] * rstd, beta[c]}, c, sums);
            dbeta[c] += sums[0];
            dgamma[c] = fmaf(sums[1], rstd, dgamma[c]);
            total = fmaf(gamma[c], sums[0], total);
            moment = fmaf(gamma[c], sums[1], moment);
        }
        float offset = rstd * (total / count), slope = rstd * rstd * rstd * (moment / count);
        for (int c = g * width; c < (g + 1) * width; c++) {
            const channel k = {s, x, dy, mean - shift_of(shift, c), gamma[c] * rstd, beta[c]};
            float sum = channel_dx(&k, c, dx, offset, slope);
            if (dshift)
                dshift[c] = sum;
        }
    }
}
