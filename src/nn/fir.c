/* fir.c: halving and doubling pictures with the filter [1,3,3,1] along each axis, as StyleGAN2 and NCSN++ do (Karras et al.
 * 2020, app. B; Song et al. 2021, app. H), against aliasing.
 *
 *   down   y[i]    = (x[2i-1] + 3 x[2i] + 3 x[2i+1] + x[2i+2])/8           zeros outside
 *   up     y[2i]   = (x[i-1] + 3 x[i])/4,  y[2i+1] = (3 x[i] + x[i+1])/4    twice the adjoint
 *          wide: from y[-1] to y[2H], a place more on each side
 *   blur   y[i]    = (x[i-2] + 3 x[i-1] + 3 x[i] + x[i+1])/8,  i = 0..H
 *
 * The one idea: along an axis each is a product with a banded matrix whose entry is a tent over the distance of the two
 * places, max(0, 2 - |j - step i - offset|)/4: 3/8 at a distance of 1/2, 1/8 at 3/2, nothing farther. The numbers are exact,
 * the matrices constant (a plan makes them before anything runs), and products have every derivative already. Against the
 * convolutions beside them they are small: 2 H multiplications a number, where a 3x3 convolution has 9 C.
 */
#include "nn/nn.h"

/* (rows, columns), times gain. */
static ebb_value band(ebb_graph *g, int64_t rows, int64_t columns, float step, float offset, float gain)
{
    ebb_value at = ebb_reshape(g, ebb_affine(g, ebb_nn_count(g, rows), step, offset), EBB_SHAPE(rows, 1));
    ebb_value d = ebb_sub(g, ebb_nn_count(g, columns), at);
    return ebb_relu(g, ebb_affine(g, ebb_max(g, d, ebb_neg(g, d)), -0.25f * gain, 0.5f * gain));
}

/* One axis of a pair of them: a band, or the transpose of one. */
typedef struct filter { float step, offset, gain; bool transposed; } filter;

/* x (batch, from, C) -> (batch, to, C). */
static ebb_value along(ebb_graph *g, ebb_value x, const filter *f, int64_t to)
{
    ebb_shape s = ebb_graph_shape(g, x);
    int64_t from = s.dim[1], rows = f->transposed ? from : to, columns = f->transposed ? to : from;
    ebb_value m = band(g, rows, columns, f->step, f->offset, f->gain);
    return ebb_matmul(g, ebb_broadcast(g, m, EBB_SHAPE(s.dim[0], rows, columns)), x, f->transposed, false);
}

/* (N,H,W,C) -> (N,h,w,C). */
static ebb_value filtered(ebb_graph *g, ebb_value x, const filter *f, int64_t h, int64_t w)
{
    if (x == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    int64_t n = s.dim[0], width = s.dim[2], c = s.dim[3];
    x = along(g, ebb_reshape(g, x, EBB_SHAPE(n, s.dim[1], width * c)), f, h);
    x = along(g, ebb_reshape(g, x, EBB_SHAPE(n * h, width, c)), f, w);
    return ebb_reshape(g, x, EBB_SHAPE(n, h, w, c));
}

/* Whether x is a picture, and of even sides where they must be. */
static bool is_picture(ebb_graph *g, ebb_value x, const char *what, bool even)
{
    if (x == EBB_NONE)
        return false;
    ebb_shape s = ebb_graph_shape(g, x);
    if (s.rank != 4)
        ebb_graph_fail(g, EBB_E_SHAPE, "%s: input has rank %d, not 4 (N,H,W,C)", what, s.rank);
    else if (even && (s.dim[1] % 2 != 0 || s.dim[2] % 2 != 0))
        ebb_graph_fail(g, EBB_E_SHAPE, "%s: a picture of %lldx%lld cannot be halved; both sides must be even", what,
                       (long long)s.dim[1], (long long)s.dim[2]);
    return ebb_graph_status(g) == EBB_OK;
}

ebb_value ebb_nn_fir_down(ebb_graph *g, ebb_value x)
{
    if (!is_picture(g, x, "FIR downsampling", true))
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    return filtered(g, x, &(filter){2, 0.5f, 1, false}, s.dim[1] / 2, s.dim[2] / 2);
}

ebb_value ebb_nn_fir_up(ebb_graph *g, ebb_value x)
{
    if (!is_picture(g, x, "FIR upsampling", false))
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    return filtered(g, x, &(filter){2, 0.5f, 2, true}, 2 * s.dim[1], 2 * s.dim[2]);
}

ebb_value ebb_nn_fir_up_wide(ebb_graph *g, ebb_value x)
{
    if (!is_picture(g, x, "FIR upsampling", false))
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    return filtered(g, x, &(filter){2, 1.5f, 2, true}, 2 * s.dim[1] + 2, 2 * s.dim[2] + 2);
}

ebb_value ebb_nn_fir_blur(ebb_graph *g, ebb_value x)
{
    if (!is_picture(g, x, "FIR blur", false))
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    return filtered(g, x, &(filter){1, -0.5f, 1, false}, s.dim[1] + 1, s.dim[2] + 1);
}
