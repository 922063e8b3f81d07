/* exp_tolerance.c: E12: evaluations against tolerance along the probability flow (Song et al. 2021, fig. 3).
 *
 * Dormand & Prince's 5(4) at rtol = atol = 1e-1 .. 1e-5: more evaluations the less error is allowed, and the samples come to
 * lie where the exact flow (tolerance 1e-10) leads from the same starts.
 */
#include <math.h>
#include <stdio.h>

#include "study/experiment_chart.h"

enum { TOLERANCES = 5, PROCESSES = 3 };
static const char *const processes[PROCESSES] = {"vp", "sub-vp", "ve"};

static ebb_status measure(ebb_trial *x, const char *process, double tolerance, double *nfe, double *error)
{
    char sampler[80];
    json_t *report;
    ebb_toy_options o = ebb_toy_defaults();
    snprintf(sampler, sizeof sampler, "rk45:rtol=%g,atol=%g", tolerance, tolerance);
    o.target = "mixture";
    o.process = process;
    o.sampler = sampler;
    o.n = ebb_trial_scale(x, 512, 64);
    o.resamples = -1;
    EBB_TRY(ebb_trial_toy(x, &o, &report));
    *nfe = json_number_value(json_object_get(report, "nfe"));
    *error = json_number_value(json_object_get(report, "flow_error"));
    json_decref(report);
    return EBB_OK;
}

static void check(ebb_trial *x, const char *process, const double *tolerance, const double *nfe, const double *error)
{
    bool more = true, better = true;
    char expected[60];
    for (int k = 0; k < TOLERANCES; k++) {
        snprintf(expected, sizeof expected, "from the exact flow: %.2g", error[k]);
        ebb_trial_figure(x, nfe[k], expected, "%s, tolerance %g: evaluations", process, tolerance[k]);
        more = more && (k == 0 || nfe[k] > nfe[k - 1]);
        better = better && (k == 0 || error[k] < error[k - 1]);
    }
    ebb_trial_holds(x, more, "more at each smaller tolerance", "%s: evaluations", process);
    ebb_trial_holds(x, better, "less at each smaller tolerance", "%s: distance to the exact flow", process);
}

ebb_status ebb_exp_tolerance(ebb_trial *x)
{
    double tolerance[TOLERANCES], nfe[PROCESSES][TOLERANCES], error[PROCESSES][TOLERANCES];
    ebb_curve curve[2][PROCESSES];
    for (int p = 0; p < PROCESSES; p++) {
        for (int k = 0; k < TOLERANCES; k++) {
            tolerance[k] = pow(10, -1 - k);
            EBB_TRY(measure(x, processes[p], tolerance[k], &nfe[p][k], &error[p][k]));
        }
        check(x, processes[p], tolerance, nfe[p], error[p]);
        curve[0][p] = (ebb_curve){processes[p], tolerance, nfe[p], TOLERANCES};
        curve[1][p] = (ebb_curve){processes[p], nfe[p], error[p], TOLERANCES};
    }
    ebb_chart charts[] = {{.title = "evaluations a sample", .label = {"tolerance", "evaluations"}, .log = {true, true}, .dots = true,
                           .curve = curve[0], .curves = PROCESSES},
                          {.title = "distance to the exact flow", .label = {"evaluations", "root mean square"}, .log = {true, true},
                           .dots = true, .curve = curve[1], .curves = PROCESSES}};
    return ebb_trial_charts(x, "", charts, 2);
}
