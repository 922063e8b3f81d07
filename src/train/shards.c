/* shards.c: hand out shards, run them, add their gradients up.
 *
 * Sum: the tree is that of a binary counter: node i of a row is the sum of nodes 2i and 2i+1 of the row
 * below, or node 2i alone at the right edge. Whoever finishes the second of two siblings adds and goes
 * on upwards; who finishes the first leaves its buffer and takes new work. So no worker waits for
 * another. The left sibling's buffer takes the sum; the root's is therefore that of shard 0.
 *
 * Chunks: each chunk of the gradient has a tree of its own, and a walker adds a chunk as soon as the plan
 * has completed it, while it goes on with the others. The plan completes them from the last to the first:
 * parameters are listed in the order of the forward walk. What one rank has summed is offered to the others
 * there and then.
 *
 * Buffers: a worker takes a buffer before it takes a shard. Then, should all workers wait for a buffer,
 * no shard is half done: the finished ones are 0..m-1, which leaves at most log2(count) partial sums.
 * With more buffers than that one is free, so they cannot all wait; nor can they where every shard has one.
 */
#include <stdio.h>
#include <string.h>

#include "model/plans.h"
#include "train/shards.h"

static int log2_up(int64_t n)
{
    int bits = 0;
    while ((int64_t)1 << bits < n)
        bits++;
    return bits;
}

/* ---- making ----------------------------------------------------------------------------- */

/* The step after which all parameters of a chunk have their gradients. */
static void find_steps(ebb_shards *s)
{
    for (int i = 0; i < s->params->count; i++) {
        const ebb_param_place *p = &s->params->at[i];
        int32_t step = ebb_plan_output_step(s->plan, i + 1);
        for (int64_t c = p->offset / s->params->chunk; c * s->params->chunk < p->offset + p->count; c++)
            if (step > s->complete[c])
                s->complete[c] = step;
    }
}

static ebb_status make_buffers(ebb_context *ctx, bool measure_only, bool each, ebb_shards *s)
{
    s->nbuffers = s->workers + log2_up(s->count) + 1;
    if (s->nbuffers > s->count)
        s->nbuffers = (int)s->count;
    s->nodes = s->count + 64;
    EBB_TRY(ebb_alloc(ctx, (void **)&s->loss, (size_t)(s->batch / s->size), sizeof *s->loss, "losses of the shards"));
    if (each)
        EBB_TRY(ebb_alloc(ctx, (void **)&s->each, (size_t)s->batch, sizeof *s->each, "losses of the pictures"));
    EBB_TRY(ebb_alloc(ctx, (void **)&s->held, (size_t)s->nbuffers, sizeof *s->held, "gradient buffers"));
    EBB_TRY(ebb_alloc(ctx, (void **)&s->waiting, (size_t)s->nodes * (size_t)s->params->chunks, sizeof *s->waiting,
                      "sum of the gradients"));
    EBB_TRY(ebb_alloc(ctx, (void **)&s->complete, (size_t)s->params->chunks, sizeof *s->complete, "chunks of the gradient"));
    find_steps(s);
    return measure_only ? EBB_OK : ebb_alloc(ctx, (void **)&s->buffers, (size_t)s->nbuffers,
                                             (size_t)s->params->length * sizeof(float), "gradients");
}

static ebb_status cannot_divide(ebb_context *ctx, const ebb_shards *s, int64_t shards, int64_t odd)
{
    char counts[256] = "";
    int64_t ranks = ebb_ranks_of(ctx), batch = s->size * ranks;
    for (int64_t n = odd; n <= shards && strlen(counts) < sizeof counts - 24; n *= 2)
        snprintf(counts + strlen(counts), 24, "%s%lld", n > odd ? ", " : "", (long long)n);
    while (batch < s->batch)
        batch *= 2;
    return ebb_fail(ctx, EBB_E_ARGUMENT, "train.batch=%lld in shards of train.shard=%lld makes %lld shards, of which "
                    "%lld ranks cannot take a power of two each: ranks that can are %s; or use train.batch=%lld",
                    (long long)s->batch, (long long)s->size, (long long)shards, (long long)ranks, counts,
                    (long long)batch);
}

/* Each rank takes as many shards as a whole subtree has: any number if it is alone, else a power of two. */
static ebb_status divide(ebb_context *ctx, ebb_shards *s)
{
    int64_t shards = s->batch / s->size, ranks = ebb_ranks_of(ctx), odd = shards;
    while (odd % 2 == 0)
        odd /= 2;
    if (ranks > 1 && (shards % ranks != 0 || ranks % odd != 0))
        return cannot_divide(ctx, s, shards, odd);
    s->count = shards / ranks;
    s->first = ranks > 1 ? s->count * ctx->dist->rank : 0;
    return EBB_OK;
}

static ebb_status make(ebb_context *ctx, const ebb_network *net, const ebb_objective *objective, ebb_plan_options plan,
                       ebb_shards *s)
{
    EBB_TRY(divide(ctx, s));
    s->workers = s->count < ctx->threads ? (int)s->count : ctx->threads;
    plan.workers = s->workers;
    EBB_TRY(ebb_loss_plan(ctx, net, objective, s->params, s->size, s->batch, &plan, &s->plan));
    EBB_TRY(make_buffers(ctx, plan.measure_only, objective->each, s));
    return ebb_exchange_create(ctx, s->params, &s->exchange);
}

ebb_status ebb_shards_create(ebb_context *ctx, const ebb_network *net, const ebb_objective *objective,
                             const ebb_params *params, int64_t batch, int64_t size, ebb_plan_options plan, ebb_shards *out)
{
    *out = (ebb_shards){.ctx = ctx, .params = params, .batch = batch, .size = size, .result = -1};
    ebb_status status = make(ctx, net, objective, plan, out);
    if (status != EBB_OK)
        ebb_shards_free(out);
    return status;
}

void ebb_shards_free(ebb_shards *s)
{
    ebb_exchange_free(s->exchange);
    ebb_plan_free(s->plan);
    ebb_free(s->loss);
    ebb_free(s->each);
    ebb_free(s->held);
    ebb_free(s->waiting);
    ebb_free(s->complete);
    ebb_free(s->buffers);
    *s = (ebb_shards){.result = -1};
}

/* ---- running ---------------------------------------------------------------------------- */

static float *buffer_at(const ebb_shards *s, int buffer)
{
    return s->buffers + (int64_t)buffer * s->params->length;
}

static float *chunk_at(const ebb_shards *s, int buffer, int chunk)
{
    return buffer_at(s, buffer) + chunk * s->params->chunk;
}

static int take_buffer(ebb_shards *s)
{
    for (;;) {
        for (int i = 0; i < s->nbuffers; i++) {
            int unused = 0;
            if (atomic_compare_exchange_strong(&s->held[i], &unused, s->params->chunks))
                return i;
        }
        ebb_par_yield();
    }
}

static void add_chunk(ebb_shards *s, int chunk, int to, int from)
{
    size_t n = (size_t)ebb_params_chunk(s->params, chunk);
    float *sum = chunk_at(s, to, chunk);
    s->ctx->kernels->add_f32(n, sum, sum, chunk_at(s, from, chunk));
    atomic_fetch_sub(&s->held[from], 1);
}

/* Node i of the chunk's lowest row is done and lies in `buffer`. */
static void add_up(ebb_shards *s, int chunk, int64_t i, int buffer)
{
    atomic_int *row = s->waiting + chunk * s->nodes;
    for (int64_t width = s->count; width > 1; width = (width + 1) / 2, i /= 2) {
        if ((i ^ 1) < width) {
            int other = atomic_exchange(&row[i / 2], buffer + 1) - 1;
            if (other < 0)
                return;
            atomic_store(&row[i / 2], 0);
            int left = i % 2 == 0 ? buffer : other;
            add_chunk(s, chunk, left, left == buffer ? other : buffer);
            buffer = left;
        }
        row += (width + 1) / 2;
    }
    if (s->exchange != NULL)
        ebb_exchange_offer(s->exchange, chunk, chunk_at(s, buffer, chunk));
}

static ebb_shard_inputs inputs_of(ebb_shards *s, int worker, int64_t shard)
{
    ebb_plan *plan = s->plan;
    return (ebb_shard_inputs){
        .first = (s->first + shard) * s->size,
        .n = s->size,
        .x0 = ebb_plan_input(plan, worker, "x0"),
        .noise = ebb_plan_input(plan, worker, "noise"),
        .signal = ebb_plan_input(plan, worker, "signal"),
        .sigma = ebb_plan_input(plan, worker, "sigma"),
        .t = ebb_plan_input(plan, worker, "t"),
        .label = ebb_plan_input(plan, worker, "label"),
        .dropout = ebb_plan_input(plan, worker, "dropout"),
        .probe = ebb_plan_input(plan, worker, "probe"),
        .exact = ebb_plan_input(plan, worker, "exact"),
        .in = ebb_plan_input(plan, worker, "in"),
        .target_noise = ebb_plan_input(plan, worker, "target_noise"),
        .target_x0 = ebb_plan_input(plan, worker, "target_x0"),
        .eps_x = ebb_plan_input(plan, worker, "eps_x"),
        .eps_f = ebb_plan_input(plan, worker, "eps_f"),
        .weight = ebb_plan_input(plan, worker, "weight"),
        .log_low = ebb_plan_input(plan, worker, "log_low"),
        .log_high = ebb_plan_input(plan, worker, "log_high"),
        .mean_f = ebb_plan_input(plan, worker, "mean_f"),
        .decoded = ebb_plan_input(plan, worker, "decoded"),
    };
}

typedef struct shard_job {
    ebb_shards *shards;
    ebb_shard_fill fill;
    void *arg;
} shard_job;

/* Steps at..end-1 of the plan; what is on its way to other ranks moves on between them. */
static void walk_to(ebb_shards *s, int32_t at, int32_t end, int worker)
{
    if (s->exchange == NULL)
        ebb_plan_run_part(s->plan, worker, at, end);
    for (; s->exchange != NULL && at < end; at++) {
        ebb_plan_run_part(s->plan, worker, at, at + 1);
        ebb_exchange_poll(s->exchange);
    }
}

/* The whole plan; chunks of the gradient go into their sums on the way. */
static void walk(ebb_shards *s, int64_t shard, int buffer, int worker)
{
    int32_t at = 0;
    for (int c = s->params->chunks - 1; c >= 0; c--) {
        int32_t end = s->complete[c] + 1;
        if (end > at) {
            walk_to(s, at, end, worker);
            at = end;
        }
        add_up(s, c, shard, buffer);
    }
    walk_to(s, at, ebb_plan_run_steps(s->plan), worker);
}

static void run_shard(void *arg, int64_t item, int worker)
{
    const shard_job *job = arg;
    ebb_shards *s = job->shards;
    (void)item; /* the shard is chosen after the buffer: see above */
    int buffer = take_buffer(s);
    int64_t shard = atomic_fetch_add(&s->next, 1);
    if (shard == 0)
        s->result = buffer;
    ebb_shard_inputs in = inputs_of(s, worker, shard);
    job->fill(job->arg, &in);
    for (int i = 0; i < s->params->count; i++)
        ebb_plan_bind_output(s->plan, worker, i + 1, buffer_at(s, buffer) + s->params->at[i].offset);
    walk(s, shard, buffer, worker);
    s->loss[s->first + shard] = *ebb_plan_output(s->plan, worker, 0);
    if (s->each != NULL)
        memcpy(s->each + (s->first + shard) * s->size, ebb_plan_output(s->plan, worker, s->params->count + 1),
               (size_t)s->size * sizeof *s->each);
}

static void finish(void *arg, int64_t item, int worker)
{
    ebb_shards *s = arg;
    (void)item, (void)worker;
    s->status = ebb_exchange_finish(s->exchange);
}

/* Gradients and losses of the others. */
static ebb_status exchange(ebb_shards *s)
{
    if (s->exchange == NULL)
        return ebb_plan_check(s->plan);
    ebb_par_for(1, 1, finish, s);
    EBB_TRY(s->status);
    EBB_TRY(s->ctx->dist->share(s->ctx, s->loss, (size_t)s->count * sizeof *s->loss));
    if (s->each != NULL)
        EBB_TRY(s->ctx->dist->share(s->ctx, s->each, (size_t)(s->count * s->size) * sizeof *s->each));
    return ebb_ranks_agree(s->ctx, ebb_plan_check(s->plan));
}

ebb_status ebb_shards_run(ebb_shards *s, ebb_shard_fill fill, void *arg, double *loss, float **gradient)
{
    shard_job job = {s, fill, arg};
    if (s->result >= 0)
        atomic_store(&s->held[s->result], 0);
    atomic_store(&s->next, 0);
    ebb_par_for(s->workers, s->count, run_shard, &job);
    EBB_TRY(exchange(s));
    *loss = 0;
    for (int64_t i = 0; i < s->batch / s->size; i++)
        *loss += s->loss[i];
    *gradient = buffer_at(s, s->result);
    return EBB_OK;
}
