/* linear_score.c: the objectives of score matching and their gradients, each by its own formula.
 *
 * With V = C + sigma^2 I and u = A m + b:
 *   explicit   tr (A+P) V (A+P)' + |u|^2,                     P = V^-1 since grad log p = -P (x-m)
 *   implicit   tr A V A' + |u|^2 + 2 tr A
 *   denoising  tr A C A' + sigma^2 |A + I/sigma^2|^2 + |u|^2  since s(x+n) + n/sigma^2 = A x + b + (A + I/sigma^2) n
 * Each is tr B W B' + ..., whose gradient in A is 2 B W.
 */
#include "diffusion/linear_score.h"

#include <math.h>

enum { MAX = EBB_TARGET_DIM_MAX };

double ebb_normal_information(const ebb_target *law, double sigma)
{
    double sum = 0;
    for (int i = 0; i < law->dim; i++)
        sum += 1 / (law->eigen[i] + sigma * sigma);
    return sum;
}

static ebb_status check(ebb_context *ctx, const ebb_linear_score *s, const ebb_target *law, ebb_matching kind, double sigma)
{
    if (law->parts != 1 || law->dim != s->dim)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "score matching of a linear score needs one normal law in %d dimensions, not %d "
                        "parts in %d", s->dim, law->parts, law->dim);
    if (kind == EBB_MATCH_DENOISING && !(sigma > 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "denoising score matching needs noise: sigma is %g", sigma);
    if (kind == EBB_MATCH_EXPLICIT && !isfinite(ebb_normal_information(law, sigma)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "explicit score matching: the law has no density: some variance is 0");
    return EBB_OK;
}

/* tr B W B' and, added to gradient, 2 B W. */
static double quadratic(int n, const double *b, const double *w, double *gradient)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double bw = 0;
            for (int k = 0; k < n; k++)
                bw += b[i * n + k] * w[k * n + j];
            sum += bw * b[i * n + j];
            if (gradient != NULL)
                gradient[i * n + j] += 2 * bw;
        }
    return sum;
}

/* |A m + b|^2 and its gradient in A and b. */
static double offset(const ebb_linear_score *s, const double *mean, double *gradient)
{
    int n = s->dim;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double u = s->b[i];
        for (int j = 0; j < n; j++)
            u += s->a[i * n + j] * mean[j];
        sum += u * u;
        for (int j = 0; gradient != NULL && j < n; j++)
            gradient[i * n + j] += 2 * u * mean[j];
        if (gradient != NULL)
            gradient[n * n + i] += 2 * u;
    }
    return sum;
}

ebb_status ebb_linear_score_match(ebb_context *ctx, const ebb_linear_score *s, const ebb_target *law, ebb_matching kind,
                                  double sigma, double *value, double *gradient)
{
    int n = s->dim;
    double b[MAX * MAX], w[MAX * MAX], precision[MAX * MAX];
    EBB_TRY(check(ctx, s, law, kind, sigma));
    for (int i = 0; gradient != NULL && i < n * n + n; i++)
        gradient[i] = 0;
    for (int i = 0; i < n * n; i++) {
        b[i] = s->a[i];
        w[i] = law->cov[i] + (i % (n + 1) == 0 && kind != EBB_MATCH_DENOISING ? sigma * sigma : 0);
    }
    if (kind == EBB_MATCH_EXPLICIT) {
        /* The score of a normal law has the Jacobian -P everywhere. */
        ebb_target_at(law, law->mean, 1, sigma, NULL, NULL, precision, NULL);
        for (int i = 0; i < n * n; i++)
            b[i] -= precision[i];
    }
    *value = quadratic(n, b, w, gradient) + offset(s, law->mean, gradient);
    for (int i = 0; kind == EBB_MATCH_IMPLICIT && i < n; i++) {
        *value += 2 * s->a[i * n + i];
        if (gradient != NULL)
            gradient[i * n + i] += 2;
    }
    if (kind == EBB_MATCH_DENOISING) {
        for (int i = 0; i < n * n; i++) {
            w[i] = i % (n + 1) == 0 ? sigma * sigma : 0;
            b[i] += i % (n + 1) == 0 ? 1 / (sigma * sigma) : 0;
        }
        *value += quadratic(n, b, w, gradient);
    }
    return EBB_OK;
}
