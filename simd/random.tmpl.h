/* random.tmpl.h: standard normals, one Philox block a vector lane. Specification: c/random.c. */
#include "instances.h"
#include "math.tmpl.h"

/* One vector of each of a block's words; so many at once, as the rounds are a chain of slow products. */
enum { CHAINS = 2, BLOCKS = CHAINS * VW };

typedef struct words {
    vi x[4];
} words;

VEC void philox_round(words *w, uint32_t key0, uint32_t key1)
{
    vi high0, low0, high2, low2;
    vi_mul_wide(w->x[0], vi_set1(0xD2511F53u), &high0, &low0);
    vi_mul_wide(w->x[2], vi_set1(0xCD9E8D57u), &high2, &low2);
    w->x[0] = vi_xor(vi_xor(high2, w->x[1]), vi_set1(key0));
    w->x[2] = vi_xor(vi_xor(high0, w->x[3]), vi_set1(key1));
    w->x[1] = low2;
    w->x[3] = low0;
}

/* Ten rounds on counters block, block+1, ... */
VEC void philox(words w[CHAINS], const ebb_rng_at *at, uint32_t block)
{
    uint32_t key0 = (uint32_t)at->seed, key1 = (uint32_t)(at->seed >> 32);
    for (uint32_t i = 0; i < CHAINS; i++)
        w[i] = (words){{vi_add(vi_set1(block + i * VW), vi_iota()), vi_set1(at->sample), vi_set1(at->step),
                        vi_set1(at->stream)}};
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < CHAINS; i++)
            philox_round(&w[i], key0, key1);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

VEC void box_muller(vf normal[2], vi radius_word, vi angle_word)
{
    vf u = vf_fma(vf_from_uint(radius_word), vf_set1(0x1p-32f), vf_set1(0x1p-33f));
    vf radius = vf_sqrt(vf_mul(vf_set1(-2.0f), log_normal(u, vf_zero())));
    vi quadrant = vi_shr(vi_add(angle_word, vi_set1(0x20000000u)), 30);
    vf angle = vf_mul(vf_set1(TURN_TO_RADIAN), vf_from_int(vi_sub(angle_word, vi_shl(quadrant, 30))));
    vf sine = sin_reduced(angle), cosine = cos_reduced(angle);
    normal[0] = vf_mul(radius, sin_choose(sine, cosine, vi_add(quadrant, vi_set1(1))));
    normal[1] = vf_mul(radius, sin_choose(sine, cosine, quadrant));
}

/* 4 BLOCKS normals from Philox blocks block, block+1, ... */
VEC void normal_blocks(float *y, const ebb_rng_at *at, uint32_t block)
{
    words w[CHAINS];
    philox(w, at, block);
    for (int i = 0; i < CHAINS; i++, y += 4 * VW) {
        vf normal[4];
        box_muller(normal, w[i].x[0], w[i].x[1]);
        box_muller(normal + 2, w[i].x[2], w[i].x[3]);
        vf_store_interleaved(y, normal[0], normal[1], normal[2], normal[3]);
    }
}

void EBB_INSTANCE(normal_f32)(size_t n, float *y, const ebb_rng_at *at)
{
    const ebb_rng_at k = *at;
    size_t i = 0;
    for (; i + 4 * BLOCKS <= n; i += 4 * BLOCKS)
        normal_blocks(y + i, &k, (uint32_t)(i / 4));
    if (i < n) {
        float rest[4 * BLOCKS];
        normal_blocks(rest, &k, (uint32_t)(i / 4));
        for (size_t j = i; j < n; j++)
            y[j] = rest[j - i];
    }
}
