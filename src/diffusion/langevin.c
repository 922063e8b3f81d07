/* langevin.c: walks that stay at one level: x <- x + h score + sqrt(2h) z samples its law.
 *
 *   langevin        unadjusted (ULA): the law it samples is off by O(h); of N(0,1) it makes variance 1/(1 - h/2)
 *   mala            each step is a proposal y, accepted with probability min(1, p(y) q(x|y) / (p(x) q(y|x))), q the law of
 *                   a step (Roberts & Tweedie 1996): no bias. A row that refuses stays where it is.
 *   gradient-flow   no noise: du/dt = grad log p by Euler, which climbs the nearest hill and stops. (The flow of grad p
 *                   itself has the same paths, run at another speed.)
 * Isachenko's convention x + (eta/2) score + sqrt(eta) z is the same with eta = 2h (setting half_step).
 *
 * Draws in a step: langevin one normal; mala one normal, then one uniform.
 */
#include "diffusion/stochastic.h"

#include <math.h>

/* The law itself where its score is known there, else the last level with noise; or what the setting time says. */
static ebb_level level_of(const ebb_walk *w)
{
    int k = w->grid->steps;
    if (!isnan(w->set.time))
        return ebb_process_level(w->process, w->set.time);
    if (w->field->score != NULL)
        return (ebb_level){0, 1, 0};
    while (k > 0 && w->grid->level[k].sigma == 0)
        k--;
    return w->grid->level[k];
}

typedef struct steps { double push, noise; } steps;

static steps steps_of(const ebb_walk *w)
{
    bool half = w->set.half_step != 0;
    return (steps){half ? w->set.h / 2 : w->set.h, sqrt(half ? w->set.h : 2 * w->set.h)};
}

static int run_plain(ebb_walk *w, ebb_level at)
{
    double *score = ebb_walk_buffer(w, 0), *z = ebb_walk_buffer(w, 1);
    steps h = steps_of(w);
    for (int k = 0; k < w->grid->steps; k++) {
        if (ebb_walk_score(w, w->x, at, score))
            return 1;
        for (int64_t i = 0; i < w->n * w->count; i++)
            w->x[i] += h.push * score[i];
        ebb_walk_keep_mean(w);
        if (w->sampler->variant == EBB_LANGEVIN_PLAIN) {
            ebb_walk_normal(w, z);
            for (int64_t i = 0; i < w->n * w->count; i++)
                w->x[i] += h.noise * z[i];
        }
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

/* -log q(to | from) but for its constant: |to - from - push score|^2 / (4 push). */
static double cost(int64_t n, const double *to, const double *from, const double *score, double push)
{
    double sum = 0;
    for (int64_t d = 0; d < n; d++) {
        double miss = to[d] - from[d] - push * score[d];
        sum += miss * miss;
    }
    return sum / (4 * push);
}

enum { SCORE, SCORE_THERE, THERE, LOGP, LOGP_THERE, CHANCE };

static void accept(ebb_walk *w, double push)
{
    double *score = ebb_walk_buffer(w, SCORE), *score_there = ebb_walk_buffer(w, SCORE_THERE);
    double *there = ebb_walk_buffer(w, THERE), *logp = ebb_walk_buffer(w, LOGP);
    const double *logp_there = ebb_walk_buffer(w, LOGP_THERE), *u = ebb_walk_buffer(w, CHANCE);
    for (int64_t i = 0; i < w->n; i++) {
        int64_t from = i * w->count;
        double gain = logp_there[i] - cost(w->count, w->x + from, there + from, score_there + from, push)
                    - logp[i] + cost(w->count, there + from, w->x + from, score + from, push);
        if (!(u[i] < exp(gain)))
            continue;
        for (int64_t d = from; d < from + w->count; d++) {
            w->x[d] = there[d];
            score[d] = score_there[d];
        }
        logp[i] = logp_there[i];
    }
}

static int run_adjusted(ebb_walk *w, ebb_level at)
{
    double *score = ebb_walk_buffer(w, SCORE), *there = ebb_walk_buffer(w, THERE);
    const ebb_field *f = w->field;
    steps h = steps_of(w);
    if (ebb_walk_score(w, w->x, at, score))
        return 1;
    f->log_density(f->self, w->x, ebb_walk_rows(w, at), ebb_walk_buffer(w, LOGP));
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_walk_normal(w, there);
        for (int64_t i = 0; i < w->n * w->count; i++)
            there[i] = w->x[i] + h.push * score[i] + h.noise * there[i];
        if (ebb_walk_score(w, there, at, ebb_walk_buffer(w, SCORE_THERE)))
            return 1;
        f->log_density(f->self, there, ebb_walk_rows(w, at), ebb_walk_buffer(w, LOGP_THERE));
        ebb_walk_uniform(w, ebb_walk_buffer(w, CHANCE));
        accept(w, h.push);
        ebb_walk_keep_mean(w);
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

int ebb_sample_langevin(ebb_walk *w)
{
    ebb_level at = level_of(w);
    return w->sampler->variant == EBB_LANGEVIN_ADJUSTED ? run_adjusted(w, at) : run_plain(w, at);
}

ebb_status ebb_langevin_check(ebb_context *ctx, const ebb_walk *w)
{
    if (w->sampler->run != ebb_sample_langevin)
        return EBB_OK;
    if (!(w->set.h > 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: its steps have no length: set h", w->sampler->name);
    if (w->sampler->variant == EBB_LANGEVIN_ADJUSTED && (w->field == NULL || w->field->log_density == NULL))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler mala needs the log-density of what it samples, which networks do "
                        "not give: take langevin, or an exact law without guidance");
    if (w->field != NULL && w->field->score == NULL && w->grid->level[0].sigma == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: no level of its grid has noise", w->sampler->name);
    if (!isnan(w->set.time) && w->set.time > w->process->end)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: time=%g, but process %s ends at %g", w->sampler->name, w->set.time,
                        ebb_process_name(w->process->kind), w->process->end);
    return EBB_OK;
}
