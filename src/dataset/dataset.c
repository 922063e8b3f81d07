/* dataset.c: opens a data set by kind, checks its labels, hands out pictures.
 *
 * A byte b becomes b/127.5 - 1; padding is black (-1) on all sides, as nearly equal as it goes. Pictures that are larger by a
 * whole factor k are averaged over k x k pixels, where that is asked for.
 */
#include <string.h>

#include "dataset/dataset.h"

#define PICTURES_MAX 0xffffffffLL /* the order counts in 32 bits */
#define SIDE_MAX 16384

typedef struct maker {
    const char *kind;
    ebb_status (*make)(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out);
} maker;

static const maker MAKERS[] = {
    {"idx", ebb_dataset_idx},   {"npy", ebb_dataset_npy},
    {"png", ebb_dataset_png},   {"synthetic", ebb_dataset_synthetic},
    {"ring", ebb_dataset_ring},
};

int64_t ebb_dataset_limit(const ebb_dataset_options *options, int64_t n)
{
    return options->limit > 0 && options->limit < n ? options->limit : n;
}

ebb_status ebb_dataset_shape(ebb_context *ctx, const ebb_dataset_options *options, int64_t n, int64_t h,
                             int64_t w, int64_t c, bool bytes, ebb_dataset *out)
{
    int64_t height = options->height > 0 ? options->height : h,
            width = options->width > 0 ? options->width : w;
    if (n < 1 || h < 1 || w < 1 || c < 1)
        return ebb_fail(ctx, EBB_E_SHAPE, "%s: no pictures (%lld of %lldx%lldx%lld)", options->path,
                        (long long)n, (long long)h, (long long)w, (long long)c);
    if (n > PICTURES_MAX || h > SIDE_MAX || w > SIDE_MAX || c > SIDE_MAX)
        return ebb_fail(ctx, EBB_E_SHAPE,
                        "%s: %lld pictures of %lldx%lldx%lld are more than this version reads", options->path,
                        (long long)n, (long long)h, (long long)w, (long long)c);
    bool whole = h >= height && h % height == 0 && h / height * width == w;
    if ((height < h || width < w) && !(options->average && whole))
        return ebb_fail(ctx, EBB_E_SHAPE,
                        "%s: pictures are %lldx%lld, larger than data.size=%lld,%lld: pictures are padded, "
                        "never cut; set a size of at least theirs, or data.larger=average and a size that is theirs over a whole "
                        "number",
                        options->path, (long long)h, (long long)w, (long long)height, (long long)width);
    if (options->channels > 0 && options->channels != c)
        return ebb_fail(ctx, EBB_E_SHAPE, "%s: pictures have %lld channel(s), but data.channels=%d",
                        options->path, (long long)c, options->channels);
    out->n = n;
    out->height = (int)height;
    out->width = (int)width;
    out->channels = (int)c;
    out->numbers = height * width * c;
    if (bytes)
        return ebb_alloc(ctx, (void **)&out->bytes, (size_t)n, (size_t)out->numbers, "pictures");
    EBB_TRY(
        ebb_alloc(ctx, (void **)&out->values, (size_t)n, (size_t)out->numbers * sizeof(float), "pictures"));
    for (int64_t i = 0; i < n * out->numbers; i++)
        out->values[i] = -1.0f;
    return EBB_OK;
}

/* Means of k x k pixels; bytes are rounded to the nearest. */
static void place_means(ebb_dataset *data, int64_t i, int64_t k, const void *source)
{
    int64_t c = data->channels, row = data->width * c;
    for (int64_t d = 0; d < data->numbers; d++) {
        int64_t y = d / row, x = d % row / c;
        double sum = 0;
        for (int64_t r = 0; r < k * k; r++) {
            int64_t from = ((y * k + r / k) * data->width * k + x * k + r % k) * c + d % c;
            sum += data->bytes ? ((const uint8_t *)source)[from] : (double)((const float *)source)[from];
        }
        if (data->bytes)
            data->bytes[i * data->numbers + d] = (uint8_t)(sum / (double)(k * k) + 0.5);
        else
            data->values[i * data->numbers + d] = (float)(sum / (double)(k * k));
    }
}

void ebb_dataset_place(ebb_dataset *data, int64_t i, int64_t h, int64_t w, const void *source)
{
    if (h > data->height) {
        place_means(data, i, h / data->height, source);
        return;
    }
    size_t item = data->bytes ? 1 : sizeof(float), pixel = (size_t)data->channels * item;
    size_t row = (size_t)data->width * pixel;
    char *base = data->bytes ? (char *)data->bytes : (char *)data->values;
    int64_t top = (data->height - h) / 2, left = (data->width - w) / 2;
    char *at = base + (size_t)i * (size_t)data->numbers * item + (size_t)top * row + (size_t)left * pixel;
    for (int64_t y = 0; y < h; y++)
        memcpy(at + (size_t)y * row, (const char *)source + (size_t)(y * w) * pixel, (size_t)w * pixel);
}

static ebb_status check_labels(ebb_context *ctx, const ebb_dataset_options *options, const ebb_dataset *data)
{
    if (options->classes <= 0)
        return EBB_OK;
    if (data->labels == NULL)
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "net.classes=%d, but the data have no labels: set data.labels, "
                        "or net.classes=0 for an unconditional model",
                        options->classes);
    for (int64_t i = 0; i < data->n; i++)
        if (data->labels[i] < 0 || data->labels[i] >= options->classes)
            return ebb_fail(ctx, EBB_E_SHAPE,
                            "%s: label %d of picture %lld is outside 0..%d (net.classes=%d)",
                            options->labels && *options->labels ? options->labels : options->path,
                            data->labels[i], (long long)i, options->classes - 1, options->classes);
    return EBB_OK;
}

static ebb_status paint(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *data)
{
    if ((data->channels != 1 && data->channels != 3) || (options->channels > 0 && options->channels != 3))
        return ebb_fail(ctx, EBB_E_SHAPE, "%s: data.colour makes pictures of 1 channel ones of 3: these have %d, and data.channels=%d",
                        options->path, data->channels, options->channels);
    return ebb_dataset_paint(ctx, options->seed, data);
}

/* Whatever picture i was made of, its number or its ink, stays as it was. */
static ebb_status leave_out(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *data)
{
    size_t item = (size_t)data->numbers * (data->bytes ? 1 : sizeof(float));
    char *at = data->bytes ? (char *)data->bytes : (char *)data->values;
    int64_t kept = 0;
    if (options->held_out == 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: data.held_out=1 leaves no picture: give at least 2, or 0 for none", options->path);
    for (int64_t i = 0; i < data->n; i++) {
        if (i % options->held_out == options->held_out - 1)
            continue;
        memmove(at + (size_t)kept * item, at + (size_t)i * item, item);
        if (data->labels)
            data->labels[kept] = data->labels[i];
        kept++;
    }
    data->n = kept;
    return EBB_OK;
}

ebb_status ebb_dataset_open(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out)
{
    *out = (ebb_dataset){0};
    for (size_t i = 0; i < sizeof MAKERS / sizeof MAKERS[0]; i++) {
        if (strcmp(options->kind, MAKERS[i].kind) != 0)
            continue;
        ebb_dataset_options grey = *options;
        if (options->ink)
            grey.channels = 0;
        ebb_status status = MAKERS[i].make(ctx, &grey, out);
        if (status == EBB_OK)
            status = check_labels(ctx, options, out);
        if (status == EBB_OK && options->ink)
            status = paint(ctx, options, out);
        if (status == EBB_OK && options->held_out > 0)
            status = leave_out(ctx, options, out);
        if (status != EBB_OK)
            ebb_dataset_free(out);
        return status;
    }
    return ebb_fail(ctx, EBB_E_USAGE, "data.kind '%s' is unknown: idx, npy, png, synthetic or ring",
                    options->kind);
}

void ebb_dataset_free(ebb_dataset *data)
{
    ebb_free(data->bytes);
    ebb_free(data->values);
    ebb_free(data->labels);
    *data = (ebb_dataset){0};
}

void ebb_dataset_picture(const ebb_dataset *data, int64_t i, bool mirror, float *x)
{
    int c = data->channels, w = data->width;
    size_t start = (size_t)i * (size_t)data->numbers;
    for (int64_t k = 0; k < data->numbers; k++) {
        int64_t from = k;
        if (mirror) {
            int64_t column = k / c % w;
            from = k + (w - 1 - 2 * column) * c;
        }
        x[k] = data->bytes ? (float)data->bytes[start + (size_t)from] / 127.5f - 1.0f
                           : data->values[start + (size_t)from];
    }
}
