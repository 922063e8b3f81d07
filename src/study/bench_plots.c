/* bench_plots.c: nfe.png and seconds.png: a metric by its cost, what is on the front in colour (bench.h).
 */
#include <stdio.h>

#include "eval/plot.h"
#include "study/bench.h"

enum { WIDTH = 760, HEIGHT = 560, LEFT = 140, TOP = 60, LEGEND = 420, BELOW = 90, LINE = 26 };

/* One line of the legend beside the frame; what finds no room there is left out. */
static void name_line(ebb_canvas *canvas, const ebb_axes *a, int *row, ebb_colour colour, const char *text)
{
    if (a->y + LINE * (*row + 1) > a->y + a->height)
        return;
    ebb_canvas_box(canvas, a->x + a->width + 25, a->y + LINE * *row + 4, 22, 6, colour, 1);
    ebb_canvas_text(canvas, a->x + a->width + 56, a->y + LINE * (*row)++, 2, EBB_PLOT_INK, text, false);
}

/* A line across the whole frame. */
static void draw_level(ebb_canvas *canvas, const ebb_axes *a, int *row, double level, ebb_colour colour, const char *text)
{
    if (!(level > 0))
        return;
    ebb_plot_curve(canvas, a, (double[]){a->lo[0], a->hi[0]}, (double[]){level, level}, 2, 1.5, colour, false);
    name_line(canvas, a, row, colour, text);
}

static void draw_curves(ebb_canvas *canvas, const json_t *results, const char *cost, const ebb_axes *a, bool front, int *row)
{
    ebb_bench_curve c;
    char text[200];
    size_t n = json_array_size(json_object_get(results, "cells"));
    for (size_t i = 0, drawn = 0; i < n; i++) {
        ebb_bench_curve_from(results, cost, i, &c);
        if (c.n == 0 || c.front != front)
            continue;
        ebb_colour colour = front ? ebb_plot_colour((int)drawn++) : EBB_PLOT_GREY;
        ebb_plot_curve(canvas, a, c.x, c.y, c.n, front ? 3 : 1.5, colour, true);
        snprintf(text, sizeof text, "%.20s, %.12s", ebb_bench_text(c.of, "sampler"), ebb_bench_text(c.of, "grid"));
        if (front)
            name_line(canvas, a, row, colour, text);
    }
}

static ebb_status plot(ebb_bench_job *b, const json_t *results, const char *cost, const char *label, const char *file)
{
    char path[EBB_BENCH_PATH];
    ebb_canvas canvas;
    ebb_bench_range r;
    int row = 0;
    if (!ebb_bench_range_of(results, cost, &r))
        return EBB_OK;
    ebb_axes a = {.x = LEFT, .y = TOP, .width = WIDTH, .height = HEIGHT, .lo = {r.lo[0], r.lo[1]}, .hi = {r.hi[0], r.hi[1]},
                  .log = {true, true}, .label = {label, ebb_bench_text(results, "metric")}, .title = ebb_bench_text(results, "what")};
    EBB_TRY(ebb_bench_path(b, file, path));
    EBB_TRY(ebb_canvas_create(b->ctx, LEFT + WIDTH + LEGEND, TOP + HEIGHT + BELOW, &canvas));
    draw_level(&canvas, &a, &row, ebb_bench_reference(results), EBB_PLOT_INK, "reference");
    draw_level(&canvas, &a, &row, ebb_bench_floor(results), EBB_PLOT_RED, "as many real samples");
    draw_curves(&canvas, results, cost, &a, false, &row);
    draw_curves(&canvas, results, cost, &a, true, &row);
    ebb_plot_axes(&canvas, &a);
    ebb_status status = ebb_canvas_write(b->ctx, path, &canvas);
    ebb_canvas_free(&canvas);
    return status;
}

ebb_status ebb_bench_plots(ebb_bench_job *b, const json_t *results)
{
    EBB_TRY(plot(b, results, "nfe", "evaluations of the network", "nfe.png"));
    return plot(b, results, "seconds", "seconds a sample", "seconds.png");
}
