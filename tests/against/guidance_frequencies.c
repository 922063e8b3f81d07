/* guidance_frequencies.c: which classes guided sampling gives: the law that is aimed at, and what the probability flow and
 * the reverse SDE make of it, on a line.
 */
#include <math.h>
#include <string.h>

#include "against/refs.h"
#include "diffusion/fokker_planck.h"
#include "diffusion/guidance.h"

#define STATIC_ATOL 1e-4         /* quadrature, and which class the points on an edge belong to */
#define FLOW_ATOL 3e-3
#define SDE_ATOL 0.01

enum { QUANTILES = 4000, FLOW_STEPS = 150, POINTS = 1200, TIMES = 500, CLASSES = 64 };

typedef struct digits {
    ebb_target all, one;
    ebb_process process;
    double sd, t_end;
    double prior;                /* of a normal law of mean 0 */
} digits;

/* The class whose mean is nearest. */
static int nearest(const digits *d, double x)
{
    int best = 0;
    for (int k = 1; k < d->all.parts; k++)
        if (fabs(x - d->all.mean[k]) < fabs(x - d->all.mean[best]))
            best = k;
    return best;
}

static void share(double *counts, int classes)
{
    double sum = 0;
    for (int k = 0; k < classes; k++)
        sum += counts[k];
    for (int k = 0; k < classes; k++)
        counts[k] /= sum;
}

/* f^-w f_c^(1+w), where its peaks can be: as far beyond the means as w leads. */
static void tilted(const digits *d, double w, double *counts)
{
    const double *mean = d->all.mean;
    double lo = mean[0], hi = mean[0], top = -INFINITY, all, one;
    for (int k = 1; k < d->all.parts; k++) {
        lo = fmin(lo, mean[k]);
        hi = fmax(hi, mean[k]);
    }
    double margin = (1 + fabs(w)) * (hi - lo) + 12 * d->sd, dx = d->sd / 200;
    for (int pass = 0; pass < 2; pass++)
        for (double x = lo - margin; x < hi + margin; x += dx) {
            ebb_target_at(&d->all, &x, 1, 0, &all, NULL, NULL, NULL);
            ebb_target_at(&d->one, &x, 1, 0, &one, NULL, NULL, NULL);
            double log_tilt = (1 + w) * one - w * all;
            if (pass == 0)
                top = fmax(top, log_tilt);
            else
                counts[nearest(d, x)] += exp(log_tilt - top);
        }
    share(counts, d->all.parts);
}

/* Quantile u of the standard normal law, by bisection. */
static double quantile(double u)
{
    double lo = -9, hi = 9;
    for (int i = 0; i < 60; i++) {
        double x = (lo + hi) / 2;
        *(0.5 * erfc(-x / sqrt(2)) < u ? &lo : &hi) = x;
    }
    return (lo + hi) / 2;
}

static void flow(refs *r, const digits *d, double w, const json_t *row, double *counts)
{
    static double x[QUANTILES];
    double mean = 0, square = 0, most = 0;
    void *work = NULL;
    ebb_target_field self = {&d->all, &d->one, w, QUANTILES};
    ebb_field field = ebb_field_of_target(&self);
    ebb_grid grid = {0};
    ebb_walk walk = {.sampler = ebb_sampler_find("heun"), .process = &d->process, .grid = &grid,
                     .field = &field, .set = ebb_settings_default(), .n = QUANTILES, .count = 1, .x = x};
    for (int i = 0; i < QUANTILES; i++)
        x[i] = d->prior * quantile((i + 0.5) / QUANTILES);
    if (ebb_grid_create(r->ctx, &d->process, "logsnr",
                        &(ebb_grid_options){.steps = FLOW_STEPS, .t_end = d->t_end, .keep_last = true}, &grid) != EBB_OK ||
        ebb_walk_check(r->ctx, &walk) != EBB_OK ||
        ebb_alloc(r->ctx, &work, ebb_walk_work(walk.sampler, QUANTILES, 1), sizeof(double), "a walk") != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        ebb_grid_free(&grid);
        return;
    }
    walk.work = work;
    walk.sampler->run(&walk);
    for (int i = 0; i < QUANTILES; i++) {
        counts[nearest(d, x[i])]++;
        mean += x[i] / QUANTILES;
        square += x[i] * x[i] / QUANTILES;
        most = fmax(most, fabs(x[i]));
    }
    share(counts, d->all.parts);
    double range = fmax(1, refs_number(r, row, "ode_absmax"));
    refs_near(r, "ode_mean", 0, mean, refs_number(r, row, "ode_mean"), 0, FLOW_ATOL * range);
    refs_near(r, "ode_sd", 0, sqrt(square - mean * mean), refs_number(r, row, "ode_sd"), 0, FLOW_ATOL * range);
    refs_near(r, "ode_absmax", 0, most, range, FLOW_ATOL, 0);
    ebb_free(work);
    ebb_grid_free(&grid);
}

static void diffused(refs *r, const digits *d, double w, const json_t *row, double *counts)
{
    static double t[TIMES + 1];
    ebb_fokker_planck f;
    ebb_target_field self = {&d->all, &d->one, w, POINTS - 1};
    ebb_field field = ebb_field_of_target(&self);
    double lo = 0, hi = 0, one = 1, zero = 0, var = d->prior * d->prior, mass = 0;
    ebb_target prior;
    void *levels = NULL;
    for (int k = 0; k < d->all.parts; k++) {
        lo = fmin(lo, d->all.mean[k]);
        hi = fmax(hi, d->all.mean[k]);
    }
    for (int i = 0; i <= TIMES; i++) {
        double u = 1 + (double)i / TIMES * (sqrt(d->t_end) - 1);
        t[i] = u * u;
    }
    if (ebb_fokker_planck_create(r->ctx, POINTS, lo - 4, hi + 4, &f) != EBB_OK ||
        ebb_target_create(r->ctx, 1, 1, &one, &zero, &var, NULL, &prior) != EBB_OK ||
        ebb_alloc(r->ctx, &levels, POINTS, sizeof(ebb_level), "levels") != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    ebb_fokker_planck_start(&f, &prior, 1, 0);
    ebb_fokker_planck_reverse(&f, &d->process, &field, 1, t, TIMES, levels);
    for (int k = 0; k < POINTS; k++) {
        counts[nearest(d, f.lo + k * f.dx)] += f.p[k];
        mass += f.p[k] * f.dx;
    }
    share(counts, d->all.parts);
    refs_near(r, "fp_mass", 0, mass, refs_number(r, row, "fp_mass"), 0, 1e-9);
    ebb_free(levels);
    ebb_target_free(&prior);
    ebb_fokker_planck_free(&f);
}

static void check_row(refs *r, const digits *d, const json_t *row)
{
    double w = ebb_guidance_w(EBB_GUIDANCE_W, refs_number(r, row, "gamma")), counts[3][CLASSES] = {{0}};
    size_t classes = (size_t)d->all.parts;
    tilted(d, w, counts[0]);
    flow(r, d, w, row, counts[1]);
    diffused(r, d, w, row, counts[2]);
    refs_near_all(r, "static_tilted_density", counts[0], classes, refs_get(r, row, "static_tilted_density"), 0, STATIC_ATOL);
    refs_near_all(r, "guided_pf_ode", counts[1], classes, refs_get(r, row, "guided_pf_ode"), 0, FLOW_ATOL);
    refs_near_all(r, "guided_reverse_sde_fokker_planck", counts[2], classes,
                  refs_get(r, row, "guided_reverse_sde_fokker_planck"), 0, SDE_ATOL);
}

static bool read_digits(refs *r, digits *d)
{
    size_t classes;
    double *mean = refs_numbers(r, refs_claim(r, "means"), &classes), weight[CLASSES], var[CLASSES];
    d->sd = refs_value(refs_claim(r, "sd"));
    d->t_end = refs_value(refs_claim(r, "t_end"));
    refs_claim_note(r, "prior");
    refs_claim_note(r, "gammas");
    refs_claim_note(r, "classify");
    for (size_t k = 0; k < CLASSES; k++) {
        weight[k] = refs_value(json_object_get(r->root, "weights"));
        var[k] = d->sd * d->sd;
    }
    refs_claim_note(r, "weights");
    int label = (int)refs_value(refs_claim(r, "cls"));
    bool fine = classes <= CLASSES && refs_process(r, refs_claim(r, "sde"), 0, &d->process);
    if (fine && ebb_target_create(r->ctx, (int)classes, 1, weight, mean, var, NULL, &d->all) != EBB_OK)
        fine = false;
    if (fine && ebb_target_class(r->ctx, &d->all, label, &d->one) != EBB_OK) {
        ebb_target_free(&d->all);
        fine = false;
    }
    if (!fine)
        refs_fail(r, "its classes cannot be read: %s", ebb_message(r->ctx));
    ebb_free(mean);
    d->prior = fine ? ebb_process_prior_std(&d->process) : 1;
    return fine;
}

void refs_guidance_frequencies(refs *r)
{
    digits d;
    size_t i;
    json_t *row;
    if (!read_digits(r, &d))
        return;
    json_array_foreach (refs_claim(r, "rows"), i, row) {
        refs_entry(r, "rows");
        check_row(r, &d, row);
    }
    ebb_target_free(&d.one);
    ebb_target_free(&d.all);
    ebb_process_free(&d.process);
}
