/* choose.c: what runs a node: one ordered table, first match wins.
 *
 * A row: an operation (or any), a condition on the task, the back end and its method. EBB_BACKEND=own|onednn
 * (or the context option) drops the rows of the other; own always remains as the last resort, because it runs
 * every operation. Rows are ordered by measurement (bench/bench_conv): see the note beside each.
 *
 * No condition looks at the instruction set: methods differ in bits, and a result depends on recipe, seed and
 * data alone. Each row was the better one on AVX2 and AVX-512 alike.
 */
#include "backend/backend.h"

typedef struct choice_row {
    ebb_op op;                                   /* EBB_OP_COUNT: any */
    bool (*when)(const ebb_task *task);          /* NULL: always */
    ebb_choice choice;
    bool only_when_asked;                        /* EBB_BACKEND=onednn, not auto */
} choice_row;

/* x (N,H,W,Ci), w (3,3,Ci,Co), y (N,OH,OW,Co): wide enough in channels that the products outweigh the transforms
 * of 4x4 tiles, and large enough that few of them stick out. */
static bool winograd_pays(const ebb_attr *a, ebb_shape x, ebb_shape y, int64_t kh, int64_t kw)
{
    enum { CHANNELS = 16, SIDE = 8 };
    return kh == 3 && kw == 3 && a->stride == 1 && a->pad_top <= 2 && a->pad_left <= 2 && x.dim[3] >= CHANNELS &&
           y.dim[3] >= CHANNELS && y.dim[1] >= SIDE && y.dim[2] >= SIDE;
}

static bool fast_conv(const ebb_task *t)
{
    const int64_t *w = t->in_shape[1].dim;
    return t->fast && winograd_pays(&t->attr, t->in_shape[0], t->out_shape[0], w[0], w[1]);
}

static bool fast_conv_dx(const ebb_task *t)
{
    const int64_t *w = t->in_shape[1].dim;
    return t->fast && winograd_pays(&t->attr, t->out_shape[0], t->in_shape[0], w[0], w[1]);
}

static bool fast_conv_dw(const ebb_task *t)
{
    return t->fast && winograd_pays(&t->attr, t->in_shape[0], t->in_shape[1], t->attr.kh, t->attr.kw);
}

static const choice_row table[] = {
#ifdef EBB_HAVE_ONEDNN
    /* Kept for comparison: inside shards the own kernels are not slower (README, Measured). */
    {EBB_OP_conv, NULL, {&ebb_backend_onednn, EBB_METHOD_DIRECT}, true},
    {EBB_OP_conv_dx, NULL, {&ebb_backend_onednn, EBB_METHOD_DIRECT}, true},
    {EBB_OP_conv_dw, NULL, {&ebb_backend_onednn, EBB_METHOD_DIRECT}, true},
    {EBB_OP_matmul, NULL, {&ebb_backend_onednn, EBB_METHOD_DIRECT}, true},
#endif
    /* precision.conv=fast. */
    {EBB_OP_conv, fast_conv, {&ebb_backend_own, EBB_METHOD_WINOGRAD}, false},
    {EBB_OP_conv_dx, fast_conv_dx, {&ebb_backend_own, EBB_METHOD_WINOGRAD}, false},
    {EBB_OP_conv_dw, fast_conv_dw, {&ebb_backend_own, EBB_METHOD_WINOGRAD}, false},
    {EBB_OP_COUNT, NULL, {&ebb_backend_own, EBB_METHOD_DIRECT}, false},
};

ebb_choice ebb_backend_choose(const ebb_context *ctx, const ebb_task *task)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const choice_row *c = &table[i];
        if ((c->op != EBB_OP_COUNT && c->op != task->op) || (c->when && !c->when(task)))
            continue;
        if (c->only_when_asked && ctx->backend != EBB_BACKEND_ONEDNN)
            continue;
        if (c->choice.backend->supports(ctx, task))
            return c->choice;
    }
    return (ebb_choice){NULL, EBB_METHOD_DIRECT};
}
