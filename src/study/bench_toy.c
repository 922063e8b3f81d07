/* bench_toy.c: cells over an exact law, whose samples can be held against the truth (bench.h).
 *
 * Over the law's own score all error is of discretization. Over a score that a network has learned the same walk is run over both:
 * what the exact score leaves is discretization, and what a learned score leaves along a fine grid, the cell of role "score", is
 * its own error.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "study/bench.h"
#include "study/toy.h"
#include "train/dist.h"

#define FLOW_ERROR "flow-error"
#define FLOW_SAMPLES 256

typedef struct toy {
    ebb_bench_job *b;
    ebb_toy_job job;
    double *x;                   /* (n, dim) */
    char doing[2 * EBB_BENCH_NAME + 60];
} toy;

static void free_toy(void *self)
{
    toy *s = self;
    if (s == NULL)
        return;
    ebb_toy_free(&s->job);
    ebb_free(s->x);
    ebb_free(s);
}

/* ---- one cell --------------------------------------------------------------------------------------------------------------- */

static int on_progress(void *user, const char *doing, int64_t done, int64_t total)
{
    toy *s = user;
    return ebb_bench_progress(s->b, doing, total > 0 ? (double)done / (double)total : 0);
}

static json_t *measure_json(const ebb_measure *m)
{
    return json_pack("{s:o, s:o, s:o}", "value", ebb_report_number(m->value), "low", ebb_report_number(m->low), "high", ebb_report_number(m->high));
}

static ebb_status judge(toy *s, ebb_toy_walk *w, json_t *metrics)
{
    ebb_toy_job *t = &s->job;
    ebb_measure found[EBB_DISTANCES], off;
    EBB_TRY(ebb_judge_measure(t->ctx, &t->judge, w->x, w->n, s->b->o.resamples, found));
    for (int d = 0; d < EBB_DISTANCES; d++)
        if (isfinite(found[d].value))
            json_object_set_new(metrics, ebb_distance_name((ebb_distance)d), measure_json(&found[d]));
    if (w->random)
        return EBB_OK;
    EBB_TRY(ebb_toy_flow_error(t, w, w->n < FLOW_SAMPLES ? w->n : FLOW_SAMPLES, s->b->o.resamples, &off));
    json_object_set_new(metrics, FLOW_ERROR, measure_json(&off));
    return EBB_OK;
}

/* found is NULL where only the metrics are wanted. */
static ebb_status walk(toy *s, ebb_toy_walk *w, json_t *metrics, json_t *found)
{
    ebb_toy_job *t = &s->job;
    EBB_TRY(ebb_toy_prepare(t, w));
    double start = ebb_seconds();
    ebb_status status = ebb_toy_run(t, w);
    double seconds = ebb_seconds() - start;
    if (status == EBB_OK && found != NULL) {
        json_object_set_new(found, "steps", json_integer(w->levels.steps));
        json_object_set_new(found, "nfe", json_integer(w->nfe));
        json_object_set_new(found, "random", json_boolean(w->random));
        json_object_set_new(found, "seconds", json_real(seconds));
        json_object_set_new(found, "per_second", json_real((double)w->n / fmax(seconds, 1e-9)));
    }
    if (status == EBB_OK)
        status = judge(s, w, metrics);
    ebb_grid_free(&w->levels);
    return status;
}

/* The same walk over the exact score: what is left there is of discretization. */
static ebb_status separate(toy *s, ebb_toy_walk w, json_t *found)
{
    json_t *metrics = json_object();
    json_object_set_new(found, "discretization", metrics);
    w.exact = true;
    return walk(s, &w, metrics, NULL);
}

static ebb_status measure(ebb_bench_job *b, const ebb_bench_cell *c, const char *picture, json_t *found)
{
    toy *s = b->subject.self;
    ebb_toy_job *t = &s->job;
    ebb_toy_walk w = {.sampler = c->sampler, .grid = c->grid, .steps = c->steps, .n = b->o.n, .x = s->x};
    json_t *metrics = json_object();
    json_object_set_new(found, "metrics", metrics);
    snprintf(s->doing, sizeof s->doing, "%s over %s, %d evaluations", c->sampler, c->grid, c->budget);
    t->doing = s->doing;
    t->o.guidance = c->guidance;
    EBB_TRY(walk(s, &w, metrics, found));
    if (t->law.dim <= 2)
        EBB_TRY(ebb_toy_thumbnail(t, s->x, b->o.n, picture));
    return t->model != NULL && c->role == EBB_BENCH_CELL ? separate(s, w, found) : EBB_OK;
}

/* ---- the subject -------------------------------------------------------------------------------------------------------------- */

static ebb_status add_metrics(toy *s, json_t *list)
{
    ebb_toy_job *t = &s->job;
    double floor[EBB_DISTANCES];
    EBB_TRY(ebb_judge_floor(t->ctx, &t->judge, t->o.n, floor));
    for (int d = 0; d < EBB_DISTANCES; d++)
        if (isfinite(floor[d]))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f}", "name", ebb_distance_name((ebb_distance)d), "help",
                                                  ebb_distance_help((ebb_distance)d), "better", "lower", "floor", floor[d]));
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:n}", "name", FLOW_ERROR, "help", "root mean square distance to where the "
                                          "exact probability flow leads from the same start; of samplers without noise", "better",
                                          "lower", "floor"));
    return EBB_OK;
}

/* The law, the process and whose score it is. */
static ebb_status identify(toy *s, uint64_t *identity)
{
    ebb_toy_job *t = &s->job;
    char text[400], *recipe;
    snprintf(text, sizeof text, "toy %s class %d", t->o.target, t->o.label);
    *identity = ebb_hash(0, text, strlen(text));
    EBB_TRY(ebb_recipe_text(t->ctx, t->recipe, &recipe));
    *identity = ebb_hash(*identity, recipe, strlen(recipe));
    ebb_text_free(recipe);
    if (t->model != NULL)
        *identity = ebb_hash(*identity, t->model->weights, (size_t)t->model->params.length * sizeof(float));
    return EBB_OK;
}

static json_t *about(const toy *s)
{
    const ebb_toy_job *t = &s->job;
    json_t *about = json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:s}", "kind", "toy", "law", t->o.target, "dim", t->law.dim, "parts",
                              t->law.parts, "score", t->o.score, "process", ebb_process_name(t->process.kind), "unit", "samples");
    if (t->o.model != NULL)
        json_object_set_new(about, "model", json_string(t->o.model));
    if (t->o.label != EBB_LABEL_NONE)
        json_object_set_new(about, "class", json_integer(t->o.label));
    return about;
}

static ebb_status make(toy *s, const ebb_toy_options *o)
{
    ebb_bench_job *b = s->b;
    ebb_toy_job *t = &s->job;
    EBB_TRY(ebb_toy_settle(t, o));
    EBB_TRY(ebb_toy_learn(t));
    EBB_TRY(ebb_judge_create(t->ctx, t->aim, &t->judge));
    t->judge.paired = 0;         /* the slowest of the distances */
    b->o.n = t->o.n;
    b->o.resamples = t->o.resamples;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&s->x, (size_t)(t->o.n * t->law.dim), sizeof *s->x, "samples"));
    EBB_TRY(add_metrics(s, b->subject.metrics));
    EBB_TRY(identify(s, &b->subject.identity));
    b->subject.about = about(s);
    b->subject.process = &t->process;
    b->subject.classes = t->o.label != EBB_LABEL_NONE ? t->law.classes : 0;
    b->subject.metric = t->law.dim == 1 ? "w2" : "sliced-w2";
    b->subject.measure = measure;
    return EBB_OK;
}

ebb_status ebb_bench_toy(ebb_bench_job *b)
{
    static const int64_t samples[] = {[EBB_SCALE_QUICK] = 2000, [EBB_SCALE_USUAL] = 10000, [EBB_SCALE_FULL] = 50000};
    ebb_toy_options o = ebb_toy_defaults();
    toy *s;
    EBB_TRY(ebb_alloc(b->ctx, (void **)&s, 1, sizeof *s, "a benchmark"));
    *s = (toy){.b = b, .job = {.ctx = b->ctx, .doing = "preparing"}};
    atomic_flag_clear(&s->job.calling);
    b->subject.self = s;
    b->subject.free = free_toy;
    o.target = b->o.what + strlen("toy:");
    o.model = b->o.model;
    o.process = b->o.process;
    o.n = b->o.n > 0 ? b->o.n : samples[b->scale];
    o.seed = b->o.seed;
    o.label = b->o.label == EBB_LABEL_ALL ? EBB_LABEL_NONE : b->o.label;
    o.resamples = b->o.resamples;
    o.progress = on_progress;
    o.user = s;
    return make(s, &o);
}
