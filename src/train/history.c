/* history.c: p_t proportional to sqrt(E[L_t^2]) over the last ten losses of each t, mixed with 0.001 uniform so that none is
 * forgotten; uniform until every t has ten. Losses are weighted by 1/(T p_t), which leaves their expectation alone.
 *
 * The history is a function of the steps before, whose losses are the same for any threads and ranks, and lies in the
 * checkpoint: so are the times.
 */
#include "train/history.h"

#include <math.h>

#define ROW (1 + EBB_HISTORY_KEPT)
#define UNIFORM_PART 0.001

ebb_status ebb_history_create(ebb_context *ctx, int steps, ebb_history *out)
{
    *out = (ebb_history){.steps = steps};
    ebb_status status = ebb_alloc(ctx, (void **)&out->kept, (size_t)steps * ROW, sizeof *out->kept, "history of losses");
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)&out->upto, (size_t)steps, sizeof *out->upto, "probabilities of times");
    if (status != EBB_OK)
        ebb_history_free(out);
    return status;
}

void ebb_history_free(ebb_history *h)
{
    ebb_free(h->kept);
    ebb_free(h->upto);
    *h = (ebb_history){0};
}

static double size_of(const float *row)
{
    double sum = 0;
    for (int k = 1; k <= EBB_HISTORY_KEPT; k++)
        sum += (double)row[k] * row[k];
    return sqrt(sum / EBB_HISTORY_KEPT);
}

void ebb_history_settle(ebb_history *h)
{
    double sum = 0, below = 0;
    bool full = true;
    for (int t = 0; t < h->steps; t++) {
        full = full && h->kept[t * ROW] >= EBB_HISTORY_KEPT;
        sum += size_of(h->kept + t * ROW);
    }
    for (int t = 0; t < h->steps; t++) {
        double part = full && sum > 0 ? size_of(h->kept + t * ROW) / sum : 1.0 / h->steps;
        below += (1 - UNIFORM_PART) * part + UNIFORM_PART / h->steps;
        h->upto[t] = below;
    }
}

void ebb_history_add(ebb_history *h, int t, double loss)
{
    float *row = h->kept + (int64_t)t * ROW;
    int count = (int)row[0];
    if (count == EBB_HISTORY_KEPT)
        for (int k = 1; k < EBB_HISTORY_KEPT; k++)
            row[k] = row[k + 1];
    else
        row[0] = (float)++count;
    row[count] = (float)loss;
}

int ebb_history_draw(const ebb_history *h, double u)
{
    int low = 0, high = h->steps - 1;
    u *= h->upto[high];
    while (low < high) {
        int middle = (low + high) / 2;
        if (h->upto[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

double ebb_history_probability(const ebb_history *h, int t)
{
    return (h->upto[t] - (t > 0 ? h->upto[t - 1] : 0)) / h->upto[h->steps - 1];
}
