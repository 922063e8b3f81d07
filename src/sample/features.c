/* features.c: pictures through a classifier, ours or Inception-v3, without its derivatives (features.h).
 *
 * No row's arithmetic sees another's, and the last shard is padded with its last picture, so that a picture's features are the
 * same in any company.
 */
#include "sample/features.h"

#include <math.h>

#include "model/plans.h"
#include "sample/classifier.h"
#include "sample/field.h"

/* ---- making ------------------------------------------------------------------------------------------------------------------ */

static ebb_level least_noise(const ebb_process *p)
{
    double t = ebb_process_time(p, ebb_process_lambda(p, fmax(p->least_sample, p->steps > 0 ? 0 : 1e-9)));
    return ebb_process_level(p, p->steps > 0 ? round(t) : t);
}

static ebb_status make(ebb_features *f)
{
    const ebb_model *m = f->model;
    const ebb_unet_config *u = &m->net.u.unet;
    ebb_plan_options options = ebb_recipe_plan(m->recipe, f->way.workers);
    options.team = f->way.team;
    EBB_TRY(ebb_feature_plan(f->ctx, &m->net, f->way.shard, &options, &f->plan));
    size_t shard = (size_t)f->way.shard, numbers = (size_t)f->numbers;
    EBB_TRY(ebb_alloc(f->ctx, (void **)&f->room, (size_t)f->way.workers * shard * numbers, sizeof *f->room, "pictures"));
    EBB_TRY(ebb_alloc(f->ctx, (void **)&f->level, shard, sizeof *f->level, "levels"));
    for (size_t i = 0; i < shard; i++)
        f->level[i] = least_noise(&m->process);
    f->classes = m->net.logits;
    f->dim = u->base * u->mult[u->levels - 1];
    ebb_params_bind(&m->params, f->plan, m->weights);
    ebb_plan_prepare(f->plan);
    return EBB_OK;
}

ebb_status ebb_features_create(ebb_context *ctx, const ebb_model *model, int64_t most, ebb_features *out)
{
    *out = (ebb_features){.ctx = ctx, .model = model, .most = most, .way = ebb_field_way(ctx, most)};
    out->numbers = ebb_shape_count(ebb_network_shape(&model->net, 1));
    ebb_status status = make(out);
    if (status != EBB_OK)
        ebb_features_free(out);
    return status;
}

/* ---- Inception-v3 ------------------------------------------------------------------------------------------------------------ */

enum { SIDE = EBB_INCEPTION_SIDE, ROWS = 4 };    /* pictures that a walk through the plan takes at most */

/* Convolutions are summed directly: its features are compared with those of others. */
static ebb_status plan_inception(ebb_features *f, ebb_graph *g)
{
    ebb_value values[2];
    ebb_plan_options options = {.workers = f->way.workers, .team = f->way.team};
    values[0] = ebb_nn_inception(g, ebb_input(g, "x", EBB_F32, EBB_SHAPE(f->way.shard, SIDE, SIDE, 3)), &values[1]);
    EBB_TRY(ebb_graph_status(g));
    f->classes = (int)ebb_graph_shape(g, values[0]).dim[1];
    f->dim = (int)ebb_graph_shape(g, values[1]).dim[1];
    EBB_TRY(ebb_params_from_graph(f->ctx, g, &f->params));
    return ebb_plan_create(f->ctx, g, values, 2, &options, &f->plan);
}

static ebb_status load_inception(ebb_features *f, const char *path)
{
    ebb_safetensors st;
    EBB_TRY(ebb_alloc(f->ctx, (void **)&f->weights, (size_t)f->params.length, sizeof *f->weights, "weights of Inception-v3"));
    EBB_TRY(ebb_st_read(f->ctx, path, &st));
    ebb_status status = ebb_params_read(f->ctx, &f->params, &st, "", f->weights);
    ebb_st_free(&st);
    EBB_TRY(status);
    ebb_params_bind(&f->params, f->plan, f->weights);
    ebb_plan_prepare(f->plan);
    return EBB_OK;
}

static ebb_status make_inception(ebb_features *f, const char *path)
{
    ebb_graph *g;
    if (f->shape[2] != 1 && f->shape[2] != 3)
        return ebb_fail(f->ctx, EBB_E_SHAPE, "Inception-v3 sees pictures of 1 or 3 channels, not %d", f->shape[2]);
    EBB_TRY(ebb_graph_create(f->ctx, &g));
    ebb_status status = plan_inception(f, g);
    ebb_graph_free(g);
    return status == EBB_OK ? load_inception(f, path) : status;
}

ebb_status ebb_features_create_inception(ebb_context *ctx, const char *path, const int shape[3], int64_t most, ebb_features *out)
{
    *out = (ebb_features){.ctx = ctx, .most = most, .shape = {shape[0], shape[1], shape[2]}};
    out->numbers = (int64_t)shape[0] * shape[1] * shape[2];
    out->way = ebb_eval_choose(most, ROWS, ctx->threads);
    ebb_status status = make_inception(out, path);
    if (status != EBB_OK)
        ebb_features_free(out);
    return status;
}

/* Where place i of SIDE lies among n: between *a and the next, by that share. */
static double between(int i, int n, int *a, int *b)
{
    double at = fmax((i + 0.5) * n / SIDE - 0.5, 0);
    *a = (int)at;
    *b = *a + 1 < n ? *a + 1 : n - 1;
    return at - *a;
}

static void resize(const ebb_features *f, const float *picture, float *to)
{
    int w = f->shape[1], channels = f->shape[2], top, below, left, right;
    for (int i = 0; i < SIDE; i++) {
        double down = between(i, f->shape[0], &top, &below);
        for (int j = 0; j < SIDE; j++) {
            double across = between(j, w, &left, &right);
            for (int c = 0; c < 3; c++) {
                int k = channels == 1 ? 0 : c;
                double over = (1 - across) * picture[(top * w + left) * channels + k] + across * picture[(top * w + right) * channels + k];
                double under = (1 - across) * picture[(below * w + left) * channels + k] + across * picture[(below * w + right) * channels + k];
                to[(i * SIDE + j) * 3 + c] = (float)((1 - down) * over + down * under);
            }
        }
    }
}

void ebb_features_free(ebb_features *f)
{
    ebb_plan_free(f->plan);
    ebb_params_free(&f->params);
    ebb_free(f->weights);
    ebb_free(f->room);
    ebb_free(f->level);
    *f = (ebb_features){0};
}

/* ---- reading ----------------------------------------------------------------------------------------------------------------- */

typedef struct reading {
    const ebb_features *f;
    const float *pictures;
    int64_t n;
    double *feature, *probability;
} reading;

static void soften(const float *logit, int classes, double *probability)
{
    double top = logit[0], sum = 0;
    for (int c = 1; c < classes; c++)
        top = fmax(top, logit[c]);
    for (int c = 0; c < classes; c++)
        sum += probability[c] = exp(logit[c] - top);
    for (int c = 0; c < classes; c++)
        probability[c] /= sum;
}

/* The last picture again where there are no more. */
static void fill(const reading *r, int64_t first, int worker)
{
    const ebb_features *f = r->f;
    int64_t rows = f->way.shard, numbers = f->numbers;
    double *x = f->room + worker * rows * numbers;
    for (int64_t i = 0; i < rows; i++) {
        const float *picture = r->pictures + (first + i < r->n ? first + i : r->n - 1) * numbers;
        if (f->model == NULL)
            resize(f, picture, (float *)ebb_plan_input(f->plan, worker, "x") + i * SIDE * SIDE * 3);
        for (int64_t d = 0; f->model != NULL && d < numbers; d++)
            x[i * numbers + d] = f->level[i].alpha * picture[d];
    }
    if (f->model != NULL)
        ebb_classifier_fill(f->model, f->plan, worker, rows, numbers, x, f->level);
}

static void read_shard(void *self, int64_t shard, int worker)
{
    const reading *r = self;
    const ebb_features *f = r->f;
    int64_t rows = f->way.shard, first = shard * rows;
    fill(r, first, worker);
    ebb_plan_run(f->plan, worker);
    const float *logits = ebb_plan_output(f->plan, worker, 0), *features = ebb_plan_output(f->plan, worker, 1);
    for (int64_t i = 0; i < rows && first + i < r->n; i++) {
        soften(logits + i * f->classes, f->classes, r->probability + (first + i) * f->classes);
        for (int k = 0; k < f->dim; k++)
            r->feature[(first + i) * f->dim + k] = features[i * f->dim + k];
    }
}

ebb_status ebb_features_read(ebb_features *f, const float *pictures, int64_t n, double *feature, double *probability)
{
    reading r = {f, pictures, n, feature, probability};
    if (n < 1 || n > f->most)
        return ebb_fail(f->ctx, EBB_E_ARGUMENT, "features of %lld pictures: 1 to %lld at a time", (long long)n, (long long)f->most);
    ebb_par_teams(f->way.workers, f->way.team, (n + f->way.shard - 1) / f->way.shard, read_shard, &r);
    EBB_TRY(ebb_plan_check(f->plan));
    for (int64_t i = 0; i < n * f->dim; i++)
        if (!isfinite(feature[i]))
            return ebb_fail(f->ctx, EBB_E_NUMERIC, "features of picture %lld are not finite", (long long)(i / f->dim));
    return EBB_OK;
}
