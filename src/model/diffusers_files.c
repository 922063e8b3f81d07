/* diffusers_files.c: where the parts of a pipeline lie.
 *
 * Nested: model_index.json, unet/config.json, unet/diffusion_pytorch_model.safetensors, scheduler/scheduler_config.json. Flat, as
 * older ones are: the last three side by side. Large networks come in shards, named by an index
 * diffusion_pytorch_model.safetensors.index.json {weight_map: {tensor: file}}. Pickles are not read: they are programs.
 */
#include <stdio.h>
#include <string.h>

#include "model/diffusers.h"

#define WEIGHTS "diffusion_pytorch_model"

static bool join(char out[EBB_DIFFUSERS_PATH], const char *folder, const char *name)
{
    int n = snprintf(out, EBB_DIFFUSERS_PATH, "%s/%s", folder, name);
    return n > 0 && n < EBB_DIFFUSERS_PATH;
}

static bool there(const char *folder, const char *name)
{
    char path[EBB_DIFFUSERS_PATH];
    return join(path, folder, name) && ebb_file_exists(path);
}

bool ebb_diffusers_is(const char *folder)
{
    return ebb_is_directory(folder)
           && (there(folder, "model_index.json") || there(folder, "unet/config.json") || there(folder, "config.json"));
}

static ebb_status find(ebb_diffusers *d, const char *nested, const char *flat, char out[EBB_DIFFUSERS_PATH])
{
    bool deep = there(d->folder, nested);
    if (!join(out, d->folder, deep ? nested : flat))
        return ebb_fail(d->ctx, EBB_E_ARGUMENT, "%.200s...: the name is too long", d->folder);
    if (deep || ebb_file_exists(out))
        return EBB_OK;
    return ebb_fail(d->ctx, EBB_E_IO, "%s: there is neither %s nor %s in this folder: a pipeline of diffusers has one of them",
                    d->folder, nested, flat);
}

/* The class of the pipeline, and that it needs no more than a network and a scheduler. */
static ebb_status read_index(ebb_diffusers *d)
{
    char path[EBB_DIFFUSERS_PATH];
    json_t *index;
    const char *key;
    json_t *value;
    if (!there(d->folder, "model_index.json") || !join(path, d->folder, "model_index.json"))
        return EBB_OK;
    EBB_TRY(ebb_json_read(d->ctx, path, &index));
    const char *name = json_string_value(json_object_get(index, "_class_name"));
    snprintf(d->pipeline, sizeof d->pipeline, "%s", name != NULL ? name : "");
    ebb_status status = json_is_object(index) ? EBB_OK : ebb_fail(d->ctx, EBB_E_FORMAT, "%s: not an object of parts", path);
    json_object_foreach (index, key, value)
        if (status == EBB_OK && json_is_array(value) && strcmp(key, "unet") != 0 && strcmp(key, "scheduler") != 0)
            status = ebb_fail(d->ctx, EBB_E_UNSUPPORTED, "%s: part '%s' of the pipeline %s: ebb reads pipelines of a unet and a "
                              "scheduler alone", path, key, d->pipeline);
    json_decref(index);
    return status;
}

/* ---- weights ---------------------------------------------------------------------------------------------------------------- */

static ebb_status open_shard(ebb_diffusers *d, const char *name)
{
    char path[2 * EBB_DIFFUSERS_PATH];
    void *grown = d->shard;
    int32_t capacity = d->shards;
    snprintf(path, sizeof path, "%s%s", d->weights, name);
    if (!ebb_file_exists(path))
        return ebb_fail(d->ctx, EBB_E_IO, "%s: this file of weights, which the index names, is missing", path);
    EBB_TRY(ebb_grow(d->ctx, &grown, &capacity, d->shards + 1, sizeof *d->shard));
    d->shard = grown;
    EBB_TRY(ebb_st_read(d->ctx, path, &d->shard[d->shards]));
    d->shards++;
    return EBB_OK;
}

static bool is_open(const ebb_diffusers *d, const char *name)
{
    for (int i = 0; i < d->shards; i++)
        if (strcmp(d->shard[i].path + strlen(d->weights), name) == 0)
            return true;
    return false;
}

/* A tensor twice would leave it to chance which one counts. */
static ebb_status check_shards(const ebb_diffusers *d)
{
    for (int i = 0; i < d->shards; i++)
        for (int32_t k = 0; k < d->shard[i].count; k++)
            for (int j = 0; j < i; j++)
                if (ebb_st_find(&d->shard[j], d->shard[i].tensor[k].name) != NULL)
                    return ebb_fail(d->ctx, EBB_E_FORMAT, "%s: tensor '%s' is in %s, too: shards must not overlap", d->shard[i].path,
                                    d->shard[i].tensor[k].name, d->shard[j].path);
    return EBB_OK;
}

static ebb_status open_map(ebb_diffusers *d, const char *path, const json_t *index)
{
    json_t *map = json_object_get(index, "weight_map"), *file;
    const char *tensor;
    if (json_object_size(map) == 0)
        return ebb_fail(d->ctx, EBB_E_FORMAT, "%s: no weight_map of tensors to files", path);
    json_object_foreach (map, tensor, file) {
        const char *name = json_string_value(file);
        if (name == NULL || *name == 0 || strchr(name, '/') != NULL)
            return ebb_fail(d->ctx, EBB_E_FORMAT, "%s: tensor '%s': the name of a file beside is needed", path, tensor);
        if (!is_open(d, name))
            EBB_TRY(open_shard(d, name));
    }
    json_object_foreach (map, tensor, file)
        for (int i = 0; i < d->shards; i++)
            if (strcmp(d->shard[i].path + strlen(d->weights), json_string_value(file)) == 0
                && ebb_st_find(&d->shard[i], tensor) == NULL)
                return ebb_fail(d->ctx, EBB_E_FORMAT, "%s: tensor '%s' is not in %s, where the index says", path, tensor,
                                json_string_value(file));
    return EBB_OK;
}

static ebb_status open_index(ebb_diffusers *d, const char *name)
{
    char path[2 * EBB_DIFFUSERS_PATH];
    json_t *index;
    snprintf(path, sizeof path, "%s%s", d->weights, name);
    EBB_TRY(ebb_json_read(d->ctx, path, &index));
    ebb_status status = open_map(d, path, index);
    json_decref(index);
    return status;
}

static ebb_status open_weights(ebb_diffusers *d)
{
    static const char *const names[] = {WEIGHTS ".safetensors", WEIGHTS ".fp16.safetensors"};
    static const char *const pickles[] = {WEIGHTS ".bin", WEIGHTS ".fp16.bin", WEIGHTS ".bin.index.json", "pytorch_model.bin"};
    snprintf(d->weights, sizeof d->weights, "%.*s/", (int)(strrchr(d->net_path, '/') - d->net_path), d->net_path);
    if (there(d->weights, WEIGHTS ".safetensors.index.json"))
        return open_index(d, WEIGHTS ".safetensors.index.json");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (there(d->weights, names[i]))
            return open_shard(d, names[i]);
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++)
        if (there(d->weights, pickles[i]))
            return ebb_fail(d->ctx, EBB_E_UNSUPPORTED, "%s%s is a pickle, a program that is run when it is read: ebb reads "
                            "safetensors only; let diffusers write them: "
                            "pipeline.save_pretrained(folder, safe_serialization=True)", d->weights, pickles[i]);
    return ebb_fail(d->ctx, EBB_E_IO, "%s: no weights: " WEIGHTS ".safetensors, or its shards with their index, are missing", d->weights);
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------- */

static ebb_status read_object(ebb_diffusers *d, const char *path, json_t **out)
{
    EBB_TRY(ebb_json_read(d->ctx, path, out));
    return json_is_object(*out) ? EBB_OK : ebb_fail(d->ctx, EBB_E_FORMAT, "%s: not an object of keys", path);
}

ebb_status ebb_diffusers_open(ebb_diffusers *d)
{
    if (!ebb_diffusers_is(d->folder))
        return ebb_fail(d->ctx, EBB_E_FORMAT, "%s is a folder, but no pipeline of diffusers (model_index.json, config.json): of a run "
                        "of ebb give the file model.safetensors", d->folder);
    EBB_TRY(read_index(d));
    EBB_TRY(find(d, "unet/config.json", "config.json", d->net_path));
    EBB_TRY(find(d, "scheduler/scheduler_config.json", "scheduler_config.json", d->scheduler_path));
    EBB_TRY(read_object(d, d->net_path, &d->net));
    EBB_TRY(read_object(d, d->scheduler_path, &d->scheduler));
    EBB_TRY(open_weights(d));
    return check_shards(d);
}
