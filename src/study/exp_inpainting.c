/* exp_inpainting.c: E14: hidden pixels are filled in (Song et al. 2021, fig. 4; De Bortoli, the replacement method).
 *
 * The middle of digits, clothes and coloured digits that were never trained on is hidden, and filled in by four methods. Known
 * pixels must be the picture's to the bit, by DPS too, whose last step puts them there: what they were before is told. What was
 * filled in must be nearer to the truth than the mean of the training pictures is, by RePaint and DPS more so than by replacement,
 * which is biased; must leave the digit legible, read by its nearest training digit; and must have the ink of the part that is
 * known. What two copies of a picture have in common is held against the truth, since a sample has twice the error of the mean.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sample/mask.h"
#include "study/experiment.h"

#define HIDDEN "box:10x10"
#define SEED 3
enum { SETS = 3, METHODS = EBB_TRIAL_METHODS, COPIES = 2, SHOWN = 8, ROWS = METHODS + 2, UNPROJECTED = 8, PIXELS_MOST = 64 * 64 };

static const bool mends[METHODS] = {false, true, false, true};       /* the bias of replacement */
#define DPS_ALONE "dps:zeta=2,project=0"
static const struct { const char *name, *pictures, *labels; int n; } sets[SETS] = {
    {"digits", EBB_TEST_DIGITS, EBB_TEST_DIGIT_LABELS, 48}, {"clothes", EBB_TEST_CLOTHES, NULL, 24}, {"coloured", EBB_TEST_DIGITS, NULL, 24}};

typedef struct job {
    ebb_trial *x;
    int set, method;
    double of_replacement;       /* dB */
    ebb_model *model;
    ebb_trial_pictures truth, train, fill;   /* fill: the truth, hidden pixels the mean of training pictures */
    uint8_t known[PIXELS_MOST];
    float *restored;             /* (n, COPIES, numbers) */
    ebb_trial_pictures shown;    /* rows: truth, what is known, each method */
} job;

static ebb_restore_options options_of(const char *method, int64_t steps)
{
    ebb_restore_options o = ebb_restore_defaults();
    o.mask = HIDDEN;
    o.method = method;
    o.steps = (int)steps;
    o.copies = COPIES;
    o.seed = SEED;
    return o;
}

static bool hidden(const job *j, int64_t d)
{
    return j->known[d / j->truth.channels] == 0;
}

/* ---- figures ------------------------------------------------------------------------------------------------------------------ */

static void check_known(job *j)
{
    int64_t numbers = j->truth.numbers, differ = 0;
    for (int64_t i = 0; i < j->truth.n * COPIES; i++)
        for (int64_t d = 0; d < numbers; d++)
            differ += !hidden(j, d) && memcmp(&j->restored[i * numbers + d], &j->truth.x[i / COPIES * numbers + d], sizeof(float)) != 0;
    ebb_trial_expect(j->x, (double)differ, 0, 0, "0: the same bits", "%s, %s: known numbers that are not the picture's",
                     sets[j->set].name, ebb_trial_methods[j->method].name);
}

/* Mean square error in hidden pixels, of the mean of `copies` pictures. */
static double error_of(const job *j, const float *pictures, int copies)
{
    int64_t numbers = j->truth.numbers;
    double sum = 0, count = 0;
    for (int64_t i = 0; i < j->truth.n; i++)
        for (int64_t d = 0; d < numbers; d++) {
            double mean = 0;
            for (int c = 0; hidden(j, d) && c < copies; c++)
                mean += (double)pictures[(i * copies + c) * numbers + d] / copies;
            sum += hidden(j, d) ? (mean - j->truth.x[i * numbers + d]) * (mean - j->truth.x[i * numbers + d]) : 0;
            count += hidden(j, d);
        }
    return sum / count;
}

/* In decibels beside the mean. Replacement is biased, and what mends it (RePaint) or does otherwise (DPS) must come nearer. */
static void check_error(job *j)
{
    char beside[60];
    double gain = 10 * log10(error_of(j, j->fill.x, 1) / error_of(j, j->restored, COPIES));
    const char *what = "%s, %s: hidden pixels nearer to the truth than the mean is, dB", *set = sets[j->set].name,
               *method = ebb_trial_methods[j->method].name;
    snprintf(beside, sizeof beside, "more than %s%.2f", mends[j->method] ? "replacement: " : "",
             mends[j->method] ? j->of_replacement : 0.5);
    if (j->method == 0)
        ebb_trial_figure(j->x, j->of_replacement = gain, "", what, set, method);
    else
        ebb_trial_expect(j->x, gain, mends[j->method] ? fmax(0, nextafter(j->of_replacement, INFINITY)) : 0.5, INFINITY, beside,
                         what, set, method);
}

/* The first copy of each picture, with the pictures' labels. */
static ebb_status first_copies(job *j, ebb_trial_pictures *out)
{
    *out = j->truth;
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&out->x, (size_t)(out->n * out->numbers), sizeof *out->x, "first copies"));
    for (int64_t i = 0; i < out->n; i++)
        memcpy(out->x + i * out->numbers, j->restored + i * COPIES * out->numbers, (size_t)out->numbers * sizeof *out->x);
    return EBB_OK;
}

static ebb_status check_digits(job *j)
{
    double share, of_fill, whole;
    char expected[80];
    ebb_trial_pictures first;
    EBB_TRY(first_copies(j, &first));
    ebb_status status = ebb_trial_purity(j->x, &j->train, &first, &share, NULL);
    ebb_free(first.x);
    EBB_TRY(status);
    EBB_TRY(ebb_trial_purity(j->x, &j->train, &j->fill, &of_fill, NULL));
    EBB_TRY(ebb_trial_purity(j->x, &j->train, &j->truth, &whole, NULL));
    snprintf(expected, sizeof expected, "at least 0.8; whole %.3f, filled with the mean %.3f", whole, of_fill);
    ebb_trial_expect(j->x, share, 0.8, 1, expected, "digits, %s: share read as what they are", ebb_trial_methods[j->method].name);
    return EBB_OK;
}

/* Mean cosine between the hues of both parts, of pictures that have ink in both. */
static void check_ink(job *j)
{
    int64_t pixels = j->truth.numbers / 3;
    double sum = 0, count = 0;
    for (int64_t i = 0; i < j->truth.n * COPIES; i++) {
        double in[2], out[2];
        ebb_trial_colour(j->restored + i * j->truth.numbers, pixels, j->known, 0, in);
        ebb_trial_colour(j->restored + i * j->truth.numbers, pixels, j->known, 1, out);
        double long_in = hypot(in[0], in[1]), long_out = hypot(out[0], out[1]);
        if (long_in > 2 && long_out > 2) {
            sum += (in[0] * out[0] + in[1] * out[1]) / (long_in * long_out);
            count++;
        }
    }
    ebb_trial_expect(j->x, sum / count, 0.8, 1, "at least 0.8", "coloured, %s: hue that was filled in and known hue, mean cosine",
                     ebb_trial_methods[j->method].name);
}

/* ---- methods ------------------------------------------------------------------------------------------------------------------ */

static ebb_status restore(job *j)
{
    char doing[60];
    int64_t numbers = j->truth.numbers, steps = ebb_trial_scale(j->x, ebb_trial_methods[j->method].steps, 12);
    ebb_restore_options o = options_of(ebb_trial_methods[j->method].spelt, steps);
    float *measured = j->shown.x + SHOWN * numbers, *to = j->shown.x + (2 + j->method) * SHOWN * numbers, *all;
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&all, (size_t)(j->truth.n * numbers), sizeof *all, "measurements"));
    snprintf(doing, sizeof doing, "%s, %s", sets[j->set].name, ebb_trial_methods[j->method].name);
    ebb_status status = ebb_trial_restore(j->x, j->model, &o, doing, &j->truth, all, j->restored);
    for (int64_t i = 0; i < SHOWN && status == EBB_OK; i++) {
        memcpy(measured + i * numbers, all + i * numbers, (size_t)numbers * sizeof *to);
        memcpy(to + i * numbers, j->restored + i * COPIES * numbers, (size_t)numbers * sizeof *to);
    }
    ebb_free(all);
    return status;
}

/* Of the last method: how far known numbers are off before its last step. */
static ebb_status measure_dps(job *j)
{
    int64_t numbers = j->truth.numbers;
    double square = 0, count = 0;
    ebb_trial_pictures few = j->truth;
    ebb_restore_options o = options_of(DPS_ALONE, ebb_trial_scale(j->x, ebb_trial_methods[METHODS - 1].steps, 12));
    o.copies = 1;
    few.n = UNPROJECTED;
    EBB_TRY(ebb_trial_restore(j->x, j->model, &o, "DPS without its last step", &few, NULL, j->restored));
    for (int64_t i = 0; i < few.n * numbers; i++)
        if (!hidden(j, i % numbers)) {
            square += ((double)j->restored[i] - few.x[i]) * ((double)j->restored[i] - few.x[i]);
            count++;
        }
    ebb_trial_expect(j->x, sqrt(square / count), 0, 0.2, "near 0, at most 0.2",
                     "%s, DPS without its last step: known numbers off by (root mean square)", sets[j->set].name);
    return EBB_OK;
}

static ebb_status run_methods(job *j)
{
    for (j->method = 0; j->method < METHODS; j->method++) {
        EBB_TRY(restore(j));
        check_known(j);
        check_error(j);
        if (j->set == 0)
            EBB_TRY(check_digits(j));
        if (j->truth.channels == 3)
            check_ink(j);
    }
    return measure_dps(j);
}

/* ---- a set of pictures ---------------------------------------------------------------------------------------------------------- */

/* The mean of the training pictures in the place of hidden numbers. */
static void fill_means(job *j)
{
    for (int64_t d = 0; d < j->truth.numbers; d++) {
        double mean = 0;
        for (int64_t i = 0; i < j->train.n; i++)
            mean += (double)j->train.x[i * j->truth.numbers + d] / (double)j->train.n;
        for (int64_t i = 0; i < j->truth.n; i++)
            j->fill.x[i * j->truth.numbers + d] = hidden(j, d) ? (float)mean : j->truth.x[i * j->truth.numbers + d];
    }
}

static ebb_status make(job *j)
{
    ebb_context *ctx = j->x->ctx;
    EBB_TRY(ebb_trial_model(j->x, j->set, &j->model));
    EBB_TRY(ebb_trial_training_pictures(j->x, j->set, 0, j->set == 0 ? ebb_trial_scale(j->x, 0, 500) : 1000, &j->train));
    EBB_TRY(ebb_trial_pictures_for(j->x, j->model, sets[j->set].pictures, sets[j->set].labels, 0,
                                   ebb_trial_scale(j->x, sets[j->set].n, SHOWN), &j->truth));
    size_t numbers = (size_t)j->truth.numbers, n = (size_t)j->truth.n;
    if (numbers > PIXELS_MOST * 3)
        return ebb_fail(ctx, EBB_E_INTERNAL, "pictures of %zu numbers are larger than this experiment's masks", numbers);
    EBB_TRY(ebb_mask_read(ctx, HIDDEN, j->truth.height, j->truth.width, SEED, j->known));
    j->fill = j->shown = j->truth;
    j->fill.x = j->shown.x = NULL;
    j->shown.n = ROWS * SHOWN;
    EBB_TRY(ebb_alloc(ctx, (void **)&j->fill.x, n, numbers * sizeof(float), "pictures"));
    EBB_TRY(ebb_alloc(ctx, (void **)&j->restored, n * COPIES, numbers * sizeof(float), "restorations"));
    EBB_TRY(ebb_alloc(ctx, (void **)&j->shown.x, ROWS * SHOWN, numbers * sizeof(float), "a grid"));
    memcpy(j->shown.x, j->truth.x, SHOWN * numbers * sizeof(float));
    fill_means(j);
    return EBB_OK;
}

static ebb_status fill_in(ebb_trial *x, int set)
{
    static const char *const names[ROWS] = {"truth", "known", "replacement", "RePaint", "DDRM", "DPS"};
    job j = {.x = x, .set = set};
    ebb_status status = make(&j);
    if (status == EBB_OK)
        status = run_methods(&j);
    if (status == EBB_OK)
        status = ebb_trial_grid(x, sets[set].name, &j.shown, ROWS, SHOWN, names);
    ebb_free(j.shown.x);
    ebb_free(j.fill.x);
    ebb_free(j.restored);
    ebb_trial_pictures_free(&j.truth);
    ebb_trial_pictures_free(&j.train);
    ebb_model_free(j.model);
    return status;
}

ebb_status ebb_exp_inpainting(ebb_trial *x)
{
    for (int set = 0; set < SETS; set++) {
        ebb_status status = fill_in(x, set);
        if (!ebb_trial_skips(x, sets[set].name, &status) && status != EBB_OK)
            return status;
    }
    return EBB_OK;
}
