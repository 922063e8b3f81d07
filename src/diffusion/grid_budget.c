/* grid_budget.c: the grid of least total loss for Gaussian data (budget.h), out of many candidates.
 *
 * Candidates are the timesteps of a chain, or levels evenly in log(alpha/sigma) between the ends; the last step goes to the
 * clean level, or with keep_last to the least noisy candidate.
 */
#include <math.h>

#include "diffusion/budget.h"
#include "diffusion/grid.h"

static int count_candidates(const ebb_process *p, const ebb_grid_options *o)
{
    if (o->candidates > 0)
        return o->candidates;
    return p->steps > 0 && p->steps <= 1000 ? p->steps : 500;
}

/* Noisy levels, cleanest first. */
static ebb_status list_candidates(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, int n, ebb_level *level)
{
    double from = o->t_start != 0 ? o->t_start : p->end, to = o->t_end != 0 ? o->t_end : p->least_sample;
    double high = ebb_process_lambda(p, to), low = ebb_process_lambda(p, from);
    bool chain = p->steps > 0;
    if (!chain && !(isfinite(high) && isfinite(low)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid budget: log(alpha/sigma) of process %s runs from %g to %g: choose t_start before "
                        "the end and t_end after 0", ebb_process_name(p->kind), low, high);
    for (int i = 0; i < n; i++) {
        double part = (double)i / (n - 1);
        double t = chain ? rint(to + part * (from - to)) : ebb_process_time(p, high + part * (low - high));
        level[i] = ebb_process_level(p, i == 0 ? to : i == n - 1 ? from : t);
        if (i > 0 && !(level[i].t > level[i - 1].t))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid budget: %d candidates are too many for t from %g to %g", n, from, to);
    }
    return EBB_OK;
}

static ebb_status choose(ebb_context *ctx, const ebb_grid_options *o, ebb_level *level, int nodes, ebb_grid *out)
{
    ebb_gaussian_cost cost = {level, o->data_var != 0 ? o->data_var : 0.25, o->small};
    ebb_budget best;
    int *node;
    EBB_TRY(ebb_alloc(ctx, (void **)&node, (size_t)o->steps + 1, sizeof *node, "best path"));
    ebb_status status = ebb_budget_create(ctx, nodes, o->steps, ebb_gaussian_cost_of, &cost, &best);
    if (status == EBB_OK) {
        ebb_budget_path(&best, o->steps, node);
        status = ebb_grid_alloc(ctx, o->steps, false, out);
    }
    for (int k = 0; status == EBB_OK && k <= o->steps; k++)
        out->level[k] = level[node[k]];
    if (status == EBB_OK && node[o->steps] != 0)
        status = ebb_fail(ctx, EBB_E_NUMERIC, "grid budget: no path of %d steps has a finite loss", o->steps);
    ebb_budget_free(&best);
    ebb_free(node);
    return status;
}

ebb_status ebb_grid_budget(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    int noisy = count_candidates(p, o), clean = o->keep_last ? 0 : 1;
    ebb_level *level;
    if (noisy < 2 || noisy > 4000 || (p->steps > 0 && noisy > p->steps))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid budget: %d candidates; 2 to %d are possible", noisy,
                        p->steps > 0 && p->steps < 4000 ? p->steps : 4000);
    if (!(o->data_var >= 0 && isfinite(o->data_var)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid budget: data of variance %g; above 0 is needed", o->data_var);
    EBB_TRY(ebb_alloc(ctx, (void **)&level, (size_t)(noisy + clean), sizeof *level, "candidate levels"));
    level[0] = (ebb_level){0, 1, 0};
    ebb_status status = list_candidates(ctx, p, o, noisy, level + clean);
    if (status == EBB_OK)
        status = choose(ctx, o, level, noisy + clean, out);
    if (status != EBB_OK)
        ebb_grid_free(out);
    ebb_free(level);
    return status;
}
