/* exp_pc_table.c: E10: predictors, correctors and both, over VE and VP (Song et al. 2021, table 1).
 *
 * P1000, P2000: the predictor alone in so many steps; PC1000: a Langevin corrector (snr 0.16) and a predictor at each of 1000
 * levels; C2000: the corrector alone at 2000. Over a mixture in the plane with exact scores, where FID's place is taken by the
 * sliced Wasserstein-2 distance (and MMD beside it). Then all feel the discretisation at 100 and 200 steps only; that is where
 * the numbers of an independent implementation (NumPy, 10,000 samples) are, and where it shows what is plain in the table: the
 * corrector alone is the worst by far, the flow the worst predictor, and a corrector makes it at least twice as good.
 *
 * The allowance: sliced W2 is a metric, so samples are off by what as many true points are (the floor, mostly by how many each
 * part of the mixture gets, which is nearly normal), the reference's by its own: a number may be off by three times the root of
 * the sum of both squares.
 *
 * The same again over scores that networks have learned, where no number is known beforehand: the three plain facts hold there
 * too. That a corrector helps every predictor, as the published table has it, does not: over the mixture it makes ancestral
 * sampling and reverse diffusion no better, and of a learned score, which is nobody's gradient, rather worse. These are figures.
 */
#include <math.h>
#include <stdio.h>

#include "study/experiment_chart.h"

#define LAW "mixture"
#define REFERENCE_FLOOR 0.0211    /* of the reference, as it says */
enum { PROCESSES = 2, PREDICTORS = 3, COLUMNS = 3, TABLES = 2 * PROCESSES };

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
    const char *process, *model;     /* model: whose score it is; NULL: exact */
    int steps;
    int64_t n;
    double cell[PREDICTORS][COLUMNS], corrector;                 /* sliced W2 */
    double mmd[PREDICTORS][COLUMNS], mmd_corrector;
} table;

static ebb_status measure(ebb_trial *x, const table *t, const char *sampler, int steps, double *w2, double *mmd)
{
    char doing[80];
    ebb_toy_options o = ebb_toy_defaults();
    ebb_trial_judgement found;
    o.target = LAW;
    o.process = t->model == NULL ? t->process : NULL;
    o.model = t->model;
    o.sampler = sampler;
    o.grid = "score-sde";
    o.steps = steps;
    o.n = t->n;
    o.seed = 1;
    snprintf(doing, sizeof doing, "%s, %.40s, %d steps", t->process, sampler, steps);
    EBB_TRY(ebb_trial_walk(x, &o, doing, NULL, &found));
    *w2 = found.sliced_w2;
    *mmd = found.mmd;
    return EBB_OK;
}

static ebb_status fill(ebb_trial *x, table *t)
{
    for (int p = 0; p < PREDICTORS; p++) {
        EBB_TRY(measure(x, t, predictors[p].alone, t->steps, &t->cell[p][0], &t->mmd[p][0]));
        EBB_TRY(measure(x, t, predictors[p].alone, 2 * t->steps, &t->cell[p][1], &t->mmd[p][1]));
        EBB_TRY(measure(x, t, predictors[p].corrected, t->steps, &t->cell[p][2], &t->mmd[p][2]));
    }
    return measure(x, t, "corrector:batch_mean=1", 2 * t->steps, &t->corrector, &t->mmd_corrector);
}

/* "ve, flow, P100" */
static const char *name_of(const table *t, int predictor, int column, char name[80])
{
    snprintf(name, 80, "%s, %s, %s%d", t->process, predictors[predictor].name, column == 2 ? "PC" : "P",
             column == 1 ? 2 * t->steps : t->steps);
    return name;
}

/* ---- exact scores, 100 steps: as the reference ---------------------------------------------------------------------------------- */

static void check_numbers(ebb_trial *x, int process, const table *t, double allowed)
{
    char expected[60], name[80];
    for (int p = 0; p < PREDICTORS; p++)
        for (int c = 0; c < COLUMNS; c++) {
            double want = wanted[process][p][c];
            snprintf(expected, sizeof expected, "%.3f +- %.3f", want, allowed);
            ebb_trial_expect(x, t->cell[p][c], want - allowed, want + allowed, expected, "%s: sliced W2", name_of(t, p, c, name));
        }
    double want = wanted_corrector[process], off = fmax(allowed, 0.05 * want);
    snprintf(expected, sizeof expected, "%.4g +- %.2g", want, off);
    ebb_trial_expect(x, t->corrector, want - off, want + off, expected, "%s, C%d: sliced W2", t->process, 2 * t->steps);
}

/* Squares of distances and of their floors add; what lies under the floor cannot be told from half of it. */
static double less_floor(double distance, double floor)
{
    return fmax(sqrt(fmax(distance * distance - floor * floor, 0)), floor / 2);
}

static void check_plain(ebb_trial *x, const table *t, double floor)
{
    const char *name = t->process;
    double other = fmax(t->cell[0][0], t->cell[1][0]), flow = t->cell[2][0], most = 0;
    double ratio = less_floor(flow, floor) / less_floor(t->cell[2][2], floor);
    for (int p = 0; p < PREDICTORS; p++)
        for (int c = 0; c < COLUMNS; c++)
            most = fmax(most, t->cell[p][c]);
    ebb_trial_expect(x, t->corrector / most, 1.5, INFINITY, "more than 1.5", "%s: corrector alone / worst of the others", name);
    ebb_trial_expect(x, flow - other, -floor, INFINITY, "not below, within the floor", "%s, P%d: flow - worst of the others", name, t->steps);
    ebb_trial_expect(x, ratio, 2, INFINITY, "at least 2", "%s: flow P%d / PC%d, both less the floor", name, t->steps, t->steps);
}

/* ---- all of a table, without a claim ---------------------------------------------------------------------------------------------- */

typedef struct floor_of { double w2, mmd; } floor_of;

static void show(ebb_trial *x, const table *t, floor_of floor)
{
    char beside[80], name[80];
    for (int p = 0; p < PREDICTORS; p++)
        for (int c = 0; c < COLUMNS; c++) {
            snprintf(beside, sizeof beside, "true points: %.3f; MMD %.2g (%.2g)", floor.w2, t->mmd[p][c], floor.mmd);
            ebb_trial_figure(x, t->cell[p][c], beside, "%s: sliced W2", name_of(t, p, c, name));
        }
    snprintf(beside, sizeof beside, "true points: %.3f; MMD %.2g (%.2g)", floor.w2, t->mmd_corrector, floor.mmd);
    ebb_trial_figure(x, t->corrector, beside, "%s, C%d: sliced W2", t->process, 2 * t->steps);
}

/* Exact scores and so many steps: samples follow the law, whatever the way. */
static void check_long(ebb_trial *x, const table *t, double floor)
{
    double worst = t->corrector;
    for (int p = 0; p < PREDICTORS; p++)
        for (int c = 0; c < COLUMNS; c++)
            worst = fmax(worst, t->cell[p][c]);
    ebb_trial_expect(x, worst / floor, 0, 2, "at most 2: none is told from the law", "%s, %d steps and more: worst / true points",
                     t->process, t->steps);
}

/* ---- the experiments ------------------------------------------------------------------------------------------------------------------ */

static ebb_status draw(ebb_trial *x, const table *t)
{
    static const char *const names[COLUMNS] = {"predictor", "predictor, twice the steps", "with corrector"};
    double column[TABLES][COLUMNS][PREDICTORS];
    char title[TABLES][80];
    ebb_curve curve[TABLES][COLUMNS];
    ebb_chart chart[TABLES];
    for (int i = 0; i < TABLES; i++) {
        for (int c = 0; c < COLUMNS; c++) {
            for (int p = 0; p < PREDICTORS; p++)
                column[i][c][p] = t[i].cell[p][c];
            curve[i][c] = (ebb_curve){names[c], NULL, column[i][c], PREDICTORS};
        }
        snprintf(title[i], sizeof title[i], "%s, %d steps; corrector alone: %.3g", t[i].process, t[i].steps, t[i].corrector);
        chart[i] = (ebb_chart){.title = title[i], .label = {"0 ancestral, 1 reverse diffusion, 2 flow", "sliced W2"}, .bars = true,
                               .curve = curve[i], .curves = COLUMNS};
    }
    return ebb_trial_charts(x, "", chart, TABLES);
}

/* The tables of 100 steps, then those of 1000; models (PROCESSES) or NULL. */
static ebb_status fill_all(ebb_trial *x, const char *const *models, table t[TABLES], floor_of floor[2])
{
    const int64_t n[] = {ebb_trial_scale(x, 10000, 128), ebb_trial_scale(x, models != NULL ? 1000 : 2000, 64)};
    const int steps[] = {(int)ebb_trial_scale(x, 100, 24), (int)ebb_trial_scale(x, 1000, 24)};
    for (int k = 0; k < 2; k++)
        EBB_TRY(ebb_trial_floor(x, LAW, n[k], &floor[k].w2, &floor[k].mmd));
    for (int i = 0; i < TABLES; i++) {
        int process = i % PROCESSES, k = i / PROCESSES;
        t[i] = (table){.process = processes[process], .model = models != NULL ? models[process] : NULL, .steps = steps[k], .n = n[k]};
        EBB_TRY(fill(x, &t[i]));
    }
    return EBB_OK;
}

ebb_status ebb_exp_pc_table(ebb_trial *x)
{
    table t[TABLES];
    floor_of floor[2];
    EBB_TRY(fill_all(x, NULL, t, floor));
    for (int i = 0; i < PROCESSES; i++) {
        check_numbers(x, i, &t[i], 3 * hypot(floor[0].w2, REFERENCE_FLOOR));
        check_plain(x, &t[i], floor[0].w2);
    }
    for (int i = PROCESSES; i < TABLES; i++) {
        show(x, &t[i], floor[1]);
        check_long(x, &t[i], floor[1].w2);
    }
    return draw(x, t);
}

ebb_status ebb_exp_pc_learned(ebb_trial *x)
{
    table t[TABLES];
    floor_of floor[2];
    char path[PROCESSES][EBB_TRIAL_PATH];
    const char *models[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        EBB_TRY(ebb_trial_model_path(x, i, path[i]));
        models[i] = path[i];
    }
    EBB_TRY(fill_all(x, models, t, floor));
    for (int i = 0; i < PROCESSES; i++) {
        show(x, &t[i], floor[0]);
        check_plain(x, &t[i], floor[0].w2);
    }
    for (int i = PROCESSES; i < TABLES; i++)
        show(x, &t[i], floor[1]);
    return draw(x, t);
}
