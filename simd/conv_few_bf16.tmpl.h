/* conv_few_bf16.tmpl.h: 3x3 convolutions of bfloat16 with few channels on one side, by conv_few.tmpl.h: a picture is
 * widened, its result rounded. That is a pass over both, but their kernels leave no lanes empty. Only pictures that
 * fit into a cache as floats. Sums are chains of f32 in the order of simd/c.
 */
#include "conv_few.tmpl.h"

/* What a picture needs, one after the other in the scratch (bf16_few_floats). */
typedef struct few_room {
    float *weights, *x, *y, *scratch;
} few_room;

static few_room few_carve(const ebb_conv_shape *s, void *scratch)
{
    bf16_few f = bf16_few_make(s);
    float *weights = scratch;
    return (few_room){weights, weights + f.weights, weights + f.weights + f.x, weights + f.weights + f.x + f.y};
}

static void few_widen(float *to, const ebb_bf16 *from, size_t n)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        vf_store(to + i, vf_load_bf16(from + i));
    if (i < n)
        vf_store_n(to + i, vf_load_bf16_n(from + i, n - i), n - i);
}

/* to may be residual. */
static void few_round(ebb_bf16 *to, const float *sum, const ebb_bf16 *residual, size_t n)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW) {
        vf s = vf_load(sum + i);
        pair_put(to + i, residual ? vf_add(s, vf_load_bf16(residual + i)) : s);
    }
    if (i < n) {
        vf s = vf_load_n(sum + i, n - i);
        s = residual ? vf_add(s, vf_load_bf16_n(residual + i, n - i)) : s;
        vf_store_bf16_n(to + i, s, n - i);
    }
}

/* Runs of k steps in pairs -> [run][k][PANEL] as floats. */
static void few_unpack(float *to, const ebb_bf16 *w, size_t runs, size_t k)
{
    for (; runs; runs--) {
        for (size_t i = 0; i < k; i += 2, w += 2 * EBB_PANEL) {
            size_t rows = k - i < 2 ? 1 : 2;
            for (size_t c = 0; c < EBB_PANEL; c += VW) {
                vi pair = vf_bits(vf_load((const float *)(const void *)(w + 2 * c)));
                vf_store(to + c, vi_float_bits(vi_shl(pair, 16)));
                if (rows == 2)
                    vf_store(to + EBB_PANEL + c, vi_float_bits(vi_and(pair, vi_set1(0xFFFF0000))));
            }
            to += rows * EBB_PANEL;
        }
    }
}

/* Whether few_conv here is faster than tiles. */
static bool few_better(const ebb_conv_shape *s, const few_map *m)
{
    return bf16_few_fits(s) && (few_is_narrow(s, m) || (m->deep <= PAIR_SHALLOW && few_is_shallow(s, m)));
}

/* All pictures; runs, k: of the packed weights. */
static void few_pictures(const ebb_conv_shape *s, few_map m, size_t runs, size_t k, ebb_bf16 *y, const ebb_bf16 *x,
                         const ebb_bf16 *w, const float *bias, const ebb_bf16 *residual, void *scratch)
{
    few_room room = few_carve(s, scratch);
    size_t from = (size_t)m.from_h * m.from_w * m.deep, to = (size_t)m.to_h * m.to_w * m.channels;
    float *in = m.turned ? room.y : room.x, *out = m.turned ? room.x : room.y;
    m.n = 1;
    few_unpack(room.weights, w, runs, k);
    for (int n = 0; n < s->n; n++, x += from, y += to) {
        few_widen(in, x, from);
        few_conv(s, &m, out, in, room.weights, bias, NULL, room.scratch);
        few_round(y, out, residual ? residual + n * to : NULL, to);
    }
}

static bool few_conv_bf16(const ebb_conv_shape *s, ebb_bf16 *y, const ebb_bf16 *x, const ebb_bf16 *w,
                          const float *bias, const ebb_bf16 *residual, void *scratch)
{
    few_map m = few_forward(s);
    if (!few_better(s, &m))
        return false;
    few_pictures(s, m, bf16_panels(s->co) * s->kh, (size_t)s->kw * s->ci, y, x, w, bias, residual, scratch);
    return true;
}

static bool few_conv_dx_bf16(const ebb_conv_shape *s, ebb_bf16 *dx, const ebb_bf16 *dy, const ebb_bf16 *w,
                             const ebb_bf16 *residual, void *scratch)
{
    few_map m = few_adjoint(s);
    if (!few_better(s, &m))
        return false;
    few_pictures(s, m, bf16_panels(s->ci) * s->kh * s->kw, s->co, dx, dy, w, NULL, residual, scratch);
    return true;
}

static bool few_conv_dw_bf16(const ebb_conv_shape *s, float *dw, const ebb_bf16 *x, const ebb_bf16 *dy,
                             bool accumulate, void *scratch)
{
    if (!bf16_few_fits(s) || !few_is_dw(s))
        return false;
    few_room room = few_carve(s, scratch);
    size_t from = (size_t)s->h * s->w * s->ci, to = (size_t)s->oh * s->ow * s->co;
    ebb_conv_shape one = *s;
    one.n = 1;
    for (int n = 0; n < s->n; n++) {
        few_widen(room.x, x + n * from, from);
        few_widen(room.y, dy + n * to, to);
        few_dw(&one, dw, room.x, room.y, accumulate || n > 0, room.scratch);
    }
    return true;
}
