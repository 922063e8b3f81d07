/* pair_dot.h: pairs of bfloat16 by vdpbf16ps: the two products of a lane are added to its sum. */
#include "pair_native.h"

/* The pair at an address, or its first number and a zero. */
static inline __attribute__((always_inline)) __m512bh pair_get(const ebb_bf16 *p, const bool half)
{
    uint32_t word;
    memcpy(&word, p, half ? sizeof *p : sizeof word);
    return (__m512bh)_mm512_set1_epi32((int)(half ? word & 0xFFFF : word));
}

static inline __attribute__((always_inline)) void
pair_step(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const ebb_bf16 *const *p, ptrdiff_t k,
          const ebb_bf16 *b, const bool half)
{
    __m512bh bv[TILE_VECS];
    TILE_UNROLL
    for (int v = 0; v < V; v++)
        bv[v] = (__m512bh)_mm512_loadu_si512(b + 2 * v * VW);
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        __m512bh a = pair_get(p[r] + k, half);
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            s[r][v] = _mm512_dpbf16_ps(s[r][v], a, bv[v]);
    }
}

static inline __attribute__((always_inline)) void
pair_segment(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const ebb_bf16 *const *p, ptrdiff_t k,
             const ebb_bf16 *b, size_t len)
{
    for (size_t i = len / 4; i; i--, k += 4, b += 4 * EBB_PANEL) {
        pair_step(R, V, s, p, k, b, false);
        pair_step(R, V, s, p, k + 2, b + 2 * EBB_PANEL, false);
    }
    if (len & 2) {
        pair_step(R, V, s, p, k, b, false);
        k += 2;
        b += 2 * EBB_PANEL;
    }
    if (len % 2)
        pair_step(R, V, s, p, k, b, true);
}

/* Rows lie beside each other: one address serves all. */
static inline __attribute__((always_inline)) void
pair_turned(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const ebb_bf16 *a, const ebb_bf16 *b, size_t len)
{
    for (size_t i = bf16_pairs(len); i; i--, a += 2 * EBB_PANEL, b += 2 * EBB_PANEL) {
        __m512bh bv[TILE_VECS];
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            bv[v] = (__m512bh)_mm512_loadu_si512(b + 2 * v * VW);
        TILE_UNROLL
        for (int r = 0; r < R; r++) {
            __m512bh x = pair_get(a + 2 * r, false);
            TILE_UNROLL
            for (int v = 0; v < V; v++)
                s[r][v] = _mm512_dpbf16_ps(s[r][v], x, bv[v]);
        }
    }
}

static inline void pair_fold(const int R, const int V, vf s[TILE_ROWS][TILE_VECS])
{
    (void)R, (void)V, (void)s;
}

static inline void pair_put(ebb_bf16 *to, vf s)
{
    _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh(s));
}

static inline void pair_put_a(ebb_bf16 *to, vf s)
{
    pair_put(to, s);
}
