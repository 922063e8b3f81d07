/* plot.h: figures: frames with axes, curves, bars, points, maps and contours of a density, legends.
 *
 *     ebb_axes a = {.x = 70, .y = 50, .width = 500, .height = 400, .lo = {-2, 0}, .hi = {2, 1}, .title = "...", ...};
 *     ebb_plot_points(&canvas, &a, x, n, 1.5, 0x1f77b4, 0.5);
 *     ebb_plot_axes(&canvas, &a);            (last: the frame over what it frames)
 */
#ifndef EBB_PLOT_H
#define EBB_PLOT_H

#include "diffusion/target.h"
#include "format/canvas.h"

typedef struct ebb_axes {
    int x, y, width, height;     /* the frame, in pixels */
    double lo[2], hi[2];         /* of both coordinates; logarithmic ones above 0 */
    bool log[2];
    const char *title, *label[2];    /* NULL: none */
} ebb_axes;

enum { EBB_PLOT_BLUE = 0x1f5fa8, EBB_PLOT_RED = 0xc8421c, EBB_PLOT_INK = 0x202020, EBB_PLOT_GREY = 0xb0b0b0 };
/* Twenty colours that can be told apart, in turn. */
ebb_colour ebb_plot_colour(int i);

/* Frame, ticks at round numbers, labels. */
void ebb_plot_axes(ebb_canvas *c, const ebb_axes *a);
/* Pixel of a point. */
void ebb_plot_pixel(const ebb_axes *a, double x, double y, double at[2]);
/* x (n,2), those within the frame. */
void ebb_plot_points(ebb_canvas *c, const ebb_axes *a, const double *x, int64_t n, double radius, ebb_colour colour, double alpha);
/* The line through (x[i], y[i]), broken where it leaves the frame; dots: also a disc at each. */
void ebb_plot_curve(ebb_canvas *c, const ebb_axes *a, const double *x, const double *y, int n, double width, ebb_colour colour,
                    bool dots);
/* Bars from 0 to y[i] between lo + i step and lo + (i+1) step. */
void ebb_plot_bars(ebb_canvas *c, const ebb_axes *a, double lo, double step, const double *y, int n, ebb_colour colour);
/* Rows of a legend in the upper right corner of the frame, one at a time from 0. */
void ebb_plot_legend(ebb_canvas *c, const ebb_axes *a, int row, ebb_colour colour, const char *text);

/* A density in the plane on side x side points in the middles of equal cells of the frame, rows from the top. */
void ebb_plot_density(const ebb_axes *a, const ebb_target *law, int side, double *density);
/* As colours, from white at 0 to dark at its maximum. */
void ebb_plot_map(ebb_canvas *c, const ebb_axes *a, const double *density, int side);
/* The line around the smallest region that holds that share of the mass. sorted: room for side*side numbers. */
void ebb_plot_contour(ebb_canvas *c, const ebb_axes *a, const double *density, int side, double share, ebb_colour colour,
                      double *sorted);

#endif
