/* exp_theorem.c: E6: the three terms of the theorem on the convergence of diffusion models, where all of them are known.
 *
 * Chen et al. 2023: TV <~ sqrt(KL(law of X_T || N)) + (L sqrt(d h) + L m h) sqrt(T) + error sqrt(T). Over normal data the law
 * of the sampler's output is exact (gaussian.h), so that T, h and the error of the score can be changed one at a time without
 * any noise of sampling. Then the order of Euler's method: W2 to the data over 50 .. 800 steps halves with each doubling.
 */
#include <math.h>
#include <stdio.h>

#include "diffusion/convergence.h"
#include "study/experiment_chart.h"

enum { MOST = 8 };

/* One of the theorem's three numbers goes through these values, the other two stay where they hardly matter. */
typedef struct sweep {
    const char *name, *term;
    int n;
    double end[MOST], error[MOST];
    int steps[MOST];
    double at[MOST], tv[MOST], own[MOST], bound[MOST];    /* found */
} sweep;

static const sweep plan[] = {
    {"T", "start", 6, {0.25, 0.5, 1, 1.5, 2, 3}, {0}, {250, 500, 1000, 1500, 2000, 3000}, {0}, {0}, {0}, {0}},
    {"h", "step", 6, {6, 6, 6, 6, 6, 6}, {0}, {30, 60, 120, 240, 480, 960}, {0}, {0}, {0}, {0}},
    {"score error", "score", 6, {6, 6, 6, 6, 6, 6}, {0.02, 0.05, 0.1, 0.2, 0.4, 0.8}, {1500, 1500, 1500, 1500, 1500, 1500}, {0}, {0}, {0}, {0}},
};
enum { SWEEPS = sizeof plan / sizeof plan[0] };

/* Between neighbours the distance changes the way of the term; returns the largest ratio of distance to bound. */
static double measure(ebb_trial *x, const ebb_target *law, int which, sweep *s, ebb_status *status)
{
    double worst = 0;
    bool same_way = true;
    for (int k = 0; k < s->n && *status == EBB_OK; k++) {
        ebb_convergence c = {.end = s->end[k], .steps = s->steps[k], .error = s->error[k]};
        *status = ebb_convergence_measure(x->ctx, law, &c);
        s->at[k] = which == 0 ? c.end : which == 1 ? c.h : c.error;
        s->own[k] = which == 0 ? c.start : which == 1 ? c.step : c.score;
        s->tv[k] = c.tv;
        s->bound[k] = c.bound;
        worst = fmax(worst, c.tv / c.bound);
        same_way = same_way && (k == 0 || (s->own[k] > s->own[k - 1]) == (s->tv[k] > s->tv[k - 1]));
    }
    ebb_trial_holds(x, same_way, "as its term does", "TV falls and rises with %s", s->name);
    return worst;
}

static void draw(const sweep *s, bool log_x, ebb_curve curve[3], ebb_chart *chart)
{
    curve[0] = (ebb_curve){"TV, exact", s->at, s->tv, s->n};
    curve[1] = (ebb_curve){s->term, s->at, s->own, s->n};
    curve[2] = (ebb_curve){"all three terms", s->at, s->bound, s->n};
    *chart = (ebb_chart){.title = s->name, .label = {s->name, "total variation"}, .log = {log_x, true}, .dots = true,
                         .curve = curve, .curves = 3};
}

static ebb_status check_terms(ebb_trial *x, const ebb_target *law)
{
    ebb_curve curve[SWEEPS][3];
    ebb_chart chart[SWEEPS];
    sweep s[SWEEPS];
    ebb_status status = EBB_OK;
    double worst = 0;
    for (int i = 0; i < SWEEPS; i++) {
        s[i] = plan[i];
        worst = fmax(worst, measure(x, law, i, &s[i], &status));
        draw(&s[i], i > 0, curve[i], &chart[i]);
        EBB_TRY(status);
        EBB_TRY(ebb_trial_progress(x, "terms of the theorem", i + 1, SWEEPS));
    }
    ebb_trial_expect(x, worst, 0, 1, "at most 1", "largest TV / sum of the three terms");
    double order = log(s[1].tv[3] / s[1].tv[5]) / log(4);
    ebb_trial_expect(x, order, 0.9, 1.1, "1, where the theorem has 1/2", "order of TV in h");
    return ebb_trial_charts(x, "", chart, SWEEPS);
}

/* ---- the order of Euler's method --------------------------------------------------------------------------------------------- */

static ebb_status w2_of(ebb_trial *x, const ebb_target *law, const ebb_process *p, int steps, double *w2)
{
    ebb_grid grid;
    ebb_normal got;
    EBB_TRY(ebb_grid_create(x->ctx, p, "uniform", &(ebb_grid_options){.steps = steps, .t_end = p->least_sample}, &grid));
    ebb_law_of of = {.sampler = "euler-maruyama:denoise=0", .process = p, .grid = &grid, .law = law};
    ebb_level end = ebb_process_level(p, p->least_sample);
    ebb_status status = ebb_sampler_law(x->ctx, &of, &got);
    *w2 = ebb_normal_w2(got, ebb_normal_at(law, end.alpha, end.sigma));
    ebb_grid_free(&grid);
    return status;
}

static ebb_status check_order(ebb_trial *x, const ebb_target *law)
{
    static const double want[] = {0.01125, 0.00548, 0.00270, 0.00134, 0.00067};
    ebb_process wanted = {.kind = EBB_PROCESS_VP}, p;
    EBB_TRY(ebb_process_create(x->ctx, &wanted, &p));
    ebb_status status = EBB_OK;
    for (int k = 0; k < 5 && status == EBB_OK; k++) {
        char expected[40];
        double w2 = NAN;
        status = w2_of(x, law, &p, 50 << k, &w2);
        snprintf(expected, sizeof expected, "%.5f", want[k]);
        ebb_trial_expect(x, w2, want[k] - 5.1e-6, want[k] + 5.1e-6, expected, "W2 of the reverse SDE's law, %d steps", 50 << k);
    }
    ebb_process_free(&p);
    return status;
}

ebb_status ebb_exp_theorem(ebb_trial *x)
{
    ebb_target law;
    EBB_TRY(ebb_target_named(x->ctx, "gaussian:dim=1,mean=0.5,sd=0.6", &law));
    ebb_status status = check_terms(x, &law);
    if (status == EBB_OK)
        status = check_order(x, &law);
    ebb_target_free(&law);
    return status;
}
