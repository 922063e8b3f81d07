/* grid_time.c: grids spread in t, in its root, in lambda = log(alpha/sigma), and the grids of score_sde and De Bortoli.
 *
 * uniform, quadratic, logsnr: steps + 1 levels from t_start (the end) to t_end (least_sample), both included; with the
 * option clean: as many levels as steps, then clean. On chains t runs between the timesteps too.
 *   score-sde  N levels, t in equal steps from t_start to t_end, but each step is taken to have the length t_start/N; the
 *              last ends clean                                                  (Song et al. 2021, their code)
 *   gamma      the chain X_{k+1} = (1 - gamma_k+1) X_k + ... of De Bortoli, k = N..0 at t_k = sum_{j=1..k} gamma_j on the clock
 *              of process ou (others: at the same alpha/sigma), gamma_k = gamma_min + (gamma_max - gamma_min) k/N: short
 *              steps near the data. gamma-literal: with N - k for k, as it is printed, which is long near the data.
 *              gamma_max 0: so that t_N is the end; gamma_min 0: a hundredth of gamma_max.
 */
#include "diffusion/grid.h"

#include <math.h>

typedef struct span { double from, to; } span;

static span find_span(const ebb_process *p, const ebb_grid_options *o)
{
    return (span){o->t_start != 0 ? o->t_start : p->end, o->t_end != 0 ? o->t_end : p->least_sample};
}

static ebb_status begin(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, bool dt, span *s, ebb_grid *out)
{
    *s = find_span(p, o);
    if (!(s->to >= 0 && s->to < s->from && s->from <= p->end))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid from t = %g to %g: they must fall within %g..0 (process %s)", s->from,
                        s->to, p->end, ebb_process_name(p->kind));
    EBB_TRY(ebb_grid_alloc(ctx, o->steps, dt, out));
    out->level[o->steps] = ebb_grid_end(p, o);
    return EBB_OK;
}

/* numpy's linspace: the last exactly. */
static double linspace(double from, double to, int i, int n)
{
    return i == n - 1 && n > 1 ? to : from + i * ((to - from) / (n > 1 ? n - 1 : 1));
}

ebb_status ebb_grid_uniform(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    span s;
    int n = ebb_grid_points(o, false);
    EBB_TRY(begin(ctx, p, o, false, &s, out));
    for (int k = 0; k < n; k++)
        out->level[k] = ebb_process_level(p, linspace(s.from, s.to, k, n));
    return EBB_OK;
}

ebb_status ebb_grid_quadratic(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    span s;
    int n = ebb_grid_points(o, false);
    EBB_TRY(begin(ctx, p, o, false, &s, out));
    for (int k = 0; k < n; k++) {
        double root = linspace(sqrt(s.from), sqrt(s.to), k, n), t = root * root;
        out->level[k] = ebb_process_level(p, k == 0 ? s.from : t);
    }
    return EBB_OK;
}

ebb_status ebb_grid_logsnr(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    span s = find_span(p, o);
    int n = ebb_grid_points(o, false);
    double from = ebb_process_lambda(p, s.from), to = ebb_process_lambda(p, s.to);
    if (!isfinite(from) || !isfinite(to))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid logsnr: log(alpha/sigma) of process %s runs from %g to %g: choose t_start "
                        "before the end and t_end after 0", ebb_process_name(p->kind), from, to);
    EBB_TRY(begin(ctx, p, o, false, &s, out));
    for (int k = 0; k < n; k++) {
        double t = ebb_process_time(p, linspace(from, to, k, n));
        out->level[k] = ebb_process_level(p, k == 0 ? s.from : k == n - 1 && n > 1 ? s.to : t);
    }
    return EBB_OK;
}

ebb_status ebb_grid_score_sde(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    span s;
    int n = o->steps;
    if (p->steps > 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid score-sde is for processes in continuous time; %s is a chain: take even, for "
                        "example", ebb_process_name(p->kind));
    EBB_TRY(begin(ctx, p, o, true, &s, out));
    for (int k = 0; k < n; k++) {
        out->level[k] = ebb_process_level(p, linspace(s.from, s.to, k, n));
        out->dt[k] = s.from / n;
    }
    out->level[n] = (ebb_level){0, 1, 0};
    return EBB_OK;
}

/* ---- De Bortoli's step lengths ---------------------------------------------------------------------------------- */

/* OU's time of noisiness k = sigma/alpha: k^2 = exp(2t) - 1. */
static double clock_of(double k_sigma)
{
    return 0.5 * log1p(k_sigma * k_sigma);
}

/* The sum of j/N over the steps j = 1..N, or of (N-j)/N. */
static double weight(int n, bool literal)
{
    return literal ? 0.5 * (n - 1) : 0.5 * (n + 1);
}

static ebb_status find_gammas(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, bool literal, double *low,
                              double *high)
{
    double start = o->t_start != 0 ? o->t_start : p->end, w = weight(o->steps, literal);
    ebb_level at = ebb_process_level(p, start);
    double end = p->kind == EBB_PROCESS_OU ? start : clock_of(at.sigma / at.alpha);
    *low = o->gamma_min;
    *high = o->gamma_max;
    if (*high == 0 && !isfinite(end))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid gamma: process %s never ends on the clock of ou: give t_start or gamma_max",
                        ebb_process_name(p->kind));
    if (*high == 0 && *low == 0)
        *high = end / (0.01 * o->steps + 0.99 * w);
    else if (*high == 0)
        *high = w > 0 ? *low + (end - o->steps * *low) / w : *low;
    if (*low == 0)
        *low = 0.01 * *high;
    if (!(*low > 0 && *low <= *high))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid gamma: steps from %g to %g in length; 0 < gamma_min <= gamma_max is needed",
                        *low, *high);
    return EBB_OK;
}

static ebb_status make_gamma(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, bool literal, ebb_grid *out)
{
    bool ou = p->kind == EBB_PROCESS_OU;
    int n = o->steps;
    double low, high, t = 0;
    EBB_TRY(find_gammas(ctx, p, o, literal, &low, &high));
    EBB_TRY(ebb_grid_alloc(ctx, n, ou, out));
    out->level[n] = (ebb_level){0, 1, 0};
    for (int k = 1; k <= n; k++) {
        double gamma = low + (high - low) * (literal ? n - k : k) / n;
        t += gamma;
        out->level[n - k] = ou ? ebb_process_level(p, t) : ebb_process_level_sigma(p, sqrt(expm1(2 * t)));
        if (ou)
            out->dt[n - k] = gamma;
    }
    return EBB_OK;
}

ebb_status ebb_grid_gamma(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    return make_gamma(ctx, p, o, false, out);
}

ebb_status ebb_grid_gamma_literal(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    return make_gamma(ctx, p, o, true, out);
}
