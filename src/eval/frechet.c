/* frechet.c: moments of features, and the Frechet distance by LAPACK's eigenvalues (frechet.h).
 *
 * Each row of a covariance is summed by one worker over the samples in order. LAPACK's own bits depend on which one is installed.
 */
#include "eval/frechet.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "eval/products.h"

enum { ROWS = 8 };               /* of the covariance, for each walk over the samples */

/* ---- moments --------------------------------------------------------------------------------------------------------------- */

static ebb_status allocate(ebb_context *ctx, int dim, bool root, ebb_moments *out)
{
    size_t d = (size_t)dim;
    *out = (ebb_moments){.dim = dim};
    EBB_TRY(ebb_alloc(ctx, (void **)&out->mean, d + (root ? 2 : 1) * d * d, sizeof(double), "moments of features"));
    out->cov = out->mean + d;
    out->root = root ? out->cov + d * d : NULL;
    return EBB_OK;
}

void ebb_moments_free(ebb_moments *m)
{
    ebb_free(m->mean);
    *m = (ebb_moments){0};
}

typedef struct summing {
    const double *x, *count;
    int64_t n;
    int groups;
    double total;
    const ebb_moments *m;
} summing;

static double weight_of(const summing *s, int64_t k)
{
    return s->count != NULL ? s->count[k % s->groups] : 1;
}

static void covariance_rows(void *self, int64_t item, int worker)
{
    const summing *s = self;
    int dim = s->m->dim, first = (int)item * ROWS, end = first + ROWS < dim ? first + ROWS : dim;
    const double *mean = s->m->mean;
    double *cov = s->m->cov;
    (void)worker;
    memset(cov + (int64_t)first * dim, 0, (size_t)(end - first) * (size_t)dim * sizeof *cov);
    for (int64_t k = 0; k < s->n; k++) {
        const double *x = s->x + k * dim;
        double weight = weight_of(s, k);
        for (int i = first; weight > 0 && i < end; i++) {
            double xi = weight * (x[i] - mean[i]), *row = cov + (int64_t)i * dim;
            for (int j = i; j < dim; j++)
                row[j] += xi * (x[j] - mean[j]);
        }
    }
    for (int i = first; i < end; i++)
        for (int j = i; j < dim; j++)
            cov[(int64_t)i * dim + j] /= s->total - 1;
}

/* Of samples each counted as often as its group; NULL: once. */
static void find_moments(const ebb_context *ctx, summing *s, ebb_moments *m)
{
    int dim = m->dim;
    m->n = s->n;
    s->m = m;
    s->total = 0;
    memset(m->mean, 0, (size_t)dim * sizeof *m->mean);
    for (int64_t k = 0; k < s->n; k++) {
        double weight = weight_of(s, k);
        s->total += weight;
        for (int i = 0; i < dim; i++)
            m->mean[i] += weight * s->x[k * dim + i];
    }
    for (int i = 0; i < dim; i++)
        m->mean[i] /= s->total;
    ebb_par_for(ctx->threads, (dim + ROWS - 1) / ROWS, covariance_rows, s);
    for (int64_t i = 0; i < dim; i++)
        for (int64_t j = 0; j < i; j++)
            m->cov[i * dim + j] = m->cov[j * dim + i];
}

/* ---- roots ----------------------------------------------------------------------------------------------------------------- */

/* a (dim,dim) symmetric, overwritten: with vectors as rows where they are wanted. */
static ebb_status eigen(ebb_context *ctx, int dim, double *a, double *values, bool vectors)
{
    int token = ebb_par_single_begin();
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, vectors ? 'V' : 'N', 'L', dim, a, dim, values);
    ebb_par_single_end(token);
    if (info != 0)
        return ebb_fail(ctx, EBB_E_NUMERIC, "eigenvalues of a covariance of %d features: LAPACK's dsyevd says %d", dim, (int)info);
    return EBB_OK;
}

/* root = V' diag(sqrt(values)) V of rows V: the products of rows of V' diag(values^1/4) with themselves. */
static ebb_status take_root(ebb_context *ctx, ebb_moments *m)
{
    int64_t d = m->dim;
    double *vectors, *scaled, *values;
    EBB_TRY(ebb_alloc(ctx, (void **)&vectors, (size_t)(2 * d * d + d), sizeof *vectors, "the root of a covariance"));
    scaled = vectors + d * d;
    values = scaled + d * d;
    memcpy(vectors, m->cov, (size_t)(d * d) * sizeof *vectors);
    ebb_status status = eigen(ctx, m->dim, vectors, values, true);
    for (int64_t k = 0; status == EBB_OK && k < d; k++)
        for (int64_t i = 0; i < d; i++)
            scaled[i * d + k] = vectors[k * d + i] * sqrt(sqrt(fmax(values[k], 0)));
    if (status == EBB_OK)
        status = ebb_products_all(ctx, scaled, d, scaled, d, d, m->root);
    ebb_free(vectors);
    return status;
}

ebb_status ebb_moments_create(ebb_context *ctx, const double *x, int64_t n, int dim, bool root, ebb_moments *out)
{
    summing s = {.x = x, .n = n, .groups = 1};
    *out = (ebb_moments){0};
    if (n < 2 || dim < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "covariance of %lld samples of %d features: at least two samples", (long long)n, dim);
    EBB_TRY(allocate(ctx, dim, root, out));
    find_moments(ctx, &s, out);
    ebb_status status = root ? take_root(ctx, out) : EBB_OK;
    if (status != EBB_OK)
        ebb_moments_free(out);
    return status;
}

/* ---- the distance ---------------------------------------------------------------------------------------------------------- */

/* room: 2 dim^2 + dim. */
static ebb_status distance(ebb_context *ctx, const ebb_moments *a, const ebb_moments *b, double *room, double *out)
{
    int64_t d = a->dim;
    double *half = room, *middle = half + d * d, *values = middle + d * d, sum = 0;
    EBB_TRY(ebb_products_all(ctx, b->root, d, a->cov, d, d, half));
    EBB_TRY(ebb_products_all(ctx, half, d, b->root, d, d, middle));
    EBB_TRY(eigen(ctx, a->dim, middle, values, false));
    for (int64_t i = 0; i < d; i++) {
        double off = a->mean[i] - b->mean[i];
        sum += off * off + a->cov[i * d + i] + b->cov[i * d + i] - 2 * sqrt(fmax(values[i], 0));
    }
    if (!isfinite(sum))
        return ebb_fail(ctx, EBB_E_NUMERIC, "the Frechet distance is not finite: features are not, or too large");
    *out = fmax(sum, 0);
    return EBB_OK;
}

static ebb_status make_room(ebb_context *ctx, int dim, double **room)
{
    size_t d = (size_t)dim;
    return ebb_alloc(ctx, (void **)room, 2 * d * d + d, sizeof **room, "the Frechet distance");
}

ebb_status ebb_frechet(ebb_context *ctx, const ebb_moments *a, const ebb_moments *b, double *out)
{
    double *room;
    if (a->dim != b->dim || b->root == NULL)
        return ebb_fail(ctx, EBB_E_SHAPE, "Frechet distance of %d and %d features%s", a->dim, b->dim,
                        b->root == NULL ? ": the second has no root" : "");
    EBB_TRY(make_room(ctx, a->dim, &room));
    ebb_status status = distance(ctx, a, b, room, out);
    ebb_free(room);
    return status;
}

static ebb_status measure(ebb_context *ctx, summing *s, const ebb_moments *b, int resamples, ebb_moments *a, double *room,
                          double *found)
{
    double *count = found + resamples + 1;
    for (int round = 0; round <= resamples; round++) {
        if (round > 0)
            ebb_resample_counts(round, 0, s->groups, count);
        s->count = round > 0 ? count : NULL;
        find_moments(ctx, s, a);
        EBB_TRY(distance(ctx, a, b, room, found + round));
    }
    return EBB_OK;
}

ebb_status ebb_frechet_measure(ebb_context *ctx, const double *x, int64_t n, const ebb_moments *b, int resamples, ebb_measure *out)
{
    summing s = {.x = x, .n = n, .groups = ebb_resample_groups(n)};
    ebb_moments a;
    double *room = NULL, *found = NULL;
    if (n < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "Frechet distance of %lld samples: at least two", (long long)n);
    resamples = b->dim <= EBB_FRECHET_MOST ? resamples : 0;
    EBB_TRY(allocate(ctx, b->dim, false, &a));
    ebb_status status = make_room(ctx, b->dim, &room);
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)&found, (size_t)(resamples + 1 + s.groups), sizeof *found, "resampling");
    if (status == EBB_OK)
        status = measure(ctx, &s, b, resamples, &a, room, found);
    if (status == EBB_OK)
        *out = ebb_resample_interval(found[0], found + 1, resamples);
    ebb_moments_free(&a);
    ebb_free(room);
    ebb_free(found);
    return status;
}
