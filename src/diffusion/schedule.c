/* schedule.c: how much noise each timestep of the discrete chain holds.
 *
 * The one idea: a schedule is the table of beta_t, t = 0..T-1, in double, and the products
 * alpha_bar_t = (1-beta_0) ... (1-beta_t), so that q(x_t|x_0) = N(sqrt(alpha_bar_t) x_0, (1-alpha_bar_t) I).
 *   linear         Ho et al. 2020, sec. 4:          beta_t from beta_start to beta_end in equal steps
 *   scaled-linear  Rombach et al. 2022:             the same of sqrt(beta_t)
 *   cosine, sigmoid: alpha_bar(u) is a function of u = t/T, and beta_t = min(1 - alpha_bar((t+1)/T)/alpha_bar(t/T), clip)
 *   cosine         Nichol & Dhariwal 2021, eq. 17:  cos^2((u + s)/(1 + s) pi/2)
 *   sigmoid        Jabri et al. 2022, algorithm 1:  (S(end/tau) - S((u (end-start) + start)/tau)) / (S(end/tau) - S(start/tau)),
 *                                                   S(v) = 1/(1+exp(-v)) = (1 + tanh(v/2))/2
 *   sigmoid-beta   Xu et al. 2022 (GeoDiff):        beta_start + S(v) (beta_end - beta_start), v from -6 to 6 in equal steps
 * In float (`single`) numbers are rounded where torch rounds them: v, beta, 1 - beta, alpha_bar, while products go on in
 * double; equal steps are counted from the nearer end.
 * Zero terminal SNR (Lin et al. 2023, algorithm 1): sqrt(alpha_bar) is shifted so that the last is 0 and scaled so that
 * the first stays.
 */
#include "diffusion/process.h"

#include <math.h>
#include <string.h>

static const struct { const char *name, *help; } table[] = {
#define SCHEDULE(id, name, help) {name, help},
#include "diffusion/schedules.def"
#undef SCHEDULE
};

const char *ebb_schedule_name(ebb_schedule_kind kind)
{
    return kind < EBB_SCHEDULE_COUNT ? table[kind].name : "";
}

const char *ebb_schedule_help(ebb_schedule_kind kind)
{
    return kind < EBB_SCHEDULE_COUNT ? table[kind].help : "";
}

ebb_schedule_kind ebb_schedule_find(const char *name)
{
    int kind = 0;
    while (kind < EBB_SCHEDULE_COUNT && strcmp(table[kind].name, name) != 0)
        kind++;
    return (ebb_schedule_kind)kind;
}

ebb_schedule_options ebb_schedule_usual(ebb_schedule_kind kind, int steps)
{
    bool scaled = kind == EBB_SCHEDULE_SCALED_LINEAR;
    return (ebb_schedule_options){.kind = kind, .steps = steps, .beta_start = scaled ? 0.00085 : 1e-4,
                                  .beta_end = scaled ? 0.012 : 0.02, .cosine_s = 0.008, .sigmoid_start = -3,
                                  .sigmoid_end = 3, .sigmoid_tau = 1, .clip = 0.999};
}

/* ---- formulas --------------------------------------------------------------------------------------------- */

static double sigmoid(double v)
{
    return 1.0 / (1.0 + exp(-v));
}

/* Up to a factor: only quotients are taken of it. */
static double alpha_bar_at(const ebb_schedule_options *o, double u)
{
    if (o->kind == EBB_SCHEDULE_COSINE) {
        double c = cos((u + o->cosine_s) / (1.0 + o->cosine_s) * 1.5707963267948966);
        return c * c;
    }
    double v = u * (o->sigmoid_end - o->sigmoid_start) + o->sigmoid_start;
    return sigmoid(o->sigmoid_end / o->sigmoid_tau) - sigmoid(v / o->sigmoid_tau);
}

static double between(double from, double to, int t, int steps)
{
    return steps == 1 ? from : from + t * ((to - from) / (steps - 1));
}

/* The same in float. */
static double between_single(double from, double to, int t, int steps)
{
    float first = (float)from, last = (float)to, step = (last - first) / (float)(steps > 1 ? steps - 1 : 1);
    return t < steps / 2 || steps == 1 ? first + step * (float)t : last - step * (float)(steps - t - 1);
}

static double spread(const ebb_schedule_options *o, double from, double to, int t)
{
    return o->single ? between_single(from, to, t, o->steps) : between(from, to, t, o->steps);
}

static double beta_at(const ebb_schedule_options *o, int t)
{
    double root, beta;
    switch (o->kind) {
    case EBB_SCHEDULE_LINEAR: return spread(o, o->beta_start, o->beta_end, t);
    case EBB_SCHEDULE_SCALED_LINEAR:
        root = spread(o, sqrt(o->beta_start), sqrt(o->beta_end), t);
        return root * root;
    case EBB_SCHEDULE_SIGMOID_BETA: return sigmoid(spread(o, -6, 6, t)) * (o->beta_end - o->beta_start) + o->beta_start;
    default:
        beta = 1.0 - alpha_bar_at(o, (t + 1.0) / o->steps) / alpha_bar_at(o, (double)t / o->steps);
        return beta < 0 ? 0 : fmin(beta, o->clip);
    }
}

/* ---- making ----------------------------------------------------------------------------------------------- */

static ebb_status check(ebb_context *ctx, const ebb_schedule_options *o)
{
    if (o->kind >= EBB_SCHEDULE_COUNT)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "schedule: no kind of number %d", (int)o->kind);
    if (o->steps < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "schedule of %d steps: take at least 1", o->steps);
    bool linear = o->kind == EBB_SCHEDULE_LINEAR || o->kind == EBB_SCHEDULE_SCALED_LINEAR || o->kind == EBB_SCHEDULE_SIGMOID_BETA;
    if (linear && !(o->beta_start > 0.0 && o->beta_start <= o->beta_end && o->beta_end < 1.0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s schedule: beta from %g to %g; 0 < start <= end < 1 is needed",
                        table[o->kind].name, o->beta_start, o->beta_end);
    if (!linear && !(o->clip > 0 && o->clip < 1))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s schedule: beta clipped at %g; a bound between 0 and 1 is needed",
                        table[o->kind].name, o->clip);
    if (o->kind == EBB_SCHEDULE_COSINE && !(o->cosine_s >= 0 && isfinite(o->cosine_s)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "cosine schedule: s = %g; 0 or more is needed", o->cosine_s);
    if (o->kind == EBB_SCHEDULE_SIGMOID &&
        !(o->sigmoid_tau > 0 && o->sigmoid_start < o->sigmoid_end && (o->sigmoid_end - o->sigmoid_start) / o->sigmoid_tau < 1e3))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sigmoid schedule: from %g to %g with tau %g; start < end and tau > 0 are needed",
                        o->sigmoid_start, o->sigmoid_end, o->sigmoid_tau);
    return EBB_OK;
}

static ebb_status room(ebb_context *ctx, int steps, ebb_schedule *out)
{
    void *memory;
    *out = (ebb_schedule){0};
    EBB_TRY(ebb_alloc(ctx, &memory, 2 * (size_t)steps, sizeof *out->beta, "noise schedule"));
    *out = (ebb_schedule){steps, memory, (double *)memory + steps};
    return EBB_OK;
}

static void multiply(ebb_schedule *s, bool single)
{
    double product = 1.0;
    for (int t = 0; t < s->steps; t++) {
        s->beta[t] = single ? (float)s->beta[t] : s->beta[t];
        product *= single ? (double)(1.0f - (float)s->beta[t]) : 1.0 - s->beta[t];
        s->alpha_bar[t] = single ? (float)product : product;
    }
}

ebb_status ebb_schedule_make(ebb_context *ctx, const ebb_schedule_options *o, ebb_schedule *out)
{
    *out = (ebb_schedule){0};
    EBB_TRY(check(ctx, o));
    EBB_TRY(room(ctx, o->steps, out));
    for (int t = 0; t < o->steps; t++)
        out->beta[t] = beta_at(o, t);
    multiply(out, o->single);
    ebb_status status = o->zero_snr ? ebb_schedule_zero_snr(ctx, out) : EBB_OK;
    if (status == EBB_OK && o->zero_snr && o->single)
        multiply(out, true);
    if (status == EBB_OK && o->zero_snr)
        out->alpha_bar[o->steps - 1] = o->last_alpha_bar;
    if (status != EBB_OK)
        ebb_schedule_free(out);
    return status;
}

ebb_status ebb_schedule_create(ebb_context *ctx, ebb_schedule_kind kind, int steps, double beta_start,
                               double beta_end, ebb_schedule *out)
{
    ebb_schedule_options o = ebb_schedule_usual(kind, steps);
    o.beta_start = beta_start;
    o.beta_end = beta_end;
    return ebb_schedule_make(ctx, &o, out);
}

ebb_status ebb_schedule_zero_snr(ebb_context *ctx, ebb_schedule *s)
{
    double first = sqrt(s->alpha_bar[0]), last = sqrt(s->alpha_bar[s->steps - 1]), before = 1.0;
    if (!(last < first))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "zero terminal SNR: the schedule has %d step(s), the last no noisier than the "
                        "first; at least 2 are needed", s->steps);
    for (int t = 0; t < s->steps; t++) {
        double root = (sqrt(s->alpha_bar[t]) - last) * first / (first - last);
        s->alpha_bar[t] = root * root;
        s->beta[t] = 1.0 - s->alpha_bar[t] / before;
        before = s->alpha_bar[t];
    }
    return EBB_OK;
}

ebb_status ebb_schedule_respace(ebb_context *ctx, const ebb_schedule *s, const int *use, int count, ebb_schedule *out)
{
    *out = (ebb_schedule){0};
    for (int i = 0; i < count; i++)
        if (use[i] < 0 || use[i] >= s->steps || (i > 0 && use[i] <= use[i - 1]))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "respaced chain: timestep %d at place %d; they must rise within 0..%d",
                            use[i], i, s->steps - 1);
    if (count < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "respaced chain of %d steps: take at least 1", count);
    EBB_TRY(room(ctx, count, out));
    for (int i = 0; i < count; i++) {
        out->alpha_bar[i] = s->alpha_bar[use[i]];
        out->beta[i] = 1.0 - out->alpha_bar[i] / (i > 0 ? out->alpha_bar[i - 1] : 1.0);
    }
    return EBB_OK;
}

void ebb_schedule_free(ebb_schedule *s)
{
    ebb_free(s->beta);
    *s = (ebb_schedule){0};
}
