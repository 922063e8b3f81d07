/* convergence.c: one row of the table: a grid, the law of Euler-Maruyama on it, the terms.
 */
#include "diffusion/convergence.h"

#include <math.h>

static ebb_status output_law(ebb_context *ctx, const ebb_target *law, const ebb_convergence *row, ebb_normal *out)
{
    ebb_process wanted = {.kind = EBB_PROCESS_OU, .end = row->end}, p;
    ebb_grid grid;
    EBB_TRY(ebb_process_create(ctx, &wanted, &p));
    ebb_status status = ebb_grid_create(ctx, &p, "uniform", &(ebb_grid_options){.steps = row->steps}, &grid);
    if (status == EBB_OK) {
        ebb_law_of of = {.sampler = "euler-maruyama:denoise=0", .process = &p, .grid = &grid, .law = law,
                         .score_shift = row->error};
        status = ebb_sampler_law(ctx, &of, out);
        ebb_grid_free(&grid);
    }
    ebb_process_free(&p);
    return status;
}

ebb_status ebb_convergence_measure(ebb_context *ctx, const ebb_target *law, ebb_convergence *row)
{
    ebb_normal out;
    EBB_TRY(output_law(ctx, law, row, &out));
    ebb_normal data = ebb_normal_at(law, 1, 0);
    ebb_normal last = ebb_normal_at(law, exp(-row->end), sqrt(-expm1(-2 * row->end)));
    if (!(data.var > 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "convergence: the data's variance is %g; the score has no Lipschitz constant",
                        data.var);
    row->h = row->end / row->steps;
    /* The variance goes monotonically from the data's to 1. */
    row->lipschitz = 1 / fmin(data.var, last.var);
    row->moment = sqrt(data.mean * data.mean + data.var);
    row->start = sqrt(ebb_normal_kl(last, (ebb_normal){0, 1}));
    row->step = row->lipschitz * (sqrt(row->h) + row->moment * row->h) * sqrt(row->end);
    row->score = fabs(row->error) * sqrt(row->end);
    row->bound = row->start + row->step + row->score;
    row->tv = ebb_normal_tv(out, data);
    return EBB_OK;
}
