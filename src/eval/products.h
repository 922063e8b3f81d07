/* products.h: dot products of all pairs of rows of two arrays, in double, tile by tile, so that no array of all pairs exists.
 *
 * Each is one sum over ascending numbers, whoever computes it and in whatever tile it lies: x_i . y_j and y_j . x_i have the
 * same bits, and so have distances made of them. Squares of distances are |x|^2 + |y|^2 - 2 x.y.
 */
#ifndef EBB_PRODUCTS_H
#define EBB_PRODUCTS_H

#include "base/base.h"

enum { EBB_TILE_ROWS = 32, EBB_TILE_COLUMNS = 64 };

/* Rows i..i+rows-1 of x and j..j+columns-1 of y: their products at dot[a * EBB_TILE_COLUMNS + b]. The tiles of a row come one
 * after the other by ascending j, in one thread. */
typedef void (*ebb_tile)(void *self, int64_t i, int rows, int64_t j, int columns, const double *dot);
ebb_status ebb_products(ebb_context *ctx, const double *x, int64_t n, const double *y, int64_t m, int64_t dim, ebb_tile tile,
                        void *self);

/* out (n,m) = x (n,dim) times the transpose of y (m,dim). */
ebb_status ebb_products_all(ebb_context *ctx, const double *x, int64_t n, const double *y, int64_t m, int64_t dim, double *out);
/* (n): |x_i|^2, with the bits that ebb_products gives it. */
void ebb_products_squares(const double *x, int64_t n, int64_t dim, double *out);

#endif
