/* experiment_models.c: the models that experiments rest on: trained once, kept, shared.
 *
 * A model lies in DIR/models/RECIPE-KEY, a run of the ordinary trainer with its checkpoints, so that one that was cut goes on
 * where it was. The key is of the whole recipe, so that rows with the same recipe share a model, and any other has its own.
 */
#include <stdio.h>
#include <string.h>

#include "study/experiment.h"
#include "train/dist.h"
#include "train/trainer.h"

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

static ebb_status key_of(ebb_context *ctx, const ebb_recipe *r, uint64_t from, uint64_t *key)
{
    char *text;
    EBB_TRY(ebb_recipe_text(ctx, r, &text));
    *key = ebb_hash(from, text, strlen(text));
    ebb_text_free(text);
    return EBB_OK;
}

ebb_status ebb_trial_key(ebb_trial *x, uint64_t *key)
{
    *key = ebb_hash(0, EBB_VERSION, sizeof EBB_VERSION);
    *key = ebb_hash(*key, x->kind->name, strlen(x->kind->name));
    for (int i = 0; i < count_recipes(x->kind->models); i++) {
        ebb_recipe *r;
        EBB_TRY(ebb_trial_recipe(x, i, &r));
        ebb_status status = key_of(x->ctx, r, *key, key);
        ebb_recipe_free(r);
        EBB_TRY(status);
    }
    return EBB_OK;
}

/* ---- training ------------------------------------------------------------------------------------------------------------ */

static ebb_status train(ebb_trial *x, ebb_trainer *t, const char *doing)
{
    ebb_train_report report = {.size = sizeof report};
    while (!report.done) {
        EBB_TRY(ebb_trainer_step(t, &report));
        if (ebb_trial_progress(x, doing, report.step, report.steps) != EBB_OK) {
            EBB_TRY(report.done ? EBB_OK : ebb_trainer_save(t));
            return ebb_fail(x->ctx, EBB_E_ARGUMENT, "stopped after step %lld of %lld of %s, saved", (long long)report.step,
                            (long long)report.steps, doing);
        }
    }
    return EBB_OK;
}

/* A run that was killed before its first checkpoint has nothing to go on from; the directory is of this recipe alone. */
static ebb_status clear(ebb_trial *x, const char *dir)
{
    char **names, path[EBB_TRIAL_PATH];
    int32_t count;
    EBB_TRY(ebb_directory_make(x->ctx, dir));
    EBB_TRY(ebb_directory_list(x->ctx, dir, &names, &count));
    for (int32_t i = 0; i < count; i++)
        if (snprintf(path, sizeof path, "%s/%s", dir, names[i]) < (int)sizeof path)
            ebb_os_table.unlink(path);
    ebb_free(names);
    return EBB_OK;
}

static ebb_status train_or_resume(ebb_trial *x, const ebb_recipe *r, const char *dir, const char *checkpoint)
{
    char doing[80];
    ebb_trainer *t = NULL;
    snprintf(doing, sizeof doing, "training %.60s", r->about_name);
    ebb_status status = ebb_file_exists(checkpoint) ? EBB_OK : clear(x, dir);
    if (status == EBB_OK)
        status = ebb_file_exists(checkpoint) ? ebb_trainer_resume(x->ctx, dir, &t) : ebb_trainer_create(x->ctx, r, dir, &t);
    if (status == EBB_OK)
        status = train(x, t, doing);
    ebb_trainer_free(t);
    return status;
}

/* ---- a model ------------------------------------------------------------------------------------------------------------- */

static ebb_status check_data(ebb_trial *x, const ebb_recipe *r)
{
    char path[EBB_TRIAL_PATH];
    if (strcmp(r->data_kind, "idx") != 0 || ebb_dataset_find(x->ctx, r->data_path, r->directory, path, sizeof path) == EBB_OK)
        return EBB_OK;
    bool fashion = strstr(r->data_path, "fashion-mnist") != NULL;
    return ebb_trial_lacks(x, "%.300s is not here%s", r->data_path,
                           fashion ? ": install Fashion-MNIST (Debian: apt install dataset-fashion-mnist)" : "");
}

/* Whether the model there is of the recipe's last step. */
static ebb_status is_finished(ebb_trial *x, const ebb_recipe *r, const char *path, bool *finished)
{
    ebb_model *model;
    *finished = false;
    if (!ebb_file_exists(path))
        return EBB_OK;
    EBB_TRY(ebb_model_load(x->ctx, path, &model));
    *finished = model->step >= r->train_steps;
    ebb_model_free(model);
    return EBB_OK;
}

static ebb_status find_or_train(ebb_trial *x, const ebb_recipe *r, char model[EBB_TRIAL_PATH])
{
    char dir[EBB_TRIAL_PATH], checkpoint[EBB_TRIAL_PATH];
    uint64_t key;
    bool finished;
    EBB_TRY(key_of(x->ctx, r, 0, &key));
    int n = snprintf(dir, sizeof dir, "%s/models/%.60s-%016llx", x->o.dir, r->about_name, (unsigned long long)key);
    int m = snprintf(model, EBB_TRIAL_PATH, "%s/model.safetensors", dir);
    int c = snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.safetensors", dir);
    if (n < 0 || m < 0 || c < 0 || c >= (int)sizeof checkpoint)
        return ebb_fail(x->ctx, EBB_E_ARGUMENT, "the name of the directory is too long: %s", x->o.dir);
    EBB_TRY(is_finished(x, r, model, &finished));
    if (finished)
        return EBB_OK;
    EBB_TRY(check_data(x, r));
    return train_or_resume(x, r, dir, checkpoint);
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
