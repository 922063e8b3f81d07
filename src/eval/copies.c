/* copies.c: the nearest picture of the data by looking at all of them, in whole numbers (copies.h).
 *
 * A distance is given up as soon as its sum exceeds the second best so far: exact, and mostly a part of a picture long.
 */
#include "eval/copies.h"

#include <math.h>

#include "eval/nearest.h"

enum { BLOCK = 256 };            /* numbers between two looks at the sum, which fits 32 bits: 256 * 255^2 */

typedef struct search {
    const ebb_copies *c;
    const uint8_t *pictures;     /* (n, numbers) of which `index` says which, NULL: each in turn */
    const uint32_t *index;
    int rank;                    /* 0: the nearest counts, 1: the second, behind the picture itself */
    double *distance;            /* (n) */
} search;

/* The squared distance, or anything above `most` once it is known to be more. */
static int64_t squared(const uint8_t *a, const uint8_t *b, int64_t count, int64_t most)
{
    int64_t sum = 0;
    for (int64_t d = 0; d < count && sum <= most; d += BLOCK) {
        int64_t length = count - d < BLOCK ? count - d : BLOCK;
        int32_t part = 0;
        for (int64_t i = 0; i < length; i++) {
            int32_t off = (int32_t)a[d + i] - (int32_t)b[d + i];
            part += off * off;
        }
        sum += part;
    }
    return sum;
}

static void search_row(void *self, int64_t row, int worker)
{
    const search *s = self;
    const ebb_copies *c = s->c;
    const uint8_t *picture = s->pictures + (s->index != NULL ? (int64_t)s->index[row] : row) * c->numbers;
    int64_t best[2] = {INT64_MAX, INT64_MAX};
    (void)worker;
    for (int64_t i = 0; i < c->m; i++) {
        int64_t d = squared(picture, c->data + i * c->numbers, c->numbers, best[s->rank]);
        if (d < best[0]) {
            best[1] = best[0];
            best[0] = d;
        } else if (d < best[1]) {
            best[1] = d;
        }
    }
    s->distance[row] = sqrt((double)best[s->rank]);
}

ebb_status ebb_copies_create(ebb_context *ctx, const uint8_t *data, int64_t m, int64_t numbers, const uint32_t *probe, int64_t n,
                             ebb_copies *out)
{
    search s = {out, data, probe, 1, NULL};
    *out = (ebb_copies){.data = data, .m = m, .numbers = numbers};
    if (n < 2 || n > m)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "test for copies: %lld pictures of %lld: at least two", (long long)n, (long long)m);
    EBB_TRY(ebb_alloc(ctx, (void **)&s.distance, (size_t)n, sizeof *s.distance, "distances"));
    ebb_par_for(ctx->threads, n, search_row, &s);
    out->threshold = ebb_quantile(s.distance, n, EBB_COPIES_SHARE);
    ebb_free(s.distance);
    return EBB_OK;
}

ebb_status ebb_copies_measure(ebb_context *ctx, const ebb_copies *c, const uint8_t *pictures, int64_t n, bool of_data, int resamples,
                              ebb_measure *out)
{
    search s = {c, pictures, NULL, of_data, NULL};
    EBB_TRY(ebb_alloc(ctx, (void **)&s.distance, (size_t)n, sizeof *s.distance, "distances"));
    ebb_par_for(ctx->threads, n, search_row, &s);
    for (int64_t i = 0; i < n; i++)
        s.distance[i] = s.distance[i] < c->threshold;
    ebb_status status = ebb_resample_mean(ctx, s.distance, n, 0, resamples, out);
    ebb_free(s.distance);
    return status;
}
