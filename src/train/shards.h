/* shards.h: the gradient of a batch, computed in shards of fixed size by any number of workers.
 *
 * Shard i is pictures [i*size, (i+1)*size). Each worker runs the whole loss graph, forward and back, on
 * one shard at a time; the gradients of the shards are summed in a pairwise tree over shard numbers, so
 * that the bits of the sum depend on the shard size alone. Of several ranks each computes a whole subtree,
 * and exchange.c the rows above these.
 */
#ifndef EBB_SHARDS_H
#define EBB_SHARDS_H

#include <stdatomic.h>

#include "train/exchange.h"

typedef struct ebb_shard_inputs {
    int64_t first, n;            /* pictures [first, first + n) of the batch */
    float *x0, *noise;           /* (n, numbers) */
    float *signal, *sigma, *t;   /* (n) */
    /* NULL where the loss has no such input (ebb_loss_build). */
    int32_t *label;              /* (n) */
    int32_t *dropout;            /* (n, 4), keys of ebb_dropout_mask */
    float *probe, *exact;        /* (n, numbers) */
    float *in, *target_noise, *target_x0, *eps_x, *eps_f, *weight;   /* (n) */
    float *log_low, *log_high, *mean_f, *decoded;
} ebb_shard_inputs;
typedef void (*ebb_shard_fill)(void *arg, const ebb_shard_inputs *in);

typedef struct ebb_shards {
    ebb_context *ctx;
    ebb_plan *plan;
    const ebb_params *params;
    int64_t batch, size;         /* pictures, pictures a shard */
    int64_t first, count;        /* this rank's shards are first .. first+count-1 */
    ebb_exchange *exchange;      /* with other ranks, or NULL */
    int workers;
    float *each;                 /* (batch): loss of each picture, of all ranks; NULL: not asked for (ebb_objective.each) */
    double *loss;                /* (shards of all ranks): share of each in the mean loss of the batch */
    float *buffers;              /* (nbuffers, params->length) gradients */
    int nbuffers;
    int32_t *complete;           /* (params->chunks): the plan's step after which a chunk is complete */
    atomic_int *held;            /* (nbuffers): chunks of a buffer that are in use */
    atomic_int *waiting;         /* (chunks, nodes): for inner nodes of the tree 1 + the buffer left there, or 0 */
    int64_t nodes;
    atomic_llong next;           /* shard to start next */
    ebb_status status;           /* of the exchange */
    int result;                  /* buffer of shard 0, where the last sum is; -1: none */
} ebb_shards;

/* plan: as ebb_recipe_training_plan; its workers are settled here. measure_only: no gradient buffers either. */
ebb_status ebb_shards_create(ebb_context *ctx, const ebb_network *net, const ebb_objective *objective,
                             const ebb_params *params, int64_t batch, int64_t size, ebb_plan_options plan, ebb_shards *out);
void ebb_shards_free(ebb_shards *shards);
/* Gradient and loss of one batch, of all ranks together, with the plan's present parameters. Allocates nothing. The gradient
 * (params->length) is good until the next run, and may be overwritten. */
ebb_status ebb_shards_run(ebb_shards *shards, ebb_shard_fill fill, void *arg, double *loss, float **gradient);

#endif
