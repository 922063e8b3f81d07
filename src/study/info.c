/* info.c: what a file is and holds, told by its first bytes; or what this machine is.
 */
#include <string.h>

#include "model/diffusers.h"
#include "model/report.h"

/* ---- machine ---------------------------------------------------------------------------- */

static json_t *isa_list(void)
{
    json_t *list = json_array();
    for (int i = 0; i < EBB_ISA_COUNT; i++)
        if (ebb_isa_available((ebb_isa)i))
            json_array_append_new(list, json_string(ebb_isa_name((ebb_isa)i)));
    return list;
}

static json_t *domain_list(const ebb_topology *m)
{
    json_t *list = json_array();
    for (int d = 0; d < m->domains; d++) {
        char cpus[1024];
        ebb_cpus_text(&m->domain[d].cpus, cpus, sizeof cpus);
        json_array_append_new(list, json_pack("{s:i, s:s, s:i}", "domain", m->domain[d].number, "processors", cpus,
                                              "cores", m->domain[d].cores));
    }
    return list;
}

static json_t *cache_list(const ebb_topology *m)
{
    ebb_cache cache[EBB_CACHES_MAX];
    int count = ebb_topology_caches("", m, cache);
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        char name[] = {'L', (char)('0' + cache[i].level % 10), cache[i].type == 'u' ? 0 : cache[i].type, 0};
        json_array_append_new(list, json_pack("{s:s, s:I, s:i}", "cache", name, "bytes", (json_int_t)cache[i].bytes,
                                              "instances", cache[i].instances));
    }
    return list;
}

static ebb_status cpu_info(ebb_context *ctx, char **json)
{
#ifdef EBB_HAVE_ONEDNN
    bool onednn = true;
#else
    bool onednn = false;
#endif
#ifdef EBB_HAVE_MPI
    bool mpi = true;
#else
    bool mpi = false;
#endif
    static const char *const binds[] = {"none", "domain", "core"};
    ebb_topology m;
    ebb_par_machine(&m);
    const char *bind = ebb_par_bound_by_openmp() ? "OpenMP" : binds[ebb_par_binding()];
    json_t *info = json_pack("{s:s, s:s, s:i, s:i, s:i, s:o, s:i, s:s, s:s, s:o, s:s, s:b, s:b, s:o, s:o}", "kind", "cpu",
                             "version", EBB_VERSION, "sockets", m.sockets, "cores", m.cores, "processors", m.cpus,
                             "quota", m.quota > 0 ? json_real(m.quota) : json_null(), "threads", ctx->threads, "bind",
                             bind, "kernels", ebb_isa_name(ctx->isa), "available", isa_list(), "backend",
                             ebb_backend_choice_name(ctx), "onednn", onednn, "mpi", mpi, "domains", domain_list(&m), "caches",
                             cache_list(&m));
    return ebb_report_text(ctx, info, json);
}

/* ---- files ------------------------------------------------------------------------------ */

static json_t *shape_json(int rank, const int64_t *dim)
{
    json_t *shape = json_array();
    for (int i = 0; i < rank; i++)
        json_array_append_new(shape, json_integer(dim[i]));
    return shape;
}

static ebb_status idx_info(ebb_context *ctx, const char *path, char **json)
{
    ebb_idx idx;
    EBB_TRY(ebb_idx_read(ctx, path, &idx));
    json_t *info = json_pack("{s:s, s:s, s:s, s:o}", "kind", "idx", "path", path, "type", "u8", "shape",
                             shape_json(idx.rank, idx.dim));
    ebb_idx_free(&idx);
    return ebb_report_text(ctx, info, json);
}

static ebb_status npy_info(ebb_context *ctx, const char *path, char **json)
{
    ebb_npy npy;
    char type[16] = {0};
    EBB_TRY(ebb_npy_read(ctx, path, &npy));
    type[0] = npy.kind;
    json_t *info = json_pack("{s:s, s:s, s:s, s:i, s:o}", "kind", "npy", "path", path, "type", type,
                             "item_bytes", npy.item, "shape", shape_json(npy.rank, npy.dim));
    ebb_npy_free(&npy);
    return ebb_report_text(ctx, info, json);
}

static ebb_status png_info(ebb_context *ctx, const char *path, char **json)
{
    ebb_image image;
    EBB_TRY(ebb_png_read(ctx, path, &image));
    json_t *info = json_pack("{s:s, s:s, s:i, s:i, s:i}", "kind", "png", "path", path, "height", image.height,
                             "width", image.width, "channels", image.channels);
    ebb_image_free(&image);
    return ebb_report_text(ctx, info, json);
}

/* A data set of PNG files: its classes by name, and the shape of the first picture. */
static ebb_status folder_info(ebb_context *ctx, const char *path, char **json)
{
    ebb_folder folder;
    ebb_image first;
    EBB_TRY(ebb_folder_look(ctx, path, &folder));
    ebb_status status = ebb_png_read(ctx, folder.first, &first);
    json_t *info = json_pack("{s:s, s:s, s:I, s:i, s:i, s:i}", "kind", "folder", "path", path, "pictures", (json_int_t)folder.pictures,
                             "height", first.height, "width", first.width, "channels", first.channels);
    json_t *classes = json_array();
    for (int32_t k = 0; k < folder.classes; k++)
        json_array_append_new(classes, json_pack("{s:i, s:s, s:I}", "class", k, "name", folder.class[k].name, "pictures",
                                                 (json_int_t)folder.class[k].pictures));
    json_object_set_new(info, "classes", classes);
    ebb_image_free(&first);
    ebb_folder_free(&folder);
    if (status == EBB_OK)
        return ebb_report_text(ctx, info, json);
    json_decref(info);
    return status;
}

/* Of a pipeline of diffusers: what it says, and what ebb makes of that. */
static ebb_status pipeline_info(ebb_context *ctx, const char *path, char **json)
{
    ebb_diffusers d;
    ebb_model *model = NULL;
    json_t *info = NULL;
    ebb_status status = ebb_diffusers_read(ctx, path, &d);
    if (status == EBB_OK)
        status = ebb_diffusers_model(&d, &model);
    if (status == EBB_OK) {
        const ebb_recipe *r = d.recipe;
        info = json_pack("{s:s, s:s, s:s*, s:s, s:i, s:i, s:I, s:i, s:i, s:i, s:I, s:s, s:s, s:I}", "kind", "diffusers", "path", path,
                         "pipeline", d.pipeline[0] != 0 ? d.pipeline : NULL, "scheduler", d.scheduler_class, "height",
                         ebb_recipe_height(r), "width", ebb_recipe_width(r), "channels", (json_int_t)r->data_channels, "classes",
                         (int)r->net_classes, "files", d.shards, "tensors", model->params.count, "parameters",
                         (json_int_t)model->params.numbers, "sampler", r->sample_sampler, "grid", r->sample_grid, "steps",
                         (json_int_t)r->sample_steps);
        if (r->sample_refused[0] != 0)
            json_object_set_new(info, "refused", json_string(r->sample_refused));
        json_object_set(info, "notes", d.notes);
        json_object_set(info, "passed_over", d.passed_over);
        json_object_set(info, "unet_config", d.net);
        json_object_set(info, "scheduler_config", d.scheduler);
    }
    ebb_model_free(model);
    ebb_diffusers_free(&d);
    return status == EBB_OK ? ebb_report_text(ctx, info, json) : status;
}

static json_t *tensors_json(const ebb_safetensors *st, int64_t *numbers)
{
    json_t *list = json_array();
    *numbers = 0;
    for (int32_t i = 0; i < st->count; i++) {
        const ebb_st_tensor *t = &st->tensor[i];
        *numbers += (int64_t)(t->bytes / ebb_st_type_bytes(t->type));
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o}", "name", t->name, "type", ebb_st_type_name(t->type),
                                        "shape", shape_json(t->rank, t->dim)));
    }
    return list;
}

/* Metadata as it is, but a recipe as JSON of its own; and how it computes, which older recipes did not have to say. */
static ebb_status metadata_json(ebb_context *ctx, const ebb_safetensors *st, json_t *info)
{
    const char *recipe = ebb_st_metadata(st, "ebb.recipe");
    json_t *metadata = st->metadata ? json_deep_copy(st->metadata) : json_object(), *parsed;
    json_object_set_new(info, "metadata", metadata);
    if (recipe == NULL)
        return EBB_OK;
    EBB_TRY(ebb_json_parse(ctx, recipe, st->path, &parsed));
    json_t *precision = json_object_get(json_object_get(parsed, "precision"), "type");
    json_object_set(info, "precision", precision);
    if (precision == NULL)
        json_object_set_new(info, "precision", json_string("f32"));
    json_object_set_new(info, "recipe", parsed);
    json_object_del(metadata, "ebb.recipe");
    return EBB_OK;
}

static ebb_status safetensors_info(ebb_context *ctx, const char *path, char **json)
{
    ebb_safetensors st;
    int64_t numbers;
    EBB_TRY(ebb_st_read(ctx, path, &st));
    const char *kind = ebb_st_metadata(&st, "ebb.kind");
    json_t *tensors = tensors_json(&st, &numbers);
    json_t *info = json_pack("{s:s, s:s, s:I, s:I, s:I}", "kind", kind ? kind : "safetensors", "path", path,
                             "bytes", (json_int_t)st.size, "tensors", (json_int_t)st.count, "numbers",
                             (json_int_t)numbers);
    json_object_set_new(info, "list", tensors);
    ebb_status status = metadata_json(ctx, &st, info);
    ebb_st_free(&st);
    if (status == EBB_OK)
        return ebb_report_text(ctx, info, json);
    json_decref(info);
    return status;
}

typedef struct format {
    const char *magic;
    size_t size;
    ebb_status (*info)(ebb_context *ctx, const char *path, char **json);
} format;

ebb_status ebb_info(ebb_context *ctx, const char *what, char **json)
{
    static const format formats[] = {
        {"\x93NUMPY", 6, npy_info},
        {"\x89PNG", 4, png_info},
        {"\0\0\x08", 3, idx_info},
        {"\x1f\x8b", 2, idx_info},
    };
    char head[16] = {0};
    size_t got;
    *json = NULL;
    if (strcmp(what, "cpu") == 0)
        return cpu_info(ctx, json);
    if (ebb_diffusers_is(what))
        return pipeline_info(ctx, what, json);
    if (ebb_is_directory(what))
        return folder_info(ctx, what, json);
    EBB_TRY(ebb_file_peek(ctx, what, head, sizeof head, &got));
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (got >= formats[i].size && memcmp(head, formats[i].magic, formats[i].size) == 0)
            return formats[i].info(ctx, what, json);
    if (got > 8 && head[8] == '{')
        return safetensors_info(ctx, what, json);
    return ebb_fail(ctx, EBB_E_FORMAT,
                    "%s is none of the files that ebb knows: safetensors (model, checkpoint), npy, PNG, "
                    "IDX or gzip of IDX, a folder of PNG files, or a pipeline of diffusers",
                    what);
}
