/* pndm.c: pseudo numerical methods for diffusion models, F-PNDM (Liu et al. 2022, algorithm 2).
 *
 * Every step is DDIM's transfer phi(x, e, t, s) = alpha_s (x/alpha_t + (k_s - k_t) e) (eq. 11), k = sigma/alpha; e is
 *   the first three steps  (e_1 + 2 e_2 + 2 e_3 + e_4)/6 of Runge-Kutta's points: at t; half-way by e_1; half-way by e_2; at the
 *                          end by e_3                                           (eq. 13)
 *   then                   (55 e - 59 e' + 37 e'' - 9 e''')/24 of this level and those before    (eq. 12)
 * On a chain half of an odd step is not whole: with h = floor(r/2) the point half-way is first reached at t - h, the network is
 * told s + h, and the second time it is reached there, as in the authors' code.
 */
#include "diffusion/adams.h"
#include "diffusion/stochastic.h"

#include <math.h>

enum { RUNGE_KUTTA = 3, SUM = EBB_ADAMS_ORDER, SLOPE, THERE };

static void transfer(const ebb_walk *w, const double *x, const double *e, ebb_level t, ebb_level s, double *to)
{
    double keep = s.alpha / t.alpha, push = s.alpha * (s.sigma / s.alpha - t.sigma / t.alpha);
    for (int64_t i = 0; i < w->n * w->count; i++)
        to[i] = keep * x[i] + push * e[i];
}

static void add(const ebb_walk *w, double weight, const double *e, double *sum)
{
    for (int64_t i = 0; i < w->n * w->count; i++)
        sum[i] += weight * e[i];
}

/* e: the noise at the start of the step, t. */
static int runge_kutta(ebb_walk *w, ebb_level t, ebb_level s, const double *e)
{
    double *sum = ebb_walk_buffer(w, SUM), *slope = ebb_walk_buffer(w, SLOPE), *there = ebb_walk_buffer(w, THERE);
    double half = 0.5 * (t.t - s.t);
    if (w->process->steps > 0)
        half = floor(half);
    ebb_level first = ebb_process_level(w->process, t.t - half), middle = ebb_process_level(w->process, s.t + half);
    for (int64_t i = 0; i < w->n * w->count; i++)
        sum[i] = e[i] / 6;
    transfer(w, w->x, e, t, first, there);
    if (ebb_walk_predict(w, there, middle, slope, NULL))
        return 1;
    add(w, 1.0 / 3, slope, sum);
    transfer(w, w->x, slope, t, middle, there);
    if (ebb_walk_predict(w, there, middle, slope, NULL))
        return 1;
    add(w, 1.0 / 3, slope, sum);
    transfer(w, w->x, slope, t, s, there);
    if (ebb_walk_predict(w, there, s, slope, NULL))
        return 1;
    add(w, 1.0 / 6, slope, sum);
    transfer(w, w->x, sum, t, s, w->x);
    return 0;
}

static void multistep(ebb_walk *w, ebb_level t, ebb_level s, double *const *e)
{
    double *sum = ebb_walk_buffer(w, SUM);
    for (int64_t i = 0; i < w->n * w->count; i++)
        sum[i] = (55 * e[0][i] - 59 * e[1][i] + 37 * e[2][i] - 9 * e[3][i]) / 24;
    transfer(w, w->x, sum, t, s, w->x);
}

int ebb_sample_pndm(ebb_walk *w)
{
    double *e[EBB_ADAMS_ORDER];
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], s = w->grid->level[k + 1];
        for (int j = 0; j < EBB_ADAMS_ORDER; j++)
            e[j] = ebb_walk_buffer(w, (k + EBB_ADAMS_ORDER - j) % EBB_ADAMS_ORDER);
        if (ebb_walk_predict(w, w->x, t, e[0], NULL))
            return 1;
        if (k < RUNGE_KUTTA && runge_kutta(w, t, s, e[0]))
            return 1;
        if (k >= RUNGE_KUTTA)
            multistep(w, t, s, e);
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

ebb_status ebb_pndm_check(ebb_context *ctx, const ebb_walk *w)
{
    if (w->sampler->run != ebb_sample_pndm)
        return EBB_OK;
    if (w->grid->steps <= RUNGE_KUTTA)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler pndm: %d steps; it begins with three of Runge-Kutta and needs one more", w->grid->steps);
    if (w->grid->level[0].alpha == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler pndm: the first level is pure noise, which its steps cannot start from: take "
                        "ddim, for example");
    return EBB_OK;
}
