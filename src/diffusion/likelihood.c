/* likelihood.c: integration of a row and its log-density together (likelihood.h).
 *
 * The state of a row is (x, l) with dl = div v; with l = 0 at first its end is the integral. All rows go at their own pace
 * (ode.h). The variable is lambda = log(alpha/sigma), in which the flow of every process is smooth:
 *   dx/dlambda = alpha'/(alpha lambda') x - sigma eps,   lambda' = alpha'/alpha - sigma'/sigma,
 * primes being derivatives in any other variable. In t networks need up to twice as many evaluations.
 */
#include "diffusion/likelihood.h"

#include <math.h>
#include <string.h>

#include "diffusion/flow.h"
#include "diffusion/ode.h"

#define LEAST_ALPHA 1e-5

typedef struct motion {
    ebb_likelihood *l;
    ebb_level *at;               /* (n) */
    double *x, *eps, *div;       /* (n,count), (n,count), (n) */
    double first, last;          /* lambda at both ends */
} motion;

void ebb_likelihood_ends(const ebb_process *p, double *from, double *to)
{
    *from = p->least;
    *to = p->end;
    if (ebb_process_level(p, p->end).alpha == 0)
        *to = ebb_process_time(p, log(LEAST_ALPHA));
}

static double part_done(const motion *m, const uint8_t *active)
{
    double sum = 0;
    int64_t n = m->l->field->n;
    for (int64_t i = 0; i < n; i++)
        sum += active[i] ? (m->first - log(m->at[i].alpha / m->at[i].sigma)) / (m->first - m->last) : 1;
    return sum / (double)n;
}

static int velocity(void *self, const double *clock, const uint8_t *active, const double *y, double *dy)
{
    motion *m = self;
    const ebb_field *f = m->l->field;
    const ebb_process *p = m->l->process;
    for (int64_t i = 0; i < f->n; i++) {
        m->at[i] = ebb_process_level_sigma(p, exp(-clock[i]));
        memcpy(m->x + i * f->count, y + i * (f->count + 1), (size_t)f->count * sizeof(double));
    }
    f->divergence(f->self, m->x, m->at, m->eps, m->div);
    for (int64_t i = 0; i < f->n; i++) {
        double alpha, sigma;
        ebb_flow_rates(p, m->at[i], &alpha, &sigma);
        double drift = alpha / m->at[i].alpha, by_x = drift / (drift - sigma / m->at[i].sigma), by_eps = -m->at[i].sigma;
        double *to = dy + i * (f->count + 1);
        for (int64_t d = 0; d < f->count; d++)
            to[d] = by_x * m->x[i * f->count + d] + by_eps * m->eps[i * f->count + d];
        to[f->count] = by_x * (double)f->count + by_eps * m->div[i];
    }
    return m->l->evaluated != NULL ? m->l->evaluated(m->l->user, part_done(m, active)) : 0;
}

/* The integrator's, its state, the field's two arrays, divergences, levels. */
size_t ebb_likelihood_work(int64_t n, int64_t count)
{
    return ebb_ode_work(n, count + 1) + (size_t)(n * (count + 1) + 2 * n * count + n) +
           (size_t)n * (sizeof(ebb_level) / sizeof(double));
}

double ebb_normal_log_density(const double *x, int64_t count, double std)
{
    double squares = 0;
    for (int64_t d = 0; d < count; d++)
        squares += x[d] * x[d];
    return -0.5 * ((double)count * log(2 * 3.14159265358979323846 * std * std) + squares / (std * std));
}

static void finish(const ebb_likelihood *l, const double *y, double *x, double *logp)
{
    int64_t count = l->field->count;
    for (int64_t i = 0; i < l->field->n; i++) {
        const double *row = y + i * (count + 1);
        memcpy(x + i * count, row, (size_t)count * sizeof(double));
        double prior = ebb_normal_log_density(row, count, ebb_process_prior_std(l->process));
        logp[i] = prior + row[count];
        if (l->prior != NULL)
            l->prior[i] = prior;
        if (l->delta != NULL)
            l->delta[i] = row[count];
    }
}

ebb_status ebb_likelihood_solve(ebb_context *ctx, ebb_likelihood *l, double *x, double *logp, double *work)
{
    const ebb_process *p = l->process;
    int64_t n = l->field->n, count = l->field->count;
    double from = l->from, to = l->to, *y = work + ebb_ode_work(n, count + 1), *own = y + n * (count + 1);
    motion m = {l, (ebb_level *)(void *)(own + 2 * n * count + n), own, own + n * count, own + 2 * n * count, 0, 0};
    if (l->field->divergence == NULL)
        return ebb_fail(ctx, EBB_E_UNSUPPORTED, "likelihood: this field has no divergence");
    if (to == 0)
        ebb_likelihood_ends(p, &from, &to);
    m.first = ebb_process_lambda(p, from);
    m.last = ebb_process_lambda(p, to);
    for (int64_t i = 0; i < n; i++) {
        memcpy(y + i * (count + 1), x + i * count, (size_t)count * sizeof(double));
        y[i * (count + 1) + count] = 0;
    }
    ebb_ode ode = {.n = n, .count = count + 1, .f = velocity, .self = &m,
                   .from = m.first, .to = m.last,
                   .rtol = l->rtol > 0 ? l->rtol : 1e-5, .atol = l->atol > 0 ? l->atol : 1e-5, .row_nfe = l->row_nfe};
    ebb_status status = ebb_ode_solve(ctx, &ode, y, work);
    l->nfe = ode.nfe;
    if (status == EBB_OK)
        finish(l, y, x, logp);
    return status;
}

double ebb_bits_offset(double low, double high, int levels)
{
    return log2((double)levels / (high - low));
}

double ebb_bits_per_dim(double logp, int64_t count, double offset)
{
    return -logp / ((double)count * 0.69314718055994530942) + offset;
}
