/* toy_compare.c: many samplers over one law: their distances at one budget of evaluations, and how fast their errors fall.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/convergence.h"
#include "study/toy.h"

#define FLOW_SAMPLES 128
#define ORDER_SAMPLES 64
#define STEPS_LEAST 24           /* of convergence: doubled four times */
#define RUNS 5

/* Whether errors can fall with the number of steps: not of adaptive methods, nor of those that stay at one level. */
static bool has_order(const ebb_sampler *s)
{
    return s->evaluations > 0 && s->run != ebb_sample_langevin && s->run != ebb_sample_annealed;
}

/* Every name must be known before the work begins. */
static ebb_status check_names(ebb_toy_job *t)
{
    const ebb_sampler *s;
    ebb_sampler_settings set;
    char name[128];
    for (int at = 0; ebb_toy_next_sampler(t, &at, name) != NULL;)
        EBB_TRY(ebb_sampler_parse(t->ctx, name, &s, &set));
    return EBB_OK;
}

/* ---- one budget -------------------------------------------------------------------------------------------------------------- */

static const ebb_distance columns[] = {EBB_DISTANCE_W2, EBB_DISTANCE_SLICED, EBB_DISTANCE_KL, EBB_DISTANCE_TV, EBB_DISTANCE_ENERGY};

static void add_columns(const ebb_toy_job *t, const double *value, json_t *row)
{
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++)
        if (ebb_distance_fits(columns[c], t->law.dim))
            json_object_set_new(row, ebb_distance_name(columns[c]), ebb_report_number(value[columns[c]]));
}

static ebb_status judge_walk(ebb_toy_job *t, ebb_toy_walk *w, json_t *row)
{
    ebb_measure found[EBB_DISTANCES];
    ebb_measure error = {.value = NAN};
    double value[EBB_DISTANCES];
    EBB_TRY(ebb_toy_run(t, w));
    EBB_TRY(ebb_judge_measure(t->ctx, &t->judge, w->x, w->n, 0, found));
    for (int d = 0; d < EBB_DISTANCES; d++)
        value[d] = found[d].value;
    json_object_set_new(row, "steps", json_integer(w->levels.steps));
    json_object_set_new(row, "nfe", json_integer(w->nfe));
    add_columns(t, value, row);
    if (!w->random)
        EBB_TRY(ebb_toy_flow_error(t, w, w->n < FLOW_SAMPLES ? w->n : FLOW_SAMPLES, 0, &error));
    json_object_set_new(row, "flow_error", ebb_report_number(error.value));
    return EBB_OK;
}

/* A sampler that refuses law, process or budget has its reason in the row. */
static ebb_status compare_one(ebb_toy_job *t, ebb_toy_walk *w, json_t *rows)
{
    json_t *row = json_pack("{s:s}", "sampler", w->sampler);
    json_array_append_new(rows, row);
    int each = w->kind->evaluations * ebb_toy_asked(t);
    w->steps = each > 0 ? (t->o.nfe + each / 2) / each : 0;
    w->steps = w->steps < 1 && w->kind->evaluations > 0 ? 1 : w->steps;
    ebb_status status = ebb_toy_prepare(t, w);
    if (status == EBB_OK) {
        status = judge_walk(t, w, row);
        ebb_grid_free(&w->levels);
    }
    if (status == EBB_OK || atomic_load(&t->stopped) != 0 || status == EBB_E_MEMORY)
        return status;
    json_object_set_new(row, "refused", json_string(ebb_message(t->ctx)));
    return EBB_OK;
}

ebb_status ebb_toy_compare(ebb_toy_job *t, json_t **out)
{
    ebb_toy_walk w = {.grid = t->o.grid, .n = t->o.n};
    ebb_sampler_settings set;
    double floor[EBB_DISTANCES];
    char name[128], doing[160];
    json_t *rows = json_array(), *row;
    t->judge.paired = 0;         /* the slowest of the distances */
    json_object_set_new(*out, "budget", json_integer(t->o.nfe));
    json_object_set_new(*out, "samples", json_integer(t->o.n));
    json_object_set_new(*out, "rows", rows);
    EBB_TRY(check_names(t));
    EBB_TRY(ebb_alloc(t->ctx, (void **)&w.x, (size_t)(t->o.n * t->law.dim), sizeof *w.x, "samples"));
    ebb_status status = EBB_OK;
    for (int at = 0; status == EBB_OK && ebb_toy_next_sampler(t, &at, name) != NULL;) {
        w.sampler = name;
        snprintf(doing, sizeof doing, "%s", name);
        t->doing = doing;
        status = ebb_sampler_parse(t->ctx, name, &w.kind, &set);
        if (status == EBB_OK)
            status = compare_one(t, &w, rows);
    }
    ebb_free(w.x);
    t->doing = "measuring";
    EBB_TRY(status);
    EBB_TRY(ebb_judge_floor(t->ctx, &t->judge, t->o.n, floor));
    row = json_pack("{s:s}", "sampler", "(true points)");
    add_columns(t, floor, row);
    json_array_append_new(rows, row);
    return EBB_OK;
}

/* ---- orders -------------------------------------------------------------------------------------------------------------------- */

/* Slope of log(error) over -log(steps), over the runs that are above the rounding of doubles and of the reference. */
static double slope_of(const int64_t *steps, const double *error, int runs)
{
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (int k = 0; k < runs; k++) {
        if (!(error[k] > 1e-8))
            continue;
        double lx = -log((double)steps[k]), ly = log(error[k]);
        n++;
        x += lx;
        y += ly;
        xx += lx * lx;
        xy += lx * ly;
    }
    return n >= 2 ? (n * xy - x * y) / (n * xx - x * x) : NAN;
}

/* Walks of a sampler without noise against the exact flow. random: it draws noise, and there is nothing to tell. */
static ebb_status order_runs(ebb_toy_job *t, ebb_toy_walk *w, int64_t *steps, int64_t *nfe, double *error, bool *random)
{
    for (int k = 0; k < RUNS; k++) {
        w->steps = STEPS_LEAST << k;
        EBB_TRY(ebb_toy_prepare(t, w));
        ebb_status status = ebb_toy_run(t, w);
        ebb_measure off = {.value = NAN};
        *random = w->random;
        steps[k] = w->levels.steps;
        nfe[k] = w->nfe;
        if (status == EBB_OK && !*random)
            status = ebb_toy_flow_error(t, w, w->n, 0, &off);
        error[k] = off.value;
        ebb_grid_free(&w->levels);
        EBB_TRY(status);
        if (*random)
            return EBB_OK;
    }
    return EBB_OK;
}

/* Over a normal law on a line what an affine sampler makes is known without sampling: Wasserstein-2 to the law at the end. */
static ebb_status law_runs(ebb_toy_job *t, ebb_toy_walk *w, int64_t *steps, int64_t *nfe, double *error)
{
    for (int k = 0; k < RUNS; k++) {
        ebb_normal got;
        w->steps = STEPS_LEAST << k;
        EBB_TRY(ebb_toy_prepare(t, w));
        ebb_law_of of = {.sampler = w->sampler, .process = &t->process, .grid = &w->levels, .law = &t->law};
        ebb_level end = w->levels.level[w->levels.steps];
        steps[k] = w->levels.steps;
        nfe[k] = w->levels.steps * (w->kind->evaluations > 0 ? w->kind->evaluations : 1);
        ebb_status status = ebb_sampler_law(t->ctx, &of, &got);
        ebb_grid_free(&w->levels);
        EBB_TRY(status);
        error[k] = ebb_normal_w2(got, ebb_normal_at(&t->law, end.alpha, end.sigma));
    }
    return EBB_OK;
}

static void add_orders(json_t *rows, const char *name, const char *grid, const char *what, const int64_t *steps, const int64_t *nfe,
                       const double *error)
{
    json_t *row = json_pack("{s:s, s:s, s:s}", "sampler", name, "grid", grid, "error_of", what), *s = json_array(),
           *e = json_array(), *v = json_array();
    for (int k = 0; k < RUNS; k++) {
        json_array_append_new(s, json_integer(steps[k]));
        json_array_append_new(v, json_integer(nfe[k]));
        json_array_append_new(e, ebb_report_number(error[k]));
    }
    json_object_set_new(row, "order", ebb_report_number(slope_of(steps, error, RUNS)));
    json_object_set_new(row, "last_order", ebb_report_number(log2(error[RUNS - 2] / error[RUNS - 1])));
    json_object_set_new(row, "steps", s);
    json_object_set_new(row, "nfe", v);
    json_object_set_new(row, "error", e);
    json_array_append_new(rows, row);
}

/* Refusals are passed over: a sampler that cannot walk here has no order here. */
static ebb_status order_of(ebb_toy_job *t, ebb_toy_walk *w, json_t *rows)
{
    int64_t steps[RUNS], nfe[RUNS];
    double error[RUNS];
    ebb_sampler_settings set;
    EBB_TRY(ebb_sampler_parse(t->ctx, w->sampler, &w->kind, &set));
    if (!has_order(w->kind))
        return EBB_OK;
    bool random = false, line = t->law.dim == 1 && t->law.parts == 1;
    ebb_status status = order_runs(t, w, steps, nfe, error, &random);
    if (status == EBB_OK && !random)
        add_orders(rows, w->sampler, w->grid_name, "paths", steps, nfe, error);
    if (status == EBB_OK && random && line) {
        status = law_runs(t, w, steps, nfe, error);
        if (status == EBB_OK)
            add_orders(rows, w->sampler, w->grid_name, "law (w2)", steps, nfe, error);
    }
    return atomic_load(&t->stopped) != 0 || status == EBB_E_MEMORY ? status : EBB_OK;
}

/* The theorem's three terms and the true distance, one of T, h and the score's error changing at a time. */
static ebb_status add_theorem(ebb_toy_job *t, json_t *to)
{
    static const struct { double end; int steps; double error; } cases[] = {
        {1, 200, 0}, {2, 400, 0}, {4, 800, 0}, {4, 200, 0}, {4, 50, 0}, {4, 800, 0.05}, {4, 800, 0.2}};
    json_t *rows = json_array();
    json_object_set_new(to, "theorem", rows);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ebb_convergence c = {.end = cases[i].end, .steps = cases[i].steps, .error = cases[i].error};
        EBB_TRY(ebb_convergence_measure(t->ctx, &t->law, &c));
        json_array_append_new(rows, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "T", c.end, "h", c.h, "score_error", c.error,
                                              "start", c.start, "step", c.step, "score", c.score, "bound", c.bound, "tv", c.tv));
    }
    return EBB_OK;
}

ebb_status ebb_toy_convergence(ebb_toy_job *t, json_t **out)
{
    ebb_toy_walk w = {.grid = t->o.grid, .open = true, .n = ORDER_SAMPLES};
    char name[128], doing[160];
    json_t *rows = json_array();
    json_object_set_new(*out, "samples", json_integer(ORDER_SAMPLES));
    json_object_set_new(*out, "rows", rows);
    if (t->o.steps > 0)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "convergence goes over %d to %d steps: leave the number of steps away", STEPS_LEAST,
                        STEPS_LEAST << (RUNS - 1));
    EBB_TRY(check_names(t));
    EBB_TRY(ebb_alloc(t->ctx, (void **)&w.x, (size_t)(ORDER_SAMPLES * t->law.dim), sizeof *w.x, "samples"));
    ebb_status status = EBB_OK;
    for (int at = 0; status == EBB_OK && ebb_toy_next_sampler(t, &at, name) != NULL;) {
        w.sampler = name;
        snprintf(doing, sizeof doing, "%s", name);
        t->doing = doing;
        status = order_of(t, &w, rows);
    }
    t->doing = "measuring";
    if (status == EBB_OK && t->law.dim == 1 && t->law.parts == 1)
        status = add_theorem(t, *out);
    if (status == EBB_OK && t->o.picture != NULL)
        status = ebb_toy_curve_picture(t, rows);
    ebb_free(w.x);
    return status;
}
