/* tile_counts.c: how many tile instructions the convolutions of a U-Net take, counted by the model of the unit.
 *
 * A product of tiles is 16 x 16 x 32 multiplications and needs two operands, each of which can serve two products:
 * the ideal is one load a product and as many products as the sums fill. These shapes must reach it, small pictures
 * and strides too; dw may load its sums as often as it stores them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "simd.h"
#include "tile_model.h"

static const ebb_conv_shape shapes[] = {
    {8, 32, 32, 32, 32, 32, 32, 3, 3, 1, 1, 1},  {4, 32, 32, 128, 32, 32, 128, 3, 3, 1, 1, 1},
    {8, 16, 16, 64, 16, 16, 64, 3, 3, 1, 1, 1},  {4, 16, 16, 512, 16, 16, 256, 3, 3, 1, 1, 1},
    {8, 8, 8, 64, 8, 8, 64, 3, 3, 1, 1, 1},      {4, 8, 8, 256, 8, 8, 256, 3, 3, 1, 1, 1},
    {8, 4, 4, 64, 4, 4, 64, 3, 3, 1, 1, 1},      {8, 4, 4, 256, 4, 4, 256, 3, 3, 1, 1, 1},
    {4, 32, 32, 64, 16, 16, 64, 3, 3, 2, 0, 0},  {4, 16, 16, 256, 16, 16, 768, 1, 1, 1, 0, 0},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void *zeros(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p)
        abort();
    for (size_t i = 0; i < bytes; i++)
        ((char *)p)[i] = 0;
    return p;
}

/* Since the last call; sums: stores that are enough, 0: any number. Returns whether that is the ideal. */
static bool report(const ebb_conv_shape *s, const char *kernel, double sums)
{
    double ideal = (double)s->n * s->oh * s->ow * s->co * s->ci * s->kh * s->kw / (16 * 16 * 32);
    tile_counts c = tile_model_counts;
    tile_model_counts = (tile_counts){0};
    bool good = (double)c.dp == ideal && (sums > 0.0 ? (double)c.store == sums && c.load == c.dp
                                                     : c.load <= c.dp + c.store);
    printf("%d x %2dx%2dx%3d -> %2dx%2dx%3d, %dx%d %-12s ", s->n, s->h, s->w, s->ci, s->oh, s->ow, s->co, s->kh, s->kw,
           kernel);
    printf("products %.3f of ideal, loads %.3f and stores %.3f a product%s\n", (double)c.dp / ideal,
           (double)c.load / (double)c.dp, (double)c.store / (double)c.dp, good ? "" : ": too many");
    return good;
}

static bool count(const ebb_kernels *k, const ebb_conv_shape *s)
{
    size_t n_x = (size_t)s->n * s->h * s->w * s->ci, n_y = (size_t)s->n * s->oh * s->ow * s->co;
    ebb_bf16 *x = zeros(n_x * sizeof *x), *y = zeros(n_y * sizeof *y);
    ebb_bf16 *w = zeros(ebb_conv_pack_bf16_size(s) * sizeof *w);
    ebb_bf16 *w_dx = zeros(ebb_conv_pack_dx_bf16_size(s) * sizeof *w_dx);
    float *dw = zeros(sizeof *dw * s->kh * s->kw * s->ci * s->co);
    void *scratch = zeros(ebb_conv_scratch_bf16(s));
    bool good = true;

    tile_model_counts = (tile_counts){0};
    k->conv_bf16(s, y, x, w, NULL, NULL, scratch);
    good &= report(s, "conv_bf16", (double)n_y / (16 * 16));
    k->conv_dx_bf16(s, x, y, w_dx, NULL, scratch);
    good &= report(s, "conv_dx_bf16", (double)n_x / (16 * 16));
    k->conv_dw_bf16(s, dw, x, y, true, scratch);
    good &= report(s, "conv_dw_bf16", 0.0);

    free(x), free(y), free(w), free(w_dx), free(dw), free(scratch);
    return good;
}

int main(void)
{
    int bad = 0;
    if (!ebb_isa_available(EBB_ISA_AMX)) {
        fprintf(stderr, "tile_counts: this machine has no amx: the model needs AVX-512 with bfloat16\n");
        return 2;
    }
    for (int i = 0; i < SHAPES; i++)
        bad += !count(ebb_kernels_get(EBB_ISA_AMX), &shapes[i]);
    return bad != 0;
}
