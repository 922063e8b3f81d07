/* pc.c: walks by a predictor, a Langevin corrector, or both (Song et al. 2021, algorithm 1).
 *
 * The predictor (predictor.c) goes from level to level; the corrector stays at one and takes Langevin steps
 *   x <- x + e score + sqrt(2 e) z,   e = 2 a^2 (snr |z|/|score|)^2   (algorithms 4 and 5; a^2 = 1 - beta, ve: 1)
 * towards its law. The published code averages both norms over the batch, which makes a sample depend on the others: here
 * that is the setting batch_mean, and by default each row has its own norms and length. The code also corrects before it
 * predicts, the paper's algorithm after it: predictor_first.
 *
 * The last step adds noise, too; the result leaves it out (setting denoise, as in the published code).
 *
 * Draws, in this order in each step: one for every corrector step, one for the predictor unless it never adds noise.
 */
#include "diffusion/stochastic.h"

#include <math.h>

enum { SCORE, NOISE, LENGTH, MEAN };

static void note_mean(ebb_walk *w)
{
    double *mean = ebb_walk_buffer(w, MEAN);
    for (int64_t i = 0; i < w->n * w->count; i++)
        mean[i] = w->x[i];
    ebb_walk_keep_mean(w);
}

static double norm(int64_t n, const double *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* Step length of each row. */
static void choose_lengths(const ebb_walk *w, double a2, const double *score, const double *z, double *length)
{
    double mean_score = 0, mean_noise = 0;
    for (int64_t i = 0; i < w->n; i++) {
        mean_score += norm(w->count, score + i * w->count) / (double)w->n;
        mean_noise += norm(w->count, z + i * w->count) / (double)w->n;
    }
    for (int64_t i = 0; i < w->n; i++) {
        bool all = w->set.batch_mean != 0;
        double s = all ? mean_score : norm(w->count, score + i * w->count);
        double noise = all ? mean_noise : norm(w->count, z + i * w->count), ratio = s > 0 ? w->set.snr * noise / s : 0;
        length[i] = 2 * a2 * ratio * ratio;
    }
    if (w->corrected != NULL)
        w->corrected(w->user, length);
}

/* At level `at`, with the forward step k to scale by. */
static int correct(ebb_walk *w, int k, ebb_level at)
{
    double *score = ebb_walk_buffer(w, SCORE), *z = ebb_walk_buffer(w, NOISE), *length = ebb_walk_buffer(w, LENGTH);
    double a = ebb_walk_forward(w, k).keep;
    for (int m = 0; m < (int)w->set.corrector_steps; m++) {
        if (ebb_walk_score(w, w->x, at, score))
            return 1;
        ebb_walk_normal(w, z);
        choose_lengths(w, a * a, score, z, length);
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] += length[i / w->count] * score[i];
        note_mean(w);
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] += sqrt(2 * length[i / w->count]) * z[i];
    }
    return 0;
}

static int predict(ebb_walk *w, int predictor, int k)
{
    double *score = ebb_walk_buffer(w, SCORE), *z = ebb_walk_buffer(w, NOISE);
    ebb_move m = ebb_walk_move(w, predictor, k);
    if (predictor == EBB_PREDICT_NONE)
        return 0;
    if (ebb_walk_score(w, w->x, w->grid->level[k], score))
        return 1;
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] = m.keep * w->x[i] + m.push * score[i];
    note_mean(w);
    if (predictor == EBB_PREDICT_ODE)
        return 0;
    ebb_walk_normal(w, z);
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] += m.noise * z[i];
    return 0;
}

/* After the predictor the state is at level k+1; a clean one has nothing to correct. */
static int correct_after(ebb_walk *w, int k)
{
    ebb_level at = w->grid->level[k + 1];
    int next = k + 1 < w->grid->steps ? k + 1 : k;
    return at.sigma > 0 ? correct(w, next, at) : 0;
}

int ebb_sample_pc(ebb_walk *w)
{
    bool corrected = (w->sampler->variant & EBB_CORRECTED) != 0, first = w->set.predictor_first != 0;
    int predictor = w->sampler->variant & (EBB_CORRECTED - 1);
    for (int k = 0; k < w->grid->steps; k++) {
        if (corrected && !first && correct(w, k, w->grid->level[k]))
            return 1;
        if (predict(w, predictor, k))
            return 1;
        if (corrected && first && correct_after(w, k))
            return 1;
        if (ebb_walk_step(w, k))
            return 1;
    }
    const double *mean = ebb_walk_buffer(w, MEAN);
    for (int64_t i = 0; w->set.denoise != 0 && i < w->n * w->count; i++)
        w->x[i] = mean[i];
    return 0;
}
