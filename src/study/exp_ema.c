/* exp_ema.c: E9: training is restless, its moving average is not (De Bortoli, fig. 8).
 *
 * A network learns the score of a mixture in the plane at a constant learning rate. Every so many steps, over the second half
 * of the training, its error (the mean of sigma^2 |score - true score|^2 over points and levels, known since the law is) is
 * measured with the weights as they are and with their average: the average's varies less, and is less.
 */
#include <math.h>
#include <stdio.h>

#include "model/plans.h"
#include "sample/field.h"
#include "study/experiment_chart.h"
#include "train/learner.h"

#define SEED 0xe3a
enum { MEASURED = 40, LEVELS = 5, POINTS = 256 };
static const double sigmas[LEVELS] = {0.1, 0.3, 0.6, 1, 2};

typedef struct watch {
    ebb_trial *x;
    ebb_target law;
    ebb_model *model;            /* looks at the weights that are measured */
    ebb_plan *plan;
    double step[MEASURED], error[2][MEASURED];   /* raw, averaged */
} watch;

/* ---- the error ------------------------------------------------------------------------------------------------------------------ */

static double level_error(const watch *w, const ebb_field *field, ebb_level at, int k)
{
    double x[EBB_FIELD_ROWS * 2], eps[EBB_FIELD_ROWS * 2], score[2], sum = 0;
    ebb_level rows[EBB_FIELD_ROWS];
    for (int first = 0; first < POINTS; first += EBB_FIELD_ROWS) {
        ebb_target_sample(&w->law, SEED, first, EBB_FIELD_ROWS, x, NULL);
        for (int i = 0; i < EBB_FIELD_ROWS; i++) {
            float z[2];
            ebb_rng_at rng = {.seed = SEED, .stream = EBB_STREAM_EVAL, .step = (uint32_t)k, .sample = (uint32_t)(first + i)};
            w->x->ctx->kernels->normal_f32(2, z, &rng);
            rows[i] = at;
            for (int d = 0; d < 2; d++)
                x[2 * i + d] = at.alpha * x[2 * i + d] + at.sigma * z[d];
        }
        field->predict(field->self, x, rows, eps, NULL);
        for (int i = 0; i < EBB_FIELD_ROWS; i++) {
            ebb_target_at(&w->law, x + 2 * i, at.alpha, at.sigma, NULL, score, NULL, NULL);
            for (int d = 0; d < 2; d++)
                sum += (eps[2 * i + d] + at.sigma * score[d]) * (eps[2 * i + d] + at.sigma * score[d]);
        }
    }
    return sum / POINTS;
}

static double error_of(watch *w, const float *weights)
{
    double sum = 0;
    w->model->weights = weights;
    ebb_params_bind(&w->model->params, w->plan, weights);
    ebb_plan_prepare(w->plan);
    ebb_model_field self = {.model = w->model, .plan = w->plan, .n = EBB_FIELD_ROWS, .numbers = 2};
    ebb_field field = ebb_field_of_model(&self);
    for (int k = 0; k < LEVELS; k++)
        sum += level_error(w, &field, ebb_process_level_sigma(&w->model->process, sigmas[k]), k);
    return sum / LEVELS;
}

/* ---- training -------------------------------------------------------------------------------------------------------------------- */

static ebb_status train(watch *w, ebb_learner *l)
{
    double loss, norm;
    int64_t steps = l->recipe->train_steps, from = steps / 2;
    for (int64_t k = 0, next = 0; k < steps; k++) {
        EBB_TRY(ebb_learner_step(l, &loss, &norm));
        EBB_TRY(ebb_trial_progress(w->x, "training", k + 1, steps));
        if (k + 1 < from + (next + 1) * (steps - from) / MEASURED)
            continue;
        w->step[next] = (double)(k + 1);
        w->error[0][next] = error_of(w, l->blocks.p);
        w->error[1][next++] = error_of(w, l->blocks.ema);
    }
    return EBB_OK;
}

static ebb_status prepare_and_train(watch *w, ebb_recipe *r, const ebb_dataset *data)
{
    ebb_learner l = {.shards.result = -1};
    ebb_plan_options options = ebb_recipe_plan(r, 1);
    EBB_TRY(ebb_model_create(w->x->ctx, r, &w->model));
    EBB_TRY(ebb_eval_plan(w->x->ctx, &w->model->net, EBB_FIELD_ROWS, &options, &w->plan));
    ebb_status status = ebb_learner_create(w->x->ctx, r, data, &l);
    if (status == EBB_OK)
        status = train(w, &l);
    ebb_learner_free(&l);
    return status;
}

static ebb_status run(watch *w, ebb_recipe *r)
{
    ebb_dataset data = {0};
    EBB_TRY(ebb_recipe_target(w->x->ctx, r, &w->law));
    EBB_TRY(ebb_recipe_dataset(w->x->ctx, r, &data));
    ebb_recipe_resolve(r, &data);
    ebb_status status = prepare_and_train(w, r, &data);
    ebb_dataset_free(&data);
    return status;
}

/* ---- figures --------------------------------------------------------------------------------------------------------------------- */

static void moments(const double *v, double *mean, double *variance)
{
    *mean = *variance = 0;
    for (int k = 0; k < MEASURED; k++)
        *mean += v[k] / MEASURED;
    for (int k = 0; k < MEASURED; k++)
        *variance += (v[k] - *mean) * (v[k] - *mean) / (MEASURED - 1);
}

static ebb_status report(watch *w)
{
    double mean[2], variance[2];
    char expected[80];
    for (int i = 0; i < 2; i++)
        moments(w->error[i], &mean[i], &variance[i]);
    snprintf(expected, sizeof expected, "at most 1/2 (raw weights: %.3g)", variance[0]);
    ebb_trial_expect(w->x, variance[1] / variance[0], 0, 0.5, expected, "variance of the error over steps, average / raw weights");
    snprintf(expected, sizeof expected, "less than without: %.3g", mean[0]);
    ebb_trial_expect(w->x, mean[1], 0, nextafter(mean[0], 0), expected, "mean error, average");
    ebb_curve curve[] = {{"weights as they are", w->step, w->error[0], MEASURED}, {"moving average", w->step, w->error[1], MEASURED}};
    ebb_chart chart = {.title = "training at a constant rate", .label = {"step", "error of the score"}, .log = {false, true},
                       .curve = curve, .curves = 2};
    return ebb_trial_charts(w->x, "", &chart, 1);
}

ebb_status ebb_exp_ema(ebb_trial *x)
{
    watch w = {.x = x};
    ebb_recipe *r;
    EBB_TRY(ebb_trial_recipe(x, 0, &r));
    ebb_status status = run(&w, r);
    if (status == EBB_OK)
        status = report(&w);
    if (w.model != NULL)
        w.model->weights = NULL;         /* the learner's */
    ebb_plan_free(w.plan);
    ebb_model_free(w.model);
    ebb_target_free(&w.law);
    ebb_recipe_free(r);
    return status;
}
