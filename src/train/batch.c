/* batch.c: what a training step shows the loss: pictures, noise, times, directions.
 *
 * Whatever is random in step n about picture i of the batch (which picture, timestep, noise, dropped label, mirroring,
 * probe, grey levels, what is dropped) is a function of (seed, n, i).
 *
 * likelihood: density proportional to g^2/sigma^2, which is |d log(sigma^2/alpha^2)/dt| for every process: uniform in
 * log(alpha/sigma). Weights are divided by it, so that the objective stays that of uniform times and loses only variance.
 *
 * Times: uniform over a chain's steps, or over [t_min, end] in continuous time. log-normal: ln(sigma/alpha) ~ N(log_mean,
 * log_std^2), Karras et al. 2022, sec. 5: levels that the process does not reach become its ends.
 */
#include <math.h>
#include <string.h>

#include "train/learner.h"

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
    bool drop = l->net.logits == 0 && ebb_rng_uniform(&at, 0) < l->recipe->loss_label_drop;
    return drop ? (int32_t)l->recipe->net_classes : l->data->labels[l->pictures[i]];
}

/* ---- times ---------------------------------------------------------------------------------------------------- */

static bool log_normal(const ebb_recipe *r, const ebb_process *p)
{
    return strcmp(r->loss_times, "log-normal") == 0 || (strcmp(r->loss_times, "auto") == 0 && p->kind == EBB_PROCESS_EDM);
}

static bool by_likelihood(const ebb_recipe *r)
{
    return strcmp(r->loss_times, "likelihood") == 0;
}

ebb_status ebb_batch_check(ebb_context *ctx, const ebb_recipe *r, const ebb_process *p)
{
    if (strcmp(r->loss_kind, "explicit") == 0 && (strcmp(r->data_kind, "target") != 0 || r->net_classes > 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "loss.kind=explicit needs a law whose score is known, and no classes: "
                        "data.kind=target net.classes=0");
    if (strcmp(r->net_variance, "learned") == 0 && p->steps < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.variance=learned is of the steps of a chain: process.kind ddpm or smld with "
                        "at least 2, not %s", r->process_kind);
    if (strcmp(r->loss_times, "history") == 0 && strcmp(r->loss_kind, "vlb") != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "loss.times=history draws by importance for loss.kind=vlb, not %s", r->loss_kind);
    if (strcmp(r->loss_weighting, "likelihood") == 0 && p->steps > 0 && ebb_process_level(p, p->end).alpha == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "loss.weighting=likelihood is g^2, which has no bound where the last step is noise "
                        "alone (process.zero_snr): take step, which is what the steps add, or vlb");
    if (by_likelihood(r) && (strcmp(r->loss_weighting, "likelihood") != 0 || p->steps > 0 ||
                             !isfinite(ebb_process_lambda(p, p->end))))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "loss.times=likelihood draws by importance for loss.weighting=likelihood, over a "
                        "process in continuous time that keeps some of the picture: here %s and %s", r->loss_weighting,
                        r->process_kind);
    return EBB_OK;
}

/* Length of the way in log(alpha/sigma). */
static double way(const ebb_process *p)
{
    return ebb_process_lambda(p, p->least) - ebb_process_lambda(p, p->end);
}

/* Density of times at t, 1 where it is uniform. */
static double density(const ebb_learner *l, double t)
{
    const ebb_process *p = &l->process;
    if (l->history.steps > 0)
        return ebb_history_probability(&l->history, (int)t) * p->steps;
    if (!by_likelihood(l->recipe))
        return 1.0;
    double sigma = ebb_process_level(p, t).sigma, span = p->end - p->least;
    return ebb_process_diffusion2(p, t) / (sigma * sigma) * span / (2.0 * way(p));
}

static double draw_time(const ebb_learner *l, int64_t i)
{
    const ebb_process *p = &l->process;
    const ebb_recipe *r = l->recipe;
    ebb_rng_at at = draw(l, EBB_STREAM_TIME, i);
    double least = p->least;
    float normal[4];
    if (l->history.steps > 0)
        return ebb_history_draw(&l->history, ebb_rng_uniform(&at, 0));
    if (log_normal(r, p)) {
        l->ctx->kernels->normal_f32(4, normal, &at);
        double t = ebb_process_time(p, -(r->loss_log_mean + r->loss_log_std * (double)normal[0]));
        t = t < least ? least : t;
        return p->steps > 0 ? floor(t + 0.5) : t;
    }
    if (by_likelihood(r)) {
        double t = ebb_process_time(p, ebb_process_lambda(p, least) - ebb_rng_uniform(&at, 0) * way(p));
        return t < least ? least : t;
    }
    if (p->steps > 0)
        return ceil(least) + ebb_rng_below(&at, 0, (uint32_t)(p->steps - (int)ceil(least)));
    return least + ebb_rng_uniform(&at, 0) * (p->end - least);
}

/* Of a chain of variances from its table: the roots of alpha_bar and 1 - alpha_bar. */
static ebb_level level_at(const ebb_process *p, double t)
{
    if (p->kind != EBB_PROCESS_DDPM)
        return ebb_process_level(p, t);
    double alpha_bar = p->chain.alpha_bar[(int)t];
    return (ebb_level){t, sqrt(alpha_bar), sqrt(1.0 - alpha_bar)};
}

/* ---- pictures ------------------------------------------------------------------------------------------------- */

static void put(float *where, int64_t k, float value)
{
    if (where != NULL)
        where[k] = value;
}

static void fill_scales(const ebb_learner *l, const ebb_shard_inputs *in, double t, int64_t k)
{
    ebb_loss_scales s = ebb_loss_scales_at(&l->objective, &l->process, &l->net, t);
    put(in->in, k, s.in);
    put(in->target_noise, k, s.target_noise);
    put(in->target_x0, k, s.target_x0);
    put(in->eps_x, k, s.eps_x);
    put(in->eps_f, k, s.eps_f);
    put(in->log_low, k, s.log_low);
    put(in->log_high, k, s.log_high);
    put(in->mean_f, k, s.mean_f);
    put(in->decoded, k, s.decoded);
    put(in->weight, k, (float)((double)s.weight / density(l, t)));
}

/* Uniform noise between the grey levels: a byte b, which x says as b/127.5 - 1, becomes (b + u)/128 - 1. */
static void dequantize(const ebb_learner *l, int64_t i, float *x)
{
    ebb_rng_at at = draw(l, EBB_STREAM_DEQUANTIZE, i);
    for (int64_t d = 0; d < l->data->numbers; d++)
        x[d] = (float)((127.5 * ((double)x[d] + 1.0) + ebb_rng_uniform(&at, (uint32_t)d)) / 128.0 - 1.0);
}

static void fill_probe(const ebb_learner *l, int64_t i, float *v)
{
    ebb_rng_at at = draw(l, EBB_STREAM_PROBE, i);
    bool normal = strcmp(l->recipe->loss_probe, "normal") == 0;
    if (normal)
        l->ctx->kernels->normal_f32((size_t)l->data->numbers, v, &at);
    for (int64_t d = 0; !normal && d < l->data->numbers; d++)
        v[d] = ebb_rng_word(&at, (uint32_t)(d / 32)) >> (d % 32) & 1 ? 1.0f : -1.0f;
}

static void fill_dropout_key(const ebb_learner *l, int64_t i, int32_t key[4])
{
    uint64_t seed = (uint64_t)l->recipe->train_seed;
    uint32_t words[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)l->step, (uint32_t)i};
    memcpy(key, words, sizeof words);
}

/* -sigma times the true score at the x_t that the graph will have. */
static void fill_exact(const ebb_learner *l, const ebb_shard_inputs *in, int64_t k)
{
    double x[EBB_TARGET_DIM_MAX] = {0}, score[EBB_TARGET_DIM_MAX], alpha = in->signal[k], sigma = in->sigma[k];
    int dim = l->target.dim;
    for (int d = 0; d < dim; d++)
        x[d] = alpha * in->x0[k * dim + d] + sigma * in->noise[k * dim + d];
    ebb_target_at(&l->target, x, alpha, sigma, NULL, score, NULL, NULL);
    for (int d = 0; d < dim; d++)
        in->exact[k * dim + d] = (float)(-sigma * score[d]);
}

/* Picture i of the batch to place k of the shard. */
static void fill_one(const ebb_learner *l, const ebb_shard_inputs *in, int64_t i, int64_t k)
{
    int64_t numbers = l->data->numbers;
    ebb_rng_at noise = draw(l, EBB_STREAM_NOISE, i), augment = draw(l, EBB_STREAM_AUGMENT, i);
    bool mirror = l->recipe->data_flip && (ebb_rng_word(&augment, 0) & 1) != 0;
    double t = draw_time(l, i);
    ebb_level at = level_at(&l->process, t);
    ebb_dataset_picture(l->data, l->pictures[i], mirror, in->x0 + k * numbers);
    if (l->recipe->data_dequantize)
        dequantize(l, i, in->x0 + k * numbers);
    l->ctx->kernels->normal_f32((size_t)numbers, in->noise + k * numbers, &noise);
    in->signal[k] = (float)at.alpha;
    in->sigma[k] = (float)at.sigma;
    in->t[k] = (float)ebb_network_time(&l->net, &l->process, at);
    fill_scales(l, in, t, k);
    if (in->label != NULL)
        in->label[k] = draw_label(l, i);
    if (in->dropout != NULL)
        fill_dropout_key(l, i, in->dropout + 4 * k);
    if (in->probe != NULL)
        fill_probe(l, i, in->probe + k * numbers);
    if (in->exact != NULL)
        fill_exact(l, in, k);
}

void ebb_batch_fill(void *learner, const ebb_shard_inputs *in)
{
    for (int64_t k = 0; k < in->n; k++)
        fill_one(learner, in, in->first + k, k);
}

void ebb_batch_times(ebb_learner *l)
{
    if (l->history.steps == 0)
        return;
    ebb_history_settle(&l->history);
    for (int64_t i = 0; i < l->recipe->train_batch; i++)
        l->times[i] = draw_time(l, i);
}

void ebb_batch_learn(ebb_learner *l)
{
    for (int64_t i = 0; l->history.steps > 0 && i < l->recipe->train_batch; i++)
        ebb_history_add(&l->history, (int)l->times[i], l->shards.each[i]);
}
