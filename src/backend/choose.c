/* choose.c: which back end runs a node: one ordered table, first match wins.
 *
 * Each row: an operation (or any), a condition on the task, the back end. EBB_BACKEND=own|onednn (or the
 * context option) drops the rows of the other; own always remains as the last resort, because it runs
 * every operation. Rows are ordered by measurement: see the note beside each.
 */
#include "backend/backend.h"

typedef struct choice {
    ebb_op op;                                   /* EBB_OP_COUNT: any */
    bool (*when)(const ebb_task *task);          /* NULL: always */
    const ebb_backend *backend;
    bool only_when_asked;                        /* EBB_BACKEND=onednn, not auto */
} choice;

static const choice table[] = {
#ifdef EBB_HAVE_ONEDNN
    /* Kept for comparison: inside shards the own kernels are not slower (README, Measured). */
    {EBB_OP_conv, NULL, &ebb_backend_onednn, true},
    {EBB_OP_conv_dx, NULL, &ebb_backend_onednn, true},
    {EBB_OP_conv_dw, NULL, &ebb_backend_onednn, true},
    {EBB_OP_matmul, NULL, &ebb_backend_onednn, true},
#endif
    {EBB_OP_COUNT, NULL, &ebb_backend_own, false},
};

const ebb_backend *ebb_backend_choose(const ebb_context *ctx, const ebb_task *task)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const choice *c = &table[i];
        if ((c->op != EBB_OP_COUNT && c->op != task->op) || (c->when && !c->when(task)))
            continue;
        if (c->only_when_asked && ctx->backend != EBB_BACKEND_ONEDNN)
            continue;
        if (c->backend->supports(ctx, task))
            return c->backend;
    }
    return NULL;
}
