/* arrays.c: data sets that are one array in a file: IDX pairs (MNIST's format) and npy.
 *
 * Pictures (N,H,W) or (N,H,W,C) of bytes; npy also of f32 in [-1,1], and points (N,D), which count as
 * pictures of one row.
 */
#include <math.h>
#include <string.h>

#include "dataset/dataset.h"
#include "format/format.h"

typedef struct array {
    const void *data;
    int rank;
    const int64_t *dim;
    bool bytes;
} array;

static ebb_status place_all(ebb_context *ctx, const ebb_dataset_options *options, array a, ebb_dataset *out)
{
    if (a.rank < 2 || a.rank > 4)
        return ebb_fail(ctx, EBB_E_SHAPE,
                        "%s: pictures have shape (N,H,W) or (N,H,W,C), points (N,D); this array has %d axes",
                        options->path, a.rank);
    int64_t h = a.rank == 2 ? 1 : a.dim[1], w = a.rank == 2 ? a.dim[1] : a.dim[2],
            c = a.rank == 4 ? a.dim[3] : 1;
    EBB_TRY(ebb_dataset_shape(ctx, options, ebb_dataset_limit(options, a.dim[0]), h, w, c, a.bytes, out));
    size_t stride = (size_t)(h * w * c) * (a.bytes ? 1 : sizeof(float));
    for (int64_t i = 0; i < out->n; i++)
        ebb_dataset_place(out, i, h, w, (const char *)a.data + (size_t)i * stride);
    return EBB_OK;
}

/* ---- labels ------------------------------------------------------------------------------ */

static ebb_status labels_room(ebb_context *ctx, const char *path, int rank, int64_t count, int32_t **labels)
{
    if (rank != 1)
        return ebb_fail(ctx, EBB_E_SHAPE, "%s: labels have one axis; this array has %d", path, rank);
    if (count < 1)
        return ebb_fail(ctx, EBB_E_SHAPE, "%s: no labels", path);
    return ebb_alloc(ctx, (void **)labels, (size_t)count, sizeof **labels, "labels");
}

static ebb_status read_idx_labels(ebb_context *ctx, const char *path, int32_t **labels, int64_t *count)
{
    ebb_idx idx;
    EBB_TRY(ebb_idx_read(ctx, path, &idx));
    *count = idx.dim[0];
    ebb_status status = labels_room(ctx, path, idx.rank, *count, labels);
    for (int64_t i = 0; status == EBB_OK && i < *count; i++)
        (*labels)[i] = idx.data[i];
    ebb_idx_free(&idx);
    return status;
}

/* One integer of an npy array of any width, as long as it is a sensible class. */
static int32_t npy_label(const ebb_npy *npy, int64_t i)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)npy->data + (size_t)i * (size_t)npy->item, (size_t)npy->item);
    uint64_t sign = 1ull << (8 * npy->item - 1);
    bool negative = npy->kind == 'i' && (value & sign) != 0;
    return negative || value > INT32_MAX ? -1 : (int32_t)value;
}

static ebb_status read_npy_labels(ebb_context *ctx, const char *path, int32_t **labels, int64_t *count)
{
    ebb_npy npy;
    EBB_TRY(ebb_npy_read(ctx, path, &npy));
    ebb_status status = EBB_OK;
    *count = npy.rank > 0 ? npy.dim[0] : 0;
    if (npy.kind != 'u' && npy.kind != 'i')
        status = ebb_fail(ctx, EBB_E_FORMAT, "%s: labels are integers; this array is of kind '%c'", path, npy.kind);
    if (status == EBB_OK)
        status = labels_room(ctx, path, npy.rank, *count, labels);
    for (int64_t i = 0; status == EBB_OK && i < *count; i++)
        (*labels)[i] = npy_label(&npy, i);
    ebb_npy_free(&npy);
    return status;
}

ebb_status ebb_dataset_labels(ebb_context *ctx, const char *path, int32_t **labels, int64_t *count)
{
    char head[6] = {0};
    size_t got;
    *labels = NULL;
    EBB_TRY(ebb_file_peek(ctx, path, head, sizeof head, &got));
    return (memcmp(head, "\x93NUMPY", 6) == 0 ? read_npy_labels : read_idx_labels)(ctx, path, labels, count);
}

static ebb_status add_labels(ebb_context *ctx, const ebb_dataset_options *options, int64_t pictures, ebb_dataset *out)
{
    int64_t count;
    if (options->labels == NULL || *options->labels == 0)
        return EBB_OK;
    EBB_TRY(ebb_dataset_labels(ctx, options->labels, &out->labels, &count));
    if (count != pictures)
        return ebb_fail(ctx, EBB_E_SHAPE, "%s has %lld labels, but %s has %lld pictures", options->labels, (long long)count,
                        options->path, (long long)pictures);
    return EBB_OK;
}

/* ---- pictures ---------------------------------------------------------------------------- */

ebb_status ebb_dataset_idx(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out)
{
    ebb_idx idx;
    EBB_TRY(ebb_idx_read(ctx, options->path, &idx));
    int64_t pictures = idx.dim[0];
    ebb_status status = place_all(ctx, options, (array){idx.data, idx.rank, idx.dim, true}, out);
    ebb_idx_free(&idx);
    return status == EBB_OK ? add_labels(ctx, options, pictures, out) : status;
}

static ebb_status check_values(ebb_context *ctx, const ebb_dataset_options *options, const ebb_dataset *data)
{
    for (int64_t i = 0; data->values && i < data->n * data->numbers; i++)
        if (!isfinite(data->values[i]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "%s: picture %lld holds a NaN or an infinity", options->path,
                            (long long)(i / data->numbers));
    return EBB_OK;
}

ebb_status ebb_dataset_npy(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out)
{
    ebb_npy npy;
    EBB_TRY(ebb_npy_read(ctx, options->path, &npy));
    bool bytes = npy.kind == 'u' && npy.item == 1, floats = npy.kind == 'f' && npy.item == 4;
    int64_t pictures = npy.rank > 0 ? npy.dim[0] : 0;
    ebb_status status;
    if (bytes || floats)
        status = place_all(ctx, options, (array){npy.data, npy.rank, npy.dim, bytes}, out);
    else
        status = ebb_fail(ctx, EBB_E_FORMAT,
                          "%s: pictures are uint8, or float32 in [-1,1]; this array is '%c%d'", options->path,
                          npy.kind, npy.item);
    ebb_npy_free(&npy);
    if (status == EBB_OK)
        status = check_values(ctx, options, out);
    return status == EBB_OK ? add_labels(ctx, options, pictures, out) : status;
}
