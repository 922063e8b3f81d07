/* eval.c: how good a model's samples, or pictures of a file, are beside data: ebb_eval.
 *
 * What can be refused is refused before a classifier is trained or a sample is drawn.
 */
#include "study/eval.h"

#include <math.h>
#include <string.h>

#include "model/report.h"
#include "sample/pictures.h"
#include "sample/sampling.h"

enum { SAMPLES = 1000, QUICK = 100, PICTURES_MOST = 100000, RESAMPLES = 40 };

/* ---- what is asked ----------------------------------------------------------------------------------------------------------------- */

static ebb_status check(ebb_eval_job *j, const ebb_eval_options *options)
{
    ebb_eval_options *o = &j->o;
    if (options != NULL && options->size < sizeof options->size)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "options of judging: size is %zu; set it to sizeof(ebb_eval_options)", options->size);
    if (options != NULL)
        memcpy(o, options, options->size < sizeof *o ? options->size : sizeof *o);
    j->sample = ebb_sample_defaults();
    if (o->sample != NULL)
        memcpy(&j->sample, o->sample, o->sample->size < sizeof j->sample ? o->sample->size : sizeof j->sample);
    if ((j->model == NULL) == (j->pictures == NULL))
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "judging takes a model or pictures: give one of them");
    if (o->n < 0 || o->n > PICTURES_MOST || o->nll < 0)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "judging %lld pictures, the likelihood of %lld: give numbers from 0, of pictures at most %d",
                        (long long)o->n, (long long)o->nll, PICTURES_MOST);
    if (o->resamples < -1 || o->resamples > 100000)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "%d resamples: -1 (no intervals) to 100000 are possible", o->resamples);
    if (j->pictures != NULL && (o->nll > 0 || o->sample != NULL))
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "sampling and likelihoods are of models: pictures %s are what they are", j->pictures);
    if (j->pictures != NULL && o->data == NULL)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "beside which data? give a file or folder of pictures, or a recipe that names them");
    o->resamples = o->resamples < 0 ? 0 : o->resamples > 0 ? o->resamples : RESAMPLES;
    o->dir = o->dir != NULL && *o->dir != 0 ? o->dir : EBB_KEPT_USUAL;
    return j->model != NULL ? ebb_model_denoises(j->ctx, j->model) : EBB_OK;
}

/* The model's recipe, another, or one that is made of a path; and its size, so that pictures of another are refused early. */
static ebb_status choose_data(ebb_eval_job *j)
{
    EBB_TRY(ebb_data_recipe(j->ctx, j->model != NULL ? j->model->recipe : NULL, j->o.data, j->o.labels, &j->recipe));
    j->shape[0] = ebb_recipe_height(j->recipe);
    j->shape[1] = ebb_recipe_width(j->recipe);
    j->shape[2] = (int)j->recipe->data_channels;
    j->numbers = (int64_t)j->shape[0] * j->shape[1] * j->shape[2];
    return EBB_OK;
}

/* Whether samples can be drawn so. */
static ebb_status try_sampling(const ebb_eval_job *j)
{
    ebb_sampling *s;
    ebb_sample_options o = j->sample;
    o.size = sizeof o;
    o.n = 1;
    o.labels = NULL;
    EBB_TRY(ebb_sampling_create(j->ctx, j->model, &o, &s));
    ebb_sampling_free(s);
    return EBB_OK;
}

static ebb_status check_model(ebb_eval_job *j)
{
    EBB_TRY(ebb_data_fits(j->ctx, j->model, j->recipe));
    j->n = j->o.n > 0 ? j->o.n : j->o.quick ? QUICK : SAMPLES;
    if (j->o.sample == NULL && j->model->recipe->net_classes > 0)
        j->sample.label = EBB_LABEL_ALL;
    return try_sampling(j);
}

/* ---- what is done ------------------------------------------------------------------------------------------------------------------- */

ebb_status ebb_eval_progress(const ebb_eval_job *j, const char *doing, int64_t done, int64_t total)
{
    if (j->o.progress == NULL || j->o.progress(j->o.user, doing, done, total) == 0)
        return EBB_OK;
    return ebb_fail(j->ctx, EBB_E_ARGUMENT, "stopped while %s", doing);
}

static ebb_status on_quality(void *self, const char *doing, int64_t done, int64_t total)
{
    return ebb_eval_progress(self, doing, done, total);
}

static int on_likelihood(void *self, double done)
{
    return ebb_eval_progress(self, "likelihood", (int64_t)(1000 * done), 1000) != EBB_OK;
}

/* Of the data it is compared with, in bits a number. */
static ebb_status find_likelihood(ebb_eval_job *j)
{
    const ebb_recipe *r = j->recipe;
    ebb_nll_options o = {.size = sizeof o, .n = j->o.nll, .seed = j->sample.seed, .progress = on_likelihood, .user = j};
    char *text = NULL;
    if (j->o.data != NULL) {
        o.data = r->data_path;
        o.labels = *r->data_labels != 0 ? r->data_labels : NULL;
        o.unconditional = j->model->recipe->net_classes > 0 && o.labels == NULL && strcmp(r->data_kind, "png") != 0;
    }
    EBB_TRY(ebb_nll(j->ctx, j->model, &o, &text));
    ebb_status status = ebb_json_parse(j->ctx, text, "a likelihood", &j->likelihood);
    ebb_text_free(text);
    EBB_TRY(status);
    double bits = json_number_value(json_object_get(j->likelihood, "bits_per_dim"));
    double error = 1.645 * json_number_value(json_object_get(j->likelihood, "standard_error"));
    bool many = json_is_number(json_object_get(j->likelihood, "standard_error"));
    j->found[EBB_METRIC_BITS] = (ebb_measure){bits, many ? bits - error : NAN, many ? bits + error : NAN};
    return EBB_OK;
}

static ebb_status run(ebb_eval_job *j, const ebb_eval_options *options)
{
    EBB_TRY(check(j, options));
    EBB_TRY(choose_data(j));
    EBB_TRY(j->model != NULL ? check_model(j) : ebb_eval_read(j));
    ebb_quality_options q = {.dir = j->o.dir, .recipe = j->recipe, .n = j->n, .resamples = j->o.resamples, .quick = j->o.quick != 0,
                             .inception = j->o.inception, .progress = on_quality, .user = j};
    if (j->o.out != NULL)
        EBB_TRY(ebb_directory_make(j->ctx, j->o.out));
    EBB_TRY(ebb_quality_create(j->ctx, &q, &j->quality));
    if (j->model != NULL)
        EBB_TRY(ebb_eval_draw(j));
    EBB_TRY(ebb_quality_judge(j->quality, j->bytes, j->n, j->o.resamples, j->found));
    return j->o.nll > 0 ? find_likelihood(j) : EBB_OK;
}

static ebb_status report(ebb_eval_job *j, char **json)
{
    json_t *all = ebb_eval_report(j);
    ebb_status status = all == NULL ? EBB_OK : j->o.out != NULL ? ebb_eval_write(j, all) : EBB_OK;
    if (status == EBB_OK)
        return ebb_report_text(j->ctx, all, json);
    json_decref(all);
    return status;
}

ebb_status ebb_eval(ebb_context *ctx, ebb_model *model, const char *pictures, const ebb_eval_options *options, char **json)
{
    ebb_eval_job j = {.ctx = ctx, .model = model, .pictures = pictures};
    *json = NULL;
    ebb_status status = run(&j, options);
    if (status == EBB_OK)
        status = report(&j, json);
    ebb_quality_free(j.quality);
    ebb_recipe_free(j.recipe);
    ebb_free(j.bytes);
    ebb_free(j.label);
    json_decref(j.likelihood);
    return status;
}

ebb_status ebb_metric_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (int m = 0; m < EBB_METRICS; m++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", ebb_metric_name((ebb_metric)m), "better",
                                              ebb_metric_better((ebb_metric)m), "source", ebb_metric_source((ebb_metric)m), "help",
                                              ebb_metric_help((ebb_metric)m)));
    return ebb_report_text(ctx, list, json);
}
