/* budget.c: dynamic programming over steps between levels (budget.h), and what the steps cost for Gaussian data.
 */
#include "diffusion/budget.h"

#include <math.h>

#include "diffusion/posterior.h"
#include "diffusion/sampler.h"

#define NODES_MAX 4096

/* ---- paths ------------------------------------------------------------------------------------------------- */

/* Entry of s < t among the pairs. */
static size_t pair(int s, int t)
{
    return (size_t)t * (size_t)(t - 1) / 2 + (size_t)s;
}

static ebb_status fill_costs(ebb_context *ctx, int nodes, double (*cost)(void *self, int s, int t), void *self, double *table)
{
    for (int t = 1; t < nodes; t++)
        for (int s = 0; s < t; s++) {
            double value = cost(self, s, t);
            if (isnan(value))
                return ebb_fail(ctx, EBB_E_NUMERIC, "budget: the step from level %d to %d has no cost (NaN)", t, s);
            table[pair(s, t)] = value;
        }
    return EBB_OK;
}

/* One more step: next[t] and from[t] out of the totals of one step fewer. */
static void relax(int nodes, const double *table, const double *before, double *next, int *from)
{
    for (int t = 0; t < nodes; t++) {
        next[t] = INFINITY;
        from[t] = 0;
        for (int s = 0; s < t; s++) {
            double sum = before[s] + table[pair(s, t)];
            if (sum < next[t]) {
                next[t] = sum;
                from[t] = s;
            }
        }
    }
}

static void solve(const double *table, double *row[2], ebb_budget *b)
{
    for (int t = 0; t < b->nodes; t++)
        row[0][t] = t == 0 ? 0 : INFINITY;
    for (int k = 1; k <= b->most; k++) {
        double *before = row[(k - 1) % 2], *next = row[k % 2];
        relax(b->nodes, table, before, next, b->from + (size_t)k * (size_t)b->nodes);
        b->total[k] = next[b->nodes - 1];
    }
}

ebb_status ebb_budget_create(ebb_context *ctx, int nodes, int most, double (*cost)(void *self, int s, int t), void *self,
                             ebb_budget *out)
{
    double *table = NULL, *rows = NULL;
    *out = (ebb_budget){.nodes = nodes, .most = most};
    if (nodes < 2 || nodes > NODES_MAX || most < 1 || most > nodes - 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "budget: paths of up to %d steps over %d levels; 2..%d levels and no more steps than "
                        "lie between them are possible", most, nodes, NODES_MAX);
    ebb_status status = ebb_alloc(ctx, (void **)&table, pair(0, nodes), sizeof *table, "costs of steps");
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)&rows, 2 * (size_t)nodes, sizeof *rows, "costs of paths");
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)&out->total, (size_t)most + 1, sizeof *out->total, "costs of the best paths");
    if (status == EBB_OK)
        status = ebb_alloc(ctx, (void **)&out->from, ((size_t)most + 1) * (size_t)nodes, sizeof *out->from, "best paths");
    if (status == EBB_OK)
        status = fill_costs(ctx, nodes, cost, self, table);
    if (status == EBB_OK)
        solve(table, (double *[]){rows, rows + nodes}, out);
    else
        ebb_budget_free(out);
    ebb_free(table);
    ebb_free(rows);
    return status;
}

void ebb_budget_free(ebb_budget *b)
{
    ebb_free(b->total);
    ebb_free(b->from);
    *b = (ebb_budget){0};
}

void ebb_budget_path(const ebb_budget *b, int steps, int *node)
{
    int t = b->nodes - 1;
    for (int k = steps; k > 0; k--) {
        node[steps - k] = t;
        t = b->from[(size_t)k * (size_t)b->nodes + (size_t)t];
    }
    node[steps] = t;
}

/* ---- Gaussian data ------------------------------------------------------------------------------------------- */

double ebb_gaussian_cost_of(void *self, int s, int t)
{
    const ebb_gaussian_cost *g = self;
    ebb_level from = g->level[t], to = g->level[s];
    double left = ebb_gaussian_left(from, g->variance);
    ebb_between q = ebb_level_between(from, to);
    if (to.sigma == 0)
        return 0.5 * (log(2 * 3.14159265358979323846 * q.added) + left / q.added);
    double w = g->small ? q.posterior : q.added;
    return 0.5 * (log(w / q.posterior) - 1 + (q.posterior + q.keep_x0 * q.keep_x0 * left) / w);
}
