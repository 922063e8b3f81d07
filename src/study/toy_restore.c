/* toy_restore.c: methods of restoration held against the truth: over a mixture the posterior of a linear measurement is a
 * mixture again (inverse.h).
 *
 * One point of the law is measured; each method makes samples given the measurement, and a row tells how far they are from the
 * posterior: errors of mean and covariance, of the shares of the law's parts, energy distance and Wasserstein-2. The last row,
 * of as many true samples, is the noise floor. The score is the law's own, or one that a network has learned of it: what that
 * adds to a method's own error.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/inverse.h"
#include "diffusion/restore.h"
#include "model/plans.h"
#include "study/toy.h"

#define TRUTH_SEED 0x7e57        /* of samples of the posterior */
#define PAIRS 1500
#define PAIRED 500
#define PANELS_MAX 8
static const char usual[] = "replacement+repaint+ddrm+dps:zeta=0.3+dps:zeta=1";

enum { MAX = EBB_TARGET_DIM_MAX };

typedef struct restoring {
    ebb_toy_job *t;
    double h[MAX * MAX], y[MAX], truth[MAX];
    int rows;
    ebb_operator op;
    ebb_target posterior;
    double mean[MAX], cov[MAX * MAX];    /* of the posterior */
    double *real;                /* (PAIRS,dim) of it */
    ebb_plan *pull;              /* of a learned score, for all workers; NULL: exact */
    /* ---- the method at work */
    const char *name;
    const ebb_restorer *method;
    ebb_restore_settings set;
    ebb_grid grid;
    double *x;                   /* (n,dim): results */
    double *room;                /* of each worker */
    size_t each;
    int64_t evaluations;
    atomic_llong done;
} restoring;

/* ---- the measurement ---------------------------------------------------------------------------------------------------------- */

/* Tasks as pictures have them, for dim numbers: the first half is known, or their mean, or all with noise. */
static ebb_status choose_task(restoring *r)
{
    static const char *const tasks[] = {"inpaint", "super-resolution", "denoise"};
    ebb_toy_job *t = r->t;
    const char *task = t->o.task != NULL ? t->o.task : t->law.dim > 1 ? "inpaint" : "denoise";
    int dim = t->law.dim;
    t->o.task = task;
    if (strcmp(task, "inpaint") == 0)
        r->rows = dim / 2;
    else if (strcmp(task, "super-resolution") == 0)
        r->rows = 1;
    else if (strcmp(task, "denoise") == 0)
        r->rows = dim;
    else
        return ebb_part_unknown(t->ctx, "task of points (inpaint, super-resolution, denoise)", task, tasks, 3);
    for (int i = 0; i < r->rows * dim; i++)
        r->h[i] = strcmp(task, "super-resolution") == 0 ? 1.0 / dim : i / dim == i % dim;
    if (r->rows == 0)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "inpaint: %s is of one number, and nothing would be known: denoise", t->o.target);
    if (r->rows == dim && t->o.sigma == 0)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "%s of %d number(s): give noise, sigma, or all is known", task, dim);
    return EBB_OK;
}

static ebb_status measure(restoring *r)
{
    ebb_toy_job *t = r->t;
    int dim = t->law.dim;
    float noise[MAX];
    EBB_TRY(choose_task(r));
    EBB_TRY(ebb_operator_matrix(t->ctx, r->rows, dim, r->h, &r->op));
    ebb_rng_at at = {.seed = t->o.seed, .stream = EBB_STREAM_MEASURE};
    ebb_target_sample(t->aim, t->o.seed, 0, 1, r->truth, NULL);
    t->ctx->kernels->normal_f32((size_t)r->rows, noise, &at);
    r->op.apply(&r->op, r->truth, r->y);
    for (int j = 0; j < r->rows; j++)
        r->y[j] += t->o.sigma * noise[j];
    ebb_measurement m = {.rows = r->rows, .h = r->h, .y = r->y, .sigma = t->o.sigma};
    EBB_TRY(ebb_target_given(t->ctx, t->aim, &m, &r->posterior));
    ebb_target_moments(&r->posterior, r->mean, r->cov);
    EBB_TRY(ebb_alloc(t->ctx, (void **)&r->real, (size_t)(PAIRS * dim), sizeof *r->real, "true points"));
    ebb_target_sample(&r->posterior, TRUTH_SEED, 0, PAIRS, r->real, NULL);
    return EBB_OK;
}

/* ---- walks ----------------------------------------------------------------------------------------------------------------------- */

typedef struct shard { restoring *r; int64_t first; } shard;

static void normal(void *self, int64_t draw, double *z)
{
    const shard *s = self;
    const ebb_toy_job *t = s->r->t;
    float noise[MAX];
    for (int64_t i = 0; i < EBB_TOY_ROWS; i++) {
        ebb_rng_at at = {.seed = t->o.seed, .stream = EBB_STREAM_SAMPLE_STEP, .step = (uint32_t)draw, .sample = (uint32_t)(s->first + i)};
        t->ctx->kernels->normal_f32((size_t)t->law.dim, noise, &at);
        for (int d = 0; d < t->law.dim; d++)
            z[i * t->law.dim + d] = noise[d];
    }
}

static int evaluated(void *self)
{
    restoring *r = ((const shard *)self)->r;
    int64_t shards = (r->t->o.n + EBB_TOY_ROWS - 1) / EBB_TOY_ROWS;
    long long done = atomic_fetch_add(&r->done, 1) + 1;
    return done % 64 == 0 ? ebb_toy_progress(r->t, done, shards * r->evaluations) : atomic_load(&r->t->stopped);
}

static void run_shard(void *self, int64_t index, int worker)
{
    restoring *r = self;
    ebb_toy_job *t = r->t;
    int64_t dim = t->law.dim, first = index * EBB_TOY_ROWS, left = t->o.n - first, n = left < EBB_TOY_ROWS ? left : EBB_TOY_ROWS;
    double *x = r->room + (size_t)worker * r->each, *y = x + EBB_TOY_ROWS * dim, *work = y + EBB_TOY_ROWS * dim;
    shard s = {r, first};
    ebb_target_field exact = {.all = t->aim, .n = EBB_TOY_ROWS};
    int32_t label[EBB_TOY_ROWS];
    ebb_model_field learned = {.model = t->model, .plan = t->plan, .pull = r->pull, .worker = worker, .n = EBB_TOY_ROWS, .numbers = dim,
                               .label = t->aim == &t->one ? label : NULL};
    ebb_field field = t->model != NULL ? ebb_field_of_model(&learned) : ebb_field_of_target(&exact);
    ebb_restore_walk walk = {.method = r->method, .set = r->set, .op = &r->op, .y = y, .sigma = t->o.sigma,
                             .walk = {.process = &t->process, .grid = &r->grid, .field = &field, .n = EBB_TOY_ROWS, .count = dim,
                                      .x = x, .work = work, .normal = normal, .random = &s, .evaluated = evaluated, .user = &s}};
    if (atomic_load(&t->stopped) != 0)
        return;
    for (int64_t i = 0; i < EBB_TOY_ROWS; i++) {
        memcpy(y + i * r->rows, r->y, (size_t)r->rows * sizeof *y);
        label[i] = t->o.label;
    }
    ebb_toy_start(t, first, EBB_TOY_ROWS, x);
    if (ebb_restore_run(&walk) == 0)
        memcpy(r->x + first * dim, x, (size_t)(n * dim) * sizeof *x);
}

static void any_pullback(void *self, const double *x, const ebb_level *at, const double *v, double *out)
{
    (void)self, (void)x, (void)at, (void)v, (void)out;
}

/* What pulls back through a learned score. */
static ebb_status make_pull(restoring *r)
{
    const ebb_toy_job *t = r->t;
    if (t->model == NULL)
        return EBB_OK;
    ebb_plan_options options = ebb_recipe_plan(t->recipe, t->ctx->threads);
    EBB_TRY(ebb_pullback_plan(t->ctx, &t->model->net, EBB_TOY_ROWS, &options, &r->pull));
    ebb_params_bind(&t->model->params, r->pull, t->model->weights);
    ebb_plan_prepare(r->pull);
    return EBB_OK;
}

/* Method, levels and whether they go together. */
static ebb_status prepare(restoring *r, const char *name)
{
    ebb_toy_job *t = r->t;
    const char *kind;
    ebb_grid_options options;
    ebb_field field = {.pullback = any_pullback};
    r->name = name;
    ebb_grid_free(&r->grid);
    EBB_TRY(ebb_restorer_parse(t->ctx, name, &r->method, &r->set));
    EBB_TRY(ebb_grid_parse(t->ctx, t->o.grid != NULL ? t->o.grid : "", &kind, &options));
    options.steps = options.steps > 0 ? options.steps : t->o.steps;
    EBB_TRY(ebb_restore_grid(t->ctx, r->method, &t->process, kind, &options, &r->grid));
    r->evaluations = r->method->evaluations(&r->set, r->grid.steps);
    return ebb_restore_check(t->ctx, &(ebb_restore_walk){.method = r->method, .set = r->set, .op = &r->op, .sigma = t->o.sigma,
                                                         .walk = {.process = &t->process, .grid = &r->grid, .field = &field}});
}

static ebb_status run(restoring *r)
{
    ebb_toy_job *t = r->t;
    size_t x = (size_t)(EBB_TOY_ROWS * t->law.dim);
    r->each = 2 * x + ebb_restore_work(r->method, EBB_TOY_ROWS, t->law.dim);
    EBB_TRY(ebb_alloc(t->ctx, (void **)&r->room, (size_t)t->ctx->threads * r->each, sizeof(double), "restorations"));
    atomic_store(&r->done, 0);
    ebb_par_for(t->ctx->threads, (t->o.n + EBB_TOY_ROWS - 1) / EBB_TOY_ROWS, run_shard, r);
    ebb_free(r->room);
    r->room = NULL;
    EBB_TRY(ebb_toy_stopped(t));
    for (int64_t i = 0; i < t->o.n * t->law.dim; i++)
        if (!isfinite(r->x[i]))
            return ebb_fail(t->ctx, EBB_E_NUMERIC, "method %s: sample %lld is not finite: its steps are too long", r->name,
                            (long long)(i / t->law.dim));
    return EBB_OK;
}

/* ---- errors ------------------------------------------------------------------------------------------------------------------------ */

/* Half the sum of |share - posterior weight| over the parts: each sample counts for a part as much as it is likely to be of it
 * under the law itself, since y tells of the part only through x. */
static ebb_status share_error(const restoring *r, const double *x, double *out)
{
    const ebb_toy_job *t = r->t;
    size_t parts = (size_t)t->aim->parts;
    double *share;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&share, 2 * parts, sizeof *share, "shares of parts"));
    ebb_status status = ebb_mode_shares(t->ctx, t->aim, x, t->o.n, share, share + parts, NULL);
    *out = 0;
    for (size_t k = 0; k < parts; k++)
        *out += 0.5 * fabs(share[k] - r->posterior.weight[k]);
    ebb_free(share);
    return status;
}

static ebb_status add_errors(const restoring *r, const double *x, json_t *row)
{
    const ebb_toy_job *t = r->t;
    int dim = t->law.dim;
    double mean[MAX], cov[MAX * MAX], of_mean = 0, of_cov = 0, shares, w2;
    ebb_pairs pairs;
    int64_t some = t->o.n < PAIRS ? t->o.n : PAIRS, few = t->o.n < PAIRED ? t->o.n : PAIRED;
    ebb_samples_moments(x, NULL, t->o.n, dim, mean, cov);
    for (int i = 0; i < dim; i++)
        of_mean += (mean[i] - r->mean[i]) * (mean[i] - r->mean[i]);
    for (int i = 0; i < dim * dim; i++)
        of_cov += (cov[i] - r->cov[i]) * (cov[i] - r->cov[i]);
    EBB_TRY(share_error(r, x, &shares));
    EBB_TRY(ebb_pairs_create(t->ctx, EBB_PAIR_ENERGY, true, dim, x, some, r->real, PAIRS, &pairs));
    double energy = ebb_pairs_value(&pairs, NULL);
    ebb_pairs_free(&pairs);
    EBB_TRY(ebb_assignment_w2(t->ctx, dim, x, r->real, few, NULL, &w2));
    json_object_set_new(row, "mean_error", json_real(sqrt(of_mean)));
    json_object_set_new(row, "covariance_error", json_real(sqrt(of_cov)));
    json_object_set_new(row, "share_error", json_real(shares));
    json_object_set_new(row, "energy", json_real(energy));
    json_object_set_new(row, "w2", json_real(w2));
    return EBB_OK;
}

/* ---- the job ------------------------------------------------------------------------------------------------------------------------ */

static json_t *numbers(int n, const double *x)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_real(x[i]));
    return list;
}

/* The last number of each sample is shown, which no task knows without noise. */
typedef struct panels { double *x; char title[PANELS_MAX][80]; int count; } panels;

static void keep_panel(const restoring *r, const double *x, const char *name, panels *p)
{
    int dim = r->t->law.dim;
    for (int64_t i = 0; p->x != NULL && p->count < PANELS_MAX && i < r->t->o.n; i++)
        p->x[p->count * r->t->o.n + i] = x[i * dim + dim - 1];
    if (p->count < PANELS_MAX)
        snprintf(p->title[p->count++], sizeof p->title[0], "%.79s", name);
}

static ebb_status draw_panels(const restoring *r, const panels *p)
{
    int dim = r->t->law.dim, parts = r->posterior.parts;
    const char *titles[PANELS_MAX];
    double *room;
    ebb_target line;
    EBB_TRY(ebb_alloc(r->t->ctx, (void **)&room, (size_t)parts, 2 * sizeof *room, "a law"));
    for (int k = 0; k < parts; k++) {
        room[k] = r->posterior.mean[k * dim + dim - 1];
        room[parts + k] = r->posterior.cov[(k * dim + dim - 1) * dim + dim - 1];
    }
    for (int k = 0; k < p->count; k++)
        titles[k] = p->title[k];
    ebb_status status = ebb_target_create(r->t->ctx, parts, 1, r->posterior.weight, room, room + parts, NULL, &line);
    ebb_free(room);
    EBB_TRY(status);
    status = ebb_toy_panel_picture(r->t, &line, p->x, r->t->o.n, p->count, titles);
    ebb_target_free(&line);
    return status;
}

static ebb_status method_row(restoring *r, const char *name, panels *p, json_t *rows)
{
    EBB_TRY(prepare(r, name));
    r->t->doing = name;
    EBB_TRY(run(r));
    json_t *row = json_pack("{s:s, s:i, s:I}", "method", name, "steps", r->grid.steps, "nfe", (json_int_t)r->evaluations);
    json_array_append_new(rows, row);
    keep_panel(r, r->x, name, p);
    return add_errors(r, r->x, row);
}

static ebb_status floor_row(restoring *r, panels *p, json_t *rows)
{
    json_t *row = json_pack("{s:s, s:n, s:n}", "method", "(true points)", "steps", "nfe");
    json_array_append_new(rows, row);
    ebb_target_sample(&r->posterior, TRUTH_SEED, PAIRS, r->t->o.n, r->x, NULL);
    keep_panel(r, r->x, "true points", p);
    return add_errors(r, r->x, row);
}

static ebb_status all_rows(restoring *r, panels *p, json_t *rows)
{
    char name[128];
    /* Whatever can be refused is, before the work begins. */
    for (int at = 0; ebb_toy_next_sampler(r->t, &at, name) != NULL;)
        EBB_TRY(prepare(r, name));
    for (int at = 0; ebb_toy_next_sampler(r->t, &at, name) != NULL;)
        EBB_TRY(method_row(r, name, p, rows));
    r->t->doing = "measuring";
    EBB_TRY(floor_row(r, p, rows));
    return r->t->o.picture != NULL ? draw_panels(r, p) : EBB_OK;
}

ebb_status ebb_toy_restore(ebb_toy_job *t, json_t **out)
{
    restoring *r;
    panels p = {0};
    json_t *rows = json_array();
    t->o.sampler = t->o.sampler != NULL ? t->o.sampler : usual;
    json_object_set_new(*out, "samples", json_integer(t->o.n));
    EBB_TRY(ebb_alloc(t->ctx, (void **)&r, 1, sizeof *r, "a restoration"));
    r->t = t;
    ebb_status status = measure(r);
    if (status == EBB_OK)
        status = make_pull(r);
    if (status == EBB_OK)
        status = ebb_alloc(t->ctx, (void **)&r->x, (size_t)(t->o.n * t->law.dim), sizeof *r->x, "samples");
    if (status == EBB_OK && t->o.picture != NULL)
        status = ebb_alloc(t->ctx, (void **)&p.x, PANELS_MAX * (size_t)t->o.n, sizeof *p.x, "samples");
    if (status == EBB_OK)
        status = all_rows(r, &p, rows);
    json_object_set_new(*out, "task", json_string(t->o.task != NULL ? t->o.task : ""));
    json_object_set_new(*out, "sigma", json_real(t->o.sigma));
    json_object_set_new(*out, "truth", numbers(t->law.dim, r->truth));
    json_object_set_new(*out, "y", numbers(r->rows, r->y));
    json_object_set_new(*out, "posterior_mean", numbers(t->law.dim, r->mean));
    json_object_set_new(*out, "rows", rows);
    ebb_grid_free(&r->grid);
    ebb_operator_free(&r->op);
    ebb_target_free(&r->posterior);
    ebb_plan_free(r->pull);
    ebb_free(r->real);
    ebb_free(r->x);
    ebb_free(p.x);
    ebb_free(r);
    return status;
}
