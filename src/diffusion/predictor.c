/* predictor.c: steps of the reverse equation dx = (c x - g^2 score) dt + g dw, t decreasing, each x <- keep x + push score +
 * noise z.
 *
 *   euler-maruyama     keep 1 - c dt, push g^2 dt, noise g sqrt(dt); the length dt is the grid's own where it has one
 *                      (score_sde's 1/N, De Bortoli's gamma)
 *   em-modified        the same with the variance of a bridge that ends at t = 0: times t_{k+1}/t_k, so none on a last
 *                      step to 0 (Durham & Gallant 2002, eq. 20; De Bortoli's chain prints the ratio one step late)
 *   reverse-diffusion  with x_k = a x_{k+1} + sqrt(v) z the forward step: keep 2 - a, push v, noise sqrt(v)
 *                      (Song et al. 2021, appendix E, algorithms 2 and 3)
 *   ancestral-sde      keep 1/a, push v/a; noise sqrt(v), where a = 1 (ve) the root of the posterior variance
 *                      v sigma_{k+1}^2/sigma_k^2 (appendix F)
 *   the ODE predictor  keep 2 - a, push v/2, no noise: the probability flow in the same steps
 *
 * The forward step lies between the levels of the grid. On a grid with lengths of its own (score-sde) it is that of the
 * published code: of the N steps beta_i = linspace(beta_min/N, beta_max/N, N) or sigma_i = geomspace(sigma_min,
 * sigma_max, N) the one of index i = int(t (N-1)), sigma_{-1} = 0; for processes without such a table an Euler step.
 */
#include "diffusion/stochastic.h"

#include <math.h>

/* c dt and g^2 dt. Within a chain c and g jump at each timestep; there their integrals over the step are taken. */
typedef struct euler { double drift, added; } euler;

static euler euler_step(const ebb_walk *w, int k)
{
    const ebb_process *p = w->process;
    ebb_level t = w->grid->level[k], s = w->grid->level[k + 1];
    double shrink = log(t.alpha / s.alpha);
    if (p->kind == EBB_PROCESS_DDPM)
        return (euler){shrink, -2 * shrink};
    if (p->kind == EBB_PROCESS_SMLD)
        return (euler){0, t.sigma * t.sigma - s.sigma * s.sigma};
    double dt = ebb_walk_dt(w, k);
    return (euler){ebb_process_drift(p, t.t) * dt, ebb_process_diffusion2(p, t.t) * dt};
}

/* Step i of the tables of score_sde's discretisation. */
static ebb_forward table_step(const ebb_process *p, int n, int i)
{
    double at = n > 1 ? (double)i / (n - 1) : 0, step = n > 1 ? 1.0 / (n - 1) : 0;
    if (p->kind == EBB_PROCESS_VP) {
        double beta = (p->beta_min + at * (p->beta_max - p->beta_min)) / n;
        return (ebb_forward){sqrt(1 - beta), beta, NAN};
    }
    double sigma = p->sigma_min * pow(p->sigma_max / p->sigma_min, at);
    double below = i > 0 ? p->sigma_min * pow(p->sigma_max / p->sigma_min, at - step) : 0;
    double v = sigma * sigma - below * below;
    return (ebb_forward){1, v, v * (below * below) / (sigma * sigma)};
}

ebb_forward ebb_walk_forward(const ebb_walk *w, int k)
{
    const ebb_process *p = w->process;
    const ebb_level *at = w->grid->level + k;
    if (w->grid->dt == NULL) {
        ebb_between q = ebb_level_between(at[0], at[1]);
        return (ebb_forward){at[0].alpha / at[1].alpha, q.added, q.posterior};
    }
    if (p->kind == EBB_PROCESS_VP || p->kind == EBB_PROCESS_VE)
        return table_step(p, w->grid->steps, (int)(at->t / p->end * (w->grid->steps - 1)));
    euler e = euler_step(w, k);
    return (ebb_forward){1 + e.drift, e.added, e.added * (at[1].sigma * at[1].sigma) / (at[0].sigma * at[0].sigma)};
}

static ebb_move euler_move(const ebb_walk *w, bool modified, int k)
{
    const ebb_level *at = w->grid->level + k;
    euler e = euler_step(w, k);
    double bridge = modified && at[0].t > 0 ? at[1].t / at[0].t : modified ? 0 : 1;
    return (ebb_move){1 - e.drift, e.added, sqrt(e.added * bridge)};
}

ebb_move ebb_walk_move(const ebb_walk *w, int predictor, int k)
{
    if (predictor == EBB_PREDICT_NONE)
        return (ebb_move){1, 0, 0};
    if (predictor == EBB_PREDICT_EULER || predictor == EBB_PREDICT_EULER_MODIFIED)
        return euler_move(w, predictor == EBB_PREDICT_EULER_MODIFIED, k);
    ebb_forward q = ebb_walk_forward(w, k);
    if (predictor == EBB_PREDICT_ODE)
        return (ebb_move){2 - q.keep, 0.5 * q.added, 0};
    if (predictor == EBB_PREDICT_ANCESTRAL)
        return (ebb_move){1 / q.keep, q.added / q.keep, sqrt(q.keep == 1 ? q.posterior : q.added)};
    return (ebb_move){2 - q.keep, q.added, sqrt(q.added)};
}

ebb_status ebb_predictor_check(ebb_context *ctx, const ebb_walk *w)
{
    if (w->sampler->run != ebb_sample_pc)
        return EBB_OK;
    int predictor = w->sampler->variant & (EBB_CORRECTED - 1);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k];
        ebb_move m = ebb_walk_move(w, predictor, k);
        ebb_forward q = ebb_walk_forward(w, k);
        if (!isfinite(m.keep) || !isfinite(m.push) || !(m.noise >= 0))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: process %s has no finite step %d, from t = %g (alpha %g, "
                            "sigma %g): start or end it elsewhere (grid options t_start, t_end) or take more steps",
                            w->sampler->name, ebb_process_name(w->process->kind), k, t.t, t.alpha, t.sigma);
        if ((w->sampler->variant & EBB_CORRECTED) != 0 && !isfinite(q.keep))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: step %d of process %s removes more than there is: take more "
                            "than %d steps", w->sampler->name, k, ebb_process_name(w->process->kind), w->grid->steps);
    }
    return EBB_OK;
}
