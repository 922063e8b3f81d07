/* process.c: alpha, sigma, drift and diffusion of each process, and the time at which lambda has a value.
 *
 *   vp      B(t) = beta_min t + (beta_max - beta_min) t^2/2, alpha = exp(-B/2), sigma^2 = 1 - exp(-B)
 *   sub-vp  the same alpha, sigma = 1 - exp(-B)                      (Song et al. 2021, eq. 29)
 *   ou      alpha = exp(-t), sigma^2 = 1 - exp(-2t): vp with B = 2t
 *   ve      alpha = 1, sigma = sigma_min (sigma_max/sigma_min)^t, as their code has it; the paper's eq. 29 subtracts
 *           sigma_min^2 from its square
 *   edm     alpha = 1, sigma = t
 *   flow    alpha = 1 - t, sigma = t
 *   ddpm    alpha = sqrt(alpha_bar_t); smld: alpha = 1, sigma geometric from sigma_min to sigma_max
 * Differences of nearly equal numbers go through expm1.
 */
#include "diffusion/process.h"

#include <math.h>
#include <string.h>

static const struct { const char *name, *help; } table[] = {
#define PROCESS(id, name, help) {name, help},
#include "diffusion/processes.def"
#undef PROCESS
};

const char *ebb_process_name(ebb_process_kind kind)
{
    return kind < EBB_PROCESS_COUNT ? table[kind].name : "";
}

const char *ebb_process_help(ebb_process_kind kind)
{
    return kind < EBB_PROCESS_COUNT ? table[kind].help : "";
}

ebb_process_kind ebb_process_find(const char *name)
{
    int kind = 0;
    while (kind < EBB_PROCESS_COUNT && strcmp(table[kind].name, name) != 0)
        kind++;
    return (ebb_process_kind)kind;
}

/* ---- making ----------------------------------------------------------------------------------------------- */

static bool is_vp(const ebb_process *p)
{
    return p->kind == EBB_PROCESS_VP || p->kind == EBB_PROCESS_SUBVP;
}

static bool has_sigma(const ebb_process *p)
{
    return p->kind == EBB_PROCESS_VE || p->kind == EBB_PROCESS_SMLD || p->kind == EBB_PROCESS_EDM;
}

static double usual(double given, double value)
{
    return given == 0 ? value : given;
}

static void fill(ebb_process *p)
{
    bool edm = p->kind == EBB_PROCESS_EDM;
    p->log_clock = p->log_clock || edm;
    p->beta_min = usual(p->beta_min, 0.1);
    p->beta_max = usual(p->beta_max, 20.0);
    p->sigma_min = usual(p->sigma_min, edm ? 0.002 : 0.01);
    p->sigma_max = usual(p->sigma_max, edm ? 80.0 : 50.0);
    if (p->kind == EBB_PROCESS_DDPM)
        p->steps = p->chain.steps;
    else if (p->kind == EBB_PROCESS_SMLD)
        p->steps = p->steps > 0 ? p->steps : 1000;
    else
        p->steps = 0;
    if (p->kind == EBB_PROCESS_OU)
        p->end = usual(p->end, 5.0);
    else
        p->end = p->steps > 0 ? p->steps - 1 : edm ? p->sigma_max : 1.0;
    bool late = p->kind == EBB_PROCESS_VE || p->kind == EBB_PROCESS_OU;
    p->least = p->steps > 0 ? 0 : edm ? p->sigma_min : 1e-5;
    p->least_sample = p->steps > 0 ? 0 : edm ? p->sigma_min : late ? 1e-5 : 1e-3;
}

static ebb_status check(ebb_context *ctx, const ebb_process *p)
{
    if (p->kind >= EBB_PROCESS_COUNT)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process: no kind of number %d", (int)p->kind);
    if (p->kind == EBB_PROCESS_DDPM && p->steps < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process ddpm: needs its chain of variances");
    if (is_vp(p) && !(p->beta_min > 0 && p->beta_min <= p->beta_max && isfinite(p->beta_max)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process %s: beta from %g to %g; 0 < beta_min <= beta_max is needed",
                        table[p->kind].name, p->beta_min, p->beta_max);
    if (has_sigma(p) && !(p->sigma_min > 0 && p->sigma_min < p->sigma_max && isfinite(p->sigma_max)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process %s: sigma from %g to %g; 0 < sigma_min < sigma_max is needed",
                        table[p->kind].name, p->sigma_min, p->sigma_max);
    if (p->kind == EBB_PROCESS_SMLD && p->steps < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process smld: %d levels; at least 2 are needed", p->steps);
    if (p->log_clock && p->kind == EBB_PROCESS_FLOW)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process flow: log(alpha/sigma) has no end, so that it cannot be the clock");
    if (!(p->end >= p->least) || !isfinite(p->end))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process %s: it would end at t = %g, before it begins",
                        table[p->kind].name, p->end);
    return EBB_OK;
}

ebb_status ebb_process_create(ebb_context *ctx, const ebb_process *wanted, ebb_process *out)
{
    *out = *wanted;
    fill(out);
    ebb_status status = check(ctx, out);
    if (status != EBB_OK)
        ebb_process_free(out);
    return status;
}

void ebb_process_free(ebb_process *p)
{
    ebb_schedule_free(&p->chain);
    *p = (ebb_process){0};
}

/* By the numbers that levels come from; the clock is only what networks are told. */
bool ebb_process_same(const ebb_process *a, const ebb_process *b)
{
    bool same = a->kind == b->kind && a->end == b->end && a->steps == b->steps;
    if (is_vp(a))
        same = same && a->beta_min == b->beta_min && a->beta_max == b->beta_max;
    if (has_sigma(a))
        same = same && a->sigma_min == b->sigma_min && a->sigma_max == b->sigma_max;
    for (int i = 0; same && a->kind == EBB_PROCESS_DDPM && i < a->steps; i++)
        same = a->chain.alpha_bar[i] == b->chain.alpha_bar[i];
    return same;
}

/* ---- tables of the chains ----------------------------------------------------------------------------------- */

static double chain_node(const ebb_process *p, int i)
{
    return 0.5 * log(p->chain.alpha_bar[i]);
}

/* The cell [i, i+1] of the chain that t lies in. */
static int cell_of(const ebb_process *p, double t)
{
    int i = (int)floor(t), last = p->steps - 2;
    return i < 0 ? 0 : i > last ? (last > 0 ? last : 0) : i;
}

/* With zero terminal SNR the last node is log 0; towards it alpha itself, not its logarithm, falls in a straight line. */
static bool ends_in_zero(const ebb_process *p, int i)
{
    return p->chain.alpha_bar[i + 1] == 0;
}

static double chain_log_alpha(const ebb_process *p, double t)
{
    int i = cell_of(p, t);
    double at = chain_node(p, i);
    if (t == i || p->steps == 1)
        return at;
    if (t == i + 1)
        return chain_node(p, i + 1);
    if (ends_in_zero(p, i))
        return t < i + 1 ? at + log(i + 1 - t) : -INFINITY;
    return at + (t - i) * (chain_node(p, i + 1) - at);
}

static double chain_slope(const ebb_process *p, double t)
{
    if (p->steps == 1)
        return chain_node(p, 0);
    int i = cell_of(p, t);
    return ends_in_zero(p, i) ? -1.0 / (i + 1 - t) : chain_node(p, i + 1) - chain_node(p, i);
}

static double chain_time(const ebb_process *p, double log_alpha)
{
    int low = 0, high = p->steps - 1;
    if (log_alpha >= chain_node(p, low))
        return low;
    if (log_alpha <= chain_node(p, high))
        return high;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (chain_node(p, middle) >= log_alpha)
            low = middle;
        else
            high = middle;
    }
    double a = chain_node(p, low), b = chain_node(p, high);
    return ends_in_zero(p, low) ? high - exp(log_alpha - a) : low + (log_alpha - a) / (b - a);
}

/* ---- the functions of t --------------------------------------------------------------------------------------- */

/* B(t) of alpha = exp(-B/2), for the processes that keep variance. */
static double integral(const ebb_process *p, double t)
{
    switch (p->kind) {
    case EBB_PROCESS_DDPM: return -2.0 * chain_log_alpha(p, t);
    case EBB_PROCESS_OU: return 2.0 * t;
    default: return p->beta_min * t + 0.5 * (p->beta_max - p->beta_min) * t * t;
    }
}

static double geometric_sigma(const ebb_process *p, double t)
{
    return p->sigma_min * pow(p->sigma_max / p->sigma_min, t / p->end);
}

ebb_level ebb_process_level(const ebb_process *p, double t)
{
    switch (p->kind) {
    case EBB_PROCESS_VE:
    case EBB_PROCESS_SMLD: return (ebb_level){t, 1.0, geometric_sigma(p, t)};
    case EBB_PROCESS_EDM: return (ebb_level){t, 1.0, t};
    case EBB_PROCESS_FLOW: return (ebb_level){t, 1.0 - t, t};
    default: break;
    }
    double b = integral(p, t), alpha = exp(-0.5 * b), rest = -expm1(-b);
    return (ebb_level){t, alpha, p->kind == EBB_PROCESS_SUBVP ? rest : sqrt(rest)};
}

static double beta(const ebb_process *p, double t)
{
    return p->beta_min + t * (p->beta_max - p->beta_min);
}

double ebb_process_drift(const ebb_process *p, double t)
{
    switch (p->kind) {
    case EBB_PROCESS_DDPM: return chain_slope(p, t);
    case EBB_PROCESS_OU: return -1.0;
    case EBB_PROCESS_VP:
    case EBB_PROCESS_SUBVP: return -0.5 * beta(p, t);
    case EBB_PROCESS_FLOW: return -1.0 / (1.0 - t);
    default: return 0.0;
    }
}

double ebb_process_diffusion2(const ebb_process *p, double t)
{
    double s;
    switch (p->kind) {
    case EBB_PROCESS_DDPM: return -2.0 * chain_slope(p, t);
    case EBB_PROCESS_OU: return 2.0;
    case EBB_PROCESS_VP: return beta(p, t);
    case EBB_PROCESS_SUBVP: return beta(p, t) * -expm1(-2.0 * integral(p, t));
    case EBB_PROCESS_EDM: return 2.0 * t;
    case EBB_PROCESS_FLOW: return 2.0 * t / (1.0 - t);
    default: s = geometric_sigma(p, t); return s * s * 2.0 * log(p->sigma_max / p->sigma_min) / p->end;
    }
}

double ebb_process_lambda(const ebb_process *p, double t)
{
    ebb_level at = ebb_process_level(p, t);
    return log(at.alpha) - log(at.sigma);
}

/* log(1 + exp(x)) */
static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* B at which alpha/sigma = exp(lambda). sub-vp: with a = exp(-B/2), a/(1 - a^2) = exp(lambda). */
static double integral_of(const ebb_process *p, double lambda)
{
    if (p->kind != EBB_PROCESS_SUBVP)
        return softplus(-2.0 * lambda);
    double r = exp(lambda), a = r < 1e8 ? 2.0 * r / (1.0 + sqrt(1.0 + 4.0 * r * r)) : 1.0 - 0.5 / r;
    return -2.0 * log(a);
}

static double time_of(const ebb_process *p, double lambda)
{
    double ratio, d;
    switch (p->kind) {
    case EBB_PROCESS_DDPM: return chain_time(p, -0.5 * integral_of(p, lambda));
    case EBB_PROCESS_OU: return 0.5 * integral_of(p, lambda);
    case EBB_PROCESS_EDM: return exp(-lambda);
    case EBB_PROCESS_FLOW: return 1.0 / (1.0 + exp(lambda));
    case EBB_PROCESS_VE:
    case EBB_PROCESS_SMLD:
        ratio = p->sigma_max / p->sigma_min;
        return p->end * (-lambda - log(p->sigma_min)) / log(ratio);
    default: break;
    }
    double b = integral_of(p, lambda);
    d = p->beta_max - p->beta_min;
    return 2.0 * b / (sqrt(p->beta_min * p->beta_min + 2.0 * d * b) + p->beta_min);
}

double ebb_process_time(const ebb_process *p, double lambda)
{
    double t = time_of(p, lambda);
    return t < 0 ? 0 : t > p->end ? p->end : t;
}

ebb_level ebb_process_level_sigma(const ebb_process *p, double sigma)
{
    ebb_level at = {.t = sigma > 0 ? ebb_process_time(p, -log(sigma)) : 0.0, .alpha = 1.0, .sigma = sigma};
    if (has_sigma(p) || sigma == 0)
        return at;
    if (p->kind == EBB_PROCESS_FLOW)
        at.alpha = 1.0 / (1.0 + sigma);
    else if (p->kind == EBB_PROCESS_SUBVP)
        at.alpha = exp(-0.5 * integral_of(p, -log(sigma)));
    else
        at.alpha = 1.0 / sqrt(1.0 + sigma * sigma);
    at.sigma = at.alpha * sigma;
    return at;
}

double ebb_process_prior_std(const ebb_process *p)
{
    return has_sigma(p) ? p->sigma_max : 1.0;
}

double ebb_process_position(const ebb_process *p, double t)
{
    if (p->steps > 0)
        return t;
    if (!p->log_clock)
        return 999.0 * t / p->end;
    double from = ebb_process_lambda(p, p->least), to = ebb_process_lambda(p, p->end);
    double part = (from - ebb_process_lambda(p, t)) / (from - to);
    return part > 0 ? 999.0 * (part < 1 ? part : 1) : 0;
}
