/* pair_matrix.h: two pairs of bfloat16 at a time by bfmmla: two rows of A by two columns of B, four steps of k.
 *
 * While they grow, the sums of two rows lie in squares of two rows by two columns; B's two columns of four steps are
 * made of two vectors of pairs by a zip. bfmmla rounds sums of products to odd and flushes denormals.
 */
#include "pair_native.h"

/* Rows r and r+1 <-> squares of columns 0, 1 and 2, 3: its own inverse. The last row's partner may be none of R. */
static inline __attribute__((always_inline)) void pair_fold(const int R, const int V, vf s[TILE_ROWS][TILE_VECS])
{
    TILE_UNROLL
    for (int r = 0; r < R; r += 2) {
        TILE_UNROLL
        for (int v = 0; v < V; v++) {
            vf low = s[r][v], high = s[r + 1][v];
            s[r][v] = vcombine_f32(vget_low_f32(low), vget_low_f32(high));
            s[r + 1][v] = vcombine_f32(vget_high_f32(low), vget_high_f32(high));
        }
    }
}

/* The first n of four numbers, zeros after them. */
static inline __attribute__((always_inline)) uint16x4_t pair_first(const ebb_bf16 *p, const size_t n)
{
    if (n == 4)
        return vld1_u16(p);
    uint16_t lane[4] = {0, 0, 0, 0};
    memcpy(lane, p, n * sizeof *p);
    return vld1_u16(lane);
}

/* Squares of A, two rows by four steps of k, by two pairs of B; the second may be none. */
static inline __attribute__((always_inline)) void
pair_squares(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const bfloat16x8_t *a, const ebb_bf16 *b,
             const bool both)
{
    TILE_UNROLL
    for (int v = 0; v < V; v++) {
        const ebb_bf16 *at = b + 2 * v * VW;
        uint32x4_t first = vreinterpretq_u32_u16(vld1q_u16(at));
        uint32x4_t second = both ? vreinterpretq_u32_u16(vld1q_u16(at + 2 * EBB_PANEL)) : vdupq_n_u32(0);
        bfloat16x8_t low = vreinterpretq_bf16_u32(vzip1q_u32(first, second));
        bfloat16x8_t high = vreinterpretq_bf16_u32(vzip2q_u32(first, second));
        TILE_UNROLL
        for (int r = 0; r < R; r += 2) {
            s[r][v] = vbfmmlaq_f32(s[r][v], a[r / 2], low);
            s[r + 1][v] = vbfmmlaq_f32(s[r + 1][v], a[r / 2], high);
        }
    }
}

/* n <= 4 steps of k. */
static inline __attribute__((always_inline)) void
pair_quad(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const ebb_bf16 *const *p, ptrdiff_t k,
          const ebb_bf16 *b, const size_t n)
{
    bfloat16x8_t a[TILE_ROWS / 2];
    TILE_UNROLL
    for (int r = 0; r < R; r += 2)
        a[r / 2] = vreinterpretq_bf16_u16(vcombine_u16(pair_first(p[r] + k, n),
                                                       pair_first(p[r + 1 < R ? r + 1 : r] + k, n)));
    pair_squares(R, V, s, a, b, n > 2);
}

/* The pairs of two rows beside each other; of the last row, twice the same. */
static inline __attribute__((always_inline)) uint32x2_t pair_beside(const ebb_bf16 *a, const bool two)
{
    uint32_t word[2];
    memcpy(word, a, two ? sizeof word : sizeof *word);
    return two ? vld1_u32(word) : vdup_n_u32(word[0]);
}

/* One or two pairs of k, of rows beside each other. */
static inline __attribute__((always_inline)) void
pair_turned_quad(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const ebb_bf16 *p, const ebb_bf16 *b,
                 const bool both)
{
    bfloat16x8_t a[TILE_ROWS / 2];
    TILE_UNROLL
    for (int r = 0; r < R; r += 2) {
        uint32x2_t first = pair_beside(p + 2 * r, r + 1 < R);
        uint32x2_t second = both ? pair_beside(p + 2 * EBB_PANEL + 2 * r, r + 1 < R) : vdup_n_u32(0);
        a[r / 2] = vreinterpretq_bf16_u32(vcombine_u32(vzip1_u32(first, second), vzip2_u32(first, second)));
    }
    pair_squares(R, V, s, a, b, both);
}

static inline __attribute__((always_inline)) void
pair_turned(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const ebb_bf16 *a, const ebb_bf16 *b, size_t len)
{
    for (size_t i = len / 4; i; i--, a += 4 * EBB_PANEL, b += 4 * EBB_PANEL)
        pair_turned_quad(R, V, s, a, b, true);
    if (len % 4)
        pair_turned_quad(R, V, s, a, b, len % 4 > 2);
}

static inline __attribute__((always_inline)) void
pair_segment(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const ebb_bf16 *const *p, ptrdiff_t k,
             const ebb_bf16 *b, size_t len)
{
    for (size_t i = len / 4; i; i--, k += 4, b += 4 * EBB_PANEL)
        pair_quad(R, V, s, p, k, b, 4);
    if (len % 4)
        pair_quad(R, V, s, p, k, b, len % 4);
}

static inline void pair_put(ebb_bf16 *to, vf s)
{
    vst1_u16(to, vreinterpret_u16_bf16(vcvt_bf16_f32(s)));
}

static inline void pair_put_a(ebb_bf16 *to, vf s)
{
    pair_put(to, s);
}
