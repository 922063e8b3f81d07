/* features.c: pictures through a classifier without its derivatives (features.h).
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

void ebb_features_free(ebb_features *f)
{
    ebb_plan_free(f->plan);
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

static void read_shard(void *self, int64_t shard, int worker)
{
    const reading *r = self;
    const ebb_features *f = r->f;
    int64_t rows = f->way.shard, first = shard * rows;
    double *x = f->room + worker * rows * f->numbers;
    for (int64_t i = 0; i < rows; i++) {
        int64_t k = first + i < r->n ? first + i : r->n - 1;
        for (int64_t d = 0; d < f->numbers; d++)
            x[i * f->numbers + d] = f->level[i].alpha * r->pictures[k * f->numbers + d];
    }
    ebb_classifier_fill(f->model, f->plan, worker, rows, f->numbers, x, f->level);
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
