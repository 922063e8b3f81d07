/* conv.c: the specification of the convolution and of its two adjoints.
 *
 *   y [n,oy,ox,o]  = sum over (a, b, i)    x[n, oy*s + a - pt, ox*s + b - pl, i] * w[a,b,i,o]
 *   dx[n,iy,ix,i]  = sum over (a, b, o)    dy[n, (iy + pt - a)/s, (ix + pl - b)/s, o] * w[a,b,i,o]
 *   dw[a,b,i,o]    = sum over (n, oy, ox)  x[n, oy*s + a - pt, ox*s + b - pl, i] * dy[n,oy,ox,o]
 *
 * Each sum is one fma chain in the order written, zeros outside the picture included: an fma with a
 * zero factor is not a no-op for -0, infinities and NaN.
 */
#include <math.h>

#include "simd.h"

/* x[n,y,x,:], or NULL outside the picture (which reads as zeros). */
static const float *pixel(const float *x, int h, int w, int c, int n, int iy, int ix)
{
    if (iy < 0 || iy >= h || ix < 0 || ix >= w)
        return NULL;
    return x + (((size_t)n * h + iy) * w + ix) * c;
}

/* Row of one tap in packed weights of panels of `outer` channels: [panel][kh][kw][inner][PANEL]. */
static const float *tap(const ebb_conv_shape *s, const float *w, int inner, int outer, int a, int b)
{
    size_t panel = outer / EBB_PANEL, lane = outer % EBB_PANEL;
    return w + ((panel * s->kh + a) * s->kw + b) * inner * EBB_PANEL + lane;
}

void ebb_conv_f32_c(const ebb_conv_shape *s, float *y, const float *x, const float *w,
                    const float *bias, const float *residual, void *scratch)
{
    (void)scratch;
    size_t at = 0;
    for (int n = 0; n < s->n; n++)
    for (int oy = 0; oy < s->oh; oy++)
    for (int ox = 0; ox < s->ow; ox++)
    for (int o = 0; o < s->co; o++, at++) {
        float sum = 0.0f;
        for (int a = 0; a < s->kh; a++)
        for (int b = 0; b < s->kw; b++) {
            const float *p = pixel(x, s->h, s->w, s->ci, n, oy * s->stride + a - s->pad_top,
                                   ox * s->stride + b - s->pad_left);
            const float *q = tap(s, w, s->ci, o, a, b);
            for (int i = 0; i < s->ci; i++)
                sum = fmaf(p ? p[i] : 0.0f, q[(size_t)i * EBB_PANEL], sum);
        }
        if (bias)
            sum += bias[o];
        y[at] = residual ? sum + residual[at] : sum;
    }
}

void ebb_conv_dx_f32_c(const ebb_conv_shape *s, float *dx, const float *dy, const float *w,
                       void *scratch)
{
    (void)scratch;
    size_t at = 0;
    for (int n = 0; n < s->n; n++)
    for (int iy = 0; iy < s->h; iy++)
    for (int ix = 0; ix < s->w; ix++)
    for (int i = 0; i < s->ci; i++, at++) {
        float sum = 0.0f;
        for (int a = 0; a < s->kh; a++)
        for (int b = 0; b < s->kw; b++) {
            int ty = iy + s->pad_top - a, tx = ix + s->pad_left - b;
            if (ty % s->stride || tx % s->stride)
                continue;
            const float *p = pixel(dy, s->oh, s->ow, s->co, n, ty / s->stride, tx / s->stride);
            const float *q = tap(s, w, s->co, i, a, b);
            for (int o = 0; o < s->co; o++)
                sum = fmaf(p ? p[o] : 0.0f, q[(size_t)o * EBB_PANEL], sum);
        }
        dx[at] = sum;
    }
}

void ebb_conv_dw_f32_c(const ebb_conv_shape *s, float *dw, const float *x, const float *dy,
                       bool accumulate, void *scratch)
{
    (void)scratch;
    size_t at = 0;
    for (int a = 0; a < s->kh; a++)
    for (int b = 0; b < s->kw; b++)
    for (int i = 0; i < s->ci; i++)
    for (int o = 0; o < s->co; o++, at++) {
        float sum = accumulate ? dw[at] : 0.0f;
        for (int n = 0; n < s->n; n++)
        for (int oy = 0; oy < s->oh; oy++)
        for (int ox = 0; ox < s->ow; ox++) {
            const float *p = pixel(x, s->h, s->w, s->ci, n, oy * s->stride + a - s->pad_top,
                                   ox * s->stride + b - s->pad_left);
            const float *q = pixel(dy, s->oh, s->ow, s->co, n, oy, ox);
            sum = fmaf(p ? p[i] : 0.0f, q[o], sum);
        }
        dw[at] = sum;
    }
}
