/* experiment_models.c: the models that experiments rest on, by the recipes that a row names: trained once, kept, shared (kept.h).
 */
#include <stdio.h>
#include <string.h>

#include "study/experiment.h"
#include "train/dist.h"

#define WORD_MAX 200

/* What a quick trial makes of a recipe: a network that is trained in a moment. */
static const char *const quick_unet[] = {"net.base=8", "net.groups=4", "net.blocks=1", "net.attention=", "train.steps=12",
                                         "train.batch=16", "train.sample_every=0", "data.limit=512", NULL};
static const char *const quick_other[] = {"train.steps=40", "train.batch=128", "train.shard=64", "data.limit=4096", NULL};

/* ---- recipes of a row ---------------------------------------------------------------------------------------------------- */

static const char *next_word(const char *at, char word[WORD_MAX])
{
    at += strspn(at, " ");
    size_t n = strcspn(at, " ");
    if (n == 0)
        return NULL;
    snprintf(word, WORD_MAX, "%.*s", (int)n, at);
    return at + n;
}

static int count_recipes(const char *models)
{
    char word[WORD_MAX];
    int count = 0;
    while ((models = next_word(models, word)) != NULL)
        count += strchr(word, '=') == NULL;
    return count;
}

static ebb_status make_quick(ebb_context *ctx, ebb_recipe *r)
{
    bool net_of_points = strcmp(r->net_kind, "mlp") == 0;
    for (const char *const *key = net_of_points ? quick_other : quick_unet; *key != NULL; key++)
        EBB_TRY(ebb_recipe_set(ctx, r, *key));
    return EBB_OK;
}

static ebb_status read_recipe(ebb_trial *x, int index, ebb_recipe **out)
{
    char word[WORD_MAX];
    int seen = -1;
    for (const char *at = x->kind->models; (at = next_word(at, word)) != NULL;) {
        seen += strchr(word, '=') == NULL;
        if (seen != index)
            continue;
        EBB_TRY(strchr(word, '=') == NULL ? ebb_recipe_load(x->ctx, word, out) : ebb_recipe_set(x->ctx, *out, word));
    }
    if (*out == NULL)
        return ebb_fail(x->ctx, EBB_E_INTERNAL, "experiment %s has no recipe %d", x->kind->name, index);
    return x->o.quick ? make_quick(x->ctx, *out) : EBB_OK;
}

ebb_status ebb_trial_recipe(ebb_trial *x, int index, ebb_recipe **out)
{
    *out = NULL;
    ebb_status status = read_recipe(x, index, out);
    if (status == EBB_OK) {
        ebb_recipe_settle(x->ctx, *out);
        return EBB_OK;
    }
    ebb_recipe_free(*out);
    *out = NULL;
    return status;
}

ebb_status ebb_trial_key(ebb_trial *x, uint64_t *key)
{
    *key = ebb_hash(0, EBB_VERSION, sizeof EBB_VERSION);
    *key = ebb_hash(*key, x->kind->name, strlen(x->kind->name));
    for (int i = 0; i < count_recipes(x->kind->models); i++) {
        ebb_recipe *r;
        EBB_TRY(ebb_trial_recipe(x, i, &r));
        ebb_status status = ebb_kept_key(x->ctx, r, *key, key);
        ebb_recipe_free(r);
        EBB_TRY(status);
    }
    return EBB_OK;
}

/* ---- a model ------------------------------------------------------------------------------------------------------------- */

static ebb_status check_data(ebb_trial *x, const ebb_recipe *r)
{
    char path[EBB_TRIAL_PATH];
    bool file = strcmp(r->data_kind, "idx") == 0 || strcmp(r->data_kind, "png") == 0 || strcmp(r->data_kind, "npy") == 0;
    if (!file || ebb_dataset_find(x->ctx, r->data_path, r->directory, path, sizeof path) == EBB_OK)
        return EBB_OK;
    const char *hint = strstr(r->data_path, "fashion-mnist") != NULL
                           ? ": install Fashion-MNIST (Debian: apt install dataset-fashion-mnist)"
                       : strcmp(r->about_name, "emoji") == 0 ? ": sh cmake/emoji.sh fetches them" : "";
    return ebb_trial_lacks(x, "%.300s is not here%s", r->data_path, hint);
}

static ebb_status on_progress(void *self, const char *doing, int64_t done, int64_t total)
{
    return ebb_trial_progress(self, doing, done, total);
}

static ebb_status find_or_train(ebb_trial *x, const ebb_recipe *r, char model[EBB_TRIAL_PATH])
{
    ebb_keeper keeper = {x->ctx, x->o.dir, on_progress, x};
    bool there;
    EBB_TRY(ebb_kept_find(&keeper, r, model, &there));
    if (there)
        return EBB_OK;
    EBB_TRY(check_data(x, r));
    return ebb_kept_model(&keeper, r, model);
}

ebb_status ebb_trial_model_path(ebb_trial *x, int index, char path[EBB_TRIAL_PATH])
{
    ebb_recipe *r;
    EBB_TRY(ebb_trial_recipe(x, index, &r));
    ebb_status status = find_or_train(x, r, path);
    ebb_recipe_free(r);
    return status;
}

ebb_status ebb_trial_model(ebb_trial *x, int index, ebb_model **out)
{
    char path[EBB_TRIAL_PATH];
    *out = NULL;
    EBB_TRY(ebb_trial_model_path(x, index, path));
    return ebb_model_load(x->ctx, path, out);
}
