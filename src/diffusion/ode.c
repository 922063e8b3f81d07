/* ode.c: adaptive integration of dy/dt = f(t,y), row by row.
 *
 * Dormand & Prince 1980, 5(4): seven stages, of which the last is the first of the next step; the fifth-order result is
 * kept, its difference to the fourth-order one is the error. A step is accepted when the root mean square of
 * error/(atol + rtol |y|) is at most 1, and the next is chosen by the PI controller of Hairer & Wanner 1996, IV.2, eq.
 * 2.43c, with the constants of their DOPRI5. The first step is that of Hairer, Norsett & Wanner 1993, II.4.
 *
 * The one idea: all rows are offered to f together, stage by stage, but each has its own time and step, and nothing of
 * one enters another.
 */
#include "diffusion/ode.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { STAGES = 7, ROW_WORK = 6 };

static const double node[STAGES] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
static const double weight[STAGES][STAGES - 1] = {
    {0},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
};
/* Fifth order less fourth. */
static const double error_weight[STAGES] = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525,
                                            -1.0 / 40};
/* Of the controller: safety, how much a step may shrink and grow, how much the error before counts. */
static const double SAFETY = 0.9, SHRINK = 0.2, GROW = 10, BEFORE = 0.04;

typedef struct solver {
    ebb_context *ctx;
    ebb_ode *o;
    double sign;                 /* of the time's direction */
    double *y, *stage, *k[STAGES];
    double *t, *h, *at;          /* (n): time, length of the next step (signed), time of the present stage */
    double *before;              /* (n): error of the step before */
    uint8_t *active, *rejected;  /* (n) */
} solver;

size_t ebb_ode_work(int64_t n, int64_t count)
{
    return (size_t)((STAGES + 1) * n * count + ROW_WORK * n);
}

static solver lay_out(ebb_context *ctx, ebb_ode *o, double *y, double *work)
{
    int64_t all = o->n * o->count;
    solver s = {.ctx = ctx, .o = o, .sign = o->to > o->from ? 1 : -1, .y = y, .stage = work};
    for (int i = 0; i < STAGES; i++)
        s.k[i] = work + (i + 1) * all;
    s.t = work + (STAGES + 1) * all;
    s.h = s.t + o->n;
    s.at = s.h + o->n;
    s.before = s.at + o->n;
    s.active = (uint8_t *)(s.before + o->n);
    s.rejected = s.active + o->n;
    return s;
}

static ebb_status check(ebb_context *ctx, const ebb_ode *o)
{
    if (o->n < 1 || o->count < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "ode: %lld rows of %lld numbers", (long long)o->n, (long long)o->count);
    if (!isfinite(o->from) || !isfinite(o->to))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "ode: from %g to %g: finite times are needed", o->from, o->to);
    if (!(o->rtol >= 0) || !(o->atol >= 0) || !(o->rtol + o->atol > 0) || !isfinite(o->rtol + o->atol))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "ode: rtol %g, atol %g: one of them must be above 0, as 1e-5", o->rtol, o->atol);
    return EBB_OK;
}

/* ---- evaluating ------------------------------------------------------------------------------------------- */

static ebb_status evaluate(solver *s, const double *y, double *dy)
{
    ebb_ode *o = s->o;
    int64_t most = o->most > 0 ? o->most : 1000000;
    if (o->nfe >= most)
        return ebb_fail(s->ctx, EBB_E_NUMERIC, "ode: not there after %lld evaluations: allow more, or a larger rtol",
                        (long long)o->nfe);
    o->nfe++;
    for (int64_t i = 0; o->row_nfe != NULL && i < o->n; i++)
        o->row_nfe[i] += s->active[i];
    if (o->f(o->self, s->at, s->active, y, dy) != 0)
        return ebb_fail(s->ctx, EBB_E_ARGUMENT, "ode: stopped after %lld evaluations", (long long)o->nfe);
    return EBB_OK;
}

/* Root mean square of v over the row's tolerances at |y| (and |z|, where there is one). */
static double scaled(const solver *s, int64_t row, const double *v, const double *y, const double *z)
{
    const ebb_ode *o = s->o;
    double sum = 0;
    for (int64_t d = row * o->count; d < (row + 1) * o->count; d++) {
        double size = z != NULL ? fmax(fabs(y[d]), fabs(z[d])) : fabs(y[d]);
        double q = v[d] / (o->atol + o->rtol * size);
        /* A tolerance of 0 next to a 0 that stays: no error. */
        sum += v[d] == 0 ? 0 : q * q;
    }
    return sqrt(sum / (double)o->count);
}

/* ---- the first step ----------------------------------------------------------------------------------------- */

static ebb_status begin(solver *s)
{
    const ebb_ode *o = s->o;
    double span = fabs(o->to - o->from);
    for (int64_t i = 0; i < o->n; i++) {
        s->t[i] = s->at[i] = o->from;
        s->active[i] = 1;
        s->rejected[i] = 0;
        s->before[i] = 1e-4;
    }
    EBB_TRY(evaluate(s, s->y, s->k[0]));
    for (int64_t i = 0; i < o->n; i++) {
        double size = scaled(s, i, s->y, s->y, NULL), slope = scaled(s, i, s->k[0], s->y, NULL);
        if (!isfinite(size) || !isfinite(slope))
            return ebb_fail(s->ctx, EBB_E_NUMERIC, "ode: row %lld: y or its derivative is not finite at the start, t = %g",
                            (long long)i, o->from);
        double h = size < 1e-5 || slope < 1e-5 ? 1e-6 * span : 0.01 * size / slope;
        s->h[i] = s->sign * fmin(h, span);
        s->at[i] = o->from + s->h[i];
        for (int64_t d = i * o->count; d < (i + 1) * o->count; d++)
            s->stage[d] = s->y[d] + s->h[i] * s->k[0][d];
    }
    EBB_TRY(evaluate(s, s->stage, s->k[1]));
    for (int64_t i = 0; i < o->n; i++) {
        for (int64_t d = i * o->count; d < (i + 1) * o->count; d++)
            s->stage[d] = s->k[1][d] - s->k[0][d];
        double h = fabs(s->h[i]), slope = scaled(s, i, s->k[0], s->y, NULL);
        double bend = fmax(slope, scaled(s, i, s->stage, s->y, NULL) / h);
        double next = bend > 1e-15 ? pow(0.01 / bend, 0.2) : fmax(1e-6 * span, 1e-3 * h);
        next = isfinite(bend) ? fmin(100 * h, next) : h;
        s->h[i] = s->sign * fmin(next, span);
    }
    return EBB_OK;
}

/* ---- a step ------------------------------------------------------------------------------------------------- */

static bool reaches(const solver *s, int64_t i)
{
    return fabs(s->h[i]) >= fabs(s->o->to - s->t[i]);
}

/* Stages 1..6 from k[0]; the last one's place is the result of fifth order. */
static ebb_status stages(solver *s)
{
    const ebb_ode *o = s->o;
    for (int64_t i = 0; i < o->n; i++)
        if (reaches(s, i))
            s->h[i] = o->to - s->t[i];
    for (int j = 1; j < STAGES; j++) {
        for (int64_t i = 0; i < o->n; i++) {
            double h = s->active[i] ? s->h[i] : 0;
            s->at[i] = node[j] == 1 && s->active[i] && reaches(s, i) ? o->to : s->t[i] + node[j] * h;
            for (int64_t d = i * o->count; d < (i + 1) * o->count; d++) {
                double slope = 0;
                for (int l = 0; l < j && h != 0; l++)
                    slope += weight[j][l] * s->k[l][d];
                s->stage[d] = s->y[d] + h * slope;
            }
        }
        EBB_TRY(evaluate(s, s->stage, s->k[j]));
    }
    return EBB_OK;
}

static double error_of(const solver *s, int64_t i)
{
    const ebb_ode *o = s->o;
    /* k[1] has done its part. */
    for (int64_t d = i * o->count; d < (i + 1) * o->count; d++) {
        double e = 0;
        for (int j = 0; j < STAGES; j++)
            e += error_weight[j] * (j == 1 ? 0 : s->k[j][d]);
        s->k[1][d] = s->h[i] * e;
    }
    return scaled(s, i, s->k[1], s->y, s->stage);
}

static void accept(solver *s, int64_t i, double error)
{
    const ebb_ode *o = s->o;
    size_t bytes = (size_t)o->count * sizeof(double);
    double factor = SAFETY * pow(fmax(error, 1e-10), 0.75 * BEFORE - 0.2) * pow(s->before[i], BEFORE);
    factor = fmin(s->rejected[i] ? 1 : GROW, fmax(SHRINK, factor));
    memcpy(s->y + i * o->count, s->stage + i * o->count, bytes);
    memcpy(s->k[0] + i * o->count, s->k[STAGES - 1] + i * o->count, bytes);
    s->active[i] = !reaches(s, i);
    s->t[i] = s->active[i] ? s->t[i] + s->h[i] : o->to;
    s->h[i] *= factor;
    s->before[i] = fmax(error, 1e-4);
    s->rejected[i] = 0;
}

/* Whether any row is still on its way: *busy. */
static ebb_status judge(solver *s, bool *busy)
{
    const ebb_ode *o = s->o;
    *busy = false;
    for (int64_t i = 0; i < o->n; i++) {
        if (!s->active[i])
            continue;
        double error = error_of(s, i);
        if (error <= 1) {
            accept(s, i, error);
        } else {
            s->h[i] *= isfinite(error) ? fmax(SHRINK, SAFETY * pow(error, 0.75 * BEFORE - 0.2)) : SHRINK;
            s->rejected[i] = 1;
            if (fabs(s->h[i]) < 4 * DBL_EPSILON * fmax(fabs(s->t[i]), DBL_MIN / DBL_EPSILON))
                return ebb_fail(s->ctx, EBB_E_NUMERIC, "ode: row %lld cannot leave t = %.9g: %s", (long long)i, s->t[i],
                                isfinite(error) ? "its step has shrunk to nothing; allow a larger rtol or atol"
                                                : "the derivative there is not finite");
        }
        *busy = *busy || s->active[i];
    }
    return EBB_OK;
}

ebb_status ebb_ode_solve(ebb_context *ctx, ebb_ode *o, double *y, double *work)
{
    EBB_TRY(check(ctx, o));
    solver s = lay_out(ctx, o, y, work);
    bool busy = o->from != o->to;
    o->nfe = 0;
    for (int64_t i = 0; o->row_nfe != NULL && i < o->n; i++)
        o->row_nfe[i] = 0;
    if (busy)
        EBB_TRY(begin(&s));
    while (busy) {
        EBB_TRY(stages(&s));
        EBB_TRY(judge(&s, &busy));
    }
    return EBB_OK;
}
