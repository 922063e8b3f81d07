/* exp_nll_table.c: E13: how likely VP, sub-VP and VE find clothes that they were not trained on, and how good those are that they
 * make (Song et al. 2021, tables 2 and 3).
 *
 * Three networks alike, trained alike on Fashion-MNIST for likelihood; bits/dim of test pictures along the probability flow,
 * with noise between the grey levels, the same of each picture for all three: sub-VP finds them at least as likely as VP, VE
 * less so. The differences are of pictures in pairs, so that their errors are far below those of the values. Samples are told by
 * the Frechet distance of a classifier's features, beside that of as many real pictures; nothing is claimed of their order, since
 * networks trained for likelihood are not the best at making pictures.
 */
#include <math.h>
#include <stdio.h>

#include "format/format.h"
#include "sample/pictures.h"
#include "study/experiment_chart.h"
#include "study/quality.h"

#define LABELS "/usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz"
enum { PROCESSES = 3, MOST = 200, MADE = 500 };
static const char *const names[PROCESSES] = {"VP", "sub-VP", "VE"};

/* ---- bits/dim ------------------------------------------------------------------------------------------------------------------- */

static ebb_status measure(ebb_trial *x, ebb_model *model, int which, int64_t n, double *bits)
{
    char doing[60];
    json_t *report;
    snprintf(doing, sizeof doing, "bits/dim of %s", names[which]);
    ebb_nll_options o = {.size = sizeof o, .data = EBB_TEST_CLOTHES, .n = n, .seed = 1, .each = 1,
                         .rtol = x->o.quick ? 1e-2 : 1e-3, .atol = x->o.quick ? 1e-2 : 1e-3};
    EBB_TRY(ebb_trial_nll(x, model, &o, doing, &report));
    const json_t *each = json_object_get(report, "each");
    for (int64_t i = 0; i < n; i++)
        bits[i] = json_number_value(json_array_get(each, (size_t)i));
    char beside[80];
    snprintf(beside, sizeof beside, "+- %.3f over pictures; %.0f evaluations", json_number_value(json_object_get(report, "standard_error")),
             json_number_value(json_object_get(report, "nfe")));
    ebb_trial_figure(x, json_number_value(json_object_get(report, "bits_per_dim")), beside, "%s: bits/dim of %lld test pictures",
                     names[which], (long long)n);
    json_decref(report);
    return EBB_OK;
}

/* Mean of b - a over pictures, and its standard error. */
static void difference(const double *a, const double *b, int64_t n, double *mean, double *error)
{
    double square = 0;
    *mean = 0;
    for (int64_t i = 0; i < n; i++)
        *mean += (b[i] - a[i]) / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (b[i] - a[i] - *mean) * (b[i] - a[i] - *mean);
    *error = sqrt(square / ((double)n * (double)(n - 1)));
}

static void compare(ebb_trial *x, double bits[PROCESSES][MOST], int64_t n)
{
    double mean, error;
    char expected[80];
    difference(bits[0], bits[1], n, &mean, &error);
    snprintf(expected, sizeof expected, "at most 0; s.e. in pairs %.4f", error);
    ebb_trial_expect(x, mean, -INFINITY, 0, expected, "sub-VP - VP, bits/dim");
    difference(bits[0], bits[2], n, &mean, &error);
    snprintf(expected, sizeof expected, "more than 0 by 3 s.e. (in pairs %.4f)", error);
    ebb_trial_expect(x, mean, 3 * error, INFINITY, expected, "VE - VP, bits/dim");
}

static ebb_status chart(ebb_trial *x, double bits[PROCESSES][MOST], int64_t n)
{
    double at[MOST];
    ebb_curve curve[PROCESSES];
    for (int64_t i = 0; i < n; i++)
        at[i] = (double)i;
    for (int p = 0; p < PROCESSES; p++)
        curve[p] = (ebb_curve){names[p], at, bits[p], (int)n};
    ebb_chart chart = {.title = "Fashion-MNIST, test pictures", .label = {"picture", "bits/dim"}, .dots = true, .curve = curve, .curves = PROCESSES};
    return ebb_trial_charts(x, "", &chart, 1);
}

/* ---- samples -------------------------------------------------------------------------------------------------------------------- */

static ebb_status on_progress(void *self, const char *doing, int64_t done, int64_t total)
{
    return ebb_trial_progress(self, doing, done, total);
}

static ebb_status open_quality(ebb_trial *x, const ebb_recipe *own, int64_t n, ebb_recipe **data, ebb_quality **out)
{
    EBB_TRY(ebb_data_recipe(x->ctx, own, NULL, LABELS, data));
    ebb_quality_options o = {.dir = x->o.dir, .recipe = *data, .n = n, .quick = x->o.quick, .no_copies = true, .progress = on_progress, .user = x};
    EBB_TRY(ebb_quality_create(x->ctx, &o, out));
    ebb_trial_figure(x, ebb_quality_floor(*out)[EBB_METRIC_FRECHET].value, "", "Frechet distance of %lld real pictures, the floor", (long long)n);
    return EBB_OK;
}

static ebb_status judge(ebb_trial *x, ebb_model *model, ebb_quality *q, int which, ebb_trial_pictures *made)
{
    char doing[60];
    uint8_t *bytes;
    ebb_measure found[EBB_METRICS];
    ebb_sample_options o = ebb_sample_defaults();
    o.n = made->n;
    o.seed = 1;
    o.sampler = "dpmpp-2m";
    o.steps = (int)ebb_trial_scale(x, 25, 4);
    snprintf(doing, sizeof doing, "samples of %s", names[which]);
    EBB_TRY(ebb_trial_sample(x, model, &o, doing, made->x));
    EBB_TRY(ebb_alloc(x->ctx, (void **)&bytes, (size_t)made->n, (size_t)made->numbers, "pictures"));
    ebb_pixels_to_bytes(made->x, (size_t)(made->n * made->numbers), bytes);
    ebb_status status = ebb_quality_judge(q, bytes, made->n, 0, found);
    ebb_free(bytes);
    EBB_TRY(status);
    ebb_trial_figure(x, found[EBB_METRIC_FRECHET].value, "", "%s: Frechet distance of %lld samples", names[which], (long long)made->n);
    return ebb_trial_grid(x, names[which], made, 4, 10, NULL);
}

static ebb_status run_process(ebb_trial *x, ebb_quality *q, int which, int64_t n, int64_t made, double *bits)
{
    ebb_model *model;
    ebb_trial_pictures pictures;
    EBB_TRY(ebb_trial_model(x, which, &model));
    ebb_status status = measure(x, model, which, n, bits);
    if (status == EBB_OK)
        status = ebb_trial_blank_pictures(x, model, made, &pictures);
    if (status == EBB_OK) {
        status = judge(x, model, q, which, &pictures);
        ebb_trial_pictures_free(&pictures);
    }
    ebb_model_free(model);
    return status;
}

ebb_status ebb_exp_nll_table(ebb_trial *x)
{
    ebb_recipe *own, *data = NULL;
    ebb_quality *q = NULL;
    double bits[PROCESSES][MOST];
    int64_t n = ebb_trial_scale(x, 100, 4), made = ebb_trial_scale(x, MADE, 40);
    EBB_TRY(ebb_trial_recipe(x, 0, &own));
    ebb_status status = open_quality(x, own, made, &data, &q);
    for (int p = 0; p < PROCESSES && status == EBB_OK; p++)
        status = run_process(x, q, p, n, made, bits[p]);
    if (status == EBB_OK) {
        compare(x, bits, n);
        status = chart(x, bits, n);
    }
    ebb_quality_free(q);
    ebb_recipe_free(data);
    ebb_recipe_free(own);
    return status;
}
