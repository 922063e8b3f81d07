/* gemm.tmpl.h: the matrix product on the register tile of tile.tmpl.h.
 *
 * Panels of EBB_PANEL columns; in each, blocks of k of B are copied into one linear stream that stays in
 * L1 while the rows of a block of A pass. Sums of a block wait on the stack between blocks of k, not in
 * C: a residual may be C itself.
 */
#include "tile.tmpl.h"

#define GEMM_DEPTH 256
#define GEMM_TILES 8

/* B[k..k+depth, j..j+columns] -> (depth, PANEL), zero filled. */
static void gemm_panel(float *panel, const float *b, size_t ldb, size_t depth, size_t columns)
{
    for (size_t k = 0; k < depth; k++, panel += EBB_PANEL, b += ldb) {
        memcpy(panel, b, columns * sizeof *panel);
        memset(panel + columns, 0, (EBB_PANEL - columns) * sizeof *panel);
    }
}

/* The last rows, fewer than a group: copied, as tiles read whole groups. */
static void gemm_edge(float *edge, const ebb_gemm_args *g, size_t row, size_t k, size_t depth)
{
    for (size_t i = 0; i < TILE_ROWS; i++) {
        for (size_t d = 0; d < depth; d++)
            edge[i * GEMM_DEPTH + d] = row + i < g->m ? g->a[(row + i) * g->ars + (k + d) * g->acs] : 0.0f;
    }
}

typedef struct gemm_store {
    _Alignas(64) float panel[GEMM_DEPTH * EBB_PANEL], edge[GEMM_DEPTH * TILE_ROWS];
    _Alignas(64) float sums[(GEMM_TILES + 1) * TILE_ALL * EBB_PANEL];
    tile_group groups[GEMM_TILES * TILE_GROUPS];
} gemm_store;

/* Rows row..row+rows-1 of A by one block of k of a panel; j->b and j->c stand at the panel. */
static void gemm_rows(const ebb_gemm_args *g, tile_job j, gemm_store *m, size_t row, size_t rows, size_t k)
{
    size_t full = rows / TILE_ROWS, depth = j.k.len;
    for (size_t i = 0; i < full; i++)
        m->groups[i] = (tile_group){ i * TILE_ROWS * g->ars, i * TILE_ROWS * g->ldc, 0, TILE_ROWS, 1, 1 };
    j.a = g->a + row * g->ars + k * g->acs;
    j.c += row * g->ldc;
    if (j.residual)
        j.residual += row * g->ldc;
    tile_run(&j, m->groups, full);
    if (full * TILE_ROWS == rows)
        return;
    m->groups[0] = (tile_group){ 0, full * TILE_ROWS * g->ldc, 0, (int)(rows - full * TILE_ROWS), 1, 1 };
    gemm_edge(m->edge, g, row + full * TILE_ROWS, k, depth);
    j.a = m->edge;
    j.a_row = GEMM_DEPTH;
    j.k.a_step = 1;
    j.sums += GEMM_TILES * TILE_ALL * EBB_PANEL;
    tile_run(&j, m->groups, 1);
}

/* One block of rows by one panel, all of k. */
static void gemm_block(const ebb_gemm_args *g, tile_job j, gemm_store *m, size_t row, size_t rows, const float *b)
{
    size_t k = 0;
    do {
        size_t depth = g->k - k < GEMM_DEPTH ? g->k - k : GEMM_DEPTH;
        bool direct = g->m <= 2 * TILE_ALL && j.columns == EBB_PANEL;
        if (!direct && (row == 0 || g->k > GEMM_DEPTH))
            gemm_panel(m->panel, b + k * g->ldb, g->ldb, depth, j.columns);
        j.b = direct ? b + k * g->ldb : m->panel;
        j.k = (tile_walk){ 1, 1, depth, 0, 0, g->acs, 0, 0, direct ? (ptrdiff_t)g->ldb : EBB_PANEL };
        j.resume = k > 0;
        j.pause = k + depth < g->k;
        gemm_rows(g, j, m, row, rows, k);
        k += depth;
    } while (k < g->k);
}

void EBB_INSTANCE(gemm_f32)(const ebb_gemm_args *g)
{
    gemm_store m;
    const size_t block = GEMM_TILES * TILE_ALL;
    for (size_t p = 0; p < g->n; p += EBB_PANEL) {
        tile_job j = { .c = g->c + p, .a_row = g->ars, .c_row = g->ldc, .sums = m.sums,
                       .columns = g->n - p < EBB_PANEL ? g->n - p : EBB_PANEL,
                       .bias = g->bias ? g->bias + p : NULL, .residual = g->residual ? g->residual + p : NULL,
                       .accumulate = g->accumulate };
        for (size_t row = 0; row < g->m; row += block)
            gemm_block(g, j, &m, row, g->m - row < block ? g->m - row : block, g->b + p);
    }
}
