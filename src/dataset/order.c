/* order.c: which picture comes when: epoch e sees all pictures once, in the Philox permutation of
 * (seed, e). The position alone decides, so that a run can start anywhere.
 */
#include "dataset/dataset.h"

ebb_status ebb_order_create(ebb_context *ctx, uint64_t seed, int64_t n, ebb_order *out)
{
    *out = (ebb_order){.seed = seed, .n = (uint32_t)n, .epoch = -1};
    return ebb_alloc(ctx, (void **)&out->index, (size_t)n, sizeof *out->index, "order of the pictures");
}

void ebb_order_free(ebb_order *order)
{
    ebb_free(order->index);
    *order = (ebb_order){.epoch = -1};
}

uint32_t ebb_order_at(ebb_order *order, int64_t position)
{
    int64_t epoch = position / order->n;
    if (epoch != order->epoch) {
        ebb_rng_at at = {
            .seed = order->seed, .stream = EBB_STREAM_SHUFFLE, .step = (uint32_t)epoch, .sample = 0};
        ebb_rng_permute(&at, order->index, order->n);
        order->epoch = epoch;
    }
    return order->index[position % order->n];
}
