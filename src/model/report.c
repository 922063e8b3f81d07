/* report.c: what sampling, speed and plan reports share.
 */
#include "model/report.h"

#include <math.h>

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

json_t *ebb_report_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Time of n pictures one after another by a team, in that of one thread for one picture. Measured with 2 threads:
 * 1.7 times as fast as one; every further member costs as much. */
static double time_of(int64_t n, int team) { return (double)n * (1 + 0.15 * (team - 1)) / team; }

ebb_eval_way ebb_eval_choose(int64_t n, int64_t most, int threads)
{
    ebb_eval_way w = {.workers = threads, .team = 1};
    if (n < 2 * threads)
        for (int workers = threads - 1; workers >= 1; workers--) {
            double now = time_of((n + w.workers - 1) / w.workers, w.team);
            double then = time_of((n + workers - 1) / workers, threads / workers);
            if (workers <= n && then < now)
                w = (ebb_eval_way){.workers = workers, .team = threads / workers};
        }
    w.shards = (n + most - 1) / most;
    if (w.shards < w.workers)
        w.shards = n < w.workers ? n : w.workers;
    w.shard = (n + w.shards - 1) / w.shards;
    w.shards = (n + w.shard - 1) / w.shard;
    if (w.shards < w.workers)
        w.workers = (int)w.shards;
    return w;
}
