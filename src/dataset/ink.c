/* ink.c: grey pictures in colours: data.colour=hue.
 *
 * Picture i is drawn in one ink: a grey value v becomes v times the saturated colour (max 1, min 0) of a hue h_i that is
 * uniform and a function of (seed, i). So the rule can be turned around, and coloured samples judged: the largest of the
 * three numbers is the grey value again, exactly, and a picture has one hue.
 */
#include <math.h>

#include "dataset/dataset.h"

void ebb_ink(uint64_t seed, int64_t i, double rgb[3])
{
    ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_INK, .step = 0, .sample = (uint32_t)i};
    double hue = 6 * ebb_rng_uniform(&at, 0);
    for (int c = 0; c < 3; c++) {
        /* Distance on the circle of hues from red, green or blue, which stand 2 apart on a length of 6. */
        double apart = fabs(hue - 2 * c);
        apart = apart > 3 ? 6 - apart : apart;
        rgb[c] = apart < 1 ? 1 : apart > 2 ? 0 : 2 - apart;
    }
}

static void paint_bytes(const uint8_t *grey, int64_t pixels, const double rgb[3], uint8_t *to)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int c = 0; c < 3; c++)
            to[3 * p + c] = (uint8_t)(grey[p] * rgb[c] + 0.5);
}

static void paint_values(const float *grey, int64_t pixels, const double rgb[3], float *to)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int c = 0; c < 3; c++)
            to[3 * p + c] = (float)(((double)grey[p] + 1) * rgb[c] - 1);
}

ebb_status ebb_dataset_paint(ebb_context *ctx, uint64_t seed, ebb_dataset *data)
{
    void *to;
    int64_t pixels = (int64_t)data->height * data->width;
    size_t item = data->bytes != NULL ? 1 : sizeof(float);
    if (data->channels != 1)
        return EBB_OK;
    EBB_TRY(ebb_alloc(ctx, &to, (size_t)data->n, (size_t)(3 * pixels) * item, "pictures in colours"));
    for (int64_t i = 0; i < data->n; i++) {
        double rgb[3];
        ebb_ink(seed, i, rgb);
        if (data->bytes != NULL)
            paint_bytes(data->bytes + i * pixels, pixels, rgb, (uint8_t *)to + 3 * i * pixels);
        else
            paint_values(data->values + i * pixels, pixels, rgb, (float *)to + 3 * i * pixels);
    }
    ebb_free(data->bytes != NULL ? (void *)data->bytes : (void *)data->values);
    if (data->bytes != NULL)
        data->bytes = to;
    else
        data->values = to;
    data->channels = 3;
    data->numbers = 3 * pixels;
    return EBB_OK;
}
