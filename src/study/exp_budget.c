/* exp_budget.c: E9: a budget of steps (Watson et al. 2021; De Bortoli, fig. 7).
 *
 * The bound of a chain that takes K of its 1000 steps is a sum of terms, one a step, so that the K best are a shortest path,
 * found by dynamic programming. For normal data all terms are closed forms (budget.h). Held against even, quadratic and
 * log-SNR spacing of as many steps: K = 5 .. 50; all are bounds of the data's entropy, which no choice can fall below.
 */
#include <math.h>
#include <stdio.h>

#include "diffusion/budget.h"
#include "diffusion/grid.h"
#include "study/experiment_chart.h"

#define VARIANCE 0.25
enum { BUDGETS = 5, KINDS = 4, STEPS_MOST = 50, SHOWN = 2 };
static const int budgets[BUDGETS] = {5, 10, 20, 30, 50};
static const char *const kinds[KINDS] = {"budget", "even", "quadratic", "logsnr"};

/* Nats a number, of the walk's steps and of the prior that it starts from. */
static double total_of(const ebb_grid *g)
{
    ebb_level pair[2];
    ebb_gaussian_cost cost = {pair, VARIANCE, false};
    double a = g->level[0].alpha, s = g->level[0].sigma, end = a * a * VARIANCE + s * s, sum = (end - 1 - log(s * s)) / 2;
    for (int k = 0; k < g->steps; k++) {
        pair[0] = g->level[k + 1];
        pair[1] = g->level[k];
        sum += ebb_gaussian_cost_of(&cost, 0, 1);
    }
    return sum;
}

static ebb_status measure(ebb_trial *x, const ebb_process *p, const char *kind, int steps, double *total, double *t, int *points)
{
    ebb_grid g;
    EBB_TRY(ebb_grid_create(x->ctx, p, kind, &(ebb_grid_options){.steps = steps, .clean = true, .data_var = VARIANCE}, &g));
    *total = total_of(&g);
    for (int k = 0; t != NULL && k < g.steps; k++)
        t[k] = g.level[k].t;
    if (points != NULL)
        *points = g.steps;
    ebb_grid_free(&g);
    return EBB_OK;
}

static ebb_status compare(ebb_trial *x, const ebb_process *p, int b, double total[KINDS][BUDGETS])
{
    double best = INFINITY;
    char expected[80];
    for (int k = 0; k < KINDS; k++) {
        /* Where levels are named by text, a grid that takes no clean end has one. */
        EBB_TRY(measure(x, p, kinds[k], budgets[b], &total[k][b], NULL, NULL));
        best = k > 0 ? fmin(best, total[k][b]) : best;
    }
    snprintf(expected, sizeof expected, "at most the best of the others: %.4f", best);
    ebb_trial_expect(x, total[0][b], -INFINITY, best, expected, "%d steps by dynamic programming: nats a number", budgets[b]);
    return EBB_OK;
}

static ebb_status draw(ebb_trial *x, const ebb_process *p, const double *steps, double total[KINDS][BUDGETS])
{
    double t[KINDS][STEPS_MOST], at[STEPS_MOST], unused;
    ebb_curve curve[SHOWN][KINDS];
    for (int k = 0; k < STEPS_MOST; k++)
        at[k] = k;
    for (int k = 0; k < KINDS; k++) {
        int points;
        EBB_TRY(measure(x, p, kinds[k], 20, &unused, t[k], &points));
        curve[0][k] = (ebb_curve){kinds[k], steps, total[k], BUDGETS};
        curve[1][k] = (ebb_curve){kinds[k], at, t[k], points};
    }
    ebb_chart charts[SHOWN] = {
        {.title = "bound of K steps", .label = {"K", "nats a number"}, .dots = true, .curve = curve[0], .curves = KINDS},
        {.title = "20 steps", .label = {"step", "timestep"}, .dots = true, .curve = curve[1], .curves = KINDS}};
    return ebb_trial_charts(x, "", charts, SHOWN);
}

static ebb_status run(ebb_trial *x, const ebb_process *p)
{
    double steps[BUDGETS], total[KINDS][BUDGETS], all, entropy = 0.5 * log(2 * 3.14159265358979323846 * exp(1) * VARIANCE);
    char expected[80];
    for (int b = 0; b < BUDGETS; b++) {
        steps[b] = budgets[b];
        EBB_TRY(compare(x, p, b, total));
        EBB_TRY(ebb_trial_progress(x, "budgets of steps", b + 1, BUDGETS));
    }
    EBB_TRY(measure(x, p, "even", 1000, &all, NULL, NULL));
    snprintf(expected, sizeof expected, "entropy of the data %.4f or more", entropy);
    ebb_trial_expect(x, all, entropy, INFINITY, expected, "all 1000 steps: nats a number");
    bool falls = true;
    for (int b = 1; b < BUDGETS; b++)
        falls = falls && total[0][b] < total[0][b - 1];
    ebb_trial_holds(x, falls && total[0][BUDGETS - 1] > all, "less with each, more than all 1000", "bounds of ever more steps");
    return draw(x, p, steps, total);
}

ebb_status ebb_exp_budget(ebb_trial *x)
{
    ebb_process wanted = {.kind = EBB_PROCESS_DDPM}, p;
    EBB_TRY(ebb_schedule_create(x->ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &wanted.chain));
    EBB_TRY(ebb_process_create(x->ctx, &wanted, &p));
    ebb_status status = run(x, &p);
    ebb_process_free(&p);
    return status;
}
