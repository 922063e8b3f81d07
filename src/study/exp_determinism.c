/* exp_determinism.c: E17: two runs give different samples, the same seed the same, to the bit.
 *
 * The notes say that training is deterministic, same data, same generator. That is true only where all that is random is a
 * function of a seed, and where sums do not depend on who computed what: so it is held here against threads as well.
 */
#include <string.h>

#include "model/report.h"
#include "study/experiment.h"
#include "train/learner.h"

enum { COLUMNS = 10, RUNS = 4 };

/* What is asked of each run; the first is what the others are compared with. */
static const struct { const char *name; uint64_t seed; int threads; bool same; } runs[RUNS] = {
    {"seed 1", 1, 2, true}, {"again", 1, 2, true}, {"1 thread", 1, 1, true}, {"seed 2", 2, 2, false}};

/* Another context like x's, with so many threads. */
static ebb_status context_of(ebb_trial *x, int threads, ebb_context **out)
{
    ebb_context_options o = {.size = sizeof o, .threads = threads, .cpu = ebb_isa_name(x->ctx->isa),
                             .backend = ebb_backend_choice_name(x->ctx)};
    ebb_status status = ebb_context_create(&o, out);
    if (status == EBB_OK)
        return EBB_OK;
    ebb_fail(x->ctx, status, "%s", *out != NULL ? ebb_message(*out) : "no memory for a context");
    ebb_context_free(*out);
    *out = NULL;
    return status;
}

static void compare(ebb_trial *x, const char *what, int k, const void *first, const void *other, size_t bytes)
{
    bool same = memcmp(first, other, bytes) == 0;
    if (k > 0)
        ebb_trial_holds(x, same == runs[k].same, runs[k].same ? "the same bits" : "others", "%s, %s beside seed 1", what, runs[k].name);
}

/* ---- sampling ------------------------------------------------------------------------------------------------------------ */

/* pixels (RUNS, COLUMNS, numbers) */
static ebb_status draw(ebb_trial *x, ebb_model *model, size_t numbers, float *pixels)
{
    for (int k = 0; k < RUNS; k++) {
        ebb_context *ctx;
        EBB_TRY(context_of(x, runs[k].threads, &ctx));
        ebb_sample_options o = ebb_sample_defaults();
        o.n = COLUMNS;
        o.seed = runs[k].seed;
        o.label = EBB_LABEL_ALL;
        ebb_status status = ebb_sample(ctx, model, &o, pixels + (size_t)k * COLUMNS * numbers);
        if (status != EBB_OK)
            ebb_fail(x->ctx, status, "%s", ebb_message(ctx));
        ebb_context_free(ctx);
        EBB_TRY(status);
        compare(x, "samples", k, pixels, pixels + (size_t)k * COLUMNS * numbers, COLUMNS * numbers * sizeof *pixels);
        EBB_TRY(ebb_trial_progress(x, "sampling", k + 1, RUNS));
    }
    return EBB_OK;
}

static ebb_status show(ebb_trial *x, const ebb_model_shape *shape, const float *pixels)
{
    char path[EBB_TRIAL_PATH];
    const char *names[RUNS];
    uint8_t *bytes;
    size_t count = (size_t)(RUNS * COLUMNS) * (size_t)(shape->height * shape->width * shape->channels);
    for (int k = 0; k < RUNS; k++)
        names[k] = runs[k].name;
    EBB_TRY(ebb_trial_picture(x, "", path));
    EBB_TRY(ebb_alloc(x->ctx, (void **)&bytes, count, 1, "a picture"));
    ebb_pixels_to_bytes(pixels, count, bytes);
    ebb_status status = ebb_grid_write(x->ctx, path, bytes, RUNS * COLUMNS, shape->height, shape->width, shape->channels, COLUMNS, names);
    ebb_free(bytes);
    return status;
}

static ebb_status sample(ebb_trial *x)
{
    ebb_model *model;
    ebb_model_shape shape = {.size = sizeof shape};
    float *pixels = NULL;
    EBB_TRY(ebb_trial_model(x, 0, &model));
    ebb_status status = ebb_model_describe(model, &shape);
    size_t numbers = (size_t)(shape.height * shape.width * shape.channels);
    if (status == EBB_OK)
        status = ebb_alloc(x->ctx, (void **)&pixels, RUNS * COLUMNS * numbers, sizeof *pixels, "samples");
    if (status == EBB_OK)
        status = draw(x, model, numbers, pixels);
    if (status == EBB_OK)
        status = show(x, &shape, pixels);
    ebb_free(pixels);
    ebb_model_free(model);
    return status;
}

/* ---- training ------------------------------------------------------------------------------------------------------------ */

static ebb_status train_steps(ebb_context *ctx, ebb_recipe *r, int steps, float **weights, size_t *length)
{
    ebb_dataset data = {0};
    ebb_learner l = {.shards.result = -1};
    double loss, norm;
    EBB_TRY(ebb_recipe_dataset(ctx, r, &data));
    ebb_recipe_resolve(r, &data);
    ebb_status status = ebb_learner_create(ctx, r, &data, &l);
    for (int k = 0; k < steps && status == EBB_OK; k++)
        status = ebb_learner_step(&l, &loss, &norm);
    *length = (size_t)l.params.length;
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)weights, *length, sizeof **weights, "weights");
    if (status == EBB_OK)
        memcpy(*weights, l.blocks.p, *length * sizeof **weights);
    ebb_learner_free(&l);
    ebb_dataset_free(&data);
    return status;
}

static ebb_status train_run(ebb_trial *x, int k, float **weights, size_t *length)
{
    ebb_context *ctx;
    ebb_recipe *r;
    EBB_TRY(ebb_trial_recipe(x, 0, &r));
    r->train_seed = (int64_t)runs[k].seed;
    ebb_status status = context_of(x, runs[k].threads, &ctx);
    if (status == EBB_OK) {
        status = train_steps(ctx, r, (int)ebb_trial_scale(x, 40, 3), weights, length);
        if (status != EBB_OK)
            ebb_fail(x->ctx, status, "%s", ebb_message(ctx));
        ebb_context_free(ctx);
    }
    ebb_recipe_free(r);
    return status;
}

static ebb_status train(ebb_trial *x)
{
    float *weights[RUNS] = {NULL};
    size_t length;
    ebb_status status = EBB_OK;
    for (int k = 0; k < RUNS && status == EBB_OK; k++) {
        status = train_run(x, k, &weights[k], &length);
        if (status == EBB_OK) {
            compare(x, "weights after training", k, weights[0], weights[k], length * sizeof(float));
            status = ebb_trial_progress(x, "training twice", k + 1, RUNS);
        }
    }
    for (int k = 0; k < RUNS; k++)
        ebb_free(weights[k]);
    return status;
}

ebb_status ebb_exp_determinism(ebb_trial *x)
{
    EBB_TRY(sample(x));
    return train(x);
}
