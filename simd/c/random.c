/* random.c: the specification of normal_f32.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011) turns key and counter into four words; Box-Muller
 * (1958) turns two words into two normals: sqrt(-2 log u) (cos a, sin a). u = (word + 1/2)/2^32 rounded
 * to f32, in [2^-33, 1], so that |normal| <= 6.77. The angle is reduced in integers, hence exactly.
 */
#include "instances.h"
#include "scalar.h"

static void philox_round(uint32_t x[4], uint32_t key0, uint32_t key1)
{
    uint64_t a = (uint64_t)0xD2511F53u * x[0], b = (uint64_t)0xCD9E8D57u * x[2];
    uint32_t y0 = (uint32_t)(b >> 32) ^ x[1] ^ key0, y2 = (uint32_t)(a >> 32) ^ x[3] ^ key1;
    x[0] = y0;
    x[1] = (uint32_t)b;
    x[2] = y2;
    x[3] = (uint32_t)a;
}

static void philox(uint32_t word[4], const ebb_rng_at *at, uint32_t block)
{
    uint32_t key0 = (uint32_t)at->seed, key1 = (uint32_t)(at->seed >> 32);
    word[0] = block;
    word[1] = at->sample;
    word[2] = at->step;
    word[3] = at->stream;
    for (int round = 0; round < 10; round++) {
        philox_round(word, key0, key1);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

static void box_muller(float normal[2], uint32_t radius_word, uint32_t angle_word)
{
    float u = fmaf((float)radius_word, 0x1p-32f, 0x1p-33f);
    float radius = sqrtf(-2.0f * log_normal(u, 0.0f));
    uint32_t quadrant = (angle_word + 0x20000000u) >> 30;
    float angle = TURN_TO_RADIAN * (float)(int32_t)(angle_word - (quadrant << 30));
    normal[0] = radius * sin_quadrant(angle, quadrant + 1);
    normal[1] = radius * sin_quadrant(angle, quadrant);
}

void ebb_normal_f32_c(size_t n, float *y, const ebb_rng_at *at)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word[4];
        float normal[4];
        philox(word, at, (uint32_t)(i / 4));
        box_muller(normal, word[0], word[1]);
        box_muller(normal + 2, word[2], word[3]);
        for (size_t j = i; j < n && j < i + 4; j++)
            y[j] = normal[j - i];
    }
}
