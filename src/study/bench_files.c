/* bench_files.c: results as files: results.json, results.csv with a row for each cell and metric, and plots (bench.h).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval/plot.h"
#include "study/bench.h"

/* ---- results.csv ------------------------------------------------------------------------------------------------------------ */

/* A name with its settings may have commas: then it is quoted. */
static const char *quoted(const char *name, char out[EBB_BENCH_NAME + 3])
{
    bool plain = strpbrk(name, ",\"") == NULL;
    snprintf(out, EBB_BENCH_NAME + 3, plain ? "%s" : "\"%s\"", name);
    return out;
}

/* Nothing where a number is not told. */
static const char *shown(double value, char out[32])
{
    snprintf(out, 32, isfinite(value) ? "%.9g" : "", value);
    return out;
}

static ebb_status write_row(ebb_writer *w, const json_t *cell, const json_t *metric, const json_t *found)
{
    static const char *const of_found[] = {"value", "low", "high"}, *const of_cell[] = {"seconds", "per_second"};
    char line[900], name[2][EBB_BENCH_NAME + 3], text[32];
    int n = snprintf(line, sizeof line, "%s,%s,%s,%g,%d,%d,%d,%s", ebb_bench_text(cell, "role"),
                     quoted(ebb_bench_text(cell, "sampler"), name[0]), quoted(ebb_bench_text(cell, "grid"), name[1]),
                     ebb_bench_number(cell, "guidance"), (int)ebb_bench_number(cell, "budget"), (int)ebb_bench_number(cell, "steps"),
                     (int)ebb_bench_number(cell, "nfe"), ebb_bench_text(metric, "name"));
    for (int k = 0; k < 3; k++)
        n += snprintf(line + n, sizeof line - (size_t)n, ",%s", shown(ebb_bench_number(found, of_found[k]), text));
    n += snprintf(line + n, sizeof line - (size_t)n, ",%s", shown(ebb_bench_number(metric, "floor"), text));
    for (int k = 0; k < 2; k++)
        n += snprintf(line + n, sizeof line - (size_t)n, ",%s", shown(ebb_bench_number(cell, of_cell[k]), text));
    n += snprintf(line + n, sizeof line - (size_t)n, "\n");
    return ebb_writer_write(w, line, (size_t)n);
}

static ebb_status write_rows(ebb_writer *w, const json_t *results)
{
    static const char head[] = "role,sampler,grid,guidance,budget,steps,nfe,metric,value,low,high,floor,seconds,per_second\n";
    size_t i, k;
    json_t *cell, *metric;
    EBB_TRY(ebb_writer_write(w, head, strlen(head)));
    json_array_foreach (json_object_get(results, "cells"), i, cell)
        json_array_foreach (json_object_get(results, "metrics"), k, metric) {
            const json_t *found = json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(metric, "name"));
            if (found != NULL)
                EBB_TRY(write_row(w, cell, metric, found));
        }
    return EBB_OK;
}

static ebb_status write_csv(ebb_bench_job *b, const json_t *results)
{
    char path[EBB_BENCH_PATH];
    ebb_writer *w;
    EBB_TRY(ebb_bench_path(b, "results.csv", path));
    EBB_TRY(ebb_writer_open(b->ctx, path, &w));
    ebb_status status = write_rows(w, results);
    if (status == EBB_OK)
        status = ebb_writer_commit(&w);
    ebb_writer_abort(&w);
    return status;
}

/* ---- plots -------------------------------------------------------------------------------------------------------------------- */

enum { WIDTH = 760, HEIGHT = 560, LEFT = 140, TOP = 60, LEGEND = 420, BELOW = 90, CURVE = 64, LINE = 26 };

/* The metric's measurements of a sampler over a grid, in the order of its budgets. */
typedef struct curve { const json_t *of; double x[CURVE], y[CURVE]; int n; bool front; } curve;

static bool same_curve(const json_t *a, const json_t *b)
{
    return strcmp(ebb_bench_text(a, "sampler"), ebb_bench_text(b, "sampler")) == 0 &&
           strcmp(ebb_bench_text(a, "grid"), ebb_bench_text(b, "grid")) == 0 && ebb_bench_number(a, "guidance") == ebb_bench_number(b, "guidance");
}

static bool on_front(const json_t *results, const char *cost, const json_t *cell)
{
    const json_t *fronts = json_object_get(json_object_get(results, "front"), cost);
    return ebb_bench_holds(json_object_get(fronts, ebb_bench_text(results, "metric")), ebb_bench_text(cell, "key"));
}

/* The curve that begins with cell `from`; n 0: it is no first one, or nothing can be drawn. */
static void find_curve(const json_t *results, const char *cost, size_t from, curve *c)
{
    size_t i;
    json_t *cell;
    const json_t *cells = json_object_get(results, "cells"), *first = json_array_get(cells, from);
    *c = (curve){.of = first};
    json_array_foreach (cells, i, cell) {
        const json_t *found = json_object_get(json_object_get(cell, "metrics"), ebb_bench_text(results, "metric"));
        double y = ebb_bench_number(found, "value"), x = ebb_bench_cost(cell, cost);
        if (strcmp(ebb_bench_text(cell, "role"), "cell") != 0 || !same_curve(cell, first) || c->n == CURVE)
            continue;
        if (i < from) {
            c->n = 0;
            return;
        }
        if (y > 0 && x > 0) {
            c->x[c->n] = x;
            c->y[c->n++] = y;
            c->front = c->front || on_front(results, cost, cell);
        }
    }
}

static double floor_of(const json_t *results)
{
    size_t i;
    json_t *metric;
    json_array_foreach (json_object_get(results, "metrics"), i, metric)
        if (strcmp(ebb_bench_text(metric, "name"), ebb_bench_text(results, "metric")) == 0)
            return ebb_bench_number(metric, "floor");
    return NAN;
}

static void widen(ebb_axes *a, int k, double value)
{
    a->lo[k] = fmin(a->lo[k], value);
    a->hi[k] = fmax(a->hi[k], value);
}

static void draw_curves(ebb_canvas *canvas, const json_t *results, const char *cost, const ebb_axes *a, bool front)
{
    curve c;
    int row = 0;
    char text[200];
    size_t n = json_array_size(json_object_get(results, "cells"));
    for (size_t i = 0; i < n; i++) {
        find_curve(results, cost, i, &c);
        if (c.n == 0 || c.front != front)
            continue;
        ebb_colour colour = front ? ebb_plot_colour(row) : EBB_PLOT_GREY;
        ebb_plot_curve(canvas, a, c.x, c.y, c.n, front ? 3 : 1.5, colour, true);
        if (!front || a->y + LINE * row > a->y + a->height)
            continue;
        snprintf(text, sizeof text, "%.20s, %.12s", ebb_bench_text(c.of, "sampler"), ebb_bench_text(c.of, "grid"));
        ebb_canvas_box(canvas, a->x + a->width + 25, a->y + LINE * row + 4, 22, 6, colour, 1);
        ebb_canvas_text(canvas, a->x + a->width + 56, a->y + LINE * row++, 2, EBB_PLOT_INK, text, false);
    }
}

static ebb_status plot(ebb_bench_job *b, const json_t *results, const char *cost, const char *label, const char *file)
{
    char path[EBB_BENCH_PATH];
    double floor = floor_of(results), ends[2];
    ebb_canvas canvas;
    curve c;
    ebb_axes a = {.x = LEFT, .y = TOP, .width = WIDTH, .height = HEIGHT, .lo = {INFINITY, INFINITY}, .hi = {0, 0}, .log = {true, true},
                  .label = {label, ebb_bench_text(results, "metric")}, .title = ebb_bench_text(results, "what")};
    for (size_t i = 0; i < json_array_size(json_object_get(results, "cells")); i++) {
        find_curve(results, cost, i, &c);
        for (int k = 0; k < c.n; k++) {
            widen(&a, 0, c.x[k]);
            widen(&a, 1, c.y[k]);
        }
    }
    if (!isfinite(a.lo[0]))
        return EBB_OK;
    if (floor > 0)
        widen(&a, 1, floor);
    for (int k = 0; k < 2; k++) {
        a.lo[k] /= 1.25;
        a.hi[k] *= 1.25;
        ends[k] = k == 0 ? a.lo[0] : a.hi[0];
    }
    EBB_TRY(ebb_bench_path(b, file, path));
    EBB_TRY(ebb_canvas_create(b->ctx, LEFT + WIDTH + LEGEND, TOP + HEIGHT + BELOW, &canvas));
    draw_curves(&canvas, results, cost, &a, false);
    draw_curves(&canvas, results, cost, &a, true);
    if (floor > 0)
        ebb_plot_curve(&canvas, &a, ends, (double[]){floor, floor}, 2, 1.5, EBB_PLOT_RED, false);
    ebb_plot_axes(&canvas, &a);
    ebb_status status = ebb_canvas_write(b->ctx, path, &canvas);
    ebb_canvas_free(&canvas);
    return status;
}

ebb_status ebb_bench_write(ebb_bench_job *b, const json_t *results)
{
    char path[EBB_BENCH_PATH];
    EBB_TRY(ebb_bench_path(b, "results.json", path));
    EBB_TRY(ebb_json_write(b->ctx, path, results));
    EBB_TRY(write_csv(b, results));
    EBB_TRY(plot(b, results, "nfe", "evaluations of the network", "nfe.png"));
    return plot(b, results, "seconds", "seconds a sample", "seconds.png");
}
