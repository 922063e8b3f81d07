/* folder.c: a folder of PNG pictures: each subfolder is a class, numbered in the order of the names.
 *
 * A folder without subfolders is a data set without labels, a file alone one of a single picture. All pictures have one
 * shape.
 */
#include <string.h>

#include "dataset/dataset.h"
#include "format/format.h"

typedef struct entry {
    char *path;
    int32_t label;
} entry;
typedef struct listing {
    entry *at;
    int32_t count, capacity;
    ebb_folder_class *class; /* none: no labels */
    int32_t classes, room;
} listing;

static bool is_png(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && (strcmp(name + n - 4, ".png") == 0 || strcmp(name + n - 4, ".PNG") == 0);
}

static bool is_folder(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && name[n - 1] == '/';
}

static ebb_status join(ebb_context *ctx, const char *folder, const char *name, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "path is longer than %zu bytes: %s/%s", size - 1, folder, name);
    return EBB_OK;
}

static ebb_status add_pictures(ebb_context *ctx, const char *folder, char **names, int32_t count,
                               int32_t label, listing *list)
{
    char path[4096];
    for (int32_t i = 0; i < count; i++) {
        if (!is_png(names[i]))
            continue;
        EBB_TRY(join(ctx, folder, names[i], path, sizeof path));
        EBB_TRY(ebb_grow(ctx, (void **)&list->at, &list->capacity, list->count + 1, sizeof *list->at));
        list->at[list->count] = (entry){NULL, label};
        EBB_TRY(ebb_strdup(ctx, &list->at[list->count].path, path));
        list->count++;
    }
    return EBB_OK;
}

static ebb_status add_class(ebb_context *ctx, const char *folder, const char *name, int32_t label,
                            listing *list)
{
    char path[4096], **names;
    int32_t count, before = list->count;
    EBB_TRY(join(ctx, folder, name, path, sizeof path));
    path[strlen(path) - 1] = 0; /* the slash of the listing */
    EBB_TRY(ebb_grow(ctx, (void **)&list->class, &list->room, label + 1, sizeof *list->class));
    list->class[label] = (ebb_folder_class){0};
    list->classes = label + 1;
    EBB_TRY(ebb_strdup(ctx, &list->class[label].name, strrchr(path, '/') + 1));
    EBB_TRY(ebb_directory_list(ctx, path, &names, &count));
    ebb_status status = add_pictures(ctx, path, names, count, label, list);
    ebb_free(names);
    list->class[label].pictures = list->count - before;
    return status;
}

static ebb_status list_one(ebb_context *ctx, const char *path, listing *list)
{
    EBB_TRY(ebb_grow(ctx, (void **)&list->at, &list->capacity, 1, sizeof *list->at));
    list->at[0] = (entry){NULL, 0};
    list->count = 1;
    return ebb_strdup(ctx, &list->at[0].path, path);
}

static ebb_status list_pictures(ebb_context *ctx, const char *folder, listing *list)
{
    char **names;
    int32_t count;
    EBB_TRY(ebb_directory_list(ctx, folder, &names, &count));
    ebb_status status = EBB_OK;
    for (int32_t i = 0; status == EBB_OK && i < count; i++)
        if (is_folder(names[i]))
            status = add_class(ctx, folder, names[i], list->classes, list);
    if (status == EBB_OK && list->classes == 0)
        status = add_pictures(ctx, folder, names, count, 0, list);
    ebb_free(names);
    if (status == EBB_OK && list->count == 0)
        status = ebb_fail(ctx, EBB_E_IO, "%s: no .png files, neither here nor in subfolders", folder);
    return status;
}

/* The first picture decides the shape of all. */
static ebb_status load_picture(ebb_context *ctx, const ebb_dataset_options *options, const listing *list,
                               int64_t i, ebb_image *first, ebb_dataset *out)
{
    ebb_image image;
    EBB_TRY(ebb_png_read(ctx, list->at[i].path, &image));
    ebb_status status = EBB_OK;
    if (i == 0) {
        *first = image;
        first->data = NULL;
        status = ebb_dataset_shape(ctx, options, ebb_dataset_limit(options, list->count), image.height,
                                   image.width, image.channels, true, out);
    } else if (image.height != first->height || image.width != first->width ||
               image.channels != first->channels) {
        status = ebb_fail(ctx, EBB_E_SHAPE,
                          "%s is %dx%dx%d, but %s is %dx%dx%d: pictures of a folder have one shape",
                          list->at[i].path, image.height, image.width, image.channels, list->at[0].path,
                          first->height, first->width, first->channels);
    }
    if (status == EBB_OK)
        ebb_dataset_place(out, i, image.height, image.width, image.data);
    ebb_image_free(&image);
    return status;
}

static ebb_status load_all(ebb_context *ctx, const ebb_dataset_options *options, const listing *list,
                           ebb_dataset *out)
{
    ebb_image first = {0};
    EBB_TRY(load_picture(ctx, options, list, 0, &first, out));
    for (int64_t i = 1; i < out->n; i++)
        EBB_TRY(load_picture(ctx, options, list, i, &first, out));
    if (list->classes == 0)
        return EBB_OK;
    EBB_TRY(ebb_alloc(ctx, (void **)&out->labels, (size_t)out->n, sizeof *out->labels, "labels"));
    for (int64_t i = 0; i < out->n; i++)
        out->labels[i] = list->at[i].label;
    return EBB_OK;
}

static void free_listing(listing *list)
{
    for (int32_t i = 0; i < list->count; i++)
        ebb_free(list->at[i].path);
    for (int32_t k = 0; k < list->classes; k++)
        ebb_free(list->class[k].name);
    ebb_free(list->at);
    ebb_free(list->class);
}

ebb_status ebb_dataset_png(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out)
{
    listing list = {0};
    ebb_status status = is_png(options->path) ? list_one(ctx, options->path, &list) : list_pictures(ctx, options->path, &list);
    if (status == EBB_OK)
        status = load_all(ctx, options, &list, out);
    free_listing(&list);
    return status;
}

/* ---- looking ---------------------------------------------------------------------------- */

ebb_status ebb_folder_look(ebb_context *ctx, const char *path, ebb_folder *out)
{
    listing list = {0};
    *out = (ebb_folder){0};
    ebb_status status = list_pictures(ctx, path, &list);
    if (status == EBB_OK) {
        *out = (ebb_folder){list.class, list.classes, list.count, list.at[0].path};
        list.class = NULL;
        list.classes = 0;
        list.at[0].path = NULL;
    }
    free_listing(&list);
    return status;
}

void ebb_folder_free(ebb_folder *folder)
{
    for (int32_t k = 0; k < folder->classes; k++)
        ebb_free(folder->class[k].name);
    ebb_free(folder->class);
    ebb_free(folder->first);
    *folder = (ebb_folder){0};
}
