/* gemm.tmpl.h: the matrix product on the register tile of tile.tmpl.h.
 *
 * A block of rows of A (L2) meets all panels of EBB_PANEL columns of B, each copied into one linear stream
 * (L1), for one block of k after the other. Between blocks of k the sums wait in C; or, where C is the
 * residual too, panel by panel on the stack. Rows of A that lie a multiple of GEMM_ALIAS floats apart share one
 * set of L1, which has 8 ways: a tile then takes fewer of them.
 */
#include "tile.tmpl.h"

#define GEMM_DEPTH 256
#define GEMM_ROWS 288
#define GEMM_AHEAD 16
#define GEMM_ALIAS 1024
#define GEMM_ALIAS_ROWS 6

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

/* Rows row..row+rows-1 of A, its columns k..k+depth-1. */
typedef struct gemm_block {
    size_t row, rows, k, depth;
} gemm_block;

/* The block by the panel at column p. */
static void gemm_piece(const ebb_gemm_args *g, gemm_store *m, const gemm_block *t, size_t p)
{
    bool alias = g->acs == 1 && g->ars % GEMM_ALIAS == 0;
    size_t at = t->row * g->ldc + p, columns = g->n - p < EBB_PANEL ? g->n - p : EBB_PANEL;
    bool last = t->k + t->depth == g->k;
    /* A copy of B is worth it when many tiles read it, unless B is a linear stream already. */
    bool direct = columns % VW == 0 && (g->m <= 6 * TILE_ROWS || g->ldb == EBB_PANEL);
    const float *b = g->b + t->k * g->ldb + p;
    tile_job j = {
        .a = g->a + t->row * g->ars + t->k * g->acs, .b = direct ? b : m->panel, .c = g->c + at,
        .alike = true, .most = alias ? GEMM_ALIAS_ROWS : TILE_ROWS,
        .k = {.len = t->depth, .a_step = g->acs ? g->acs : 1,
              .b_step = direct ? (ptrdiff_t)g->ldb : EBB_PANEL},
        .columns = columns, .accumulate = g->accumulate,
        .bias = last && g->bias ? g->bias + p : NULL,
        .residual = last && g->residual ? g->residual + at : NULL,
    };
    if (g->residual == g->c && t->depth < g->k) {
        j.sums = m->sums;
        j.resume = t->k > 0;
        j.pause = !last;
    } else {
        j.accumulate |= t->k > 0;
    }
    if (!direct)
        gemm_panel(m->panel, b, g->ldb, t->depth, columns);
    tile_run(&j, m->rows, t->rows);
}

void EBB_INSTANCE(gemm_f32)(const ebb_gemm_args *g)
{
    gemm_store m;
    /* A segment of k must step, and there is one even if k is 0. */
    size_t depth = g->acs ? GEMM_DEPTH : 1, parts = g->k ? (g->k + depth - 1) / depth : 1;
    size_t panels = (g->n + EBB_PANEL - 1) / EBB_PANEL, blocks = (g->m + GEMM_ROWS - 1) / GEMM_ROWS;
    for (size_t i = 0; i < GEMM_ROWS; i++)
        m.rows[i] = (tile_row){.a = i * g->ars, .c = i * g->ldc, .outer = 1, .inner = 1};
    for (size_t i = 0; i < blocks; i++) {
        gemm_block t = {.row = g->m * i / blocks};
        t.rows = g->m * (i + 1) / blocks - t.row;
        for (size_t q = 0; q < panels * parts; q++) {
            bool by_panel = g->residual == g->c;
            size_t p = by_panel ? q / parts : q % panels;
            t.k = (by_panel ? q % parts : q / panels) * depth;
            t.depth = g->k - t.k < depth ? g->k - t.k : depth;
            gemm_piece(g, &m, &t, p * EBB_PANEL);
        }
    }
}
