/* tile_unit.h: the processor's tile registers (AMX) as a handful of verbs.
 *
 * Eight registers of up to 16 rows of 64 bytes. tile_dp(c, a, b) adds to c (rows x columns of f32) the product of
 * a (rows x pairs of bfloat16) and b (pairs x columns of pairs): C += A B (Intel SDM vol. 2, TDPBF16PS). The
 * register numbers are literals.
 *
 * The kernels are written in these verbs alone, so that they also run on the model of the unit in
 * tests/amx/tile_model.c (EBB_TILE_MODEL), where no processor has one.
 */
#ifndef EBB_TILE_UNIT_H
#define EBB_TILE_UNIT_H

#include <stddef.h>
#include <stdint.h>

enum { TILE_ROWS = 16, TILE_BYTES = 64, TILE_REGISTERS = 8 };

/* The operand of LDTILECFG. */
typedef struct tile_shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

#ifdef EBB_TILE_MODEL
void tile_config(const tile_shapes *shapes);
void tile_release(void);
void tile_zero(int t);
void tile_load(int t, const void *p, size_t stride);
void tile_store(int t, void *p, size_t stride);
void tile_dp(int c, int a, int b);
#else
/* Assembly, since some compilers' intrinsics do not say that they read memory: stores before them went missing. */
#define tile_config(shapes) __asm__ volatile("ldtilecfg %0" : : "m"(*(const tile_shapes *)(shapes)) : "memory")
#define tile_release() __asm__ volatile("tilerelease" : : : "memory")
#define tile_zero(t) __asm__ volatile("tilezero %%tmm" #t : :)
#define tile_load(t, p, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((size_t)(stride)) : "memory")
#define tile_store(t, p, stride) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((size_t)(stride)) : "memory")
#define tile_dp(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#endif

#endif
