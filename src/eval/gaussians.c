/* gaussians.c: distances between normal laws, by the axes of their covariances.
 */
#include "eval/gaussians.h"

#include <math.h>
#include <string.h>

#define SQUARE (EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX)

/* r = a^power for a symmetric a (n,n) that is not negative. Returns log det a. */
static double power_of(int n, const double *a, double power, double *r)
{
    double copy[SQUARE], axes[SQUARE], eigen[EBB_TARGET_DIM_MAX], log_det = 0;
    memcpy(copy, a, (size_t)(n * n) * sizeof *a);
    memset(r, 0, (size_t)(n * n) * sizeof *r);
    ebb_symmetric_eigen(n, copy, eigen, axes);
    for (int k = 0; k < n; k++) {
        double value = pow(fmax(eigen[k], 0), power);
        log_det += log(fmax(eigen[k], 0));
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                r[i * n + j] += axes[i * n + k] * value * axes[j * n + k];
    }
    return log_det;
}

static void product(int n, const double *a, const double *b, double *to)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            to[i * n + j] = 0;
            for (int k = 0; k < n; k++)
                to[i * n + j] += a[i * n + k] * b[k * n + j];
        }
}

double ebb_gaussians_w2(int dim, const double *mean1, const double *cov1, const double *mean2, const double *cov2)
{
    double root[SQUARE], half[SQUARE], middle[SQUARE], sum = 0;
    power_of(dim, cov1, 0.5, root);
    product(dim, root, cov2, half);
    product(dim, half, root, middle);
    for (int i = 0; i < dim; i++)
        for (int j = 0; j < i; j++)
            middle[i * dim + j] = middle[j * dim + i] = 0.5 * (middle[i * dim + j] + middle[j * dim + i]);
    power_of(dim, middle, 0.5, root);
    for (int i = 0; i < dim; i++)
        sum += (mean1[i] - mean2[i]) * (mean1[i] - mean2[i]) + cov1[i * dim + i] + cov2[i * dim + i] - 2 * root[i * dim + i];
    return sqrt(fmax(sum, 0));
}

double ebb_gaussians_kl(int dim, const double *mean1, const double *cov1, const double *mean2, const double *cov2)
{
    double inverse[SQUARE], scratch[SQUARE];
    double log_det2 = power_of(dim, cov2, -1, inverse), log_det1 = power_of(dim, cov1, 0, scratch), sum = -dim;
    if (!isfinite(log_det2))
        return INFINITY;
    for (int i = 0; i < dim; i++)
        for (int j = 0; j < dim; j++)
            sum += inverse[i * dim + j] * (cov1[j * dim + i] + (mean1[i] - mean2[i]) * (mean1[j] - mean2[j]));
    return 0.5 * (sum + log_det2 - log_det1);
}

void ebb_samples_moments(const double *x, const double *weight, int64_t n, int dim, double *mean, double *cov)
{
    memset(mean, 0, (size_t)dim * sizeof *mean);
    memset(cov, 0, (size_t)(dim * dim) * sizeof *cov);
    for (int64_t i = 0; i < n; i++)
        for (int a = 0; a < dim; a++)
            mean[a] += (weight != NULL ? weight[i] : 1.0 / (double)n) * x[i * dim + a];
    for (int64_t i = 0; i < n; i++)
        for (int a = 0; a < dim; a++)
            for (int b = 0; b < dim; b++)
                cov[a * dim + b] += (weight != NULL ? weight[i] : 1.0 / (double)n) * (x[i * dim + a] - mean[a]) *
                                    (x[i * dim + b] - mean[b]);
}
