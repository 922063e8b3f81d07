/* checkpoint.h: checkpoint.safetensors: all that a bit-exact resume needs.
 */
#ifndef EBB_CHECKPOINT_H
#define EBB_CHECKPOINT_H

#include "train/learner.h"
#include "model/model.h"

/* What a run carries from step to step beside the learner's blocks. */
typedef struct ebb_progress { int64_t step; double loss_mean; } ebb_progress;

#define EBB_CHECKPOINT_ARRAYS EBB_BLOCKS_MAX
/* stage: params.length floats of scratch. */
ebb_status ebb_checkpoint_save(ebb_learner *learner, const char *path, const ebb_progress *progress,
                               float *stage);
/* Recipe and progress of a checkpoint that was read, then the blocks. */
ebb_status ebb_checkpoint_about(ebb_context *ctx, const ebb_safetensors *st, ebb_recipe **recipe,
                                ebb_progress *progress);
ebb_status ebb_checkpoint_blocks(ebb_learner *learner, const ebb_safetensors *st);

#endif
