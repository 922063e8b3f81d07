/* gemm_bf16.tmpl.h: the matrix product of bfloat16 by the tile of tile_bf16.tmpl.h: a block of rows of A, as
 * tiles read them, meets all panels of B. */

/* Rows of whole pairs: as far as B, and a zero where k is odd. */
static void gemm_copy(pair_a *to, const ebb_bf16 *from, size_t k)
{
    pair_copy(to, from, k);
    if (k % 2)
        to[k] = 0;
}

static void gemm_block(const ebb_gemm_bf16_args *g, pair_a *block, size_t row, size_t rows)
{
    tile_row at[GEMM_BF16_ROWS];
    size_t c = row * g->ldc, pairs = bf16_pairs(g->k);
    for (size_t i = 0; i < rows; i++) {
        at[i] = (tile_row){.a = 2 * i * pairs, .c = i * g->ldc, .outer = 1, .inner = 1};
        gemm_copy(block + 2 * i * pairs, g->a + (row + i) * g->lda, g->k);
    }
    pair_job j = {
        .a = block, .b = g->b, .c_f32 = g->c_f32,
        .c = g->c_f32 ? (void *)((float *)g->c + c) : (void *)((ebb_bf16 *)g->c + c),
        .bias = g->bias, .residual = g->residual ? g->residual + c : NULL,
        .k = {.len = 2 * pairs},
    };
    pair_panels(&j, pairs, g->n, at, rows);
}

void EBB_INSTANCE(gemm_bf16)(const ebb_gemm_bf16_args *g, void *scratch)
{
    size_t step = gemm_bf16_rows(g->k);
    for (size_t row = 0; row < g->m; row += step)
        gemm_block(g, scratch, row, g->m - row < step ? g->m - row : step);
}
