/* model.c: model.safetensors: averaged weights under PyTorch's names and layouts; the metadata hold the
 * whole recipe, so that the file is all that sampling needs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

static ebb_status fill_model(ebb_context *ctx, const ebb_recipe *recipe, ebb_model *m)
{
    m->ctx = ctx;
    EBB_TRY(ebb_recipe_copy(ctx, recipe, &m->recipe));
    EBB_TRY(ebb_recipe_network(ctx, recipe, &m->net));
    EBB_TRY(ebb_recipe_process(ctx, recipe, &m->process));
    return ebb_params_from_network(ctx, &m->net, &m->params);
}

ebb_status ebb_model_create(ebb_context *ctx, const ebb_recipe *recipe, ebb_model **out)
{
    EBB_TRY(ebb_alloc(ctx, (void **)out, 1, sizeof **out, "model"));
    ebb_status status = fill_model(ctx, recipe, *out);
    if (status != EBB_OK) {
        ebb_model_free(*out);
        *out = NULL;
    }
    return status;
}

void ebb_model_free(ebb_model *model)
{
    if (model == NULL)
        return;
    ebb_recipe_free(model->recipe);
    ebb_process_free(&model->process);
    ebb_params_free(&model->params);
    ebb_free(model->owned);
    ebb_free(model);
}

ebb_status ebb_model_describe(ebb_model *model, ebb_model_shape *out)
{
    *out = (ebb_model_shape){
        .size = sizeof *out,
        .height = ebb_recipe_height(model->recipe),
        .width = ebb_recipe_width(model->recipe),
        .channels = (int)model->recipe->data_channels,
        .classes = (int)model->recipe->net_classes,
        .parameters = model->params.numbers,
    };
    return EBB_OK;
}

ebb_status ebb_model_denoises(ebb_context *ctx, const ebb_model *m)
{
    if (m->net.logits == 0)
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_ARGUMENT, "this model is a classifier (net.kind=%s), which makes no samples: a model of pictures is "
                    "needed, which it can lead as ebb sample --classifier", m->recipe->net_kind);
}

ebb_status ebb_model_classless(ebb_context *ctx, const ebb_model *m)
{
    if (m->recipe->net_classes == 0 || m->recipe->net_null_class)
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_ARGUMENT, "this model always needs a class, one of 0..%lld: it has learned nothing without one "
                    "(net.null_class=false), which guidance would lead away from, too", (long long)m->recipe->net_classes - 1);
}

/* ---- metadata --------------------------------------------------------------------------- */

ebb_status ebb_model_recipe(ebb_context *ctx, const ebb_safetensors *st, const char *kind, ebb_recipe **out)
{
    const char *text = ebb_st_metadata(st, "ebb.recipe"), *have = ebb_st_metadata(st, "ebb.kind");
    const char *directory = ebb_st_metadata(st, "ebb.directory");
    char where[EBB_TEXT_MAX];
    *out = NULL;
    if (text == NULL || have == NULL)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: no recipe in its metadata: this is not a %s of ebb", st->path,
                        kind);
    if (strcmp(have, kind) != 0)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s is a %.40s, not a %s: use the file %s.safetensors beside it",
                        st->path, have, kind, kind);
    snprintf(where, sizeof where, "%.480s (its recipe)", st->path);
    EBB_TRY(ebb_recipe_parse(ctx, text, where, directory ? directory : "", out));
    /* A file from before there was a choice. */
    if (strcmp((*out)->precision_type, "auto") == 0)
        strcpy((*out)->precision_type, "f32");
    ebb_status status = ebb_recipe_check(ctx, *out);
    if (status == EBB_OK)
        return EBB_OK;
    ebb_recipe_free(*out);
    *out = NULL;
    return ebb_fail_prefix(ctx, "%s", where);
}

ebb_status ebb_model_step(ebb_context *ctx, const ebb_safetensors *st, int64_t *out)
{
    const char *text = ebb_st_metadata(st, "ebb.step");
    char *end = NULL;
    *out = text ? strtoll(text, &end, 10) : -1;
    if (*out < 0 || end == text || *end != 0)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: metadata 'ebb.step' is missing or no number of steps",
                        st->path);
    return EBB_OK;
}

ebb_status ebb_model_metadata(ebb_context *ctx, const ebb_recipe *recipe, const char *kind, int64_t step,
                              json_t **out)
{
    char *text, number[32];
    EBB_TRY(ebb_recipe_text(ctx, recipe, &text));
    snprintf(number, sizeof number, "%lld", (long long)step);
    *out = json_pack("{s:s, s:s, s:s, s:s, s:s}", "format", "pt", "ebb.version", EBB_VERSION, "ebb.kind",
                     kind, "ebb.step", number, "ebb.recipe", text);
    ebb_free(text);
    return *out ? EBB_OK : ebb_fail(ctx, EBB_E_MEMORY, "no memory for the metadata of a %s", kind);
}

/* ---- file ------------------------------------------------------------------------------- */

static ebb_status read_model(ebb_context *ctx, const ebb_safetensors *st, ebb_model **out)
{
    ebb_recipe *recipe;
    EBB_TRY(ebb_model_recipe(ctx, st, "model", &recipe));
    ebb_status status = ebb_model_create(ctx, recipe, out);
    ebb_recipe_free(recipe);
    EBB_TRY(status);
    ebb_model *m = *out;
    EBB_TRY(ebb_model_step(ctx, st, &m->step));
    if (st->count != m->params.count)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s has %d tensors, but its recipe makes %d", st->path, st->count,
                        m->params.count);
    /* The tensors fill the file, so a recipe cannot ask for more memory than the file's size. */
    if ((size_t)m->params.numbers * sizeof(float) > st->size)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: its recipe makes %lld parameters, more than the file holds",
                        st->path, (long long)m->params.numbers);
    EBB_TRY(ebb_alloc(ctx, (void **)&m->owned, (size_t)m->params.length, sizeof(float), "weights"));
    m->weights = m->owned;
    return ebb_params_read(ctx, &m->params, st, "", m->owned);
}

ebb_status ebb_model_read(ebb_context *ctx, const char *path, ebb_model **out)
{
    ebb_safetensors st;
    *out = NULL;
    EBB_TRY(ebb_st_read(ctx, path, &st));
    ebb_status status = read_model(ctx, &st, out);
    ebb_st_free(&st);
    if (status != EBB_OK) {
        ebb_model_free(*out);
        *out = NULL;
    }
    return status;
}

size_t ebb_model_save_bytes(const ebb_params *params, int arrays)
{
    size_t rows = (size_t)params->count * (size_t)arrays;
    /* Row, name, and what the JSON header of the file may take; metadata. */
    return rows * (sizeof(ebb_st_tensor) + 4 * EBB_PARAM_NAME_MAX) + (1u << 18);
}

ebb_status ebb_model_save(ebb_model *m, const char *path, float *stage)
{
    ebb_context *ctx = m->ctx;
    json_t *metadata = NULL;
    ebb_st_tensor *rows;
    size_t count = (size_t)m->params.count;
    EBB_TRY(
        ebb_alloc(ctx, (void **)&rows, count, sizeof *rows + EBB_PARAM_NAME_MAX, "header of the model file"));
    ebb_params_to_file(ctx, &m->params, stage, m->weights);
    ebb_params_rows(&m->params, "", stage, (char *)(rows + count), rows);
    ebb_status status = ebb_model_metadata(ctx, m->recipe, "model", m->step, &metadata);
    if (status == EBB_OK && m->ema_width > 0) {
        char width[40];
        snprintf(width, sizeof width, "%.17g", m->ema_width);
        json_object_set_new(metadata, "ebb.ema_width", json_string(width));
    }
    if (status == EBB_OK)
        status = ebb_st_write(ctx, path, rows, m->params.count, metadata);
    json_decref(metadata);
    ebb_free(rows);
    return status;
}
