/* tile_model.c: the tile registers in plain C, after Intel's pseudocode (SDM vol. 2: LDTILECFG, TILELOADD,
 * TILESTORED, TDPBF16PS), so that the kernels for them are tested on any processor with AVX-512.
 *
 * What the unit would refuse (#GP, #UD), and what a kernel of ours must not do, ends the program: a shape out of
 * limits, operands that do not fit, a register used before it was configured, a second configuration without a
 * release. Loads and stores touch the bytes of the configured rows and no others.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amx/tile_unit.h"
#include "tile_model.h"

tile_counts tile_model_counts;

typedef struct tile {
    int rows, bytes;
    union {
        unsigned char byte[TILE_ROWS][TILE_BYTES];
        uint16_t half[TILE_ROWS][TILE_BYTES / 2];
        float single[TILE_ROWS][TILE_BYTES / 4];
    } is;
} tile;

static tile tiles[TILE_REGISTERS];
static bool configured;

static void demand(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "tile model: %s\n", what);
    abort();
}

static tile *at(int t)
{
    demand(configured, "used before its configuration");
    demand(t >= 0 && t < TILE_REGISTERS && tiles[t].rows > 0, "no such register in this configuration");
    return &tiles[t];
}

void tile_config(const tile_shapes *s)
{
    demand(!configured, "configured again without a release");
    demand(s->palette == 1 && s->start_row == 0, "palette");
    for (size_t i = 0; i < sizeof s->reserved; i++)
        demand(s->reserved[i] == 0, "reserved bytes of the configuration");
    for (int t = TILE_REGISTERS; t < 16; t++)
        demand(s->rows[t] == 0 && s->row_bytes[t] == 0, "shapes of registers that are not there");
    for (int t = 0; t < TILE_REGISTERS; t++) {
        demand(s->rows[t] <= TILE_ROWS && s->row_bytes[t] <= TILE_BYTES, "a shape is too large");
        demand((s->rows[t] == 0) == (s->row_bytes[t] == 0), "rows without bytes, or bytes without rows");
        tiles[t] = (tile){.rows = s->rows[t], .bytes = s->row_bytes[t]};
    }
    configured = true;
    tile_model_counts.config++;
}

void tile_release(void)
{
    configured = false;
}

void tile_zero(int t)
{
    tile *to = at(t);
    memset(&to->is, 0, sizeof to->is);
    tile_model_counts.zero++;
}

void tile_load(int t, const void *p, size_t stride)
{
    tile *to = at(t);
    memset(&to->is, 0, sizeof to->is);
    for (int r = 0; r < to->rows; r++)
        memcpy(to->is.byte[r], (const char *)p + r * stride, to->bytes);
    tile_model_counts.load++;
}

void tile_store(int t, void *p, size_t stride)
{
    const tile *from = at(t);
    for (int r = 0; r < from->rows; r++)
        memcpy((char *)p + r * stride, from->is.byte[r], from->bytes);
    tile_model_counts.store++;
}

/* Results below the normal numbers are zeros of their sign, and so are such operands. */
static inline float flush(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}

static inline float widen(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return flush(x);
}

/* Of each pair the first numbers make one chain of fma over ascending k and the second ones another; both start at
 * zero in each instruction, and their sum is added to c. */
void tile_dp(int tc, int ta, int tb)
{
    tile *c = at(tc);
    const tile *a = at(ta), *b = at(tb);
    enum { N = TILE_BYTES / 4 };
    float b0[TILE_ROWS][N], b1[TILE_ROWS][N];

    demand(tc != ta && tc != tb && ta != tb, "operands of a product are not distinct");
    demand(c->bytes % 4 == 0 && a->bytes % 4 == 0 && b->bytes % 4 == 0, "rows of a product are not whole pairs");
    demand(c->rows == a->rows && c->bytes == b->bytes && a->bytes / 4 == b->rows, "shapes of a product do not fit");
    for (int k = 0; k < b->rows; k++)
        for (int n = 0; n < N; n++) {
            b0[k][n] = widen(b->is.half[k][2 * n]);
            b1[k][n] = widen(b->is.half[k][2 * n + 1]);
        }
    for (int m = 0; m < c->rows; m++) {
        float even[N] = {0}, odd[N] = {0};
        for (int k = 0; k < b->rows; k++) {
            float a0 = widen(a->is.half[m][2 * k]), a1 = widen(a->is.half[m][2 * k + 1]);
            for (int n = 0; n < N; n++) {
                even[n] = flush(fmaf(a0, b0[k][n], even[n]));
                odd[n] = flush(fmaf(a1, b1[k][n], odd[n]));
            }
        }
        for (int n = 0; n < c->bytes / 4; n++)
            c->is.single[m][n] = flush(flush(c->is.single[m][n]) + flush(even[n] + odd[n]));
    }
    tile_model_counts.dp++;
}
