/* wino_loops.h: the specification of Winograd's convolution F(4x4, 3x3) and of its adjoint in the weights.
 *
 *   Y = A^T [ sum over ci (G g G^T) . (B^T d B) ] A          (Lavin & Gray 2016, eq. 12; . is elementwise)
 *   dg = G^T [ sum over tiles (B^T d B) . (A dY A^T) ] G     its adjoint in g
 *
 * d: 6x6 inputs, g: 3x3 weights, Y: 4x4 outputs. A two-dimensional transform is the one-dimensional one of
 * every column, then of every row of the result. The sums are fma chains from +0 over ascending channels or
 * tiles (n, ty, tx). Pixels beside the picture are zeros, also above and below; outputs beyond (oh, ow) are
 * dropped, their cotangents zeros. Whoever includes this says what a pixel is: get widens it when it is read, put
 * rounds it when it is written; everything between is f32.
 */
#include <math.h>
#include <string.h>

#include "wino_block.h"

/* ---- transforms of one row or column ---- */

/* B^T: 6 -> 6 */
static void data(float *t, const float *d)
{
    float even = fmaf(-2.0f, d[2], d[4]), odd = fmaf(-2.0f, d[1], d[3]);
    t[1] = fmaf(WINO_R, odd, even);
    t[2] = fmaf(-WINO_R, odd, even);
    even = fmaf(-0.5f, d[2], d[4]);
    odd = fmaf(-0.5f, d[1], d[3]);
    t[3] = fmaf(WINO_Q, odd, even);
    t[4] = fmaf(-WINO_Q, odd, even);
    t[0] = fmaf(-2.5f, d[2], d[0] + d[4]);
    t[5] = fmaf(-2.5f, d[3], d[1] + d[5]);
}

/* A^T: 6 -> 4 */
static void output(float *y, const float *m)
{
    float s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
    y[0] = m[0] + (s + s2);
    y[1] = WINO_R * fmaf(2.0f, d2, d);
    y[2] = 0.5f * fmaf(4.0f, s2, s);
    y[3] = fmaf(WINO_R3, fmaf(8.0f, d2, d), m[5]);
}

/* A: 4 -> 6 */
static void cotangent(float *t, const float *y)
{
    float even = fmaf(0.5f, y[2], y[0]), odd = fmaf(WINO_R3, y[3], WINO_R * y[1]);
    t[0] = y[0];
    t[1] = even + odd;
    t[2] = even - odd;
    even = fmaf(2.0f, y[2], y[0]);
    odd = fmaf(WINO_Q3, y[3], WINO_Q * y[1]);
    t[3] = even + odd;
    t[4] = even - odd;
    t[5] = y[3];
}

/* G^T: 6 -> 3 */
static void gradient(float *g, const float *u)
{
    float s = u[1] + u[2], d = u[1] - u[2], s2 = u[3] + u[4], d2 = u[3] - u[4];
    g[0] = fmaf(WINO_G_R, s, fmaf(WINO_G_Q, s2, u[0]));
    g[1] = fmaf(WINO_G_R1, d, WINO_G_Q1 * d2);
    g[2] = fmaf(WINO_G_R2, s, fmaf(WINO_G_Q2, s2, u[5]));
}

/* (from, from) -> (to, to) by a transform from -> to: columns, then rows. */
static void transform(void (*f)(float *, const float *), int from, int to, float *y, const float *x)
{
    float column[6], result[6], half[36];
    for (int j = 0; j < from; j++) {
        for (int i = 0; i < from; i++)
            column[i] = x[i * from + j];
        f(result, column);
        for (int i = 0; i < to; i++)
            half[i * from + j] = result[i];
    }
    for (int i = 0; i < to; i++)
        f(y + i * to, half + i * from);
}

/* ---- pictures ---- */

/* The tile of `size` pixels a side from (y, x) of picture n, one channel; zeros beside the picture. */
static void gather(float *tile, int size, const pixel *picture, int h, int w, int c, int y, int x, int channel)
{
    for (int i = 0; i < size; i++)
    for (int j = 0; j < size; j++) {
        int iy = y + i, ix = x + j;
        bool inside = iy >= 0 && iy < h && ix >= 0 && ix < w;
        tile[i * size + j] = inside ? get(picture[((size_t)iy * w + ix) * c + channel]) : 0.0f;
    }
}

/* v: (points, ci), of tile (n, ty, tx). */
static void data_tile(const ebb_conv_shape *s, float *v, const pixel *x, int n, int ty, int tx)
{
    const pixel *picture = x + (size_t)n * s->h * s->w * s->ci;
    for (int i = 0; i < s->ci; i++) {
        float d[36], t[36];
        gather(d, 6, picture, s->h, s->w, s->ci, 4 * ty - s->pad_top, 4 * tx - s->pad_left, i);
        transform(data, 6, 6, t, d);
        for (int p = 0; p < WINO_POINTS; p++)
            v[(size_t)p * s->ci + i] = t[p];
    }
}

/* v: (points, co), of tile (n, ty, tx). */
static void cotangent_tile(const ebb_conv_shape *s, float *v, const pixel *dy, int n, int ty, int tx)
{
    const pixel *picture = dy + (size_t)n * s->oh * s->ow * s->co;
    for (int o = 0; o < s->co; o++) {
        float d[16], t[36];
        gather(d, 4, picture, s->oh, s->ow, s->co, 4 * ty, 4 * tx, o);
        transform(cotangent, 4, 6, t, d);
        for (int p = 0; p < WINO_POINTS; p++)
            v[(size_t)p * s->co + o] = t[p];
    }
}

/* ---- the kernels ---- */

static void forward(const ebb_conv_shape *s, pixel *y, const pixel *x, const float *u, const float *bias,
                    const pixel *residual, void *scratch)
{
    float *v = scratch;
    size_t plane = wino_pack_plane(s->ci), panel = wino_pack_panel(s->ci);
    for (int n = 0; n < s->n; n++)
    for (int ty = 0; 4 * ty < s->oh; ty++)
    for (int tx = 0; 4 * tx < s->ow; tx++) {
        data_tile(s, v, x, n, ty, tx);
        for (int o = 0; o < s->co; o++) {
            float m[36], t[16];
            for (int p = 0; p < WINO_POINTS; p++) {
                const float *w = u + (size_t)o / EBB_PANEL * panel + p * plane + o % EBB_PANEL;
                m[p] = 0.0f;
                for (int i = 0; i < s->ci; i++)
                    m[p] = fmaf(v[(size_t)p * s->ci + i], w[(size_t)i * EBB_PANEL], m[p]);
            }
            transform(output, 6, 4, t, m);
            for (int i = 0; i < 4 && 4 * ty + i < s->oh; i++)
            for (int j = 0; j < 4 && 4 * tx + j < s->ow; j++) {
                size_t at = (((size_t)n * s->oh + 4 * ty + i) * s->ow + 4 * tx + j) * s->co + o;
                float sum = bias ? t[i * 4 + j] + bias[o] : t[i * 4 + j];
                y[at] = put(residual ? sum + get(residual[at]) : sum);
            }
        }
    }
}

static void adjoint_w(const ebb_conv_shape *s, float *dw, const pixel *x, const pixel *dy, bool accumulate,
                      void *scratch)
{
    size_t plane = (size_t)s->ci * s->co;
    float *sum = scratch, *v = sum + WINO_POINTS * plane, *w = v + (size_t)WINO_POINTS * s->ci;
    memset(sum, 0, WINO_POINTS * plane * sizeof *sum);
    for (int n = 0; n < s->n; n++)
    for (int ty = 0; 4 * ty < s->oh; ty++)
    for (int tx = 0; 4 * tx < s->ow; tx++) {
        data_tile(s, v, x, n, ty, tx);
        cotangent_tile(s, w, dy, n, ty, tx);
        for (int p = 0; p < WINO_POINTS; p++)
        for (int i = 0; i < s->ci; i++)
        for (int o = 0; o < s->co; o++) {
            float *at = &sum[p * plane + (size_t)i * s->co + o];
            *at = fmaf(v[(size_t)p * s->ci + i], w[(size_t)p * s->co + o], *at);
        }
    }
    for (size_t at = 0; at < plane; at++) {
        float u[36], g[9];
        for (int p = 0; p < WINO_POINTS; p++)
            u[p] = sum[p * plane + at];
        transform(gradient, 6, 3, g, u);
        for (int t = 0; t < 9; t++)
            dw[t * plane + at] = accumulate ? dw[t * plane + at] + g[t] : g[t];
    }
}
