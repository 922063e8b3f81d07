/* conv_bf16.c: the specification of the convolution trio on bfloat16: the sums of conv.c in f32 over widened
 * numbers, and one rounding at the end. Rows and pixels outside the picture take no part.
 */
#include <math.h>

#include "bf16.h"
#include "scalar.h"

/* Index of the first channel of a pixel, or -1 outside the picture. */
static ptrdiff_t pixel(int h, int w, int c, int n, int y, int x)
{
    return y < 0 || y >= h || x < 0 || x >= w ? -1 : (((ptrdiff_t)n * h + y) * w + x) * c;
}

/* A kernel row of a column in [panel][kh][pairs of (kw ci)][PANEL][2]. */
static const ebb_bf16 *kernel_row(const ebb_conv_shape *s, const ebb_bf16 *w, int o, int a)
{
    size_t run = bf16_pairs((size_t)s->kw * s->ci);
    return w + (((size_t)o / EBB_PANEL * s->kh + a) * run) * EBB_PANEL * 2;
}

void ebb_conv_bf16_c(const ebb_conv_shape *s, ebb_bf16 *y, const ebb_bf16 *x, const ebb_bf16 *w,
                     const float *bias, const ebb_bf16 *residual, void *scratch)
{
    (void)scratch;
    size_t next = 0;
    for (int n = 0; n < s->n; n++)
    for (int oy = 0; oy < s->oh; oy++)
    for (int ox = 0; ox < s->ow; ox++)
    for (int o = 0; o < s->co; o++, next++) {
        float sum = 0.0f;
        for (int a = 0; a < s->kh; a++)
        for (int b = 0; b < s->kw; b++) {
            ptrdiff_t p = pixel(s->h, s->w, s->ci, n, oy * s->stride + a - s->pad_top,
                                ox * s->stride + b - s->pad_left);
            const ebb_bf16 *q = kernel_row(s, w, o, a);
            for (int i = 0; p >= 0 && i < s->ci; i++)
                sum = fmaf(widen_scalar(x[p + i]),
                           widen_scalar(q[bf16_at((size_t)b * s->ci + i, o % EBB_PANEL)]), sum);
        }
        if (bias)
            sum += bias[o];
        if (residual)
            sum += widen_scalar(residual[next]);
        y[next] = narrow_scalar(sum);
    }
}

/* A tap of a column in [panel][kh][kw][pairs of co][PANEL][2]. */
static const ebb_bf16 *tap_dx(const ebb_conv_shape *s, const ebb_bf16 *w, int i, int a, int b)
{
    size_t taps = (size_t)i / EBB_PANEL * s->kh * s->kw + (size_t)a * s->kw + b;
    return w + taps * bf16_pairs(s->co) * EBB_PANEL * 2;
}

void ebb_conv_dx_bf16_c(const ebb_conv_shape *s, ebb_bf16 *dx, const ebb_bf16 *dy, const ebb_bf16 *w,
                        const ebb_bf16 *residual, void *scratch)
{
    (void)scratch;
    size_t next = 0;
    for (int n = 0; n < s->n; n++)
    for (int iy = 0; iy < s->h; iy++)
    for (int ix = 0; ix < s->w; ix++)
    for (int i = 0; i < s->ci; i++, next++) {
        float sum = 0.0f;
        for (int a = (iy + s->pad_top) % s->stride; a < s->kh; a += s->stride)
        for (int b = (ix + s->pad_left) % s->stride; b < s->kw; b += s->stride) {
            int ty = iy + s->pad_top - a, tx = ix + s->pad_left - b;
            if (ty < 0 || tx < 0)
                continue;
            ptrdiff_t p = pixel(s->oh, s->ow, s->co, n, ty / s->stride, tx / s->stride);
            const ebb_bf16 *q = tap_dx(s, w, i, a, b);
            for (int o = 0; p >= 0 && o < s->co; o++)
                sum = fmaf(widen_scalar(dy[p + o]), widen_scalar(q[bf16_at(o, i % EBB_PANEL)]), sum);
        }
        if (residual)
            sum += widen_scalar(residual[next]);
        dx[next] = narrow_scalar(sum);
    }
}

void ebb_conv_dw_bf16_c(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
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
        for (int oy = 0; oy < s->oh; oy++)
        for (int ox = 0; ox < s->ow; ox++) {
            ptrdiff_t p = pixel(s->h, s->w, s->ci, n, oy * s->stride + a - s->pad_top,
                                ox * s->stride + b - s->pad_left);
            size_t q = (((size_t)n * s->oh + oy) * s->ow + ox) * s->co + o;
            if (p >= 0)
                sum = fmaf(widen_scalar(x[p + i]), widen_scalar(dy[q]), sum);
        }
        dw[next] = sum;
    }
}
