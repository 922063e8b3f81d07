/* pictures.c: data for a model (pictures.h), and the same as plain arrays for those who use the library.
 *
 * The one idea: pictures from elsewhere take the way of the training data, by the model's own recipe with another path, so
 * that they are padded and checked alike.
 */
#include "sample/pictures.h"

#include <stdio.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static ebb_status set_text(ebb_context *ctx, char *to, const char *text, const char *what)
{
    if (strlen(text) >= EBB_TEXT_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: a path of more than %d bytes", what, EBB_TEXT_MAX - 1);
    strcpy(to, text);
    return EBB_OK;
}

ebb_status ebb_data_redirect(ebb_context *ctx, const char *data, const char *labels, ebb_recipe *r)
{
    char path[2 * EBB_TEXT_MAX];
    EBB_TRY(set_text(ctx, r->data_path, data, "data"));
    EBB_TRY(set_text(ctx, r->data_labels, labels != NULL ? labels : "", "labels"));
    EBB_TRY(ebb_dataset_find(ctx, r->data_path, r->directory, path, sizeof path));
    bool npy = ends_with(path, ".npy"), png = ends_with(path, ".png"), folder = !npy && !png && ebb_is_directory(path);
    strcpy(r->data_kind, folder || png ? "png" : npy ? "npy" : "idx");
    r->data_held_out = 0;
    r->data_limit = 0;
    return EBB_OK;
}

ebb_status ebb_data_recipe(ebb_context *ctx, const ebb_recipe *own, const char *data, const char *labels, ebb_recipe **out)
{
    bool named = data != NULL && (ebb_recipe_built_in(data) != NULL || ends_with(data, ".json"));
    if (named)
        EBB_TRY(ebb_recipe_load(ctx, data, out));
    else if (own != NULL)
        EBB_TRY(ebb_recipe_copy(ctx, own, out));
    else
        EBB_TRY(ebb_recipe_default(ctx, out));
    if (data != NULL && !named)
        EBB_TRY(ebb_data_redirect(ctx, data, labels, *out));
    else if (labels != NULL)
        EBB_TRY(set_text(ctx, (*out)->data_labels, labels, "labels"));
    return ebb_recipe_complete(ctx, *out);
}

ebb_status ebb_data_fits(ebb_context *ctx, ebb_model *m, const ebb_recipe *data)
{
    ebb_model_shape s = {.size = sizeof s};
    int height = ebb_recipe_height(data), width = ebb_recipe_width(data), channels = (int)data->data_channels;
    EBB_TRY(ebb_model_describe(m, &s));
    if (s.height == height && s.width == width && s.channels == channels)
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_SHAPE, "the model makes pictures of %dx%dx%d, but those of the data are %dx%dx%d", s.height, s.width, s.channels,
                    height, width, channels);
}

/* The model's recipe with these data instead of its own. */
static ebb_status redirect(ebb_context *ctx, const ebb_data_choice *c, ebb_recipe *r)
{
    EBB_TRY(ebb_data_redirect(ctx, c->path, c->labels, r));
    bool folder = strcmp(r->data_kind, "png") == 0 && !ends_with(c->path, ".png");
    if (r->net_classes > 0 && !folder && c->labels == NULL)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: this model is conditional: give the file of labels, or ask for no classes",
                        c->path);
    return EBB_OK;
}

static ebb_status check_pictures(ebb_context *ctx, const ebb_model *m, ebb_data_choice *c, const ebb_dataset *data,
                                 const char *name)
{
    int64_t own = ebb_shape_count(ebb_network_shape(&m->net, 1)), left = data->n - c->first;
    int64_t numbers = c->shape[0] > 0 ? (int64_t)c->shape[0] * c->shape[1] * c->shape[2] : own;
    if (data->numbers != numbers)
        return ebb_fail(ctx, EBB_E_SHAPE, "%s: %lld numbers a picture, but %s takes %lld", name, (long long)data->numbers,
                        c->shape[0] > 0 ? "the task" : "the model", (long long)numbers);
    if (c->n == 0)
        c->n = c->usual > 0 && left > c->usual ? c->usual : left;
    if (c->n < 1 || c->first + c->n > data->n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "pictures %lld..%lld of %s: it has %lld", (long long)c->first,
                        (long long)(c->first + (c->n > 1 ? c->n : 1) - 1), name, (long long)data->n);
    return EBB_OK;
}

ebb_status ebb_data_open(ebb_context *ctx, const ebb_model *m, ebb_data_choice *c, ebb_dataset *out,
                         char name[2 * EBB_TEXT_MAX])
{
    ebb_recipe *r;
    int64_t n = c->n > 0 ? c->n : c->usual;
    if (c->first < 0 || c->n < 0 || c->first > UINT32_MAX || c->n > UINT32_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%lld pictures from %lld: give numbers from 0 to %lld", (long long)c->n,
                        (long long)c->first, (long long)UINT32_MAX);
    EBB_TRY(ebb_recipe_copy(ctx, m->recipe, &r));
    ebb_status status = EBB_OK;
    if (!c->classes)
        r->net_classes = 0;
    if (c->path != NULL)
        status = redirect(ctx, c, r);
    if (c->shape[0] > 0) {
        r->data_size = (ebb_key_INTS){2, {c->shape[0], c->shape[1]}};
        r->data_channels = c->shape[2];
    }
    if (c->path != NULL || strcmp(r->data_kind, "target") == 0 || strcmp(r->data_kind, "ring") == 0)
        r->data_limit = n > 0 ? c->first + n : 0;
    if (status == EBB_OK)
        status = ebb_recipe_dataset(ctx, r, out);
    snprintf(name, 2 * EBB_TEXT_MAX, "%s", *r->data_path != 0 ? r->data_path : r->data_kind);
    ebb_recipe_free(r);
    EBB_TRY(status);
    status = check_pictures(ctx, m, c, out, name);
    if (status != EBB_OK)
        ebb_dataset_free(out);
    return status;
}

/* ---- as plain arrays ---------------------------------------------------------------------------------------------- */

ebb_status ebb_data_copy(ebb_context *ctx, const ebb_data_choice *c, const ebb_dataset *data, ebb_pictures *out)
{
    size_t n = (size_t)c->n, numbers = (size_t)data->numbers;
    EBB_TRY(ebb_alloc(ctx, (void **)&out->pixels, n, numbers * sizeof *out->pixels, "pictures"));
    for (size_t i = 0; i < n; i++)
        ebb_dataset_picture(data, c->first + (int64_t)i, false, out->pixels + i * numbers);
    out->n = c->n;
    if (data->labels == NULL)
        return EBB_OK;
    EBB_TRY(ebb_alloc(ctx, (void **)&out->labels, n, sizeof *out->labels, "labels"));
    memcpy(out->labels, data->labels + c->first, n * sizeof *out->labels);
    return EBB_OK;
}

ebb_status ebb_pictures_read(ebb_context *ctx, const ebb_model *model, const char *path, const char *labels, int64_t first,
                             int64_t n, ebb_pictures *out)
{
    ebb_data_choice c = {.path = path, .labels = labels, .classes = labels != NULL, .first = first, .n = n};
    ebb_dataset data;
    char name[2 * EBB_TEXT_MAX];
    *out = (ebb_pictures){.size = sizeof *out};
    if (labels != NULL && model->recipe->net_classes == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "labels %s: this model knows no classes", labels);
    EBB_TRY(ebb_data_open(ctx, model, &c, &data, name));
    ebb_status status = ebb_data_copy(ctx, &c, &data, out);
    ebb_dataset_free(&data);
    if (status != EBB_OK)
        ebb_pictures_free(out);
    return status;
}

void ebb_pictures_free(ebb_pictures *pictures)
{
    ebb_free(pictures->pixels);
    ebb_free(pictures->labels);
    *pictures = (ebb_pictures){.size = sizeof *pictures};
}

/* ---- labels alone ---------------------------------------------------------------------------------------------------- */

static ebb_status check_labels(ebb_context *ctx, const ebb_model *m, const char *path, const int32_t *labels, int64_t first,
                               int64_t n, int64_t count)
{
    int classes = (int)m->recipe->net_classes;
    if (first < 0 || n < 1 || n > count || first > count - n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: %lld labels from %lld are asked for; it has %lld", path, (long long)n,
                        (long long)first, (long long)count);
    for (int64_t i = first; i < first + n; i++)
        if (labels[i] < 0 || labels[i] >= classes)
            return ebb_fail(ctx, EBB_E_SHAPE, "%s: label %d, number %lld, is outside 0..%d", path, labels[i], (long long)i, classes - 1);
    return EBB_OK;
}

ebb_status ebb_labels_read(ebb_context *ctx, const ebb_model *model, const char *path, int64_t first, int64_t n, int32_t **labels)
{
    char found[2 * EBB_TEXT_MAX];
    int64_t count;
    *labels = NULL;
    if (model->recipe->net_classes == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "labels %s: this model knows no classes", path);
    EBB_TRY(ebb_dataset_find(ctx, path, model->recipe->directory, found, sizeof found));
    ebb_status status = ebb_dataset_labels(ctx, found, labels, &count);
    if (status == EBB_OK)
        status = check_labels(ctx, model, path, *labels, first, n, count);
    if (status == EBB_OK)
        memmove(*labels, *labels + first, (size_t)n * sizeof **labels);
    else
        *labels = (ebb_free(*labels), NULL);
    return status;
}

void ebb_labels_free(int32_t *labels)
{
    ebb_free(labels);
}
