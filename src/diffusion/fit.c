/* fit.c: expectation and maximization (Dempster, Laird & Rubin 1977) from a start by k-means++ (Arthur & Vassilvitskii 2007).
 *
 * Shares r_ik = p(part k | x_i) by the present law; then w_k = mean r_ik, m_k and C_k the moments of the points weighted by
 * r_ik.
 */
#include "diffusion/fit.h"

#include <math.h>
#include <string.h>

typedef struct sums {
    const double *x;
    int64_t n;
    int parts, dim;
    double *weight, *mean, *cov; /* (parts), (parts,dim), (parts,dim,dim) */
    double *near;                /* (n) square distance to the nearest start */
    double floor;                /* least variance */
} sums;

/* Mean variance of the data; the start's covariances. */
static double spread(const sums *s)
{
    double total = 0;
    for (int d = 0; d < s->dim; d++) {
        double mean = 0, square = 0;
        for (int64_t i = 0; i < s->n; i++)
            mean += s->x[i * s->dim + d] / (double)s->n;
        for (int64_t i = 0; i < s->n; i++)
            square += (s->x[i * s->dim + d] - mean) * (s->x[i * s->dim + d] - mean) / (double)s->n;
        total += square / s->dim;
    }
    return total;
}

/* The next start: a point drawn with probability in proportion to its square distance to those that are there. */
static int64_t draw_start(sums *s, int k, uint64_t seed)
{
    ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_DATA, .step = 1, .sample = (uint32_t)k};
    double total = 0, u = ebb_rng_uniform(&at, 0);
    for (int64_t i = 0; i < s->n; i++) {
        double distance = 0;
        for (int d = 0; k > 0 && d < s->dim; d++) {
            double by = s->x[i * s->dim + d] - s->mean[(k - 1) * s->dim + d];
            distance += by * by;
        }
        s->near[i] = k == 0 ? 1 : k == 1 ? distance : fmin(s->near[i], distance);
        total += s->near[i];
    }
    int64_t chosen = 0;
    for (u *= total; chosen + 1 < s->n && u >= s->near[chosen]; chosen++)
        u -= s->near[chosen];
    return chosen;
}

static void start(sums *s, uint64_t seed, double variance)
{
    for (int k = 0; k < s->parts; k++) {
        int64_t chosen = draw_start(s, k, seed);
        memcpy(s->mean + k * s->dim, s->x + chosen * s->dim, (size_t)s->dim * sizeof(double));
        s->weight[k] = 1;
        for (int i = 0; i < s->dim * s->dim; i++)
            s->cov[k * s->dim * s->dim + i] = i % (s->dim + 1) == 0 ? variance : 0;
    }
}

static void add_point(sums *s, const double *x, const double *share)
{
    int dim = s->dim;
    for (int k = 0; k < s->parts; k++) {
        s->weight[k] += share[k];
        for (int i = 0; i < dim; i++)
            s->mean[k * dim + i] += share[k] * x[i];
    }
}

static void add_square(sums *s, const double *x, const double *share)
{
    int dim = s->dim;
    for (int k = 0; k < s->parts; k++)
        for (int i = 0; share[k] > 0 && i < dim; i++)
            for (int j = 0; j < dim; j++)
                s->cov[(k * dim + i) * dim + j] += share[k] * (x[i] - s->mean[k * dim + i]) * (x[j] - s->mean[k * dim + j]);
}

/* One round: the moments under the shares of law; returns the mean log-likelihood of law. */
static double round_of(sums *s, const ebb_target *law)
{
    double share[EBB_TARGET_PARTS_MAX], logp, sum = 0;
    size_t parts = (size_t)s->parts, dim = (size_t)s->dim;
    memset(s->weight, 0, parts * (1 + dim + dim * dim) * sizeof(double));
    for (int64_t i = 0; i < s->n; i++) {
        ebb_target_at(law, s->x + i * s->dim, 1, 0, &logp, NULL, NULL, share);
        add_point(s, s->x + i * s->dim, share);
        sum += logp;
    }
    /* A part that lost its points stays where it was. */
    for (int k = 0; k < s->parts; k++)
        for (int d = 0; d < s->dim; d++)
            s->mean[k * s->dim + d] = s->weight[k] > 0 ? s->mean[k * s->dim + d] / s->weight[k] : law->mean[k * s->dim + d];
    for (int64_t i = 0; i < s->n; i++) {
        ebb_target_at(law, s->x + i * s->dim, 1, 0, NULL, NULL, NULL, share);
        add_square(s, s->x + i * s->dim, share);
    }
    for (int k = 0; k < s->parts; k++)
        for (int i = 0; i < s->dim * s->dim; i++) {
            double *c = s->cov + k * s->dim * s->dim + i;
            *c = (s->weight[k] > 0 ? *c / s->weight[k] : 0) + (i % (s->dim + 1) == 0 ? s->floor : 0);
        }
    return sum / (double)s->n;
}

static ebb_status climb(ebb_context *ctx, sums *s, ebb_fit *fit, ebb_target *out)
{
    int rounds = fit->rounds > 0 ? fit->rounds : 200;
    double tolerance = fit->tolerance > 0 ? fit->tolerance : 1e-9, last = -INFINITY;
    EBB_TRY(ebb_target_create(ctx, s->parts, s->dim, s->weight, s->mean, s->cov, NULL, out));
    for (fit->used = 0; fit->used < rounds; fit->used++) {
        fit->log_likelihood = round_of(s, out);
        if (!isfinite(fit->log_likelihood)) {
            ebb_target_free(out);
            return ebb_fail(ctx, EBB_E_NUMERIC, "fit: log-likelihood %g in round %d; are all points finite?",
                            fit->log_likelihood, fit->used);
        }
        if (fit->log_likelihood - last < tolerance)
            break;
        last = fit->log_likelihood;
        ebb_target_free(out);
        EBB_TRY(ebb_target_create(ctx, s->parts, s->dim, s->weight, s->mean, s->cov, NULL, out));
    }
    return EBB_OK;
}

ebb_status ebb_target_fit(ebb_context *ctx, const double *x, int64_t n, int dim, ebb_fit *fit, ebb_target *out)
{
    size_t parts = (size_t)fit->parts, d = (size_t)dim;
    sums s = {.x = x, .n = n, .parts = fit->parts, .dim = dim};
    *out = (ebb_target){0};
    if (fit->parts < 1 || fit->parts > EBB_TARGET_PARTS_MAX || dim < 1 || dim > EBB_TARGET_DIM_MAX || n < fit->parts)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "fit of %d parts to %lld points of %d numbers: as many points as parts at least, "
                        "1..%d parts, 1..%d numbers", fit->parts, (long long)n, dim, EBB_TARGET_PARTS_MAX, EBB_TARGET_DIM_MAX);
    EBB_TRY(ebb_alloc(ctx, (void **)&s.weight, parts * (1 + d + d * d) + (size_t)n, sizeof(double), "a fit"));
    s.mean = s.weight + parts;
    s.cov = s.mean + parts * d;
    s.near = s.cov + parts * d * d;
    double variance = spread(&s);
    s.floor = variance * (fit->least > 0 ? fit->least : 1e-6);
    start(&s, fit->seed, variance);
    ebb_status status = climb(ctx, &s, fit, out);
    ebb_free(s.weight);
    return status;
}
