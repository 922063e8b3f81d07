/* learner.c: draw a batch (batch.c), gradient by shards, one step of AdamW. */
#include <math.h>
#include <string.h>

#include "train/learner.h"
#include "train/memory.h"

static ebb_status make_blocks(ebb_context *ctx, bool measure_only, ebb_learner *l)
{
    size_t length = (size_t)l->params.length;
    l->arrays = ebb_recipe_has_ema2(l->recipe) ? 5 : 4;
    EBB_TRY(ebb_alloc(ctx, (void **)&l->partial, (size_t)ebb_optim_chunks(l->params.length),
                      sizeof *l->partial, "gradient norm"));
    EBB_TRY(ebb_alloc(ctx, (void **)&l->pictures, (size_t)l->recipe->train_batch, sizeof *l->pictures, "batch"));
    if (strcmp(l->recipe->loss_times, "history") == 0) {
        EBB_TRY(ebb_history_create(ctx, l->process.steps, &l->history));
        EBB_TRY(ebb_alloc(ctx, (void **)&l->times, (size_t)l->recipe->train_batch, sizeof *l->times, "times of the batch"));
    }
    if (measure_only)
        return EBB_OK;
    EBB_TRY(ebb_alloc(ctx, (void **)&l->blocks.p, (size_t)l->arrays * length, sizeof(float), "weights, moments and averages"));
    l->blocks.m = l->blocks.p + length;
    l->blocks.v = l->blocks.m + length;
    l->blocks.ema = l->blocks.v + length;
    l->blocks.ema2 = l->arrays > 4 ? l->blocks.ema + length : NULL;
    return EBB_OK;
}

static ebb_status make(ebb_context *ctx, bool measure_only, ebb_learner *l)
{
    const ebb_recipe *r = l->recipe;
    ebb_plan_options plan = ebb_recipe_training_plan(r, 0);
    plan.measure_only = measure_only;
    EBB_TRY(ebb_recipe_network(ctx, r, &l->net));
    EBB_TRY(ebb_recipe_process(ctx, r, &l->process));
    ebb_recipe_objective(r, &l->objective);
    EBB_TRY(ebb_batch_check(ctx, r, &l->process));
    if (l->objective.loss == EBB_LOSS_EXPLICIT)
        EBB_TRY(ebb_recipe_target(ctx, r, &l->target));
    EBB_TRY(ebb_params_from_network(ctx, &l->net, &l->params));
    EBB_TRY(make_blocks(ctx, measure_only, l));
    EBB_TRY(ebb_order_create(ctx, (uint64_t)r->train_seed, l->data->n, &l->order));
    return ebb_shards_create(ctx, &l->net, &l->objective, &l->params, r->train_batch, r->train_shard, plan, &l->shards);
}

/* The first touch of what was asked for. */
static void begin(ebb_context *ctx, ebb_learner *l)
{
    ebb_params_bind(&l->params, l->shards.plan, l->blocks.p);
    ebb_params_init(ctx, &l->params, (uint64_t)l->recipe->train_seed, l->blocks.p);
    for (int64_t i = 0; i < (l->arrays - 3) * l->params.length; i++)
        l->blocks.ema[i] = l->blocks.p[i % l->params.length];
    ebb_learner_refresh(l);
}

static ebb_status create(ebb_context *ctx, const ebb_recipe *recipe, const ebb_dataset *data, bool measure_only,
                         ebb_learner *out)
{
    *out = (ebb_learner){.ctx = ctx, .recipe = recipe, .data = data, .shards.result = -1, .order.epoch = -1};
    ebb_status status = make(ctx, measure_only, out);
    if (status == EBB_OK && !measure_only)
        status = ebb_memory_fits(ctx);
    if (status != EBB_OK)
        ebb_learner_free(out);
    return status;
}

ebb_status ebb_learner_measure(ebb_context *ctx, const ebb_recipe *recipe, const ebb_dataset *data, ebb_learner *out)
{
    return create(ctx, recipe, data, true, out);
}

ebb_status ebb_learner_create(ebb_context *ctx, const ebb_recipe *recipe, const ebb_dataset *data,
                              ebb_learner *out)
{
    ebb_status status = create(ctx, recipe, data, false, out);
    if (status == EBB_E_MEMORY)
        return ebb_memory_explain(ctx, recipe, data);
    if (status == EBB_OK)
        begin(ctx, out);
    return status;
}

ebb_learner_bytes ebb_learner_memory(const ebb_learner *l)
{
    ebb_plan_size plan = ebb_plan_measure(l->shards.plan);
    size_t block = (size_t)l->params.length * sizeof(float), workers = (size_t)l->shards.workers;
    return (ebb_learner_bytes){.blocks = (size_t)l->arrays * block, .gradients = (size_t)l->shards.nbuffers * block,
                               .packed = plan.shared, .values = workers * plan.arena,
                               .scratch = workers * (plan.worker - plan.arena)};
}

void ebb_learner_free(ebb_learner *l)
{
    ebb_shards_free(&l->shards);
    ebb_order_free(&l->order);
    ebb_params_free(&l->params);
    ebb_process_free(&l->process);
    ebb_target_free(&l->target);
    ebb_history_free(&l->history);
    ebb_free(l->times);
    ebb_free(l->blocks.p);
    ebb_free(l->partial);
    ebb_free(l->pictures);
    *l = (ebb_learner){.shards.result = -1, .order.epoch = -1};
}

void ebb_learner_refresh(ebb_learner *l)
{
    ebb_plan_prepare(l->shards.plan);
}

/* ---- the step --------------------------------------------------------------------------- */

/* Of a classifier: the part of the batch whose class it found. */
static double found(const ebb_learner *l)
{
    double sum = 0;
    for (int64_t i = 0; i < l->recipe->train_batch; i++)
        sum += l->shards.each[i];
    return sum / (double)l->recipe->train_batch;
}

ebb_status ebb_learner_step(ebb_learner *l, double *loss, double *norm)
{
    float *gradient;
    int64_t batch = l->recipe->train_batch, n = l->step + 1;
    for (int64_t i = 0; i < batch; i++)
        l->pictures[i] = ebb_order_at(&l->order, l->step * batch + i);
    ebb_batch_times(l);
    EBB_TRY(ebb_shards_run(&l->shards, ebb_batch_fill, l, loss, &gradient));
    *norm = ebb_optim_norm(l->ctx, gradient, l->params.length, l->partial);
    if (!isfinite(*loss) || !isfinite(*norm))
        return ebb_fail(l->ctx, EBB_E_NUMERIC,
                        "step %lld: the loss is %g and the gradient norm %g: training has "
                        "diverged; try a smaller optim.lr (%g) or more optim.warmup",
                        (long long)n, *loss, *norm, l->recipe->optim_lr);
    ebb_optim_step(l->ctx, l->recipe, n, &l->blocks, gradient, *norm, l->params.trained);
    ebb_learner_refresh(l);
    ebb_batch_learn(l);
    l->found = l->net.logits > 0 ? found(l) : NAN;
    l->step = n;
    return EBB_OK;
}
