/* experiment_chart.c: charts side by side in one picture.
 */
#include "study/experiment_chart.h"

#include <math.h>

enum { WIDTH = 520, HEIGHT = 420, LEFT = 120, TOP = 60, BETWEEN = 120, BELOW = 90, RIGHT = 40 };

static bool fits(const ebb_chart *c, int k, double value)
{
    return isfinite(value) && (!c->log[k] || value > 0);
}

/* From the least to the largest value and a little more; room for the legend at the top. */
static void find_range(const ebb_chart *c, int k, ebb_axes *a)
{
    double lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < c->curves; i++)
        for (int j = 0; j < c->curve[i].n; j++) {
            double value = k == 0 ? c->curve[i].x[j] : c->curve[i].y[j];
            lo = fits(c, k, value) ? fmin(lo, value) : lo;
            hi = fits(c, k, value) ? fmax(hi, value) : hi;
        }
    if (!isfinite(lo))
        lo = c->log[k] ? 0.1 : 0, hi = 1;
    double above = k == 1 ? 0.08 + 0.075 * c->curves : 0.04;
    if (c->log[k]) {
        double length = fmax(log(hi / lo), 0.1);
        a->lo[k] = lo * exp(-0.05 * length);
        a->hi[k] = hi * exp(above * length);
    } else {
        double length = hi > lo ? hi - lo : fmax(fabs(hi), 1);
        a->lo[k] = lo - 0.05 * length;
        a->hi[k] = hi + above * length;
    }
}

static void find_bar_range(const ebb_chart *c, ebb_axes *a)
{
    a->lo[0] = -0.7;
    a->hi[0] = 0;
    a->lo[1] = a->hi[1] = 0;
    for (int i = 0; i < c->curves; i++) {
        a->hi[0] = fmax(a->hi[0], c->curve[i].n - 0.3);
        for (int j = 0; j < c->curve[i].n; j++)
            a->hi[1] = fmax(a->hi[1], (1.1 + 0.075 * c->curves) * c->curve[i].y[j]);
    }
    a->hi[1] = a->hi[1] > 0 ? a->hi[1] : 1;
}

/* Bar i of the group j: the groups are 0.8 wide. */
static void draw_bars(ebb_canvas *canvas, const ebb_axes *a, const ebb_chart *c)
{
    double width = 0.8 / c->curves;
    for (int i = 0; i < c->curves; i++)
        for (int j = 0; j < c->curve[i].n; j++)
            ebb_plot_bars(canvas, a, j - 0.4 + i * width, width, &c->curve[i].y[j], 1, ebb_plot_colour(i));
}

static void draw(ebb_canvas *canvas, const ebb_chart *c, int index)
{
    ebb_axes a = {.x = LEFT + index * (WIDTH + BETWEEN), .y = TOP, .width = WIDTH, .height = HEIGHT, .title = c->title,
                  .label = {c->label[0], c->label[1]}, .log = {c->log[0], c->log[1]}};
    if (c->bars)
        find_bar_range(c, &a);
    for (int k = 0; k < 2; k++) {
        bool given = c->lo[k] != 0 || c->hi[k] != 0;
        if (!given && !c->bars)
            find_range(c, k, &a);
        if (given) {
            a.lo[k] = c->lo[k];
            a.hi[k] = c->hi[k];
        }
    }
    if (c->bars)
        draw_bars(canvas, &a, c);
    for (int i = 0; i < c->curves; i++) {
        if (!c->bars)
            ebb_plot_curve(canvas, &a, c->curve[i].x, c->curve[i].y, c->curve[i].n, 2.5, ebb_plot_colour(i), c->dots);
        if (c->curve[i].name != NULL)
            ebb_plot_legend(canvas, &a, i, ebb_plot_colour(i), c->curve[i].name);
    }
    ebb_plot_axes(canvas, &a);
}

ebb_status ebb_trial_charts(ebb_trial *x, const char *suffix, const ebb_chart *charts, int count)
{
    char path[EBB_TRIAL_PATH];
    ebb_canvas canvas;
    EBB_TRY(ebb_trial_picture(x, suffix, path));
    EBB_TRY(ebb_canvas_create(x->ctx, LEFT + count * WIDTH + (count - 1) * BETWEEN + RIGHT, TOP + HEIGHT + BELOW, &canvas));
    for (int i = 0; i < count; i++)
        draw(&canvas, &charts[i], i);
    ebb_status status = ebb_canvas_write(x->ctx, path, &canvas);
    ebb_canvas_free(&canvas);
    return status;
}
