/* diffusers_net.c: the configuration of a UNet2DModel as section net of a recipe.
 *
 * Two families of levels. DownBlock2D and the like are levels of Ho et al.'s U-Net, halved by convolutions, or with
 * downsample_type "resnet" those with attention by means within a block (the others do not look at that key).
 * SkipDownBlock2D and the like are levels of NCSN++ (Song et al. 2021): filter [1,3,3,1], sums over the root of 2, groups of
 * four channels at least but 32 in attention, and one attention a level on the way up.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/diffusers.h"

#define SKIP_GROUPS 32

typedef struct net_job {
    ebb_diffusers *d;
    const json_t *c;             /* configuration */
    int levels;
    int64_t width[EBB_INTS_MAX];
    bool skip;                   /* the family of NCSN++ */
    bool down[EBB_INTS_MAX], up[EBB_INTS_MAX];   /* level i, counted from the first of the way down, has attention */
    int64_t groups, head;        /* 0: null */
} net_job;

static ebb_status refuse(const net_job *j, const char *key, const char *format, const char *what)
{
    char text[300];
    snprintf(text, sizeof text, format, what);
    return ebb_fail(j->d->ctx, EBB_E_UNSUPPORTED, "%s: key '%s': %s", j->d->net_path, key, text);
}

static ebb_status whole(const net_job *j, const char *key, int64_t *out)
{
    return ebb_diffusers_int(j->d, j->c, j->d->net_path, key, out);
}

/* null is 0. */
static ebb_status whole_or_null(const net_job *j, const char *key, int64_t *out)
{
    *out = 0;
    return ebb_diffusers_null(j->c, key) ? EBB_OK : whole(j, key, out);
}

static ebb_status text(const net_job *j, const char *key, const char **out)
{
    return ebb_diffusers_text(j->d, j->c, j->d->net_path, key, out);
}

static ebb_status flag(const net_job *j, const char *key, bool *out)
{
    return ebb_diffusers_bool(j->d, j->c, j->d->net_path, key, out);
}

static ebb_status set_list(const net_job *j, const char *key, const int64_t *at, int count)
{
    char list[200] = "";
    for (int i = 0, n = 0; i < count; i++)
        n += snprintf(list + n, sizeof list - (size_t)n, "%s%lld", i > 0 ? "," : "", (long long)at[i]);
    return ebb_diffusers_set(j->d, key, "%s", list);
}

/* ---- levels ------------------------------------------------------------------------------------------------------------------ */

static ebb_status read_widths(net_job *j)
{
    const json_t *list = json_object_get(j->c, "block_out_channels");
    size_t count = json_array_size(list);
    if (count < 1 || count > EBB_INTS_MAX)
        return ebb_fail(j->d->ctx, EBB_E_UNSUPPORTED, "%s: key 'block_out_channels': %zu levels; ebb has 1 to %d", j->d->net_path, count,
                        EBB_INTS_MAX);
    j->levels = (int)count;
    for (size_t i = 0; i < count; i++) {
        j->width[i] = json_integer_value(json_array_get(list, i));
        if (j->width[i] < 1 || j->width[i] > 65536)
            return refuse(j, "block_out_channels", "%s", "expected whole numbers from 1 to 65536");
    }
    return set_list(j, "net.widths", j->width, j->levels);
}

/* Which family a block is of, and whether it has attention. */
static bool know(const char *name, const char *way, bool *skip, bool *attention)
{
    char plain[40];
    if (strncmp(name, "UNetRes", 7) == 0)        /* of before 0.3 */
        name += 7;
    for (int kind = 0; kind < 4; kind++) {
        *attention = (kind & 1) != 0;
        *skip = (kind & 2) != 0;
        snprintf(plain, sizeof plain, "%s%s%sBlock2D", *attention ? "Attn" : "", *skip ? "Skip" : "", way);
        if (strcmp(name, plain) == 0)
            return true;
    }
    return false;
}

static ebb_status read_blocks(net_job *j, const char *key, const char *way, bool back, bool *attention)
{
    const json_t *list = json_object_get(j->c, key);
    if ((int)json_array_size(list) != j->levels)
        return ebb_fail(j->d->ctx, EBB_E_FORMAT, "%s: key '%s': %zu blocks, but block_out_channels has %d levels", j->d->net_path, key,
                        json_array_size(list), j->levels);
    for (int i = 0; i < j->levels; i++) {
        const char *name = json_string_value(json_array_get(list, (size_t)i));
        int level = back ? j->levels - 1 - i : i;
        bool skip;
        if (name == NULL || !know(name, way, &skip, &attention[level]))
            return refuse(j, key, "block '%s': ebb has DownBlock2D, UpBlock2D, SkipDownBlock2D, SkipUpBlock2D and those with Attn before",
                          name != NULL ? name : "(no text)");
        if (i == 0 && !back)
            j->skip = skip;
        if (skip != j->skip)
            return refuse(j, key, "block '%s': ebb has no network with Skip blocks and others", name);
    }
    return EBB_OK;
}

static ebb_status set_attention(net_job *j)
{
    int64_t down[EBB_INTS_MAX], up[EBB_INTS_MAX];
    int downs = 0, ups = 0;
    for (int i = 0; i < j->levels; i++) {
        if (j->down[i])
            down[downs++] = i;
        if (j->up[i])
            up[ups++] = i;
    }
    EBB_TRY(set_list(j, "net.attention", down, downs));
    if (memcmp(j->down, j->up, sizeof j->down) == 0)
        return EBB_OK;
    if (ups == 0)
        up[ups++] = -1;
    return set_list(j, "net.attention_back", up, ups);
}

/* ---- groups ------------------------------------------------------------------------------------------------------------------ */

static int64_t few(int64_t channels)
{
    return channels / 4 < SKIP_GROUPS ? channels / 4 : SKIP_GROUPS;
}

/* NCSN++ in ebb has few(C) groups everywhere; these blocks elsewhere 32, and a slip of signs in one. */
static ebb_status check_skip_groups(const net_job *j)
{
    int64_t deepest = j->width[j->levels - 1];
    if (j->groups > 0 && (j->groups != few(j->width[0]) || j->groups != few(deepest)))
        return refuse(j, "norm_num_groups", "%s", "with Skip blocks ebb has a quarter of the channels, 32 at most, as null means");
    for (int i = 0; i < j->levels; i++)
        if ((j->down[i] || j->up[i]) && few(j->width[i]) != SKIP_GROUPS)
            return refuse(j, "block_out_channels", "%s", "Skip blocks with attention need 128 channels, whose norms have 32 groups");
    return EBB_OK;
}

static ebb_status read_groups(net_job *j)
{
    double eps;
    EBB_TRY(whole_or_null(j, "norm_num_groups", &j->groups));
    EBB_TRY(ebb_diffusers_real(j->d, j->c, j->d->net_path, "norm_eps", &eps));
    EBB_TRY(ebb_diffusers_set(j->d, "net.norm_eps", "%.17g", eps));
    if (j->skip)
        EBB_TRY(check_skip_groups(j));
    else if (j->groups < 1)
        return refuse(j, "norm_num_groups", "%s", "null is for Skip blocks alone");
    return ebb_diffusers_set(j->d, "net.groups", "%lld", (long long)(j->skip ? SKIP_GROUPS : j->groups));
}

/* ---- the middle ---------------------------------------------------------------------------------------------------------------- */

/* Its attention has a norm where t only shifts, or where its groups are told. */
static ebb_status set_middle_groups(const net_job *j, bool scale_shift)
{
    int64_t own;
    EBB_TRY(whole_or_null(j, "attn_norm_num_groups", &own));
    if (own == 0 && scale_shift)
        return ebb_diffusers_set(j->d, "net.middle_groups", "-1");
    return ebb_diffusers_set(j->d, "net.middle_groups", "%lld", (long long)own);
}

static ebb_status read_middle(const net_job *j)
{
    const char *type = "", *effect;
    bool attention;
    double scale;
    EBB_TRY(text(j, "resnet_time_scale_shift", &effect));
    EBB_TRY(flag(j, "add_attention", &attention));
    EBB_TRY(ebb_diffusers_real(j->d, j->c, j->d->net_path, "mid_block_scale_factor", &scale));
    if (strcmp(effect, "default") != 0 && strcmp(effect, "scale_shift") != 0)
        return refuse(j, "resnet_time_scale_shift", "'%s': ebb has default and scale_shift", effect);
    bool scale_shift = strcmp(effect, "scale_shift") == 0;
    EBB_TRY(ebb_diffusers_set(j->d, "net.time_effect", scale_shift ? "scale-shift" : "shift"));
    if (ebb_diffusers_null(j->c, "mid_block_type"))
        return ebb_diffusers_set(j->d, "net.middle", "none");
    EBB_TRY(text(j, "mid_block_type", &type));
    if (strcmp(type, "UNetMidBlock2D") != 0)
        return refuse(j, "mid_block_type", "'%s': ebb has UNetMidBlock2D and null", type);
    if (!(scale > 0))
        return refuse(j, "mid_block_scale_factor", "%s", "a number above 0 is needed");
    bool usual = j->skip ? fabs(scale - sqrt(2)) < 1e-6 : scale == 1;
    EBB_TRY(ebb_diffusers_set(j->d, "net.middle_scale", "%.17g", usual ? 0 : scale));
    EBB_TRY(ebb_diffusers_set(j->d, "net.middle", attention ? "attention" : "plain"));
    return attention ? set_middle_groups(j, scale_shift) : EBB_OK;
}

/* ---- how levels halve and double ------------------------------------------------------------------------------------------------- */

static ebb_status set_way(const net_job *j, const char *key, const char *ours, const bool *attention)
{
    const char *type;
    bool any = false;
    EBB_TRY(text(j, key, &type));
    for (int i = 0; i < j->levels; i++)
        any = any || attention[i];
    if (strcmp(type, "conv") == 0 || (strcmp(type, "resnet") == 0 && !any))
        return EBB_OK;
    if (strcmp(type, "resnet") != 0)
        return refuse(j, key, "'%s': ebb has conv and resnet", type);
    return ebb_diffusers_set(j->d, ours, "block");
}

static ebb_status read_ways(const net_job *j)
{
    int64_t padding;
    EBB_TRY(whole(j, "downsample_padding", &padding));
    if (j->skip)
        return EBB_OK;
    if (padding != 0 && padding != 1)
        return refuse(j, "downsample_padding", "%s", "ebb has 0 and 1");
    EBB_TRY(ebb_diffusers_set(j->d, "net.padding", padding == 0 ? "after" : "around"));
    EBB_TRY(set_way(j, "downsample_type", "net.downsample", j->down));
    return set_way(j, "upsample_type", "net.upsample", j->up);
}

/* ---- what it is told, and of what ---------------------------------------------------------------------------------------------------- */

static ebb_status read_time(const net_job *j)
{
    const char *type;
    int64_t width;
    double shift;
    bool flip, centre;
    EBB_TRY(text(j, "time_embedding_type", &type));
    EBB_TRY(whole_or_null(j, "time_embedding_dim", &width));
    EBB_TRY(ebb_diffusers_real(j->d, j->c, j->d->net_path, "freq_shift", &shift));
    EBB_TRY(flag(j, "flip_sin_to_cos", &flip));
    EBB_TRY(flag(j, "center_input_sample", &centre));
    if (strcmp(type, "positional") != 0)
        return refuse(j, "time_embedding_type", "'%s': ebb has positional", type);
    EBB_TRY(ebb_diffusers_set(j->d, "net.embedding", "positional"));
    EBB_TRY(ebb_diffusers_set(j->d, "net.time_width", "%lld", (long long)(width == 4 * j->width[0] ? 0 : width)));
    EBB_TRY(ebb_diffusers_set(j->d, "net.frequency_shift", "%.17g", shift));
    EBB_TRY(ebb_diffusers_set(j->d, "net.cosine_first", flip ? "true" : "false"));
    return ebb_diffusers_set(j->d, "net.centre", centre ? "true" : "false");
}

static ebb_status read_classes(const net_job *j)
{
    int64_t classes;
    const char *type;
    if (!ebb_diffusers_null(j->c, "class_embed_type")) {
        EBB_TRY(text(j, "class_embed_type", &type));
        return refuse(j, "class_embed_type", "'%s': ebb has null, a table of classes", type);
    }
    EBB_TRY(whole_or_null(j, "num_class_embeds", &classes));
    if (classes == 0)
        return EBB_OK;
    /* Of a model that ebb wrote the last row is "no class". */
    if (classes > 1 && json_is_true(json_object_get(j->c, "_ebb_null_class")))
        return ebb_diffusers_set(j->d, "net.classes", "%lld", (long long)classes - 1);
    EBB_TRY(ebb_diffusers_set(j->d, "net.classes", "%lld", (long long)classes));
    EBB_TRY(ebb_diffusers_set(j->d, "loss.label_drop", "0"));
    return ebb_diffusers_set(j->d, "net.null_class", "false");
}

static ebb_status read_size(const net_job *j)
{
    const json_t *size = json_object_get(j->c, "sample_size");
    int64_t side[2] = {json_integer_value(size), json_integer_value(size)}, in, out;
    for (size_t i = 0; i < 2 && json_array_size(size) == 2; i++)
        side[i] = json_integer_value(json_array_get(size, i));
    if (side[0] < 1 || side[1] < 1)
        return refuse(j, "sample_size", "%s", "expected height and width, or one number for both: ebb must know them");
    EBB_TRY(ebb_diffusers_set(j->d, "data.kind", "idx"));    /* and no path: no data that it was trained on are known */
    EBB_TRY(set_list(j, "data.size", side, side[0] == side[1] ? 1 : 2));
    EBB_TRY(whole(j, "in_channels", &in));
    EBB_TRY(whole(j, "out_channels", &out));
    if (in < 1 || (out != in && out != 2 * in))
        return refuse(j, "out_channels", "%s", "ebb has as many as in_channels, or twice as many, whose second half is variances");
    if (j->skip && in != 3)
        return refuse(j, "in_channels", "%s", "Skip blocks are of pictures with 3 channels");
    EBB_TRY(ebb_diffusers_set(j->d, "data.channels", "%lld", (long long)in));
    return ebb_diffusers_set(j->d, "net.variance", out == in ? "fixed" : "learned");
}

static ebb_status read_rest(const net_job *j)
{
    const char *act;
    int64_t blocks;
    double dropout;
    EBB_TRY(text(j, "act_fn", &act));
    EBB_TRY(whole(j, "layers_per_block", &blocks));
    EBB_TRY(ebb_diffusers_real(j->d, j->c, j->d->net_path, "dropout", &dropout));
    if (strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0)
        return refuse(j, "act_fn", "'%s': ebb has silu", act);
    EBB_TRY(ebb_diffusers_set(j->d, "net.blocks", "%lld", (long long)blocks));
    EBB_TRY(ebb_diffusers_set(j->d, "net.dropout", "%.17g", dropout));
    if (!j->skip)
        return ebb_diffusers_set(j->d, "net.kind", "unet");
    EBB_TRY(ebb_diffusers_set(j->d, "net.kind", "ncsnpp"));
    EBB_TRY(ebb_diffusers_set(j->d, "net.progressive_input", "input-skip"));
    return ebb_diffusers_set(j->d, "net.progressive_output", "output-skip");
}

/* The size of a head; null is one head of all channels. */
static ebb_status read_heads(net_job *j)
{
    EBB_TRY(whole_or_null(j, "attention_head_dim", &j->head));
    for (int i = 0; j->head != 0 && i < j->levels; i++) {
        bool used = j->down[i] || j->up[i] || i == j->levels - 1;
        if (used && (j->head < 1 || j->width[i] % j->head != 0))
            return refuse(j, "attention_head_dim", "%s", "the widths of levels with attention, and the last, must be multiples of it");
    }
    return ebb_diffusers_set(j->d, "net.head", "%lld", (long long)j->head);
}

ebb_status ebb_diffusers_net(ebb_diffusers *d)
{
    net_job j = {.d = d, .c = d->net};
    EBB_TRY(read_widths(&j));
    EBB_TRY(read_blocks(&j, "down_block_types", "Down", false, j.down));
    EBB_TRY(read_blocks(&j, "up_block_types", "Up", true, j.up));
    EBB_TRY(set_attention(&j));
    EBB_TRY(read_rest(&j));
    EBB_TRY(read_heads(&j));
    EBB_TRY(read_groups(&j));
    EBB_TRY(read_middle(&j));
    EBB_TRY(read_ways(&j));
    EBB_TRY(read_time(&j));
    EBB_TRY(read_classes(&j));
    return read_size(&j);
}
