/* schedule.c: how much noise each timestep of the discrete chain holds.
 *
 * The one idea: a schedule is the table of beta_t, t = 0..T-1, in double, and the products
 * alpha_bar_t = (1-beta_0) ... (1-beta_t), so that q(x_t|x_0) = N(sqrt(alpha_bar_t) x_0, (1-alpha_bar_t) I).
 *   linear  Ho et al. 2020, sec. 4:            beta_t from beta_start to beta_end in equal steps
 *   cosine  Nichol & Dhariwal 2021, eq. 17:    alpha_bar(u) = cos^2((u + s)/(1 + s) pi/2), s = 0.008,
 *                                              beta_t = min(1 - alpha_bar((t+1)/T)/alpha_bar(t/T), 0.999)
 */
#include "diffusion/diffusion.h"

#include <math.h>

static double cosine_alpha_bar(double u)
{
    double c = cos((u + 0.008) / 1.008 * 1.5707963267948966);
    return c * c;
}

static double cosine_beta(int t, int steps)
{
    double beta = 1.0 - cosine_alpha_bar((t + 1.0) / steps) / cosine_alpha_bar((double)t / steps);
    return fmin(beta, 0.999);
}

static double linear_beta(int t, int steps, double start, double end)
{
    return steps == 1 ? start : start + t * ((end - start) / (steps - 1));
}

ebb_status ebb_schedule_create(ebb_context *ctx, ebb_schedule_kind kind, int steps, double beta_start,
                               double beta_end, ebb_schedule *out)
{
    *out = (ebb_schedule){0};
    if (steps < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "schedule of %d steps: take at least 1", steps);
    bool linear = kind == EBB_SCHEDULE_LINEAR;
    if (linear && !(beta_start > 0.0 && beta_start <= beta_end && beta_end < 1.0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "linear schedule: beta from %g to %g; "
                        "0 < start <= end < 1 is needed", beta_start, beta_end);
    void *table;
    EBB_TRY(ebb_alloc(ctx, &table, 2 * (size_t)steps, sizeof *out->beta, "noise schedule"));
    out->beta = table;
    out->steps = steps;
    out->alpha_bar = out->beta + steps;
    double product = 1.0;
    for (int t = 0; t < steps; t++) {
        out->beta[t] = linear ? linear_beta(t, steps, beta_start, beta_end) : cosine_beta(t, steps);
        product *= 1.0 - out->beta[t];
        out->alpha_bar[t] = product;
    }
    return EBB_OK;
}

void ebb_schedule_free(ebb_schedule *s)
{
    ebb_free(s->beta);
    *s = (ebb_schedule){0};
}
