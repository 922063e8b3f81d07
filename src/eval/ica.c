/* ica.c: FastICA: principal directions, whitening, and the rotation (Hyvarinen 1999; Hyvarinen & Oja 2000, sec. 6).
 *
 * Each row of covariance and rotation is summed by one worker over the samples in order: threads change nothing. (LAPACK's own
 * bits depend on which one is installed.)
 */
#include "eval/ica.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

typedef struct work {
    const float *x;
    ebb_ica *ica;
    double *covariance;          /* (dim, dim) */
    double *eigen, *axes;        /* (parts), (dim, parts): ascending, columns */
    double *next, *gram;         /* (parts, parts) */
    double *room;                /* (parts, parts) */
} work;

/* ---- whitening -------------------------------------------------------------------------------------------------------------- */

/* Row i, from the diagonal on. */
static void covariance_row(void *self, int64_t i, int worker)
{
    const work *w = self;
    const ebb_ica *ica = w->ica;
    double *row = w->covariance + i * ica->dim;
    (void)worker;
    for (int64_t k = 0; k < ica->n; k++) {
        const float *x = w->x + k * ica->dim;
        double xi = x[i] - ica->mean[i];
        for (int64_t j = i; xi != 0 && j < ica->dim; j++)
            row[j] += xi * (x[j] - ica->mean[j]);
    }
    for (int64_t j = i; j < ica->dim; j++)
        row[j] /= (double)ica->n;
}

/* The `parts` largest eigenvalues and their vectors. Row-major and upper here is column-major and lower there. */
static ebb_status principal(ebb_context *ctx, work *w)
{
    ebb_ica *ica = w->ica;
    lapack_int d = ica->dim, found = 0, *support;
    double *values;
    EBB_TRY(ebb_alloc(ctx, (void **)&values, (size_t)d, sizeof *values, "eigenvalues"));
    ebb_status status = ebb_alloc(ctx, (void **)&support, 2 * (size_t)d, sizeof *support, "eigenvalues");
    if (status == EBB_OK) {
        lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'L', d, w->covariance, d, 0, 0, d - ica->parts + 1, d, 0, &found,
                                         values, w->axes, d, support);
        if (info != 0 || found != ica->parts)
            status = ebb_fail(ctx, EBB_E_NUMERIC, "eigenvectors of a covariance of %d numbers: LAPACK's dsyevr says %d", ica->dim, (int)info);
        memcpy(w->eigen, values, (size_t)ica->parts * sizeof *values);
        ebb_free(support);
    }
    ebb_free(values);
    return status;
}

/* axes is (parts, dim) in rows, as LAPACK's columns are. */
static void whiten_row(void *self, int64_t k, int worker)
{
    const work *w = self;
    ebb_ica *ica = w->ica;
    const double *axis = w->axes + k * ica->dim;
    double *row = ica->whiten + k * ica->dim, scale = 1 / sqrt(w->eigen[k]);
    (void)worker;
    for (int64_t d = 0; d < ica->dim; d++)
        row[d] = scale * axis[d];
    for (int64_t i = 0; i < ica->n; i++) {
        double sum = 0;
        for (int64_t d = 0; d < ica->dim; d++)
            sum += row[d] * (w->x[i * ica->dim + d] - ica->mean[d]);
        ica->white[k * ica->n + i] = sum;
    }
}

static ebb_status whiten(ebb_context *ctx, work *w)
{
    ebb_ica *ica = w->ica;
    for (int64_t i = 0; i < ica->n; i++)
        for (int64_t d = 0; d < ica->dim; d++)
            ica->mean[d] += w->x[i * ica->dim + d];
    for (int64_t d = 0; d < ica->dim; d++)
        ica->mean[d] /= (double)ica->n;
    ebb_par_for(ctx->threads, ica->dim, covariance_row, w);
    EBB_TRY(principal(ctx, w));
    if (!(w->eigen[0] > 1e-12 * w->eigen[ica->parts - 1]))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "components: the data have no variance in %d directions (%g of the most in the last): ask for fewer",
                        ica->parts, w->eigen[0] / w->eigen[ica->parts - 1]);
    ebb_par_for(ctx->threads, ica->parts, whiten_row, w);
    return EBB_OK;
}

/* ---- the rotation ----------------------------------------------------------------------------------------------------------- */

/* gram <- a b^T, all (n,n). */
static void times_transposed(const double *a, const double *b, int n, double *gram)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < n; k++)
                sum += a[i * n + k] * b[j * n + k];
            gram[i * n + j] = sum;
        }
}

/* next <- (next next^T)^(-1/2) next: gram = V E V^T, so that is sum over e of v_e v_e^T next / sqrt(E_e). */
static ebb_status decorrelate(ebb_context *ctx, work *w)
{
    int n = w->ica->parts;
    double *eigen = w->eigen;
    times_transposed(w->next, w->next, n, w->gram);
    lapack_int info = LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', n, w->gram, n, eigen);
    if (info != 0 || !(eigen[0] > 0))
        return ebb_fail(ctx, EBB_E_NUMERIC, "components that fall together: LAPACK's dsyev says %d", (int)info);
    for (int e = 0; e < n; e++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int i = 0; i < n; i++)
                sum += w->gram[i * n + e] * w->next[i * n + j];
            w->room[e * n + j] = sum / sqrt(eigen[e]);
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int e = 0; e < n; e++)
                sum += w->gram[i * n + e] * w->room[e * n + j];
            w->next[i * n + j] = sum;
        }
    return EBB_OK;
}

/* s <- w.z of component k, all samples. */
static void source_row(const ebb_ica *ica, int64_t k)
{
    double *s = ica->source + k * ica->n;
    memset(s, 0, (size_t)ica->n * sizeof *s);
    for (int64_t j = 0; j < ica->parts; j++) {
        const double *z = ica->white + j * ica->n;
        double factor = ica->unmix[k * ica->parts + j];
        for (int64_t i = 0; i < ica->n; i++)
            s[i] += factor * z[i];
    }
}

static void sources_row(void *self, int64_t k, int worker)
{
    const work *w = self;
    (void)worker;
    source_row(w->ica, k);
}

static void step_row(void *self, int64_t k, int worker)
{
    const work *w = self;
    const ebb_ica *ica = w->ica;
    double *s = ica->source + k * ica->n, slope = 0;
    (void)worker;
    source_row(ica, k);
    for (int64_t i = 0; i < ica->n; i++) {
        s[i] = tanh(s[i]);
        slope += 1 - s[i] * s[i];
    }
    for (int64_t j = 0; j < ica->parts; j++) {
        const double *z = ica->white + j * ica->n;
        double sum = 0;
        for (int64_t i = 0; i < ica->n; i++)
            sum += s[i] * z[i];
        w->next[k * ica->parts + j] = (sum - slope * ica->unmix[k * ica->parts + j]) / (double)ica->n;
    }
}

static ebb_status rotate(ebb_context *ctx, work *w, const ebb_ica_options *o)
{
    ebb_ica *ica = w->ica;
    int n = ica->parts;
    size_t bytes = (size_t)n * (size_t)n * sizeof *w->next;
    for (int i = 0; i < n * n; i++) {
        ebb_rng_at at = {.seed = o->seed, .stream = EBB_STREAM_EVAL, .sample = (uint32_t)i};
        w->next[i] = ebb_rng_uniform(&at, 0) - 0.5;
    }
    EBB_TRY(decorrelate(ctx, w));
    memcpy(ica->unmix, w->next, bytes);
    for (ica->steps = 0, ica->change = 1; ica->steps < o->steps && ica->change >= o->tolerance; ica->steps++) {
        ebb_par_for(ctx->threads, n, step_row, w);
        EBB_TRY(decorrelate(ctx, w));
        double least = 1;
        for (int i = 0; i < n; i++) {
            double same = 0;
            for (int j = 0; j < n; j++)
                same += w->next[i * n + j] * ica->unmix[i * n + j];
            least = fmin(least, fabs(same));
        }
        ica->change = 1 - least;
        memcpy(ica->unmix, w->next, bytes);
    }
    ebb_par_for(ctx->threads, n, sources_row, w);
    return EBB_OK;
}

/* A = E D^(1/2) W^T = (K^T D) W^T. */
static void find_mix(work *w, const double *eigen)
{
    ebb_ica *ica = w->ica;
    for (int64_t d = 0; d < ica->dim; d++)
        for (int k = 0; k < ica->parts; k++) {
            double sum = 0;
            for (int j = 0; j < ica->parts; j++)
                sum += ica->whiten[j * ica->dim + d] * eigen[j] * ica->unmix[k * ica->parts + j];
            ica->mix[d * ica->parts + k] = sum;
        }
}

/* ---- making ------------------------------------------------------------------------------------------------------------------ */

static ebb_status run(ebb_context *ctx, work *w, const ebb_ica_options *o, double *variance)
{
    EBB_TRY(whiten(ctx, w));
    memcpy(variance, w->eigen, (size_t)w->ica->parts * sizeof *variance);
    EBB_TRY(rotate(ctx, w, o));
    find_mix(w, variance);
    return EBB_OK;
}

ebb_status ebb_ica_create(ebb_context *ctx, const float *x, int64_t n, int dim, const ebb_ica_options *o, ebb_ica *out)
{
    *out = (ebb_ica){.n = n, .dim = dim, .parts = o->parts};
    if (o->parts < 1 || o->parts > dim || o->parts >= n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%d components of %lld samples of %d numbers: 1 to %lld are possible", o->parts,
                        (long long)n, dim, (long long)(n - 1 < dim ? n - 1 : dim));
    for (int64_t i = 0; i < n * dim; i++)
        if (!isfinite(x[i]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "components: sample %lld is not finite", (long long)(i / dim));
    size_t d = (size_t)dim, k = (size_t)o->parts, all = (size_t)n;
    double *room = NULL;
    EBB_TRY(ebb_alloc(ctx, (void **)&out->mean, d + k * d + k * k + d * k + 2 * k * all, sizeof(double), "components"));
    out->whiten = out->mean + d;
    out->unmix = out->whiten + k * d;
    out->mix = out->unmix + k * k;
    out->white = out->mix + d * k;
    out->source = out->white + k * all;
    ebb_status status = ebb_alloc(ctx, (void **)&room, d * d + 2 * k + d * k + 3 * k * k, sizeof *room, "components");
    if (status == EBB_OK) {
        work w = {.x = x, .ica = out, .covariance = room, .eigen = room + d * d, .axes = room + d * d + 2 * k};
        w.next = w.axes + d * k;
        w.gram = w.next + k * k;
        w.room = w.gram + k * k;
        status = run(ctx, &w, o, w.eigen + k);
        ebb_free(room);
    }
    if (status != EBB_OK)
        ebb_ica_free(out);
    return status;
}

void ebb_ica_free(ebb_ica *ica)
{
    ebb_free(ica->mean);
    *ica = (ebb_ica){0};
}

/* ---- figures ----------------------------------------------------------------------------------------------------------------- */

static double off_identity(const double *rows, int n, int64_t length, double scale)
{
    double worst = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t k = 0; k < length; k++)
                sum += rows[i * length + k] * rows[j * length + k];
            worst = fmax(worst, fabs(sum * scale - (i == j)));
        }
    return worst;
}

double ebb_ica_whiteness(const ebb_ica *ica)
{
    return off_identity(ica->white, ica->parts, ica->n, 1 / (double)ica->n);
}

double ebb_ica_orthonormality(const ebb_ica *ica)
{
    return off_identity(ica->unmix, ica->parts, ica->parts, 1);
}

double ebb_kurtosis(const double *s, int64_t n)
{
    double mean = 0, second = 0, fourth = 0;
    for (int64_t i = 0; i < n; i++)
        mean += s[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double square = (s[i] - mean) * (s[i] - mean);
        second += square / (double)n;
        fourth += square * square / (double)n;
    }
    return fourth / (second * second) - 3;
}

double ebb_amari_index(const double *p, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double row = 0, column = 0, row_most = 0, column_most = 0;
        for (int j = 0; j < n; j++) {
            row += fabs(p[i * n + j]);
            column += fabs(p[j * n + i]);
            row_most = fmax(row_most, fabs(p[i * n + j]));
            column_most = fmax(column_most, fabs(p[j * n + i]));
        }
        sum += row / row_most - 1 + column / column_most - 1;
    }
    return sum / (2.0 * n * (n - 1));
}
