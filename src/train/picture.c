/* picture.c: samples-<step>.png, what the averaged weights draw at that step: always the same samples,
 * one row a class, so that the grids of a run are a film.
 */
#include <stdio.h>

#include "sample/sampling.h"
#include "train/trainer.h"

#define CLASSES_SHOWN 32

typedef struct grid {
    int64_t n;
    int columns, rows;
} grid;

bool ebb_trainer_has_grid(const ebb_trainer *t)
{
    const ebb_recipe *r = t->recipe;
    bool drawable = r->data_channels == 1 || r->data_channels == 3;
    return r->train_sample_every > 0 && drawable && t->learner.net.kind == EBB_NET_UNET &&
           t->learner.net.logits == 0;
}

static grid grid_of(const ebb_recipe *r)
{
    int64_t count = r->sample_count, classes = r->net_classes;
    if (classes > 0) {
        int columns = (int)(count / classes > 0 ? count / classes : 1);
        return (grid){columns * classes, columns, (int)classes};
    }
    int columns = 1;
    while ((int64_t)(columns + 1) * (columns + 1) <= count)
        columns++;
    return (grid){count, columns, (int)((count + columns - 1) / columns)};
}

static ebb_sample_options options_of(const ebb_recipe *r, int64_t n)
{
    ebb_sample_options o = ebb_sample_defaults();
    o.n = n;
    o.seed = (uint64_t)r->train_seed;
    o.label = r->net_classes > 0 ? EBB_LABEL_ALL : EBB_LABEL_NONE;
    o.sampler = r->sample_sampler;
    o.steps = (int)r->sample_steps;
    o.guidance = r->net_classes > 0 ? r->sample_guidance : 0;
    return o;
}

/* Floats, then bytes of all pictures in one block. */
static ebb_status make_room(ebb_trainer *t, int64_t n, float **pixels, uint8_t **bytes)
{
    size_t numbers = (size_t)n * (size_t)t->data.numbers;
    EBB_TRY(ebb_alloc(t->ctx, (void **)pixels, numbers, sizeof **pixels + 1, "sample grid"));
    *bytes = (uint8_t *)(*pixels + numbers);
    return EBB_OK;
}

static ebb_status write_grid(ebb_trainer *t, const grid *g, const uint8_t *bytes)
{
    char path[EBB_PATH_MAX], name[64], text[CLASSES_SHOWN][12];
    const char *labels[CLASSES_SHOWN];
    bool labelled = t->recipe->net_classes > 0 && g->rows <= CLASSES_SHOWN;
    for (int i = 0; labelled && i < g->rows; i++) {
        snprintf(text[i], sizeof text[i], "%d", i);
        labels[i] = text[i];
    }
    snprintf(name, sizeof name, "samples-%06lld.png", (long long)t->learner.step);
    EBB_TRY(ebb_trainer_path(t, name, path));
    return ebb_grid_write(t->ctx, path, bytes, g->n, t->data.height, t->data.width, t->data.channels,
                          g->columns, labelled ? labels : NULL);
}

ebb_status ebb_trainer_grid(ebb_trainer *t)
{
    grid g = grid_of(t->recipe);
    ebb_sample_options o = options_of(t->recipe, g.n);
    float *pixels;
    uint8_t *bytes;
    EBB_TRY(make_room(t, g.n, &pixels, &bytes));
    ebb_status status = ebb_sample(t->ctx, t->average, &o, pixels);
    if (status == EBB_OK) {
        ebb_pixels_to_bytes(pixels, (size_t)(g.n * t->data.numbers), bytes);
        status = write_grid(t, &g, bytes);
    }
    ebb_free(pixels);
    return status;
}

ebb_status ebb_trainer_grid_try(ebb_trainer *t)
{
    grid g = grid_of(t->recipe);
    ebb_sample_options o = options_of(t->recipe, g.n);
    ebb_sampling *sampling;
    float *pixels;
    uint8_t *bytes;
    EBB_TRY(make_room(t, g.n, &pixels, &bytes));
    ebb_status status = ebb_sampling_create(t->ctx, t->average, &o, &sampling);
    if (status == EBB_OK)
        ebb_sampling_free(sampling);
    ebb_free(pixels);
    return status;
}
