/* eval_report.c: what ebb_eval found, as JSON and as files.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/report.h"
#include "study/eval.h"

enum { SHOWN = 100, COLUMNS = 10 };

/* ---- JSON -------------------------------------------------------------------------------------------------------------------------- */

/* How the pictures were made. */
static json_t *made(const ebb_eval_job *j)
{
    const ebb_sample_options *o = &j->sample;
    if (j->model == NULL)
        return json_pack("{s:s, s:I}", "pictures", j->pictures, "n", (json_int_t)j->n);
    const ebb_recipe *r = j->model->recipe;
    const char *sampler = o->sampler != NULL ? o->sampler : r->sample_sampler;
    double guidance = isnan(o->guidance) && o->label != EBB_LABEL_NONE ? r->sample_guidance : o->guidance;
    json_t *json = json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:o}", "model", r->about_name, "step", (json_int_t)j->model->step, "n",
                             (json_int_t)j->n, "sampler", sampler, "grid", o->grid != NULL ? o->grid : "", "evaluations",
                             (json_int_t)j->evaluations, "guidance", ebb_report_number(guidance));
    json_object_set_new(json, "seed", json_integer((json_int_t)o->seed));
    json_object_set_new(json, "classes", o->label == EBB_LABEL_ALL ? json_string(j->label != NULL ? "as in the data" : "as many of each") : o->label == EBB_LABEL_NONE ? json_null()
                                                                                                     : json_integer(o->label));
    return json;
}

static json_t *row(const ebb_eval_job *j, ebb_metric m)
{
    const ebb_measure *found = &j->found[m], *floor = &ebb_quality_floor(j->quality)[m];
    json_t *json = json_pack("{s:s, s:o, s:o, s:o}", "name", ebb_metric_name(m), "value", ebb_report_number(found->value), "low",
                             ebb_report_number(found->low), "high", ebb_report_number(found->high));
    json_object_set_new(json, "floor", ebb_report_number(floor->value));
    json_object_set_new(json, "floor_low", ebb_report_number(floor->low));
    json_object_set_new(json, "floor_high", ebb_report_number(floor->high));
    json_object_set_new(json, "ratio", floor->value > 0 ? ebb_report_number(found->value / floor->value) : json_null());
    json_object_set_new(json, "better", json_string(ebb_metric_better(m)));
    json_object_set_new(json, "source", json_string(ebb_metric_source(m)));
    json_object_set_new(json, "help", json_string(ebb_metric_help(m)));
    return json;
}

json_t *ebb_eval_report(const ebb_eval_job *j)
{
    json_t *metrics = json_array();
    for (int m = 0; m < EBB_METRICS; m++)
        if (!isnan(j->found[m].value))
            json_array_append_new(metrics, row(j, (ebb_metric)m));
    json_t *all = json_pack("{s:s, s:b, s:o, s:o, s:i, s:o}", "kind", j->model != NULL ? "model" : "pictures", "quick", j->o.quick != 0,
                            "judged", made(j), "beside", ebb_quality_about(j->quality), "resamples", j->o.resamples, "metrics", metrics);
    if (j->likelihood != NULL)
        json_object_set(all, "likelihood", j->likelihood);
    return all;
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------------ */

static ebb_status path_of(const ebb_eval_job *j, const char *name, char path[EBB_KEPT_PATH])
{
    int n = snprintf(path, EBB_KEPT_PATH, "%s/%s", j->o.out, name);
    return n > 0 && n < EBB_KEPT_PATH ? EBB_OK : ebb_fail(j->ctx, EBB_E_ARGUMENT, "the name of the directory is too long: %s", j->o.out);
}

/* Pictures from all over, in order: of classes in turn each has its rows. */
static ebb_status write_grid(const ebb_eval_job *j)
{
    char path[EBB_KEPT_PATH];
    int64_t n = j->n < SHOWN ? j->n : SHOWN;
    uint8_t *shown;
    if (j->shape[2] != 1 && j->shape[2] != 3)
        return EBB_OK;
    EBB_TRY(path_of(j, "samples.png", path));
    EBB_TRY(ebb_alloc(j->ctx, (void **)&shown, (size_t)n, (size_t)j->numbers, "a grid of pictures"));
    for (int64_t i = 0; i < n; i++)
        memcpy(shown + i * j->numbers, j->bytes + i * j->n / n * j->numbers, (size_t)j->numbers);
    ebb_status status = ebb_grid_write(j->ctx, path, shown, n, j->shape[0], j->shape[1], j->shape[2], COLUMNS, NULL);
    ebb_free(shown);
    return status;
}

ebb_status ebb_eval_write(const ebb_eval_job *j, const json_t *report)
{
    char path[EBB_KEPT_PATH];
    if (j->model != NULL) {
        EBB_TRY(path_of(j, "samples.npy", path));
        EBB_TRY(ebb_npy_write_u8(j->ctx, path, j->bytes, 4, (const int64_t[]){j->n, j->shape[0], j->shape[1], j->shape[2]}));
    }
    EBB_TRY(write_grid(j));
    EBB_TRY(path_of(j, "metrics.png", path));
    EBB_TRY(ebb_eval_chart(j, path));
    EBB_TRY(path_of(j, "results.json", path));
    return ebb_json_write(j->ctx, path, report);
}
