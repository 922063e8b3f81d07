/* classify.c: how often a classifier finds the class of noisy pictures, level by level: ebb_classify.
 *
 * Levels lie at equal steps of log(alpha/sigma) from the least noise that sampling sees to the most. Noise is a function of
 * (seed, picture, level), and no row's arithmetic sees another's, so that results do not depend on threads. Without labels
 * there are only the shares of the classes that it finds at the least noise: what a model makes, counted.
 */
#include <math.h>
#include <string.h>

#include "model/plans.h"
#include "model/report.h"
#include "sample/classifier.h"
#include "sample/field.h"
#include "sample/pictures.h"
#include "sample/tally.h"

#define PICTURES 1000
#define LEVELS 9
#define LEVELS_MAX 1000
#define LAMBDA_LEAST -5.0       /* sigma/alpha 148: beyond there is only noise */

typedef struct row { int32_t found; float log_probability; } row;

typedef struct running {
    ebb_context *ctx;
    const ebb_model *model;
    ebb_classify_options o;
    ebb_data_choice choice;
    ebb_dataset data;
    char name[2 * EBB_TEXT_MAX];
    ebb_eval_way way;
    ebb_plan *plan;
    int64_t numbers;
    int classes;
    ebb_level *level;            /* (levels) */
    double *x;                   /* of each worker (shard,numbers) */
    float *picture;              /* of each worker (numbers) */
    ebb_level *rows;             /* of each worker (shard) */
    row *result;                 /* (levels, n) */
    ebb_tally tally;
} running;

/* ---- making ---------------------------------------------------------------------------------------------------------- */

static ebb_status check(running *s, const ebb_classify_options *options)
{
    ebb_classify_options *o = &s->o;
    if (options != NULL && options->size < sizeof options->size)
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "options of classifying: size is %zu; set it to sizeof(ebb_classify_options)",
                        options->size);
    if (options != NULL)
        memcpy(o, options, options->size < sizeof *o ? options->size : sizeof *o);
    if (s->model->net.logits == 0)
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "this model tells no classes (net.kind=%s): train one with loss.kind=classification, "
                        "as recipe digits-classifier", s->model->recipe->net_kind);
    if (o->n < 0 || o->first < 0)
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "classifying %lld pictures from %lld: give numbers from 0", (long long)o->n,
                        (long long)o->first);
    if (o->levels < 0 || o->levels == 1 || o->levels > LEVELS_MAX)
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "classifying at %d levels: 2 to %d are possible", o->levels, LEVELS_MAX);
    o->levels = o->levels > 0 ? o->levels : LEVELS;
    s->choice = (ebb_data_choice){.path = o->data, .labels = o->labels, .classes = o->data == NULL || o->labels != NULL, .first = o->first,
                                  .n = o->n, .usual = PICTURES};
    return EBB_OK;
}

static void set_levels(running *s)
{
    const ebb_process *p = &s->model->process;
    double first = ebb_process_lambda(p, fmax(p->least_sample, p->steps > 0 ? 0 : 1e-9)), last = ebb_process_lambda(p, p->end);
    last = fmax(last, LAMBDA_LEAST);
    for (int k = 0; k < s->o.levels; k++) {
        double t = ebb_process_time(p, first + (last - first) * k / (s->o.levels - 1));
        s->level[k] = ebb_process_level(p, p->steps > 0 ? round(t) : t);
    }
}

static ebb_status make(running *s)
{
    size_t workers, shard, numbers = (size_t)s->numbers;
    EBB_TRY(ebb_data_open(s->ctx, s->model, &s->choice, &s->data, s->name));
    s->way = ebb_field_way(s->ctx, s->choice.n);
    ebb_plan_options options = ebb_recipe_plan(s->model->recipe, s->way.workers);
    options.team = s->way.team;
    EBB_TRY(ebb_eval_plan(s->ctx, &s->model->net, s->way.shard, &options, &s->plan));
    ebb_params_bind(&s->model->params, s->plan, s->model->weights);
    ebb_plan_prepare(s->plan);
    workers = (size_t)s->way.workers;
    shard = (size_t)s->way.shard;
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->level, (size_t)s->o.levels + workers * shard, sizeof *s->level, "levels"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->x, workers * shard * numbers, sizeof *s->x, "noisy pictures"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->picture, workers * 2 * numbers, sizeof *s->picture, "noisy pictures"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->result, (size_t)s->o.levels * (size_t)s->choice.n, sizeof *s->result, "classes found"));
    s->rows = s->level + s->o.levels;
    set_levels(s);
    return EBB_OK;
}

static void free_all(running *s)
{
    ebb_plan_free(s->plan);
    ebb_dataset_free(&s->data);
    ebb_free(s->level);
    ebb_free(s->x);
    ebb_free(s->picture);
    ebb_free(s->result);
}

/* ---- running --------------------------------------------------------------------------------------------------------- */

static void fill(const running *s, int level, int64_t first, int worker, double *x, ebb_level *rows)
{
    float *picture = s->picture + 2 * worker * s->numbers, *noise = picture + s->numbers;
    ebb_level at = s->level[level];
    for (int64_t i = 0; i < s->way.shard; i++) {
        int64_t k = s->choice.first + (first + i < s->choice.n ? first + i : s->choice.n - 1);
        ebb_rng_at rng = {.seed = s->o.seed, .stream = EBB_STREAM_EVAL, .step = (uint32_t)level, .sample = (uint32_t)k};
        ebb_dataset_picture(&s->data, k, false, picture);
        s->ctx->kernels->normal_f32((size_t)s->numbers, noise, &rng);
        for (int64_t d = 0; d < s->numbers; d++)
            x[i * s->numbers + d] = at.alpha * picture[d] + at.sigma * noise[d];
        rows[i] = at;
    }
}

static row judge(const running *s, const float *logit, int64_t picture)
{
    double sum = 0;
    int best = 0;
    for (int c = 1; c < s->classes; c++)
        best = logit[c] > logit[best] ? c : best;
    for (int c = 0; c < s->classes; c++)
        sum += exp((double)logit[c] - logit[best]);
    int32_t label = s->data.labels != NULL ? s->data.labels[picture] : best;
    return (row){best, (float)((double)logit[label] - logit[best] - log(sum))};
}

static void run_shard(void *self, int64_t item, int worker)
{
    running *s = self;
    int level = (int)(item / s->way.shards);
    int64_t first = item % s->way.shards * s->way.shard;
    double part = 0, *x = s->x + worker * s->way.shard * s->numbers;
    ebb_level *rows = s->rows + worker * s->way.shard;
    if (ebb_tally_stopped(&s->tally))
        return;
    fill(s, level, first, worker, x, rows);
    ebb_classifier_fill(s->model, s->plan, worker, s->way.shard, s->numbers, x, rows);
    ebb_plan_run(s->plan, worker);
    const float *logits = ebb_plan_output(s->plan, worker, 0);
    for (int64_t i = 0; i < s->way.shard && first + i < s->choice.n; i++)
        s->result[level * s->choice.n + first + i] = judge(s, logits + i * s->classes, s->choice.first + first + i);
    ebb_tally_report(&s->tally, &part, 1);
}

/* ---- report ------------------------------------------------------------------------------------------------------------- */

static json_t *level_row(const running *s, int level)
{
    double right = 0, log_probability = 0, n = (double)s->choice.n;
    for (int64_t i = 0; i < s->choice.n; i++) {
        const row *r = &s->result[level * s->choice.n + i];
        right += r->found == s->data.labels[s->choice.first + i];
        log_probability += r->log_probability;
    }
    double part = right / n;
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "t", s->level[level].t, "k_sigma", s->level[level].sigma / s->level[level].alpha,
                     "accuracy", part, "error", sqrt(part * (1 - part) / n), "cross_entropy", -log_probability / n);
}

/* At the least noise: how many there are of each class, by labels and as found, and how many of them were. */
static json_t *class_row(const running *s, int class)
{
    int64_t found = 0, labelled = 0, right = 0;
    for (int64_t i = 0; i < s->choice.n; i++) {
        bool is = s->data.labels != NULL && s->data.labels[s->choice.first + i] == class, seen = s->result[i].found == class;
        found += seen;
        labelled += is;
        right += is && seen;
    }
    json_t *json = json_pack("{s:i, s:f}", "class", class, "share", (double)found / (double)s->choice.n);
    if (s->data.labels == NULL)
        return json;
    json_object_set_new(json, "labelled", json_real((double)labelled / (double)s->choice.n));
    json_object_set_new(json, "accuracy", labelled > 0 ? json_real((double)right / (double)labelled) : json_null());
    return json;
}

static ebb_status write_report(const running *s, char **text)
{
    json_t *levels = json_array(), *classes = json_array();
    for (int k = 0; s->data.labels != NULL && k < s->o.levels; k++)
        json_array_append_new(levels, level_row(s, k));
    for (int c = 0; c < s->classes; c++)
        json_array_append_new(classes, class_row(s, c));
    json_t *json = json_pack("{s:s, s:I, s:I, s:b, s:o, s:o}", "data", s->name, "first", (json_int_t)s->choice.first, "pictures",
                             (json_int_t)s->choice.n, "labelled", s->data.labels != NULL, "levels", levels, "classes", classes);
    return ebb_report_text(s->ctx, json, text);
}

static ebb_status run(running *s, const ebb_classify_options *options, char **json)
{
    EBB_TRY(check(s, options));
    EBB_TRY(make(s));
    ebb_tally_begin(&s->tally, s->way.shards * s->o.levels, s->o.progress, s->o.user);
    ebb_par_teams(s->way.workers, s->way.team, s->way.shards * s->o.levels, run_shard, s);
    EBB_TRY(ebb_plan_check(s->plan));
    EBB_TRY(ebb_tally_result(s->ctx, &s->tally, "classifying"));
    return write_report(s, json);
}

ebb_status ebb_classify(ebb_context *ctx, ebb_model *model, const ebb_classify_options *options, char **json)
{
    running s = {.ctx = ctx, .model = model, .classes = model->net.logits, .numbers = ebb_shape_count(ebb_network_shape(&model->net, 1))};
    *json = NULL;
    ebb_status status = run(&s, options, json);
    free_all(&s);
    return status;
}
