/* conv.c: the specification of the convolution and of its two adjoints.
 *
 *   y [n,oy,ox,o]  = sum over (a, b, i)    x[n, oy*s + a - pt, ox*s + b - pl, i] * w[a,b,i,o]
 *   dx[n,iy,ix,i]  = sum over (a, b, o)    dy[n, (iy + pt - a)/s, (ix + pl - b)/s, o] * w[a,b,i,o]
 *   dw[a,b,i,o]    = sum over (n, oy, ox)  x[n, oy*s + a - pt, ox*s + b - pl, i] * dy[n,oy,ox,o]
 *
 * Each sum is one fma chain in the order written. Rows above and below the picture take no part;
 * pixels left and right of it take part as zeros (an fma with a zero factor is not a no-op for -0,
 * infinities and NaN): so a tile of pixels of equal rows runs one straight loop.
 */
#include <math.h>

#include "simd.h"

/* x[n,y,:,:], or NULL above and below the picture. */
static const float *row(const float *x, int h, int w, int c, int n, int iy)
{
    return iy < 0 || iy >= h ? NULL : x + ((size_t)n * h + iy) * w * c;
}

/* row[x,c], zero left and right of the picture. */
static float at(const float *row, int w, int c, int ix, int channel)
{
    return ix < 0 || ix >= w ? 0.0f : row[(size_t)ix * c + channel];
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
    size_t next = 0;
    for (int n = 0; n < s->n; n++)
    for (int oy = 0; oy < s->oh; oy++)
    for (int ox = 0; ox < s->ow; ox++)
    for (int o = 0; o < s->co; o++, next++) {
        float sum = 0.0f;
        for (int a = 0; a < s->kh; a++) {
            const float *p = row(x, s->h, s->w, s->ci, n, oy * s->stride + a - s->pad_top);
            for (int b = 0; p && b < s->kw; b++) {
                const float *q = tap(s, w, s->ci, o, a, b);
                int ix = ox * s->stride + b - s->pad_left;
                for (int i = 0; i < s->ci; i++)
                    sum = fmaf(at(p, s->w, s->ci, ix, i), q[(size_t)i * EBB_PANEL], sum);
            }
        }
        if (bias)
            sum += bias[o];
        y[next] = residual ? sum + residual[next] : sum;
    }
}

void ebb_conv_dx_f32_c(const ebb_conv_shape *s, float *dx, const float *dy, const float *w,
                       const float *residual, void *scratch)
{
    (void)scratch;
    size_t next = 0;
    for (int n = 0; n < s->n; n++)
    for (int iy = 0; iy < s->h; iy++)
    for (int ix = 0; ix < s->w; ix++)
    for (int i = 0; i < s->ci; i++, next++) {
        float sum = 0.0f;
        for (int a = (iy + s->pad_top) % s->stride; a < s->kh; a += s->stride) {
            const float *p = row(dy, s->oh, s->ow, s->co, n, (iy + s->pad_top - a) / s->stride);
            if (iy + s->pad_top < a || !p)
                continue;
            for (int b = (ix + s->pad_left) % s->stride; b < s->kw; b += s->stride) {
                const float *q = tap(s, w, s->co, i, a, b);
                int ox = (ix + s->pad_left - b) / s->stride;
                for (int o = 0; o < s->co; o++)
                    sum = fmaf(at(p, s->ow, s->co, ox, o), q[(size_t)o * EBB_PANEL], sum);
            }
        }
        dx[next] = residual ? sum + residual[next] : sum;
    }
}

void ebb_conv_dw_f32_c(const ebb_conv_shape *s, float *dw, const float *x, const float *dy,
                       bool accumulate, void *scratch)
{
    (void)scratch;
    size_t next = 0;
    for (int a = 0; a < s->kh; a++)
    for (int b = 0; b < s->kw; b++)
    for (int i = 0; i < s->ci; i++)
    for (int o = 0; o < s->co; o++, next++) {
        float sum = accumulate ? dw[next] : 0.0f;
        for (int n = 0; n < s->n; n++)
        for (int oy = 0; oy < s->oh; oy++) {
            const float *p = row(x, s->h, s->w, s->ci, n, oy * s->stride + a - s->pad_top);
            const float *q = row(dy, s->oh, s->ow, s->co, n, oy);
            for (int ox = 0; p && ox < s->ow; ox++)
                sum = fmaf(at(p, s->w, s->ci, ox * s->stride + b - s->pad_left, i),
                           q[(size_t)ox * s->co + o], sum);
        }
        dw[next] = sum;
    }
}
