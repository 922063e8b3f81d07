/* resample.c: rounds of the bootstrap, each a function of its number (resample.h).
 */
#include "eval/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int ebb_resample_groups(int64_t n)
{
    return (int)(n < EBB_RESAMPLE_GROUPS ? n : EBB_RESAMPLE_GROUPS);
}

void ebb_resample_counts(int64_t round, int set, int groups, double *count)
{
    ebb_rng_at at = {.seed = 2, .stream = EBB_STREAM_EVAL, .step = (uint32_t)round, .sample = (uint32_t)set};
    memset(count, 0, (size_t)groups * sizeof *count);
    for (int i = 0; i < groups; i++)
        count[ebb_rng_below(&at, (uint32_t)i, (uint32_t)groups)] += 1;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

ebb_measure ebb_resample_interval(double value, double *found, int resamples)
{
    ebb_measure out = {value, NAN, NAN};
    double mean = 0;
    for (int b = 0; b < resamples; b++)
        mean += found[b] / resamples;
    if (resamples < EBB_RESAMPLE_LEAST || isnan(mean))
        return out;
    qsort(found, (size_t)resamples, sizeof *found, ascending);
    out.low = out.value + found[resamples / 20] - mean;
    out.high = out.value + found[resamples - 1 - resamples / 20] - mean;
    return out;
}

typedef struct rounds {
    ebb_resampled of;
    const void *self;
    int set, groups;
    size_t each;
    double *found, *room;        /* (1 + resamples); of each worker: counts, room */
} rounds;

static void run_round(void *self, int64_t round, int worker)
{
    const rounds *r = self;
    double *count = r->room + (size_t)worker * r->each;
    if (round > 0)
        ebb_resample_counts(round, r->set, r->groups, count);
    r->found[round] = r->of(r->self, round > 0 ? count : NULL, count + r->groups);
}

ebb_status ebb_resample_measure(ebb_context *ctx, int64_t n, int set, int resamples, size_t room, ebb_resampled of, const void *self,
                        ebb_measure *out)
{
    rounds r = {.of = of, .self = self, .set = set, .groups = ebb_resample_groups(n)};
    r.each = (size_t)r.groups + room;
    EBB_TRY(ebb_alloc(ctx, (void **)&r.found, (size_t)resamples + 1 + (size_t)ctx->threads * r.each, sizeof *r.found, "resampling"));
    r.room = r.found + resamples + 1;
    ebb_par_for(ctx->threads, resamples + 1, run_round, &r);
    *out = ebb_resample_interval(r.found[0], r.found + 1, resamples);
    ebb_free(r.found);
    return EBB_OK;
}

typedef struct scores { const double *at; int64_t n; int groups; } scores;

static double mean_score(const void *self, const double *count, double *room)
{
    const scores *s = self;
    double sum = 0, all = 0;
    (void)room;
    for (int64_t i = 0; i < s->n; i++) {
        double w = count != NULL ? count[i % s->groups] : 1;
        sum += w * s->at[i];
        all += w;
    }
    return sum / all;
}

ebb_status ebb_resample_mean(ebb_context *ctx, const double *at, int64_t n, int set, int resamples, ebb_measure *out)
{
    scores s = {at, n, ebb_resample_groups(n)};
    return ebb_resample_measure(ctx, n, set, resamples, 0, mean_score, &s, out);
}
