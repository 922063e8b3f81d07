/* exp_split.c: E11: how to share a budget of evaluations between predictor and corrector (Song et al. 2021, fig. 9).
 *
 * 120 evaluations a sample: M corrector steps at each of 120/(1+M) levels. Over a mixture with exact scores; the flow as
 * predictor, which has no noise of its own to mend what the steps do wrong. (Reverse diffusion has: with exact scores it needs
 * no corrector, which is shown beside and not claimed.)
 */
#include <math.h>
#include <stdio.h>

#include "study/experiment_chart.h"

enum { BUDGET = 120, SPLITS = 5, WALKS = 4 };

static const struct { const char *title, *process, *alone, *corrected; bool claimed; } rows[WALKS] = {
    {"VE, flow", "ve", "flow-predictor", "pc-flow", true},
    {"VP, flow", "vp", "flow-predictor", "pc-flow", true},
    {"VE, reverse diffusion", "ve", "reverse-diffusion", "pc", false},
    {"VP, reverse diffusion", "vp", "reverse-diffusion", "pc", false}};

static ebb_status measure(ebb_trial *x, int row, int correctors, ebb_trial_judgement *out)
{
    char sampler[80], doing[120];
    ebb_toy_options o = ebb_toy_defaults();
    if (correctors == 0)
        snprintf(sampler, sizeof sampler, "%s", rows[row].alone);
    else
        snprintf(sampler, sizeof sampler, "%s:batch_mean=1,corrector_steps=%d", rows[row].corrected, correctors);
    snprintf(doing, sizeof doing, "%s, %d corrector steps", rows[row].title, correctors);
    o.target = "mixture";
    o.process = rows[row].process;
    o.sampler = sampler;
    o.grid = "score-sde";
    o.steps = BUDGET / (1 + correctors);
    o.n = ebb_trial_scale(x, 40000, 128);
    return ebb_trial_walk(x, &o, doing, NULL, out);
}

static void check(ebb_trial *x, int row, const double *share, const double *w2, const double *kl)
{
    int best = 0, best_kl = 0;
    for (int k = 0; k < SPLITS; k++) {
        ebb_trial_figure(x, w2[k], "", "%s, %.0f%% of evaluations to the corrector: sliced W2", rows[row].title, 100 * share[k]);
        best = w2[k] < w2[best] ? k : best;
        best_kl = kl[k] < kl[best_kl] ? k : best_kl;
    }
    if (rows[row].claimed) {
        ebb_trial_expect(x, share[best], 0.5, 0.5, "1/2: one step of each", "%s: best share, by sliced W2", rows[row].title);
        ebb_trial_expect(x, share[best_kl], 0.5, 0.5, "1/2: one step of each", "%s: best share, by KL", rows[row].title);
    } else {
        ebb_trial_figure(x, share[best], "", "%s: best share, by sliced W2", rows[row].title);
    }
}

ebb_status ebb_exp_split(ebb_trial *x)
{
    double share[SPLITS], w2[WALKS][SPLITS], kl[WALKS][SPLITS];
    ebb_curve curve[2][WALKS];
    for (int row = 0; row < WALKS; row++) {
        for (int k = 0; k < SPLITS; k++) {
            ebb_trial_judgement found;
            EBB_TRY(measure(x, row, k, &found));
            share[k] = k / (1.0 + k);
            w2[row][k] = found.sliced_w2;
            kl[row][k] = found.kl;
        }
        check(x, row, share, w2[row], kl[row]);
        curve[0][row] = (ebb_curve){rows[row].title, share, w2[row], SPLITS};
        curve[1][row] = (ebb_curve){rows[row].title, share, kl[row], SPLITS};
    }
    ebb_chart charts[] = {
        {.title = "120 evaluations", .label = {"share of the corrector", "sliced W2"}, .log = {false, true}, .dots = true,
         .curve = curve[0], .curves = WALKS},
        {.title = "120 evaluations", .label = {"share of the corrector", "KL"}, .log = {false, true}, .dots = true, .curve = curve[1],
         .curves = WALKS}};
    return ebb_trial_charts(x, "", charts, 2);
}
