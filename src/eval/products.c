/* products.c: products of pairs of rows: panels of 64 rows of y are laid out number by number, so that a loop over a panel's
 * columns runs along memory, and 4 x 4 sums stay in registers.
 */
#include "eval/products.h"

#include <string.h>

enum { EDGE = 4 };

typedef struct work {
    const double *x;
    int64_t n, m, dim;
    double *panel;               /* (panels, dim, EBB_TILE_COLUMNS), zeros beyond m */
    ebb_tile tile;
    void *self;
} work;

static void lay_panel(const double *y, int64_t m, int64_t dim, int64_t first, double *panel)
{
    for (int64_t c = 0; c < EBB_TILE_COLUMNS && first + c < m; c++)
        for (int64_t k = 0; k < dim; k++)
            panel[k * EBB_TILE_COLUMNS + c] = y[(first + c) * dim + k];
}

/* x: EDGE rows, those beyond the last row given once more. */
static void multiply(const double *const x[EDGE], int64_t dim, const double *panel, double *dot)
{
    double sum[EDGE][EDGE] = {{0}};
    for (int64_t k = 0; k < dim; k++)
        for (int r = 0; r < EDGE; r++)
            for (int c = 0; c < EDGE; c++)
                sum[r][c] += x[r][k] * panel[k * EBB_TILE_COLUMNS + c];
    for (int r = 0; r < EDGE; r++)
        memcpy(dot + r * EBB_TILE_COLUMNS, sum[r], sizeof sum[r]);
}

static void run_rows(void *self, int64_t item, int worker)
{
    const work *w = self;
    double dot[EBB_TILE_ROWS * EBB_TILE_COLUMNS];
    int64_t i = item * EBB_TILE_ROWS, rows = w->n - i < EBB_TILE_ROWS ? w->n - i : EBB_TILE_ROWS;
    (void)worker;
    for (int64_t j = 0; j < w->m; j += EBB_TILE_COLUMNS) {
        int64_t columns = w->m - j < EBB_TILE_COLUMNS ? w->m - j : EBB_TILE_COLUMNS;
        for (int64_t r = 0; r < rows; r += EDGE) {
            const double *x[EDGE];
            for (int a = 0; a < EDGE; a++)
                x[a] = w->x + (i + (r + a < rows ? r + a : rows - 1)) * w->dim;
            for (int64_t c = 0; c < columns; c += EDGE)
                multiply(x, w->dim, w->panel + j * w->dim + c, dot + r * EBB_TILE_COLUMNS + c);
        }
        w->tile(w->self, i, (int)rows, j, (int)columns, dot);
    }
}

ebb_status ebb_products(ebb_context *ctx, const double *x, int64_t n, const double *y, int64_t m, int64_t dim, ebb_tile tile,
                        void *self)
{
    work w = {.x = x, .n = n, .m = m, .dim = dim, .tile = tile, .self = self};
    int64_t panels = (m + EBB_TILE_COLUMNS - 1) / EBB_TILE_COLUMNS;
    EBB_TRY(ebb_alloc(ctx, (void **)&w.panel, (size_t)(panels * EBB_TILE_COLUMNS * dim), sizeof *w.panel, "products of all pairs"));
    for (int64_t p = 0; p < panels; p++)
        lay_panel(y, m, dim, p * EBB_TILE_COLUMNS, w.panel + p * EBB_TILE_COLUMNS * dim);
    ebb_par_for(ctx->threads, (n + EBB_TILE_ROWS - 1) / EBB_TILE_ROWS, run_rows, &w);
    ebb_free(w.panel);
    return EBB_OK;
}

typedef struct all { double *out; int64_t m; } all;

static void keep(void *self, int64_t i, int rows, int64_t j, int columns, const double *dot)
{
    const all *a = self;
    for (int r = 0; r < rows; r++)
        memcpy(a->out + (i + r) * a->m + j, dot + r * EBB_TILE_COLUMNS, (size_t)columns * sizeof *dot);
}

ebb_status ebb_products_all(ebb_context *ctx, const double *x, int64_t n, const double *y, int64_t m, int64_t dim, double *out)
{
    return ebb_products(ctx, x, n, y, m, dim, keep, &(all){out, m});
}

void ebb_products_squares(const double *x, int64_t n, int64_t dim, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = 0;
        for (int64_t k = 0; k < dim; k++)
            out[i] += x[i * dim + k] * x[i * dim + k];
    }
}
