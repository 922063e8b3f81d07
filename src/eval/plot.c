/* plot.c: frames with axes, and what lies in them.
 */
#include "eval/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCALE = 2, TICK = 6, GAP = 8, LETTER = EBB_GLYPH_H * SCALE };

ebb_colour ebb_plot_colour(int i)
{
    static const ebb_colour colours[] = {0x1f77b4, 0xd62728, 0x2ca02c, 0x9467bd, 0xff7f0e,
                                         0x17becf, 0x8c564b, 0xe377c2, 0x7f7f7f, 0xbcbd22};
    /* The next ten are darker. */
    return i / 10 % 2 == 0 ? colours[i % 10] : ebb_colour_between((ebb_colour[]){colours[i % 10], 0x000000}, 2, 0.45);
}

/* ---- coordinates ------------------------------------------------------------------------------------------------------------- */

static double share_of(const ebb_axes *a, int k, double value)
{
    if (a->log[k])
        return log(value / a->lo[k]) / log(a->hi[k] / a->lo[k]);
    return (value - a->lo[k]) / (a->hi[k] - a->lo[k]);
}

void ebb_plot_pixel(const ebb_axes *a, double x, double y, double at[2])
{
    at[0] = a->x + share_of(a, 0, x) * a->width - 0.5;
    at[1] = a->y + (1 - share_of(a, 1, y)) * a->height - 0.5;
}

static bool inside(const ebb_axes *a, const double at[2])
{
    return at[0] >= a->x - 1 && at[0] <= a->x + a->width && at[1] >= a->y - 1 && at[1] <= a->y + a->height;
}

/* ---- ticks ------------------------------------------------------------------------------------------------------------------- */

/* A step of 1, 2 or 5 times a power of ten that makes about `count` of them. */
static double round_step(double length, double count)
{
    double rough = length / count, power = pow(10, floor(log10(rough))), head = rough / power;
    return power * (head < 1.5 ? 1 : head < 3.5 ? 2 : head < 7.5 ? 5 : 10);
}

/* Returns the width of its number. */
static int tick(ebb_canvas *c, const ebb_axes *a, int k, double value)
{
    char text[32];
    double at[2];
    if (a->log[k] && (value < 3e-3 || value > 9e3))
        snprintf(text, sizeof text, "%.0fe%d", value / pow(10, floor(log10(value) + 1e-9)), (int)floor(log10(value) + 1e-9));
    else
        snprintf(text, sizeof text, "%g", value);
    int width = ebb_canvas_text_width(text, SCALE);
    ebb_plot_pixel(a, k == 0 ? value : a->lo[0], k == 1 ? value : a->lo[1], at);
    int x = (int)lround(at[0]), y = (int)lround(at[1]);
    if (k == 0) {
        ebb_canvas_box(c, x, a->y + a->height, 2, TICK, EBB_PLOT_INK, 1);
        ebb_canvas_text(c, x - width / 2 + 1, a->y + a->height + TICK + 5, SCALE, EBB_PLOT_INK, text, false);
    } else {
        ebb_canvas_box(c, a->x - TICK, y, TICK, 2, EBB_PLOT_INK, 1);
        ebb_canvas_text(c, a->x - TICK - 5 - width, y - LETTER / 2 + 1, SCALE, EBB_PLOT_INK, text, false);
    }
    return width;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* Returns the width of the widest number. */
static int ticks(ebb_canvas *c, const ebb_axes *a, int k)
{
    int widest = 0;
    if (a->log[k]) {
        int from = (int)ceil(log10(a->lo[k]) - 1e-9), to = (int)floor(log10(a->hi[k]) + 1e-9), by = (to - from) / 7 + 1;
        for (int e = from; e <= to; e += by)
            widest = larger(widest, tick(c, a, k, pow(10, e)));
        for (int m = 2; to - from < 2 && m < 6; m += 3)  /* 2 and 5 of each decade as well */
            for (int e = from - 1; e <= to; e++)
                if (m * pow(10, e) >= a->lo[k] && m * pow(10, e) <= a->hi[k])
                    widest = larger(widest, tick(c, a, k, m * pow(10, e)));
        return widest;
    }
    double step = round_step(a->hi[k] - a->lo[k], (k == 0 ? a->width : a->height) / 85.0);
    for (double i = ceil(a->lo[k] / step - 1e-9); i * step <= a->hi[k] + 1e-9 * step; i++)
        widest = larger(widest, tick(c, a, k, i == 0 ? 0 : i * step));
    return widest;
}

void ebb_plot_axes(ebb_canvas *c, const ebb_axes *a)
{
    for (int side = 0; side < 2; side++) {
        ebb_canvas_box(c, a->x - 2, a->y - 2 + side * (a->height + 2), a->width + 4, 2, EBB_PLOT_INK, 1);
        ebb_canvas_box(c, a->x - 2 + side * (a->width + 2), a->y - 2, 2, a->height + 4, EBB_PLOT_INK, 1);
    }
    ticks(c, a, 0);
    int widest = ticks(c, a, 1);
    if (a->title != NULL)
        ebb_canvas_text(c, a->x + (a->width - ebb_canvas_text_width(a->title, SCALE)) / 2, a->y - LETTER - GAP - 2, SCALE,
                        EBB_PLOT_INK, a->title, false);
    if (a->label[0] != NULL)
        ebb_canvas_text(c, a->x + (a->width - ebb_canvas_text_width(a->label[0], SCALE)) / 2,
                        a->y + a->height + TICK + LETTER + GAP + 8, SCALE, EBB_PLOT_INK, a->label[0], false);
    if (a->label[1] != NULL)
        ebb_canvas_text(c, a->x - TICK - 5 - widest - GAP - LETTER,
                        a->y + (a->height + ebb_canvas_text_width(a->label[1], SCALE)) / 2, SCALE, EBB_PLOT_INK, a->label[1],
                        true);
}

/* ---- points, curves, bars ------------------------------------------------------------------------------------------------------ */

void ebb_plot_points(ebb_canvas *c, const ebb_axes *a, const double *x, int64_t n, double radius, ebb_colour colour, double alpha)
{
    for (int64_t i = 0; i < n; i++) {
        double at[2];
        ebb_plot_pixel(a, x[2 * i], x[2 * i + 1], at);
        if (inside(a, at))
            ebb_canvas_disc(c, at[0], at[1], radius, colour, alpha);
    }
}

void ebb_plot_curve(ebb_canvas *c, const ebb_axes *a, const double *x, const double *y, int n, double width, ebb_colour colour,
                    bool dots)
{
    double before[2] = {0, 0}, at[2];
    for (int i = 0; i < n; i++) {
        ebb_plot_pixel(a, x[i], y[i], at);
        if (i > 0 && inside(a, before) && inside(a, at))
            ebb_canvas_line(c, before[0], before[1], at[0], at[1], width, colour, 1);
        if (dots && inside(a, at))
            ebb_canvas_disc(c, at[0], at[1], 2 * width, colour, 1);
        before[0] = at[0];
        before[1] = at[1];
    }
}

void ebb_plot_bars(ebb_canvas *c, const ebb_axes *a, double lo, double step, const double *y, int n, ebb_colour colour)
{
    for (int i = 0; i < n; i++) {
        double from[2], to[2];
        ebb_plot_pixel(a, lo + i * step, 0, from);
        ebb_plot_pixel(a, lo + (i + 1) * step, fmin(y[i], a->hi[1]), to);
        int left = (int)fmax(lround(from[0]), a->x), right = (int)fmin(lround(to[0]), a->x + a->width), top = (int)lround(to[1]);
        ebb_canvas_box(c, left, top, right - left, a->y + a->height - top, colour, 0.55);
    }
}

void ebb_plot_legend(ebb_canvas *c, const ebb_axes *a, int row, ebb_colour colour, const char *text)
{
    int width = ebb_canvas_text_width(text, SCALE), x = a->x + a->width - width - 12, y = a->y + 12 + row * (LETTER + 10);
    ebb_canvas_box(c, x - 34, y - 5, width + 42, LETTER + 10, 0xffffff, 0.8);
    ebb_canvas_box(c, x - 28, y + LETTER / 2 - 2, 20, 5, colour, 1);
    ebb_canvas_text(c, x, y, SCALE, EBB_PLOT_INK, text, false);
}
