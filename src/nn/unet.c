/* unet.c: the U-Net of Ho, Jain & Abbeel 2020 (DDPM, app. B), as diffusers' UNet2DModel lays it out.
 *
 *   temb = silu(L2 silu(L1 [sin, cos](t)) + class)                               (N, 4 base)
 *   x -> conv_in -> down: level by level, `blocks` residual blocks, then a stride-2 convolution
 *     -> middle: residual, attention, residual
 *     -> up: level by level, `blocks` + 1 residual blocks, each taking the last unused result of the
 *        way down beside its input, then nearest x2 and a convolution
 *     -> group norm, silu, conv_out
 *
 * The last convolution of each residual block, of each attention and of the network starts at zero, as
 * in Ho et al.'s code: every block is the identity at first, and the network predicts 0.
 */
#include "nn/nn.h"

#include <math.h>

typedef struct unet {
    ebb_graph *g;
    const ebb_unet_config *c;
    ebb_value temb;     /* (N, 4 base), silu already taken */
    ebb_value *skip;    /* stack of the results of the way down */
    int32_t held, capacity;
} unet;

static void skip_push(unet *u, ebb_value x)
{
    if (ebb_graph_status(u->g) != EBB_OK)
        return;
    void *grown = u->skip;
    ebb_status status = ebb_grow(u->g->ctx, &grown, &u->capacity, u->held + 1, sizeof *u->skip);
    u->skip = grown;
    if (status != EBB_OK) {
        ebb_graph_fail(u->g, status, "U-Net: no memory for its skip connections");
        return;
    }
    u->skip[u->held++] = x;
}

static ebb_value skip_pop(unet *u)
{
    return u->held > 0 ? u->skip[--u->held] : EBB_NONE;
}

static ebb_value norm(unet *u, const char *name, ebb_value x)
{
    return ebb_nn_group_norm(u->g, name, x, u->c->groups, u->c->eps);
}

/* x + conv2 silu norm2 (conv1 silu norm1 x + Linear temb); x through a 1x1 convolution when the width
 * changes. (N,H,W,C) -> (N,H,W,out) */
static ebb_value residual(unet *u, int number, ebb_value x, int64_t out)
{
    ebb_graph *g = u->g;
    ebb_shape s = ebb_graph_shape(g, x);
    size_t scope = ebb_scope_push(g, "resnets.%d.", number);

    ebb_value h = ebb_silu(g, norm(u, "norm1", x));
    h = ebb_nn_conv(g, "conv1", h, out, 3, 1, 1.0f);
    ebb_value shift = ebb_nn_linear(g, "time_emb_proj", u->temb, out, 1.0f);
    h = ebb_add(g, h, ebb_reshape(g, shift, EBB_SHAPE(s.dim[0], 1, 1, out)));
    h = ebb_silu(g, norm(u, "norm2", h));
    h = ebb_nn_conv(g, "conv2", h, out, 3, 1, 0.0f);
    if (s.dim[3] != out)
        x = ebb_nn_conv(g, "conv_shortcut", x, out, 1, 1, 1.0f);

    ebb_scope_pop(g, scope);
    return ebb_add(g, x, h);
}

/* x + Out softmax(Q K' / sqrt(C)) V, over the T = H W places of a picture, one head. */
static ebb_value attention(unet *u, int number, ebb_value x)
{
    ebb_graph *g = u->g;
    ebb_shape s = ebb_graph_shape(g, x);
    int64_t n = s.dim[0], t = s.dim[1] * s.dim[2], c = s.dim[3];
    ebb_shape rows = EBB_SHAPE(n * t, c), tokens = EBB_SHAPE(n, t, 1, c);
    size_t scope = ebb_scope_push(g, "attentions.%d.", number);

    ebb_value h = ebb_reshape(g, norm(u, "group_norm", x), rows);
    ebb_value q = ebb_reshape(g, ebb_nn_linear(g, "to_q", h, c, 1.0f), tokens);
    ebb_value k = ebb_reshape(g, ebb_nn_linear(g, "to_k", h, c, 1.0f), tokens);
    ebb_value v = ebb_reshape(g, ebb_nn_linear(g, "to_v", h, c, 1.0f), tokens);
    h = ebb_reshape(g, ebb_attention(g, q, k, v, (float)(1.0 / sqrt((double)c))), rows);
    h = ebb_nn_linear(g, "to_out.0", h, c, 0.0f);

    ebb_scope_pop(g, scope);
    return ebb_add(g, x, ebb_reshape(g, h, s));
}

static int64_t width(const unet *u, int level)
{
    return (int64_t)u->c->base * u->c->mult[level];
}

static ebb_value block(unet *u, int level, int number, ebb_value x)
{
    x = residual(u, number, x, width(u, level));
    return u->c->attention[level] ? attention(u, number, x) : x;
}

static ebb_value way_down(unet *u, ebb_value x)
{
    skip_push(u, x);
    for (int level = 0; level < u->c->levels; level++) {
        size_t scope = ebb_scope_push(u->g, "down_blocks.%d.", level);
        for (int i = 0; i < u->c->blocks; i++) {
            x = block(u, level, i, x);
            skip_push(u, x);
        }
        if (level + 1 < u->c->levels) {
            x = ebb_nn_conv(u->g, "downsamplers.0.conv", x, width(u, level), 3, 2, 1.0f);
            skip_push(u, x);
        }
        ebb_scope_pop(u->g, scope);
    }
    return x;
}

static ebb_value middle(unet *u, ebb_value x)
{
    int64_t deepest = width(u, u->c->levels - 1);
    size_t scope = ebb_scope_push(u->g, "mid_block.");
    x = residual(u, 0, x, deepest);
    x = attention(u, 0, x);
    x = residual(u, 1, x, deepest);
    ebb_scope_pop(u->g, scope);
    return x;
}

static ebb_value way_up(unet *u, ebb_value x)
{
    for (int level = u->c->levels - 1; level >= 0; level--) {
        size_t scope = ebb_scope_push(u->g, "up_blocks.%d.", u->c->levels - 1 - level);
        for (int i = 0; i <= u->c->blocks; i++)
            x = block(u, level, i, ebb_concat(u->g, x, skip_pop(u), 3));
        if (level > 0)
            x = ebb_nn_conv(u->g, "upsamplers.0.conv", ebb_up2(u->g, x), width(u, level), 3, 1, 1.0f);
        ebb_scope_pop(u->g, scope);
    }
    return x;
}

/* Each stride-2 convolution must halve exactly, or the way up would come back to another size. */
static void check_size(ebb_graph *g, const ebb_unet_config *c)
{
    int unit = 1 << (c->levels - 1), h = c->size_h, w = c->size_w;
    int fit_h = (h + unit - 1) / unit * unit, fit_w = (w + unit - 1) / unit * unit;
    for (int level = 0; level + 1 < c->levels; level++, h /= 2, w /= 2)
        if (h % 2 != 0 || w % 2 != 0) {
            ebb_graph_fail(g, EBB_E_SHAPE,
                           "U-Net of %d levels on %dx%d pictures: level %d is %dx%d and cannot be halved; "
                           "height and width must be multiples of %d (nearest: %dx%d), or use fewer levels",
                           c->levels, c->size_h, c->size_w, level, h, w, unit, fit_h, fit_w);
            return;
        }
}

static void check_config(ebb_graph *g, const ebb_unet_config *c)
{
    if (c->channels < 1 || c->size_h < 1 || c->size_w < 1)
        ebb_graph_fail(g, EBB_E_ARGUMENT,
                       "U-Net: pictures of %dx%d with %d channels; each must be at least 1", c->size_h,
                       c->size_w, c->channels);
    else if (c->levels < 1 || c->levels > EBB_UNET_LEVELS_MAX)
        ebb_graph_fail(g, EBB_E_ARGUMENT, "U-Net: %d levels; 1 to %d are possible", c->levels,
                       EBB_UNET_LEVELS_MAX);
    else if (c->base < 4 || c->base % 2 != 0)
        ebb_graph_fail(g, EBB_E_ARGUMENT,
                       "U-Net: base width %d; the time embedding needs an even width of at least 4", c->base);
    else if (c->blocks < 1)
        ebb_graph_fail(g, EBB_E_ARGUMENT, "U-Net: %d residual blocks a level; take at least 1", c->blocks);
    else if (c->groups < 1 || !(c->eps > 0.0f))
        ebb_graph_fail(g, EBB_E_ARGUMENT,
                       "U-Net: group norm with %d groups and eps %g; both must be positive", c->groups,
                       (double)c->eps);
    else if (c->classes < 0)
        ebb_graph_fail(g, EBB_E_ARGUMENT, "U-Net: %d classes; 0 means none", c->classes);
    else
        check_size(g, c);
    for (int level = 0; level < c->levels && ebb_graph_status(g) == EBB_OK; level++)
        if (c->mult[level] < 1 || (int64_t)c->base * c->mult[level] % c->groups != 0)
            ebb_graph_fail(g, EBB_E_SHAPE,
                           "U-Net: level %d is %d x %d channels wide, which group norm cannot split "
                           "into %d groups; choose fewer groups or widths that are multiples of them",
                           level, c->base, c->mult[level], c->groups);
}

ebb_value ebb_nn_unet(ebb_graph *g, const ebb_unet_config *c, ebb_value x, ebb_value t, ebb_value label)
{
    if (ebb_graph_status(g) != EBB_OK)
        return EBB_NONE;
    check_config(g, c);
    ebb_shape s = ebb_graph_shape(g, x);
    bool fits = ebb_shape_equal(s, EBB_SHAPE(s.dim[0], c->size_h, c->size_w, c->channels));
    if (ebb_graph_status(g) == EBB_OK && !fits)
        ebb_graph_fail(g, EBB_E_SHAPE, "U-Net for pictures of %dx%dx%d: its input has another shape",
                       c->size_h, c->size_w, c->channels);
    if (ebb_graph_status(g) != EBB_OK)
        return EBB_NONE;

    unet u = {.g = g, .c = c};
    u.temb = ebb_nn_condition(g, t, label, c->classes, c->base, 4 * c->base);
    x = ebb_nn_conv(g, "conv_in", x, c->base, 3, 1, 1.0f);
    x = way_down(&u, x);
    x = middle(&u, x);
    x = way_up(&u, x);
    x = ebb_silu(g, norm(&u, "conv_norm_out", x));
    x = ebb_nn_conv(g, "conv_out", x, c->outputs > 0 ? c->outputs : c->channels, 3, 1, 0.0f);
    ebb_free(u.skip);
    return x;
}
