/* learner.h: what one training step needs and does; no files.
 */
#ifndef EBB_LEARNER_H
#define EBB_LEARNER_H

#include "train/history.h"
#include "train/optim.h"
#include "train/shards.h"

typedef struct ebb_learner {
    ebb_context *ctx;
    const ebb_recipe *recipe;    /* complete; the caller's */
    const ebb_dataset *data;     /* the caller's */
    ebb_network net;
    ebb_process process;
    ebb_objective objective;
    ebb_history history;         /* of loss.times=history; else empty */
    double *times;               /* (batch): t of each picture of the step; with a history */
    ebb_target target;           /* of loss explicit; else empty */
    ebb_params params;
    ebb_shards shards;
    ebb_order order;
    ebb_blocks blocks;           /* params.length each, in one allocation from p */
    int arrays;                  /* how many: 4, or 5 with a second average */
    double *partial;             /* sums of squares of the chunks */
    uint32_t *pictures;          /* (batch): which the batch of this step holds */
    int64_t step;                /* finished */
    double found;                /* of a classifier: the part of the last batch whose class it found, before the step; else NaN */
} ebb_learner;

/* batch.c: the pictures of a shard, the levels of noise, and what else its loss takes: an ebb_shard_fill of the learner. */
void ebb_batch_fill(void *learner, const ebb_shard_inputs *in);
/* The times of the step's pictures by the history, before any is filled; after it, their losses into the history. */
void ebb_batch_times(ebb_learner *learner);
void ebb_batch_learn(ebb_learner *learner);
/* Whether the section loss fits the process. */
ebb_status ebb_batch_check(ebb_context *ctx, const ebb_recipe *recipe, const ebb_process *process);

/* Parameters drawn from the recipe's seed, step 0. */
ebb_status ebb_learner_create(ebb_context *ctx, const ebb_recipe *recipe, const ebb_dataset *data,
                              ebb_learner *out);
/* The same but for the memory that ebb_learner_memory counts: cannot step. */
ebb_status ebb_learner_measure(ebb_context *ctx, const ebb_recipe *recipe, const ebb_dataset *data,
                               ebb_learner *out);
/* Bytes of the large blocks, of one that holds or of one that is measured only. */
typedef struct ebb_learner_bytes { size_t blocks, gradients, packed, values, scratch; } ebb_learner_bytes;
ebb_learner_bytes ebb_learner_memory(const ebb_learner *learner);
void ebb_learner_free(ebb_learner *learner);
/* After p changed from outside. */
void ebb_learner_refresh(ebb_learner *learner);
/* One optimiser step. Allocates nothing. A loss or gradient that is not finite is EBB_E_NUMERIC and
 * leaves the blocks as they were. */
ebb_status ebb_learner_step(ebb_learner *learner, double *loss, double *norm);

#endif
