/* ema_make.c: averages of any width after a run, from the snapshots that it left (Karras et al. 2024, sec. 3.2).
 *
 * The factors come from ema.c; here the files ema-*.safetensors of a folder are found, read one by one, and summed in
 * double.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/ema.h"
#include "model/model.h"
#include "model/report.h"

#define SNAPSHOTS_MAX 256
#define NAME_MAX_BYTES 128

typedef struct snapshots {
    ebb_context *ctx;
    const char *dir;
    int count;
    char name[SNAPSHOTS_MAX][NAME_MAX_BYTES];
    double time[SNAPSHOTS_MAX], gamma[SNAPSHOTS_MAX], factor[SNAPSHOTS_MAX];
    ebb_model *model;            /* of the first one: recipe and places */
    double *sum;                 /* (params.length) */
    float *block, *stage;
} snapshots;

static ebb_status path_of(const snapshots *s, int i, char *path, size_t size)
{
    int n = snprintf(path, size, "%s/%s", s->dir, s->name[i]);
    return n > 0 && (size_t)n < size ? EBB_OK : ebb_fail(s->ctx, EBB_E_ARGUMENT, "the name of the folder is too long: %s", s->dir);
}

static ebb_status width_of(ebb_context *ctx, const ebb_safetensors *st, double *width)
{
    const char *text = ebb_st_metadata(st, "ebb.ema_width");
    char *end = NULL;
    *width = text ? strtod(text, &end) : 0;
    if (!(*width > 0 && *width < 0.288) || *end != 0)
        return ebb_fail(ctx, EBB_E_FORMAT, "%s: metadata 'ebb.ema_width' is missing or no width", st->path);
    return EBB_OK;
}

/* Time and width of snapshot i from its metadata. */
static ebb_status read_header(snapshots *s, int i)
{
    char path[4096];
    ebb_safetensors st;
    int64_t step;
    double width;
    EBB_TRY(path_of(s, i, path, sizeof path));
    EBB_TRY(ebb_st_read(s->ctx, path, &st));
    ebb_status status = ebb_model_step(s->ctx, &st, &step);
    if (status == EBB_OK)
        status = width_of(s->ctx, &st, &width);
    ebb_st_free(&st);
    EBB_TRY(status);
    s->time[i] = (double)step;
    s->gamma[i] = ebb_ema_gamma(width);
    return EBB_OK;
}

static bool is_snapshot(const char *name)
{
    size_t n = strlen(name);
    return strncmp(name, "ema-", 4) == 0 && n < NAME_MAX_BYTES && n > 12 && strcmp(name + n - 12, ".safetensors") == 0;
}

/* All of the folder up to that step (0: the last one's, which is told). */
static ebb_status find(snapshots *s, int64_t *step)
{
    char **names;
    int32_t n = 0;
    double last = 0;
    EBB_TRY(ebb_directory_list(s->ctx, s->dir, &names, &n));
    ebb_status status = EBB_OK;
    for (int32_t k = 0; k < n && status == EBB_OK; k++) {
        if (!is_snapshot(names[k]))
            continue;
        if (s->count == SNAPSHOTS_MAX) {
            status = ebb_fail(s->ctx, EBB_E_ARGUMENT, "%s holds more than %d snapshots", s->dir, SNAPSHOTS_MAX);
            break;
        }
        snprintf(s->name[s->count], NAME_MAX_BYTES, "%s", names[k]);
        status = read_header(s, s->count);
        if (status == EBB_OK && (*step == 0 || s->time[s->count] <= (double)*step)) {
            last = fmax(last, s->time[s->count]);
            s->count++;
        }
    }
    ebb_free(names);
    EBB_TRY(status);
    if (s->count == 0)
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "%s: no ema-*.safetensors%s: train with optim.ema_kind=power-function and "
                        "train.snapshot_every", s->dir, *step > 0 ? " up to that step" : "");
    *step = *step > 0 ? *step : (int64_t)last;
    return EBB_OK;
}

static ebb_status add(snapshots *s, int i)
{
    char path[4096];
    ebb_safetensors st;
    EBB_TRY(path_of(s, i, path, sizeof path));
    EBB_TRY(ebb_st_read(s->ctx, path, &st));
    ebb_status status = ebb_params_read(s->ctx, &s->model->params, &st, "", s->block);
    ebb_st_free(&st);
    EBB_TRY(status);
    for (int k = 0; k < s->model->params.count; k++) {
        const ebb_param_place *p = &s->model->params.at[k];
        for (int64_t j = p->offset; j < p->offset + p->count; j++)
            s->sum[j] += s->factor[i] * (double)s->block[j];
    }
    return EBB_OK;
}

static ebb_status combine(snapshots *s, double width, int64_t step, const char *out)
{
    char path[4096];
    EBB_TRY(ebb_ema_combine(s->ctx, s->count, s->time, s->gamma, (double)step, ebb_ema_gamma(width), s->factor));
    EBB_TRY(path_of(s, 0, path, sizeof path));
    EBB_TRY(ebb_model_load(s->ctx, path, &s->model));
    size_t length = (size_t)s->model->params.length;
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->sum, length, sizeof *s->sum, "sum of the snapshots"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->block, length, sizeof *s->block, "a snapshot"));
    EBB_TRY(ebb_alloc(s->ctx, (void **)&s->stage, length, sizeof *s->stage, "a snapshot"));
    for (int i = 0; i < s->count; i++)
        EBB_TRY(add(s, i));
    for (size_t j = 0; j < length; j++)
        s->block[j] = (float)s->sum[j];
    s->model->weights = s->block;
    s->model->step = step;
    s->model->ema_width = width;
    return ebb_model_save(s->model, out, s->stage);
}

static json_t *describe(const snapshots *s, double width, int64_t step, const char *path)
{
    json_t *rows = json_array();
    for (int i = 0; i < s->count; i++)
        json_array_append_new(rows, json_pack("{s:s, s:I, s:f, s:f}", "file", s->name[i], "step", (json_int_t)s->time[i],
                                              "width", ebb_ema_width(s->gamma[i]), "factor", s->factor[i]));
    return json_pack("{s:s, s:f, s:f, s:I, s:o}", "model", path, "width", width, "gamma", ebb_ema_gamma(width), "step",
                     (json_int_t)step, "snapshots", rows);
}

ebb_status ebb_ema_make(ebb_context *ctx, const char *dir, double width, int64_t step, const char *path, char **json)
{
    snapshots *s;
    *json = NULL;
    if (!(width >= 0.005 && width <= 0.28) || step < 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "an average of relative width %g up to step %lld: 0.005 to 0.28 and a step of the "
                        "run are possible", width, (long long)step);
    EBB_TRY(ebb_alloc(ctx, (void **)&s, 1, sizeof *s, "list of snapshots"));
    s->ctx = ctx;
    s->dir = dir;
    ebb_status status = find(s, &step);
    if (status == EBB_OK)
        status = combine(s, width, step, path);
    if (status == EBB_OK)
        status = ebb_report_text(ctx, describe(s, width, step, path), json);
    ebb_model_free(s->model);
    ebb_free(s->sum);
    ebb_free(s->block);
    ebb_free(s->stage);
    ebb_free(s);
    return status;
}
