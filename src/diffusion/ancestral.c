/* ancestral.c: samplers that know the law of x_s between x_t and x_0, for any process (s less noisy than t).
 *
 * With a = alpha_t/alpha_s and v = sigma_t^2 - a^2 sigma_s^2, the variance that the process adds from s to t,
 *   q(x_s | x_t, x_0) = N(a sigma_s^2/sigma_t^2 x_t + alpha_s v/sigma_t^2 x_0, v sigma_s^2/sigma_t^2)
 * (Kingma et al. 2021, eq. 25; for DDPM Ho et al. 2020, eq. 7). The ancestral sampler puts the network's estimate in
 * x_0's place and takes this variance, or v (a gradient may move its mean: guide.h); DDIM keeps alpha_s x_0 + (the rest of
 * sigma_s) eps and adds eta times its root (Song et al. 2021, eq. 12).
 */
#include "diffusion/guide.h"
#include "diffusion/stochastic.h"

#include <math.h>

enum { SMALL, LARGE };
#define LEAST 1e-20              /* variance of a last step with final_noise */

/* Whether noise follows the step from t to s, which may be the last. */
static bool is_noisy(const ebb_walk *w, ebb_level t, ebb_level s)
{
    return s.sigma > 0 || (w->set.final_noise != 0 && t.t > 0);
}

/* The variance added, as sigma_t^2 - a^2 sigma_s^2 = (1 - (alpha_t sigma_s/(alpha_s sigma_t))^2) sigma_t^2. */
ebb_between ebb_level_between(ebb_level t, ebb_level s)
{
    double a = t.alpha / s.alpha, ratio = s.sigma * s.sigma / (t.sigma * t.sigma);
    double v = t.sigma * t.sigma - a * a * s.sigma * s.sigma;
    return (ebb_between){.keep_x = a * ratio, .keep_x0 = s.alpha * v / (t.sigma * t.sigma), .added = v,
                     .posterior = v * ratio};
}

int ebb_sample_ancestral(ebb_walk *w)
{
    double *x0 = ebb_walk_buffer(w, 0), *z = ebb_walk_buffer(w, 1);
    int64_t numbers = w->n * w->count;
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], s = w->grid->level[k + 1];
        ebb_between q = ebb_level_between(t, s);
        double variance = w->sampler->variant == LARGE ? q.added : q.posterior;
        if (ebb_walk_predict(w, w->x, t, NULL, x0))
            return 1;
        for (int64_t i = 0; i < numbers; i++)
            w->x[i] = q.keep_x0 * x0[i] + q.keep_x * w->x[i];
        ebb_walk_lead(w, variance);
        ebb_walk_keep_mean(w);
        if (is_noisy(w, t, s)) {
            ebb_walk_normal(w, z);
            for (int64_t i = 0; i < numbers; i++)
                w->x[i] += sqrt(variance) * z[i];
        }
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

/* The network's second output v places the log variance: v = -1 posterior, 1 added (Nichol & Dhariwal 2021, eq. 15). */
int ebb_sample_learned(ebb_walk *w)
{
    double *x0 = ebb_walk_buffer(w, 0), *z = ebb_walk_buffer(w, 1);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], s = w->grid->level[k + 1];
        ebb_between q = ebb_level_between(t, s);
        double small = log(s.sigma > 0 || w->set.final_noise == 0 ? q.posterior : LEAST), large = log(q.added);
        if (ebb_walk_predict(w, w->x, t, NULL, x0))
            return 1;
        const double *v = w->field->variance(w->field->self);
        const double *lead = w->field->lead != NULL ? w->field->lead(w->field->self) : NULL;
        for (int64_t i = 0; i < w->n * w->count; i++) {
            w->x[i] = q.keep_x0 * x0[i] + q.keep_x * w->x[i];
            if (lead != NULL)    /* the variance of this number: see ebb_walk_lead */
                w->x[i] += exp(0.5 * ((1 + v[i]) * large + (1 - v[i]) * small)) * lead[i];
        }
        ebb_walk_keep_mean(w);
        if (is_noisy(w, t, s)) {
            ebb_walk_normal(w, z);
            for (int64_t i = 0; i < w->n * w->count; i++)
                w->x[i] += exp(0.25 * ((1 + v[i]) * large + (1 - v[i]) * small)) * z[i];
        }
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

/* Of a network the field says whether it has learned variances; without a field that is not known yet. */
ebb_status ebb_learned_check(ebb_context *ctx, const ebb_walk *w)
{
    if (w->sampler->run != ebb_sample_learned || (w->field != NULL && w->field->variance != NULL))
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s needs a network that has learned its variances, and this one has not: "
                    "take ddpm or ddpm-large", w->sampler->name);
}

/* Whose steps are N(mean, variance) with the variance of the posterior or more, so that a gradient of log p(y|x) can move the
 * mean. Of less noise it would be less guidance: at eta 0 none. */
ebb_status ebb_lead_check(ebb_context *ctx, const ebb_walk *w)
{
    bool ancestral = w->sampler->run == ebb_sample_ancestral || w->sampler->run == ebb_sample_learned ||
                     (w->sampler->run == ebb_sample_euler_ancestral && ebb_walk_eta(w, 1) == 1);
    if (ancestral || w->field == NULL || w->field->lead == NULL)
        return EBB_OK;
    return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s has no means of steps with the posterior's noise that a gradient could move: "
                    "take the form %s, or ddpm, ddpm-large, ddpm-learned or euler-ancestral (eta 1)", w->sampler->name,
                    ebb_guide_form_name(EBB_GUIDE_EPSILON));
}

int ebb_sample_ddim(ebb_walk *w)
{
    double *x0 = ebb_walk_buffer(w, 0), *eps = ebb_walk_buffer(w, 1), *z = ebb_walk_buffer(w, 2);
    int64_t numbers = w->n * w->count;
    double eta = ebb_walk_eta(w, 0);
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], s = ebb_walk_arrival(w, k);
        double noise = eta * sqrt(ebb_level_between(t, s).posterior);
        double keep = sqrt(fmax(s.sigma * s.sigma - noise * noise, 0));
        if ((w->set.keep_eps != 0 ? ebb_walk_predict_kept : ebb_walk_predict)(w, w->x, t, eps, x0))
            return 1;
        for (int64_t i = 0; i < numbers; i++)
            w->x[i] = s.alpha * x0[i] + keep * eps[i];
        ebb_walk_keep_mean(w);
        if (noise > 0) {
            ebb_walk_normal(w, z);
            for (int64_t i = 0; i < numbers; i++)
                w->x[i] += noise * z[i];
        }
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}
