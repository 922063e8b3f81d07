/* elbo_estimate.c: the variational bound of given data, by noise and times that are drawn (elbo.h).
 *
 * The one idea: E over t of L_t/q(t) is the sum of all L_t for any density q. L_t is at most about D times the length of
 * the step in lambda, so q is that length (and a tenth of it uniform, for what lies beyond the truncated end); the way is
 * cut into equal parts of q and one t drawn in each, which leaves only the variance within the parts.
 */
#include <math.h>

#include "diffusion/elbo.h"
#include "diffusion/likelihood.h"

#define UNIFORM 0.1

typedef struct estimate {
    ebb_elbo *e;
    const double *x0;            /* (n,count) */
    double *z, *x, *guess, *u;   /* (n,count) noise, x_t, x0_hat; (n) */
    ebb_level *at;               /* (n) */
    double *below;               /* chains: (steps) probability of drawing a step up to t; below[0] = 0 */
    double from, to;             /* lambda at the least time and at the end */
    ebb_level end;
} estimate;

/* ---- times ---------------------------------------------------------------------------------------------------- */

bool ebb_elbo_takes_all(const ebb_process *p, int64_t times)
{
    return p->steps > 0 && times == p->steps - 1;
}

static double lambda_at(const estimate *s, int t)
{
    return fmax(ebb_process_lambda(s->e->process, t), s->to);
}

static void fill_below(estimate *s)
{
    int steps = s->e->process->steps;
    if (steps > 0)
        s->below[0] = 0;
    for (int t = 1; t < steps; t++) {
        double share = (lambda_at(s, t - 1) - lambda_at(s, t)) / (s->from - s->to);
        s->below[t] = s->below[t - 1] + (1 - UNIFORM) * share + UNIFORM / (steps - 1);
    }
    for (int t = 1; t < steps; t++)
        s->below[t] /= s->below[steps - 1];
}

/* The first t >= 1 with u < below[t]. */
static int draw_step(const estimate *s, double u)
{
    int low = 0, high = s->e->process->steps - 1;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (u < s->below[middle])
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* The level of time j of each row. */
static void choose_times(estimate *s, int64_t j)
{
    const ebb_elbo *e = s->e;
    bool all = ebb_elbo_takes_all(e->process, e->times);
    if (!all)
        e->uniform(e->random, j + 1, s->u);
    for (int64_t i = 0; i < e->field->n; i++) {
        double u = all ? 0 : ((double)j + s->u[i]) / (double)e->times;
        if (e->process->steps > 0)
            s->at[i] = ebb_process_level(e->process, all ? (double)(j + 1) : draw_step(s, u));
        else
            s->at[i] = ebb_process_level_sigma(e->process, exp(-(s->from - u * (s->from - s->to))));
    }
}

/* ---- evaluating ------------------------------------------------------------------------------------------------- */

/* x_t of draw `draw` at the rows' levels, and x0_hat there. Non-zero: stop. */
static int look(estimate *s, int64_t draw)
{
    ebb_elbo *e = s->e;
    int64_t n = e->field->n, count = e->field->count;
    e->normal(e->random, draw, s->z);
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = i * count; d < (i + 1) * count; d++)
            s->x[d] = s->at[i].alpha * s->x0[d] + s->at[i].sigma * s->z[d];
    e->field->predict(e->field->self, s->x, s->at, NULL, s->guess);
    for (int64_t d = 0; e->clip && d < n * count; d++)
        s->guess[d] = fmin(1, fmax(-1, s->guess[d]));
    e->nfe++;
    return e->evaluated != NULL ? e->evaluated(e->user, (double)(draw + 1) / (double)(e->times + 1)) : 0;
}

static double squares_of(const estimate *s, int64_t i)
{
    int64_t count = s->e->field->count;
    double sum = 0;
    for (int64_t d = i * count; d < (i + 1) * count; d++)
        sum += (s->x0[d] - s->guess[d]) * (s->x0[d] - s->guess[d]);
    return sum;
}

/* The learned variances of row i: posterior^((1-v)/2) added^((1+v)/2). */
static double learned_variance(const ebb_elbo_law *law, double v)
{
    return exp(0.5 * ((1 - v) * log(law->variance[EBB_VARIANCE_SMALL]) + (1 + v) * log(law->variance[EBB_VARIANCE_BETA])));
}

/* ---- the terms ---------------------------------------------------------------------------------------------------- */

static const double *learned(const estimate *s, int64_t i)
{
    const ebb_field *f = s->e->field;
    return f->variance != NULL && s->e->process->steps > 0 ? f->variance(f->self) + i * f->count : NULL;
}

static void first_of_row(const estimate *s, int64_t i)
{
    const ebb_elbo *e = s->e;
    const ebb_process *p = e->process;
    int64_t count = e->field->count;
    const double *x = s->x0 + i * count, *mean = s->guess + i * count, *v = learned(s, i);
    double ratio = s->at[i].sigma / s->at[i].alpha, *first = e->first + i * EBB_VARIANCES;
    ebb_elbo_law law = {0};
    if (p->steps > 0)
        law = ebb_elbo_step_law(p, 0);
    for (int k = 0; k < EBB_VARIANCES; k++)
        first[k] = k == EBB_VARIANCE_LEARNED
                       ? 0
                       : ebb_decoder_nats(e->decoder, x, mean, p->steps > 0 ? law.variance[k] : ratio * ratio, count);
    for (int64_t d = 0; v != NULL && d < count; d++)
        first[EBB_VARIANCE_LEARNED] += ebb_decoder_nats(e->decoder, x + d, mean + d, learned_variance(&law, v[d]), 1);
}

/* L_t of a chain for each variance, to nats. */
static void chain_terms(const estimate *s, int64_t i, int t, double squares, double nats[EBB_VARIANCES])
{
    int64_t count = s->e->field->count;
    ebb_elbo_law law = ebb_elbo_step_law(s->e->process, t);
    const double *v = learned(s, i);
    for (int k = 0; k < EBB_VARIANCES; k++)
        nats[k] = k == EBB_VARIANCE_LEARNED ? 0 : ebb_elbo_step(&law, law.variance[k], squares, count);
    for (int64_t d = 0; v != NULL && d < count; d++) {
        double off = s->x0[i * count + d] - s->guess[i * count + d];
        nats[EBB_VARIANCE_LEARNED] += ebb_elbo_step(&law, learned_variance(&law, v[d]), off * off, 1);
    }
}

static void step_of_row(const estimate *s, int64_t i, int64_t j)
{
    const ebb_elbo *e = s->e;
    double squares = squares_of(s, i), share = 1, nats[EBB_VARIANCES];
    if (e->process->steps > 0) {
        int t = (int)s->at[i].t;
        if (!ebb_elbo_takes_all(e->process, e->times))
            share = 1 / ((double)e->times * (s->below[t] - s->below[t - 1]));
        chain_terms(s, i, t, squares, nats);
    } else {
        double k = s->at[i].alpha / s->at[i].sigma;
        share = (s->from - s->to) / (double)e->times;
        for (int v = 0; v < EBB_VARIANCES; v++)
            nats[v] = k * k * squares;
    }
    for (int v = 0; v < EBB_VARIANCES; v++)
        e->steps[i * EBB_VARIANCES + v] += share * nats[v];
    e->term[i * e->times + j] = share * nats[e->process->steps > 0 ? e->variance : 0];
    if (e->at != NULL)
        e->at[i * e->times + j] = s->at[i].t;
    if (e->squares != NULL)
        e->squares[i * e->times + j] = squares;
}

/* L_T and L_0. Non-zero: stop. */
static int ends(estimate *s)
{
    const ebb_elbo *e = s->e;
    int64_t n = e->field->n, count = e->field->count;
    for (int64_t i = 0; i < n; i++) {
        double squares = 0;
        for (int64_t d = i * count; d < (i + 1) * count; d++)
            squares += s->x0[d] * s->x0[d];
        e->prior[i] = ebb_elbo_prior(e->process, s->end, squares, count);
        for (int v = 0; v < EBB_VARIANCES; v++)
            e->steps[i * EBB_VARIANCES + v] = 0;
        s->at[i] = ebb_process_level(e->process, e->process->least);
    }
    if (look(s, 0))
        return 1;
    for (int64_t i = 0; i < n; i++)
        first_of_row(s, i);
    return 0;
}

size_t ebb_elbo_work(const ebb_process *p, int64_t n, int64_t count)
{
    return (size_t)(3 * n * count + n + p->steps) + (size_t)n * (sizeof(ebb_level) / sizeof(double));
}

static estimate lay_out(ebb_elbo *e, const double *x, double *work)
{
    int64_t n = e->field->n, all = n * e->field->count;
    double from, to;
    estimate s = {.e = e, .x0 = x, .z = work, .x = work + all, .guess = work + 2 * all, .u = work + 3 * all};
    s.below = s.u + n;
    s.at = (ebb_level *)(void *)(s.below + e->process->steps);
    ebb_likelihood_ends(e->process, &from, &to);
    s.from = ebb_process_lambda(e->process, from);
    s.to = ebb_process_lambda(e->process, to);
    /* A chain has its last step, whatever it keeps. */
    s.end = ebb_process_level(e->process, e->process->steps > 0 ? e->process->end : to);
    fill_below(&s);
    return s;
}

ebb_status ebb_elbo_estimate(ebb_context *ctx, ebb_elbo *e, const double *x, double *work)
{
    estimate s = lay_out(e, x, work);
    e->nfe = 0;
    int stopped = ends(&s);
    /* A chain of one step has none but the first. */
    for (int64_t j = 0; !stopped && e->process->steps != 1 && j < e->times; j++) {
        choose_times(&s, j);
        stopped = look(&s, j + 1);
        for (int64_t i = 0; i < e->field->n; i++)
            step_of_row(&s, i, j);
    }
    return stopped ? ebb_fail(ctx, EBB_E_ARGUMENT, "bound: stopped after %lld evaluations", (long long)e->nfe) : EBB_OK;
}
