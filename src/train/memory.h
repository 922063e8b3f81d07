/* memory.h: how much memory a recipe takes, and what to do when that is too much.
 */
#ifndef EBB_MEMORY_H
#define EBB_MEMORY_H

#include "train/learner.h"

/* EBB_E_MEMORY when the process has asked for more than the machine, or its control group, has. */
ebb_status ebb_memory_fits(ebb_context *ctx);
/* After EBB_E_MEMORY in the making of a learner: the same status with a message that says what it needs for what,
 * and which keys make that less. */
ebb_status ebb_memory_explain(ebb_context *ctx, const ebb_recipe *recipe, const ebb_dataset *data);

#endif
