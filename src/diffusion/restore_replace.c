/* restore_replace.c: known numbers are replaced on the way down: the replacement method and RePaint.
 *
 *   replacement   before each step what is known becomes alpha y + sigma z, fresh noise each time (Song et al. 2021, app. I.2).
 *                 The step then fills in the rest as if that noise had nothing to do with it: the rest hears of y only through
 *                 what the known numbers look like now, not through what they will become, which is the bias.
 *   RePaint       replacement after each step; and where k levels are left, k a multiple of jump_length, the point goes that many
 *                 levels back by the forward process and comes down again, resamples - 1 times (Lugmayr et al. 2022, algorithm
 *                 1 and appendix B). The more often, the nearer the two parts come to a sample of their joint law at each level.
 *
 * Both work on the axes of V, so that means of blocks or grey pictures are known numbers, too. At the end known numbers are
 * the data and the others noise-free means. The published code of the replacement method (literal) draws the noise of known
 * numbers twice a step, the second time at the level that was just left, and returns the noisy x for unknown numbers.
 */
#include <math.h>

#include "diffusion/restore.h"
#include "diffusion/stochastic.h"

/* The reverse-diffusion predictor (predictor.c). */
static int reverse_step(ebb_restore_walk *r, int k)
{
    ebb_walk *w = &r->walk;
    ebb_move m = ebb_walk_move(w, EBB_PREDICT_REVERSE_DIFFUSION, k);
    double *score = ebb_walk_buffer(w, EBB_RESTORE_CLEAN), *z = ebb_walk_buffer(w, EBB_RESTORE_NOISE);
    if (ebb_walk_score(w, w->x, w->grid->level[k], score))
        return 1;
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] = m.keep * w->x[i] + m.push * score[i];
    ebb_walk_keep_mean(w);
    if (w->grid->level[k + 1].sigma == 0 && r->set.literal == 0)
        return 0;
    ebb_walk_normal(w, z);
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] += m.noise * z[i];
    return 0;
}

static int step(ebb_restore_walk *r, int k)
{
    ebb_walk *w = &r->walk;
    if (r->set.predictor != 0)
        return reverse_step(r, k);
    if (ebb_walk_predict(w, w->x, w->grid->level[k], NULL, ebb_walk_buffer(w, EBB_RESTORE_CLEAN)))
        return 1;
    ebb_restore_step_down(r, k);
    return 0;
}

int ebb_restore_replacement(ebb_restore_walk *r)
{
    ebb_walk *w = &r->walk;
    bool literal = r->set.literal != 0;
    const ebb_level *level = w->grid->level;
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_restore_put(r, level[k]);
        if (step(r, k))
            return 1;
        if (literal)
            ebb_restore_put(r, level[k]);
        if (ebb_walk_step(w, k))
            return 1;
    }
    ebb_restore_agree(r, literal ? level[w->grid->steps - 1].alpha : 1);
    return 0;
}

/* ---- RePaint --------------------------------------------------------------------------------------------------------------- */

/* Whether jumps go back from the level behind step k - 1: those with a multiple of the length left to go, not counting the
 * last step to the clean level, and as many levels above. */
static bool jumps_from(int k, int steps, int length)
{
    int left = steps - 1 - k;
    return k < steps && left % length == 0 && k >= length;
}

int64_t ebb_repaint_count(const ebb_restore_settings *set, int steps)
{
    int length = (int)set->jump_length;
    int64_t all = steps;
    for (int k = 1; k <= steps; k++)
        all += jumps_from(k, steps, length) ? (int64_t)((int)set->resamples - 1) * length : 0;
    return all;
}

static void jump_back(ebb_restore_walk *r, ebb_level from, ebb_level to)
{
    ebb_walk *w = &r->walk;
    ebb_between q = ebb_level_between(to, from);
    double *z = ebb_walk_buffer(w, EBB_RESTORE_NOISE), keep = to.alpha / from.alpha;
    ebb_walk_normal(w, z);
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] = keep * w->x[i] + sqrt(q.added) * z[i];
}

/* From level k to k + 1. */
static int come_down(ebb_restore_walk *r, int k, int64_t *taken)
{
    ebb_walk *w = &r->walk;
    if (ebb_walk_predict(w, w->x, w->grid->level[k], NULL, ebb_walk_buffer(w, EBB_RESTORE_CLEAN)))
        return 1;
    ebb_restore_step_down(r, k);
    ebb_restore_put(r, w->grid->level[k + 1]);
    return ebb_walk_step(w, (*taken)++);
}

int ebb_restore_repaint(ebb_restore_walk *r)
{
    ebb_walk *w = &r->walk;
    int steps = w->grid->steps, length = (int)r->set.jump_length;
    int64_t taken = 0;
    for (int k = 0; k < steps; k++) {
        if (come_down(r, k, &taken))
            return 1;
        for (int again = 1; jumps_from(k + 1, steps, length) && again < (int)r->set.resamples; again++) {
            jump_back(r, w->grid->level[k + 1], w->grid->level[k + 1 - length]);
            for (int j = k + 1 - length; j <= k; j++)
                if (come_down(r, j, &taken))
                    return 1;
        }
    }
    ebb_restore_agree(r, 1);
    return 0;
}
