/* softmax.c: the specification of softmax along rows and of its adjoint.
 *
 * y = e^(t - max t) / sum, t = scale * x. Arguments below -87.7 give exactly 0. A NaN or +inf in a row,
 * or nothing but -inf, makes the whole row NaN.
 */
#include "instances.h"
#include "lanes.h"
#include "scalar.h"

static float row_max(size_t n, const float *x, float scale)
{
    float max = -INFINITY;
    for (size_t j = 0; j < n; j++)
        max = at_least(max, scale * x[j]);
    return max;
}

/* y = e^(scale*x - max); returns the sum. */
static float row_exp(size_t n, float *y, const float *x, float scale, float max)
{
    float lane[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES) {
        for (size_t j = i; j < i + LANES; j++) {
            if (j < n) {
                float power, mantissa = exp_parts(at_least(scale * x[j] - max, -88.0f), &power);
                y[j] = mantissa * power;
            }
            lane[j - i] += element_or_zero(y, j, n);
        }
    }
    return lanes_fold(lane);
}

void ebb_softmax_f32_c(size_t rows, size_t n, float *y, const float *x, float scale)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        float inverse = 1.0f / row_exp(n, y, x, scale, row_max(n, x, scale));
        for (size_t j = 0; j < n; j++)
            y[j] *= inverse;
    }
}

void ebb_softmax_vjp_f32_c(size_t rows, size_t n, float *dx, const float *y, const float *dy, float scale)
{
    for (size_t r = 0; r < rows; r++, dx += n, y += n, dy += n) {
        float dot = ebb_dot_f32_c(n, y, dy);
        for (size_t j = 0; j < n; j++)
            dx[j] = scale * y[j] * (dy[j] - dot);
    }
}
