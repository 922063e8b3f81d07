/* plms.c: pseudo linear multistep (Liu et al. 2022, PNDM without its Runge-Kutta steps, as Stable Diffusion has it).
 *
 * Adams-Bashforth's weights of even steps, 1; 3/2, -1/2; 23/12, -16/12, 5/12; 55/24, -59/24, 37/24, -9/24, applied to the
 * noise whatever the steps, and the sum taken through DDIM's step: x' = alpha'/alpha x + alpha' (k' - k) sum. The first
 * step is Heun's, with the noise where it arrives; so n steps take n+1 evaluations. Their timesteps on a chain are
 * t, t - T/n, ...: the grid "leading".
 */
#include "diffusion/adams.h"

static const double even[EBB_ADAMS_ORDER][EBB_ADAMS_ORDER] = {
    {1},
    {3.0 / 2, -1.0 / 2},
    {23.0 / 12, -16.0 / 12, 5.0 / 12},
    {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24},
};

static double change_of_k(const ebb_level *level)
{
    return level[1].sigma / level[1].alpha - level[0].sigma / level[0].alpha;
}

static void even_weights(const ebb_level *level, int order, double *weight)
{
    for (int j = 0; j < order; j++)
        weight[j] = even[order - 1][j] * change_of_k(level);
}

/* The first step from level[0], where alpha is not 0; eps[0] is the noise there, eps[1] becomes that at its end. */
static int heun_step(ebb_walk *w, const ebb_level *level, double *const *eps, double *start)
{
    double dk = change_of_k(level), mean[2] = {0.5 * dk, 0.5 * dk};
    for (int64_t i = 0; i < w->n * w->count; i++)
        start[i] = w->x[i];
    ebb_adams_step(w, level[0], level[1], 1, &dk, eps);
    if (level[1].sigma == 0)
        return 0;
    if (ebb_walk_predict(w, w->x, level[1], eps[1], NULL))
        return 1;
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] = start[i];
    ebb_adams_step(w, level[0], level[1], 2, mean, eps);
    return 0;
}

int ebb_sample_plms(ebb_walk *w)
{
    double weight[EBB_ADAMS_ORDER], *eps[EBB_ADAMS_ORDER], *x0 = ebb_walk_buffer(w, EBB_ADAMS_ORDER);
    int have = 0;
    for (int k = 0; k < w->grid->steps; k++) {
        const ebb_level *t = &w->grid->level[k];
        have = have < EBB_ADAMS_ORDER ? have + 1 : EBB_ADAMS_ORDER;
        for (int j = 0; j < EBB_ADAMS_ORDER; j++)
            eps[j] = ebb_walk_buffer(w, (k + EBB_ADAMS_ORDER - j) % EBB_ADAMS_ORDER);
        if (ebb_walk_predict(w, w->x, *t, eps[0], t->alpha == 0 ? x0 : NULL))
            return 1;
        if (t->alpha == 0) {
            ebb_walk_first(w, t[1], eps[0], x0, w->x);
            have = 0;
        } else if (have == 1) {
            if (heun_step(w, t, eps, x0))
                return 1;
        } else {
            even_weights(t, have, weight);
            ebb_adams_step(w, *t, t[1], have, weight, eps);
        }
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}
