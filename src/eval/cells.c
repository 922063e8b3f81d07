/* cells.c: what a mixture has in cells of a line or of the plane.
 *
 * In the plane part k has int phi(x) (Phi(y1|x) - Phi(y0|x)) dx in a cell, since y given x is normal; the integral over x by
 * Gauss's rule of 8 points, of which each cell has PIECES.
 */
#include "eval/cells.h"

#include <math.h>

#define PI 3.14159265358979323846
#define PIECES 2

static const double gauss_at[8] = {-0.9602898564975363, -0.7966664774136267, -0.5255324099163290, -0.1834346424956498,
                                   0.1834346424956498,  0.5255324099163290,  0.7966664774136267,  0.9602898564975363};
static const double gauss_weight[8] = {0.1012285362903763, 0.2223810344533745, 0.3137066458778873, 0.3626837833783620,
                                       0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763};

static double below(double z)
{
    return 0.5 * erfc(-z / sqrt(2));
}

static ebb_status place(ebb_context *ctx, const ebb_target *law, ebb_cells *c)
{
    for (int a = 0; a < c->dim; a++) {
        double direction[2] = {a == 0, a == 1};
        ebb_line line;
        EBB_TRY(ebb_line_create(ctx, law, direction, &line));
        c->lo[a] = ebb_line_quantile(&line, EBB_CELLS_TAIL);
        c->width[a] = (ebb_line_quantile(&line, 1 - EBB_CELLS_TAIL) - c->lo[a]) / c->side;
        ebb_line_free(&line);
    }
    return EBB_OK;
}

static void fill_line(const ebb_target *law, ebb_cells *c)
{
    for (int k = 0; k < law->parts; k++) {
        double sd = sqrt(law->cov[k]), before = 0;
        for (int i = 0; i < c->count; i++) {
            double after = i + 1 < c->count ? below((c->lo[0] + i * c->width[0] - law->mean[k]) / sd) : 1;
            c->share[i] += law->weight[k] * (after - before);
            before = after;
        }
    }
}

/* The column of cells at x, of thickness weight: y | x of part k. */
static void add_column(const ebb_target *law, int k, ebb_cells *c, int column, double x, double weight)
{
    const double *m = law->mean + 2 * k, *v = law->cov + 4 * k;
    double z = (x - m[0]) / sqrt(v[0]), mean = m[1] + v[1] / v[0] * (x - m[0]), sd = sqrt(v[3] - v[1] * v[1] / v[0]);
    double mass = weight * law->weight[k] * exp(-0.5 * z * z) / sqrt(2 * PI * v[0]);
    if (mass < 1e-30)
        return;
    double before = below((c->lo[1] - mean) / sd);
    for (int j = 0; j < c->side; j++) {
        double after = below((c->lo[1] + (j + 1) * c->width[1] - mean) / sd);
        c->share[j * c->side + column] += mass * (after - before);
        before = after;
    }
}

static void fill_plane(const ebb_target *law, ebb_cells *c)
{
    double sum = 0, piece = c->width[0] / PIECES;
    for (int k = 0; k < law->parts; k++)
        for (int i = 0; i < c->side * PIECES; i++)
            for (int g = 0; g < 8; g++)
                add_column(law, k, c, i / PIECES, c->lo[0] + (i + 0.5 + 0.5 * gauss_at[g]) * piece,
                           0.5 * piece * gauss_weight[g]);
    for (int i = 0; i < c->count - 1; i++)
        sum += c->share[i];
    c->share[c->count - 1] = fmax(1 - sum, 0);
}

ebb_status ebb_cells_create(ebb_context *ctx, const ebb_target *law, ebb_cells *out)
{
    *out = (ebb_cells){.dim = law->dim};
    if (law->dim > 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "histograms of laws of %d dimensions: 1 or 2 are possible", law->dim);
    out->side = law->dim == 1 ? EBB_CELLS_LINE : EBB_CELLS_PLANE;
    out->count = law->dim == 1 ? out->side + 2 : out->side * out->side + 1;
    EBB_TRY(place(ctx, law, out));
    EBB_TRY(ebb_alloc(ctx, (void **)&out->share, (size_t)out->count, sizeof(double), "a histogram"));
    if (law->dim == 1)
        fill_line(law, out);
    else
        fill_plane(law, out);
    return EBB_OK;
}

void ebb_cells_free(ebb_cells *c)
{
    ebb_free(c->share);
    *c = (ebb_cells){0};
}

int ebb_cells_at(const ebb_cells *c, const double *x)
{
    double at[2] = {0, 0};
    for (int a = 0; a < c->dim; a++)
        at[a] = floor((x[a] - c->lo[a]) / c->width[a]);
    if (c->dim == 1)
        return at[0] < 0 ? 0 : at[0] >= c->side ? c->count - 1 : (int)at[0] + 1;
    bool inside = at[0] >= 0 && at[0] < c->side && at[1] >= 0 && at[1] < c->side;
    return inside ? (int)at[1] * c->side + (int)at[0] : c->count - 1;
}

double ebb_cells_kl(const ebb_cells *c, const double *share)
{
    double sum = 0;
    for (int i = 0; i < c->count; i++)
        sum += share[i] > 0 ? share[i] * log(share[i] / fmax(c->share[i], 1e-300)) : 0;
    return sum;
}

double ebb_cells_tv(const ebb_cells *c, const double *share)
{
    double sum = 0;
    for (int i = 0; i < c->count; i++)
        sum += 0.5 * fabs(share[i] - c->share[i]);
    return sum;
}
