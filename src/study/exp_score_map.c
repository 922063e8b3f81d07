/* exp_score_map.c: E8: scores are learned where data are, and nowhere else (De Bortoli, figs. 4 to 6).
 *
 * A network learns the score of a mixture in the plane at all levels of noise. At sigma = 0.1 its error is at least ten times
 * as large where the density is low as where it is high; smoothed by more noise the density has no such holes, and the error
 * there falls. Errors are root mean squares of |score - true score| over a square, high density: the region that holds 80% of
 * the smoothed law's mass; low: what is left of the square without the region that holds 99.9% of it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/plot.h"
#include "model/plans.h"
#include "sample/field.h"
#include "study/experiment_chart.h"

enum { SIDE = 64, CELLS = SIDE * SIDE, LEVELS = 4, FRAME = 400 };
static const double sigmas[LEVELS] = {0.1, 0.3, 1, 3};
#define HALF 3.0                 /* of the square's side, at sigma/alpha = 0.1; wider with the noise */

typedef struct map {
    ebb_level at;
    double half;
    double density[CELLS], error[CELLS];     /* rows from the top; |score - true score| */
    double high, low, relative;              /* found: root mean squares; low over that of the true score there */
} map;

/* ---- errors ------------------------------------------------------------------------------------------------------------------ */

static void cell_point(const map *m, int c, double x[2])
{
    x[0] = m->half * (2 * (c % SIDE + 0.5) / SIDE - 1);
    x[1] = m->half * (1 - 2 * (c / SIDE + 0.5) / SIDE);
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The density on the edge of the smallest region with that share of the square's mass. */
static double edge_of(const map *m, double share)
{
    double sorted[CELLS], all = 0, sum = 0;
    for (int c = 0; c < CELLS; c++)
        all += sorted[c] = m->density[c];
    qsort(sorted, CELLS, sizeof *sorted, descending);
    int k = 0;
    for (; k < CELLS - 1 && sum + sorted[k] < share * all; k++)
        sum += sorted[k];
    return sorted[k];
}

static void summarize(map *m, const double *size)
{
    double high = edge_of(m, 0.8), low = edge_of(m, 0.999), count[2] = {0}, sum[2] = {0}, true_low = 0;
    for (int c = 0; c < CELLS; c++) {
        bool is_low = m->density[c] < low;
        if (!is_low && m->density[c] < high)
            continue;
        sum[is_low] += m->error[c] * m->error[c];
        count[is_low]++;
        true_low += is_low ? size[c] * size[c] : 0;
    }
    m->high = sqrt(sum[0] / count[0]);
    m->low = sqrt(sum[1] / count[1]);
    m->relative = sqrt(sum[1] / true_low);
}

static void fill(map *m, const ebb_target *law, const ebb_field *field, double *size)
{
    double x[EBB_FIELD_ROWS * 2], eps[EBB_FIELD_ROWS * 2], score[2];
    ebb_level rows[EBB_FIELD_ROWS];
    for (int c = 0; c < CELLS; c += EBB_FIELD_ROWS) {
        for (int i = 0; i < EBB_FIELD_ROWS; i++) {
            cell_point(m, c + i, x + 2 * i);
            rows[i] = m->at;
        }
        field->predict(field->self, x, rows, eps, NULL);
        for (int i = 0; i < EBB_FIELD_ROWS; i++) {
            double logp;
            ebb_target_at(law, x + 2 * i, m->at.alpha, m->at.sigma, &logp, score, NULL, NULL);
            double off[2] = {-eps[2 * i] / m->at.sigma - score[0], -eps[2 * i + 1] / m->at.sigma - score[1]};
            m->density[c + i] = exp(logp);
            m->error[c + i] = hypot(off[0], off[1]);
            size[c + i] = hypot(score[0], score[1]);
        }
    }
    summarize(m, size);
}

static ebb_status fill_all(ebb_trial *x, ebb_model *model, const ebb_target *law, map *maps)
{
    ebb_plan *plan;
    double *size;
    ebb_plan_options options = ebb_recipe_plan(model->recipe, 1);
    EBB_TRY(ebb_eval_plan(x->ctx, &model->net, EBB_FIELD_ROWS, &options, &plan));
    ebb_status status = ebb_alloc(x->ctx, (void **)&size, CELLS, sizeof *size, "a map");
    ebb_params_bind(&model->params, plan, model->weights);
    ebb_plan_prepare(plan);
    ebb_model_field self = {.model = model, .plan = plan, .n = EBB_FIELD_ROWS, .numbers = 2};
    ebb_field field = ebb_field_of_model(&self);
    for (int k = 0; k < LEVELS && status == EBB_OK; k++) {
        maps[k].at = ebb_process_level_sigma(&model->process, sigmas[k]);
        maps[k].half = maps[k].at.alpha * HALF * sqrt(1 + sigmas[k] * sigmas[k]);
        fill(&maps[k], law, &field, size);
        status = ebb_trial_progress(x, "maps of errors", k + 1, LEVELS);
    }
    ebb_free(size);
    ebb_plan_free(plan);
    return status;
}

/* ---- pictures ----------------------------------------------------------------------------------------------------------------- */

static ebb_status draw(ebb_trial *x, const map *maps)
{
    enum { LEFT = 90, TOP = 60, BETWEEN = 90 };
    char path[EBB_TRIAL_PATH], title[80];
    ebb_canvas c;
    EBB_TRY(ebb_trial_picture(x, "", path));
    EBB_TRY(ebb_canvas_create(x->ctx, LEFT + LEVELS * (FRAME + BETWEEN), TOP + 2 * (FRAME + 110), &c));
    for (int k = 0; k < LEVELS; k++)
        for (int row = 0; row < 2; row++) {
            ebb_axes a = {.x = LEFT + k * (FRAME + BETWEEN), .y = TOP + row * (FRAME + 110), .width = FRAME, .height = FRAME,
                          .lo = {-maps[k].half, -maps[k].half}, .hi = {maps[k].half, maps[k].half}, .title = title};
            snprintf(title, sizeof title, row == 0 ? "density, sigma %g" : "error of the score, sigma %g", sigmas[k]);
            ebb_plot_map(&c, &a, row == 0 ? maps[k].density : maps[k].error, SIDE);
            ebb_plot_axes(&c, &a);
        }
    ebb_status status = ebb_canvas_write(x->ctx, path, &c);
    ebb_canvas_free(&c);
    return status;
}

static ebb_status report(ebb_trial *x, const map *maps)
{
    char expected[80];
    for (int k = 0; k < LEVELS; k++)
        ebb_trial_figure(x, maps[k].high, "", "sigma %g: error of the score where the density is high", sigmas[k]);
    for (int k = 0; k < LEVELS; k++)
        ebb_trial_figure(x, maps[k].low, "", "sigma %g: error of the score where the density is low", sigmas[k]);
    ebb_trial_expect(x, maps[0].low / maps[0].high, 10, INFINITY, "at least 10", "sigma 0.1: error where low / where high");
    snprintf(expected, sizeof expected, "less than at sigma 0.1: %.3g", maps[0].low);
    ebb_trial_expect(x, maps[2].low, 0, maps[0].low, expected, "smoothed to sigma 1: error where the density is low");
    snprintf(expected, sizeof expected, "less than at sigma 0.1: %.3g", maps[0].relative);
    ebb_trial_expect(x, maps[2].relative, 0, maps[0].relative, expected, "smoothed to sigma 1: the same over the score there");
    return draw(x, maps);
}

ebb_status ebb_exp_error_map(ebb_trial *x)
{
    ebb_model *model;
    ebb_target law = {0};
    map *maps = NULL;
    EBB_TRY(ebb_trial_model(x, 0, &model));
    ebb_status status = ebb_recipe_target(x->ctx, model->recipe, &law);
    if (status == EBB_OK)
        status = ebb_alloc(x->ctx, (void **)&maps, LEVELS, sizeof *maps, "maps of errors");
    if (status == EBB_OK)
        status = fill_all(x, model, &law, maps);
    if (status == EBB_OK)
        status = report(x, maps);
    ebb_free(maps);
    ebb_target_free(&law);
    ebb_model_free(model);
    return status;
}
