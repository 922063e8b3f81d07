/* learner.c: draw a batch, gradient by shards, one step of AdamW.
 *
 * Whatever is random in step n about picture i of the batch (which picture, timestep, noise, dropped
 * label, mirroring) is a function of (seed, n, i).
 */
#include <math.h>

#include "train/learner.h"
#include "train/memory.h"

static ebb_status make_blocks(ebb_context *ctx, bool measure_only, ebb_learner *l)
{
    size_t length = (size_t)l->params.length;
    EBB_TRY(ebb_alloc(ctx, (void **)&l->partial, (size_t)ebb_optim_chunks(l->params.length),
                      sizeof *l->partial, "gradient norm"));
    EBB_TRY(ebb_alloc(ctx, (void **)&l->pictures, (size_t)l->recipe->train_batch, sizeof *l->pictures, "batch"));
    if (measure_only)
        return EBB_OK;
    EBB_TRY(ebb_alloc(ctx, (void **)&l->blocks.p, 4 * length, sizeof(float), "weights, moments and averages"));
    l->blocks.m = l->blocks.p + length;
    l->blocks.v = l->blocks.m + length;
    l->blocks.ema = l->blocks.v + length;
    return EBB_OK;
}

static ebb_status make(ebb_context *ctx, bool measure_only, ebb_learner *l)
{
    const ebb_recipe *r = l->recipe;
    ebb_plan_options plan = ebb_recipe_training_plan(r, 0);
    plan.measure_only = measure_only;
    EBB_TRY(ebb_recipe_network(ctx, r, &l->net));
    EBB_TRY(ebb_recipe_process(ctx, r, &l->process));
    EBB_TRY(ebb_params_from_network(ctx, &l->net, &l->params));
    EBB_TRY(make_blocks(ctx, measure_only, l));
    EBB_TRY(ebb_order_create(ctx, (uint64_t)r->train_seed, l->data->n, &l->order));
    return ebb_shards_create(ctx, &l->net, &l->params, r->train_batch, r->train_shard, plan, &l->shards);
}

/* The first touch of what was asked for. */
static void begin(ebb_context *ctx, ebb_learner *l)
{
    ebb_params_bind(&l->params, l->shards.plan, l->blocks.p);
    ebb_params_init(ctx, &l->params, (uint64_t)l->recipe->train_seed, l->blocks.p);
    for (int64_t i = 0; i < l->params.length; i++)
        l->blocks.ema[i] = l->blocks.p[i];
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
    return (ebb_learner_bytes){.blocks = 4 * block, .gradients = (size_t)l->shards.nbuffers * block,
                               .packed = plan.shared, .values = workers * plan.arena,
                               .scratch = workers * (plan.worker - plan.arena)};
}

void ebb_learner_free(ebb_learner *l)
{
    ebb_shards_free(&l->shards);
    ebb_order_free(&l->order);
    ebb_params_free(&l->params);
    ebb_process_free(&l->process);
    ebb_free(l->blocks.p);
    ebb_free(l->partial);
    ebb_free(l->pictures);
    *l = (ebb_learner){.shards.result = -1, .order.epoch = -1};
}

void ebb_learner_refresh(ebb_learner *l)
{
    ebb_plan_prepare(l->shards.plan);
}

/* ---- the batch -------------------------------------------------------------------------- */

static ebb_rng_at draw(const ebb_learner *l, ebb_stream stream, int64_t i)
{
    return (ebb_rng_at){.seed = (uint64_t)l->recipe->train_seed,
                        .stream = stream,
                        .step = (uint32_t)l->step,
                        .sample = (uint32_t)i};
}

static int32_t draw_label(const ebb_learner *l, int64_t i)
{
    ebb_rng_at at = draw(l, EBB_STREAM_DROP, i);
    bool drop = ebb_rng_uniform(&at, 0) < l->recipe->loss_label_drop;
    return drop ? (int32_t)l->recipe->net_classes : l->data->labels[l->pictures[i]];
}

/* Picture i of the batch to place k of the shard. */
static void fill_one(const ebb_learner *l, const ebb_shard_inputs *in, int64_t i, int64_t k)
{
    int64_t numbers = l->data->numbers;
    ebb_rng_at time = draw(l, EBB_STREAM_TIME, i), noise = draw(l, EBB_STREAM_NOISE, i);
    ebb_rng_at augment = draw(l, EBB_STREAM_AUGMENT, i);
    bool mirror = l->recipe->data_flip && (ebb_rng_word(&augment, 0) & 1) != 0;
    uint32_t t = ebb_rng_below(&time, 0, (uint32_t)l->process.steps);
    ebb_dataset_picture(l->data, l->pictures[i], mirror, in->x0 + k * numbers);
    l->ctx->kernels->normal_f32((size_t)numbers, in->noise + k * numbers, &noise);
    in->signal[k] = (float)sqrt(l->process.chain.alpha_bar[t]);
    in->sigma[k] = (float)sqrt(1.0 - l->process.chain.alpha_bar[t]);
    in->t[k] = (float)t;
    if (in->label != NULL)
        in->label[k] = draw_label(l, i);
}

static void fill_shard(void *arg, const ebb_shard_inputs *in)
{
    for (int64_t k = 0; k < in->n; k++)
        fill_one(arg, in, in->first + k, k);
}

/* ---- the step --------------------------------------------------------------------------- */

ebb_status ebb_learner_step(ebb_learner *l, double *loss, double *norm)
{
    float *gradient;
    int64_t batch = l->recipe->train_batch, n = l->step + 1;
    for (int64_t i = 0; i < batch; i++)
        l->pictures[i] = ebb_order_at(&l->order, l->step * batch + i);
    EBB_TRY(ebb_shards_run(&l->shards, fill_shard, l, loss, &gradient));
    *norm = ebb_optim_norm(l->ctx, gradient, l->params.length, l->partial);
    if (!isfinite(*loss) || !isfinite(*norm))
        return ebb_fail(l->ctx, EBB_E_NUMERIC,
                        "step %lld: the loss is %g and the gradient norm %g: training has "
                        "diverged; try a smaller optim.lr (%g) or more optim.warmup",
                        (long long)n, *loss, *norm, l->recipe->optim_lr);
    ebb_optim_step(l->ctx, l->recipe, n, &l->blocks, gradient, *norm, l->params.length);
    ebb_learner_refresh(l);
    l->step = n;
    return EBB_OK;
}
