/* unet.c: the U-Net of Ho, Jain & Abbeel 2020 (DDPM, app. B), as diffusers' UNet2DModel lays it out, and its successors
 * DDPM++ and NCSN++ (Song et al. 2021, app. H; score_sde's ncsnpp.py).
 *
 *   temb = silu(L2 silu(L1 features(t)) + class)                                 (N, 4 base or as told)
 *   x -> conv_in -> down: level by level, `blocks` residual blocks, then a stride-2 convolution or a residual block that
 *        halves, then what the pyramid says
 *     -> middle: residual, attention, residual
 *     -> up: level by level, `blocks` + 1 residual blocks, each taking the last unused result of the
 *        way down beside its input, then nearest x2 and a convolution, or a residual block that doubles
 *     -> group norm, silu, conv_out
 *
 * The last convolution of each residual block, of each attention and of the network starts at zero, as
 * in Ho et al.'s code: every block is the identity at first (but for 1/sqrt 2), and the network predicts 0.
 */
#include "nn/unet.h"

static void skip_push(ebb_unet *u, ebb_value x)
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

static ebb_value skip_pop(ebb_unet *u)
{
    return u->held > 0 ? u->skip[--u->held] : EBB_NONE;
}

static ebb_value residual(ebb_unet *u, int number, ebb_value x, int64_t out)
{
    size_t scope = ebb_scope_push(u->g, "resnets.%d.", number);
    x = ebb_unet_residual(u, x, out, EBB_SIZE_KEEP);
    ebb_mark_value(u->g, "", x);
    ebb_scope_pop(u->g, scope);
    return x;
}

static ebb_value attention(ebb_unet *u, int number, ebb_value x)
{
    size_t scope = ebb_scope_push(u->g, "attentions.%d.", number);
    x = ebb_unet_attention(u, x, !u->within || u->c->middle_groups >= 0);
    ebb_mark_value(u->g, "", x);
    ebb_scope_pop(u->g, scope);
    return x;
}

static bool attends(const ebb_unet *u, int level, bool back)
{
    return back && u->c->other_back ? u->c->attention_back[level] : u->c->attention[level];
}

/* A strided convolution to half the size. */
static ebb_value halving(const ebb_unet *u, ebb_value x, int64_t out)
{
    ebb_shape s = ebb_graph_shape(u->g, x);
    if (!u->c->pad_after)
        return ebb_nn_conv(u->g, "downsamplers.0.conv", x, out, 3, 2, 1.0f);
    return ebb_nn_conv_to(u->g, "downsamplers.0.conv", x, out, 3, 2, 0, s.dim[1] / 2, s.dim[2] / 2, 1.0f);
}

/* Half or double the size at the same width. */
static ebb_value resize(ebb_unet *u, int level, ebb_resize size, ebb_value x)
{
    bool down = size == EBB_SIZE_DOWN, conv = u->c->resample == EBB_RESAMPLE_CONV;
    bool block = !conv || ((down ? u->c->block_down : u->c->block_up) && attends(u, level, !down));
    if (!block)
        return down ? halving(u, x, ebb_unet_width(u->c, level))
                    : ebb_nn_conv(u->g, "upsamplers.0.conv", ebb_up2(u->g, x), ebb_unet_width(u->c, level), 3, 1, 1.0f);
    size_t scope = conv ? ebb_scope_push(u->g, down ? "downsamplers.0." : "upsamplers.0.")
                        : ebb_scope_push(u->g, down ? "resnet_down." : "resnet_up.");
    x = ebb_unet_residual(u, x, ebb_unet_width(u->c, level), size);
    ebb_mark_value(u->g, "", x);
    ebb_scope_pop(u->g, scope);
    return x;
}

static ebb_value way_down(ebb_unet *u, ebb_value x)
{
    skip_push(u, x);
    for (int level = 0; level < u->c->levels; level++) {
        size_t scope = ebb_scope_push(u->g, "down_blocks.%d.", level);
        for (int i = 0; i < u->c->blocks; i++) {
            x = residual(u, i, x, ebb_unet_width(u->c, level));
            x = attends(u, level, false) ? attention(u, i, x) : x;
            skip_push(u, x);
        }
        if (level + 1 < u->c->levels) {
            x = ebb_unet_see(u, resize(u, level, EBB_SIZE_DOWN, x));
            skip_push(u, x);
        }
        ebb_scope_pop(u->g, scope);
    }
    return x;
}

static ebb_value middle(ebb_unet *u, ebb_value x)
{
    int64_t deepest = ebb_unet_width(u->c, u->c->levels - 1);
    if (u->c->middle == EBB_MIDDLE_NONE)
        return x;
    size_t scope = ebb_scope_push(u->g, "mid_block.");
    u->within = true;
    x = residual(u, 0, x, deepest);
    x = u->c->middle == EBB_MIDDLE_ATTENTION ? attention(u, 0, x) : x;
    x = residual(u, 1, x, deepest);
    u->within = false;
    ebb_mark_value(u->g, "", x);
    ebb_scope_pop(u->g, scope);
    return x;
}

static ebb_value way_up(ebb_unet *u, ebb_value x)
{
    for (int level = u->c->levels - 1; level >= 0; level--) {
        size_t scope = ebb_scope_push(u->g, "up_blocks.%d.", u->c->levels - 1 - level);
        for (int i = 0; i <= u->c->blocks; i++) {
            bool looks = attends(u, level, true) && (!u->c->attention_once || i == u->c->blocks);
            x = residual(u, i, ebb_concat(u->g, x, skip_pop(u), 3), ebb_unet_width(u->c, level));
            x = looks ? attention(u, u->c->attention_once ? 0 : i, x) : x;
        }
        x = ebb_unet_say(u, level, x);
        if (level > 0)
            x = resize(u, level, EBB_SIZE_UP, x);
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
    for (int level = 0; level < c->levels && ebb_graph_status(g) == EBB_OK; level++) {
        int64_t width = ebb_unet_width(c, level);
        int groups = ebb_unet_groups(c, width);
        if (width < 1 || groups < 1 || width % groups != 0)
            ebb_graph_fail(g, EBB_E_SHAPE,
                           "U-Net: level %d is %lld channels wide, which group norm cannot split "
                           "into %d groups; choose fewer groups or widths that are multiples of them",
                           level, (long long)width, groups);
    }
}

static ebb_value condition(ebb_graph *g, const ebb_unet_config *c, ebb_value t, ebb_value label)
{
    int rows = c->classes + !c->no_null, width = c->time_width > 0 ? c->time_width : 4 * c->base;
    if (c->fourier > 0)
        return ebb_nn_fourier_condition(g, t, label, c->classes, rows, c->base, c->fourier, width);
    ebb_value features = ebb_nn_time_embedding(g, t, c->base, c->cosine_first, 1.0f - c->frequency_more);
    return ebb_nn_condition_of(g, features, label, c->classes, rows, width);
}

ebb_value ebb_unet_encode(ebb_unet *u, ebb_value x, ebb_value t, ebb_value label)
{
    ebb_graph *g = u->g;
    const ebb_unet_config *c = u->c;
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
    u->temb = condition(g, c, t, label);
    x = c->centre ? ebb_affine(g, x, 2, -1) : x;
    u->picture = x;
    x = ebb_nn_conv(g, "conv_in", x, c->base, 3, 1, 1.0f);
    return middle(u, way_down(u, x));
}

ebb_value ebb_nn_unet(ebb_graph *g, const ebb_unet_config *c, ebb_value x, ebb_value t, ebb_value label)
{
    ebb_unet u = {.g = g, .c = c, .picture = x, .sum = EBB_NONE};
    x = ebb_unet_encode(&u, x, t, label);
    if (ebb_graph_status(g) == EBB_OK) {
        x = way_up(&u, x);
        x = ebb_silu(g, ebb_unet_norm(&u, "conv_norm_out", x));
        x = ebb_nn_conv(g, "conv_out", x, c->outputs > 0 ? c->outputs : c->channels, 3, 1, 0.0f);
    }
    ebb_free(u.skip);
    if (ebb_graph_status(g) != EBB_OK)
        return EBB_NONE;
    return c->output == EBB_PYRAMID_SKIP && u.sum != EBB_NONE ? ebb_add(g, u.sum, x) : x;
}
