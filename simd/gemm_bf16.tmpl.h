/* gemm_bf16.tmpl.h: the matrix product of bfloat16 by the tile of tile_bf16.tmpl.h: a block of rows of A, as
 * tiles read them, meets all panels of B. */

/* next: rows of the block after it. */
static void gemm_block(const ebb_gemm_bf16_args *g, pair_a *room, size_t row, size_t rows, size_t next)
{
    tile_row at[GEMM_BF16_ROWS];
    size_t high = (rows + TILE_ROWS - 1) / TILE_ROWS, tiles = bf16_panels(g->n) * (EBB_PANEL / TILE_WIDE) * high;
    size_t c = row * g->ldc, step;
    const pair_a *a = pair_rows(room, g->a + row * g->lda, g->lda, rows, g->k, &step);
    for (size_t i = 0; i < rows; i++)
        at[i] = (tile_row){.a = i * step, .c = i * g->ldc, .outer = 1, .inner = 1};
    pair_job j = {
        .a = a, .b = g->b, .c_f32 = g->c_f32, .alike = true,
        .c = g->c_f32 ? (void *)((float *)g->c + c) : (void *)((ebb_bf16 *)g->c + c),
        .bias = g->bias, .residual = g->residual ? g->residual + c : NULL,
        .k = {.len = g->k},
        .ahead = tile_ahead_make(g->a + (row + rows) * g->lda, next * g->lda * sizeof *g->a, tiles),
    };
    pair_panels(&j, bf16_pairs(g->k), g->n, at, rows);
}

void EBB_INSTANCE(gemm_bf16)(const ebb_gemm_bf16_args *g, void *scratch)
{
    size_t blocks = (g->m + gemm_bf16_rows(g->k) - 1) / gemm_bf16_rows(g->k), row = 0, rows;
    for (size_t i = 0, next; i < blocks; i++, row += rows) {
        rows = g->m * (i + 1) / blocks - row;
        next = i + 1 < blocks ? g->m * (i + 2) / blocks - row - rows : 0;
        gemm_block(g, scratch, row, rows, next);
    }
}

/* A pointwise convolution of k into n channels: the product of its pixels with its weights. */
static bool gemm_conv(const ebb_conv_shape *s, size_t k, size_t n, ebb_bf16 *y, const ebb_bf16 *x, const ebb_bf16 *w,
                      const float *bias, const ebb_bf16 *residual, void *scratch)
{
    ebb_conv_shape flat;
    if (!conv_pointwise(s, &flat))
        return false;
    ebb_gemm_bf16_args g = {
        .m = flat.h, .n = n, .k = k, .a = x, .lda = k, .b = w, .c = y, .ldc = n, .bias = bias, .residual = residual,
    };
    EBB_INSTANCE(gemm_bf16)(&g, scratch);
    return true;
}
