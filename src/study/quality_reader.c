/* quality_reader.c: the recipe of the classifier by whose features pictures of a data set are judged (quality.h).
 *
 * It is that of digits-classifier but for the noise, next to which there is none: at sigma/alpha about e^-3 it still learns that a
 * picture means the same when a little is added to it. In f32, so that features are the same on every machine.
 */
#include <stdio.h>
#include <string.h>

#include "study/quality.h"

static const char *const keys[] = {
    "about.name=features", "about.help=tells the classes of a data set, for the features of ebb eval", "net.kind=classifier", "net.base=32",
    "net.blocks=1", "net.groups=8", "process.kind=vp", "loss.kind=classification", "loss.times=log-normal", "loss.log_mean=-3",
    "loss.log_std=1", "optim.lr=4e-3", "optim.decay=cosine", "optim.lr_end=1e-5", "optim.warmup=50", "optim.beta2=0.99",
    "optim.weight_decay=0.01", "optim.ema=0.99", "train.steps=1500", "train.batch=32", "train.shard=8", "train.save_every=500",
    "precision.type=f32", NULL};
static const char *const quick_keys[] = {"net.base=16", "train.steps=200", "optim.warmup=10", "optim.ema=0.9", NULL};

static ebb_status set(ebb_context *ctx, ebb_recipe *r, const char *const *all)
{
    for (; *all != NULL; all++)
        EBB_TRY(ebb_recipe_set(ctx, r, *all));
    return EBB_OK;
}

/* Where inks and made pictures are drawn by the seed, it is part of the data. */
static void take_data(const ebb_recipe *from, ebb_recipe *r)
{
    memcpy(r->directory, from->directory, sizeof r->directory);
    memcpy(r->data_kind, from->data_kind, sizeof r->data_kind);
    memcpy(r->data_path, from->data_path, sizeof r->data_path);
    memcpy(r->data_labels, from->data_labels, sizeof r->data_labels);
    memcpy(r->data_larger, from->data_larger, sizeof r->data_larger);
    memcpy(r->data_colour, from->data_colour, sizeof r->data_colour);
    r->data_size = from->data_size;
    r->data_channels = from->data_channels;
    r->data_limit = from->data_limit;
    r->data_flip = from->data_flip;
    r->data_held_out = EBB_QUALITY_HELD_OUT;
    bool seeded = strcmp(from->data_kind, "synthetic") == 0 || strcmp(from->data_colour, "as-is") != 0;
    r->train_seed = seeded ? from->train_seed : 1;
}

/* Three levels, the last with attention, or as often as the sides can be halved. */
static void set_levels(ebb_recipe *r)
{
    int h = ebb_recipe_height(r), w = ebb_recipe_width(r), levels = 1;
    for (; levels < 3 && h % 2 == 0 && w % 2 == 0; levels++)
        h /= 2, w /= 2;
    r->net_mult = (ebb_key_INTS){levels, {1, 2, 2}};
    if (levels == 1)
        r->net_mult.at[0] = 2;
    r->net_attention = (ebb_key_INTS){levels == 3, {2}};
}

ebb_status ebb_quality_recipe(ebb_context *ctx, const ebb_recipe *data, int classes, bool quick, ebb_recipe **out)
{
    EBB_TRY(ebb_recipe_default(ctx, out));
    ebb_recipe *r = *out;
    take_data(data, r);
    r->net_classes = classes;
    set_levels(r);
    ebb_status status = set(ctx, r, keys);
    if (status == EBB_OK && quick)
        status = set(ctx, r, quick_keys);
    if (status == EBB_OK)
        status = ebb_recipe_check(ctx, r);
    if (status == EBB_OK)
        return EBB_OK;
    ebb_recipe_free(r);
    *out = NULL;
    return status;
}
