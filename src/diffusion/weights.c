/* weights.c: how much each noise level counts, and the numbers of a level that a loss graph is given.
 *
 * The one idea: errors of noise, picture, score and F are multiples of each other,
 *   |x0_hat - x0| = |eps_hat - eps|/sqrt(snr),  |s_hat - s| = |eps_hat - eps|/sigma,  |eps_hat - eps| = |eps_f| |F - F*|,
 * with snr = alpha^2/sigma^2. So a weighting is one function of the level, the factor W of |eps_hat - eps|^2, and a loss
 * of F has the factor W eps_f^2. (Kingma & Gao 2023 list published weightings in this way.)
 */
#include "diffusion/diffusion.h"

#include <math.h>
#include <string.h>

static const struct { const char *name, *help; } table[] = {
#define WEIGHTING(id, name, help) {name, help},
#include "diffusion/weightings.def"
#undef WEIGHTING
};

const char *ebb_weighting_name(ebb_weighting kind)
{
    return kind < EBB_WEIGHTINGS ? table[kind].name : "";
}

const char *ebb_weighting_help(ebb_weighting kind)
{
    return kind < EBB_WEIGHTINGS ? table[kind].help : "";
}

ebb_weighting ebb_weighting_find(const char *name)
{
    int kind = 0;
    while (kind < EBB_WEIGHTINGS && strcmp(table[kind].name, name) != 0)
        kind++;
    return (ebb_weighting)kind;
}

static double squared(double x) { return x * x; }

/* Where nothing of the picture is left, snr = 0, weights have limits: taken a little before. */
static ebb_level visible(const ebb_process *p, double t)
{
    ebb_level at = ebb_process_level(p, t);
    at.alpha = fmax(at.alpha, 1e-10 * at.sigma);
    return at;
}

/* Of a chain: what the step from t-1 (the clean picture before step 0) to t adds: x_t = a x_(t-1) + sqrt(step) noise. */
static double step_variance(const ebb_process *p, double t)
{
    ebb_level at = ebb_process_level(p, t);
    ebb_level before = t >= 1 ? ebb_process_level(p, t - 1) : (ebb_level){0, 1, 0};
    return squared(at.sigma) - squared(at.alpha / before.alpha * before.sigma);
}

/* What of |eps_hat - eps|^2 the divergence of a chain's backward step is: step^2/(2 variance a^2 sigma^2), the variance that
 * of the posterior; at step 0, where that is nothing, of step 1, as Nichol & Dhariwal's code clips it. */
static double vlb_of_chain(const ebb_process *p, double t)
{
    double from = t >= 1 || p->steps < 2 ? t : 1;
    ebb_level at = visible(p, t), of = ebb_process_level(p, from);
    ebb_level before = from >= 1 ? ebb_process_level(p, from - 1) : of;
    double variance = step_variance(p, from) * squared(before.sigma / of.sigma);
    double a = t >= 1 ? at.alpha / ebb_process_level(p, t - 1).alpha : at.alpha;
    return squared(step_variance(p, t)) / (2.0 * variance * squared(a * at.sigma));
}

/* On the score: what a step of a chain adds, or the rate at which a process in continuous time does. */
static double on_score(const ebb_process *p, ebb_weighting kind, double t)
{
    return kind == EBB_WEIGHT_STEP && p->steps > 0 ? step_variance(p, t) : ebb_process_diffusion2(p, t);
}

double ebb_weight(const ebb_objective *o, const ebb_process *p, const ebb_network *net, double t)
{
    ebb_level at = visible(p, t);
    double snr = squared(at.alpha / at.sigma), inverse = 1.0 / squared(at.sigma), least = o->gamma > 0 ? o->gamma : 5.0;
    double power = o->gamma > 0 ? o->gamma : 1.0, offset = o->k > 0 ? o->k : 1.0, data = squared(net->sigma_data);
    double eps_f = ebb_prediction_coefficients(net->prediction, at.alpha, at.sigma, net->sigma_data).eps_f;
    bool own = o->loss == EBB_LOSS_DENOISING && net->prediction != EBB_PREDICT_SCORE;
    switch (o->weighting) {
    case EBB_WEIGHT_SIMPLE: return o->loss == EBB_LOSS_BOUND ? 1.0 : own ? 1.0 / squared(eps_f) : 1.0;
    case EBB_WEIGHT_SCORE: return inverse;
    case EBB_WEIGHT_LIKELIHOOD:
    case EBB_WEIGHT_STEP: return inverse * on_score(p, o->weighting, t);
    case EBB_WEIGHT_SNR: return snr;
    case EBB_WEIGHT_X0: return 1.0 / snr;
    case EBB_WEIGHT_TRUNCATED: return fmax(snr, 1.0) / snr;
    case EBB_WEIGHT_SNR_PLUS_1: return (snr + 1.0) / snr;
    case EBB_WEIGHT_MIN_SNR: return fmin(snr, least) / snr;
    case EBB_WEIGHT_P2: return pow(offset + snr, -power);
    case EBB_WEIGHT_EDM: return (1.0 / snr + data) / data;
    case EBB_WEIGHT_VLB: return p->steps > 0 ? vlb_of_chain(p, t) : 0.5 * inverse * ebb_process_diffusion2(p, t);
    default: return 1.0;
    }
}

/* q(x_(t-1) | x_t, x_0) has variance added sigma_(t-1)^2/sigma_t^2 and the factor added alpha_(t-1)/sigma_t^2 of x_0. */
static void bound_at(const ebb_process *p, double t, double x0_f, ebb_loss_scales *s)
{
    double from = t >= 1 ? t : 1;
    ebb_level at = ebb_process_level(p, t), of = ebb_process_level(p, from), before = ebb_process_level(p, from - 1);
    double alpha_before = t >= 1 ? before.alpha : 1.0;
    s->log_high = (float)log(step_variance(p, t));
    s->log_low = (float)log(step_variance(p, from) * squared(before.sigma / of.sigma));
    s->mean_f = (float)(step_variance(p, t) * alpha_before / squared(at.sigma) * x0_f);
    s->decoded = t >= 1 ? 0.0f : 1.0f;
}

ebb_loss_scales ebb_loss_scales_at(const ebb_objective *o, const ebb_process *process, const ebb_network *net, double t)
{
    ebb_level at = ebb_process_level(process, t);
    ebb_coefficients c = ebb_prediction_coefficients(net->prediction, at.alpha, at.sigma, net->sigma_data);
    ebb_level seen = visible(process, t);
    double eps_f = ebb_prediction_coefficients(net->prediction, seen.alpha, seen.sigma, net->sigma_data).eps_f;
    double of_f = o->loss == EBB_LOSS_DENOISING ? squared(eps_f) : 1.0;
    ebb_loss_scales s = {.in = (float)c.in, .target_noise = (float)c.noise, .target_x0 = (float)c.x0,
                             .eps_x = (float)c.eps_x, .eps_f = (float)c.eps_f,
                         .weight = (float)(ebb_weight(o, process, net, t) * of_f)};
    /* Where nothing of the picture is left, eps_hat is x_t whatever the network gives: a loss of eps_hat is constant there,
     * and no limit of weights makes it more than a large number that hides the others. */
    if (o->loss != EBB_LOSS_DENOISING && o->loss != EBB_LOSS_BOUND && c.eps_f == 0)
        s.weight = 0.0f;
    if (net->learned_variance && process->steps > 1)
        bound_at(process, t, c.x0_f, &s);
    return s;
}
