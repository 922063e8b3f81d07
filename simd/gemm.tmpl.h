/* gemm.tmpl.h: the matrix product on the register tile of tile.tmpl.h.
 *
 * A block of rows of A (L2) meets all panels of EBB_PANEL columns of B, each copied into one linear stream
 * (L1), for one block of k after the other. Between blocks of k the sums wait in C; or, where C is the
 * residual too, panel by panel on the stack.
 */
#include "tile.tmpl.h"

#define GEMM_DEPTH 256
#define GEMM_ROWS 192
#define GEMM_AHEAD 16

typedef struct gemm_store {
    _Alignas(64) float panel[GEMM_DEPTH * EBB_PANEL], sums[GEMM_ROWS * EBB_PANEL];
    tile_row rows[GEMM_ROWS];
} gemm_store;

/* B[k..k+depth, j..j+columns] -> (depth, PANEL), zero filled. */
static void gemm_panel(float *panel, const float *b, size_t ldb, size_t depth, size_t columns)
{
    for (size_t k = 0; k < depth; k++, panel += EBB_PANEL, b += ldb) {
        if (columns == EBB_PANEL) {
            /* Rows far apart: no hardware sees the next ones coming. */
            __builtin_prefetch(b + GEMM_AHEAD * ldb);
            __builtin_prefetch(b + GEMM_AHEAD * ldb + EBB_PANEL / 2);
            memcpy(panel, b, EBB_PANEL * sizeof *panel);
        } else {
            memcpy(panel, b, columns * sizeof *panel);
            memset(panel + columns, 0, (EBB_PANEL - columns) * sizeof *panel);
        }
    }
}

/* Rows row..row+rows-1 by the panel at column p, k..k+depth-1. */
static void gemm_piece(const ebb_gemm_args *g, gemm_store *m, size_t row, size_t rows, size_t p, size_t k,
                       size_t depth)
{
    bool last = k + depth == g->k, direct = g->m <= 2 * TILE_ROWS && g->n - p >= EBB_PANEL;
    size_t at = row * g->ldc + p;
    const float *b = g->b + k * g->ldb + p;
    tile_job j = {
        .a = g->a + row * g->ars + k * g->acs, .b = direct ? b : m->panel, .c = g->c + at,
        .k = {.len = depth, .a_step = g->acs ? g->acs : 1, .b_step = direct ? (ptrdiff_t)g->ldb : EBB_PANEL},
        .columns = g->n - p < EBB_PANEL ? g->n - p : EBB_PANEL, .accumulate = g->accumulate,
        .bias = last && g->bias ? g->bias + p : NULL,
        .residual = last && g->residual ? g->residual + at : NULL,
    };
    if (g->residual == g->c && depth < g->k) {
        j.sums = m->sums;
        j.resume = k > 0;
        j.pause = !last;
    } else {
        j.accumulate |= k > 0;
    }
    if (!direct)
        gemm_panel(m->panel, b, g->ldb, depth, j.columns);
    tile_run(&j, m->rows, rows);
}

void EBB_INSTANCE(gemm_f32)(const ebb_gemm_args *g)
{
    gemm_store m;
    /* A segment of k must step, and there is one even if k is 0. */
    size_t depth = g->acs ? GEMM_DEPTH : 1, parts = g->k ? (g->k + depth - 1) / depth : 1;
    size_t panels = (g->n + EBB_PANEL - 1) / EBB_PANEL;
    for (size_t i = 0; i < GEMM_ROWS; i++)
        m.rows[i] = (tile_row){.a = i * g->ars, .c = i * g->ldc, .outer = 1, .inner = 1};
    for (size_t row = 0; row < g->m; row += GEMM_ROWS) {
        size_t rows = g->m - row < GEMM_ROWS ? g->m - row : GEMM_ROWS;
        for (size_t i = 0; i < panels * parts; i++) {
            bool by_panel = g->residual == g->c;
            size_t p = by_panel ? i / parts : i % panels, k = (by_panel ? i % parts : i / panels) * depth;
            gemm_piece(g, &m, row, rows, p * EBB_PANEL, k, g->k - k < depth ? g->k - k : depth);
        }
    }
}
