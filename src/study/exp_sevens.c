/* exp_sevens.c: E4 on pictures: which digits a network makes when sevens are asked for, by strength of guidance.
 *
 * The lecture's figure of mode capturing: gamma (Ho & Salimans' w) of -2 leads away from the class, -1 forgets it, -0.5 mixes, 0
 * asks for it. A classifier, trained on the same digits with next to no noise, reads what is made; how far it may be trusted is
 * told by digits that neither network has seen.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/distances.h"
#include "study/experiment_chart.h"

enum { CLASSES = 10, ASKED = 7, ROWS = 4, MADE = 2000, SHOWN = 20 };

static const double gammas[ROWS] = {-2, -1, -0.5, 0};

typedef struct readings { double share[CLASSES], accuracy; } readings;

static ebb_status read_file(ebb_trial *x, ebb_model *reader, const char *data, const char *labels, int64_t n, readings *out)
{
    json_t *report;
    ebb_classify_options o = {.size = sizeof o, .data = data, .labels = labels, .n = n, .levels = 2};
    EBB_TRY(ebb_trial_classify(x, reader, &o, "reading digits", &report));
    for (size_t c = 0; c < CLASSES; c++)
        out->share[c] = json_number_value(json_object_get(json_array_get(json_object_get(report, "classes"), c), "share"));
    out->accuracy = json_number_value(json_object_get(json_array_get(json_object_get(report, "levels"), 0), "accuracy"));
    json_decref(report);
    return EBB_OK;
}

static ebb_status read_held_out(ebb_trial *x, ebb_model *reader)
{
    readings r;
    char data[EBB_TRIAL_PATH], labels[EBB_TRIAL_PATH];
    if (ebb_dataset_find(x->ctx, EBB_TEST_DIGITS, "", data, sizeof data) != EBB_OK ||
        ebb_dataset_find(x->ctx, EBB_TEST_DIGIT_LABELS, "", labels, sizeof labels) != EBB_OK)
        return ebb_trial_lacks(x, "%s", ebb_message(x->ctx));
    EBB_TRY(read_file(x, reader, data, labels, ebb_trial_scale(x, 1000, 50), &r));
    ebb_trial_expect(x, r.accuracy, 0.97, 1, "at least 0.97", "share of held-out digits that the classifier reads right");
    return EBB_OK;
}

static ebb_status training_shares(ebb_trial *x, double share[CLASSES])
{
    ebb_trial_pictures train;
    EBB_TRY(ebb_trial_training_pictures(x, 0, 0, 0, &train));
    for (int64_t i = 0; i < train.n; i++)
        share[train.label[i]] += 1.0 / (double)train.n;
    ebb_trial_pictures_free(&train);
    return EBB_OK;
}

/* The samples go to a file, as a user's would, and are read from there. */
static ebb_status draw(ebb_trial *x, ebb_model *model, ebb_model *reader, double gamma, int64_t n, ebb_trial_pictures *made, readings *r)
{
    char doing[60], suffix[40], path[EBB_TRIAL_PATH];
    ebb_sample_options o = ebb_sample_defaults();
    o.n = n;
    o.seed = 2;
    o.label = ASKED;
    o.guidance = gamma;
    o.sampler = "dpmpp-2m-sde";     /* noise on the way mends what a small network does wrong */
    o.steps = 25;
    snprintf(doing, sizeof doing, "asked for sevens, gamma %g", gamma);
    EBB_TRY(ebb_trial_sample(x, model, &o, doing, made->x));
    snprintf(suffix, sizeof suffix, "gamma%g", gamma);
    EBB_TRY(ebb_trial_samples(x, suffix, made, path));
    return read_file(x, reader, path, NULL, n, r);
}

static void judge(ebb_trial *x, double gamma, const readings *r, const double *prior, int64_t n)
{
    char text[120];
    double off = 0, sevens = r->share[ASKED];
    ebb_chi_square test = ebb_shares_test(r->share, prior, CLASSES, n);
    for (int c = 0; c < CLASSES; c++)
        off = fmax(off, fabs(r->share[c] - prior[c]));
    snprintf(text, sizeof text, "%d degrees of freedom, chance %.2g", test.freedom, test.chance);
    if (gamma == 0)
        ebb_trial_expect(x, sevens, 0.95, 1, "at least 0.95", "share of sevens, gamma 0");
    else if (gamma == -2)
        ebb_trial_expect(x, sevens, 0, 0.01, "at most 0.01", "share of sevens, gamma -2");
    else if (gamma == -1) {
        ebb_trial_figure(x, sevens, "", "share of sevens, gamma -1");
        ebb_trial_expect(x, off, 0, 0.04, "at most 0.04", "largest difference of a class's share from that of training, gamma -1");
    }
    ebb_trial_figure(x, test.value, text, "chi-square against the shares of training, gamma %g", gamma);
}

static ebb_status chart(ebb_trial *x, const readings *r, const double *prior)
{
    ebb_curve curve[ROWS][2];
    ebb_chart charts[ROWS];
    char titles[ROWS][40];
    for (int k = 0; k < ROWS; k++) {
        curve[k][0] = (ebb_curve){"made", NULL, r[k].share, CLASSES};
        curve[k][1] = (ebb_curve){"training", NULL, prior, CLASSES};
        snprintf(titles[k], sizeof titles[k], "asked for 7, gamma %g", gammas[k]);
        charts[k] = (ebb_chart){.title = titles[k], .label = {"class", "share"}, .bars = true, .hi = {0, 1.15}, .curve = curve[k], .curves = 2};
    }
    return ebb_trial_charts(x, "", charts, ROWS);
}

/* shown: SHOWN of each strength. */
static ebb_status guide(ebb_trial *x, ebb_model *model, ebb_model *reader, ebb_trial_pictures *made, ebb_trial_pictures *shown)
{
    static const char *const names[ROWS] = {"-2", "-1", "-0.5", "0"};
    readings r[ROWS];
    double prior[CLASSES] = {0};
    EBB_TRY(training_shares(x, prior));
    EBB_TRY(read_held_out(x, reader));
    for (int k = 0; k < ROWS; k++) {
        EBB_TRY(draw(x, model, reader, gammas[k], made->n, made, &r[k]));
        judge(x, gammas[k], &r[k], prior, made->n);
        memcpy(shown->x + k * SHOWN * made->numbers, made->x, (size_t)(SHOWN * made->numbers) * sizeof *made->x);
    }
    ebb_trial_expect(x, r[2].share[ASKED], nextafter(r[1].share[ASKED], 1), nextafter(r[3].share[ASKED], 0), "between those of -1 and 0",
                     "share of sevens, gamma -0.5");
    EBB_TRY(ebb_trial_grid(x, "digits", shown, ROWS, SHOWN, names));
    return chart(x, r, prior);
}

ebb_status ebb_exp_sevens(ebb_trial *x)
{
    ebb_model *model = NULL, *reader = NULL;
    ebb_trial_pictures made = {0}, shown = {0};
    ebb_status status = ebb_trial_model(x, 0, &model);
    if (status == EBB_OK)
        status = ebb_trial_model(x, 1, &reader);
    if (status == EBB_OK)
        status = ebb_trial_blank_pictures(x, model, ebb_trial_scale(x, MADE, SHOWN), &made);
    if (status == EBB_OK)
        status = ebb_trial_blank_pictures(x, model, ROWS * SHOWN, &shown);
    if (status == EBB_OK)
        status = guide(x, model, reader, &made, &shown);
    ebb_trial_pictures_free(&made);
    ebb_trial_pictures_free(&shown);
    ebb_model_free(reader);
    ebb_model_free(model);
    return status;
}
