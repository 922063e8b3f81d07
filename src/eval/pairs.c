/* pairs.c: energy distance and maximum mean discrepancy.
 */
#include "eval/pairs.h"

#include <math.h>

static double pair(ebb_pair_kind kind, int dim, const double *a, const double *b)
{
    double sum = 0;
    if (kind == EBB_PAIR_ENERGY) {
        for (int d = 0; d < dim; d++)
            sum += (a[d] - b[d]) * (a[d] - b[d]);
        return sqrt(sum);
    }
    for (int d = 0; d < dim; d++)
        sum += a[d] * b[d];
    sum = sum / dim + 1;
    return sum * sum * sum;
}

/* Mean over pairs of one sample. */
static double own_mean(ebb_pair_kind kind, bool unbiased, int dim, const double *y, int64_t m)
{
    double sum = 0, same = 0;
    for (int64_t i = 0; i < m; i++) {
        same += pair(kind, dim, y + i * dim, y + i * dim);
        for (int64_t j = 0; j < i; j++)
            sum += 2 * pair(kind, dim, y + i * dim, y + j * dim);
    }
    return unbiased ? sum / ((double)m * (double)(m - 1)) : (sum + same) / ((double)m * (double)m);
}

ebb_status ebb_pairs_create(ebb_context *ctx, ebb_pair_kind kind, bool unbiased, int dim, const double *x, int64_t n,
                            const double *y, int64_t m, ebb_pairs *out)
{
    *out = (ebb_pairs){.kind = kind, .unbiased = unbiased, .n = n};
    if (n < 2 || m < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "distance between samples of %lld and %lld points: at least two of each",
                        (long long)n, (long long)m);
    EBB_TRY(ebb_alloc(ctx, (void **)&out->inner, (size_t)n * ((size_t)n + 1), sizeof(double), "pairs of points"));
    out->cross = out->inner + n * n;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++)
            out->inner[i * n + j] = out->inner[j * n + i] = pair(kind, dim, x + i * dim, x + j * dim);
        for (int64_t j = 0; j < m; j++)
            out->cross[i] += pair(kind, dim, x + i * dim, y + j * dim) / (double)m;
    }
    out->other = own_mean(kind, unbiased, dim, y, m);
    return EBB_OK;
}

void ebb_pairs_free(ebb_pairs *p)
{
    ebb_free(p->inner);
    *p = (ebb_pairs){0};
}

double ebb_pairs_value(const ebb_pairs *p, const double *weight)
{
    double all = 0, squares = 0, cross = 0, inner = 0;
    for (int64_t i = 0; i < p->n; i++) {
        double w = weight != NULL ? weight[i] : 1, row = 0;
        if (w == 0)
            continue;
        all += w;
        squares += w * w;
        cross += w * p->cross[i];
        for (int64_t j = 0; j < p->n; j++)
            row += (weight != NULL ? weight[j] : 1) * p->inner[i * p->n + j];
        inner += w * (p->unbiased ? row - w * p->inner[i * p->n + i] : row);
    }
    inner /= p->unbiased ? all * all - squares : all * all;
    double value = 2 * cross / all - inner - p->other;
    return p->kind == EBB_PAIR_ENERGY ? value : -value;
}
