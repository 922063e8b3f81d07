/* exp_ica.c: E2: pictures are not normal: independent components of handwritten digits.
 *
 * If pictures were normal, whitening would leave nothing to find: every rotation of the whitened numbers would be as good.
 * FastICA finds directions in which digits are far from normal (strokes that most pictures lack), and before that three
 * sources that were planted, where the answer is known.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "eval/ica.h"
#include "eval/nearest.h"
#include "study/experiment_chart.h"

enum { SIDE = 7, PARTS = SIDE * SIDE, PLANTED = 3, PLANTED_N = 5000, BINS = 80, SHOWN = 4 };

/* ---- planted sources -------------------------------------------------------------------------------------------------------- */

static double uniform(int i, uint32_t k)
{
    ebb_rng_at at = {.seed = 1, .stream = EBB_STREAM_EVAL, .step = 3, .sample = (uint32_t)i};
    return ebb_rng_uniform(&at, k);
}

/* A Laplace, a uniform and one with two modes, mixed. */
static void plant(const double *mix, float *x)
{
    for (int i = 0; i < PLANTED_N; i++) {
        double u = uniform(i, 0) - 0.5;
        double s[PLANTED] = {u < 0 ? log(1 + 2 * u + 1e-12) : -log(1 - 2 * u + 1e-12), sqrt(12) * (uniform(i, 1) - 0.5),
                             (uniform(i, 2) < 0.5 ? -1 : 1) + 0.3 * (uniform(i, 3) - 0.5)};
        for (int d = 0; d < PLANTED; d++)
            x[i * PLANTED + d] = (float)(mix[d * PLANTED] * s[0] + mix[d * PLANTED + 1] * s[1] + mix[d * PLANTED + 2] * s[2]);
    }
}

static double amari_of(const ebb_ica *ica, const double *mix)
{
    double p[PLANTED * PLANTED] = {0};
    for (int i = 0; i < PLANTED; i++)
        for (int j = 0; j < PLANTED; j++)
            for (int d = 0; d < PLANTED; d++)
                for (int k = 0; k < PLANTED; k++)
                    p[i * PLANTED + k] += ica->unmix[i * PLANTED + j] * ica->whiten[j * PLANTED + d] * mix[d * PLANTED + k];
    return ebb_amari_index(p, PLANTED);
}

static ebb_status planted(ebb_trial *x)
{
    static const double mix[] = {1, 0.6, -0.4, -0.3, 1, 0.5, 0.8, -0.2, 1};
    const ebb_ica_options o = {.parts = PLANTED, .steps = 200, .tolerance = 1e-10, .seed = 1};
    float *data;
    ebb_ica ica;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&data, PLANTED_N * PLANTED, sizeof *data, "mixed sources"));
    plant(mix, data);
    ebb_status status = ebb_ica_create(x->ctx, data, PLANTED_N, PLANTED, &o, &ica);
    ebb_free(data);
    EBB_TRY(status);
    ebb_trial_expect(x, amari_of(&ica, mix), 0, 0.05, "less than 0.05", "three planted sources: Amari index");
    ebb_ica_free(&ica);
    return EBB_OK;
}

/* ---- digits ------------------------------------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* sqrt(n) times Kolmogorov's distance of a source to the normal law: 1.95 or more of one in a thousand that are normal. Sees two
 * modes as well as long tails. */
static double kolmogorov(const double *s, int64_t n, double *sorted)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        sorted[i] = s[i];
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    for (int64_t i = 0; i < n; i++) {
        double below = 0.5 * erfc(-sorted[i] / sqrt(2));
        most = fmax(most, fmax(below - (double)i / (double)n, (double)(i + 1) / (double)n - below));
    }
    return sqrt((double)n) * most;
}

static ebb_status check(ebb_trial *x, const ebb_ica *ica, double *kurtosis)
{
    double sorted[PARTS], white[PARTS], *room;
    int told = 0;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&room, (size_t)ica->n, sizeof *room, "a source"));
    for (int k = 0; k < PARTS; k++) {
        kurtosis[k] = sorted[k] = ebb_kurtosis(ica->source + k * ica->n, ica->n);
        white[k] = ebb_kurtosis(ica->white + k * ica->n, ica->n);
        told += kolmogorov(ica->source + k * ica->n, ica->n, room) >= 1.95;
    }
    ebb_free(room);
    ebb_trial_expect(x, ebb_ica_whiteness(ica), 0, 1e-8, "at most 1e-8", "digits: covariance after whitening, from 1");
    ebb_trial_expect(x, ebb_ica_orthonormality(ica), 0, 1e-8, "at most 1e-8", "digits: W W^T, from 1");
    ebb_trial_expect(x, ica->change, 0, 1e-5, "converged: less than 1e-5", "digits: change of W in step %d", ica->steps);
    ebb_trial_expect(x, told, 0.9 * PARTS, PARTS, "at least 9 of 10", "digits: components told from a normal law (Kolmogorov, 0.1%%), of %d", PARTS);
    ebb_trial_expect(x, ebb_quantile(sorted, PARTS, 0.5), 1, INFINITY, "far above 0: more than 1", "digits: median excess kurtosis");
    ebb_trial_figure(x, ebb_quantile(white, PARTS, 0.5), "", "digits: median excess kurtosis before the rotation");
    return EBB_OK;
}

/* Each pattern as a picture, grey where it is 0; its sign such that the long tail of the source is the bright one. */
static ebb_status draw_patterns(ebb_trial *x, const ebb_ica *ica, const ebb_trial_pictures *data)
{
    ebb_trial_pictures p = *data;
    p.n = PARTS;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&p.x, (size_t)(PARTS * ica->dim), sizeof *p.x, "patterns"));
    for (int k = 0; k < PARTS; k++) {
        double most = 0, skew = 0;
        for (int64_t i = 0; i < ica->n; i++)
            skew += pow(ica->source[k * ica->n + i], 3);
        for (int d = 0; d < ica->dim; d++)
            most = fmax(most, fabs(ica->mix[d * PARTS + k]));
        for (int d = 0; d < ica->dim; d++)
            p.x[k * ica->dim + d] = (float)((skew < 0 ? -1 : 1) * ica->mix[d * PARTS + k] / most);
    }
    ebb_status status = ebb_trial_grid(x, "patterns", &p, SIDE, SIDE, NULL);
    ebb_free(p.x);
    return status;
}

/* Histograms of the sources with most kurtosis beside the normal law. */
static ebb_status draw_sources(ebb_trial *x, const ebb_ica *ica, double *kurtosis)
{
    double at[BINS], share[SHOWN][BINS] = {{0}}, normal[BINS];
    char name[SHOWN][40];
    ebb_curve curve[SHOWN][2];
    ebb_chart chart[SHOWN];
    for (int i = 0; i < SHOWN; i++) {
        int best = 0;
        for (int k = 1; k < PARTS; k++)
            best = kurtosis[k] > kurtosis[best] ? k : best;
        for (int64_t j = 0; j < ica->n; j++) {
            double bin = floor((ica->source[best * ica->n + j] + 6) / 12 * BINS);
            if (bin >= 0 && bin < BINS)
                share[i][(int)bin] += BINS / 12.0 / (double)ica->n;
        }
        for (int b = 0; b < BINS; b++) {
            at[b] = -6 + 12 * (b + 0.5) / BINS;
            normal[b] = exp(-at[b] * at[b] / 2) / sqrt(2 * 3.14159265358979323846);
        }
        snprintf(name[i], sizeof name[i], "excess kurtosis %.1f", kurtosis[best]);
        kurtosis[best] = -INFINITY;
        curve[i][0] = (ebb_curve){"source", at, share[i], BINS};
        curve[i][1] = (ebb_curve){"normal law", at, normal, BINS};
        chart[i] = (ebb_chart){.title = name[i], .label = {"source", "density"}, .curve = curve[i], .curves = 2};
    }
    return ebb_trial_charts(x, "sources", chart, SHOWN);
}

ebb_status ebb_exp_ica(ebb_trial *x)
{
    ebb_ica_options o = {.parts = PARTS, .steps = (int)ebb_trial_scale(x, 1000, 20), .tolerance = 1e-5, .seed = 1};
    ebb_trial_pictures data;
    ebb_ica ica;
    double kurtosis[PARTS];
    EBB_TRY(planted(x));
    EBB_TRY(ebb_trial_training_pictures(x, 0, 0, ebb_trial_scale(x, 0, 800), &data));
    ebb_status status = ebb_trial_progress(x, "independent components", 1, 2);
    if (status == EBB_OK)
        status = ebb_ica_create(x->ctx, data.x, data.n, (int)data.numbers, &o, &ica);
    if (status == EBB_OK) {
        status = check(x, &ica, kurtosis);
        if (status == EBB_OK)
            status = draw_patterns(x, &ica, &data);
        if (status == EBB_OK)
            status = draw_sources(x, &ica, kurtosis);
        ebb_ica_free(&ica);
    }
    ebb_trial_pictures_free(&data);
    return status;
}
