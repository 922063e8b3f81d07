/* exp_frequencies.c: E4: which digits come when asked for sevens, by strength of guidance.
 *
 * On a line, where all is known: ten classes, one mode each, and class 7 is asked for. Guidance gamma (Ho & Salimans' w) seems
 * to aim at f^-gamma f_c^(1+gamma), but neither the probability flow nor the reverse SDE guided that way samples that law,
 * but for gamma -1 (all classes) and 0 (the class): a right implementation has the shares of flow and SDE below, which differ; the
 * share under the law aimed at stands beside them.
 * The flow's are counted over quantiles of the prior, the SDE's by its Fokker-Planck equation: no noise of sampling.
 */
#include <math.h>
#include <stdio.h>

#include "diffusion/fokker_planck.h"
#include "diffusion/sampler.h"
#include "study/experiment_chart.h"

enum { CLASSES = 10, ASKED = 7, ROWS = 4, QUANTILES = 4000, FLOW_STEPS = 150, POINTS = 1200, TIMES = 500 };

/* Shares of class 7 under the law that is aimed at, of all classes along the flow and by the SDE. Reference: sums over a line, RK4
 * and an own Fokker-Planck solver in NumPy. With gamma -2 there is no such law: its density would grow without bound. */
static const struct { double gamma, aimed, flow[CLASSES], sde[CLASSES]; } rows[ROWS] = {
    {-2, 0,
     {0.8528, 0.0032, 0.0035, 0.0035, 0.0035, 0.0032, 0.0032, 0.0065, 0.0035, 0.117},
     {0.9064, 0.0003, 0.0003, 0.0003, 0.0003, 0.0003, 0.0002, 0.0011, 0.0002, 0.0905}},
    {-1, 0.1,
     {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1},
     {0.0997, 0.0996, 0.1001, 0.1001, 0.1005, 0.1005, 0.1001, 0.1001, 0.0996, 0.0997}},
    {-0.5, 0.978,
     {0, 0, 0, 0, 0.0015, 0.0793, 0.3458, 0.4203, 0.1527, 0.0005},
     {0, 0, 0, 0, 0, 0.0019, 0.2078, 0.6962, 0.0941, 0.0001}},
    {0, 0.9945,
     {0, 0, 0, 0, 0, 0, 0.003, 0.9942, 0.0027, 0},
     {0, 0, 0, 0, 0, 0, 0.003, 0.9943, 0.0027, 0}},
};

typedef struct digits { ebb_target all, one; ebb_process process; } digits;

static int nearest(const digits *d, double x)
{
    int best = 0;
    for (int k = 1; k < CLASSES; k++)
        if (fabs(x - d->all.mean[k]) < fabs(x - d->all.mean[best]))
            best = k;
    return best;
}

static double quantile(double u)
{
    double lo = -9, hi = 9;
    for (int i = 0; i < 60; i++) {
        double x = (lo + hi) / 2;
        *(0.5 * erfc(-x / sqrt(2)) < u ? &lo : &hi) = x;
    }
    return (lo + hi) / 2;
}

static ebb_status by_flow(ebb_trial *x, const digits *d, double w, double share[CLASSES])
{
    double at[QUANTILES];
    ebb_target_field self = {&d->all, &d->one, w, QUANTILES};
    ebb_field field = ebb_field_of_target(&self);
    ebb_grid grid;
    double *work;
    for (int i = 0; i < QUANTILES; i++)
        at[i] = quantile((i + 0.5) / QUANTILES);
    EBB_TRY(ebb_grid_create(x->ctx, &d->process, "logsnr", &(ebb_grid_options){.steps = FLOW_STEPS, .t_end = 1e-3, .keep_last = true},
                            &grid));
    ebb_walk walk = {.sampler = ebb_sampler_find("heun"), .process = &d->process, .grid = &grid, .field = &field,
                     .set = ebb_settings_default(), .n = QUANTILES, .count = 1, .x = at};
    ebb_status status = ebb_alloc(x->ctx, (void **)&work, ebb_walk_work(walk.sampler, QUANTILES, 1), sizeof *work, "a walk");
    if (status == EBB_OK) {
        walk.work = work;
        walk.sampler->run(&walk);
        for (int i = 0; i < QUANTILES; i++)
            share[nearest(d, at[i])] += 1.0 / QUANTILES;
        ebb_free(work);
    }
    ebb_grid_free(&grid);
    return status;
}

static ebb_status by_sde(ebb_trial *x, const digits *d, double w, double share[CLASSES])
{
    double t[TIMES + 1], one = 1, zero = 0;
    ebb_fokker_planck f;
    ebb_target prior;
    ebb_target_field self = {&d->all, &d->one, w, POINTS - 1};
    ebb_field field = ebb_field_of_target(&self);
    ebb_level *levels;
    for (int i = 0; i <= TIMES; i++) {
        double root = 1 + (double)i / TIMES * (sqrt(1e-3) - 1);
        t[i] = root * root;
    }
    EBB_TRY(ebb_target_create(x->ctx, 1, 1, &one, &zero, &one, NULL, &prior));
    ebb_status status = ebb_fokker_planck_create(x->ctx, POINTS, d->all.mean[0] - 4, d->all.mean[CLASSES - 1] + 4, &f);
    if (status == EBB_OK) {
        status = ebb_alloc(x->ctx, (void **)&levels, POINTS, sizeof *levels, "levels");
        if (status == EBB_OK) {
            ebb_fokker_planck_start(&f, &prior, 1, 0);
            ebb_fokker_planck_reverse(&f, &d->process, &field, 1, t, TIMES, levels);
            for (int k = 0; k < POINTS; k++)
                share[nearest(d, f.lo + k * f.dx)] += f.p[k] * f.dx;
            ebb_free(levels);
        }
        ebb_fokker_planck_free(&f);
    }
    ebb_target_free(&prior);
    return status;
}

/* Share of the class under f^-gamma f_c^(1+gamma), which neither follows. */
static double aimed_share(const digits *d, double gamma)
{
    double sum = 0, of_class = 0;
    for (double x = d->all.mean[0] - 2; x < d->all.mean[CLASSES - 1] + 2; x += 1e-3) {
        double all, one;
        ebb_target_at(&d->all, &x, 1, 0, &all, NULL, NULL, NULL);
        ebb_target_at(&d->one, &x, 1, 0, &one, NULL, NULL, NULL);
        double weight = exp((1 + gamma) * one - gamma * all);
        sum += weight;
        of_class += nearest(d, x) == ASKED ? weight : 0;
    }
    return of_class / sum;
}

static void check_column(ebb_trial *x, int k, const char *name, const double *share, const double *want, double aimed)
{
    char expected[80], of_aim[40] = "none";
    double off = 0;
    for (int c = 0; c < CLASSES; c++)
        off = fmax(off, fabs(share[c] - want[c]));
    if (isfinite(aimed))
        snprintf(of_aim, sizeof of_aim, "%.4f", aimed);
    snprintf(expected, sizeof expected, "%.4f +- 0.01 (the law aimed at: %s)", want[ASKED], of_aim);
    ebb_trial_expect(x, share[ASKED], want[ASKED] - 0.01, want[ASKED] + 0.01, expected, "on a line, %s: share of class 7, gamma %g", name,
                     rows[k].gamma);
    ebb_trial_expect(x, off, 0, 0.01, "at most 0.01", "the same, largest difference of any class to the reference");
}

static void check_row(ebb_trial *x, const digits *d, int k, const double *flow, const double *sde)
{
    double gamma = rows[k].gamma, aimed = gamma < -1 ? NAN : aimed_share(d, gamma);
    char expected[60];
    check_column(x, k, "flow", flow, rows[k].flow, aimed);
    check_column(x, k, "reverse SDE", sde, rows[k].sde, aimed);
    if (isnan(aimed))
        return;
    snprintf(expected, sizeof expected, "%.4f +- 0.001", rows[k].aimed);
    ebb_trial_expect(x, aimed, rows[k].aimed - 1e-3, rows[k].aimed + 1e-3, expected, "on a line, the law aimed at: share of class 7, gamma %g",
                     gamma);
    if (gamma != -1 && gamma != 0)
        ebb_trial_expect(x, aimed - fmax(flow[ASKED], sde[ASKED]), 0.2, INFINITY, "more than 0.2: neither follows it",
                         "on a line, the law aimed at - flow or SDE: share of class 7, gamma %g", gamma);
}

static ebb_status on_a_line(ebb_trial *x, digits *d)
{
    double flow[ROWS][CLASSES] = {{0}}, sde[ROWS][CLASSES] = {{0}};
    char titles[ROWS][40];
    ebb_curve curve[ROWS][2];
    ebb_chart chart[ROWS];
    for (int k = 0; k < ROWS; k++) {
        EBB_TRY(by_flow(x, d, rows[k].gamma, flow[k]));
        EBB_TRY(by_sde(x, d, rows[k].gamma, sde[k]));
        check_row(x, d, k, flow[k], sde[k]);
        curve[k][0] = (ebb_curve){"flow", NULL, flow[k], CLASSES};
        curve[k][1] = (ebb_curve){"reverse SDE", NULL, sde[k], CLASSES};
        snprintf(titles[k], sizeof titles[k], "asked for 7, gamma %g", rows[k].gamma);
        chart[k] = (ebb_chart){.title = titles[k], .label = {"class", "share"}, .bars = true, .hi = {0, 1.15}, .curve = curve[k], .curves = 2};
        EBB_TRY(ebb_trial_progress(x, "guided laws on a line", k + 1, ROWS));
    }
    return ebb_trial_charts(x, "line", chart, ROWS);
}

ebb_status ebb_exp_frequencies(ebb_trial *x)
{
    digits d;
    ebb_process wanted = {.kind = EBB_PROCESS_VP};
    EBB_TRY(ebb_process_create(x->ctx, &wanted, &d.process));
    ebb_status status = ebb_target_named(x->ctx, "digits-1d", &d.all);
    if (status == EBB_OK) {
        status = ebb_target_class(x->ctx, &d.all, ASKED, &d.one);
        if (status == EBB_OK) {
            status = on_a_line(x, &d);
            ebb_target_free(&d.one);
        }
        ebb_target_free(&d.all);
    }
    ebb_process_free(&d.process);
    return status;
}
