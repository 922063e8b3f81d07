/* gemm.tmpl.h: the matrix product on the register tile of tile.tmpl.h.
 *
 * Panels of EBB_PANEL columns; in each, blocks of k of B are copied into one linear stream that stays in
 * L1 while the rows of a block of A pass. Sums of a block wait on the stack between blocks of k, not in
 * C: a residual may be C itself.
 */
#include "tile.tmpl.h"

#define GEMM_DEPTH 256
#define GEMM_ROWS 96

typedef struct gemm_store {
    _Alignas(64) float panel[GEMM_DEPTH * EBB_PANEL], sums[GEMM_ROWS * EBB_PANEL];
    tile_row rows[GEMM_ROWS];
} gemm_store;

/* B[k..k+depth, j..j+columns] -> (depth, PANEL), zero filled. */
static void gemm_panel(float *panel, const float *b, size_t ldb, size_t depth, size_t columns)
{
    for (size_t k = 0; k < depth; k++, panel += EBB_PANEL, b += ldb) {
        memcpy(panel, b, columns * sizeof *panel);
        memset(panel + columns, 0, (EBB_PANEL - columns) * sizeof *panel);
    }
}

/* One block of rows by one panel, all of k. j stands at the panel and the first row. */
static void gemm_block(const ebb_gemm_args *g, tile_job j, gemm_store *m, size_t rows, const float *b,
                       bool first)
{
    const float *a = j.a;
    size_t limit = g->acs ? GEMM_DEPTH : 1;  /* a segment must step */
    bool direct = g->m <= 2 * TILE_ROWS && j.columns == EBB_PANEL, whole = g->k <= limit;
    size_t k = 0;
    if (!whole)
        j.sums = m->sums;
    do {
        size_t depth = g->k - k < limit ? g->k - k : limit;
        if (!direct && (first || !whole))
            gemm_panel(m->panel, b + k * g->ldb, g->ldb, depth, j.columns);
        j.a = a + k * g->acs;
        j.b = direct ? b + k * g->ldb : m->panel;
        j.k = (tile_walk){.len = depth, .a_step = g->acs ? g->acs : 1,
                          .b_step = direct ? (ptrdiff_t)g->ldb : EBB_PANEL};
        j.resume = k > 0;
        j.pause = k + depth < g->k;
        tile_run(&j, m->rows, rows);
        k += depth;
    } while (k < g->k);
}

void EBB_INSTANCE(gemm_f32)(const ebb_gemm_args *g)
{
    gemm_store m;
    for (size_t i = 0; i < GEMM_ROWS; i++)
        m.rows[i] = (tile_row){.a = i * g->ars, .c = i * g->ldc, .outer = 1, .inner = 1};
    for (size_t p = 0; p < g->n; p += EBB_PANEL) {
        for (size_t row = 0; row < g->m; row += GEMM_ROWS) {
            size_t at = row * g->ldc + p;
            tile_job j = {
                .a = g->a + row * g->ars, .c = g->c + at,
                .columns = g->n - p < EBB_PANEL ? g->n - p : EBB_PANEL, .bias = g->bias ? g->bias + p : NULL,
                .residual = g->residual ? g->residual + at : NULL, .accumulate = g->accumulate,
            };
            gemm_block(g, j, &m, g->m - row < GEMM_ROWS ? g->m - row : GEMM_ROWS, g->b + p, row == 0);
        }
    }
}
