/* exp_langevin.c: E1: Langevin dynamics between two modes does not mix.
 *
 * Two equal normal modes of standard deviation 0.5: the gap of Langevin's generator falls exponentially with the square of
 * their distance (the barrier is a^2/(2 s^2), a half the distance), so that by time T a share (1 - exp(-gap T))/2 of the
 * particles that start in one mode has crossed. Three panels at T = 0.1, 1, 10 look all the same at separation 5.
 */
#include <math.h>
#include <stdio.h>

#include "study/experiment.h"

static const struct { double separation, gap; } rows[] = {{2, 0.4762}, {3, 0.0573}, {4, 2.480e-3}, {5, 3.581e-5}};
enum { ROWS = 4 };

static void check_gap(ebb_trial *x, int k, const json_t *report)
{
    char expected[80];
    double gap = json_number_value(json_object_get(report, "gap"));
    snprintf(expected, sizeof expected, "%.4g within 1%%", rows[k].gap);
    ebb_trial_expect(x, gap, 0.99 * rows[k].gap, 1.01 * rows[k].gap, expected, "spectral gap at separation %g", rows[k].separation);
}

/* Within three standard errors; those that a mode already has beyond the middle at the start count besides. */
static void check_crossed(ebb_trial *x, double separation, const json_t *row)
{
    char expected[80];
    double time = json_number_value(json_object_get(row, "T")), want = json_number_value(json_object_get(row, "expected"));
    double off = 3 * json_number_value(json_object_get(row, "error")) + json_number_value(json_object_get(row, "at_start"));
    double crossed = json_number_value(json_object_get(row, "crossed"));
    snprintf(expected, sizeof expected, "(1 - exp(-gap T))/2 = %.3g +- %.2g", want, off);
    ebb_trial_expect(x, crossed, fmax(want - off, 0), want + off, expected, "crossed by T = %g, separation %g", time, separation);
    if (separation == 5 && time == 10)
        ebb_trial_expect(x, crossed, 0, 1e-3, "less than 0.1%", "stuck: crossed by T = 10, separation 5");
}

ebb_status ebb_exp_langevin(ebb_trial *x)
{
    char path[EBB_TRIAL_PATH], target[80];
    EBB_TRY(ebb_trial_picture(x, "", path));
    for (int k = 0; k < ROWS; k++) {
        json_t *report, *row;
        size_t i;
        ebb_toy_options o = ebb_toy_defaults();
        snprintf(target, sizeof target, "two-modes:separation=%g,sd=0.5", rows[k].separation);
        o.target = target;
        o.job = "panels";
        o.n = ebb_trial_scale(x, k == ROWS - 1 ? 20000 : 100, 100);
        o.seed = 1;
        o.picture = k == ROWS - 1 ? path : NULL;
        EBB_TRY(ebb_trial_toy(x, &o, &report));
        check_gap(x, k, report);
        json_array_foreach (json_object_get(report, "rows"), i, row)
            if (k == ROWS - 1)
                check_crossed(x, rows[k].separation, row);
        json_decref(report);
    }
    return EBB_OK;
}
