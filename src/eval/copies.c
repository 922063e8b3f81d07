/* copies.c: nearest pictures of the data, which are looked through part by part, so that they never lie in memory as floats at
 * once (copies.h).
 */
#include "eval/copies.h"

#include <math.h>

#include "eval/nearest.h"

enum { PART = 4096 };            /* pictures of the data */

typedef struct room {
    float *pictures, *part;      /* (n, numbers), (PART, numbers) */
    double *found, *best;        /* (n, 2) each: of a part, of all so far */
} room;

static void widen(const uint8_t *bytes, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = bytes[i];
}

static ebb_status make_room(ebb_context *ctx, const ebb_copies *c, int64_t n, room *r)
{
    size_t part = (size_t)(c->m < PART ? c->m : PART), numbers = (size_t)c->numbers;
    EBB_TRY(ebb_alloc(ctx, (void **)&r->pictures, ((size_t)n + part) * numbers, sizeof *r->pictures, "pictures"));
    EBB_TRY(ebb_alloc(ctx, (void **)&r->found, (size_t)(4 * n), sizeof *r->found, "distances"));
    r->part = r->pictures + (size_t)n * numbers;
    r->best = r->found + 2 * n;
    for (int64_t i = 0; i < 2 * n; i++)
        r->best[i] = INFINITY;
    return EBB_OK;
}

static void free_room(room *r)
{
    ebb_free(r->pictures);
    ebb_free(r->found);
}

/* The two least of both. */
static void merge(double best[2], const double *found, int k)
{
    for (int j = 0; j < k; j++) {
        double d = found[j];
        if (d < best[0]) {
            best[1] = best[0];
            best[0] = d;
        } else if (d < best[1]) {
            best[1] = d;
        }
    }
}

/* Of r->pictures, which are filled in: the distances to the nearest two of the data into r->best (n,2). */
static ebb_status search(ebb_context *ctx, const ebb_copies *c, int64_t n, room *r)
{
    for (int64_t first = 0; first < c->m; first += PART) {
        int64_t count = c->m - first < PART ? c->m - first : PART;
        int k = count < 2 ? 1 : 2;
        widen(c->data + first * c->numbers, count * c->numbers, r->part);
        EBB_TRY(ebb_nearest(ctx, r->pictures, n, r->part, count, c->numbers, k, false, NULL, r->found));
        for (int64_t i = 0; i < n; i++)
            merge(r->best + 2 * i, r->found + k * i, k);
    }
    return EBB_OK;
}

ebb_status ebb_copies_create(ebb_context *ctx, const uint8_t *data, int64_t m, int64_t numbers, const uint32_t *probe, int64_t n,
                             ebb_copies *out)
{
    room r = {0};
    *out = (ebb_copies){.data = data, .m = m, .numbers = numbers};
    if (n < 2 || n > m)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "test for copies: %lld pictures of %lld: at least two", (long long)n, (long long)m);
    ebb_status status = make_room(ctx, out, n, &r);
    for (int64_t i = 0; status == EBB_OK && i < n; i++)
        widen(data + probe[i] * numbers, numbers, r.pictures + i * numbers);
    if (status == EBB_OK)
        status = search(ctx, out, n, &r);
    /* The nearest of all is the picture itself. */
    for (int64_t i = 0; status == EBB_OK && i < n; i++)
        r.found[i] = r.best[2 * i + 1];
    if (status == EBB_OK)
        out->threshold = ebb_quantile(r.found, n, EBB_COPIES_SHARE);
    free_room(&r);
    return status;
}

ebb_status ebb_copies_measure(ebb_context *ctx, const ebb_copies *c, const uint8_t *pictures, int64_t n, bool of_data, int resamples,
                              ebb_measure *out)
{
    room r = {0};
    ebb_status status = make_room(ctx, c, n, &r);
    if (status == EBB_OK) {
        widen(pictures, n * c->numbers, r.pictures);
        status = search(ctx, c, n, &r);
    }
    for (int64_t i = 0; status == EBB_OK && i < n; i++)
        r.found[i] = r.best[2 * i + of_data] < c->threshold;
    if (status == EBB_OK)
        status = ebb_resample_mean(ctx, r.found, n, 0, resamples, out);
    free_room(&r);
    return status;
}
