/* ema.c: see ema.h.
 *
 * Power functions (Karras et al. 2024, "Analyzing and improving the training dynamics of diffusion models", sec. 3 and
 * app. C): the average at time t weights the past tau < t by (gamma+1) tau^gamma / t^(gamma+1). Its relative standard
 * deviation is width, width^2 = (gamma+1)/((gamma+2)^2 (gamma+3)), the cubic of ebb_ema_gamma. Two such windows have the
 * inner product, with u = t_a/t_b,
 *   <a, b> = (g_a+1)(g_b+1) u^(g_b) / ((g_a+g_b+1) max(t_a, t_b))   where t_a < t_b, else u^(-g_a),
 * so that the nearest combination of stored windows solves a small symmetric system: averages of any width after the run.
 */
#include "train/ema.h"

#include <math.h>
#include <string.h>

static const struct { const char *name, *help; } table[] = {
#define EMA(id, name, help) {name, help},
#include "train/ema.def"
#undef EMA
};

const char *ebb_ema_name(ebb_ema_kind kind)
{
    return kind < EBB_EMA_KINDS ? table[kind].name : "";
}

const char *ebb_ema_help(ebb_ema_kind kind)
{
    return kind < EBB_EMA_KINDS ? table[kind].help : "";
}

ebb_ema_kind ebb_ema_find(const char *name)
{
    int kind = 0;
    while (kind < EBB_EMA_KINDS && strcmp(table[kind].name, name) != 0)
        kind++;
    return (ebb_ema_kind)kind;
}

static double half_life(const ebb_ema *e, double pictures)
{
    double life = e->ramp > 0 ? fmin(e->half_life, e->ramp * pictures) : e->half_life;
    return pow(0.5, e->batch / fmax(life, 1e-8));
}

double ebb_ema_keep(const ebb_ema *e, double n)
{
    switch (e->kind) {
    case EBB_EMA_CONSTANT: return e->keep;
    case EBB_EMA_HALF_LIFE: return half_life(e, n * e->batch);
    case EBB_EMA_INVERSE: return fmin(e->keep, n <= 1 ? 0.0 : 1.0 - pow(n, -e->power));
    case EBB_EMA_POWER: return pow(1.0 - 1.0 / n, ebb_ema_gamma(e->width) + 1.0);
    default: return fmin(e->keep, (1.0 + n) / (10.0 + n));
    }
}

/* ---- power functions -------------------------------------------------------------------------------------------- */

/* The largest root of x^3 + 7 x^2 + (16 - q) x + 12 - q, q = width^-2: Newton's steps from sqrt(q), which lies above it,
 * come down to it. */
double ebb_ema_gamma(double width)
{
    double q = 1.0 / (width * width), x = sqrt(q);
    for (int i = 0; i < 100; i++) {
        double f = ((x + 7.0) * x + 16.0 - q) * x + 12.0 - q, next = x - f / ((3.0 * x + 14.0) * x + 16.0 - q);
        if (!(next < x))
            break;
        x = next;
    }
    return x;
}

double ebb_ema_width(double gamma)
{
    return sqrt((gamma + 1.0) / (gamma + 3.0)) / (gamma + 2.0);
}

static long double inner(double ta, double ga, double tb, double gb)
{
    long double u = powl((long double)ta / tb, ta < tb ? gb : -ga);
    return (ga + 1.0L) * (gb + 1.0L) * u / ((ga + gb + 1.0L) * (ta > tb ? ta : tb));
}

/* Elimination with the largest pivot below: a (n, n+1), the right side last; the solution into x. */
static bool solve(int n, long double *a, double *x)
{
    int w = n + 1;
    for (int k = 0; k < n; k++) {
        int best = k;
        for (int i = k + 1; i < n; i++)
            if (fabsl(a[i * w + k]) > fabsl(a[best * w + k]))
                best = i;
        if (!(fabsl(a[best * w + k]) > 0))
            return false;
        for (int j = 0; j < w; j++) {
            long double swap = a[k * w + j];
            a[k * w + j] = a[best * w + j];
            a[best * w + j] = swap;
        }
        for (int i = k + 1; i < n; i++) {
            long double f = a[i * w + k] / a[k * w + k];
            for (int j = k; j < w; j++)
                a[i * w + j] -= f * a[k * w + j];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        long double sum = a[i * w + n];
        for (int j = i + 1; j < n; j++)
            sum -= a[i * w + j] * x[j];
        x[i] = (double)(sum / a[i * w + i]);
    }
    return true;
}

ebb_status ebb_ema_combine(ebb_context *ctx, int count, const double *time, const double *gamma, double out_time,
                           double out_gamma, double *factor)
{
    long double *a;
    double sum = 0;
    EBB_TRY(ebb_alloc(ctx, (void **)&a, (size_t)count * (size_t)(count + 1), sizeof *a, "averages of snapshots"));
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++)
            a[i * (count + 1) + j] = inner(time[i], gamma[i], time[j], gamma[j]);
        a[i * (count + 1) + count] = inner(time[i], gamma[i], out_time, out_gamma);
    }
    bool solved = solve(count, a, factor);
    ebb_free(a);
    for (int i = 0; i < count; i++)
        sum += factor[i];
    if (!solved || !isfinite(sum) || sum == 0)
        return ebb_fail(ctx, EBB_E_NUMERIC, "averages of %d snapshots: two of them have the same step and width", count);
    for (int i = 0; i < count; i++)
        factor[i] /= sum;
    return EBB_OK;
}
