/* experiment_chart.h: figures of trials: charts side by side, each with curves or groups of bars.
 */
#ifndef EBB_EXPERIMENT_CHART_H
#define EBB_EXPERIMENT_CHART_H

#include "eval/plot.h"
#include "study/experiment.h"

typedef struct ebb_curve {
    const char *name;            /* in the legend; NULL: none */
    const double *x, *y;         /* (n); bars: x is not looked at, bar i of each curve stands in group i */
    int n;
} ebb_curve;

typedef struct ebb_chart {
    const char *title, *label[2];
    bool log[2], bars, dots;
    double lo[2], hi[2];         /* both 0: as the curves need; not finite, and of log those not above 0: left out */
    const ebb_curve *curve;
    int curves;
} ebb_chart;

/* The trial's picture with that suffix. */
ebb_status ebb_trial_charts(ebb_trial *x, const char *suffix, const ebb_chart *charts, int count);

#endif
