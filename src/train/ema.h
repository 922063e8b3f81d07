/* ema.h: averages of weights: how much of the average each step keeps, and averages made afterwards from snapshots. */
#ifndef EBB_EMA_H
#define EBB_EMA_H

#include "plan/plan.h"

typedef enum ebb_ema_kind {
#define EMA(id, name, help) EBB_EMA_##id,
#include "train/ema.def"
#undef EMA
    EBB_EMA_KINDS
} ebb_ema_kind;
const char *ebb_ema_name(ebb_ema_kind kind);
const char *ebb_ema_help(ebb_ema_kind kind);
ebb_ema_kind ebb_ema_find(const char *name);               /* EBB_EMA_KINDS: unknown */

typedef struct ebb_ema {
    ebb_ema_kind kind;
    double keep;                 /* constant, warm-up, inverse-power: at most this */
    double power;                /* inverse-power */
    double half_life, ramp;      /* pictures; part of those seen, 0: no ramp */
    double batch;                /* pictures a step */
    double width;                /* power-function: standard deviation of the window relative to the run */
} ebb_ema;
/* What step n = 1, 2, ... keeps of the average. */
double ebb_ema_keep(const ebb_ema *e, double n);

/* Exponent gamma of a power function of that relative width, 0 < width < 0.288, and back. */
double ebb_ema_gamma(double width);
double ebb_ema_width(double gamma);
/* Factors (count), of sum 1, of the averages of power functions gamma[i] up to time[i] that come nearest to the one of
 * out_gamma up to out_time, in least squares over all times (Karras et al. 2024, app. C). EBB_E_NUMERIC: two are alike. */
ebb_status ebb_ema_combine(ebb_context *ctx, int count, const double *time, const double *gamma, double out_time,
                           double out_gamma, double *factor);

#endif
