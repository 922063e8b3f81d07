/* pack_bf16.c: bfloat16 matrices in panels of pairs (bf16.h), and how much scratch their kernels need.
 *
 * A pair of k and EBB_PANEL columns are 128 bytes: two AVX-512 loads, or a row of two AMX tiles side by side.
 * Pairs run along a kernel row, (kw ci), in the forward form, and along co of one tap in the adjoint's.
 */
#include <string.h>

#include "amx/plan.h"
#include "bf16.h"
#include "c/scalar.h"
#include "conv_walk.h"

enum { PAIR = EBB_PANEL * 2 };  /* numbers in a pair of rows */

static size_t width(size_t columns, size_t first)
{
    return columns - first < EBB_PANEL ? columns - first : EBB_PANEL;
}

/* Rows k and k+1 (NULL: zeros) of a panel. */
static void pack_pair(ebb_bf16 *packed, const float *even, const float *odd, size_t columns)
{
    for (size_t j = 0; j < columns; j++) {
        packed[2 * j] = narrow_scalar(even[j]);
        packed[2 * j + 1] = odd ? narrow_scalar(odd[j]) : 0;
    }
    memset(packed + 2 * columns, 0, (PAIR - 2 * columns) * sizeof *packed);
}

/* k rows of one panel; returns where the next begins. */
static ebb_bf16 *pack_rows(ebb_bf16 *packed, const float *b, size_t ldb, size_t k, size_t columns)
{
    for (size_t i = 0; i < k; i += 2, packed += PAIR)
        pack_pair(packed, b + i * ldb, i + 1 < k ? b + (i + 1) * ldb : NULL, columns);
    return packed;
}

size_t ebb_conv_pack_bf16_size(const ebb_conv_shape *s)
{
    return bf16_panels(s->co) * s->kh * bf16_pairs((size_t)s->kw * s->ci) * PAIR;
}

size_t ebb_conv_pack_dx_bf16_size(const ebb_conv_shape *s)
{
    return bf16_panels(s->ci) * s->kh * s->kw * bf16_pairs(s->co) * PAIR;
}

size_t ebb_gemm_pack_bf16_size(size_t k, size_t n)
{
    return bf16_panels(n) * bf16_pairs(k) * PAIR;
}

void ebb_conv_pack_bf16(const ebb_conv_shape *s, ebb_bf16 *packed, const float *w)
{
    size_t run = (size_t)s->kw * s->ci, co = s->co;
    for (size_t p = 0; p < co; p += EBB_PANEL)
        for (int a = 0; a < s->kh; a++)
            packed = pack_rows(packed, w + a * run * co + p, co, run, width(co, p));
}

/* narrow_scalar without branches, which compilers make vectors of. */
static void narrow_run(ebb_bf16 *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = float_bits(x[i]), nan = bits >> 16 | 0x0040;
        uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
        y[i] = (ebb_bf16)((bits & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded);
    }
}

/* One tap of one panel: (columns, k) -> (pairs of k, PANEL, 2). By RUN steps of k: rounded where they are neighbours,
 * then turned a pair at a time. Runs are long for the sake of weights that come from memory. */
static void pack_transposed(ebb_bf16 *packed, const float *w, size_t ldw, size_t k, size_t columns)
{
    enum { RUN = 64 };
    for (size_t first = 0; first < k; first += RUN) {
        size_t steps = k - first < RUN ? k - first : RUN;
        ebb_bf16 rows[EBB_PANEL][RUN] = {{0}};
        for (size_t j = 0; j < columns; j++)
            narrow_run(rows[j], w + j * ldw + first, steps);
        for (size_t i = 0; i < bf16_pairs(steps); i++, packed += PAIR)
            for (size_t j = 0; j < EBB_PANEL; j++)
                memcpy(packed + 2 * j, &rows[j][2 * i], 2 * sizeof *packed);
    }
}

void ebb_conv_pack_dx_bf16(const ebb_conv_shape *s, ebb_bf16 *packed, const float *w)
{
    size_t taps = (size_t)s->kh * s->kw, ci = s->ci, co = s->co;
    for (size_t p = 0; p < ci; p += EBB_PANEL)
        for (size_t t = 0; t < taps; t++, packed += bf16_pairs(co) * PAIR)
            pack_transposed(packed, w + (t * ci + p) * co, co, co, width(ci, p));
}

void ebb_gemm_pack_bf16(size_t k, size_t n, ebb_bf16 *packed, const ebb_bf16 *b, size_t ldb)
{
    for (size_t p = 0; p < n; p += EBB_PANEL) {
        size_t columns = width(n, p);
        for (size_t i = 0; i < k; i += 2, packed += PAIR) {
            const ebb_bf16 *even = b + i * ldb + p;
            for (size_t j = 0; j < columns; j++) {
                packed[2 * j] = even[j];
                packed[2 * j + 1] = i + 1 < k ? even[ldb + j] : 0;
            }
            memset(packed + 2 * columns, 0, (PAIR - 2 * columns) * sizeof *packed);
        }
    }
}

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t ebb_gemm_scratch_bf16(size_t m, size_t n, size_t k)
{
    (void)n;
    size_t rows = gemm_bf16_rows(k);
    return conv_align((m < rows ? m : rows) * bf16_pairs(k) * 2 * sizeof(float));
}

/* Numbers of conv_dw's window. */
static size_t planes(const ebb_conv_shape *s)
{
    conv_block b = conv_block_of(s, BF16_PIXELS);
    return s->ci * bf16_planes_make(s, &b).plane;
}

/* A pointwise convolution is a product, and so is its adjoint; dw's are panels of x and one of dy. */
static size_t pointwise(const ebb_conv_shape *s)
{
    ebb_conv_shape flat;
    if (!conv_pointwise(s, &flat))
        return 0;
    size_t y = ebb_gemm_scratch_bf16(flat.h, s->co, s->ci), dx = ebb_gemm_scratch_bf16(flat.h, s->ci, s->co);
    size_t dw = (bf16_panels(s->ci) + 1) * BF16_TURNED * EBB_PANEL * sizeof(float);
    return max_size(max_size(y, dx), dw);
}

/* [window, and rows that are gathered from it][panel of dy][tile rows]; an entry of a window has 4 bytes. */
size_t ebb_conv_scratch_bf16(const ebb_conv_shape *s)
{
    conv_block out = conv_block_out(s), in = bf16_block_in(s);
    size_t pixels = max_size(max_size(conv_block_of(s, BF16_PIXELS).pixels, in.pixels), BF16_PIXELS);
    size_t rows = max_size(pixels, (size_t)s->kh * s->kw * s->ci);
    size_t gathered = max_size(s->ci % 2 ? bf16_row(s) : 0, s->co % 2 ? s->co + 1 : 0) * pixels;
    size_t window = max_size(max_size(out.floats, in.floats) + 2 * BF16_CHUNK + gathered, planes(s));
    size_t blocks = conv_align(window * sizeof(float)) + conv_align((pixels + 1) * EBB_PANEL * sizeof(float)) +
                    conv_align(rows * sizeof(tile_row));
    size_t few = conv_align(bf16_few_floats(s) * sizeof(float));
    return max_size(max_size(blocks, pointwise(s)), max_size(few, amx_scratch(s)));
}
