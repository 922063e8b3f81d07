/* exchange.h: the sum of a gradient over all ranks, chunk by chunk, while it is still being computed.
 */
#ifndef EBB_EXCHANGE_H
#define EBB_EXCHANGE_H

#include "train/dist.h"
#include "model/params.h"

typedef struct ebb_exchange ebb_exchange;

/* NULL for a context that is alone. */
ebb_status ebb_exchange_create(ebb_context *ctx, const ebb_params *params, ebb_exchange **out);
void ebb_exchange_free(ebb_exchange *x);
/* Chunk c of this rank's sum is ready and becomes that of all ranks in place. From any thread; each chunk
 * once a step. */
void ebb_exchange_offer(ebb_exchange *x, int c, float *chunk);
/* Lets what is on its way move on. From any thread. */
void ebb_exchange_poll(ebb_exchange *x);
/* Waits until every chunk is summed; then the next step can begin. From a worker (denormals are flushed). */
ebb_status ebb_exchange_finish(ebb_exchange *x);

#endif
