/* wino_transform.tmpl.h: the transforms of one row or column of simd/c/wino_loops.h, on vectors of channels. */
#include <string.h>

#include "instances.h"
#include "wino_block.h"

#ifdef __clang__
#define WINO_UNROLL _Pragma("clang loop unroll(full)")
#else
#define WINO_UNROLL _Pragma("GCC unroll 16")
#endif
#define WINO_INLINE static inline __attribute__((always_inline))

/* B^T */
WINO_INLINE void wino_data(vf t[6], const vf d[6])
{
    vf two = vf_set1(2.0f), half = vf_set1(0.5f), more = vf_set1(2.5f), r = vf_set1(WINO_R), q = vf_set1(WINO_Q);
    vf even = vf_fnma(two, d[2], d[4]), odd = vf_fnma(two, d[1], d[3]);
    t[1] = vf_fma(r, odd, even);
    t[2] = vf_fnma(r, odd, even);
    even = vf_fnma(half, d[2], d[4]);
    odd = vf_fnma(half, d[1], d[3]);
    t[3] = vf_fma(q, odd, even);
    t[4] = vf_fnma(q, odd, even);
    t[0] = vf_fnma(more, d[2], vf_add(d[0], d[4]));
    t[5] = vf_fnma(more, d[3], vf_add(d[1], d[5]));
}

/* A^T */
WINO_INLINE void wino_output(vf y[4], const vf m[6])
{
    vf s = vf_add(m[1], m[2]), d = vf_sub(m[1], m[2]), s2 = vf_add(m[3], m[4]), d2 = vf_sub(m[3], m[4]);
    y[0] = vf_add(m[0], vf_add(s, s2));
    y[1] = vf_mul(vf_set1(WINO_R), vf_fma(vf_set1(2.0f), d2, d));
    y[2] = vf_mul(vf_set1(0.5f), vf_fma(vf_set1(4.0f), s2, s));
    y[3] = vf_fma(vf_set1(WINO_R3), vf_fma(vf_set1(8.0f), d2, d), m[5]);
}

/* A */
WINO_INLINE void wino_cotangent(vf t[6], const vf y[4])
{
    vf even = vf_fma(vf_set1(0.5f), y[2], y[0]);
    vf odd = vf_fma(vf_set1(WINO_R3), y[3], vf_mul(vf_set1(WINO_R), y[1]));
    t[0] = y[0];
    t[1] = vf_add(even, odd);
    t[2] = vf_sub(even, odd);
    even = vf_fma(vf_set1(2.0f), y[2], y[0]);
    odd = vf_fma(vf_set1(WINO_Q3), y[3], vf_mul(vf_set1(WINO_Q), y[1]));
    t[3] = vf_add(even, odd);
    t[4] = vf_sub(even, odd);
    t[5] = y[3];
}

/* G */
WINO_INLINE void wino_weight(vf u[6], const vf g[3])
{
    vf even = vf_fma(vf_set1(WINO_G_R2), g[2], vf_mul(vf_set1(WINO_G_R), g[0]));
    vf odd = vf_mul(vf_set1(WINO_G_R1), g[1]);
    u[0] = g[0];
    u[1] = vf_add(even, odd);
    u[2] = vf_sub(even, odd);
    even = vf_fma(vf_set1(WINO_G_Q2), g[2], vf_mul(vf_set1(WINO_G_Q), g[0]));
    odd = vf_mul(vf_set1(WINO_G_Q1), g[1]);
    u[3] = vf_add(even, odd);
    u[4] = vf_sub(even, odd);
    u[5] = g[2];
}

/* G^T */
WINO_INLINE void wino_gradient(vf g[3], const vf u[6])
{
    vf s = vf_add(u[1], u[2]), d = vf_sub(u[1], u[2]), s2 = vf_add(u[3], u[4]), d2 = vf_sub(u[3], u[4]);
    g[0] = vf_fma(vf_set1(WINO_G_R), s, vf_fma(vf_set1(WINO_G_Q), s2, u[0]));
    g[1] = vf_fma(vf_set1(WINO_G_R1), d, vf_mul(vf_set1(WINO_G_Q1), d2));
    g[2] = vf_fma(vf_set1(WINO_G_R2), s, vf_fma(vf_set1(WINO_G_Q2), s2, u[5]));
}

WINO_INLINE vf wino_load(const float *p, size_t n) { return n == VW ? vf_load(p) : vf_load_n(p, n); }

/* A tile's place in the pictures. */
typedef struct wino_at {
    int n, y, x;  /* picture, and the tile in it */
} wino_at;

static wino_at wino_at_make(const wino_block *b, size_t tile)
{
    size_t picture = (size_t)b->high * b->wide, rest = tile % picture;
    return (wino_at){(int)(tile / picture), (int)(rest / b->wide), (int)(rest % b->wide)};
}

static void wino_at_next(wino_at *at, const wino_block *b)
{
    if (++at->x == b->wide) {
        at->x = 0;
        if (++at->y == b->high) {
            at->y = 0;
            at->n++;
        }
    }
}
