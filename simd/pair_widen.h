/* pair_widen.h: pairs of bfloat16 multiplied in f32, for machines that have no instruction for it.
 *
 * A is widened once, when it is copied to where the tiles read it; B, which streams by, is by shifts in registers:
 * three for TILE_ROWS pairs of fma. Their order is that of k: the chain of simd/c.
 */
typedef float pair_a;
enum { PAIR_SHALLOW = 3, PAIR_TURNED_ROW = 1 };

/* Sums, a vector of B and one number of A fill 16 registers: keeps the compiler from loading more ahead. */
#define PAIR_FENCE __asm__ volatile("" : : : "memory")

static inline __attribute__((always_inline)) void
pair_half(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const float *const *p, ptrdiff_t k, const vf *b)
{
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        vf a = vf_set1(p[r][k]);
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            s[r][v] = vf_fma(a, b[v], s[r][v]);
        PAIR_FENCE;
    }
}

static inline __attribute__((always_inline)) vi pair_load(const ebb_bf16 *from)
{
    return vf_bits(vf_load((const float *)(const void *)from));
}

static inline __attribute__((always_inline)) void
pair_even(const int V, vf *b, const ebb_bf16 *from)
{
    TILE_UNROLL
    for (int v = 0; v < V; v++)
        b[v] = vi_float_bits(vi_shl(pair_load(from + 2 * v * VW), 16));
}

/* Not by a mask, which would be the seventeenth register of AVX2. */
static inline __attribute__((always_inline)) void
pair_odd(const int V, vf *b, const ebb_bf16 *from)
{
    TILE_UNROLL
    for (int v = 0; v < V; v++)
        b[v] = vi_float_bits(vi_shl(vi_shr(pair_load(from + 2 * v * VW), 16), 16));
}

static inline __attribute__((always_inline)) void
pair_segment(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const float *const *p, ptrdiff_t k,
             const ebb_bf16 *b, size_t len)
{
    vf half[TILE_VECS];
    for (size_t i = len / 2; i; i--, k += 2, b += 2 * EBB_PANEL) {
        pair_even(V, half, b);
        pair_half(R, V, s, p, k, half);
        pair_odd(V, half, b);
        pair_half(R, V, s, p, k + 1, half);
    }
    if (len % 2) {
        pair_even(V, half, b);
        pair_half(R, V, s, p, k, half);
    }
}

static inline __attribute__((always_inline)) void
pair_turned_half(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const float *a, const vf *b)
{
    TILE_UNROLL
    for (int r = 0; r < R; r++) {
        vf x = vf_set1(a[r]);
        TILE_UNROLL
        for (int v = 0; v < V; v++)
            s[r][v] = vf_fma(x, b[v], s[r][v]);
        PAIR_FENCE;
    }
}

static inline __attribute__((always_inline)) void
pair_turned(const int R, const int V, vf s[TILE_ROWS][TILE_VECS], const float *a, const ebb_bf16 *b, size_t len)
{
    vf half[TILE_VECS];
    for (size_t i = len / 2; i; i--, a += 2 * EBB_PANEL, b += 2 * EBB_PANEL) {
        pair_even(V, half, b);
        pair_turned_half(R, V, s, a, half);
        pair_odd(V, half, b);
        pair_turned_half(R, V, s, a + EBB_PANEL, half);
    }
    if (len % 2) {
        pair_even(V, half, b);
        pair_turned_half(R, V, s, a, half);
    }
}

static inline void pair_fold(const int R, const int V, vf s[TILE_ROWS][TILE_VECS])
{
    (void)R, (void)V, (void)s;
}

static inline void pair_put(ebb_bf16 *to, vf s)
{
    vf_store_bf16(to, s);
}

static inline void pair_put_a(float *to, vf s)
{
    vf_store(to, s);
}

/* Numbers as tiles read them. */
static void pair_copy(float *to, const ebb_bf16 *from, size_t n)
{
    size_t i = 0;
    for (; i + VW <= n; i += VW)
        vf_store(to + i, vf_load_bf16(from + i));
    if (i < n)
        vf_store_n(to + i, vf_load_bf16_n(from + i, n - i), n - i);
}

/* Rows of A as tiles read them. */
static const float *pair_rows(float *room, const ebb_bf16 *a, size_t lda, size_t rows, size_t k, size_t *step)
{
    for (size_t i = 0; i < rows; i++)
        pair_copy(room + i * k, a + i * lda, k);
    *step = k;
    return room;
}

/* (pixels, PANEL) */
static void pair_turn(float *to, const ebb_bf16 *from, size_t pixels, size_t c, size_t columns)
{
    for (size_t i = 0; i < pixels; i++)
        pair_copy(to + i * EBB_PANEL, from + i * c, columns);
}
