/* gaussian.c: asks a sampler for its affine map; distances between normal laws in closed form.
 */
#include "diffusion/gaussian.h"

#include <math.h>

/* ---- a sampler's law --------------------------------------------------------------------------------------------- */

typedef struct affine {
    const ebb_law_of *of;
    ebb_target_field target;
    int64_t n, draws;            /* rows; unit noises: row 3 + j has noise 1 at draw j */
    bool unfit;                  /* asked for uniform numbers */
} affine;

static void score(void *self, const double *x, const ebb_level *at, double *s)
{
    affine *a = self;
    ebb_field f = ebb_field_of_target(&a->target);
    f.score(f.self, x, at, s);
    for (int64_t i = 0; i < a->n; i++)
        s[i] += a->of->score_shift;
}

static void predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    affine *a = self;
    double shift = a->of->score_shift;
    ebb_field f = ebb_field_of_target(&a->target);
    f.predict(f.self, x, at, eps, x0);
    for (int64_t i = 0; i < a->n; i++) {
        if (eps != NULL)
            eps[i] -= at[i].sigma * shift;
        if (x0 != NULL && at[i].alpha > 0)
            x0[i] += at[i].sigma * at[i].sigma / at[i].alpha * shift;
    }
}

/* Rows: start 0, start 1, start 2 with all noises 1, and start 0 with one noise each. */
static void normal(void *self, int64_t draw, double *z)
{
    affine *a = self;
    for (int64_t i = 0; i < a->n; i++)
        z[i] = i == 2 || i == 3 + draw;
    a->draws = draw + 1;
}

static void uniform(void *self, int64_t draw, double *u)
{
    affine *a = self;
    (void)draw;
    a->unfit = true;
    for (int64_t i = 0; i < a->n; i++)
        u[i] = 0;
}

/* x (n) becomes where the rows end. */
static ebb_status walk(ebb_context *ctx, affine *a, double *x)
{
    ebb_field field = {.n = a->n, .count = 1, .predict = predict, .score = score, .self = a};
    ebb_walk w = {.process = a->of->process, .grid = a->of->grid, .field = &field, .n = a->n, .count = 1, .x = x,
                  .normal = normal, .uniform = uniform, .random = a};
    void *work;
    a->target = (ebb_target_field){.all = a->of->law, .n = a->n};
    EBB_TRY(ebb_sampler_parse(ctx, a->of->sampler, &w.sampler, &w.set));
    EBB_TRY(ebb_walk_check(ctx, &w));
    EBB_TRY(ebb_alloc(ctx, &work, ebb_walk_work(w.sampler, a->n, 1) + 1, sizeof(double), "a walk"));
    w.work = work;
    for (int64_t i = 0; i < a->n; i++)
        x[i] = i == 1 ? 1 : i == 2 ? 2 : 0;
    a->draws = 0;
    a->unfit = w.sampler->run(&w) != 0 || a->unfit;
    ebb_free(work);
    return EBB_OK;
}

ebb_status ebb_sampler_law(ebb_context *ctx, const ebb_law_of *of, ebb_normal *out)
{
    affine a = {.of = of, .n = 3};
    double first[3], *x;
    if (of->law->parts != 1 || of->law->dim != 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "the exact law of a sampler needs one normal law on a line, not %d parts in %d "
                        "dimensions", of->law->parts, of->law->dim);
    EBB_TRY(walk(ctx, &a, first));
    a.n = 3 + a.draws;
    EBB_TRY(ebb_alloc(ctx, (void **)&x, (size_t)a.n, sizeof *x, "rows of a walk"));
    ebb_status status = walk(ctx, &a, x);
    double prior = ebb_process_prior_std(of->process), slope = x[1] - x[0], all = x[0] + 2 * slope;
    *out = (ebb_normal){x[0], slope * slope * prior * prior};
    for (int64_t i = 3; status == EBB_OK && i < a.n; i++) {
        out->var += (x[i] - x[0]) * (x[i] - x[0]);
        all += x[i] - x[0];
    }
    /* An affine map is known by now: row 2 must be where it says. */
    double size = fabs(x[0]) + fabs(slope) + fabs(all);
    bool fits = !a.unfit && a.n == 3 + a.draws && fabs(x[2] - all) <= 1e-9 * size;
    ebb_free(x);
    EBB_TRY(status);
    return fits ? EBB_OK : ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s is not affine over normal data", of->sampler);
}

/* ---- normal laws ---------------------------------------------------------------------------------------------------- */

ebb_normal ebb_normal_at(const ebb_target *law, double alpha, double sigma)
{
    double mean[EBB_TARGET_DIM_MAX], cov[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    ebb_target_moments(law, mean, cov);
    return (ebb_normal){alpha * mean[0], alpha * alpha * cov[0] + sigma * sigma};
}

double ebb_normal_kl(ebb_normal p, ebb_normal q)
{
    double ratio = p.var / q.var, shift = p.mean - q.mean;
    return 0.5 * (ratio + shift * shift / q.var - 1 - log(ratio));
}

double ebb_normal_w2(ebb_normal p, ebb_normal q)
{
    return hypot(p.mean - q.mean, sqrt(p.var) - sqrt(q.var));
}

static double below(ebb_normal p, double x)
{
    return 0.5 * erfc((p.mean - x) / sqrt(2 * p.var));
}

double ebb_normal_tv(ebb_normal p, ebb_normal q)
{
    /* log p - log q = a x^2 + b x + c changes its sign where the densities cross. */
    double a = 0.5 / q.var - 0.5 / p.var, b = p.mean / p.var - q.mean / q.var;
    double c = 0.5 * (q.mean * q.mean / q.var - p.mean * p.mean / p.var + log(q.var / p.var));
    double disc = b * b - 4 * a * c;
    if (p.mean == q.mean && p.var == q.var)
        return 0;
    /* Roots without cancellation; with equal variances one of them is at infinity. */
    double u = -0.5 * (b + copysign(sqrt(fmax(disc, 0)), b)), r1 = u / a, r2 = c / u;
    double one = isfinite(r1) ? below(p, r1) - below(q, r1) : 0, two = isfinite(r2) ? below(p, r2) - below(q, r2) : 0;
    return fabs(one - two);
}

/* ---- laws on a line --------------------------------------------------------------------------------------------------- */

ebb_line_distance ebb_target_to_normal(const ebb_target *law, double alpha, double sigma, ebb_normal q, double lo, double hi,
                                       int points)
{
    ebb_line_distance d = {0};
    double dx = (hi - lo) / (points - 1), mass = 0, square = 0;
    for (int k = 0; k < points; k++) {
        double x = lo + k * dx, logp, weight = k == 0 || k == points - 1 ? dx / 2 : dx;
        ebb_target_at(law, &x, alpha, sigma, &logp, NULL, NULL, NULL);
        double logq = -0.5 * ((x - q.mean) * (x - q.mean) / q.var + log(2 * 3.14159265358979323846 * q.var)), p = exp(logp);
        d.kl += p > 0 ? weight * p * (logp - logq) : 0;
        d.tv += 0.5 * weight * fabs(p - exp(logq));
        mass += weight * p;
        d.mean += weight * p * x;
        square += weight * p * x * x;
    }
    d.mean /= mass;
    d.var = square / mass - d.mean * d.mean;
    return d;
}
