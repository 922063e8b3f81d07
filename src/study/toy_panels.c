/* toy_panels.c: Langevin dynamics between two modes, which does not mix.
 *
 * All particles start in one mode. The law approaches stationarity like exp(-gap T), so that by time T about
 *   (1 - exp(-gap T))/2
 * of them have crossed to the other mode. The gap, that of Langevin's generator, falls exponentially with the squared distance of
 * the modes (the barrier is a^2/(2 s^2)): at separation 5 (s 0.5) three panels T = 0.1, 1, 10 look all the same.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diffusion/fokker_planck.h"
#include "study/toy.h"

#define STEP 0.01                /* of time */
#define PANELS 3
#define POINTS 2001              /* that the gap is found on */
static const double times[PANELS] = {0.1, 1, 10};

static ebb_status find_gap(ebb_toy_job *t, double *gap)
{
    ebb_fokker_planck f;
    ebb_line line;
    EBB_TRY(ebb_line_create(t->ctx, &t->law, NULL, &line));
    double lo = line.lo, hi = line.lo + line.step * (line.points - 1);
    ebb_line_free(&line);
    /* Six of the nine standard deviations that the line reaches: beyond, densities underflow and nothing happens. */
    EBB_TRY(ebb_fokker_planck_create(t->ctx, POINTS, lo + 3 * sqrt(t->law.cov[0]), hi - 3 * sqrt(t->law.cov[0]), &f));
    *gap = ebb_langevin_gap(&f, &t->law, 1, 0);
    ebb_fokker_planck_free(&f);
    return EBB_OK;
}

/* Share of particles beyond the middle between the modes. */
static double crossed(const ebb_toy_job *t, const double *x, int64_t n)
{
    double middle = (t->law.mean[0] + t->law.mean[1]) / 2, count = 0;
    bool rises = t->law.mean[1] > t->law.mean[0];
    for (int64_t i = 0; i < n; i++)
        count += (x[i] > middle) == rises;
    return count / (double)n;
}

static ebb_status panel(ebb_toy_job *t, const double *start, double gap, double time, double *x, json_t *rows, char title[80])
{
    char sampler[80];
    snprintf(sampler, sizeof sampler, "langevin:h=%g", STEP);
    ebb_toy_walk w = {.sampler = sampler, .steps = (int)lround(time / STEP), .n = t->o.n, .start = start, .x = x};
    EBB_TRY(ebb_toy_prepare(t, &w));
    ebb_status status = ebb_toy_run(t, &w);
    ebb_grid_free(&w.levels);
    EBB_TRY(status);
    double got = crossed(t, x, t->o.n), want = (1 - exp(-gap * time)) / 2, before = crossed(t, start, t->o.n);
    json_array_append_new(rows, json_pack("{s:f, s:i, s:f, s:f, s:f, s:f}", "T", time, "steps", w.steps, "crossed", got, "expected", want,
                                          "error", sqrt(fmax(want * (1 - want), 1.0 / (double)t->o.n) / (double)t->o.n),
                                          "at_start", before));
    snprintf(title, 80, "T = %g: %.2f%% crossed", time, 100 * got);
    return EBB_OK;
}

ebb_status ebb_toy_panels(ebb_toy_job *t, json_t **out)
{
    double *x, gap;
    char title[PANELS][80];
    const char *titles[PANELS];
    ebb_target one;
    json_t *rows = json_array();
    json_object_set_new(*out, "rows", rows);
    if (t->law.dim != 1 || t->law.parts != 2 || t->o.label != EBB_LABEL_NONE)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "panels are of two modes on a line, as two-modes:separation=5");
    if (t->o.sampler != NULL || t->o.steps > 0 || t->o.grid != NULL)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "panels are of plain Langevin dynamics in steps of %g: leave sampler, grid and steps away", STEP);
    EBB_TRY(find_gap(t, &gap));
    EBB_TRY(ebb_target_class(t->ctx, &t->law, t->law.label[0], &one));
    size_t n = (size_t)t->o.n;
    ebb_status status = ebb_alloc(t->ctx, (void **)&x, (PANELS + 1) * n, sizeof *x, "particles");
    if (status == EBB_OK) {
        ebb_target_sample(&one, t->o.seed, 0, t->o.n, x, NULL);
        t->doing = "Langevin dynamics";
        for (int k = 0; k < PANELS && status == EBB_OK; k++) {
            status = panel(t, x, gap, times[k], x + (size_t)(k + 1) * n, rows, title[k]);
            titles[k] = title[k];
        }
        json_object_set_new(*out, "gap", json_real(gap));
        json_object_set_new(*out, "samples", json_integer(t->o.n));
        if (status == EBB_OK && t->o.picture != NULL)
            status = ebb_toy_panel_picture(t, &t->law, x + n, t->o.n, PANELS, titles);
        ebb_free(x);
    }
    ebb_target_free(&one);
    return status;
}
