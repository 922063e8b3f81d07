/* inverse.c: Bayes's rule for linear measurements of mixtures; Joseph's form of the covariance, which stays non-negative.
 *
 * The law of y is itself a mixture, of means H m_k and covariances S_k: as an ebb_target it gives the posterior weights (the
 * shares of its parts at y) and takes each S_k apart into axes, along which it is inverted.
 */
#include "diffusion/inverse.h"

#include <math.h>

enum { MAX = EBB_TARGET_DIM_MAX };

/* out (m,n) = a (m,k) b (k,n), or b' of b (n,k). */
static void multiply(int m, int k, int n, const double *a, const double *b, bool turned, double *out)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int l = 0; l < k; l++)
                sum += a[i * k + l] * (turned ? b[j * k + l] : b[l * n + j]);
            out[i * n + j] = sum;
        }
}

/* The law of y; labels: each part its own. */
static ebb_status law_of_y(ebb_context *ctx, const ebb_target *prior, const ebb_measurement *m, double *room,
                           ebb_target *out)
{
    int d = prior->dim, rows = m->rows;
    double *mean = room, *cov = mean + prior->parts * rows, hc[MAX * MAX];
    for (int k = 0; k < prior->parts; k++) {
        double *s = cov + k * rows * rows;
        multiply(rows, d, 1, m->h, prior->mean + k * d, false, mean + k * rows);
        multiply(rows, d, d, m->h, prior->cov + k * d * d, false, hc);
        multiply(rows, d, rows, hc, m->h, true, s);
        for (int i = 0; i < rows; i++) {
            s[i * rows + i] += m->sigma * m->sigma;
            for (int j = 0; j < i; j++)
                s[i * rows + j] = s[j * rows + i] = (s[i * rows + j] + s[j * rows + i]) / 2;
        }
    }
    EBB_TRY(ebb_target_create(ctx, prior->parts, rows, prior->weight, mean, cov, NULL, out));
    for (int k = 0; k < prior->parts; k++) {
        double most = 0;
        for (int a = 0; a < rows; a++)
            most = fmax(most, out->eigen[k * rows + a]);
        for (int a = 0; a < rows; a++)
            if (!(out->eigen[k * rows + a] > 1e-13 * most)) {
                ebb_target_free(out);
                return ebb_fail(ctx, EBB_E_ARGUMENT, "measurement: a combination of its %d numbers is constant in part %d of "
                                "the law, so they have no density; give them noise or leave rows out", rows, k);
            }
    }
    return EBB_OK;
}

/* mean (dim) and cov (dim,dim) of part k given y. */
static void update(const ebb_target *prior, const ebb_measurement *m, const ebb_target *of_y, int k, double *mean, double *cov)
{
    int d = prior->dim, rows = m->rows;
    const double *axes = of_y->axes + k * rows * rows, *eigen = of_y->eigen + k * rows, *c = prior->cov + k * d * d;
    double ch[MAX * MAX], gain[MAX * MAX], rest[MAX * MAX], half[MAX * MAX], inverse[MAX * MAX];
    for (int i = 0; i < rows * rows; i++) {
        inverse[i] = 0;
        for (int a = 0; a < rows; a++)
            inverse[i] += axes[i / rows * rows + a] * axes[i % rows * rows + a] / eigen[a];
    }
    multiply(d, d, rows, c, m->h, true, ch);
    multiply(d, rows, rows, ch, inverse, false, gain);
    for (int i = 0; i < d; i++) {
        mean[i] = prior->mean[k * d + i];
        for (int j = 0; j < rows; j++)
            mean[i] += gain[i * rows + j] * (m->y[j] - of_y->mean[k * rows + j]);
    }
    /* (I-KH) C (I-KH)' + sigma^2 K K' */
    multiply(d, rows, d, gain, m->h, false, rest);
    for (int i = 0; i < d * d; i++)
        rest[i] = (i % (d + 1) == 0) - rest[i];
    multiply(d, d, d, rest, c, false, half);
    multiply(d, d, d, half, rest, true, cov);
    multiply(d, rows, d, gain, gain, true, half);
    for (int i = 0; i < d * d; i++)
        cov[i] += m->sigma * m->sigma * half[i];
    for (int i = 0; i < d; i++)
        for (int j = 0; j < i; j++)
            cov[i * d + j] = cov[j * d + i] = (cov[i * d + j] + cov[j * d + i]) / 2;
}

ebb_status ebb_target_given(ebb_context *ctx, const ebb_target *prior, const ebb_measurement *m, ebb_target *out)
{
    size_t parts = (size_t)prior->parts, d = (size_t)prior->dim, rows = (size_t)m->rows;
    ebb_target of_y;
    double *room;
    *out = (ebb_target){0};
    if (m->rows < 1 || m->rows > MAX || !(m->sigma >= 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "measurement of %d numbers with noise %g: 1..%d numbers and noise from 0 up",
                        m->rows, m->sigma, MAX);
    EBB_TRY(ebb_alloc(ctx, (void **)&room, parts * (rows + rows * rows + 1 + d + d * d), sizeof *room, "a posterior"));
    ebb_status status = law_of_y(ctx, prior, m, room, &of_y);
    if (status == EBB_OK) {
        double *weight = room + parts * (rows + rows * rows), *mean = weight + parts, *cov = mean + parts * d;
        ebb_target_at(&of_y, m->y, 1, 0, NULL, NULL, NULL, weight);
        for (size_t k = 0; k < parts; k++)
            update(prior, m, &of_y, (int)k, mean + k * d, cov + k * d * d);
        status = ebb_target_create(ctx, prior->parts, prior->dim, weight, mean, cov, prior->label, out);
        ebb_target_free(&of_y);
    }
    ebb_free(room);
    return status;
}

/* ---- through the denoiser -------------------------------------------------------------------------------------------- */

void ebb_target_denoise(const ebb_target *t, const double *x, ebb_level at, double *x0, double *jacobian)
{
    int d = t->dim;
    double noise = at.sigma * at.sigma;
    ebb_target_at(t, x, at.alpha, at.sigma, NULL, x0, jacobian, NULL);
    for (int i = 0; i < d; i++)
        x0[i] = (x[i] + noise * x0[i]) / at.alpha;
    for (int i = 0; jacobian != NULL && i < d * d; i++)
        jacobian[i] = ((i % (d + 1) == 0) + noise * jacobian[i]) / at.alpha;
}

double ebb_target_residual(const ebb_target *t, const double *x, ebb_level at, const ebb_measurement *m, double *gradient)
{
    int d = t->dim;
    double x0[MAX], jacobian[MAX * MAX], residual[MAX], pulled[MAX], norm = 0;
    ebb_target_denoise(t, x, at, x0, jacobian);
    for (int j = 0; j < m->rows; j++) {
        residual[j] = m->y[j];
        for (int i = 0; i < d; i++)
            residual[j] -= m->h[j * d + i] * x0[i];
        norm += residual[j] * residual[j];
    }
    norm = sqrt(norm);
    for (int i = 0; i < d; i++) {
        pulled[i] = 0;
        for (int j = 0; j < m->rows; j++)
            pulled[i] += m->h[j * d + i] * residual[j];
    }
    for (int i = 0; i < d; i++) {
        gradient[i] = 0;
        for (int j = 0; norm > 0 && j < d; j++)
            gradient[i] -= jacobian[j * d + i] * pulled[j] / norm;
    }
    return norm;
}
