/* product.h: 32 rows by 32 columns of a product in four tiles of sums, and what becomes of them.
 *
 * Registers: sums in 0 (rows 0-15, columns 0-15), 1 (0-15, 16-31), 2 (16-31, 0-15), 3; rows of A in 4, 5;
 * columns of B in 6, 7. A step of 32 k is four loads and four products: neither unit waits for the other.
 */
#ifndef EBB_AMX_PRODUCT_H
#define EBB_AMX_PRODUCT_H

#include "plan.h"
#include "tile_unit.h"
#include "vec_avx512.h"

enum { AMX_SIDE = 2 * AMX_TILE };

/* The shapes of the registers for rows0 + rows1 rows. */
VEC void amx_config(int rows0, int rows1)
{
    tile_shapes s = {.palette = 1};
    for (int t = 0; t < TILE_REGISTERS; t++) {
        s.row_bytes[t] = TILE_BYTES;
        s.rows[t] = TILE_ROWS;
    }
    s.rows[0] = s.rows[1] = s.rows[4] = (uint8_t)rows0;
    s.rows[2] = s.rows[3] = s.rows[5] = (uint8_t)rows1;
    tile_config(&s);
}

/* Runs of whole steps of k: rows i and 16 + i of A at a0 + i * stride and a1 + i * stride (bytes), B a panel. */
typedef struct amx_factors {
    const ebb_bf16 *a0, *a1, *b;
    size_t stride;
    const amx_run *run;
    size_t runs, steps;
} amx_factors;

/* high, wide: tiles of rows and of columns. */
VEC void amx_multiply(int high, int wide, const amx_factors *f)
{
    size_t stride = f->stride, steps = f->steps;
    for (const amx_run *run = f->run, *end = run + f->runs; run != end; run++) {
        const ebb_bf16 *a0 = f->a0 + run->a, *a1 = f->a1 + run->a, *b = f->b + run->b;
        for (size_t k = 0; k < steps; k++, a0 += AMX_DEPTH, a1 += AMX_DEPTH, b += AMX_PAIRS) {
            tile_load(6, b, EBB_PANEL * 4);
            tile_load(4, a0, stride);
            tile_dp(0, 4, 6);
            if (wide > 1) {
                tile_load(7, b + AMX_DEPTH, EBB_PANEL * 4);
                tile_dp(1, 4, 7);
            }
            if (high > 1) {
                tile_load(5, a1, stride);
                tile_dp(2, 5, 6);
            }
            if (high > 1 && wide > 1)
                tile_dp(3, 5, 7);
        }
    }
}

VEC void amx_sums(int high, int wide, const amx_factors *body, const amx_factors *tail, float *sums)
{
    tile_zero(0);
    if (wide > 1)
        tile_zero(1);
    if (high > 1)
        tile_zero(2);
    if (high > 1 && wide > 1)
        tile_zero(3);
    amx_multiply(high, wide, body);
    amx_multiply(high, wide, tail);
    tile_store(0, sums, AMX_SIDE * 4);
    if (wide > 1)
        tile_store(1, sums + AMX_TILE, AMX_SIDE * 4);
    if (high > 1)
        tile_store(2, sums + AMX_TILE * AMX_SIDE, AMX_SIDE * 4);
    if (high > 1 && wide > 1)
        tile_store(3, sums + AMX_TILE * AMX_SIDE + AMX_TILE, AMX_SIDE * 4);
}

/* sums (32, 32) of the runs of body and tail. */
static inline void amx_product(bool high, bool wide, const amx_factors *body, const amx_factors *tail, float *sums)
{
    if (high && wide)
        amx_sums(2, 2, body, tail, sums);
    else if (high)
        amx_sums(2, 1, body, tail, sums);
    else if (wide)
        amx_sums(1, 2, body, tail, sums);
    else
        amx_sums(1, 1, body, tail, sums);
}

/* Where 32 columns of results go. */
typedef struct amx_results {
    void *c;
    bool c_f32;
    const float *bias;          /* NULL: none */
    const ebb_bf16 *residual;   /* laid out as c, NULL: none; may equal c */
    int columns;
} amx_results;

VEC void amx_store(const amx_results *to, ptrdiff_t at, vf v0, vf v1)
{
    __mmask32 m = to->columns < 32 ? (1u << to->columns) - 1u : ~0u;
    if (to->c_f32) {
        float *c = (float *)to->c + at;
        _mm512_mask_storeu_ps(c, (__mmask16)m, v0);
        _mm512_mask_storeu_ps(c + 16, (__mmask16)(m >> 16), v1);
    } else {
        _mm512_mask_storeu_epi16((ebb_bf16 *)to->c + at, m, (__m512i)_mm512_cvtne2ps_pbh(v1, v0));
    }
}

/* Rows of sums plus bias plus residual, rounded, to c + at[row]; those with a negative `at` nowhere. */
static inline void amx_finish(const amx_results *to, const float *sums, const ptrdiff_t *at, int rows)
{
    __mmask32 m = to->columns < 32 ? (1u << to->columns) - 1u : ~0u;
    __mmask16 m0 = (__mmask16)m, m1 = (__mmask16)(m >> 16);
    vf bias0 = to->bias ? _mm512_maskz_loadu_ps(m0, to->bias) : vf_zero();
    vf bias1 = to->bias ? _mm512_maskz_loadu_ps(m1, to->bias + 16) : vf_zero();
    for (int r = 0; r < rows; r++, sums += AMX_SIDE) {
        if (at[r] < 0)
            continue;
        vf v0 = vf_add(vf_load(sums), bias0), v1 = vf_add(vf_load(sums + 16), bias1);
        if (to->residual) {
            __m512i both = _mm512_maskz_loadu_epi16(m, to->residual + at[r]);
            __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(both));
            __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(both, 1));
            v0 = vf_add(v0, vi_float_bits(vi_shl(low, 16)));
            v1 = vf_add(v1, vi_float_bits(vi_shl(high, 16)));
        }
        amx_store(to, at[r], v0, v1);
    }
}

/* The rows of B that a whole step would reach beyond: a copy of `pairs` of them, and zeros. */
static inline void amx_tail(ebb_bf16 *tail, const ebb_bf16 *b, size_t pairs)
{
    for (size_t i = 0; i < AMX_PAIRS; i += AMX_DEPTH) {
        bool inside = i < pairs * 2 * EBB_PANEL;
        _mm512_storeu_si512(tail + i, inside ? _mm512_loadu_si512(b + i) : _mm512_setzero_si512());
    }
}

/* n <= 32 numbers and zeros up to 32. */
VEC void amx_copy_n(ebb_bf16 *to, const ebb_bf16 *from, size_t n)
{
    __mmask32 m = n < 32 ? (1u << n) - 1u : ~0u;
    _mm512_storeu_si512(to, _mm512_maskz_loadu_epi16(m, from));
}

#endif
