/* unet_blocks.c: what U-Nets are made of: residual blocks and attention.
 *
 *   residual    x + conv2 silu norm2 (conv1 silu norm1 x + Linear temb)      x through a 1x1 convolution where the width changes
 *   resizing    the same with R = halving or doubling: R x, always through a 1x1 convolution, + conv2 silu norm2 (conv1 R silu
 *               norm1 x + Linear temb) (Brock et al. 2019, BigGAN, fig. 15; Song et al. 2021, app. H)
 *   attention   x + Out softmax(Q K' / sqrt(C)) V, over the T = H W places of a picture, one head, or heads of C' channels each
 *   In place of + Linear temb a block may scale and shift what norm2 gives (Dhariwal & Nichol 2021, sec. 3).
 *
 * Each is divided by sqrt 2 where the network says so, which keeps variances as they are; the middle by a number of its own. The last layer of each starts at
 * zero. While the network learns, residual blocks may drop some of what conv2 reads (Srivastava et al. 2014).
 */
#include "nn/unet.h"

#include <math.h>

int ebb_unet_groups(const ebb_unet_config *c, int64_t channels)
{
    bool few = c->groups_of_four && channels / 4 < c->groups;
    return few ? (int)(channels / 4) : c->groups;
}

int64_t ebb_unet_width(const ebb_unet_config *c, int level)
{
    return c->width[level] > 0 ? c->width[level] : (int64_t)c->base * c->mult[level];
}

ebb_value ebb_unet_norm(const ebb_unet *u, const char *name, ebb_value x)
{
    if (x == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(u->g, x);
    return ebb_nn_group_norm(u->g, name, x, ebb_unet_groups(u->c, s.dim[s.rank - 1]), u->c->eps);
}

ebb_value ebb_unet_resized(const ebb_unet *u, ebb_value x, ebb_resize size)
{
    bool fir = u->c->resample == EBB_RESAMPLE_FIR;
    if (size == EBB_SIZE_DOWN)
        return fir ? ebb_nn_fir_down(u->g, x) : ebb_scale(u->g, ebb_down2(u->g, x), 0.25f);
    if (size == EBB_SIZE_UP)
        return fir ? ebb_nn_fir_up(u->g, x) : ebb_up2(u->g, x);
    return x;
}

static ebb_value joined(const ebb_unet *u, ebb_value x, ebb_value h)
{
    ebb_value sum = ebb_add(u->g, x, h);
    if (u->within && u->c->middle_scale > 0)
        return ebb_scale(u->g, sum, 1.0f / u->c->middle_scale);
    return u->c->rescale ? ebb_scale(u->g, sum, (float)sqrt(0.5)) : sum;
}

/* h with some numbers left out, while the network learns. */
static ebb_value dropped(ebb_unet *u, ebb_value h)
{
    if (h == EBB_NONE || !(u->c->dropout > 0))
        return h;
    return ebb_mul(u->g, h, ebb_dropout_mask(u->g, u->c->dropout_key, ebb_graph_shape(u->g, h), u->c->dropout, u->dropouts++));
}

/* h (N,H,W,C) with what t says, normed and silu taken. */
static ebb_value told(ebb_unet *u, ebb_value h, int64_t out)
{
    ebb_graph *g = u->g;
    ebb_value temb = ebb_nn_linear(g, "time_emb_proj", u->temb, u->c->scale_shift ? 2 * out : out, 1.0f);
    if (u->c->scale_shift)
        return ebb_silu(g, ebb_nn_scale_shift_norm(g, "norm2", h, temb, ebb_unet_groups(u->c, out), u->c->eps));
    ebb_shape s = ebb_graph_shape(g, h);
    h = ebb_add(g, h, ebb_reshape(g, temb, EBB_SHAPE(s.dim[0], 1, 1, out)));
    return ebb_silu(g, ebb_unet_norm(u, "norm2", h));
}

/* Blocks that halve or double always have a 1x1 convolution beside, but for those among strided convolutions. */
ebb_value ebb_unet_residual(ebb_unet *u, ebb_value x, int64_t out, ebb_resize size)
{
    ebb_graph *g = u->g;
    ebb_shape s = ebb_graph_shape(g, x);
    ebb_value h = ebb_silu(g, ebb_unet_norm(u, "norm1", x));
    h = ebb_unet_resized(u, h, size);
    h = ebb_nn_conv(g, "conv1", h, out, 3, 1, 1.0f);
    h = dropped(u, told(u, h, out));
    h = ebb_nn_conv(g, "conv2", h, out, 3, 1, 0.0f);
    x = ebb_unet_resized(u, x, size);
    if (s.dim[3] != out || (size != EBB_SIZE_KEEP && u->c->resample != EBB_RESAMPLE_CONV))
        x = ebb_nn_conv(g, "conv_shortcut", x, out, 1, 1, 1.0f);
    return joined(u, x, h);
}

/* The middle's norm may have groups of its own. */
static ebb_value attention_norm(const ebb_unet *u, ebb_value x, bool norm)
{
    if (!norm || x == EBB_NONE)
        return x;
    if (u->within && u->c->middle_groups > 0)
        return ebb_nn_group_norm(u->g, "group_norm", x, u->c->middle_groups, u->c->eps);
    return ebb_unet_norm(u, "group_norm", x);
}

ebb_value ebb_unet_attention(const ebb_unet *u, ebb_value x, bool norm)
{
    ebb_graph *g = u->g;
    ebb_shape s = ebb_graph_shape(g, x);
    int64_t n = s.dim[0], t = s.dim[1] * s.dim[2], c = s.dim[3];
    int64_t heads = u->c->head > 0 && c > 0 ? c / u->c->head : 1;
    if (ebb_graph_status(g) != EBB_OK)
        return EBB_NONE;
    if (heads < 1 || c % heads != 0)
        return ebb_graph_fail(g, EBB_E_SHAPE, "attention: %lld channels are no whole number of heads of %d", (long long)c, u->c->head);
    ebb_shape rows = EBB_SHAPE(n * t, c), tokens = EBB_SHAPE(n, t, heads, c / heads);

    ebb_value h = ebb_reshape(g, attention_norm(u, x, norm), rows);
    ebb_value q = ebb_reshape(g, ebb_nn_linear(g, "to_q", h, c, 1.0f), tokens);
    ebb_value k = ebb_reshape(g, ebb_nn_linear(g, "to_k", h, c, 1.0f), tokens);
    ebb_value v = ebb_reshape(g, ebb_nn_linear(g, "to_v", h, c, 1.0f), tokens);
    h = ebb_reshape(g, ebb_attention(g, q, k, v, (float)(1.0 / sqrt((double)(c / heads)))), rows);
    h = ebb_nn_linear(g, "to_out.0", h, c, 0.0f);
    return joined(u, x, ebb_reshape(g, h, s));
}
