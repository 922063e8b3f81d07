/* guided.c: predictions of several fields as one.
 *
 * All parts are linear in the score, and so are eps and x_0: with s = grad log p(y|x_t), eps = -sigma score loses sigma s and
 * x_0 = (x + sigma^2 score)/alpha gains sigma^2 s/alpha (Song et al. 2021, eq. 14; Dhariwal & Nichol 2021, algorithm 2).
 *
 * Guided walks do not sample the tilted law p^-w p_y^(1+w): its score is the guided one at no noise only, since sums of scores
 * of noised laws are not the score of a noised sum. And of p(x|y) ~ p(y|x)^scale p(x)/Z the Z does not depend on x; only the
 * normaliser over y, sum_y p(y|x)^scale, would. `ebb toy` shows how far apart both are.
 */
#include "sample/guided.h"

#include <math.h>
#include <string.h>

#include "diffusion/guidance.h"
#include "diffusion/guide.h"

enum { OTHER_EPS, OTHER_X0, CLEAN, GRADIENT, ONE_GRADIENT, BUFFERS };

size_t ebb_guided_work(int64_t n, int64_t count)
{
    return (size_t)BUFFERS * (size_t)(n * count);
}

static double *buffer(const ebb_guided *g, int i)
{
    return g->work + i * g->main.n * g->main.count;
}

/* Where alpha is 0 the ratio has no bound. */
static bool acts(const ebb_guided *g, ebb_level at)
{
    return at.sigma > g->low * at.alpha && (g->high == 0 || at.sigma <= g->high * at.alpha);
}

static bool acts_anywhere(const ebb_guided *g, const ebb_level *at)
{
    bool any = false;
    for (int64_t i = 0; i < g->main.n; i++)
        any = any || acts(g, at[i]);
    return g->other.predict != NULL && g->w != 0 && any;
}

/* to: main's, and then the mixture in the rows where w acts. */
static void mix(const ebb_guided *g, const ebb_level *at, double *to, const double *other)
{
    for (int64_t i = 0; to != NULL && i < g->main.n; i++)
        if (acts(g, at[i]))
            ebb_guidance_mix(g->main.count, to + i * g->main.count, other + i * g->main.count, g->w, to + i * g->main.count);
}

static bool wants_x0(const ebb_guided *g)
{
    bool any = false;
    for (int k = 0; k < g->leads; k++)
        any = any || g->lead[k].wants_x0;
    return any;
}

static void add_gradients(ebb_guided *g, const double *x, const ebb_level *at, const double *x0)
{
    double *sum = buffer(g, GRADIENT), *one = buffer(g, ONE_GRADIENT);
    int64_t all = g->main.n * g->main.count;
    memset(sum, 0, (size_t)all * sizeof *sum);
    for (int k = 0; k < g->leads; k++) {
        const ebb_lead *l = &g->lead[k];
        int refused = l->gradient(l->self, x, at, l->wants_x0 ? x0 : NULL, one);
        g->evaluations += l->network;
        if (refused != 0)
            g->refused = refused;
        for (int64_t d = 0; refused == 0 && d < all; d++)
            sum[d] += l->scale * one[d];
    }
}

/* What the gradients add to the score, in eps and x_0; where alpha is 0 the picture is gone, and with it what they lead to. */
static void push(const ebb_guided *g, const ebb_level *at, double *eps, double *x0)
{
    const double *gradient = buffer(g, GRADIENT);
    int64_t count = g->main.count;
    for (int64_t i = 0; i < g->main.n; i++) {
        double by = at[i].alpha > 0 ? at[i].sigma * at[i].sigma / at[i].alpha : 0;
        if (eps != NULL)
            ebb_guide_noise(count, eps + i * count, at[i].sigma, gradient + i * count, 1, eps + i * count);
        for (int64_t d = i * count; x0 != NULL && d < (i + 1) * count; d++)
            x0[d] += by * gradient[d];
    }
}

static void predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    ebb_guided *g = self;
    double *clean = x0 == NULL && wants_x0(g) ? buffer(g, CLEAN) : x0;
    g->main.predict(g->main.self, x, at, eps, clean);
    g->evaluations = ebb_field_evaluations(&g->main);
    if (acts_anywhere(g, at)) {
        double *other = eps != NULL ? buffer(g, OTHER_EPS) : NULL, *other_x0 = clean != NULL ? buffer(g, OTHER_X0) : NULL;
        g->other.predict(g->other.self, x, at, other, other_x0);
        g->evaluations += ebb_field_evaluations(&g->other);
        mix(g, at, eps, other);
        mix(g, at, clean, other_x0);
    }
    if (g->leads == 0)
        return;
    add_gradients(g, x, at, clean);
    if (!g->mean)
        push(g, at, eps, x0);
}

/* Where all parts know their scores, also at no noise. */
static void score(void *self, const double *x, const ebb_level *at, double *to)
{
    ebb_guided *g = self;
    double *clean = wants_x0(g) ? buffer(g, CLEAN) : NULL;
    g->main.score(g->main.self, x, at, to);
    g->evaluations = ebb_field_evaluations(&g->main);
    if (acts_anywhere(g, at)) {
        g->other.score(g->other.self, x, at, buffer(g, OTHER_EPS));
        g->evaluations += ebb_field_evaluations(&g->other);
        mix(g, at, to, buffer(g, OTHER_EPS));
    }
    for (int64_t i = 0; clean != NULL && i < g->main.n * g->main.count; i++) {
        ebb_level row = at[i / g->main.count];
        clean[i] = row.alpha > 0 ? (x[i] + row.sigma * row.sigma * to[i]) / row.alpha : 0;
    }
    if (g->leads == 0)
        return;
    add_gradients(g, x, at, clean);
    for (int64_t i = 0; !g->mean && i < g->main.n * g->main.count; i++)
        to[i] += buffer(g, GRADIENT)[i];
}

/* x_0 is linear in the parts, and so is J'v. */
static void pullback(void *self, const double *x, const ebb_level *at, const double *v, double *out)
{
    ebb_guided *g = self;
    double *other = buffer(g, OTHER_X0);
    g->main.pullback(g->main.self, x, at, v, out);
    g->evaluations = ebb_field_evaluations(&g->main);
    if (!acts_anywhere(g, at))
        return;
    g->other.pullback(g->other.self, x, at, v, other);
    g->evaluations += ebb_field_evaluations(&g->other);
    mix(g, at, out, other);
}

static const double *variance(void *self)
{
    const ebb_guided *g = self;
    return g->main.variance(g->main.self);
}

static const double *lead(void *self)
{
    return buffer(self, GRADIENT);
}

static int evaluations(void *self)
{
    return ((const ebb_guided *)self)->evaluations;
}

ebb_field ebb_field_guided(ebb_guided *g)
{
    bool scores = g->main.score != NULL && (g->other.predict == NULL || g->other.score != NULL);
    /* What the gradients add to x_0 has a derivative that nobody knows. */
    bool pulls = g->main.pullback != NULL && (g->other.predict == NULL || g->other.pullback != NULL) && g->leads == 0;
    return (ebb_field){.n = g->main.n, .count = g->main.count, .predict = predict, .score = scores ? score : NULL,
                       .variance = g->main.variance != NULL ? variance : NULL, .lead = g->leads > 0 && g->mean ? lead : NULL,
                       .evaluations = evaluations, .pullback = pulls ? pullback : NULL, .self = g};
}

ebb_status ebb_guided_check(ebb_context *ctx, double w, double low, double high)
{
    if (!isfinite(w))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "guidance must be a finite number, as 0 or 1.5");
    if (!(low >= 0) || !(high >= 0) || (high > 0 && low >= high))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "guidance between sigma/alpha %g and %g: 0 <= low < high is needed", low, high);
    return EBB_OK;
}
