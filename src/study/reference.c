/* reference.c: inputs, outputs and activations of a network from files of others: JSON of nested arrays, safetensors, npz, or a
 * folder of npy.
 *
 * Names: "input" (also "sample", "x"), "timesteps" ("timestep", "t"), "class_labels" ("labels"), "output", and of
 * activations those of the modules.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "study/activations.h"

static const char *known_as(const char *name)
{
    static const char *const names[][2] = {{"sample", "input"}, {"x", "input"}, {"timestep", "timesteps"}, {"t", "timesteps"},
                                           {"labels", "class_labels"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i][0]) == 0)
            return names[i][1];
    return name;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------------------------- */

/* The shape by the first element of each array. */
static bool shape_of(const json_t *value, ebb_shape *out)
{
    *out = (ebb_shape){0};
    while (json_is_array(value)) {
        if (out->rank == EBB_RANK_MAX || json_array_size(value) == 0)
            return false;
        out->dim[out->rank++] = (int64_t)json_array_size(value);
        value = json_array_get(value, 0);
    }
    return json_is_number(value);
}

/* False where it is no block of that shape. */
static bool copy(const json_t *value, const ebb_shape *shape, int axis, float **to)
{
    if (axis == shape->rank) {
        *(*to)++ = (float)json_number_value(value);
        return json_is_number(value);
    }
    if ((int64_t)json_array_size(value) != shape->dim[axis])
        return false;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!copy(json_array_get(value, i), shape, axis + 1, to))
            return false;
    return true;
}

static ebb_status add_json(ebb_context *ctx, const char *path, const char *name, const json_t *value, ebb_named_list *out)
{
    ebb_shape shape;
    if (!shape_of(value, &shape))
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: '%s' is no block of numbers", path, name);
    ebb_named *new = ebb_named_add(ctx, out, known_as(name), shape);
    if (new == NULL)
        return EBB_E_MEMORY;
    float *to = new->data;
    return copy(value, &shape, 0, &to) ? EBB_OK : ebb_fail(ctx, EBB_E_FORMAT, "%s: '%s' has rows of different lengths", path, name);
}

/* Of the other keys only arrays of numbers are meant. */
static ebb_status add_object(ebb_context *ctx, const char *path, const json_t *root, ebb_named_list *out)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)root, name, value) {
        if (strcmp(name, "activations") == 0 && json_is_object(value))
            EBB_TRY(add_object(ctx, path, value, out));
        else if (json_is_array(value))
            EBB_TRY(add_json(ctx, path, name, value, out));
    }
    return EBB_OK;
}

/* A number, or "fp32: 2e-4 abs". */
static double told_tolerance(const json_t *value)
{
    const char *text = json_string_value(value);
    double number = json_number_value(value);
    if (text != NULL && sscanf(text, "fp32: %lf", &number) != 1)
        number = 0;
    return number > 0 && isfinite(number) ? number : 0;
}

static ebb_status read_json(ebb_context *ctx, const char *path, ebb_named_list *out)
{
    json_t *root;
    EBB_TRY(ebb_json_read(ctx, path, &root));
    ebb_status status = json_is_object(root) ? add_object(ctx, path, root, out)
                                             : ebb_fail(ctx, EBB_E_FORMAT, "%s: not an object {input, timesteps, output}", path);
    out->tolerance = told_tolerance(json_object_get(root, "tolerance"));
    json_decref(root);
    return status;
}

/* ---- binary ------------------------------------------------------------------------------------------------------------------------- */

static ebb_status add_tensor(ebb_context *ctx, const char *path, const ebb_st_tensor *t, ebb_named_list *out)
{
    ebb_shape shape = {.rank = t->rank};
    if (t->rank > EBB_RANK_MAX)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: tensor '%s' has %d axes; %d are possible", path, t->name, t->rank, EBB_RANK_MAX);
    for (int i = 0; i < t->rank; i++) {
        shape.dim[i] = t->dim[i];
        if (t->dim[i] < 1)
            return ebb_fail(ctx, EBB_E_FORMAT, "%s: tensor '%s' is empty", path, t->name);
    }
    ebb_named *new = ebb_named_add(ctx, out, known_as(t->name), shape);
    if (new == NULL)
        return EBB_E_MEMORY;
    for (int64_t i = 0; i < ebb_shape_count(shape); i++) {
        const char *at = (const char *)t->data + (size_t)i * ebb_st_type_bytes(t->type);
        int64_t whole;
        int32_t word;
        double wide;
        switch (t->type) {
        case EBB_ST_F32: memcpy(&new->data[i], at, sizeof(float)); break;
        case EBB_ST_F64: memcpy(&wide, at, sizeof wide); new->data[i] = (float)wide; break;
        case EBB_ST_I64: memcpy(&whole, at, sizeof whole); new->data[i] = (float)whole; break;
        case EBB_ST_I32: memcpy(&word, at, sizeof word); new->data[i] = (float)word; break;
        default: return ebb_fail(ctx, EBB_E_FORMAT, "%s: tensor '%s' has type %s: F32, F64, I64 and I32 are read", path, t->name,
                                 ebb_st_type_name(t->type));
        }
    }
    return EBB_OK;
}

static ebb_status read_st(ebb_context *ctx, const char *path, ebb_named_list *out)
{
    ebb_safetensors st;
    EBB_TRY(ebb_st_read(ctx, path, &st));
    ebb_status status = EBB_OK;
    for (int32_t i = 0; status == EBB_OK && i < st.count; i++)
        status = add_tensor(ctx, path, &st.tensor[i], out);
    ebb_st_free(&st);
    return status;
}

/* An array as a tensor of the same numbers. */
static ebb_status add_npy(ebb_context *ctx, const char *path, const char *name, const ebb_npy *npy, ebb_named_list *out)
{
    ebb_st_tensor t = {.name = name, .rank = npy->rank, .data = npy->data};
    bool real = npy->kind == 'f' && (npy->item == 4 || npy->item == 8), whole = npy->kind == 'i' && (npy->item == 4 || npy->item == 8);
    if (!real && !whole)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: '%s' holds '%c%d': f4, f8, i4 and i8 are read", path, name, npy->kind, npy->item);
    t.type = real ? (npy->item == 4 ? EBB_ST_F32 : EBB_ST_F64) : npy->item == 4 ? EBB_ST_I32 : EBB_ST_I64;
    memcpy(t.dim, npy->dim, sizeof t.dim);
    return add_tensor(ctx, path, &t, out);
}

static ebb_status read_folder(ebb_context *ctx, const char *folder, ebb_named_list *out)
{
    char **names, path[1024], name[EBB_PARAM_NAME_MAX];
    int32_t count;
    EBB_TRY(ebb_directory_list(ctx, folder, &names, &count));
    ebb_status status = EBB_OK;
    for (int32_t i = 0; status == EBB_OK && i < count; i++) {
        size_t length = strlen(names[i]);
        ebb_npy npy;
        if (length < 5 || strcmp(names[i] + length - 4, ".npy") != 0 || length - 4 >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)length - 4, names[i]);
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        status = ebb_npy_read(ctx, path, &npy);
        if (status == EBB_OK) {
            status = add_npy(ctx, path, name, &npy, out);
            ebb_npy_free(&npy);
        }
    }
    ebb_free(names);
    return status;
}

static ebb_status add_member(void *list, ebb_context *ctx, const char *path, const char *name, const ebb_npy *npy)
{
    return add_npy(ctx, path, name, npy, list);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

ebb_status ebb_reference_read(ebb_context *ctx, const char *path, ebb_named_list *out)
{
    *out = (ebb_named_list){0};
    ebb_status status = ebb_is_directory(path)            ? read_folder(ctx, path, out)
                        : ends_with(path, ".json")        ? read_json(ctx, path, out)
                        : ends_with(path, ".npz")         ? ebb_npz_read(ctx, path, add_member, out)
                        : ends_with(path, ".safetensors") ? read_st(ctx, path, out)
                        : ebb_fail(ctx, EBB_E_USAGE, "%s: a reference is a file .json, .safetensors or .npz, or a folder of .npy", path);
    if (status == EBB_OK && ebb_named_find(out, "input") == NULL)
        status = ebb_fail(ctx, EBB_E_FORMAT, "%s: no 'input' (nor 'sample', 'x')", path);
    if (status != EBB_OK)
        ebb_named_free(out);
    return status;
}
