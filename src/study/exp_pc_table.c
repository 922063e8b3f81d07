/* exp_pc_table.c: E10: predictors, correctors and both, over VE and VP (Song et al. 2021, table 1).
 *
 * P1000, P2000: the predictor alone in so many steps; PC1000: a Langevin corrector (snr 0.16) and a predictor at each of 1000
 * levels; C2000: the corrector alone at 2000. Over a mixture in the plane with exact scores, where FID's place is taken by the
 * sliced Wasserstein-2 distance. Then all feel the discretisation at 100 and 200 steps only; that is where the numbers of an
 * independent implementation (NumPy, 10,000 samples) are, and where it shows what is plain in the table: the corrector alone
 * is the worst by far, the flow the worst predictor, and a corrector makes it at least twice as good.
 *
 * The allowance: sliced W2 is a metric, so samples are off by what as many true points are (the floor f, mostly by how many
 * each part of the mixture gets, which is nearly normal), theirs by sqrt(2) f since both sides of it are samples: a number may
 * be off by three times the root of the sum of both squares.
 */
#include <math.h>
#include <stdio.h>

#include "study/experiment_chart.h"

#define LAW "mixture"
#define REFERENCE_SAMPLES 10000.0
enum { PROCESSES = 2, PREDICTORS = 3, COLUMNS = 3 };

static const char *const processes[PROCESSES] = {"ve", "vp"};
static const struct { const char *name, *alone, *corrected; } predictors[PREDICTORS] = {
    {"ancestral", "ancestral-sde", "pc-ancestral:batch_mean=1"},
    {"reverse diffusion", "reverse-diffusion", "pc:batch_mean=1"},
    {"flow", "flow-predictor", "pc-flow:batch_mean=1"}};
/* P100, P200, PC100 */
static const double wanted[PROCESSES][PREDICTORS][COLUMNS] = {
    {{0.0659, 0.0584, 0.0613}, {0.0276, 0.0238, 0.0281}, {0.0843, 0.0370, 0.0190}},
    {{0.0529, 0.0580, 0.0391}, {0.0292, 0.0483, 0.0378}, {0.0970, 0.0388, 0.0312}}};
static const double wanted_corrector[PROCESSES] = {33.28, 0.159};

typedef struct table {
    double cell[PREDICTORS][COLUMNS], corrector;
} table;

static ebb_status measure(ebb_trial *x, const char *process, const char *sampler, int steps, int64_t n, double *out)
{
    char doing[80];
    ebb_toy_options o = ebb_toy_defaults();
    ebb_trial_judgement found;
    o.target = LAW;
    o.process = process;
    o.sampler = sampler;
    o.grid = "score-sde";
    o.steps = steps;
    o.n = n;
    o.seed = 1;
    snprintf(doing, sizeof doing, "%s, %.40s, %d steps", process, sampler, steps);
    EBB_TRY(ebb_trial_walk(x, &o, doing, NULL, &found));
    *out = found.sliced_w2;
    return EBB_OK;
}

static ebb_status fill(ebb_trial *x, const char *process, int steps, int64_t n, table *t)
{
    for (int p = 0; p < PREDICTORS; p++) {
        EBB_TRY(measure(x, process, predictors[p].alone, steps, n, &t->cell[p][0]));
        EBB_TRY(measure(x, process, predictors[p].alone, 2 * steps, n, &t->cell[p][1]));
        EBB_TRY(measure(x, process, predictors[p].corrected, steps, n, &t->cell[p][2]));
    }
    return measure(x, process, "corrector:batch_mean=1", 2 * steps, n, &t->corrector);
}

/* ---- 100 steps: as the reference -------------------------------------------------------------------------------------------- */

static void check_numbers(ebb_trial *x, int process, const table *t, double allowed)
{
    static const char *const columns[COLUMNS] = {"P100", "P200", "PC100"};
    char expected[60];
    for (int p = 0; p < PREDICTORS; p++)
        for (int c = 0; c < COLUMNS; c++) {
            double want = wanted[process][p][c];
            snprintf(expected, sizeof expected, "%.3f +- %.3f", want, allowed);
            ebb_trial_expect(x, t->cell[p][c], want - allowed, want + allowed, expected, "%s, %s, %s: sliced W2", processes[process],
                             predictors[p].name, columns[c]);
        }
    double want = wanted_corrector[process], off = fmax(allowed, 0.05 * want);
    snprintf(expected, sizeof expected, "%.4g +- %.2g", want, off);
    ebb_trial_expect(x, t->corrector, want - off, want + off, expected, "%s, C200: sliced W2", processes[process]);
}

/* Squares of distances and of their floors add. */
static void check_plain(ebb_trial *x, int process, const table *t, double floor)
{
    const char *name = processes[process];
    double other = fmax(t->cell[0][0], t->cell[1][0]), flow = t->cell[2][0], most = 0;
    double corrected = sqrt(fmax(t->cell[2][2] * t->cell[2][2] - floor * floor, 1e-12));
    for (int p = 0; p < PREDICTORS; p++)
        for (int c = 0; c < COLUMNS; c++)
            most = fmax(most, t->cell[p][c]);
    ebb_trial_expect(x, t->corrector / most, 1.2, INFINITY, "more than 1.2", "%s: corrector alone / worst of the others", name);
    ebb_trial_expect(x, flow - other, -floor, INFINITY, "not below, within the floor", "%s, P100: flow - worst of the others", name);
    ebb_trial_expect(x, flow / corrected, 2, INFINITY, "at least 2", "%s: flow P100 / PC100, less their floor", name);
}

/* ---- 1000 steps: the table itself -------------------------------------------------------------------------------------------- */

static void check_long(ebb_trial *x, int process, const table *t, double floor)
{
    static const char *const columns[COLUMNS] = {"P1000", "P2000", "PC1000"};
    char beside[60];
    double worst = t->corrector;
    snprintf(beside, sizeof beside, "true points: %.3f", floor);
    for (int p = 0; p < PREDICTORS; p++)
        for (int c = 0; c < COLUMNS; c++) {
            ebb_trial_figure(x, t->cell[p][c], beside, "%s, %s, %s: sliced W2", processes[process], predictors[p].name, columns[c]);
            worst = fmax(worst, t->cell[p][c]);
        }
    ebb_trial_figure(x, t->corrector, beside, "%s, C2000: sliced W2", processes[process]);
    ebb_trial_expect(x, worst / floor, 0, 2, "at most 2: none is told from the law", "%s, 1000 steps and more: worst / true points",
                     processes[process]);
}

static ebb_status draw(ebb_trial *x, const table *t, const char *const *titles)
{
    static const char *const names[COLUMNS] = {"predictor", "predictor, twice the steps", "with corrector"};
    double column[2 * PROCESSES][COLUMNS][PREDICTORS];
    ebb_curve curve[2 * PROCESSES][COLUMNS];
    ebb_chart chart[2 * PROCESSES];
    for (int i = 0; i < 2 * PROCESSES; i++) {
        for (int c = 0; c < COLUMNS; c++) {
            for (int p = 0; p < PREDICTORS; p++)
                column[i][c][p] = t[i].cell[p][c];
            curve[i][c] = (ebb_curve){names[c], NULL, column[i][c], PREDICTORS};
        }
        chart[i] = (ebb_chart){.title = titles[i], .label = {"0 ancestral, 1 reverse diffusion, 2 flow", "sliced W2"}, .bars = true,
                               .curve = curve[i], .curves = COLUMNS};
    }
    return ebb_trial_charts(x, "", chart, 2 * PROCESSES);
}

ebb_status ebb_exp_pc_table(ebb_trial *x)
{
    static const char *const titles[] = {"VE, 100 steps", "VP, 100 steps", "VE, 1000 steps", "VP, 1000 steps"};
    int64_t n = ebb_trial_scale(x, 10000, 128), n_long = ebb_trial_scale(x, 2000, 64);
    int steps = (int)ebb_trial_scale(x, 100, 24), steps_long = (int)ebb_trial_scale(x, 1000, 24);
    table t[2 * PROCESSES];
    double floor, floor_long;
    EBB_TRY(ebb_trial_floor(x, LAW, n, &floor));
    EBB_TRY(ebb_trial_floor(x, LAW, n_long, &floor_long));
    for (int i = 0; i < PROCESSES; i++) {
        EBB_TRY(fill(x, processes[i], steps, n, &t[i]));
        check_numbers(x, i, &t[i], 3 * floor * sqrt(1 + 2 * (double)n / REFERENCE_SAMPLES));
        check_plain(x, i, &t[i], floor);
    }
    for (int i = 0; i < PROCESSES; i++) {
        EBB_TRY(fill(x, processes[i], steps_long, n_long, &t[PROCESSES + i]));
        check_long(x, i, &t[PROCESSES + i], floor_long);
    }
    return draw(x, t, titles);
}
