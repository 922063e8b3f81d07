/* choose.c: what runs a node: one ordered table, first match wins.
 *
 * A row: an operation (or any), a condition on the task, the back end and its method. EBB_BACKEND=own|onednn
 * (or the context option) drops the rows of the other; own always remains as the last resort, because it runs
 * every operation. Rows are ordered by measurement (bench/bench_conv): see the note beside each.
 *
 * No condition on f32 tasks looks at the instruction set: methods differ in bits, and a result depends on recipe, seed
 * and data alone. Each row was the better one on AVX2 and AVX-512 alike. Products of bfloat16 have other bits on each
 * instruction set anyway, so there one may. None looks at the number of pictures or threads.
 */
#include "backend/backend.h"

typedef struct choice_row {
    ebb_op op;                                   /* EBB_OP_COUNT: any */
    bool (*when)(const ebb_context *ctx, const ebb_task *task);   /* NULL: always */
    ebb_choice choice;
    bool only_when_asked;                        /* EBB_BACKEND=onednn, not auto */
} choice_row;

/* x (N,H,W,Ci), w (3,3,Ci,Co); out: what is cut into tiles of 4x4. Wide enough in channels that the products
 * outweigh the transforms, and at most half as many products: 36 a tile against 9 a pixel, so that sides of 4 and of
 * 6 and more fit, and 5 does not. */
static bool winograd_pays(const ebb_attr *a, ebb_shape x, ebb_shape y, ebb_shape out, int64_t kh, int64_t kw)
{
    enum { CHANNELS = 16 };
    ebb_conv_shape s = {.kh = (int)kh, .kw = (int)kw, .stride = a->stride, .pad_top = a->pad_top, .pad_left = a->pad_left};
    int64_t tiles = (out.dim[1] + 3) / 4 * ((out.dim[2] + 3) / 4);
    return ebb_wino_fits(&s) && x.dim[3] >= CHANNELS && y.dim[3] >= CHANNELS &&
           2 * 36 * tiles <= 9 * out.dim[1] * out.dim[2];
}

/* Pictures of bfloat16 are widened for Winograd's method, whose products are f32: its 250 to 300 GFLOP/s a core beat 210
 * of the direct form by vdpbf16ps, and still more what widens. Tile registers are many times faster. */
static bool fast(const ebb_context *ctx, const ebb_task *t)
{
    return t->fast && (t->in_type[0] == EBB_F32 || ctx->isa != EBB_ISA_AMX);
}

/* Transformed weights are 36 floats for 9 numbers of bfloat16, eight times as much to read, and to prepare each step. On
 * small pictures of many channels that decides against Winograd where pairs are multiplied at once: times of direct
 * over Winograd's by vdpbf16ps 0.55 to 1.0 on 4x4 of 256 channels, 0.9 to 1.1 on 8x8 of 256, 1.2 on 8x8 of 64. */
static bool weighs_too_much(const ebb_context *ctx, const ebb_task *t, ebb_shape out)
{
    enum { WEIGHTS_A_TILE = 8192 };
    bool pairs = ctx->isa == EBB_ISA_AVX512BF16 || ctx->isa == EBB_ISA_NEONBF16;
    int64_t tiles = (out.dim[1] + 3) / 4 * ((out.dim[2] + 3) / 4);
    return t->in_type[0] == EBB_BF16 && pairs && t->in_shape[0].dim[3] * out.dim[3] > WEIGHTS_A_TILE * tiles;
}

static bool fast_conv(const ebb_context *ctx, const ebb_task *t)
{
    const int64_t *w = t->in_shape[1].dim;
    return fast(ctx, t) && !weighs_too_much(ctx, t, t->out_shape[0]) &&
           winograd_pays(&t->attr, t->in_shape[0], t->out_shape[0], t->out_shape[0], w[0], w[1]);
}

static bool fast_conv_dx(const ebb_context *ctx, const ebb_task *t)
{
    const int64_t *w = t->in_shape[1].dim;
    return fast(ctx, t) && !weighs_too_much(ctx, t, t->out_shape[0]) &&
           winograd_pays(&t->attr, t->out_shape[0], t->in_shape[0], t->out_shape[0], w[0], w[1]);
}

static bool fast_conv_dw(const ebb_context *ctx, const ebb_task *t)
{
    ebb_shape x = t->in_shape[0], dy = t->in_shape[1];
    return fast(ctx, t) && winograd_pays(&t->attr, x, dy, dy, t->attr.kh, t->attr.kw);
}

static const choice_row table[] = {
#ifdef EBB_HAVE_ONEDNN
    /* Kept for comparison. Times of oneDNN 2.6.3 over ours, one thread, geometric means over the layers of unet-s, -m,
     * -l: exact 1.00 forward, 0.99 data, 0.94 weights; matmul 0.95; the shards need no other layout. */
    {EBB_OP_conv, NULL, {&ebb_backend_onednn, EBB_METHOD_DIRECT}, true},
    {EBB_OP_conv_dx, NULL, {&ebb_backend_onednn, EBB_METHOD_DIRECT}, true},
    {EBB_OP_conv_dw, NULL, {&ebb_backend_onednn, EBB_METHOD_DIRECT}, true},
    {EBB_OP_matmul, NULL, {&ebb_backend_onednn, EBB_METHOD_DIRECT}, true},
#endif
    /* precision.conv=fast: the same means over 3x3 layers, stride 1, from 8x8 on: 2.4 forward, 2.4 data, 1.9 weights
     * (where oneDNN may use Winograd as well); at 4x4 1.8, 1.8, 1.7, where the direct kernels have 0.97, 0.91, 0.99. */
    {EBB_OP_conv, fast_conv, {&ebb_backend_own, EBB_METHOD_WINOGRAD}, false},
    {EBB_OP_conv_dx, fast_conv_dx, {&ebb_backend_own, EBB_METHOD_WINOGRAD}, false},
    {EBB_OP_conv_dw, fast_conv_dw, {&ebb_backend_own, EBB_METHOD_WINOGRAD}, false},
    {EBB_OP_COUNT, NULL, {&ebb_backend_own, EBB_METHOD_DIRECT}, false},
};

ebb_choice ebb_backend_choose(const ebb_context *ctx, const ebb_task *task)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const choice_row *c = &table[i];
        if ((c->op != EBB_OP_COUNT && c->op != task->op) || (c->when && !c->when(ctx, task)))
            continue;
        if (c->only_when_asked && ctx->backend != EBB_BACKEND_ONEDNN)
            continue;
        if (c->choice.backend->supports(ctx, task))
            return c->choice;
    }
    return (ebb_choice){NULL, EBB_METHOD_DIRECT};
}
