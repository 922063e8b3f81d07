/* flow.c: the probability flow: its velocity, Euler's steps in t, and adaptive integration (flow.h).
 *
 * In t: alpha' = c alpha, sigma' = g^2/(2 sigma) + c sigma; rectified flow has -1 and 1, also at its end, where c and g are
 * infinite. In lambda: alpha' = alpha sigma^2, sigma' = -alpha^2 sigma where alpha^2 + sigma^2 = 1 (ddpm), and 0, -sigma
 * where alpha is 1 (smld).
 */
#include "diffusion/flow.h"

#include <math.h>
#include <stdio.h>

#include "diffusion/ode.h"
#include "diffusion/sampler.h"

void ebb_flow_rates(const ebb_process *p, ebb_level at, double *alpha, double *sigma)
{
    if (p->kind == EBB_PROCESS_DDPM) {
        *alpha = at.alpha * at.sigma * at.sigma;
        *sigma = -at.alpha * at.alpha * at.sigma;
    } else if (p->kind == EBB_PROCESS_SMLD) {
        *alpha = 0;
        *sigma = -at.sigma;
    } else if (p->kind == EBB_PROCESS_FLOW) {
        *alpha = -1;
        *sigma = 1;
    } else {
        double c = ebb_process_drift(p, at.t);
        *alpha = c * at.alpha;
        *sigma = ebb_process_diffusion2(p, at.t) / (2 * at.sigma) + c * at.sigma;
    }
}

/* ---- what is integrated --------------------------------------------------------------------------------------- */

/* The variable of the integration, t or lambda. */
static double clock_of(const ebb_process *p, ebb_level at)
{
    return p->steps > 0 ? ebb_level_lambda(at) : at.t;
}

static ebb_level level_of(const ebb_process *p, double clock)
{
    return p->steps > 0 ? ebb_process_level_sigma(p, exp(-clock)) : ebb_process_level(p, clock);
}

typedef struct motion {
    const ebb_process *process;
    const ebb_field *field;
    ebb_walk *walk;              /* that counts and clips; NULL: none */
    const ebb_flow *flow;        /* that is told of the way; NULL: none */
    double from, to;             /* of the flow's way */
    ebb_level *at;               /* (n) */
    double *eps, *x0;            /* (n,count) */
} motion;

static double part_done(const motion *m, const double *clock, const uint8_t *active)
{
    double sum = 0;
    int64_t n = m->field->n;
    for (int64_t i = 0; i < n; i++)
        sum += active[i] ? (clock[i] - m->from) / (m->to - m->from) : 1;
    return sum / (double)n;
}

static int velocity(void *self, const double *clock, const uint8_t *active, const double *x, double *dx)
{
    const motion *m = self;
    int64_t n = m->field->n, count = m->field->count;
    for (int64_t i = 0; i < n; i++)
        m->at[i] = level_of(m->process, clock[i]);
    if (m->walk == NULL)
        m->field->predict(m->field->self, x, m->at, m->eps, m->x0);
    else if (ebb_walk_predict_rows(m->walk, x, m->at, m->eps, m->x0))
        return 1;
    for (int64_t i = 0; i < n; i++) {
        double alpha, sigma;
        ebb_flow_rates(m->process, m->at[i], &alpha, &sigma);
        for (int64_t d = i * count; d < (i + 1) * count; d++)
            dx[d] = alpha * m->x0[d] + sigma * m->eps[d];
    }
    if (m->flow != NULL && m->flow->evaluated != NULL)
        return m->flow->evaluated(m->flow->user, part_done(m, clock, active));
    return 0;
}

/* Behind the integrator's: two estimates and the rows' levels. */
size_t ebb_flow_work(int64_t n, int64_t count)
{
    return ebb_ode_work(n, count) + (size_t)(2 * n * count) + (size_t)n * (sizeof(ebb_level) / sizeof(double));
}

static motion motion_over(const ebb_process *p, const ebb_field *field, ebb_walk *walk, double *work)
{
    int64_t all = field->n * field->count;
    double *eps = work + ebb_ode_work(field->n, field->count);
    return (motion){.process = p, .field = field, .walk = walk, .at = (ebb_level *)(void *)(eps + 2 * all), .eps = eps,
                    .x0 = eps + all};
}

/* ---- encoding and decoding ------------------------------------------------------------------------------------ */

ebb_status ebb_flow_solve(ebb_context *ctx, ebb_flow *f, double from, double to, double *x, double *work)
{
    const ebb_process *p = f->process;
    motion m = motion_over(p, f->field, NULL, work);
    m.flow = f;
    m.from = clock_of(p, ebb_process_level(p, from));
    m.to = clock_of(p, ebb_process_level(p, to));
    ebb_ode ode = {.n = f->field->n, .count = f->field->count, .f = velocity, .self = &m, .from = m.from, .to = m.to,
                   .rtol = f->rtol > 0 ? f->rtol : 1e-5, .atol = f->atol > 0 ? f->atol : 1e-5, .row_nfe = f->row_nfe};
    ebb_status status = ebb_ode_solve(ctx, &ode, x, work);
    f->nfe = ode.nfe;
    return status;
}

double ebb_flow_end(const ebb_process *p)
{
    return p->steps > 1 && ebb_process_level(p, p->end).alpha == 0 ? p->end - 1 : p->end;
}

ebb_status ebb_flow_encode(ebb_context *ctx, ebb_flow *f, double *x, double *work)
{
    return ebb_flow_solve(ctx, f, f->process->least_sample, ebb_flow_end(f->process), x, work);
}

ebb_status ebb_flow_decode(ebb_context *ctx, ebb_flow *f, double *x, double *work)
{
    return ebb_flow_solve(ctx, f, ebb_flow_end(f->process), f->process->least_sample, x, work);
}

/* ---- samplers ------------------------------------------------------------------------------------------------- */

/* x + dt (alpha' x0 + sigma' eps) in t, or the same in lambda; from alpha 0 of a chain and to a clean level x_0 leads. */
int ebb_sample_flow_euler(ebb_walk *w)
{
    double *x0 = ebb_walk_buffer(w, 0), *eps = ebb_walk_buffer(w, 1), alpha, sigma;
    for (int k = 0; k < w->grid->steps; k++) {
        ebb_level t = w->grid->level[k], s = w->grid->level[k + 1];
        if (ebb_walk_predict(w, w->x, t, eps, x0))
            return 1;
        double step = clock_of(w->process, s) - clock_of(w->process, t);
        ebb_flow_rates(w->process, t, &alpha, &sigma);
        if (s.sigma == 0 || !isfinite(step))
            ebb_walk_first(w, s, eps, x0, w->x);
        else
            for (int64_t i = 0; i < w->n * w->count; i++)
                w->x[i] += step * (alpha * x0[i] + sigma * eps[i]);
        if (ebb_walk_step(w, k))
            return 1;
    }
    return 0;
}

static int denoise(ebb_walk *w, const motion *m, ebb_level t, ebb_level s)
{
    if (ebb_walk_predict(w, w->x, t, m->eps, m->x0))
        return 1;
    ebb_walk_first(w, s, m->eps, m->x0, w->x);
    return 0;
}

/* From one level to another, neither of them clean. */
static int integrate(ebb_walk *w, motion *m, ebb_level t, ebb_level s)
{
    ebb_context words = {0};     /* takes the message: a walk has no context */
    double rtol = w->set.rtol, atol = w->set.atol;
    ebb_ode ode = {.n = w->n, .count = w->count, .f = velocity, .self = m, .from = clock_of(w->process, t),
                   .to = clock_of(w->process, s), .rtol = isnan(rtol) ? 1e-5 : rtol, .atol = isnan(atol) ? 1e-5 : atol};
    if (ebb_ode_solve(&words, &ode, w->x, w->work) == EBB_OK)
        return 0;
    if (!w->stopped)
        snprintf(w->why, sizeof w->why, "%.*s", (int)sizeof w->why - 1, words.message);
    w->stopped = true;
    return 1;
}

/* Where a walk to a clean level leaves the flow for x_0: the least noise that sampling sees. */
static ebb_level least_level(const ebb_process *p, ebb_level t)
{
    ebb_level least = ebb_process_level(p, p->least_sample);
    return least.sigma * t.alpha < t.sigma * least.alpha ? least : t;
}

static int flow_cell(ebb_walk *w, motion *m, ebb_level t, ebb_level s)
{
    const ebb_process *p = w->process;
    ebb_level to = s.sigma > 0 ? s : least_level(p, t);
    if (t.alpha == 0 && p->steps > 1) {
        /* lambda is infinite there: to the next timestep by x_0 and eps. */
        ebb_level next = ebb_process_level(p, t.t - 1);
        next = next.sigma * to.alpha > to.sigma * next.alpha ? next : to;
        if (denoise(w, m, t, next))
            return 1;
        t = next;
    }
    if (clock_of(p, t) != clock_of(p, to) && integrate(w, m, t, to))
        return 1;
    return s.sigma == 0 ? denoise(w, m, to, s) : 0;
}

int ebb_sample_rk45(ebb_walk *w)
{
    motion m = motion_over(w->process, w->field, w, w->work);
    for (int k = 0; k < w->grid->steps; k++)
        if (flow_cell(w, &m, w->grid->level[k], w->grid->level[k + 1]) || ebb_walk_step(w, k))
            return 1;
    return 0;
}
