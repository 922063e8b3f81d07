/* nearest.c: nearest neighbours by looking at all of them.
 *
 * A distance is given up as soon as its sum exceeds the k-th best so far: exact, and mostly a few blocks of numbers long.
 */
#include "eval/nearest.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 64 };             /* numbers between two looks at the sum */

typedef struct search {
    const float *x, *y;
    int64_t m, dim;
    int k;
    bool self;
    int32_t *index;
    double *distance;
} search;

/* The squared distance, or anything above `most` once it is known to be more. */
static double squared(const float *a, const float *b, int64_t dim, double most)
{
    double sum = 0;
    for (int64_t d = 0; d < dim && sum <= most; d += BLOCK) {
        int64_t end = d + BLOCK < dim ? d + BLOCK : dim;
        double block[4] = {0};
        int64_t i = d;
        for (; i + 4 <= end; i += 4)
            for (int j = 0; j < 4; j++) {
                double off = (double)a[i + j] - (double)b[i + j];
                block[j] += off * off;
            }
        for (; i < end; i++) {
            double off = (double)a[i] - (double)b[i];
            block[0] += off * off;
        }
        sum += (block[0] + block[1]) + (block[2] + block[3]);
    }
    return sum;
}

static void search_row(void *self, int64_t row, int worker)
{
    const search *s = self;
    double best[EBB_NEAREST_MOST];
    int32_t who[EBB_NEAREST_MOST];
    (void)worker;
    for (int j = 0; j < s->k; j++)
        best[j] = INFINITY, who[j] = -1;
    for (int64_t i = 0; i < s->m; i++) {
        double d = s->self && i == row ? INFINITY : squared(s->x + row * s->dim, s->y + i * s->dim, s->dim, best[s->k - 1]);
        int at = s->k;
        for (; at > 0 && d < best[at - 1]; at--)
            if (at < s->k)
                best[at] = best[at - 1], who[at] = who[at - 1];
        if (at < s->k)
            best[at] = d, who[at] = (int32_t)i;
    }
    for (int j = 0; j < s->k; j++) {
        s->distance[row * s->k + j] = sqrt(best[j]);
        if (s->index != NULL)
            s->index[row * s->k + j] = who[j];
    }
}

ebb_status ebb_nearest(ebb_context *ctx, const float *x, int64_t n, const float *y, int64_t m, int64_t dim, int k, bool self,
                       int32_t *index, double *distance)
{
    search s = {x, y, m, dim, k, self, index, distance};
    if (k < 1 || k > EBB_NEAREST_MOST || k > m - self)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%d nearest of %lld points: 1 to %lld are possible", k, (long long)(m - self),
                        (long long)(m - self < EBB_NEAREST_MOST ? m - self : EBB_NEAREST_MOST));
    for (int64_t i = 0; i < n * dim; i++)
        if (!isfinite(x[i]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "nearest neighbours: sample %lld is not finite", (long long)(i / dim));
    ebb_par_for(ctx->threads, n, search_row, &s);
    return EBB_OK;
}

/* ---- manifolds ---------------------------------------------------------------------------------------------------------------- */

typedef struct manifold {
    const float *points, *of;
    int64_t m, dim;
    int k;
    const double *reach;         /* (m,k): the last of each row counts */
    int8_t *inside;              /* (n) */
} manifold;

static void inside_row(void *self, int64_t row, int worker)
{
    const manifold *s = self;
    (void)worker;
    for (int64_t i = 0; i < s->m && !s->inside[row]; i++) {
        double reach = s->reach[i * s->k + s->k - 1], most = reach * reach;
        s->inside[row] = squared(s->points + row * s->dim, s->of + i * s->dim, s->dim, most) <= most;
    }
}

ebb_status ebb_manifold_share(ebb_context *ctx, const float *points, int64_t n, const float *of, int64_t m, int64_t dim, int k,
                              double *share)
{
    double *reach;
    manifold s = {points, of, m, dim, k, NULL, NULL};
    EBB_TRY(ebb_alloc(ctx, (void **)&reach, (size_t)(m * (k > 0 ? k : 1)), sizeof *reach, "a manifold"));
    ebb_status status = ebb_nearest(ctx, of, m, of, m, dim, k, true, NULL, reach);
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)&s.inside, (size_t)n, 1, "a manifold");
    if (status == EBB_OK) {
        int64_t count = 0;
        s.reach = reach;
        ebb_par_for(ctx->threads, n, inside_row, &s);
        for (int64_t i = 0; i < n; i++)
            count += s.inside[i];
        *share = (double)count / (double)n;
        ebb_free(s.inside);
    }
    ebb_free(reach);
    return status;
}

/* ---- copies of training data ------------------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double ebb_quantile(double *values, int64_t n, double u)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    double at = u * (double)(n - 1), whole = floor(at);
    int64_t i = (int64_t)whole;
    return i + 1 < n ? values[i] + (at - whole) * (values[i + 1] - values[i]) : values[n - 1];
}

static double share_below(const double *values, int64_t n, double threshold)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += values[i] < threshold;
    return (double)count / (double)n;
}

ebb_status ebb_memorised_test(ebb_context *ctx, const ebb_memory_test *t, ebb_memorised *out)
{
    double *room;
    if (t->n < 1 || t->f < 1 || t->probed < 2 || t->probed > t->m)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "test for copies: %lld generated, %lld fresh and %lld of %lld training samples are too few",
                        (long long)t->n, (long long)t->f, (long long)t->probed, (long long)t->m);
    EBB_TRY(ebb_alloc(ctx, (void **)&room, (size_t)(t->n + t->f + t->probed), sizeof *room, "distances"));
    double *made = room, *fresh = made + t->n, *train = fresh + t->f;
    ebb_status status = ebb_nearest(ctx, t->train, t->probed, t->train, t->m, t->dim, 1, true, NULL, train);
    if (status == EBB_OK)
        status = ebb_nearest(ctx, t->fresh, t->f, t->train, t->m, t->dim, 1, false, NULL, fresh);
    if (status == EBB_OK)
        status = ebb_nearest(ctx, t->made, t->n, t->train, t->m, t->dim, 1, false, t->index, made);
    for (int64_t i = 0; status == EBB_OK && t->distance != NULL && i < t->n; i++)
        t->distance[i] = made[i];
    if (status == EBB_OK) {
        out->threshold = ebb_quantile(train, t->probed, 0.05);
        out->least_train = train[0];
        out->below = share_below(made, t->n, out->threshold);
        out->below_fresh = share_below(fresh, t->f, out->threshold);
        out->median = ebb_quantile(made, t->n, 0.5);
        out->median_fresh = ebb_quantile(fresh, t->f, 0.5);
        out->least = made[0];
    }
    ebb_free(room);
    return status;
}
