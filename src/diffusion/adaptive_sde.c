/* adaptive_sde.c: the reverse equation in steps as long as a tolerance allows, for each sample its own
 * (Jolicoeur-Martineau et al. 2021, "Gotta go fast when generating data with score-based models", algorithm 1).
 *
 * With F = c x - g^2 score, from t over h, one z for both stages:
 *   K_1 = -h F(x, t) + g(t) sqrt(h) z,   K_2 = -h F(x + K_1, t - h) + g(t-h) sqrt(h) z
 *   x' = x + K_1 (Euler),  x'' = x + (K_1 + K_2)/2,  error E = (K_2 - K_1)/2
 *   e^2 = mean over numbers of (E / max(atol, rtol max(|x'|, |x'_before|)))^2
 * x'' is accepted where e <= 1; then h <- min(what is left, safety h e^-exponent). A step that is refused is tried again
 * with fresh noise, as the published code does. That favours small noises: where a sample has many numbers e hardly depends
 * on the draw and nothing shows, but of one or two numbers the law comes out wrong, the more the more is refused (two modes
 * on a line, of variance .93: 1.15 at tolerances of .02). For points take srk.
 *
 * A sample draws its numbers by the count of its own tries, and one that has arrived is left alone, so that no sample
 * depends on what it is computed with. Draws: one a try.
 */
#include "diffusion/sampler.h"

#include <math.h>

#define CLOSE 1e-6               /* in t of a process that is 1 long: arrived */
#define MOST_TRIES 1000000

enum { FIRST, SECOND, THERE, NOISE, BEFORE, LENGTH, TIME };

/* k <- -h F + g sqrt(h) z of every row, at its own level. at: of the rows, in the walk's memory. */
static int stage(ebb_walk *w, const double *x, const ebb_level *at, double *k)
{
    const double *h = ebb_walk_buffer(w, LENGTH), *z = ebb_walk_buffer(w, NOISE);
    if (ebb_walk_score_rows(w, x, at, k))
        return 1;
    for (int64_t i = 0; i < w->n; i++) {
        double c = ebb_process_drift(w->process, at[i].t), g2 = ebb_process_diffusion2(w->process, at[i].t);
        double noise = sqrt(g2 * h[i]);
        for (int64_t d = i * w->count; d < (i + 1) * w->count; d++)
            k[d] = h[i] * (g2 * k[d] - c * x[d]) + noise * z[d];
    }
    return 0;
}

/* e of a row. */
static double error_of(ebb_walk *w, int64_t i)
{
    const double *k1 = ebb_walk_buffer(w, FIRST), *k2 = ebb_walk_buffer(w, SECOND);
    const double *there = ebb_walk_buffer(w, THERE), *before = ebb_walk_buffer(w, BEFORE);
    double rtol = isnan(w->set.rtol) ? 0.05 : w->set.rtol, atol = isnan(w->set.atol) ? 0.05 : w->set.atol, sum = 0;
    for (int64_t d = i * w->count; d < (i + 1) * w->count; d++) {
        double allowed = fmax(rtol * fmax(fabs(there[d]), fabs(before[d])), atol);
        double share = 0.5 * (k2[d] - k1[d]) / allowed;
        sum += share * share;
    }
    return sqrt(sum / (double)w->count);
}

/* Takes or refuses the step of a row. */
static void finish(ebb_walk *w, int64_t i, double *t, double end)
{
    const double *k1 = ebb_walk_buffer(w, FIRST), *k2 = ebb_walk_buffer(w, SECOND), *there = ebb_walk_buffer(w, THERE);
    double *before = ebb_walk_buffer(w, BEFORE), *h = ebb_walk_buffer(w, LENGTH), e = error_of(w, i);
    if (e <= 1) {
        for (int64_t d = i * w->count; d < (i + 1) * w->count; d++) {
            w->x[d] += 0.5 * (k1[d] + k2[d]);
            before[d] = there[d];
        }
        *t -= h[i];
    }
    h[i] = fmin(fmax(*t - end, 0), w->set.safety * h[i] * pow(e, -w->set.exponent));
}

/* A try of all rows that are not there yet; whether there still are such. */
static bool settle(ebb_walk *w, int64_t try, double end)
{
    double *h = ebb_walk_buffer(w, LENGTH), *t = ebb_walk_buffer(w, TIME), close = CLOSE * w->process->end;
    bool going = false;
    for (int64_t i = 0; i < w->n; i++) {
        if (h[i] == 0)
            continue;
        finish(w, i, &t[i], end);
        if (t[i] - end <= close)
            h[i] = 0;
        else if (!(h[i] > 0) || try >= MOST_TRIES) {
            /* What cannot go on shows in the result, rather than as one that is not finished. */
            for (int64_t d = i * w->count; d < (i + 1) * w->count; d++)
                w->x[d] = NAN;
            h[i] = 0;
        }
        going = going || h[i] > 0;
    }
    return going;
}

int ebb_sample_adaptive_sde(ebb_walk *w)
{
    double *there = ebb_walk_buffer(w, THERE), *k1 = ebb_walk_buffer(w, FIRST), *h = ebb_walk_buffer(w, LENGTH);
    double *before = ebb_walk_buffer(w, BEFORE), *t = ebb_walk_buffer(w, TIME);
    double start = w->grid->level[0].t, end = w->grid->level[w->grid->steps].t;
    ebb_level *at = ebb_walk_rows(w, w->grid->level[0]);
    bool going = true;
    for (int64_t i = 0; i < w->n * w->count; i++)
        before[i] = w->x[i];
    for (int64_t i = 0; i < w->n; i++) {
        h[i] = fmin(w->set.h_first * w->process->end, start - end);
        t[i] = start;
    }
    for (int64_t try = 0; going; try++) {
        ebb_walk_normal(w, ebb_walk_buffer(w, NOISE));
        for (int64_t i = 0; i < w->n; i++)
            at[i] = ebb_process_level(w->process, t[i]);
        if (stage(w, w->x, at, k1))
            return 1;
        for (int64_t i = 0; i < w->n * w->count; i++)
            there[i] = w->x[i] + k1[i];
        for (int64_t i = 0; i < w->n; i++)
            at[i] = ebb_process_level(w->process, t[i] - h[i]);
        if (stage(w, there, at, ebb_walk_buffer(w, SECOND)))
            return 1;
        going = settle(w, try, end);
        ebb_walk_keep_mean(w);
        if (ebb_walk_step(w, try))
            return 1;
    }
    return 0;
}
