/* codes.c: codes themselves: those that samples start from, ways between two, files.
 */
#include <math.h>
#include <string.h>

#include "diffusion/interpolate.h"
#include "model/model.h"

ebb_status ebb_latent_noise(ebb_context *ctx, ebb_model *model, uint64_t seed, int64_t first, int64_t n, double *codes)
{
    size_t numbers = (size_t)ebb_shape_count(ebb_network_shape(&model->net, 1));
    float *row;
    if (n < 1 || first < 0 || n > UINT32_MAX || first > (int64_t)UINT32_MAX - n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "codes of samples %lld..%lld: at least one, within 0..%lld", (long long)first,
                        (long long)(first + n - 1), (long long)UINT32_MAX - 1);
    EBB_TRY(ebb_alloc(ctx, (void **)&row, (numbers + 15) / 16 * 16, sizeof *row, "a code"));
    for (int64_t i = 0; i < n; i++) {
        ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_SAMPLE_START, .step = 0, .sample = (uint32_t)(first + i)};
        ctx->kernels->normal_f32(numbers, row, &at);
        for (size_t d = 0; d < numbers; d++)
            codes[(size_t)i * numbers + d] = row[d];
    }
    ebb_free(row);
    return EBB_OK;
}

ebb_status ebb_latent_between(ebb_context *ctx, const char *path, int64_t count, const double *a, const double *b, int64_t n,
                              double *codes, double *angle)
{
    static const char *const paths[] = {"spherical", "linear"};
    char near[80];
    bool spherical = strcmp(path, "spherical") == 0;
    if (!spherical && strcmp(path, "linear") != 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown path '%s': spherical or linear%s", path,
                        ebb_suggest(path, paths, 2, near, sizeof near));
    if (n < 2 || count < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "a path of %lld codes of %lld numbers: it has two ends at least", (long long)n,
                        (long long)count);
    for (int64_t k = 0; k < n; k++)
        (spherical ? ebb_interpolate_spherical : ebb_interpolate_linear)(count, a, b, (double)k / (double)(n - 1),
                                                                         codes + k * count);
    if (angle != NULL)
        *angle = ebb_interpolate_angle(count, a, b);
    return EBB_OK;
}

/* ---- files ---------------------------------------------------------------------------------------------------------- */

static ebb_status check_codes(ebb_context *ctx, const ebb_model *m, const char *path, const ebb_npy *npy)
{
    ebb_shape shape = ebb_network_shape(&m->net, 1);
    int64_t numbers = 1;
    for (int i = 1; i < npy->rank; i++)
        if (__builtin_mul_overflow(numbers, npy->dim[i], &numbers))
            numbers = 0;         /* of an array without rows the other sides may be anything */
    if (npy->kind != 'f' || npy->item != 8)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: codes are float64, as ebb latent encode writes them; this array is '%c%d'", path,
                        npy->kind, npy->item);
    if (npy->rank < 2 || numbers != ebb_shape_count(shape))
        return ebb_fail(ctx, EBB_E_SHAPE, "%s: %lld numbers a code, but the model's have %lld: codes of another model?", path,
                        (long long)numbers, (long long)ebb_shape_count(shape));
    return EBB_OK;
}

static ebb_status take_codes(ebb_context *ctx, const char *path, const ebb_npy *npy, int64_t numbers, int64_t first, int64_t n,
                             double **codes, int64_t *count)
{
    int64_t have = npy->dim[0];
    *count = n > 0 ? n : have - first;
    if (*count < 1 || first > have - *count)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: codes %lld..%lld are asked for; it has %lld", path, (long long)first,
                        (long long)(first + (n > 1 ? n - 1 : 0)), (long long)have);
    const double *from = (const double *)npy->data + first * numbers;
    for (int64_t i = 0; i < *count * numbers; i++)
        if (!isfinite(from[i]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "%s: code %lld holds a NaN or an infinity", path, (long long)(first + i / numbers));
    EBB_TRY(ebb_alloc(ctx, (void **)codes, (size_t)*count, (size_t)numbers * sizeof(double), "codes"));
    memcpy(*codes, from, (size_t)(*count * numbers) * sizeof(double));
    return EBB_OK;
}

ebb_status ebb_latent_read(ebb_context *ctx, const ebb_model *model, const char *path, int64_t first, int64_t n, double **codes,
                           int64_t *count)
{
    ebb_npy npy;
    *codes = NULL;
    *count = 0;
    if (first < 0 || n < 0 || first > INT64_MAX - n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%lld codes from %lld: give numbers from 0", (long long)n, (long long)first);
    EBB_TRY(ebb_npy_read(ctx, path, &npy));
    ebb_status status = check_codes(ctx, model, path, &npy);
    if (status == EBB_OK)
        status = take_codes(ctx, path, &npy, ebb_shape_count(ebb_network_shape(&model->net, 1)), first, n, codes, count);
    ebb_npy_free(&npy);
    return status;
}

ebb_status ebb_latent_write(ebb_context *ctx, const ebb_model *model, const char *path, int64_t n, const double *codes)
{
    const ebb_recipe *r = model->recipe;
    const int64_t shape[4] = {n, ebb_recipe_height(r), ebb_recipe_width(r), r->data_channels};
    return ebb_npy_write(ctx, path, 'f', 8, codes, 4, shape);
}

void ebb_latent_free(double *codes)
{
    ebb_free(codes);
}
