/* bench_model.c: cells over a trained model, whose pictures are judged beside those that it was trained on (bench.h).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"
#include "sample/pictures.h"
#include "study/bench.h"
#include "study/quality.h"
#include "train/dist.h"

enum { COLUMNS = 8 };

typedef struct subject {
    ebb_bench_job *b;
    ebb_model *model;
    ebb_recipe *data;            /* that pictures are judged beside */
    ebb_quality *quality;
    int label;
    int64_t numbers;             /* of a picture */
    float *pixels;               /* (n, numbers) */
    uint8_t *bytes;              /* (n, numbers) */
    const char *doing;
} subject;

static void free_subject(void *self)
{
    subject *s = self;
    if (s == NULL)
        return;
    ebb_quality_free(s->quality);
    ebb_recipe_free(s->data);
    ebb_model_free(s->model);
    ebb_free(s->bytes);
    ebb_free(s->pixels);
    ebb_free(s);
}

/* ---- one cell ---------------------------------------------------------------------------------------------------------------- */

static int on_sample(void *user, int64_t done, int64_t total)
{
    subject *s = user;
    return ebb_bench_progress(s->b, s->doing, total > 0 ? (double)done / (double)total : 0);
}

static ebb_status sample(subject *s, const ebb_bench_cell *c, json_t *found)
{
    ebb_bench_job *b = s->b;
    ebb_sample_options o = ebb_sample_defaults();
    int64_t nfe = 0;
    o.n = b->o.n;
    o.seed = b->o.seed;
    o.label = s->label;
    o.sampler = c->sampler;
    o.grid = c->grid;
    o.steps = c->steps;
    o.guidance = c->guidance;
    o.precision = b->o.precision;
    o.evaluations = &nfe;
    o.progress = on_sample;
    o.user = s;
    double start = ebb_seconds();
    EBB_TRY(ebb_sample(b->ctx, s->model, &o, s->pixels));
    double seconds = ebb_seconds() - start;
    json_object_set_new(found, "nfe", json_integer(nfe));
    json_object_set_new(found, "seconds", json_real(seconds));
    json_object_set_new(found, "per_second", json_real((double)b->o.n / fmax(seconds, 1e-9)));
    return EBB_OK;
}

static ebb_status judge(subject *s, json_t *metrics)
{
    ebb_measure m[EBB_METRICS];
    EBB_TRY(ebb_quality_judge(s->quality, s->bytes, s->b->o.n, s->b->o.resamples, m));
    for (int i = 0; i < EBB_METRICS; i++)
        if (isfinite(m[i].value))
            json_object_set_new(metrics, ebb_metric_name((ebb_metric)i),
                                json_pack("{s:f, s:o, s:o}", "value", m[i].value, "low", ebb_report_number(m[i].low), "high",
                                          ebb_report_number(m[i].high)));
    return EBB_OK;
}

/* So many of all, evenly: samples come class after class. */
static ebb_status draw(subject *s, const char *path)
{
    ebb_model_shape shape = {.size = sizeof shape};
    int64_t n = s->b->o.n < EBB_BENCH_SHOWN ? s->b->o.n : EBB_BENCH_SHOWN;
    uint8_t *shown;
    EBB_TRY(ebb_model_describe(s->model, &shape));
    EBB_TRY(ebb_alloc(s->b->ctx, (void **)&shown, (size_t)(n * s->numbers), 1, "pictures"));
    for (int64_t i = 0; i < n; i++)
        memcpy(shown + i * s->numbers, s->bytes + i * s->b->o.n / n * s->numbers, (size_t)s->numbers);
    ebb_status status = ebb_grid_write(s->b->ctx, path, shown, n, shape.height, shape.width, shape.channels, COLUMNS, NULL);
    ebb_free(shown);
    return status;
}

static ebb_status measure(ebb_bench_job *b, const ebb_bench_cell *c, const char *picture, json_t *found)
{
    subject *s = b->subject.self;
    char doing[2 * EBB_BENCH_NAME + 60];
    json_t *metrics = json_object();
    json_object_set_new(found, "metrics", metrics);
    snprintf(doing, sizeof doing, "%s over %s, %d evaluations", c->sampler, c->grid, c->budget);
    s->doing = doing;
    EBB_TRY(sample(s, c, found));
    ebb_pixels_to_bytes(s->pixels, (size_t)(b->o.n * s->numbers), s->bytes);
    EBB_TRY(judge(s, metrics));
    return draw(s, picture);
}

/* ---- the subject --------------------------------------------------------------------------------------------------------------- */

/* Of a cell, the work that counts is that of the network: it is done when the pictures are judged. */
static ebb_status on_quality(void *user, const char *doing, int64_t done, int64_t total)
{
    subject *s = user;
    double part = s->b->cells.count > 0 ? 1 : total > 0 ? (double)done / (double)total : 0;
    if (ebb_bench_progress(s->b, doing, part) == 0)
        return EBB_OK;
    return ebb_fail(s->b->ctx, EBB_E_ARGUMENT, "stopped during %s", doing);
}

static void add_metrics(const subject *s, json_t *list)
{
    const ebb_measure *floor = ebb_quality_floor(s->quality);
    for (int i = 0; i < EBB_METRICS; i++)
        if (isfinite(floor[i].value))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f, s:o, s:o}", "name", ebb_metric_name((ebb_metric)i), "help",
                                                  ebb_metric_help((ebb_metric)i), "better", ebb_metric_better((ebb_metric)i), "floor",
                                                  floor[i].value, "floor_low", ebb_report_number(floor[i].low), "floor_high",
                                                  ebb_report_number(floor[i].high)));
}

/* The weights and what is made of them, and what they are judged by; where its classifier lies is no matter. */
static ebb_status identify(const subject *s, const json_t *quality, uint64_t *identity)
{
    ebb_context *ctx = s->b->ctx;
    char text[100], *recipe, *judged;
    json_t *same = json_deep_copy(quality);
    snprintf(text, sizeof text, "model class %d %.8s", s->label, s->b->o.precision != NULL ? s->b->o.precision : "");
    *identity = ebb_hash(0, text, strlen(text));
    json_object_del(json_object_get(same, "features"), "model");
    ebb_status status = ebb_json_text(ctx, same, 0, &judged);
    json_decref(same);
    EBB_TRY(status);
    *identity = ebb_hash(*identity, judged, strlen(judged));
    ebb_free(judged);
    EBB_TRY(ebb_recipe_text(ctx, s->model->recipe, &recipe));
    *identity = ebb_hash(*identity, recipe, strlen(recipe));
    ebb_text_free(recipe);
    *identity = ebb_hash(*identity, s->model->weights, (size_t)s->model->params.length * sizeof(float));
    return EBB_OK;
}

static ebb_status describe(subject *s)
{
    ebb_bench_job *b = s->b;
    const ebb_recipe *r = s->model->recipe;
    json_t *quality = ebb_quality_about(s->quality);
    if (quality == NULL)
        return ebb_fail(b->ctx, EBB_E_MEMORY, "out of memory for what pictures are judged by");
    ebb_status status = identify(s, quality, &b->subject.identity);
    b->subject.about = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:o}", "kind", "model", "model", b->o.what, "recipe", r->about_name,
                                 "steps_trained", (json_int_t)s->model->step, "process", ebb_process_name(s->model->process.kind),
                                 "precision", b->o.precision != NULL ? b->o.precision : r->precision_type, "unit", "pictures", "quality",
                                 quality);
    if (s->label >= 0)
        json_object_set_new(b->subject.about, "class", json_integer(s->label));
    return status;
}

static ebb_status make_quality(subject *s)
{
    ebb_bench_job *b = s->b;
    EBB_TRY(ebb_data_recipe(b->ctx, s->model->recipe, b->o.data, b->o.labels, &s->data));
    EBB_TRY(ebb_data_fits(b->ctx, s->model, s->data));
    ebb_quality_options o = {.dir = b->o.keep != NULL ? b->o.keep : EBB_KEPT_USUAL, .recipe = s->data, .n = b->o.n,
                             .resamples = b->o.resamples, .quick = b->scale == EBB_SCALE_QUICK, .progress = on_quality, .user = s};
    return ebb_quality_create(b->ctx, &o, &s->quality);
}

/* All classes in turn, unless another is asked for; the recipe's habits of sampling are no matter here. */
static ebb_status load(subject *s)
{
    ebb_bench_job *b = s->b;
    ebb_recipe *r;
    EBB_TRY(ebb_model_load(b->ctx, b->o.what, &s->model));
    EBB_TRY(ebb_model_denoises(b->ctx, s->model));
    r = s->model->recipe;
    s->label = b->o.label == EBB_LABEL_ALL && r->net_classes == 0 ? EBB_LABEL_NONE : b->o.label;
    if (s->label >= 0 && s->label >= r->net_classes)
        return ebb_fail(b->ctx, EBB_E_ARGUMENT, "class %d: the model knows %lld classes", s->label, (long long)r->net_classes);
    b->subject.classes = s->label == EBB_LABEL_NONE ? 0 : (int)r->net_classes;
    b->subject.guidance = s->label == EBB_LABEL_NONE ? 0 : r->sample_guidance;
    b->subject.process = &s->model->process;
    r->sample_eta = -1;
    r->sample_steps = 0;
    s->numbers = ebb_shape_count(ebb_network_shape(&s->model->net, 1));
    return EBB_OK;
}

static ebb_status make(subject *s)
{
    static const int64_t pictures[] = {[EBB_SCALE_QUICK] = 64, [EBB_SCALE_USUAL] = 500, [EBB_SCALE_FULL] = 2000};
    ebb_bench_job *b = s->b;
    size_t count;
    EBB_TRY(load(s));
    b->o.n = b->o.n > 0 ? b->o.n : pictures[b->scale];
    b->o.resamples = b->o.resamples == 0 ? 40 : b->o.resamples < 0 ? 0 : b->o.resamples;
    count = (size_t)(b->o.n * s->numbers);
    EBB_TRY(ebb_alloc(b->ctx, (void **)&s->pixels, count, sizeof *s->pixels, "pictures"));
    EBB_TRY(ebb_alloc(b->ctx, (void **)&s->bytes, count, 1, "pictures"));
    EBB_TRY(make_quality(s));
    add_metrics(s, b->subject.metrics);
    b->subject.metric = ebb_metric_name(EBB_METRIC_FRECHET);
    b->subject.measure = measure;
    return describe(s);
}

ebb_status ebb_bench_model(ebb_bench_job *b)
{
    subject *s;
    EBB_TRY(ebb_alloc(b->ctx, (void **)&s, 1, sizeof *s, "a benchmark"));
    s->b = b;
    b->subject.self = s;
    b->subject.free = free_subject;
    return make(s);
}
