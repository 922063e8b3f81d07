/* cells.h: histograms of samples beside what a law has in the same cells, which is known.
 *
 * On a line: equal cells between two outer quantiles of the law, and one beyond each. In the plane: a square of equal cells
 * between those quantiles of both coordinates, and one cell for all that lies outside. KL(samples || law) and total variation
 * are sums over cells, so that they are what a person would see in the picture; true samples are at about
 * (cells - 1)/(2 n) and sum sqrt(p (1-p) / (2 pi n)): that is their noise floor.
 */
#ifndef EBB_CELLS_H
#define EBB_CELLS_H

#include "eval/line.h"

#define EBB_CELLS_LINE 100
#define EBB_CELLS_PLANE 32
#define EBB_CELLS_TAIL 1e-4      /* the outer quantiles: of this share and 1 minus it */

typedef struct ebb_cells {
    int dim, count, side;        /* count of all; side of a row without the outer ones */
    double lo[2], width[2];
    double *share;               /* (count) of the law */
} ebb_cells;
/* Of laws of one or two dimensions. */
ebb_status ebb_cells_create(ebb_context *ctx, const ebb_target *law, ebb_cells *out);
void ebb_cells_free(ebb_cells *c);
int ebb_cells_at(const ebb_cells *c, const double *x);
/* KL and TV of shares (count) that sum to 1. A cell in which the law has less than 1e-300 counts as if it had that. */
double ebb_cells_kl(const ebb_cells *c, const double *share);
double ebb_cells_tv(const ebb_cells *c, const double *share);

#endif
