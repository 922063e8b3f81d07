/* diffusers.c: a pipeline of diffusers as a model (diffusers.h): its configurations, completed by diffusers.def, become a recipe.
 */
#include <stdio.h>
#include <string.h>

#include "model/diffusers.h"

/* ---- what is missing, what is too much -------------------------------------------------------------------------------------- */

typedef struct known_key { const char *class, *name, *initial; } known_key;

static const known_key net_keys[] = {
#define UNET_KEY(name, initial) {"ANY", name, initial},
#define SCHEDULER(class)
#define SCHEDULER_KEY(class, name, initial)
#include "model/diffusers.def"
#undef UNET_KEY
#undef SCHEDULER_KEY
    {NULL, NULL, NULL},
};
static const known_key scheduler_keys[] = {
#define UNET_KEY(name, initial)
#define SCHEDULER_KEY(class, name, initial) {class, name, initial},
#include "model/diffusers.def"
#undef UNET_KEY
#undef SCHEDULER
#undef SCHEDULER_KEY
    {NULL, NULL, NULL},
};

static bool counts(const known_key *key, const char *class)
{
    return strcmp(key->class, "ANY") == 0 || strcmp(key->class, class) == 0;
}

/* The first row of a name counts. */
static ebb_status complete(ebb_diffusers *d, const known_key *keys, const char *class, json_t *config)
{
    const char *name;
    json_t *value;
    json_object_foreach (config, name, value) {
        bool known = name[0] == '_';
        for (const known_key *k = keys; !known && k->name != NULL; k++)
            known = counts(k, class) && strcmp(k->name, name) == 0;
        if (!known && json_array_append_new(d->passed_over, json_string(name)) != 0)
            return ebb_fail(d->ctx, EBB_E_MEMORY, "no memory for a name");
    }
    for (const known_key *k = keys; k->name != NULL; k++)
        if (counts(k, class) && json_object_get(config, k->name) == NULL
            && json_object_set_new(config, k->name, json_loads(k->initial, JSON_DECODE_ANY, NULL)) != 0)
            return ebb_fail(d->ctx, EBB_E_MEMORY, "no memory for the configuration of %s", d->folder);
    return EBB_OK;
}

/* The original network has one head, and files from before the key existed do not say so. */
static ebb_status settle_heads(ebb_diffusers *d)
{
    d->old_names = ebb_diffusers_has_old_names(d);
    if (!d->old_names || json_object_get(d->net, "attention_head_dim") != NULL)
        return EBB_OK;
    json_object_set_new(d->net, "attention_head_dim", json_null());
    return ebb_diffusers_note(d, "attention_head_dim is missing and attention has its old names: taken to have one head, not heads of "
                              "8 channels");
}

/* These pipelines make a scheduler of their own from whatever the folder has. */
static ebb_status settle_class(ebb_diffusers *d)
{
    const char *own = strcmp(d->pipeline, "DDIMPipeline") == 0   ? "DDIMScheduler"
                      : strcmp(d->pipeline, "PNDMPipeline") == 0 ? "PNDMScheduler" : NULL;
    const char *class = json_string_value(json_object_get(d->scheduler, "_class_name"));
    const char *net = json_string_value(json_object_get(d->net, "_class_name"));
    if (net != NULL && strcmp(net, "UNet2DModel") != 0)
        return ebb_fail(d->ctx, EBB_E_UNSUPPORTED, "%s: a network of class %s: ebb reads UNet2DModel", d->net_path, net);
    if (class == NULL && own == NULL)
        return ebb_fail(d->ctx, EBB_E_FORMAT, "%s: no _class_name", d->scheduler_path);
    snprintf(d->scheduler_class, sizeof d->scheduler_class, "%s", own != NULL ? own : class);
    return EBB_OK;
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------- */

static ebb_status name_recipe(ebb_diffusers *d)
{
    const char *end = d->folder + strlen(d->folder), *start;
    while (end > d->folder + 1 && end[-1] == '/')
        end--;
    for (start = end; start > d->folder && start[-1] != '/';)
        start--;
    EBB_TRY(ebb_diffusers_set(d, "about.name", "%.*s", (int)(end - start > 60 ? 60 : end - start), start));
    EBB_TRY(ebb_diffusers_set(d, "about.help", "UNet2DModel of diffusers, %s", d->scheduler_class));
    return ebb_diffusers_set(d, "precision.type", "f32");
}

static ebb_status read_all(ebb_diffusers *d)
{
    d->passed_over = json_array();
    d->notes = json_array();
    if (d->passed_over == NULL || d->notes == NULL)
        return ebb_fail(d->ctx, EBB_E_MEMORY, "no memory for a pipeline");
    EBB_TRY(ebb_diffusers_open(d));
    EBB_TRY(settle_class(d));
    EBB_TRY(settle_heads(d));
    EBB_TRY(complete(d, net_keys, "", d->net));
    EBB_TRY(complete(d, scheduler_keys, d->scheduler_class, d->scheduler));
    EBB_TRY(ebb_recipe_default(d->ctx, &d->recipe));
    EBB_TRY(name_recipe(d));
    EBB_TRY(ebb_diffusers_net(d));
    EBB_TRY(ebb_diffusers_scheduler(d));
    ebb_status status = ebb_recipe_check(d->ctx, d->recipe);
    return status == EBB_OK ? EBB_OK : ebb_fail_prefix(d->ctx, "%s, as a recipe", d->folder);
}

ebb_status ebb_diffusers_read(ebb_context *ctx, const char *folder, ebb_diffusers *out)
{
    *out = (ebb_diffusers){.ctx = ctx, .folder = folder};
    return read_all(out);
}

void ebb_diffusers_free(ebb_diffusers *d)
{
    for (int i = 0; i < d->shards; i++)
        ebb_st_free(&d->shard[i]);
    ebb_free(d->shard);
    json_decref(d->net);
    json_decref(d->scheduler);
    json_decref(d->passed_over);
    json_decref(d->notes);
    ebb_recipe_free(d->recipe);
    *d = (ebb_diffusers){0};
}

/* A configuration cannot ask for more memory than half-precision weights fill. */
static ebb_status fill(const ebb_diffusers *d, ebb_model *m)
{
    size_t bytes = 0;
    for (int i = 0; i < d->shards; i++)
        bytes += d->shard[i].size;
    if ((size_t)m->params.numbers * 2 > bytes)
        return ebb_fail(d->ctx, EBB_E_FORMAT, "%s makes %lld parameters, more than the weights hold", d->net_path,
                        (long long)m->params.numbers);
    EBB_TRY(ebb_alloc(d->ctx, (void **)&m->owned, (size_t)m->params.length, sizeof(float), "weights"));
    m->weights = m->owned;
    return ebb_diffusers_weights(d, &m->params, m->owned);
}

ebb_status ebb_diffusers_model(const ebb_diffusers *d, ebb_model **out)
{
    ebb_status status = ebb_model_create(d->ctx, d->recipe, out);
    if (status != EBB_OK)
        return ebb_fail_prefix(d->ctx, "%s", d->net_path);
    status = fill(d, *out);
    if (status != EBB_OK) {
        ebb_model_free(*out);
        *out = NULL;
    }
    return status;
}

ebb_status ebb_diffusers_load(ebb_context *ctx, const char *folder, ebb_model **out)
{
    ebb_diffusers d;
    *out = NULL;
    ebb_status status = ebb_diffusers_read(ctx, folder, &d);
    if (status == EBB_OK)
        status = ebb_diffusers_model(&d, out);
    ebb_diffusers_free(&d);
    return status;
}
