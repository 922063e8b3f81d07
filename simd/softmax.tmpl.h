/* softmax.tmpl.h: softmax along rows and its adjoint in vector verbs. Specification: c/softmax.c. */
#include "instances.h"
#include "lanes.tmpl.h"
#include "math.tmpl.h"

/* The order of a maximum does not matter: rows with a NaN end as NaN anyway. */
VEC float row_max(size_t n, const float *x, float scale)
{
    vf max[4], minus_infinity = vf_set1(-INFINITY);
    size_t i = 0;
    for (int v = 0; v < 4; v++)
        max[v] = minus_infinity;
    for (; i + 4 * VW <= n; i += 4 * VW)
        for (int v = 0; v < 4; v++)
            max[v] = vf_max(vf_mul(vf_set1(scale), vf_load(x + i + v * VW)), max[v]);
    for (; i < n; i += VW) {
        size_t left = lanes_left(i, n);
        vf t = vf_mul(vf_set1(scale), vf_load_n(x + i, left));
        max[0] = vf_max(vf_select(vm_first(left), t, minus_infinity), max[0]);
    }
    return vf_fold_max(vf_max(vf_max(max[0], max[1]), vf_max(max[2], max[3])));
}

VEC vf row_exp_vector(vf x, float scale, float max)
{
    vf t = vf_sub(vf_mul(vf_set1(scale), x), vf_set1(max));
    vf power, mantissa = exp_parts(vf_at_least(t, -88.0f), &power);
    return vf_mul(mantissa, power);
}

VEC float row_exp(size_t n, float *y, const float *x, float scale, float max)
{
    lanes l;
    size_t i = 0;
    lanes_zero(&l);
    for (; i + LANES <= n; i += LANES) {
#pragma GCC unroll 16
        for (int j = 0; j < LANE_VECTORS; j++) {
            vf e = row_exp_vector(vf_load(x + i + j * VW), scale, max);
            l.v[j] = vf_add(l.v[j], e);
            vf_store(y + i + j * VW, e);
        }
    }
#pragma GCC unroll 16
    for (int j = 0; j < LANE_VECTORS; j++) {
        size_t at = i + j * VW, left = lanes_left(at, n);
        if (left == 0)
            break;
        vf e = row_exp_vector(vf_load_n(x + at, left), scale, max);
        l.v[j] = vf_add(l.v[j], vf_keep(vm_first(left), e));
        vf_store_n(y + at, e, left);
    }
    return lanes_fold(&l);
}

void EBB_INSTANCE(softmax_f32)(size_t rows, size_t n, float *y, const float *x, float scale)
{
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        float inverse = 1.0f / row_exp(n, y, x, scale, row_max(n, x, scale));
        size_t j = 0;
        for (; j + VW <= n; j += VW)
            vf_store(y + j, vf_mul(vf_load(y + j), vf_set1(inverse)));
        if (j < n)
            vf_store_n(y + j, vf_mul(vf_load_n(y + j, n - j), vf_set1(inverse)), n - j);
    }
}

VEC vf softmax_vjp_vector(vf y, vf dy, float scale, float dot)
{
    return vf_mul(vf_mul(vf_set1(scale), y), vf_sub(dy, vf_set1(dot)));
}

void EBB_INSTANCE(softmax_vjp_f32)(size_t rows, size_t n, float *dx, const float *y, const float *dy,
                                   float scale)
{
    for (size_t r = 0; r < rows; r++, dx += n, y += n, dy += n) {
        float dot = EBB_INSTANCE(dot_f32)(n, y, dy);
        size_t j = 0;
        for (; j + VW <= n; j += VW)
            vf_store(dx + j, softmax_vjp_vector(vf_load(y + j), vf_load(dy + j), scale, dot));
        if (j < n) {
            vf part = softmax_vjp_vector(vf_load_n(y + j, n - j), vf_load_n(dy + j, n - j), scale, dot);
            vf_store_n(dx + j, part, n - j);
        }
    }
}
