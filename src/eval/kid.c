/* kid.c: kernel inception distance, by sums over pairs of groups of samples (resample.h), so that drawing groups anew costs no
 * pass over the pairs.
 */
#include "eval/kid.h"

#include "eval/products.h"

typedef struct sums {
    int64_t n;
    int dim, groups;
    bool self;                   /* a row's product with itself does not count */
    double *row;                 /* (n, groups): sum over the other's rows of that group */
} sums;

static double kernel(double dot, int dim)
{
    double k = dot / dim + 1;
    return k * k * k;
}

static void add_tile(void *self, int64_t i, int rows, int64_t j, int columns, const double *dot)
{
    const sums *s = self;
    for (int r = 0; r < rows; r++) {
        double *row = s->row + (i + r) * s->groups;
        for (int c = 0; c < columns; c++)
            if (!s->self || i + r != j + c)
                row[(j + c) % s->groups] += kernel(dot[r * EBB_TILE_COLUMNS + c], s->dim);
    }
}

/* Into out (groups of x, groups of y): sums over pairs of rows. */
static ebb_status sum_pairs(ebb_context *ctx, const double *x, int64_t n, const double *y, int64_t m, int dim, int groups, double *out)
{
    sums s = {.n = n, .dim = dim, .groups = groups, .self = x == y};
    int of_x = ebb_resample_groups(n);
    EBB_TRY(ebb_alloc(ctx, (void **)&s.row, (size_t)n * (size_t)groups, sizeof *s.row, "sums over pairs"));
    ebb_status status = ebb_products(ctx, x, n, y, m, dim, add_tile, &s);
    for (int64_t i = 0; i < n; i++)
        for (int g = 0; g < groups; g++)
            out[i % of_x * groups + g] += s.row[i * groups + g];
    ebb_free(s.row);
    return status;
}

ebb_status ebb_kid_own(ebb_context *ctx, const double *y, int64_t m, int dim, double *out)
{
    sums s = {.n = m, .dim = dim, .groups = 1, .self = true};
    if (m < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "kernel distance of %lld samples: at least two of each", (long long)m);
    EBB_TRY(ebb_alloc(ctx, (void **)&s.row, (size_t)m, sizeof *s.row, "sums over pairs"));
    ebb_status status = ebb_products(ctx, y, m, y, m, dim, add_tile, &s);
    *out = 0;
    for (int64_t i = 0; status == EBB_OK && i < m; i++)
        *out += s.row[i] / ((double)m * (double)(m - 1));
    ebb_free(s.row);
    return status;
}

typedef struct counted {
    int64_t n;
    int groups;
    double own, of_pair;         /* of_pair: 1/m */
    double *inner, *cross;       /* (groups, groups), (groups) */
} counted;

static double value(const void *self, const double *count, double *room)
{
    const counted *k = self;
    double all = 0, squares = 0, inner = 0, cross = 0;
    (void)room;
    for (int a = 0; a < k->groups; a++) {
        double w = count != NULL ? count[a] : 1, size = (double)(k->n / k->groups + (a < k->n % k->groups)), row = 0;
        for (int b = 0; w > 0 && b < k->groups; b++)
            row += (count != NULL ? count[b] : 1) * k->inner[a * k->groups + b];
        all += w * size;
        squares += w * w * size;
        inner += w * row;
        cross += w * k->cross[a];
    }
    return inner / (all * all - squares) + k->own - 2 * cross * k->of_pair / all;
}

ebb_status ebb_kid_measure(ebb_context *ctx, const double *x, int64_t n, const double *y, int64_t m, int dim, double own, int resamples,
                           ebb_measure *out)
{
    counted k = {.n = n, .groups = ebb_resample_groups(n), .own = own, .of_pair = 1 / (double)m};
    size_t groups = (size_t)k.groups;
    if (n < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "kernel distance of %lld samples: at least two of each", (long long)n);
    EBB_TRY(ebb_alloc(ctx, (void **)&k.inner, groups * (groups + 1), sizeof *k.inner, "sums over pairs"));
    k.cross = k.inner + groups * groups;
    ebb_status status = sum_pairs(ctx, x, n, x, n, dim, k.groups, k.inner);
    if (status == EBB_OK)
        status = sum_pairs(ctx, x, n, y, m, dim, 1, k.cross);
    if (status == EBB_OK)
        status = ebb_resample_measure(ctx, n, 0, resamples, 0, value, &k, out);
    ebb_free(k.inner);
    return status;
}
