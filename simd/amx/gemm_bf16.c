/* gemm_bf16.c: the product of matrices of bfloat16 on tiles: C = A B + bias + residual.
 *
 * Panels of 32 columns of B stay in L2 while pairs of tiles of A pass over them; rows come in blocks that stay in
 * L2 beside them. What is left of k after whole steps of 32 runs over copies that are filled up with zeros. Rows
 * that fill no pair of tiles get tiles of fewer rows.
 */
#include "instances.h"
#include "product.h"

enum { BLOCK_BYTES = 512 << 10 };

static const amx_run whole = {0, 0};

/* rows <= 32 rows of A from row i. */
static void pair(const ebb_gemm_bf16_args *g, const amx_results *to, const ebb_bf16 *b, const ebb_bf16 *b_tail,
                 size_t i, int rows)
{
    float sums[AMX_SIDE * AMX_SIDE] __attribute__((aligned(64)));
    ebb_bf16 a_tail[AMX_SIDE * AMX_DEPTH] __attribute__((aligned(64)));
    ptrdiff_t at[AMX_SIDE];
    const ebb_bf16 *a = g->a + i * g->lda;
    size_t steps = g->k / AMX_DEPTH, rest = g->k % AMX_DEPTH;
    for (int r = 0; r < rows; r++) {
        at[r] = (ptrdiff_t)((i + r) * g->ldc);
        if (rest)
            amx_copy_n(a_tail + r * AMX_DEPTH, a + r * g->lda + steps * AMX_DEPTH, rest);
    }
    bool high = rows > AMX_TILE;
    amx_factors body = {a, a + (high ? AMX_TILE * g->lda : 0), b, g->lda * sizeof *a, &whole, 1, steps};
    amx_factors tail = {a_tail, a_tail + AMX_TILE * AMX_DEPTH, b_tail, TILE_BYTES, &whole, rest > 0, 1};
    amx_product(high, to->columns > AMX_TILE, &body, &tail, sums);
    amx_finish(to, sums, at, rows);
}

/* Rows i to end of all panels, `rows` at a time, which divides them. */
static void panels(const ebb_gemm_bf16_args *g, size_t i, size_t end, int rows)
{
    size_t pairs = (g->k + 1) / 2, steps = g->k / AMX_DEPTH;
    ebb_bf16 b_tail[AMX_PAIRS] __attribute__((aligned(64)));
    amx_config(rows < AMX_TILE ? rows : AMX_TILE, rows > AMX_TILE ? rows - AMX_TILE : 1);
    for (size_t p = 0; p < g->n; p += EBB_PANEL) {
        const ebb_bf16 *b = g->b + p * pairs * 2;
        size_t size = g->c_f32 ? sizeof(float) : sizeof(ebb_bf16);
        amx_results to = {
            .c = (char *)g->c + p * size, .c_f32 = g->c_f32, .bias = g->bias ? g->bias + p : NULL,
            .residual = g->residual ? g->residual + p : NULL,
            .columns = g->n - p < EBB_PANEL ? (int)(g->n - p) : EBB_PANEL,
        };
        if (g->k % AMX_DEPTH)
            amx_tail(b_tail, b + steps * AMX_PAIRS, pairs - steps * (AMX_DEPTH / 2));
        for (size_t r = i; r < end; r += rows)
            pair(g, &to, b, b_tail, r, rows);
    }
    tile_release();
}

void ebb_gemm_bf16_amx(const ebb_gemm_bf16_args *g, void *scratch)
{
    (void)scratch;
    size_t fit = BLOCK_BYTES / sizeof(ebb_bf16) / (g->k > 0 ? g->k : 1);
    size_t block = amx_clamp(fit / AMX_SIDE * AMX_SIDE, 256, 8192), even = g->m / AMX_SIDE * AMX_SIDE;
    for (size_t i = 0; i < even; i += block)
        panels(g, i, even - i < block ? even : i + block, AMX_SIDE);
    if (even < g->m)
        panels(g, even, g->m, (int)(g->m - even));
}
