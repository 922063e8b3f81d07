/* target.c: log-density, score, Jacobian and class probabilities of a mixture of normal laws at any level.
 *
 * The covariance at a level is alpha^2 C + sigma^2 I, whose axes are those of C: each C is taken apart once
 * (Jacobi's rotations), and a level only changes the variances along its axes.
 *   log p(x) = log sum_k w_k N(x; alpha m_k, alpha^2 C_k + sigma^2 I),   r_k the share of part k,
 *   score = -sum_k r_k P_k d_k with d_k = x - alpha m_k, P_k the inverse covariance,
 *   Jacobian = sum_k r_k (P_k d_k d_k' P_k - P_k) - score score'.
 */
#include "diffusion/target.h"

#include <math.h>

/* ---- taking covariances apart ------------------------------------------------------------------------------ */

/* One rotation in the plane (p,q) that makes a[p][q] zero; v collects the axes as columns. */
static void rotate(int n, double *a, double *v, int p, int q)
{
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < n; k++) {
        double kp = a[k * n + p], kq = a[k * n + q];
        a[k * n + p] = c * kp - s * kq;
        a[k * n + q] = s * kp + c * kq;
    }
    for (int k = 0; k < n; k++) {
        double pk = a[p * n + k], qk = a[q * n + k], vp = v[k * n + p], vq = v[k * n + q];
        a[p * n + k] = c * pk - s * qk;
        a[q * n + k] = s * pk + c * qk;
        v[k * n + p] = c * vp - s * vq;
        v[k * n + q] = s * vp + c * vq;
    }
}

void ebb_symmetric_eigen(int n, double *a, double *eigen, double *axes)
{
    for (int i = 0; i < n * n; i++)
        axes[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0, all = 0;
        for (int i = 0; i < n * n; i++) {
            all += a[i] * a[i];
            off += i % (n + 1) == 0 ? 0 : a[i] * a[i];
        }
        if (off <= 1e-34 * all)
            break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                if (a[p * n + q] != 0)
                    rotate(n, a, axes, p, q);
    }
    for (int i = 0; i < n; i++)
        eigen[i] = a[i * n + i];
}

/* ---- making --------------------------------------------------------------------------------------------------- */

static ebb_status check(ebb_context *ctx, int parts, int dim, const double *weight, const double *cov)
{
    double sum = 0;
    for (int k = 0; k < parts; k++) {
        if (!(weight[k] >= 0) || !isfinite(weight[k]))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "mixture: weight %d is %g", k, weight[k]);
        sum += weight[k];
        for (int i = 0; i < dim; i++)
            for (int j = 0; j < i; j++) {
                const double *c = cov + (int64_t)k * dim * dim;
                if (!(fabs(c[i * dim + j] - c[j * dim + i]) <= 1e-9 * (fabs(c[i * dim + i]) + fabs(c[j * dim + j]))))
                    return ebb_fail(ctx, EBB_E_ARGUMENT, "mixture: covariance %d is not symmetric", k);
            }
    }
    return sum > 0 ? EBB_OK : ebb_fail(ctx, EBB_E_ARGUMENT, "mixture: the weights sum to %g", sum);
}

static ebb_status decompose(ebb_context *ctx, ebb_target *t)
{
    double scratch[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    int square = t->dim * t->dim;
    for (int k = 0; k < t->parts; k++) {
        double *eigen = t->eigen + k * t->dim;
        for (int i = 0; i < square; i++)
            scratch[i] = t->cov[k * square + i];
        ebb_symmetric_eigen(t->dim, scratch, eigen, t->axes + k * square);
        double most = 0;
        for (int i = 0; i < t->dim; i++)
            most = fmax(most, fabs(eigen[i]));
        for (int i = 0; i < t->dim; i++) {
            /* Below 0 only by rounding, of numbers of the size of pictures' or of its own. */
            if (!(eigen[i] >= -1e-12 * fmax(1, most)) || !isfinite(eigen[i]))
                return ebb_fail(ctx, EBB_E_ARGUMENT, "mixture: covariance %d has variance %g along an axis", k, eigen[i]);
            eigen[i] = eigen[i] < 0 ? 0 : eigen[i];
        }
    }
    return EBB_OK;
}

ebb_status ebb_target_create(ebb_context *ctx, int parts, int dim, const double *weight, const double *mean,
                             const double *cov, const int32_t *label, ebb_target *out)
{
    *out = (ebb_target){.parts = parts, .dim = dim};
    if (parts < 1 || parts > EBB_TARGET_PARTS_MAX || dim < 1 || dim > EBB_TARGET_DIM_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "mixture of %d parts in %d dimensions: 1..%d and 1..%d are possible", parts,
                        dim, EBB_TARGET_PARTS_MAX, EBB_TARGET_DIM_MAX);
    EBB_TRY(check(ctx, parts, dim, weight, cov));
    size_t k = (size_t)parts, d = (size_t)dim;
    EBB_TRY(ebb_alloc(ctx, (void **)&out->weight, k * (1 + 2 * d + 2 * d * d) + (k + 1) / 2, sizeof(double), "a mixture"));
    out->mean = out->weight + k;
    out->cov = out->mean + k * d;
    out->eigen = out->cov + k * d * d;
    out->axes = out->eigen + k * d;
    out->label = (int32_t *)(void *)(out->axes + k * d * d);
    double sum = 0;
    for (size_t i = 0; i < k; i++) {
        sum += weight[i];
        out->label[i] = label != NULL ? label[i] : (int32_t)i;
        out->classes = out->label[i] >= out->classes ? out->label[i] + 1 : out->classes;
    }
    for (size_t i = 0; i < k; i++)
        out->weight[i] = weight[i] / sum;
    for (size_t i = 0; i < k * d; i++)
        out->mean[i] = mean[i];
    for (size_t i = 0; i < k * d * d; i++)
        out->cov[i] = cov[i];
    ebb_status status = decompose(ctx, out);
    if (status != EBB_OK)
        ebb_target_free(out);
    return status;
}

void ebb_target_free(ebb_target *t)
{
    ebb_free(t->weight);
    *t = (ebb_target){0};
}

ebb_status ebb_target_class(ebb_context *ctx, const ebb_target *t, int label, ebb_target *out)
{
    ebb_target part = {0};
    int square = t->dim * t->dim;
    *out = part;
    EBB_TRY(ebb_target_create(ctx, t->parts, t->dim, t->weight, t->mean, t->cov, t->label, &part));
    part.parts = 0;
    double sum = 0;
    for (int k = 0; k < t->parts; k++)
        sum += t->label[k] == label ? t->weight[k] : 0;
    for (int k = 0; sum > 0 && k < t->parts; k++) {
        if (t->label[k] != label)
            continue;
        int to = part.parts++;
        part.weight[to] = t->weight[k] / sum;
        part.label[to] = label;
        for (int i = 0; i < t->dim; i++) {
            part.mean[to * t->dim + i] = t->mean[k * t->dim + i];
            part.eigen[to * t->dim + i] = t->eigen[k * t->dim + i];
        }
        for (int i = 0; i < square; i++) {
            part.cov[to * square + i] = t->cov[k * square + i];
            part.axes[to * square + i] = t->axes[k * square + i];
        }
    }
    if (part.parts == 0) {
        ebb_target_free(&part);
        return ebb_fail(ctx, EBB_E_ARGUMENT, "mixture: no part is of class %d; classes are 0..%d", label, t->classes - 1);
    }
    *out = part;
    return EBB_OK;
}

/* ---- one point at a level ------------------------------------------------------------------------------------- */

/* log(w_k N(x)) of part k. */
static double part_log(const ebb_target *t, int k, const double *x, double alpha, double sigma)
{
    int n = t->dim;
    const double *mean = t->mean + k * n, *eigen = t->eigen + k * n, *axes = t->axes + k * n * n;
    double log_density = log(t->weight[k]) - 0.5 * n * log(2 * 3.14159265358979323846);
    for (int a = 0; a < n; a++) {
        double variance = alpha * alpha * eigen[a] + sigma * sigma, along = 0;
        for (int i = 0; i < n; i++)
            along += axes[i * n + a] * (x[i] - alpha * mean[i]);
        log_density -= 0.5 * (log(variance) + along * along / variance);
    }
    return log_density;
}

/* P_k d_k (dim). */
static void part_pull(const ebb_target *t, int k, const double *x, double alpha, double sigma, double *pd)
{
    int n = t->dim;
    const double *mean = t->mean + k * n, *eigen = t->eigen + k * n, *axes = t->axes + k * n * n;
    for (int i = 0; i < n; i++)
        pd[i] = 0;
    for (int a = 0; a < n; a++) {
        double variance = alpha * alpha * eigen[a] + sigma * sigma, along = 0;
        for (int i = 0; i < n; i++)
            along += axes[i * n + a] * (x[i] - alpha * mean[i]);
        for (int i = 0; i < n; i++)
            pd[i] += axes[i * n + a] * along / variance;
    }
}

static void add_precision(const ebb_target *t, int k, double alpha, double sigma, double share, double *jacobian)
{
    int n = t->dim;
    const double *eigen = t->eigen + k * n, *axes = t->axes + k * n * n;
    for (int a = 0; a < n; a++) {
        double variance = alpha * alpha * eigen[a] + sigma * sigma;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                jacobian[i * n + j] -= share * axes[i * n + a] * axes[j * n + a] / variance;
    }
}

void ebb_target_at(const ebb_target *t, const double *x, double alpha, double sigma, double *logp, double *score,
                   double *jacobian, double *posterior)
{
    int n = t->dim;
    double pd[EBB_TARGET_DIM_MAX], own[EBB_TARGET_DIM_MAX], share[EBB_TARGET_PARTS_MAX], top = -INFINITY, sum = 0;
    double *s = score != NULL ? score : own;
    for (int k = 0; k < t->parts; k++) {
        share[k] = part_log(t, k, x, alpha, sigma);
        top = fmax(top, share[k]);
    }
    for (int k = 0; k < t->parts; k++)
        sum += share[k] = exp(share[k] - top);
    for (int i = 0; i < n; i++)
        s[i] = 0;
    for (int i = 0; jacobian != NULL && i < n * n; i++)
        jacobian[i] = 0;
    for (int c = 0; posterior != NULL && c < t->classes; c++)
        posterior[c] = 0;
    for (int k = 0; k < t->parts; k++) {
        double part = share[k] / sum;
        if (part == 0)
            continue;
        part_pull(t, k, x, alpha, sigma, pd);
        if (posterior != NULL)
            posterior[t->label[k]] += part;
        for (int i = 0; i < n; i++)
            s[i] -= part * pd[i];
        if (jacobian == NULL)
            continue;
        add_precision(t, k, alpha, sigma, part, jacobian);
        for (int i = 0; i < n * n; i++)
            jacobian[i] += part * pd[i / n] * pd[i % n];
    }
    for (int i = 0; jacobian != NULL && i < n * n; i++)
        jacobian[i] -= s[i / n] * s[i % n];
    if (logp != NULL)
        *logp = top + log(sum);
}

/* ---- the law itself --------------------------------------------------------------------------------------------- */

/* Normal numbers 2i and 2i+1 of a stream, by Box and Muller. */
static void normal_pair(const ebb_rng_at *at, uint32_t i, double z[2])
{
    double radius = sqrt(-2 * log(1 - ebb_rng_uniform(at, 2 * i + 1))), angle = ebb_rng_uniform(at, 2 * i + 2);
    z[0] = radius * cos(2 * 3.14159265358979323846 * angle);
    z[1] = radius * sin(2 * 3.14159265358979323846 * angle);
}

void ebb_target_sample(const ebb_target *t, uint64_t seed, int64_t first, int64_t n, double *x, int32_t *label)
{
    for (int64_t i = 0; i < n; i++) {
        ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_DATA, .step = 0, .sample = (uint32_t)(first + i)};
        double u = ebb_rng_uniform(&at, 0), z[EBB_TARGET_DIM_MAX + 1];
        int k = 0;
        while (k + 1 < t->parts && u >= t->weight[k])
            u -= t->weight[k++];
        for (int d = 0; d < t->dim; d += 2)
            normal_pair(&at, (uint32_t)d / 2, z + d);
        for (int d = 0; d < t->dim; d++) {
            x[i * t->dim + d] = t->mean[k * t->dim + d];
            for (int a = 0; a < t->dim; a++)
                x[i * t->dim + d] += t->axes[(k * t->dim + d) * t->dim + a] * sqrt(t->eigen[k * t->dim + a]) * z[a];
        }
        if (label != NULL)
            label[i] = t->label[k];
    }
}

void ebb_target_moments(const ebb_target *t, double *mean, double *cov)
{
    int n = t->dim;
    for (int i = 0; i < n; i++) {
        mean[i] = 0;
        for (int k = 0; k < t->parts; k++)
            mean[i] += t->weight[k] * t->mean[k * n + i];
    }
    for (int i = 0; cov != NULL && i < n * n; i++) {
        cov[i] = 0;
        for (int k = 0; k < t->parts; k++) {
            const double *m = t->mean + k * n;
            cov[i] += t->weight[k] * (t->cov[k * n * n + i] + (m[i / n] - mean[i / n]) * (m[i % n] - mean[i % n]));
        }
    }
}

/* ---- as a field ------------------------------------------------------------------------------------------------- */

static void field_score(void *self, const double *x, const ebb_level *at, double *score)
{
    const ebb_target_field *f = self;
    int dim = f->all->dim;
    double of_class[EBB_TARGET_DIM_MAX];
    for (int64_t i = 0; i < f->n; i++) {
        double *s = score + i * dim;
        ebb_target_at(f->all, x + i * dim, at[i].alpha, at[i].sigma, NULL, s, NULL, NULL);
        if (f->one == NULL)
            continue;
        ebb_target_at(f->one, x + i * dim, at[i].alpha, at[i].sigma, NULL, of_class, NULL, NULL);
        for (int d = 0; d < dim; d++)
            s[d] = (1 + f->w) * of_class[d] - f->w * s[d];
    }
}

/* E[x_0|x] of a law without its class: (x + sigma^2 score)/alpha, and at alpha 0 the mean. */
static void clean_of(const ebb_target_field *f, const double *x, ebb_level at, const double *score, double *x0)
{
    double mean[EBB_TARGET_DIM_MAX], of_class[EBB_TARGET_DIM_MAX];
    int dim = f->all->dim;
    if (at.alpha == 0) {
        ebb_target_moments(f->all, mean, NULL);
        if (f->one != NULL)
            ebb_target_moments(f->one, of_class, NULL);
    }
    for (int d = 0; d < dim; d++) {
        if (at.alpha > 0)
            x0[d] = (x[d] + at.sigma * at.sigma * score[d]) / at.alpha;
        else
            x0[d] = f->one != NULL ? (1 + f->w) * of_class[d] - f->w * mean[d] : mean[d];
    }
}

static void field_predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    const ebb_target_field *f = self;
    int dim = f->all->dim;
    for (int64_t i = 0; i < f->n; i++) {
        double score[EBB_TARGET_DIM_MAX];
        ebb_target_field row = *f;
        row.n = 1;
        field_score(&row, x + i * dim, at + i, score);
        if (x0 != NULL)
            clean_of(f, x + i * dim, at[i], score, x0 + i * dim);
        for (int d = 0; eps != NULL && d < dim; d++)
            eps[i * dim + d] = -at[i].sigma * score[d];
    }
}

static void field_divergence(void *self, const double *x, const ebb_level *at, double *eps, double *div)
{
    const ebb_target_field *f = self;
    int dim = f->all->dim;
    double jacobian[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    field_predict(self, x, at, eps, NULL);
    for (int64_t i = 0; i < f->n; i++) {
        double trace = 0, of_class = 0;
        ebb_target_at(f->all, x + i * dim, at[i].alpha, at[i].sigma, NULL, NULL, jacobian, NULL);
        for (int d = 0; d < dim; d++)
            trace += jacobian[d * dim + d];
        if (f->one != NULL) {
            ebb_target_at(f->one, x + i * dim, at[i].alpha, at[i].sigma, NULL, NULL, jacobian, NULL);
            for (int d = 0; d < dim; d++)
                of_class += jacobian[d * dim + d];
            trace = (1 + f->w) * of_class - f->w * trace;
        }
        div[i] = -at[i].sigma * trace;
    }
}

/* to += by (v + sigma^2 d score/dx v)/alpha of one law; the Jacobian of a score is symmetric. */
static void add_pullback(const ebb_target *t, const double *x, ebb_level at, const double *v, double by, double *to)
{
    double jacobian[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    int dim = t->dim;
    ebb_target_at(t, x, at.alpha, at.sigma, NULL, NULL, jacobian, NULL);
    for (int i = 0; i < dim; i++) {
        double sum = 0;
        for (int j = 0; j < dim; j++)
            sum += jacobian[i * dim + j] * v[j];
        to[i] += by * (v[i] + at.sigma * at.sigma * sum) / at.alpha;
    }
}

static void field_pullback(void *self, const double *x, const ebb_level *at, const double *v, double *out)
{
    const ebb_target_field *f = self;
    int dim = f->all->dim;
    for (int64_t i = 0; i < f->n; i++) {
        double *to = out + i * dim;
        for (int d = 0; d < dim; d++)
            to[d] = 0;
        if (at[i].alpha == 0)        /* pure noise tells nothing of x_0 */
            continue;
        if (f->one != NULL)
            add_pullback(f->one, x + i * dim, at[i], v + i * dim, 1 + f->w, to);
        add_pullback(f->all, x + i * dim, at[i], v + i * dim, f->one != NULL ? -f->w : 1, to);
    }
}

static void field_log_density(void *self, const double *x, const ebb_level *at, double *logp)
{
    const ebb_target_field *f = self;
    const ebb_target *t = f->one != NULL ? f->one : f->all;
    for (int64_t i = 0; i < f->n; i++)
        ebb_target_at(t, x + i * t->dim, at[i].alpha, at[i].sigma, logp + i, NULL, NULL, NULL);
}

ebb_field ebb_field_of_target(ebb_target_field *f)
{
    bool tilted = f->one != NULL && f->w != 0;
    return (ebb_field){.n = f->n, .count = f->all->dim, .predict = field_predict, .score = field_score,
                       .divergence = field_divergence, .log_density = tilted ? NULL : field_log_density, .self = f,
                       .pullback = field_pullback};
}
