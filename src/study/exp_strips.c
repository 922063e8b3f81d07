/* exp_strips.c: E7: from data to noise and back, in frames (De Bortoli, figs. 2 and 3).
 *
 * Above, data are noised; below, noise follows the probability flow back to data. The flow has the process's laws at each time,
 * so that in each frame mean and covariance must be those that are known, alpha m and alpha^2 C + sigma^2, within what as many
 * true points would be off by: of the 80 numbers that are compared one would lie beyond 4 standard errors in 200 such strips.
 */
#include <math.h>
#include <stdio.h>

#include "diffusion/flow.h"
#include "diffusion/sampler.h"
#include "eval/plot.h"
#include "model/plans.h"
#include "sample/field.h"
#include "study/experiment.h"

#define LAW "moons"
#define SEED 7
enum { FRAMES = 8, SIDE = 240, LEFT = 60, TOP = 50, BETWEEN = 50, SHOWN = 3000 };
static const double times[FRAMES] = {1e-3, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1};

/* ---- points in the plane: exact ----------------------------------------------------------------------------------------------- */

typedef struct points {
    ebb_target law;
    ebb_process process;
    int64_t n;
    double *x[2];                /* (FRAMES, n, 2): noised, generated */
} points;

static void noise(ebb_trial *x, points *p)
{
    float z[2];
    double *start = p->x[0];
    ebb_target_sample(&p->law, SEED, 0, p->n, start, NULL);
    for (int f = FRAMES - 1; f >= 0; f--) {
        ebb_level at = ebb_process_level(&p->process, times[f]);
        for (int64_t i = 0; i < p->n; i++) {
            ebb_rng_at rng = {.seed = SEED, .stream = EBB_STREAM_EVAL, .sample = (uint32_t)i};
            x->ctx->kernels->normal_f32(2, z, &rng);
            for (int d = 0; d < 2; d++)
                p->x[0][(f * p->n + i) * 2 + d] = at.alpha * start[2 * i + d] + at.sigma * z[d];
        }
    }
}

static ebb_status generate(ebb_trial *x, points *p)
{
    ebb_target_field self = {.all = &p->law, .n = p->n};
    ebb_field field = ebb_field_of_target(&self);
    ebb_flow flow = {.process = &p->process, .field = &field, .rtol = 1e-5, .atol = 1e-6};
    double *work, *end = p->x[1] + (FRAMES - 1) * p->n * 2;
    float z[2];
    for (int64_t i = 0; i < p->n; i++) {
        ebb_rng_at rng = {.seed = SEED, .stream = EBB_STREAM_SAMPLE_START, .sample = (uint32_t)i};
        x->ctx->kernels->normal_f32(2, z, &rng);
        end[2 * i] = z[0];
        end[2 * i + 1] = z[1];
    }
    EBB_TRY(ebb_alloc(x->ctx, (void **)&work, ebb_flow_work(p->n, 2), sizeof *work, "the flow"));
    ebb_status status = EBB_OK;
    for (int f = FRAMES - 2; f >= 0 && status == EBB_OK; f--) {
        double *here = p->x[1] + f * p->n * 2;
        for (int64_t i = 0; i < 2 * p->n; i++)
            here[i] = here[i + 2 * p->n];
        status = ebb_flow_solve(x->ctx, &flow, times[f + 1], times[f], here, work);
        if (status == EBB_OK)
            status = ebb_trial_progress(x, "generating points", FRAMES - 1 - f, FRAMES - 1);
    }
    ebb_free(work);
    return status;
}

/* The largest distance of a moment from what it must be, in standard errors as the samples themselves have them. */
static double off_by(const points *p, const double *x, ebb_level at)
{
    double mean[2], cov[4], worst = 0, n = (double)p->n;
    ebb_target_moments(&p->law, mean, cov);
    for (int a = 0; a < 2; a++) {
        double ma = at.alpha * mean[a];
        for (int b = 0; b < 3; b++) {    /* the mean; covariances with both */
            int c = b - 1;
            double want = b == 0 ? ma : at.alpha * at.alpha * cov[2 * a + c] + (a == c) * at.sigma * at.sigma, sum = 0, square = 0;
            for (int64_t i = 0; i < p->n; i++) {
                double value = b == 0 ? x[2 * i + a] : (x[2 * i + a] - ma) * (x[2 * i + c] - at.alpha * mean[c]);
                sum += value / n;
                square += value * value / n;
            }
            worst = fmax(worst, fabs(sum - want) / sqrt((square - sum * sum) / n));
        }
    }
    return worst;
}

static void check_points(ebb_trial *x, const points *p)
{
    static const char *const names[] = {"noised", "generated"};
    for (int row = 0; row < 2; row++)
        for (int f = 0; f < FRAMES; f++)
            ebb_trial_expect(x, off_by(p, p->x[row] + f * p->n * 2, ebb_process_level(&p->process, times[f])), 0, 4, "at most 4",
                             "%s, t = %g: moments off by, in s.e.", names[row], times[f]);
}

static ebb_status draw_points(ebb_trial *x, const points *p)
{
    char path[EBB_TRIAL_PATH], title[40];
    ebb_canvas c;
    int64_t shown = p->n < SHOWN ? p->n : SHOWN;
    EBB_TRY(ebb_trial_picture(x, "points", path));
    EBB_TRY(ebb_canvas_create(x->ctx, LEFT + FRAMES * (SIDE + BETWEEN), TOP + 2 * (SIDE + 80), &c));
    for (int row = 0; row < 2; row++)
        for (int f = 0; f < FRAMES; f++) {
            ebb_axes a = {.x = LEFT + f * (SIDE + BETWEEN), .y = TOP + row * (SIDE + 80), .width = SIDE, .height = SIDE,
                          .lo = {-3.2, -3.2}, .hi = {3.2, 3.2}, .title = title};
            snprintf(title, sizeof title, "%s t = %g", row == 0 ? "noised," : "back,", times[f]);
            ebb_plot_points(&c, &a, p->x[row] + f * p->n * 2, shown, 1.4, row == 0 ? EBB_PLOT_BLUE : EBB_PLOT_RED, 0.5);
            ebb_plot_axes(&c, &a);
        }
    ebb_status status = ebb_canvas_write(x->ctx, path, &c);
    ebb_canvas_free(&c);
    return status;
}

static ebb_status points_and_back(ebb_trial *x, points *p)
{
    ebb_process wanted = {.kind = EBB_PROCESS_VP};
    p->n = ebb_trial_scale(x, 4000, 200);
    EBB_TRY(ebb_target_named(x->ctx, LAW, &p->law));
    EBB_TRY(ebb_process_create(x->ctx, &wanted, &p->process));
    EBB_TRY(ebb_alloc(x->ctx, (void **)&p->x[0], (size_t)(4 * FRAMES * p->n), sizeof(double), "frames"));
    p->x[1] = p->x[0] + 2 * FRAMES * p->n;
    noise(x, p);
    EBB_TRY(generate(x, p));
    check_points(x, p);
    return draw_points(x, p);
}

/* ---- digits: a trained model -------------------------------------------------------------------------------------------------- */

enum { STEPS = 25 };
static const int kept[FRAMES] = {0, 3, 6, 10, 14, 18, 21, 25};     /* steps behind each frame of the way back */

typedef struct frames { float *x; int64_t numbers, first; } frames;  /* x (n, FRAMES, numbers) */

static void keep_frame(frames *f, int steps, const double *x)
{
    for (int k = 0; k < FRAMES; k++)
        for (int64_t i = 0; kept[k] == steps && i < EBB_FIELD_ROWS; i++)
            for (int64_t d = 0; d < f->numbers; d++)
                f->x[((f->first + i) * FRAMES + k) * f->numbers + d] = (float)x[i * f->numbers + d];
}

static int on_step(void *user, int64_t k, const double *x)
{
    keep_frame(user, (int)k + 1, x);
    return 0;
}

static ebb_status walk_digits(ebb_trial *x, ebb_model *model, const ebb_field *field, const ebb_grid *grid, int walks, frames *f)
{
    const ebb_sampler *sampler = ebb_sampler_find("ddim");
    size_t count = (size_t)(EBB_FIELD_ROWS * f->numbers), work = ebb_walk_work(sampler, EBB_FIELD_ROWS, f->numbers);
    double *room;
    float *noise;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&room, 2 * count + work, sizeof *room, "digits"));
    noise = (float *)(void *)(room + count + work);
    ebb_status status = EBB_OK;
    for (int w = 0; w < walks && status == EBB_OK; w++) {
        f->first = w * EBB_FIELD_ROWS;
        ebb_walk walk = {.sampler = sampler, .process = &model->process, .grid = grid, .field = field, .set = ebb_settings_default(),
                         .n = EBB_FIELD_ROWS, .count = f->numbers, .clip = 1, .x = room, .work = room + count, .step = on_step,
                         .user = f};
        for (int i = 0; i < EBB_FIELD_ROWS; i++) {
            ebb_rng_at rng = {.seed = SEED, .stream = EBB_STREAM_SAMPLE_START, .sample = (uint32_t)(f->first + i)};
            x->ctx->kernels->normal_f32((size_t)f->numbers, noise + i * f->numbers, &rng);
        }
        for (size_t i = 0; i < count; i++)
            room[i] = noise[i];
        keep_frame(f, 0, room);
        sampler->run(&walk);
        status = ebb_trial_progress(x, "generating digits", w + 1, walks);
    }
    ebb_free(room);
    return status;
}

/* Mean square of all numbers in a frame, beside alpha^2 that of the data + sigma^2. */
static void check_digits(ebb_trial *x, const frames *f, const ebb_trial_pictures *data, const ebb_grid *grid, int64_t n)
{
    double of_data = 0;
    for (int64_t i = 0; i < data->n * data->numbers; i++)
        of_data += (double)data->x[i] * data->x[i] / (double)(data->n * data->numbers);
    for (int k = 0; k < FRAMES; k++) {
        char expected[60];
        ebb_level at = grid->level[kept[k]];
        double want = at.alpha * at.alpha * of_data + at.sigma * at.sigma, got = 0;
        for (int64_t i = 0; i < n; i++)
            for (int64_t d = 0; d < f->numbers; d++) {
                double value = f->x[(i * FRAMES + k) * f->numbers + d];
                got += value * value / (double)(n * f->numbers);
            }
        snprintf(expected, sizeof expected, "%.4f within 5%%", want);
        ebb_trial_expect(x, got, 0.95 * want, 1.05 * want, expected, "digits after %d of %d steps: mean square", kept[k], STEPS);
    }
}

/* A digit of the data noised to the levels of the frames, from clean to noise; then ways back, from noise to digits. */
static ebb_status draw_digits(ebb_trial *x, const frames *f, const ebb_trial_pictures *data, const ebb_grid *grid)
{
    enum { ROWS = 8 };
    static const char *const names[ROWS] = {"noised", "noised", "noised", "noised", "back", "back", "back", "back"};
    ebb_trial_pictures p = *data;
    p.n = ROWS * FRAMES;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&p.x, (size_t)((p.n + 1) * p.numbers), sizeof *p.x, "strips"));
    for (int row = 0; row < ROWS; row++)
        for (int k = 0; k < FRAMES; k++) {
            float *to = p.x + (row * FRAMES + k) * p.numbers, *z = p.x + p.n * p.numbers;
            ebb_level at = grid->level[kept[FRAMES - 1 - k]];
            ebb_rng_at rng = {.seed = SEED, .stream = EBB_STREAM_EVAL, .sample = (uint32_t)row};
            x->ctx->kernels->normal_f32((size_t)p.numbers, z, &rng);
            for (int64_t d = 0; d < p.numbers; d++)
                to[d] = row < ROWS / 2 ? (float)(at.alpha * data->x[row * p.numbers + d] + at.sigma * z[d])
                                       : f->x[((row - ROWS / 2) * FRAMES + k) * p.numbers + d];
        }
    ebb_status status = ebb_trial_grid(x, "digits", &p, ROWS, FRAMES, names);
    ebb_free(p.x);
    return status;
}

static ebb_status digits_with(ebb_trial *x, ebb_model *model, const ebb_trial_pictures *data, const ebb_grid *grid, ebb_plan *plan)
{
    int walks = (int)ebb_trial_scale(x, 8, 1);
    int32_t label[EBB_FIELD_ROWS];
    frames f = {.numbers = data->numbers};
    for (int i = 0; i < EBB_FIELD_ROWS; i++)
        label[i] = ebb_network_classes(&model->net);
    EBB_TRY(ebb_alloc(x->ctx, (void **)&f.x, (size_t)(walks * EBB_FIELD_ROWS * FRAMES * f.numbers), sizeof *f.x, "frames"));
    ebb_params_bind(&model->params, plan, model->weights);
    ebb_plan_prepare(plan);
    ebb_model_field self = {.model = model, .plan = plan, .n = EBB_FIELD_ROWS, .numbers = f.numbers, .label = label};
    ebb_field field = ebb_field_of_model(&self);
    ebb_status status = walk_digits(x, model, &field, grid, walks, &f);
    if (status == EBB_OK) {
        check_digits(x, &f, data, grid, walks * EBB_FIELD_ROWS);
        status = draw_digits(x, &f, data, grid);
    }
    ebb_free(f.x);
    return status;
}

static ebb_status digits(ebb_trial *x)
{
    ebb_model *model;
    ebb_trial_pictures data = {0};
    ebb_grid grid = {0};
    ebb_plan *plan = NULL;
    EBB_TRY(ebb_trial_model(x, 0, &model));
    ebb_plan_options options = ebb_recipe_plan(model->recipe, 1);
    ebb_status status = ebb_trial_training_pictures(x, 0, 0, 1000, &data);
    if (status == EBB_OK)
        status = ebb_grid_create(x->ctx, &model->process, NULL, &(ebb_grid_options){.steps = STEPS}, &grid);
    if (status == EBB_OK)
        status = ebb_eval_plan(x->ctx, &model->net, EBB_FIELD_ROWS, &options, &plan);
    if (status == EBB_OK)
        status = digits_with(x, model, &data, &grid, plan);
    ebb_plan_free(plan);
    ebb_grid_free(&grid);
    ebb_trial_pictures_free(&data);
    ebb_model_free(model);
    return status;
}

ebb_status ebb_exp_strips(ebb_trial *x)
{
    points p = {.n = 0};
    ebb_status status = points_and_back(x, &p);
    ebb_free(p.x[0]);
    ebb_process_free(&p.process);
    ebb_target_free(&p.law);
    return status == EBB_OK ? digits(x) : status;
}
