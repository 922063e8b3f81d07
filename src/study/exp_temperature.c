/* exp_temperature.c: E15: samples from codes that are scaled by a temperature (Song et al. 2021, app. D.3).
 *
 * Of a normal law the flow is linear: codes times tau make samples whose standard deviation is tau times the law's, exactly. Of
 * digits it is not, but the same holds in kind: the lower tau, the nearer digits of a class are to their mean, and down to some
 * point the purer they are, since rare codes, where a network knows least, are left out.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/flow.h"
#include "study/experiment.h"

#define SEED 5
enum { POINTS = 64, TEMPERATURES = 5, CLASSES = 10, SHOWN = 10 };
static const double temperatures[TEMPERATURES] = {0.2, 0.4, 0.6, 0.8, 1};

/* ---- a normal law ---------------------------------------------------------------------------------------------------------------- */

static double deviation(const double *x)
{
    double mean = 0, square = 0;
    for (int i = 0; i < POINTS; i++)
        mean += x[i] / POINTS;
    for (int i = 0; i < POINTS; i++)
        square += (x[i] - mean) * (x[i] - mean) / POINTS;
    return sqrt(square);
}

static ebb_status decode_points(ebb_trial *x, const ebb_target *law, const ebb_process *process, double temperature, double *points)
{
    float z[POINTS];
    double *work;
    ebb_target_field self = {.all = law, .n = POINTS};
    ebb_field field = ebb_field_of_target(&self);
    ebb_flow flow = {.process = process, .field = &field, .rtol = 1e-9, .atol = 1e-10};
    ebb_rng_at rng = {.seed = SEED, .stream = EBB_STREAM_SAMPLE_START};
    x->ctx->kernels->normal_f32(POINTS, z, &rng);
    for (int i = 0; i < POINTS; i++)
        points[i] = temperature * z[i];
    EBB_TRY(ebb_alloc(x->ctx, (void **)&work, ebb_flow_work(POINTS, 1), sizeof *work, "the flow"));
    ebb_status status = ebb_flow_decode(x->ctx, &flow, points, work);
    ebb_free(work);
    return status;
}

static ebb_status check_normal(ebb_trial *x, const ebb_target *law, const ebb_process *process)
{
    double points[POINTS], whole = 1;
    for (int k = TEMPERATURES - 1; k >= 0; k--) {
        char expected[60];
        EBB_TRY(decode_points(x, law, process, temperatures[k], points));
        whole = k == TEMPERATURES - 1 ? deviation(points) : whole;
        snprintf(expected, sizeof expected, "%g within 1e-6", temperatures[k]);
        ebb_trial_expect(x, deviation(points) / whole, temperatures[k] - 1e-6, temperatures[k] + 1e-6, expected,
                         "normal law, temperature %g: deviation beside that at 1", temperatures[k]);
    }
    return EBB_OK;
}

static ebb_status normal(ebb_trial *x)
{
    ebb_target law;
    ebb_process wanted = {.kind = EBB_PROCESS_VP}, process;
    EBB_TRY(ebb_target_named(x->ctx, "gaussian:dim=1", &law));
    ebb_status status = ebb_process_create(x->ctx, &wanted, &process);
    if (status == EBB_OK)
        status = check_normal(x, &law, &process);
    ebb_process_free(&process);
    ebb_target_free(&law);
    return status;
}

/* ---- digits ------------------------------------------------------------------------------------------------------------------------ */

typedef struct job {
    ebb_trial *x;
    ebb_model *model;
    ebb_trial_pictures made[TEMPERATURES], train;
    double *codes, *scaled;      /* (n, numbers) */
    double spread[TEMPERATURES], purity[TEMPERATURES];
} job;

/* Root mean square distance from the mean of a picture's class. */
static double spread_of(const ebb_trial_pictures *p)
{
    int64_t each = p->n / CLASSES;
    double square = 0;
    for (int64_t c = 0; c < CLASSES; c++)
        for (int64_t d = 0; d < p->numbers; d++) {
            double mean = 0;
            for (int64_t i = c * each; i < (c + 1) * each; i++)
                mean += (double)p->x[i * p->numbers + d] / (double)each;
            for (int64_t i = c * each; i < (c + 1) * each; i++)
                square += (p->x[i * p->numbers + d] - mean) * (p->x[i * p->numbers + d] - mean) / (double)(p->n * p->numbers);
        }
    return sqrt(square);
}

static ebb_status decode(job *j, int k)
{
    char doing[40];
    ebb_trial_pictures *made = &j->made[k];
    ebb_latent_options o = ebb_latent_defaults();
    o.labels = made->label;
    o.sampler = "ddim";
    o.steps = (int)ebb_trial_scale(j->x, 25, 5);
    snprintf(doing, sizeof doing, "temperature %g", temperatures[k]);
    for (int64_t i = 0; i < made->n * made->numbers; i++)
        j->scaled[i] = temperatures[k] * j->codes[i];
    EBB_TRY(ebb_trial_decode(j->x, j->model, &o, doing, made->n, j->scaled, made->x));
    j->spread[k] = spread_of(made);
    return ebb_trial_purity(j->x, &j->train, made, &j->purity[k], NULL);
}

static void check(job *j)
{
    int64_t n = j->made[0].n;
    double p = j->purity[TEMPERATURES - 1], error = sqrt(p * (1 - p) / (double)n), best = 0;
    char expected[80];
    for (int k = 0; k < TEMPERATURES; k++) {
        if (k + 1 < TEMPERATURES)
            ebb_trial_expect(j->x, j->spread[k] / j->spread[k + 1], 0, 0.98, "less than 1",
                             "digits, temperature %g: distance from the class's mean, beside that at %g", temperatures[k], temperatures[k + 1]);
        ebb_trial_figure(j->x, j->purity[k], "", "digits, temperature %g: share that show the class asked for", temperatures[k]);
        best = k + 1 < TEMPERATURES ? fmax(best, j->purity[k]) : best;
    }
    snprintf(expected, sizeof expected, "more than at 1: %.4f (s.e. %.4f)", p, error);
    ebb_trial_expect(j->x, best, nextafter(p, 2), 1, expected, "digits: purest temperature below 1, share of the class asked for");
}

/* The same codes at each temperature, one of each class. */
static ebb_status draw(job *j)
{
    static const char *const names[TEMPERATURES] = {"0.2", "0.4", "0.6", "0.8", "1"};
    ebb_trial_pictures p = j->made[0];
    size_t numbers = (size_t)p.numbers;
    p.n = TEMPERATURES * SHOWN;
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&p.x, (size_t)p.n, numbers * sizeof *p.x, "rows"));
    for (int64_t i = 0; i < p.n; i++) {
        int64_t from = i % SHOWN * j->made[0].n / SHOWN;
        memcpy(p.x + (size_t)i * numbers, j->made[i / SHOWN].x + (size_t)from * numbers, numbers * sizeof *p.x);
    }
    ebb_status status = ebb_trial_grid(j->x, "", &p, TEMPERATURES, SHOWN, names);
    ebb_free(p.x);
    return status;
}

static ebb_status make(job *j)
{
    int64_t n = ebb_trial_scale(j->x, 500, 20);
    EBB_TRY(ebb_trial_model(j->x, 0, &j->model));
    EBB_TRY(ebb_trial_training_pictures(j->x, 0, 0, ebb_trial_scale(j->x, 0, 500), &j->train));
    for (int k = 0; k < TEMPERATURES; k++)
        EBB_TRY(ebb_trial_blank_pictures(j->x, j->model, n, &j->made[k]));
    EBB_TRY(ebb_alloc(j->x->ctx, (void **)&j->codes, 2 * (size_t)n, (size_t)j->made[0].numbers * sizeof(double), "codes"));
    j->scaled = j->codes + n * j->made[0].numbers;
    return ebb_latent_noise(j->x->ctx, j->model, SEED, 0, n, j->codes);
}

static ebb_status digits(ebb_trial *x)
{
    job j = {.x = x};
    ebb_status status = make(&j);
    for (int k = 0; k < TEMPERATURES && status == EBB_OK; k++)
        status = decode(&j, k);
    if (status == EBB_OK) {
        check(&j);
        status = draw(&j);
    }
    for (int k = 0; k < TEMPERATURES; k++)
        ebb_trial_pictures_free(&j.made[k]);
    ebb_trial_pictures_free(&j.train);
    ebb_free(j.codes);
    ebb_model_free(j.model);
    return status;
}

ebb_status ebb_exp_temperature(ebb_trial *x)
{
    EBB_TRY(normal(x));
    return digits(x);
}
