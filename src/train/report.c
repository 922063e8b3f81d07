/* report.c: what sampling, speed and plan reports share.
 */
#include "train/report.h"

const char *ebb_backend_choice_name(const ebb_context *ctx)
{
    static const char *const names[] = {"auto", "own", "onednn"};
    return names[ctx->backend];
}

ebb_status ebb_report_text(ebb_context *ctx, json_t *json, char **text)
{
    ebb_status status = json ? ebb_json_text(ctx, json, 2, text)
                             : ebb_fail(ctx, EBB_E_MEMORY, "no memory for a report");
    json_decref(json);
    return status;
}

ebb_value ebb_eval_graph(ebb_graph *g, const ebb_network *net, int64_t n)
{
    ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(net, n));
    ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(n));
    ebb_value label = ebb_network_classes(net) > 0 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(n)) : EBB_NONE;
    return ebb_network_build(g, net, x, t, label);
}

int64_t ebb_eval_shard(int64_t n, int64_t most, int threads)
{
    int64_t shards = (n + most - 1) / most;
    if (shards < threads)
        shards = n < threads ? n : threads;
    return (n + shards - 1) / shards;
}
