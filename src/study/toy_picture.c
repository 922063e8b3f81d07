/* toy_picture.c: figures of jobs over exact laws.
 */
#include <math.h>
#include <stdio.h>

#include "eval/plot.h"
#include "study/toy.h"

enum { SIDE = 520, GRID = 130, LEFT = 90, TOP = 70, BETWEEN = 90, SHOWN = 20000, BARS = 90, POINTS = 800 };

/* Along a direction, a little wider than the law's outer quantiles. */
static ebb_status range(ebb_toy_job *t, const ebb_target *law, const double *direction, double *lo, double *hi)
{
    ebb_line line;
    EBB_TRY(ebb_line_create(t->ctx, law, direction, &line));
    double a = ebb_line_quantile(&line, 2e-4), b = ebb_line_quantile(&line, 1 - 2e-4);
    ebb_line_free(&line);
    *lo = a - 0.08 * (b - a);
    *hi = b + 0.08 * (b - a);
    return EBB_OK;
}

/* ---- the plane --------------------------------------------------------------------------------------------------------------- */

/* A square with both coordinates at one scale, and room for the legend above. */
static ebb_status frame(ebb_toy_job *t, ebb_axes *a)
{
    double half = 0;
    *a = (ebb_axes){.x = LEFT, .y = TOP, .width = SIDE, .height = SIDE, .label = {"x1", "x2"}};
    for (int k = 0; k < 2; k++) {
        EBB_TRY(range(t, &t->law, (double[]){k == 0, k == 1}, &a->lo[k], &a->hi[k]));
        half = fmax(half, (a->hi[k] - a->lo[k]) / 2);
    }
    for (int k = 0; k < 2; k++) {
        double middle = (a->lo[k] + a->hi[k]) / 2;
        a->lo[k] = middle - (k == 0 ? 1.1 : 1) * half;
        a->hi[k] = middle + (k == 0 ? 1.1 : 1.2) * half;
    }
    return EBB_OK;
}

static void draw_plane(const ebb_toy_job *t, ebb_canvas *c, ebb_axes a, const double *x, int64_t n, const char *title,
                       const char *note, double *density)
{
    static const double shares[] = {0.5, 0.95};
    char law[160];
    ebb_plot_density(&a, t->aim, GRID, density);
    int64_t shown = n < SHOWN ? n : SHOWN;
    double alpha = fmin(0.9, 2500.0 / (double)shown + 0.12);
    a.title = title;
    ebb_plot_points(c, &a, x, shown, 1.6, EBB_PLOT_BLUE, alpha);
    /* Laws of many small parts are flat inside: a line of half the mass would only show ripples. */
    bool flat = t->aim->parts > 64;
    for (int k = flat; k < 2; k++)
        ebb_plot_contour(c, &a, density, GRID, shares[k], EBB_PLOT_RED, density + GRID * GRID);
    ebb_plot_legend(c, &a, 0, EBB_PLOT_BLUE, "samples");
    ebb_plot_legend(c, &a, 1, EBB_PLOT_RED, flat ? "95% of the law" : "50%, 95% of the law");
    ebb_plot_axes(c, &a);
    a.x += SIDE + BETWEEN;
    snprintf(law, sizeof law, "the law: %.50s", t->o.target);
    a.title = law;
    ebb_plot_map(c, &a, density, GRID);
    ebb_plot_axes(c, &a);
    ebb_canvas_text(c, LEFT + (2 * SIDE + BETWEEN - ebb_canvas_text_width(note, 2)) / 2, TOP + SIDE + 78, 2, EBB_PLOT_INK, note, false);
}

static ebb_status picture_of_plane(ebb_toy_job *t, const double *x, int64_t n, const char *title, const char *note)
{
    ebb_axes a;
    ebb_canvas c;
    double *density;
    EBB_TRY(frame(t, &a));
    EBB_TRY(ebb_alloc(t->ctx, (void **)&density, 2 * GRID * GRID, sizeof *density, "a density"));
    ebb_status status = ebb_canvas_create(t->ctx, LEFT + 2 * SIDE + BETWEEN + 30, TOP + SIDE + 110, &c);
    if (status == EBB_OK) {
        draw_plane(t, &c, a, x, n, title, note, density);
        status = ebb_canvas_write(t->ctx, t->o.picture, &c);
        ebb_canvas_free(&c);
    }
    ebb_free(density);
    return status;
}

/* ---- a line -------------------------------------------------------------------------------------------------------------------- */

/* Bars of samples x (n) and the density's curve; the frame's upper end fits both unless it is given. */
static void draw_line(const ebb_target *law, ebb_canvas *c, ebb_axes *a, const double *x, int64_t n, double top)
{
    double bars[BARS] = {0}, at[POINTS], density[POINTS], step = (a->hi[0] - a->lo[0]) / BARS;
    for (int64_t i = 0; i < n; i++) {
        double k = floor((x[i] - a->lo[0]) / step);
        if (k >= 0 && k < BARS)
            bars[(int)k] += 1 / ((double)n * step);
    }
    for (int k = 0; k < POINTS; k++) {
        at[k] = a->lo[0] + (a->hi[0] - a->lo[0]) * (k + 0.5) / POINTS;
        ebb_target_at(law, &at[k], 1, 0, &density[k], NULL, NULL, NULL);
        density[k] = exp(density[k]);
    }
    a->lo[1] = 0;
    a->hi[1] = top;
    for (int k = 0; top == 0 && k < POINTS; k++)
        a->hi[1] = fmax(a->hi[1], 1.15 * density[k]);
    for (int k = 0; top == 0 && k < BARS; k++)
        a->hi[1] = fmax(a->hi[1], 1.15 * bars[k]);
    ebb_plot_bars(c, a, a->lo[0], step, bars, BARS, EBB_PLOT_BLUE);
    ebb_plot_curve(c, a, at, density, POINTS, 2.5, EBB_PLOT_RED, false);
}

static ebb_status picture_of_line(ebb_toy_job *t, const double *x, int64_t n, const char *title, const char *note)
{
    ebb_axes a = {.x = 120, .y = TOP, .width = 900, .height = 460, .title = title, .label = {"x", "density"}};
    ebb_canvas c;
    EBB_TRY(range(t, &t->law, NULL, &a.lo[0], &a.hi[0]));
    EBB_TRY(ebb_canvas_create(t->ctx, a.x + a.width + 40, TOP + a.height + 110, &c));
    draw_line(t->aim, &c, &a, x, n, 0);
    ebb_plot_legend(&c, &a, 0, EBB_PLOT_BLUE, "samples");
    ebb_plot_legend(&c, &a, 1, EBB_PLOT_RED, t->aim == &t->law ? "the law" : "the class");
    ebb_plot_axes(&c, &a);
    ebb_canvas_text(&c, a.x + (a.width - ebb_canvas_text_width(note, 2)) / 2, TOP + a.height + 78, 2, EBB_PLOT_INK, note, false);
    ebb_status status = ebb_canvas_write(t->ctx, t->o.picture, &c);
    ebb_canvas_free(&c);
    return status;
}

ebb_status ebb_toy_picture(ebb_toy_job *t, const double *x, int64_t n, const char *title, const char *note)
{
    return t->law.dim == 1 ? picture_of_line(t, x, n, title, note) : picture_of_plane(t, x, n, title, note);
}

ebb_status ebb_toy_panel_picture(ebb_toy_job *t, const ebb_target *law, const double *x, int64_t n, int panels,
                                 const char *const *titles)
{
    enum { WIDTH = 420, HEIGHT = 340 };
    ebb_axes a = {.x = 110, .y = TOP, .width = WIDTH, .height = HEIGHT, .label = {"x", "density"}};
    ebb_canvas c;
    EBB_TRY(range(t, law, NULL, &a.lo[0], &a.hi[0]));
    EBB_TRY(ebb_canvas_create(t->ctx, a.x + panels * (WIDTH + 75), TOP + HEIGHT + 80, &c));
    for (int k = 0; k < panels; k++) {
        a.title = titles[k];
        draw_line(law, &c, &a, x + k * n, n, k == 0 ? 0 : a.hi[1]);
        if (k == panels - 1) {
            ebb_plot_legend(&c, &a, 0, EBB_PLOT_BLUE, "samples");
            ebb_plot_legend(&c, &a, 1, EBB_PLOT_RED, "the law");
        }
        ebb_plot_axes(&c, &a);
        a.label[1] = NULL;
        a.x += WIDTH + 75;
    }
    ebb_status status = ebb_canvas_write(t->ctx, t->o.picture, &c);
    ebb_canvas_free(&c);
    return status;
}

/* ---- small ones ------------------------------------------------------------------------------------------------------------------ */

enum { EDGE = 300, CELLS = 100, DOTS = 3000 };

static ebb_status thumbnail_of_plane(ebb_toy_job *t, ebb_canvas *c, const double *x, int64_t n)
{
    ebb_axes a;
    double *density;
    EBB_TRY(frame(t, &a));
    double half = (a.hi[0] - a.lo[0]) / 2, middle = (a.lo[1] + a.hi[1]) / 2;
    a.x = a.y = 0;
    a.width = a.height = EDGE;
    a.lo[1] = middle - half;
    a.hi[1] = middle + half;
    EBB_TRY(ebb_alloc(t->ctx, (void **)&density, 2 * CELLS * CELLS, sizeof *density, "a density"));
    ebb_plot_density(&a, t->aim, CELLS, density);
    ebb_plot_contour(c, &a, density, CELLS, 0.95, EBB_PLOT_RED, density + CELLS * CELLS);
    ebb_plot_points(c, &a, x, n < DOTS ? n : DOTS, 1.2, EBB_PLOT_BLUE, 0.6);
    ebb_free(density);
    return EBB_OK;
}

static ebb_status thumbnail_of_line(ebb_toy_job *t, ebb_canvas *c, const double *x, int64_t n)
{
    ebb_axes a = {.width = EDGE, .height = EDGE};
    EBB_TRY(range(t, &t->law, NULL, &a.lo[0], &a.hi[0]));
    draw_line(t->aim, c, &a, x, n, 0);
    return EBB_OK;
}

ebb_status ebb_toy_thumbnail(ebb_toy_job *t, const double *x, int64_t n, const char *path)
{
    ebb_canvas c;
    EBB_TRY(ebb_canvas_create(t->ctx, EDGE, EDGE, &c));
    ebb_status status = t->law.dim == 1 ? thumbnail_of_line(t, &c, x, n) : thumbnail_of_plane(t, &c, x, n);
    if (status == EBB_OK)
        status = ebb_canvas_write(t->ctx, path, &c);
    ebb_canvas_free(&c);
    return status;
}

/* ---- curves --------------------------------------------------------------------------------------------------------------------- */

static int numbers(const json_t *list, double *to, int most)
{
    int n = (int)json_array_size(list);
    for (int k = 0; k < n && k < most; k++)
        to[k] = json_number_value(json_array_get(list, (size_t)k));
    return n < most ? n : most;
}

ebb_status ebb_toy_curve_picture(ebb_toy_job *t, const json_t *rows)
{
    enum { MOST = 16 };
    ebb_axes a = {.x = 130, .y = TOP, .width = 800, .height = 640, .lo = {1e9, 1e9}, .hi = {1, 1e-16}, .log = {true, true},
                  .label = {"evaluations", "error"}};
    char title[160], text[160];
    double x[MOST], y[MOST];
    json_t *row;
    size_t i;
    ebb_canvas c;
    json_array_foreach (rows, i, row) {
        int n = numbers(json_object_get(row, "nfe"), x, MOST);
        numbers(json_object_get(row, "error"), y, MOST);
        for (int k = 0; k < n; k++) {
            a.lo[0] = fmin(a.lo[0], x[k] / 1.2);
            a.hi[0] = fmax(a.hi[0], x[k] * 1.2);
            a.lo[1] = y[k] > 1e-12 ? fmin(a.lo[1], y[k] / 2) : a.lo[1];
            a.hi[1] = fmax(a.hi[1], y[k] * 2);
        }
    }
    if (i == 0)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "no sampler has an error to draw");
    EBB_TRY(ebb_canvas_create(t->ctx, a.x + a.width + 430, TOP + (int)fmax(a.height + 90, 26 * (double)i + 60), &c));
    json_array_foreach (rows, i, row) {
        int n = numbers(json_object_get(row, "nfe"), x, MOST);
        numbers(json_object_get(row, "error"), y, MOST);
        ebb_plot_curve(&c, &a, x, y, n, 2, ebb_plot_colour((int)i), true);
        snprintf(text, sizeof text, "%.22s  %.2f", json_string_value(json_object_get(row, "sampler")),
                 json_number_value(json_object_get(row, "order")));
        ebb_canvas_box(&c, a.x + a.width + 25, TOP + 26 * (int)i + 4, 22, 6, ebb_plot_colour((int)i), 1);
        ebb_canvas_text(&c, a.x + a.width + 56, TOP + 26 * (int)i, 2, EBB_PLOT_INK, text, false);
    }
    ebb_canvas_text(&c, a.x + a.width + 25, TOP - 28, 2, EBB_PLOT_INK, "sampler, order", false);
    snprintf(title, sizeof title, "%.50s, process %s", t->o.target, ebb_process_name(t->process.kind));
    a.title = title;
    ebb_plot_axes(&c, &a);
    ebb_status status = ebb_canvas_write(t->ctx, t->o.picture, &c);
    ebb_canvas_free(&c);
    return status;
}
