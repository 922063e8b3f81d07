/* walk.c: what all samplers share: evaluations of the field, random numbers, scratch.
 */
#include "diffusion/sampler.h"
#include "diffusion/guide.h"

#include <math.h>
#include <string.h>

size_t ebb_walk_work(const ebb_sampler *sampler, int64_t n, int64_t count)
{
    return (size_t)(sampler->buffers * n * count) + (size_t)n * (sizeof(ebb_level) / sizeof(double));
}

double *ebb_walk_buffer(ebb_walk *w, int i)
{
    return w->work + i * w->n * w->count;
}

/* They lie behind the arrays. */
ebb_level *ebb_walk_rows(ebb_walk *w, ebb_level at)
{
    ebb_level *rows = (ebb_level *)(void *)ebb_walk_buffer(w, w->sampler->buffers);
    for (int64_t i = 0; i < w->n; i++)
        rows[i] = at;
    return rows;
}

static int evaluated(ebb_walk *w)
{
    w->nfe += ebb_field_evaluations(w->field);
    if (w->evaluated != NULL && w->evaluated(w->user) != 0)
        w->stopped = true;
    return w->stopped;
}

static void clip_row(const ebb_walk *w, const double *x, ebb_level at, double *eps, double *x0)
{
    for (int64_t d = 0; d < w->count; d++) {
        double clean = x0 != NULL ? x0[d] : (x[d] - at.sigma * eps[d]) / at.alpha;
        clean = clean < -w->clip ? -w->clip : clean > w->clip ? w->clip : clean;
        if (x0 != NULL)
            x0[d] = clean;
        if (eps != NULL && at.sigma > 0)
            eps[d] = (x[d] - at.alpha * clean) / at.sigma;
    }
}

int ebb_walk_predict_rows(ebb_walk *w, const double *x, const ebb_level *at, double *eps, double *x0)
{
    w->field->predict(w->field->self, x, at, eps, x0);
    for (int64_t i = 0; w->clip > 0 && i < w->n; i++) {
        int64_t from = i * w->count;
        clip_row(w, x + from, at[i], eps != NULL ? eps + from : NULL, x0 != NULL ? x0 + from : NULL);
    }
    return evaluated(w);
}

int ebb_walk_predict_kept(ebb_walk *w, const double *x, ebb_level at, double *eps, double *x0)
{
    double clip = w->clip;
    w->clip = 0;
    int stop = ebb_walk_predict(w, x, at, eps, x0);
    w->clip = clip;
    for (int64_t i = 0; clip > 0 && i < w->n; i++)
        clip_row(w, x + i * w->count, at, NULL, x0 + i * w->count);
    return stop;
}

int ebb_walk_predict(ebb_walk *w, const double *x, ebb_level at, double *eps, double *x0)
{
    return ebb_walk_predict_rows(w, x, ebb_walk_rows(w, at), eps, x0);
}

int ebb_walk_score_rows(ebb_walk *w, const double *x, const ebb_level *at, double *score)
{
    if (w->field->score != NULL) {
        w->field->score(w->field->self, x, at, score);
        return evaluated(w);
    }
    int stop = ebb_walk_predict_rows(w, x, at, score, NULL);
    for (int64_t i = 0; i < w->n; i++)
        for (int64_t d = 0; d < w->count; d++)
            score[i * w->count + d] /= -at[i].sigma;
    return stop;
}

int ebb_walk_score(ebb_walk *w, const double *x, ebb_level at, double *score)
{
    return ebb_walk_score_rows(w, x, ebb_walk_rows(w, at), score);
}

int ebb_walk_pullback(ebb_walk *w, const double *x, ebb_level at, const double *v, double *out)
{
    w->field->pullback(w->field->self, x, ebb_walk_rows(w, at), v, out);
    return evaluated(w);
}

void ebb_walk_normal(ebb_walk *w, double *z)
{
    w->normal(w->random, w->draws++, z);
}

void ebb_walk_uniform(ebb_walk *w, double *u)
{
    w->uniform(w->random, w->draws++, u);
}

int ebb_walk_step(ebb_walk *w, int64_t k)
{
    if (w->step != NULL && w->step(w->user, k, w->x) != 0)
        w->stopped = true;
    return w->stopped;
}

void ebb_walk_first(const ebb_walk *w, ebb_level at, const double *eps, const double *x0, double *to)
{
    for (int64_t i = 0; i < w->n * w->count; i++)
        to[i] = at.alpha * x0[i] + at.sigma * eps[i];
}

double ebb_level_lambda(ebb_level at)
{
    return log(at.alpha) - log(at.sigma);
}

void ebb_walk_lead(ebb_walk *w, double variance)
{
    if (w->field->lead != NULL)
        ebb_guide_mean(w->n * w->count, w->x, variance, w->field->lead(w->field->self), 1, false, w->x);
}

void ebb_walk_keep_mean(ebb_walk *w)
{
    if (w->mean != NULL)
        memcpy(w->mean, w->x, (size_t)(w->n * w->count) * sizeof *w->x);
}

double ebb_walk_eta(const ebb_walk *w, double own)
{
    return isnan(w->set.eta) ? own : w->set.eta;
}

ebb_level ebb_walk_arrival(const ebb_walk *w, int k)
{
    return w->grid->arrival != NULL ? w->grid->arrival[k] : w->grid->level[k + 1];
}

double ebb_walk_dt(const ebb_walk *w, int k)
{
    return w->grid->dt != NULL ? w->grid->dt[k] : w->grid->level[k].t - w->grid->level[k + 1].t;
}
