/* toy_score.c: a network that learns the score of an exact law, and how wrong it is at each level.
 */
#include <math.h>
#include <string.h>

#include "train/learner.h"
#include "model/plans.h"
#include "study/toy.h"

#define LEVELS 8
#define POINTS 4096              /* of each level */
#define FISHER_SEED 0xf15e4

/* ---- learning ------------------------------------------------------------------------------------------------------------ */

static ebb_status train_steps(ebb_toy_job *t, ebb_learner *l)
{
    double loss, norm, sum = 0;
    int64_t steps = t->recipe->train_steps, last = steps < 100 ? steps : 100;
    t->doing = "training";
    for (int64_t k = 0; k < steps; k++) {
        EBB_TRY(ebb_learner_step(l, &loss, &norm));
        sum += k >= steps - last ? loss / (double)last : 0;
        if (ebb_toy_progress(t, k + 1, steps) != 0)
            return ebb_toy_stopped(t);
    }
    t->trained_loss = sum;
    t->trained_steps = steps;
    return EBB_OK;
}

/* The averaged weights, as a model of its own. */
static ebb_status keep(ebb_toy_job *t, const ebb_learner *l)
{
    EBB_TRY(ebb_model_create(t->ctx, t->recipe, &t->model));
    size_t length = (size_t)l->params.length;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&t->model->owned, length, sizeof(float), "weights"));
    memcpy(t->model->owned, l->blocks.ema, length * sizeof(float));
    t->model->weights = t->model->owned;
    t->model->step = l->step;
    if (t->o.save == NULL)
        return EBB_OK;
    float *stage;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&stage, length, sizeof(float), "weights"));
    ebb_status status = ebb_model_save(t->model, t->o.save, stage);
    ebb_free(stage);
    return status;
}

static ebb_status train(ebb_toy_job *t)
{
    ebb_dataset data = {0};
    ebb_learner learner = {.shards.result = -1};
    EBB_TRY(ebb_recipe_check(t->ctx, t->recipe));
    EBB_TRY(ebb_recipe_dataset(t->ctx, t->recipe, &data));
    ebb_recipe_resolve(t->recipe, &data);
    ebb_recipe_settle(t->ctx, t->recipe);
    ebb_status status = ebb_learner_create(t->ctx, t->recipe, &data, &learner);
    if (status == EBB_OK)
        status = train_steps(t, &learner);
    if (status == EBB_OK)
        status = keep(t, &learner);
    ebb_learner_free(&learner);
    ebb_dataset_free(&data);
    return status;
}

static ebb_status load(ebb_toy_job *t)
{
    EBB_TRY(ebb_model_load(t->ctx, t->o.model, &t->model));
    EBB_TRY(ebb_model_denoises(t->ctx, t->model));
    const ebb_network *net = &t->model->net;
    int64_t numbers = ebb_shape_count(ebb_network_shape(net, 1));
    if (numbers != t->law.dim)
        return ebb_fail(t->ctx, EBB_E_SHAPE, "%s makes %lld numbers a sample, and %s has %d dimensions", t->o.model,
                        (long long)numbers, t->o.target, t->law.dim);
    EBB_TRY(ebb_recipe_copy(t->ctx, t->model->recipe, &t->recipe));
    return ebb_recipe_process(t->ctx, t->recipe, &t->process);
}

ebb_status ebb_toy_learn(ebb_toy_job *t)
{
    if (t->o.model == NULL && strcmp(t->o.score, "train") != 0)
        return EBB_OK;
    EBB_TRY(t->o.model != NULL ? load(t) : train(t));
    if (t->o.label != EBB_LABEL_NONE && t->o.label >= ebb_network_classes(&t->model->net))
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "class %d: the model knows %d classes", t->o.label, ebb_network_classes(&t->model->net));
    ebb_plan_options options = ebb_recipe_plan(t->recipe, t->ctx->threads);
    EBB_TRY(ebb_eval_plan(t->ctx, &t->model->net, EBB_TOY_ROWS, &options, &t->plan));
    ebb_params_bind(&t->model->params, t->plan, t->model->weights);
    ebb_plan_prepare(t->plan);
    return EBB_OK;
}

/* ---- Fisher's divergence --------------------------------------------------------------------------------------------------- */

typedef struct fisher {
    ebb_toy_job *t;
    ebb_level at;
    const ebb_target *law;       /* whose score is the true one */
    double *room;                /* of each worker: points, scores */
    double *wrong, *size;        /* (shards) sums of |s - true|^2 and |true|^2 */
} fisher;

static void fisher_shard(void *self, int64_t shard, int worker)
{
    fisher *f = self;
    ebb_toy_job *t = f->t;
    int dim = t->law.dim;
    double *x = f->room + (size_t)worker * 2 * EBB_TOY_ROWS * (size_t)dim, *eps = x + EBB_TOY_ROWS * dim, score[EBB_TARGET_DIM_MAX];
    float z[EBB_TARGET_DIM_MAX];
    ebb_level rows[EBB_TOY_ROWS];
    int32_t label[EBB_TOY_ROWS];
    ebb_target_sample(f->law, FISHER_SEED, shard * EBB_TOY_ROWS, EBB_TOY_ROWS, x, NULL);
    for (int i = 0; i < EBB_TOY_ROWS; i++) {
        ebb_rng_at at = {.seed = FISHER_SEED, .stream = EBB_STREAM_EVAL, .sample = (uint32_t)(shard * EBB_TOY_ROWS + i)};
        t->ctx->kernels->normal_f32((size_t)dim, z, &at);
        for (int d = 0; d < dim; d++)
            x[i * dim + d] = f->at.alpha * x[i * dim + d] + f->at.sigma * z[d];
        rows[i] = f->at;
        label[i] = t->o.label != EBB_LABEL_NONE ? t->o.label : ebb_network_classes(&t->model->net);
    }
    ebb_model_field model = {.model = t->model, .plan = t->plan, .worker = worker, .n = EBB_TOY_ROWS, .numbers = dim, .label = label};
    ebb_field field = ebb_field_of_model(&model);
    field.predict(field.self, x, rows, eps, NULL);
    for (int i = 0; i < EBB_TOY_ROWS; i++) {
        ebb_target_at(f->law, x + i * dim, f->at.alpha, f->at.sigma, NULL, score, NULL, NULL);
        for (int d = 0; d < dim; d++) {
            double off = -eps[i * dim + d] / f->at.sigma - score[d];
            f->wrong[shard] += off * off;
            f->size[shard] += score[d] * score[d];
        }
    }
}

static void fisher_level(fisher *f, double *wrong, double *size)
{
    enum { SHARDS = POINTS / EBB_TOY_ROWS };
    *wrong = *size = 0;
    for (int s = 0; s < SHARDS; s++)
        f->wrong[s] = f->size[s] = 0;
    ebb_par_for(f->t->ctx->threads, SHARDS, fisher_shard, f);
    for (int s = 0; s < SHARDS; s++) {
        *wrong += f->wrong[s] / POINTS;
        *size += f->size[s] / POINTS;
    }
}

/* At equal steps of log(alpha/sigma) between the last level that sampling sees and noise. */
ebb_status ebb_toy_fisher(ebb_toy_job *t, json_t **out)
{
    const ebb_process *p = &t->process;
    fisher f = {.t = t, .law = t->o.label != EBB_LABEL_NONE ? &t->one : &t->law};
    size_t room = (size_t)t->ctx->threads * 2 * EBB_TOY_ROWS * (size_t)t->law.dim;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&f.room, room + 2 * POINTS / EBB_TOY_ROWS, sizeof(double), "Fisher's divergence"));
    f.wrong = f.room + room;
    f.size = f.wrong + POINTS / EBB_TOY_ROWS;
    double first = ebb_process_lambda(p, fmax(p->least_sample, p->steps > 0 ? 0 : 1e-9)), last = ebb_process_lambda(p, p->end);
    last = isfinite(last) ? last : -5;
    *out = json_array();
    t->doing = "Fisher's divergence";
    for (int k = 0; k < LEVELS && ebb_toy_progress(t, k + 1, LEVELS) == 0; k++) {
        double wrong, size, time = ebb_process_time(p, first + (last - first) * k / (LEVELS - 1));
        f.at = ebb_process_level(p, p->steps > 0 ? round(time) : time);
        fisher_level(&f, &wrong, &size);
        json_array_append_new(*out, json_pack("{s:f, s:f, s:o, s:o}", "t", f.at.t, "k_sigma", f.at.sigma / f.at.alpha, "divergence",
                                              ebb_report_number(wrong), "score", ebb_report_number(size)));
    }
    ebb_free(f.room);
    return ebb_toy_stopped(t);
}
