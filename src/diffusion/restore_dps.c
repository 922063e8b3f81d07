/* restore_dps.c: diffusion posterior sampling (Chung et al. 2023): ancestral steps, each pushed down the gradient of the
 * residual of what the denoiser makes of the point.
 *
 *   x' = ancestral step from x - zeta grad_x |y - H x_0(x)|,    grad = -J' H'r/|r|, r the residual, J = dx_0/dx
 *
 * Of the norm, as their code has it, not its square (algorithm 1 prints the square with a factor zeta/|r|, which is the same but
 * for 2). Where the estimate is kept in [-1,1] the gradient goes through that, too: none from a number that was cut. p(y|x) is
 * taken as if x_0 were known to be its mean, and zeta is free: the result is no sample of the posterior, but near the data.
 * Needs an evaluation and a derivative through the denoiser each step, counted as two.
 */
#include <math.h>

#include "diffusion/restore.h"

enum { PULL = EBB_RESTORE_OWN, GRADIENT };

/* Of row i: H'r/|r| to pull (count), 0 where it was cut; room (count). */
static void residual(const ebb_restore_walk *r, int64_t i, const double *x0, double *room, double *pull)
{
    const double *y = r->y + i * r->op->rows;
    double norm = 0;
    r->op->apply(r->op, x0, room);
    for (int64_t j = 0; j < r->op->rows; j++) {
        room[j] = y[j] - room[j];
        norm += room[j] * room[j];
    }
    norm = sqrt(norm);
    r->op->adjoint(r->op, room, pull);
    for (int64_t d = 0; d < r->walk.count; d++) {
        bool cut = r->walk.clip > 0 && fabs(x0[d]) >= r->walk.clip;
        pull[d] = norm > 0 && !cut ? pull[d] / norm : 0;
    }
}

int ebb_restore_dps(ebb_restore_walk *r)
{
    ebb_walk *w = &r->walk;
    double *x0 = ebb_walk_buffer(w, EBB_RESTORE_CLEAN), *room = ebb_walk_buffer(w, EBB_RESTORE_NOISE);
    double *pull = ebb_walk_buffer(w, PULL), *gradient = ebb_walk_buffer(w, GRADIENT);
    for (int k = 0; k < w->grid->steps; k++) {
        if (ebb_walk_predict(w, w->x, w->grid->level[k], NULL, x0))
            return 1;
        for (int64_t i = 0; i < w->n; i++)
            residual(r, i, x0 + i * w->count, room, pull + i * w->count);
        if (ebb_walk_pullback(w, w->x, w->grid->level[k], pull, gradient))
            return 1;
        ebb_restore_step_down(r, k);
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] += r->set.zeta * gradient[i];
        if (ebb_walk_step(w, k))
            return 1;
    }
    if (r->set.project != 0)
        ebb_restore_agree(r, 1);
    return 0;
}
