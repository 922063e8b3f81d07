/* experiment_pictures.c: pictures that experiments look at: data and samples as rows of numbers, and grids of them.
 */
#include <math.h>
#include <string.h>

#include "eval/nearest.h"
#include "study/experiment.h"

static ebb_status allocate(ebb_context *ctx, int64_t n, bool labels, ebb_trial_pictures *p)
{
    p->n = n;
    p->numbers = (int64_t)p->height * p->width * p->channels;
    size_t count = (size_t)(n * p->numbers);
    EBB_TRY(ebb_alloc(ctx, (void **)&p->x, count + (labels ? (size_t)n : 0), sizeof *p->x, "pictures"));
    p->label = labels ? (int32_t *)(void *)(p->x + count) : NULL;
    return EBB_OK;
}

void ebb_trial_pictures_free(ebb_trial_pictures *p)
{
    ebb_free(p->x);
    *p = (ebb_trial_pictures){0};
}

static ebb_status copy(ebb_trial *x, const ebb_dataset *data, const char *name, int64_t first, int64_t n, ebb_trial_pictures *out)
{
    n = n > 0 ? n : data->n - first;
    if (n < 1 || first + n > data->n)
        return ebb_fail(x->ctx, EBB_E_ARGUMENT, "%s: pictures %lld to %lld are asked for, and it has %lld", name, (long long)first,
                        (long long)(first + n - 1), (long long)data->n);
    *out = (ebb_trial_pictures){.height = data->height, .width = data->width, .channels = data->channels};
    EBB_TRY(allocate(x->ctx, n, data->labels != NULL, out));
    for (int64_t i = 0; i < n; i++)
        ebb_dataset_picture(data, first + i, false, out->x + i * out->numbers);
    if (data->labels != NULL)
        memcpy(out->label, data->labels + first, (size_t)n * sizeof *out->label);
    return EBB_OK;
}

ebb_status ebb_trial_training_pictures(ebb_trial *x, int index, int64_t first, int64_t n, ebb_trial_pictures *out)
{
    ebb_recipe *r;
    ebb_dataset data = {0};
    EBB_TRY(ebb_trial_recipe(x, index, &r));
    r->data_limit = 0;                   /* a quick trial trains on a part only */
    ebb_status status = ebb_recipe_dataset(x->ctx, r, &data);
    if (status == EBB_OK)
        status = copy(x, &data, r->data_path, first, n, out);
    ebb_dataset_free(&data);
    ebb_recipe_free(r);
    return status;
}

ebb_status ebb_trial_read_pictures(ebb_trial *x, const char *path, const char *labels, int64_t first, int64_t n, ebb_trial_pictures *out)
{
    char at[EBB_TRIAL_PATH], labels_at[EBB_TRIAL_PATH] = "";
    ebb_dataset data = {0};
    if (ebb_dataset_find(x->ctx, path, "", at, sizeof at) != EBB_OK ||
        (labels != NULL && ebb_dataset_find(x->ctx, labels, "", labels_at, sizeof labels_at) != EBB_OK))
        return ebb_trial_lacks(x, "%s", ebb_message(x->ctx));
    ebb_dataset_options o = {.kind = "idx", .path = at, .labels = labels_at};
    EBB_TRY(ebb_dataset_open(x->ctx, &o, &data));
    ebb_status status = copy(x, &data, path, first, n, out);
    ebb_dataset_free(&data);
    return status;
}

ebb_status ebb_trial_pictures_for(ebb_trial *x, ebb_model *model, const char *path, const char *labels, int64_t first, int64_t n,
                                  ebb_trial_pictures *out)
{
    ebb_pictures from;
    EBB_TRY(ebb_trial_blank_pictures(x, model, n, out));
    ebb_status status = ebb_pictures_read(x->ctx, model, path, labels, first, n, &from);
    if (status != EBB_OK) {
        ebb_trial_pictures_free(out);
        return status;
    }
    memcpy(out->x, from.pixels, (size_t)(n * out->numbers) * sizeof *out->x);
    if (from.labels != NULL)
        memcpy(out->label, from.labels, (size_t)n * sizeof *out->label);
    else
        out->label = NULL;
    ebb_pictures_free(&from);
    return EBB_OK;
}

ebb_status ebb_trial_blank_pictures(ebb_trial *x, ebb_model *model, int64_t n, ebb_trial_pictures *out)
{
    ebb_model_shape shape = {.size = sizeof shape};
    EBB_TRY(ebb_model_describe(model, &shape));
    *out = (ebb_trial_pictures){.height = shape.height, .width = shape.width, .channels = shape.channels};
    EBB_TRY(allocate(x->ctx, n, shape.classes > 0, out));
    for (int64_t i = 0; shape.classes > 0 && i < n; i++)
        out->label[i] = (int32_t)(i * shape.classes / n);
    return EBB_OK;
}

ebb_status ebb_trial_samples(ebb_trial *x, const char *suffix, const ebb_trial_pictures *p, char path[EBB_TRIAL_PATH])
{
    int64_t shape[4] = {p->n, p->height, p->width, p->channels};
    size_t count = (size_t)(p->n * p->numbers);
    uint8_t *bytes;
    EBB_TRY(ebb_trial_path(x, "", suffix, "npy", path));
    EBB_TRY(ebb_alloc(x->ctx, (void **)&bytes, count, 1, "samples"));
    ebb_pixels_to_bytes(p->x, count, bytes);
    ebb_status status = ebb_npy_write_u8(x->ctx, path, bytes, 4, shape);
    ebb_free(bytes);
    return status;
}

ebb_status ebb_trial_grid(ebb_trial *x, const char *suffix, const ebb_trial_pictures *p, int64_t rows, int columns,
                          const char *const *names)
{
    char path[EBB_TRIAL_PATH];
    uint8_t *bytes;
    int64_t n = rows * columns < p->n ? rows * columns : p->n;
    size_t count = (size_t)(n * p->numbers);
    EBB_TRY(ebb_trial_picture(x, suffix, path));
    EBB_TRY(ebb_alloc(x->ctx, (void **)&bytes, count, 1, "a picture"));
    ebb_pixels_to_bytes(p->x, count, bytes);
    ebb_status status = ebb_grid_write(x->ctx, path, bytes, n, p->height, p->width, p->channels, columns, names);
    ebb_free(bytes);
    return status;
}

/* ---- looking ------------------------------------------------------------------------------------------------------------- */

ebb_status ebb_trial_purity(ebb_trial *x, const ebb_trial_pictures *train, const ebb_trial_pictures *p, double *share, double *least)
{
    enum { CLASSES_MOST = 64 };
    double *distance, right[CLASSES_MOST] = {0}, count[CLASSES_MOST] = {0}, all = 0, worst = 1;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&distance, 2 * (size_t)p->n, sizeof *distance, "neighbours"));
    int32_t *index = (int32_t *)(void *)(distance + p->n);
    ebb_status status = ebb_nearest(x->ctx, p->x, p->n, train->x, train->n, p->numbers, 1, false, index, distance);
    for (int64_t i = 0; status == EBB_OK && i < p->n; i++) {
        int c = p->label[i] % CLASSES_MOST;
        bool same = train->label[index[i]] == p->label[i];
        right[c] += same;
        count[c]++;
        all += same;
    }
    for (int c = 0; c < CLASSES_MOST; c++)
        worst = count[c] > 0 ? fmin(worst, right[c] / count[c]) : worst;
    *share = all / (double)p->n;
    if (least != NULL)
        *least = worst;
    ebb_free(distance);
    return status;
}

double ebb_trial_colour(const float *rgb, int64_t pixels, const uint8_t *mask, int value, double colour[2])
{
    double lengths = 0;
    colour[0] = colour[1] = 0;
    for (int64_t p = 0; p < pixels; p++, rgb += 3) {
        double across[2] = {(rgb[0] - 0.5 * (rgb[1] + (double)rgb[2])) / 2, sqrt(0.75) * ((double)rgb[1] - rgb[2]) / 2};
        if (mask != NULL && mask[p] != value)
            continue;
        lengths += hypot(across[0], across[1]);
        for (int k = 0; k < 2; k++)
            colour[k] += across[k];
    }
    return lengths;
}
