/* exp_colorization.c: E14: grey pictures get colours (Song et al. 2021, fig. 4 and app. I.3).
 *
 * In the basis of colour.h the first number of a pixel is its grey, which is known; the other two are filled in. The grey must be
 * that of the picture to the rounding of a float: three numbers off by at most 2^-25 each, so by at most sqrt(3) 2^-25 along the
 * first axis. Digits in an ink of one pure hue tell more: the colours must be as strong as the data's and of one hue in a picture,
 * and copies of a picture must have many hues, since six inks have each grey (red, green and blue can change places).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/colour.h"
#include "study/experiment.h"

#define SEED 4
#define GREY_MOST (1.7320508075688772 * 0x1p-25 * (1 + 1e-9))
enum { SETS = 2, METHODS = EBB_TRIAL_METHODS, SHOWN = 8, COPIES = 8, COPIES_SHOWN = 2, ROWS = 2 + METHODS * COPIES_SHOWN };

static const struct { const char *name, *pictures; } sets[SETS] = {{"digits", EBB_TEST_DIGITS}, {"emoji", NULL}};

typedef struct job {
    ebb_trial *x;
    int set, method;
    ebb_model *model;
    ebb_trial_pictures truth;
    float *measured, *restored;  /* (n, numbers), (n, COPIES, numbers) */
    ebb_trial_pictures shown;    /* rows: truth, grey, two copies by each method */
} job;

/* ---- figures ------------------------------------------------------------------------------------------------------------------ */

static double grey_of(const float *rgb)
{
    double z[3] = {rgb[0], rgb[1], rgb[2]};
    ebb_colour_turn(1, z, false);
    return z[0];
}

static void check_grey(job *j)
{
    int64_t numbers = j->truth.numbers;
    double most = 0;
    for (int64_t i = 0; i < j->truth.n * COPIES; i++)
        for (int64_t d = 0; d < numbers; d += 3)
            most = fmax(most, fabs(grey_of(j->restored + i * numbers + d) - grey_of(j->truth.x + i / COPIES * numbers + d)));
    ebb_trial_expect(j->x, most, 0, GREY_MOST, "at most sqrt(3) 2^-25 = 5.2e-08: rounding", "%s, %s: grey off by, at most",
                     sets[j->set].name, ebb_trial_methods[j->method].name);
}

/* How strong the colours are beside the data's, and how many hues copies of a picture have: 1, one hue; 0, all around. */
static void check_colours(job *j)
{
    int64_t numbers = j->truth.numbers, pixels = numbers / 3;
    double strength = 0, of_data = 0, together = 0, one_hue = 0;
    for (int64_t i = 0; i < j->truth.n; i++) {
        double any[2], sum[2] = {0};
        of_data += COPIES * ebb_trial_colour(j->truth.x + i * numbers, pixels, NULL, 0, any);
        for (int c = 0; c < COPIES; c++) {
            double colour[2], lengths = ebb_trial_colour(j->restored + (i * COPIES + c) * numbers, pixels, NULL, 0, colour);
            double length = fmax(hypot(colour[0], colour[1]), 1e-30);
            strength += lengths;
            one_hue += length / fmax(lengths, 1e-30) / (double)(j->truth.n * COPIES);
            sum[0] += colour[0] / length / COPIES;
            sum[1] += colour[1] / length / COPIES;
        }
        together += hypot(sum[0], sum[1]) / (double)j->truth.n;
    }
    const char *set = sets[j->set].name, *method = ebb_trial_methods[j->method].name;
    ebb_trial_expect(j->x, strength / of_data, j->set == 0 ? 0.75 : 0.5, 1.25, j->set == 0 ? "0.75 to 1.25" : "0.5 to 1.25",
                     "%s, %s: strength of colours beside the data's", set, method);
    if (j->set == 0)
        ebb_trial_expect(j->x, one_hue, 0.8, 1, "at least 0.8", "%s, %s: mean over pixels as one hue, 1: of one ink", set, method);
    ebb_trial_expect(j->x, together, 0, j->set == 0 ? 0.8 : 0.99, j->set == 0 ? "at most 0.8; 8 of six inks at random: 0.3" : "less than 1",
                     "%s, %s: mean over copies as one hue, 1: all alike", set, method);
}

/* ---- working ------------------------------------------------------------------------------------------------------------------ */

static ebb_status colour(job *j)
{
    char doing[60];
    int64_t numbers = j->truth.numbers;
    ebb_restore_options o = ebb_restore_defaults();
    o.task = "colorize";
    o.method = ebb_trial_methods[j->method].spelt;
    o.steps = (int)ebb_trial_scale(j->x, ebb_trial_methods[j->method].steps, 12);
    o.copies = COPIES;
    o.seed = SEED;
    snprintf(doing, sizeof doing, "%s, %s", sets[j->set].name, ebb_trial_methods[j->method].name);
    EBB_TRY(ebb_trial_restore(j->x, j->model, &o, doing, &j->truth, j->measured, j->restored));
    memcpy(j->shown.x + SHOWN * numbers, j->measured, (size_t)(SHOWN * numbers) * sizeof(float));
    for (int64_t i = 0; i < SHOWN * COPIES_SHOWN; i++)
        memcpy(j->shown.x + ((2 + j->method * COPIES_SHOWN + i / SHOWN) * SHOWN + i % SHOWN) * numbers,
               j->restored + (i % SHOWN * COPIES + i / SHOWN) * numbers, (size_t)numbers * sizeof(float));
    return EBB_OK;
}

/* Emoji were all trained on; those shown are spread over the classes. */
static ebb_status read_pictures(job *j)
{
    const int64_t n = SHOWN;
    if (sets[j->set].pictures != NULL)
        return ebb_trial_pictures_for(j->x, j->model, sets[j->set].pictures, NULL, 0, n, &j->truth);
    ebb_trial_pictures all;
    EBB_TRY(ebb_trial_training_pictures(j->x, j->set, 0, 0, &all));
    ebb_status status = ebb_trial_blank_pictures(j->x, j->model, n, &j->truth);
    for (int64_t i = 0; status == EBB_OK && i < n; i++)
        memcpy(j->truth.x + i * all.numbers, all.x + (2 * i + 1) * all.n / (2 * n) * all.numbers, (size_t)all.numbers * sizeof *all.x);
    ebb_trial_pictures_free(&all);
    return status;
}

static ebb_status make(job *j)
{
    EBB_TRY(ebb_trial_model(j->x, j->set, &j->model));
    EBB_TRY(read_pictures(j));
    size_t numbers = (size_t)j->truth.numbers, n = (size_t)j->truth.n;
    j->shown = j->truth;
    j->shown.x = NULL;
    j->shown.n = ROWS * SHOWN;
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&j->measured, n, numbers * sizeof(float), "grey pictures"));
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&j->restored, n * COPIES, numbers * sizeof(float), "coloured pictures"));
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&j->shown.x, ROWS * SHOWN, numbers * sizeof(float), "a grid"));
    memcpy(j->shown.x, j->truth.x, SHOWN * numbers * sizeof(float));
    return EBB_OK;
}

static ebb_status colour_in(ebb_trial *x, int set)
{
    static const char *const names[ROWS] = {"truth", "grey", "replacement", "", "RePaint", "", "DDRM", "", "DPS", ""};
    job j = {.x = x, .set = set};
    ebb_status status = make(&j);
    for (j.method = 0; j.method < METHODS && status == EBB_OK; j.method++) {
        status = colour(&j);
        if (status == EBB_OK) {
            check_grey(&j);
            check_colours(&j);
        }
    }
    if (status == EBB_OK)
        status = ebb_trial_grid(x, sets[set].name, &j.shown, ROWS, SHOWN, names);
    ebb_free(j.shown.x);
    ebb_free(j.measured);
    ebb_free(j.restored);
    ebb_trial_pictures_free(&j.truth);
    ebb_model_free(j.model);
    return status;
}

ebb_status ebb_exp_colorization(ebb_trial *x)
{
    for (int set = 0; set < SETS; set++) {
        ebb_status status = colour_in(x, set);
        if (!ebb_trial_skips(x, sets[set].name, &status) && status != EBB_OK)
            return status;
    }
    return EBB_OK;
}
