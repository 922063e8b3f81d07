/* assignment.c: the cheapest pairing of two samples.
 *
 * Rows are assigned one after the other. For each, a shortest path (in reduced costs cost - u - v >= 0, which are zero along
 * pairs) leads to a column that is still free, and turns the pairs along it around: Dijkstra's algorithm, O(n^2) a row.
 */
#include <math.h>

#include "eval/pairs.h"

typedef struct matching {
    int dim;
    int64_t n;
    const double *x, *y;
    double *u, *v, *distance;    /* (n+1) duals of rows and columns, paths' lengths; column n: where a row begins */
    int32_t *row_of, *before;    /* (n+1) of each column: its row or -1, the column before it on the path */
    uint8_t *done;               /* (n+1) */
} matching;

static double cost(const matching *m, int64_t row, int64_t column)
{
    double sum = 0;
    for (int d = 0; d < m->dim; d++) {
        double by = m->x[row * m->dim + d] - m->y[column * m->dim + d];
        sum += by * by;
    }
    return sum;
}

/* Widens the paths by the column that was reached last; returns the nearest of the others. */
static int64_t widen(matching *m, int64_t column)
{
    int64_t row = m->row_of[column], nearest = -1;
    double least = INFINITY;
    m->done[column] = 1;
    for (int64_t j = 0; j < m->n; j++) {
        if (m->done[j])
            continue;
        double length = cost(m, row, j) - m->u[row] - m->v[j];
        if (length < m->distance[j]) {
            m->distance[j] = length;
            m->before[j] = (int32_t)column;
        }
        if (m->distance[j] < least) {
            least = m->distance[j];
            nearest = j;
        }
    }
    for (int64_t j = 0; j <= m->n; j++) {
        if (m->done[j]) {
            m->u[m->row_of[j]] += least;
            m->v[j] -= least;
        } else {
            m->distance[j] -= least;
        }
    }
    return nearest;
}

static void assign(matching *m, int64_t row)
{
    int64_t column = m->n;
    m->row_of[column] = (int32_t)row;
    for (int64_t j = 0; j <= m->n; j++) {
        m->distance[j] = INFINITY;
        m->done[j] = 0;
    }
    while (m->row_of[column] >= 0)
        column = widen(m, column);
    while (column != m->n) {
        int64_t from = m->before[column];
        m->row_of[column] = m->row_of[from];
        column = from;
    }
}

ebb_status ebb_assignment_w2(ebb_context *ctx, int dim, const double *x, const double *y, int64_t n, int32_t *partner,
                             double *out)
{
    size_t k = (size_t)n + 1;
    matching m = {.dim = dim, .n = n, .x = x, .y = y};
    if (n < 1 || n > EBB_ASSIGN_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "pairing of %lld points: 1 to %d are possible", (long long)n, EBB_ASSIGN_MAX);
    EBB_TRY(ebb_alloc(ctx, (void **)&m.u, 5 * k, sizeof(double), "pairs of points"));
    m.v = m.u + k;
    m.distance = m.v + k;
    m.row_of = (int32_t *)(void *)(m.distance + k);
    m.before = m.row_of + k;
    m.done = (uint8_t *)(m.before + k);
    for (size_t j = 0; j < k; j++)
        m.row_of[j] = -1;
    for (int64_t i = 0; i < n; i++)
        assign(&m, i);
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        sum += cost(&m, m.row_of[j], j);
        if (partner != NULL)
            partner[m.row_of[j]] = (int32_t)j;
    }
    *out = sqrt(sum / (double)n);
    ebb_free(m.u);
    return EBB_OK;
}
