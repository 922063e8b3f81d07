/* synthetic.c: data that need no file: discs as pictures, a ring of Gaussians as points.
 *
 * Pictures: a bright disc with a soft edge on black, centre and radius drawn by Philox; the class
 * decides the radius. Points: 8 Gaussians of deviation 0.05 at radius 0.7, as in many papers on
 * generative models; the class is the Gaussian, modulo the number of classes.
 */
#include <math.h>

#include "dataset/dataset.h"

#define SYNTHETIC_PICTURES 1024
#define RING_MODES 8
#define RING_RADIUS 0.7
#define RING_DEVIATION 0.05

static int64_t how_many(const ebb_dataset_options *options)
{
    return options->limit > 0 ? options->limit : SYNTHETIC_PICTURES;
}

static ebb_rng_at draw_at(const ebb_dataset_options *options, int64_t i)
{
    return (ebb_rng_at){.seed = options->seed, .stream = EBB_STREAM_DATA, .step = 0, .sample = (uint32_t)i};
}

static ebb_status make_labels(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out)
{
    int32_t classes = options->classes > 0 ? options->classes : 1;
    EBB_TRY(ebb_alloc(ctx, (void **)&out->labels, (size_t)out->n, sizeof *out->labels, "labels"));
    for (int64_t i = 0; i < out->n; i++)
        out->labels[i] = (int32_t)(i % classes);
    return EBB_OK;
}

static void draw_disc(const ebb_dataset_options *options, ebb_dataset *out, int64_t i)
{
    ebb_rng_at at = draw_at(options, i);
    int h = out->height, w = out->width, c = out->channels,
        classes = options->classes > 0 ? options->classes : 1;
    double side = h < w ? h : w;
    double radius = side * (0.1 + 0.3 * (out->labels[i] + ebb_rng_uniform(&at, 0)) / classes);
    double cy = h * (0.25 + 0.5 * ebb_rng_uniform(&at, 1)), cx = w * (0.25 + 0.5 * ebb_rng_uniform(&at, 2));
    uint8_t *picture = out->bytes + (size_t)i * (size_t)out->numbers;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double inside = radius - hypot(y + 0.5 - cy, x + 0.5 - cx) + 0.5;
            double light = inside < 0 ? 0 : inside > 1 ? 1 : inside;
            for (int k = 0; k < c; k++)
                picture[(y * w + x) * c + k] = (uint8_t)(255.0 * light * (1.0 - 0.3 * k) + 0.5);
        }
}

ebb_status ebb_dataset_synthetic(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out)
{
    if (options->height < 1 || options->width < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "data.kind=synthetic needs data.size, for example data.size=32");
    int channels = options->channels > 0 ? options->channels : 1;
    EBB_TRY(ebb_dataset_shape(ctx, options, how_many(options), options->height, options->width, channels,
                              true, out));
    EBB_TRY(make_labels(ctx, options, out));
    for (int64_t i = 0; i < out->n; i++)
        draw_disc(options, out, i);
    return EBB_OK;
}

ebb_status ebb_dataset_ring(ebb_context *ctx, const ebb_dataset_options *options, ebb_dataset *out)
{
    EBB_TRY(ebb_dataset_shape(ctx, options, how_many(options), 1, 2, 1, false, out));
    EBB_TRY(make_labels(ctx, options, out));
    for (int64_t i = 0; i < out->n; i++) {
        ebb_rng_at at = draw_at(options, i);
        float noise[4];
        ctx->kernels->normal_f32(4, noise, &at);
        double angle = 6.283185307179586 * (double)(i % RING_MODES) / RING_MODES;
        if (options->classes > 0)
            out->labels[i] = (int32_t)(i % RING_MODES) % options->classes;
        out->values[2 * i] = (float)(RING_RADIUS * cos(angle) + RING_DEVIATION * noise[0]);
        out->values[2 * i + 1] = (float)(RING_RADIUS * sin(angle) + RING_DEVIATION * noise[1]);
    }
    return EBB_OK;
}
