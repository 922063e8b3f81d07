/* exp_nll_table.c: E13: how likely VP, sub-VP and VE find clothes that they were not trained on (Song et al. 2021, table 2).
 *
 * Three networks alike, trained alike on Fashion-MNIST for likelihood; bits/dim of test pictures along the probability flow,
 * with noise between the grey levels, the same of each picture for all three: sub-VP finds them at least as likely as VP, VE
 * less so. The differences are of pictures in pairs, so that their errors are far below those of the values.
 */
#include <math.h>
#include <stdio.h>

#include "study/experiment_chart.h"

enum { PROCESSES = 3, MOST = 200 };
static const char *const names[PROCESSES] = {"VP", "sub-VP", "VE"};

static ebb_status measure(ebb_trial *x, int which, int64_t n, double *bits)
{
    char doing[60];
    json_t *report;
    ebb_model *model;
    EBB_TRY(ebb_trial_model(x, which, &model));
    snprintf(doing, sizeof doing, "bits/dim of %s", names[which]);
    ebb_nll_options o = {.size = sizeof o, .data = EBB_TEST_CLOTHES, .n = n, .seed = 1, .each = 1,
                         .rtol = x->o.quick ? 1e-2 : 1e-3, .atol = x->o.quick ? 1e-2 : 1e-3};
    ebb_status status = ebb_trial_nll(x, model, &o, doing, &report);
    ebb_model_free(model);
    EBB_TRY(status);
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

ebb_status ebb_exp_nll_table(ebb_trial *x)
{
    double bits[PROCESSES][MOST], mean, error, at[MOST];
    ebb_curve curve[PROCESSES];
    char expected[80];
    int64_t n = ebb_trial_scale(x, 100, 4);
    for (int p = 0; p < PROCESSES; p++)
        EBB_TRY(measure(x, p, n, bits[p]));
    difference(bits[0], bits[1], n, &mean, &error);
    snprintf(expected, sizeof expected, "at most 0; s.e. in pairs %.4f", error);
    ebb_trial_expect(x, mean, -INFINITY, 0, expected, "sub-VP - VP, bits/dim");
    difference(bits[0], bits[2], n, &mean, &error);
    snprintf(expected, sizeof expected, "more than 0 by 3 s.e. (in pairs %.4f)", error);
    ebb_trial_expect(x, mean, 3 * error, INFINITY, expected, "VE - VP, bits/dim");
    for (int p = 0; p < PROCESSES; p++) {
        for (int64_t i = 0; i < n; i++)
            at[i] = (double)i;
        curve[p] = (ebb_curve){names[p], at, bits[p], (int)n};
    }
    ebb_chart chart = {.title = "Fashion-MNIST, test pictures", .label = {"picture", "bits/dim"}, .dots = true, .curve = curve, .curves = PROCESSES};
    return ebb_trial_charts(x, "", &chart, 1);
}
