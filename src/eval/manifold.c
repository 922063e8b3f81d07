/* manifold.c: precision, recall, density, coverage, by squares of distances of all pairs (manifold.h).
 */
#include "eval/manifold.h"

#include <math.h>

#include "eval/products.h"

typedef struct squares { const double *x, *y; } squares;

static double squared(const squares *s, int64_t i, int64_t j, double dot)
{
    return fmax(s->x[i] + s->y[j] - 2 * dot, 0);
}

/* ---- neighbours -------------------------------------------------------------------------------------------------------------- */

typedef struct neighbours { squares of; double *reach; } neighbours;

static void find_tile(void *self, int64_t i, int rows, int64_t j, int columns, const double *dot)
{
    const neighbours *s = self;
    for (int r = 0; r < rows; r++) {
        double *reach = s->reach + (i + r) * EBB_DENSITY_K;
        for (int c = 0; c < columns; c++) {
            double d = i + r == j + c ? INFINITY : squared(&s->of, i + r, j + c, dot[r * EBB_TILE_COLUMNS + c]);
            for (int k = EBB_DENSITY_K - 1; k >= 0 && d < reach[k]; k--) {
                if (k + 1 < EBB_DENSITY_K)
                    reach[k + 1] = reach[k];
                reach[k] = d;
            }
        }
    }
}

ebb_status ebb_manifold_reach(ebb_context *ctx, const double *x, int64_t n, int dim, double *reach)
{
    double *length;
    if (n < EBB_MANIFOLD_LEAST)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "manifold of %lld samples: at least %d", (long long)n, EBB_MANIFOLD_LEAST);
    EBB_TRY(ebb_alloc(ctx, (void **)&length, (size_t)n, sizeof *length, "a manifold"));
    ebb_products_squares(x, n, dim, length);
    for (int64_t i = 0; i < n * EBB_DENSITY_K; i++)
        reach[i] = INFINITY;
    ebb_status status = ebb_products(ctx, x, n, x, n, dim, find_tile, &(neighbours){{length, length}, reach});
    ebb_free(length);
    return status;
}

/* ---- points within balls ------------------------------------------------------------------------------------------------------ */

/* Rows are made, columns real; or rows real, columns made, whose reach is then of `around`. */
typedef struct within {
    squares of;
    const double *reach, *around;    /* of rows; of columns */
    double *inside, *count;          /* of rows: in some ball of k = EBB_MANIFOLD_K around columns; balls of k = EBB_DENSITY_K that
                                        the row is in, or (real rows) whether its own ball holds a column */
} within;

static void made_tile(void *self, int64_t i, int rows, int64_t j, int columns, const double *dot)
{
    const within *s = self;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            double d = squared(&s->of, i + r, j + c, dot[r * EBB_TILE_COLUMNS + c]);
            const double *reach = s->around + (j + c) * EBB_DENSITY_K;
            if (d <= reach[EBB_MANIFOLD_K - 1])
                s->inside[i + r] = 1;
            s->count[i + r] += d <= reach[EBB_DENSITY_K - 1] ? 1.0 / EBB_DENSITY_K : 0;
        }
}

static void real_tile(void *self, int64_t i, int rows, int64_t j, int columns, const double *dot)
{
    const within *s = self;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            double d = squared(&s->of, i + r, j + c, dot[r * EBB_TILE_COLUMNS + c]);
            if (d <= s->around[(j + c) * EBB_DENSITY_K + EBB_MANIFOLD_K - 1])
                s->inside[i + r] = 1;
            if (d <= s->reach[(i + r) * EBB_DENSITY_K + EBB_DENSITY_K - 1])
                s->count[i + r] = 1;
        }
}

typedef struct room { double *made_reach, *made_square, *real_square, *made[2], *real[2]; } room;

static ebb_status measure(ebb_context *ctx, const double *made, int64_t n, const double *real, int64_t m, int dim, const double *reach,
                          int resamples, const room *r, ebb_manifold_measures *out)
{
    within of_made = {{r->made_square, r->real_square}, NULL, reach, r->made[0], r->made[1]};
    within of_real = {{r->real_square, r->made_square}, reach, r->made_reach, r->real[0], r->real[1]};
    EBB_TRY(ebb_manifold_reach(ctx, made, n, dim, r->made_reach));
    ebb_products_squares(made, n, dim, r->made_square);
    ebb_products_squares(real, m, dim, r->real_square);
    EBB_TRY(ebb_products(ctx, made, n, real, m, dim, made_tile, &of_made));
    EBB_TRY(ebb_products(ctx, real, m, made, n, dim, real_tile, &of_real));
    EBB_TRY(ebb_resample_mean(ctx, of_made.inside, n, 0, resamples, &out->precision));
    EBB_TRY(ebb_resample_mean(ctx, of_made.count, n, 0, resamples, &out->density));
    EBB_TRY(ebb_resample_mean(ctx, of_real.inside, m, 1, resamples, &out->recall));
    return ebb_resample_mean(ctx, of_real.count, m, 1, resamples, &out->coverage);
}

ebb_status ebb_manifold_measure(ebb_context *ctx, const double *made, int64_t n, const double *real, int64_t m, int dim,
                                const double *reach, int resamples, ebb_manifold_measures *out)
{
    room r;
    EBB_TRY(ebb_alloc(ctx, (void **)&r.made_reach, (size_t)(n * (EBB_DENSITY_K + 3) + 3 * m), sizeof(double), "a manifold"));
    r.made_square = r.made_reach + n * EBB_DENSITY_K;
    r.made[0] = r.made_square + n;
    r.made[1] = r.made[0] + n;
    r.real_square = r.made[1] + n;
    r.real[0] = r.real_square + m;
    r.real[1] = r.real[0] + m;
    ebb_status status = measure(ctx, made, n, real, m, dim, reach, resamples, &r, out);
    ebb_free(r.made_reach);
    return status;
}
