/* eval_chart.c: the metrics of ebb_eval drawn: a bar and its interval each, on a scale of its own, and the floor as a line across.
 */
#include <math.h>
#include <stdio.h>

#include "eval/plot.h"
#include "study/eval.h"

enum { LEFT = 260, WIDTH = 520, RIGHT = 400, TOP = 90, ROW = 56, BAR = 22, BELOW = 30 };

static double place(double lo, double hi, double value)
{
    return LEFT + WIDTH * (value - lo) / (hi - lo);
}

static double larger(double a, double b)
{
    return isnan(b) ? a : fmax(a, b);
}

static double smaller(double a, double b)
{
    return isnan(b) ? a : fmin(a, b);
}

static void draw_row(ebb_canvas *c, int y, ebb_metric m, const ebb_measure *found, const ebb_measure *floor)
{
    double lo = smaller(smaller(smaller(0, found->low), floor->low), found->value), hi = 0;
    hi = larger(larger(larger(larger(hi, found->value), found->high), floor->value), floor->high);
    hi = hi > lo ? lo + 1.05 * (hi - lo) : lo + 1;
    int zero = (int)place(lo, hi, 0), end = (int)place(lo, hi, found->value), middle = y + BAR / 2;
    char text[120];
    ebb_canvas_text(c, 20, y + 4, 2, EBB_PLOT_INK, ebb_metric_name(m), false);
    ebb_canvas_box(c, LEFT, y - 6, WIDTH, BAR + 12, EBB_PLOT_GREY, 0.15);
    if (!isnan(floor->low))
        ebb_canvas_box(c, (int)place(lo, hi, floor->low), y - 6, (int)(place(lo, hi, floor->high) - place(lo, hi, floor->low)) + 1, BAR + 12,
                       EBB_PLOT_RED, 0.2);
    ebb_canvas_box(c, zero < end ? zero : end, y, zero < end ? end - zero : zero - end, BAR, EBB_PLOT_BLUE, 0.8);
    if (!isnan(found->low))
        ebb_canvas_line(c, place(lo, hi, found->low), middle, place(lo, hi, found->high), middle, 2, EBB_PLOT_INK, 1);
    if (!isnan(floor->value))
        ebb_canvas_line(c, place(lo, hi, floor->value), y - 6, place(lo, hi, floor->value), y + BAR + 6, 3, EBB_PLOT_RED, 1);
    if (isnan(floor->value))
        snprintf(text, sizeof text, "%.4g", found->value);
    else
        snprintf(text, sizeof text, "%.4g  floor %.4g", found->value, floor->value);
    ebb_canvas_text(c, LEFT + WIDTH + 20, y + 4, 2, EBB_PLOT_INK, text, false);
}

static void draw_head(ebb_canvas *c, const ebb_eval_job *j)
{
    char text[160];
    snprintf(text, sizeof text, "%lld %s beside %lld of the data", (long long)j->n, j->model != NULL ? "samples" : "pictures",
             (long long)ebb_quality_reference_count(j->quality));
    ebb_canvas_text(c, 20, 20, 2, EBB_PLOT_INK, text, false);
    ebb_canvas_box(c, 20, 52, 22, 12, EBB_PLOT_BLUE, 0.8);
    ebb_canvas_text(c, 52, 50, 2, EBB_PLOT_INK, "value, 90%", false);
    ebb_canvas_box(c, LEFT, 52, 22, 12, EBB_PLOT_RED, 1);
    snprintf(text, sizeof text, "floor: groups of %lld others of the data, 90%%", (long long)ebb_quality_floor_count(j->quality));
    ebb_canvas_text(c, LEFT + 32, 50, 2, EBB_PLOT_INK, text, false);
}

ebb_status ebb_eval_chart(const ebb_eval_job *j, const char *path)
{
    const ebb_measure *floor = ebb_quality_floor(j->quality);
    int rows = 0;
    ebb_canvas c;
    for (int m = 0; m < EBB_METRICS; m++)
        rows += !isnan(j->found[m].value);
    EBB_TRY(ebb_canvas_create(j->ctx, LEFT + WIDTH + RIGHT, TOP + rows * ROW + BELOW, &c));
    draw_head(&c, j);
    for (int m = 0, row = 0; m < EBB_METRICS; m++)
        if (!isnan(j->found[m].value))
            draw_row(&c, TOP + ROW * row++, (ebb_metric)m, &j->found[m], &floor[m]);
    ebb_status status = ebb_canvas_write(j->ctx, path, &c);
    ebb_canvas_free(&c);
    return status;
}
