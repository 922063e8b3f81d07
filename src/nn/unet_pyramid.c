/* unet_pyramid.c: the picture beside the levels of a U-Net (Song et al. 2021, app. H: "progressive growing"; after Karras et
 * al. 2020, StyleGAN2, fig. 7).
 *
 *   input skip      p <- down p;                h <- conv1x1 p + h, or the two side by side
 *   input residual  p <- (conv3x3/2 p + h)[/sqrt 2];   h <- p            the convolution strided, behind the filter with FIR
 *   output skip     s <- up s + conv3x3 silu norm h;   the network gives the last s
 *   output residual s <- (conv3x3 up s + h)[/sqrt 2];  h <- s
 *
 * p begins as the picture, and s with conv3x3 silu norm h of the deepest level.
 */
#include "nn/unet.h"

#include <math.h>

/* conv3x3 of stride 2 without symmetric padding: behind the filter it reads all that the filter wrote, else zeros right and
 * below. */
static ebb_value halving(const ebb_unet *u, ebb_value x, int64_t out)
{
    ebb_shape s = ebb_graph_shape(u->g, x);
    ebb_value in = u->c->resample == EBB_RESAMPLE_FIR ? ebb_nn_fir_blur(u->g, x) : x;
    return ebb_nn_conv_to(u->g, "skip_conv", in, out, 3, 2, 0, s.dim[1] / 2, s.dim[2] / 2, 1.0f);
}

ebb_value ebb_unet_see(ebb_unet *u, ebb_value x)
{
    ebb_graph *g = u->g;
    if (x == EBB_NONE || u->c->pyramid == EBB_PYRAMID_NONE)
        return x;
    int64_t width = ebb_graph_shape(g, x).dim[3];
    if (u->c->pyramid == EBB_PYRAMID_SKIP) {
        u->picture = ebb_unet_resized(u, u->picture, EBB_SIZE_DOWN);
        ebb_value seen = ebb_nn_conv(g, "skip_conv", u->picture, width, 1, 1, 1.0f);
        return u->c->pyramid_concat ? ebb_concat(g, seen, x, 3) : ebb_add(g, seen, x);
    }
    u->picture = ebb_add(g, halving(u, u->picture, width), x);
    if (u->c->rescale)
        u->picture = ebb_scale(g, u->picture, (float)sqrt(0.5));
    return u->picture;
}

/* up, then conv3x3: with FIR the filter reaches beyond the picture, as score_sde's upsample_conv_2d. */
static ebb_value doubling(const ebb_unet *u, ebb_value x, int64_t out)
{
    ebb_shape s = ebb_graph_shape(u->g, x);
    bool fir = u->c->resample == EBB_RESAMPLE_FIR;
    ebb_value in = fir ? ebb_nn_fir_up_wide(u->g, x) : ebb_up2(u->g, x);
    return ebb_nn_conv_to(u->g, "skip_conv", in, out, 3, 1, fir ? 0 : 1, 2 * s.dim[1], 2 * s.dim[2], 1.0f);
}

/* conv3x3 silu norm x */
static ebb_value first_said(const ebb_unet *u, ebb_value x, int64_t out, float gain)
{
    return ebb_nn_conv(u->g, "skip_conv", ebb_silu(u->g, ebb_unet_norm(u, "skip_norm", x)), out, 3, 1, gain);
}

static void say_picture(ebb_unet *u, ebb_value x)
{
    int64_t outputs = u->c->outputs > 0 ? u->c->outputs : u->c->channels;
    ebb_value said = first_said(u, x, outputs, 0.0f);
    if (u->sum != EBB_NONE)
        said = ebb_add(u->g, u->sum, said);
    u->sum = ebb_unet_resized(u, said, EBB_SIZE_UP);
}

static ebb_value say_residual(ebb_unet *u, ebb_value x)
{
    int64_t width = ebb_graph_shape(u->g, x).dim[3];
    if (u->sum == EBB_NONE) {
        u->sum = first_said(u, x, width, 1.0f);
        return x;
    }
    u->sum = ebb_add(u->g, doubling(u, u->sum, width), x);
    if (u->c->rescale)
        u->sum = ebb_scale(u->g, u->sum, (float)sqrt(0.5));
    return u->sum;
}

ebb_value ebb_unet_say(ebb_unet *u, int level, ebb_value x)
{
    if (x == EBB_NONE || u->c->levels == 1)
        return x;
    if (u->c->output == EBB_PYRAMID_SKIP && level > 0)
        say_picture(u, x);
    return u->c->output == EBB_PYRAMID_RESIDUAL ? say_residual(u, x) : x;
}
