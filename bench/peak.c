/* peak.c: what the machine can do at most: multiply-adds that never leave the registers, and memcpy. */
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "bench.h"

enum { CHAINS = 12, STEPS = 2000 };   /* more chains than latency times units; about 20 microseconds */

static volatile float sink;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void fma_avx512(void)
{
    __m512 sum[CHAINS], a = _mm512_set1_ps(0.75f), b = _mm512_set1_ps(0.3f);
    for (int j = 0; j < CHAINS; j++)
        sum[j] = _mm512_set1_ps((float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            sum[j] = _mm512_fmadd_ps(sum[j], a, b);
    for (int j = 1; j < CHAINS; j++)
        sum[0] = _mm512_add_ps(sum[0], sum[j]);
    sink = _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx2,fma"))) static void fma_avx2(void)
{
    __m256 sum[CHAINS], a = _mm256_set1_ps(0.75f), b = _mm256_set1_ps(0.3f);
    for (int j = 0; j < CHAINS; j++)
        sum[j] = _mm256_set1_ps((float)j);
    for (int i = 0; i < 2 * STEPS; i++)   /* half the lanes: as much work */
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            sum[j] = _mm256_fmadd_ps(sum[j], a, b);
    for (int j = 1; j < CHAINS; j++)
        sum[0] = _mm256_add_ps(sum[0], sum[j]);
    sink = _mm256_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512bf16"))) static void dot_avx512bf16(void)
{
    __m512 sum[CHAINS];
    __m512bh a = (__m512bh)_mm512_set1_epi32(0x3F003F00), b = (__m512bh)_mm512_set1_epi32(0x3E803E80);
    for (int j = 0; j < CHAINS; j++)
        sum[j] = _mm512_set1_ps((float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            sum[j] = _mm512_dpbf16_ps(sum[j], a, b);
    for (int j = 1; j < CHAINS; j++)
        sum[0] = _mm512_add_ps(sum[0], sum[j]);
    sink = _mm512_cvtss_f32(sum[0]);
}

/* Tiles are loaded for every two products, as matrix products do: on some machines that has a slow and a fast
 * state, while products alone are always fast. */
typedef struct tile_config { uint8_t palette, start, zero[14]; uint16_t bytes[16]; uint8_t rows[16]; } tile_config;

__attribute__((target("amx-tile,amx-bf16"))) static void dot_amx(void)
{
    static _Thread_local uint16_t a[2][16 * 32], b[2][16 * 32];
    static _Thread_local float c[16 * 16];
    tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int i = 0; i < STEPS / 8; i++) {
        _tile_loadd(4, a[0], 64);
        _tile_loadd(5, a[1], 64);
        _tile_loadd(6, b[0], 64);
        _tile_loadd(7, b[1], 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, 64);
    _tile_release();
    sink = c[0];
}
#elif defined(__aarch64__)
static void fma_neon(void)
{
    float32x4_t sum[CHAINS], a = vdupq_n_f32(0.75f), b = vdupq_n_f32(0.3f);
    for (int j = 0; j < CHAINS; j++)
        sum[j] = vdupq_n_f32((float)j);
    for (int i = 0; i < 4 * STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            sum[j] = vfmaq_f32(b, sum[j], a);
    for (int j = 1; j < CHAINS; j++)
        sum[0] = vaddq_f32(sum[0], sum[j]);
    sink = vgetq_lane_f32(sum[0], 0);
}

__attribute__((target("arch=armv8.2-a+bf16"))) static void mmla_neonbf16(void)
{
    /* gcc 12 would make instructions of constants that only half-precision units have */
    static volatile uint16_t half = 0x3F00, quarter = 0x3E80;
    float32x4_t sum[CHAINS];
    bfloat16x8_t a = vreinterpretq_bf16_u16(vdupq_n_u16(half)), b = vreinterpretq_bf16_u16(vdupq_n_u16(quarter));
    for (int j = 0; j < CHAINS; j++)
        sum[j] = vdupq_n_f32((float)j);
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int j = 0; j < CHAINS; j++)
            sum[j] = vbfmmlaq_f32(sum[j], a, b);
    for (int j = 1; j < CHAINS; j++)
        sum[0] = vaddq_f32(sum[0], sum[j]);
    sink = vgetq_lane_f32(sum[0], 0);
}
#else
/* Whatever this processor's compiler makes of it. */
static void fma_c(void)
{
    float sum[16 * CHAINS];
    for (int j = 0; j < 16 * CHAINS; j++)
        sum[j] = (float)j;
    for (int i = 0; i < STEPS; i++)
        for (int j = 0; j < 16 * CHAINS; j++)
            sum[j] = sum[j] * 0.75f + 0.3f;
    sink = sum[0];
}
#endif

const double bench_peak_flops_f32 = 2.0 * 16 * CHAINS * STEPS;

void bench_peak_f32(void *unused, int worker)
{
    (void)unused, (void)worker;
#if defined(__x86_64__)
    if (ebb_isa_available(EBB_ISA_AVX512))
        fma_avx512();
    else if (ebb_isa_available(EBB_ISA_AVX2))
        fma_avx2();
#elif defined(__aarch64__)
    fma_neon();
#else
    fma_c();
#endif
}

double bench_peak_flops_bf16(void)
{
#if defined(__x86_64__)
    if (ebb_isa_available(EBB_ISA_AMX))
        return (STEPS / 8) * 4 * 2.0 * 16 * 16 * 32;
    if (ebb_isa_available(EBB_ISA_AVX512BF16))
        return 2.0 * 32 * CHAINS * STEPS;
#elif defined(__aarch64__)
    if (ebb_isa_available(EBB_ISA_NEONBF16))
        return 2.0 * 16 * CHAINS * STEPS;   /* (2 x 4) (4 x 2) */
#endif
    return 0.0;
}

void bench_peak_bf16(void *unused, int worker)
{
    (void)unused, (void)worker;
#if defined(__x86_64__)
    if (ebb_isa_available(EBB_ISA_AMX))
        dot_amx();
    else if (ebb_isa_available(EBB_ISA_AVX512BF16))
        dot_avx512bf16();
#elif defined(__aarch64__)
    if (ebb_isa_available(EBB_ISA_NEONBF16))
        mmla_neonbf16();
#endif
}

/* Half a page and some pages apart: where addresses agree in their last 12 bits, or nearly, some processors copy at a
 * twentieth of their speed. */
static size_t distance(const bench_copy *copy)
{
    return copy->bytes / 4096 * 4096 + 4096 + 2048;
}

void bench_copy_open(bench_copy *copy, size_t bytes)
{
    copy->bytes = bytes / 2;
    for (int i = 0; i < bench.threads; i++)
        copy->buffer[i] = bench_room(distance(copy) + copy->bytes);
}

void bench_copy_run(void *arg, int worker)
{
    const bench_copy *copy = arg;
    char *buffer = copy->buffer[worker];
    memcpy(buffer, buffer + distance(copy), copy->bytes);
    __asm__ volatile("" : : "r"(buffer) : "memory");
}

void bench_copy_close(bench_copy *copy)
{
    for (int i = 0; i < bench.threads; i++)
        bench_free(copy->buffer[i]);
}
