/* wino.c: the specification of Winograd's convolution for pictures of floats, wino_loops.h, and of its weights. */
#include "simd.h"

typedef float pixel;
static inline float get(pixel x) { return x; }
static inline pixel put(float x) { return x; }

#include "wino_loops.h"

void ebb_wino_f32_c(const ebb_conv_shape *s, float *y, const float *x, const float *u, const float *bias,
                    const float *residual, void *scratch)
{
    forward(s, y, x, u, bias, residual, scratch);
}

void ebb_wino_dw_f32_c(const ebb_conv_shape *s, float *dw, const float *x, const float *dy, bool accumulate,
                       void *scratch)
{
    adjoint_w(s, dw, x, dy, accumulate, scratch);
}

/* G: 3 -> 6 */
static void weight(float *u, const float *g)
{
    float even = fmaf(WINO_G_R2, g[2], WINO_G_R * g[0]), odd = WINO_G_R1 * g[1];
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    even = fmaf(WINO_G_Q2, g[2], WINO_G_Q * g[0]);
    odd = WINO_G_Q1 * g[1];
    u[3] = even + odd;
    u[4] = even - odd;
    u[5] = g[2];
}

/* One lane of the packed weights: g, or zeros where there is no such channel. */
static void pack_lane(float *u, size_t plane, const float *g)
{
    float t[36];
    transform(weight, 3, 6, t, g);
    for (int p = 0; p < WINO_POINTS; p++)
        u[p * plane] = t[p];
}

void ebb_wino_pack_f32_c(const ebb_conv_shape *s, float *u, const float *w)
{
    size_t taps = (size_t)s->ci * s->co, outer = wino_panels(s->co) * EBB_PANEL;
    for (size_t o = 0; o < outer; o++)
    for (size_t i = 0; i < (size_t)s->ci; i++) {
        float g[9];
        for (int t = 0; t < 9; t++)
            g[t] = o < (size_t)s->co ? w[t * taps + i * s->co + o] : 0.0f;
        pack_lane(u + o / EBB_PANEL * wino_pack_panel(s->ci) + i * EBB_PANEL + o % EBB_PANEL, wino_pack_plane(s->ci), g);
    }
}

void ebb_wino_pack_dx_f32_c(const ebb_conv_shape *s, float *u, const float *w)
{
    size_t taps = (size_t)s->ci * s->co, outer = wino_panels(s->ci) * EBB_PANEL;
    for (size_t i = 0; i < outer; i++)
    for (size_t o = 0; o < (size_t)s->co; o++) {
        float g[9];
        for (int t = 0; t < 9; t++)
            g[t] = i < (size_t)s->ci ? w[(8 - t) * taps + i * s->co + o] : 0.0f;
        pack_lane(u + i / EBB_PANEL * wino_pack_panel(s->co) + o * EBB_PANEL + i % EBB_PANEL, wino_pack_plane(s->co), g);
    }
}
