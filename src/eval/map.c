/* map.c: densities in the plane, as colours and as contours.
 */
#include <math.h>
#include <stdlib.h>

#include "eval/plot.h"

void ebb_plot_density(const ebb_axes *a, const ebb_target *law, int side, double *density)
{
    for (int j = 0; j < side; j++)
        for (int i = 0; i < side; i++) {
            double at[2] = {a->lo[0] + (i + 0.5) / side * (a->hi[0] - a->lo[0]), a->hi[1] - (j + 0.5) / side * (a->hi[1] - a->lo[1])};
            double logp;
            ebb_target_at(law, at, 1, 0, &logp, NULL, NULL, NULL);
            density[j * side + i] = exp(logp);
        }
}

/* Between the four points around (i, j), which counts cells from the upper left middle. */
static double smooth(const double *density, int side, double i, double j)
{
    i = fmin(fmax(i, 0), side - 1.001);
    j = fmin(fmax(j, 0), side - 1.001);
    int x = (int)i, y = (int)j;
    const double *d = density + y * side + x;
    double u = i - x, v = j - y;
    return (1 - v) * ((1 - u) * d[0] + u * d[1]) + v * ((1 - u) * d[side] + u * d[side + 1]);
}

void ebb_plot_map(ebb_canvas *c, const ebb_axes *a, const double *density, int side)
{
    static const ebb_colour colours[] = {0xffffff, 0xd3e4f3, 0x8fc1de, 0x3d8dc4, 0x0d57a1, 0x08306b};
    double most = 0;
    for (int k = 0; k < side * side; k++)
        most = fmax(most, density[k]);
    for (int y = 0; y < a->height; y++)
        for (int x = 0; x < a->width; x++) {
            double value = smooth(density, side, (x + 0.5) * side / a->width - 0.5, (y + 0.5) * side / a->height - 0.5);
            /* Roots show what is thin, too. */
            ebb_canvas_blend(c, a->x + x, a->y + y, ebb_colour_between(colours, 6, sqrt(value / most)), 1);
        }
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x > y ? -1 : x < y;
}

/* The density above which that share of the mass lies. */
static double level_of(const double *density, int count, double share, double *sorted)
{
    double all = 0, sum = 0;
    for (int k = 0; k < count; k++)
        all += sorted[k] = density[k];
    qsort(sorted, (size_t)count, sizeof *sorted, descending);
    for (int k = 0; k < count; k++) {
        sum += sorted[k];
        if (sum >= share * all)
            return sorted[k];
    }
    return 0;
}

/* Marching squares: in each square of four neighbours the line crosses the edges whose ends lie on different sides. */
static void square(ebb_canvas *c, const ebb_axes *a, const double *density, int side, int i, int j, double level, ebb_colour colour)
{
    static const int corner[5][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 0}};
    double point[4][2];
    int points = 0;
    for (int e = 0; e < 4; e++) {
        double from = density[(j + corner[e][1]) * side + i + corner[e][0]] - level;
        double to = density[(j + corner[e + 1][1]) * side + i + corner[e + 1][0]] - level;
        if ((from < 0) == (to < 0))
            continue;
        double u = from / (from - to);
        point[points][0] = i + 0.5 + corner[e][0] + u * (corner[e + 1][0] - corner[e][0]);
        point[points][1] = j + 0.5 + corner[e][1] + u * (corner[e + 1][1] - corner[e][1]);
        points++;
    }
    double by_x = (double)a->width / side, by_y = (double)a->height / side;
    for (int k = 0; k + 1 < points; k += 2)
        ebb_canvas_line(c, a->x + point[k][0] * by_x, a->y + point[k][1] * by_y, a->x + point[k + 1][0] * by_x,
                        a->y + point[k + 1][1] * by_y, 1.2, colour, 0.8);
}

void ebb_plot_contour(ebb_canvas *c, const ebb_axes *a, const double *density, int side, double share, ebb_colour colour,
                      double *sorted)
{
    double level = level_of(density, side * side, share, sorted);
    for (int j = 0; j + 1 < side; j++)
        for (int i = 0; i + 1 < side; i++)
            square(c, a, density, side, i, j, level, colour);
}
