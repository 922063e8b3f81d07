/* own.c: the back end that runs every operation with the kernels of simd/: one row an operation.
 *
 * There is nothing to prepare but the scratch size, so a step is its row's function. Bits depend
 * neither on how many threads there are nor on the pictures a shard holds: each output of each kernel
 * is one fixed chain of operations.
 */
#include "backend/own.h"

typedef struct own_row {
    ebb_own_run run;
    size_t (*scratch)(const ebb_task *task);     /* NULL: none */
    const char *implementation, *winograd;       /* winograd: its name by that method */
} own_row;

static const own_row rows[EBB_OP_COUNT] = {
    [EBB_OP_constant] = {ebb_own_constant, NULL, "fill"},
    [EBB_OP_pointwise] = {ebb_own_pointwise, ebb_own_pointwise_scratch, "tiles"},
    [EBB_OP_sum] = {ebb_own_sum, ebb_own_sum_scratch, "sum, colsum"},
    [EBB_OP_softmax] = {ebb_own_softmax, NULL, "softmax"},
    [EBB_OP_softmax_vjp] = {ebb_own_softmax_vjp, NULL, "softmax_vjp"},
    [EBB_OP_attention] = {ebb_own_attention, ebb_own_attention_scratch, "attention"},
    [EBB_OP_attention_vjp] = {ebb_own_attention_vjp, ebb_own_attention_vjp_scratch, "attention, attention_vjp"},
    [EBB_OP_attention_vjp_kept] = {ebb_own_attention_vjp, ebb_own_attention_scratch, "attention_vjp"},
    [EBB_OP_transpose] = {ebb_own_transpose, NULL, "transpose"},
    [EBB_OP_slice] = {ebb_own_slice, NULL, "copy"},
    [EBB_OP_pad] = {ebb_own_pad, NULL, "copy"},
    [EBB_OP_concat] = {ebb_own_concat, NULL, "copy"},
    [EBB_OP_up2] = {ebb_own_up2, NULL, "up2"},
    [EBB_OP_down2] = {ebb_own_down2, NULL, "down2"},
    [EBB_OP_gather] = {ebb_own_gather, NULL, "copy"},
    [EBB_OP_scatter_add] = {ebb_own_scatter_add, NULL, "add"},
    [EBB_OP_matmul] = {ebb_own_matmul, ebb_own_matmul_scratch, "gemm"},
    [EBB_OP_linear] = {ebb_own_matmul, ebb_own_matmul_scratch, "gemm"},
    [EBB_OP_conv] = {ebb_own_conv, ebb_own_conv_scratch, "pack, conv", "pack, winograd"},
    [EBB_OP_conv_dx] = {ebb_own_conv, ebb_own_conv_scratch, "pack, conv_dx", "pack, winograd"},
    [EBB_OP_conv_dw] = {ebb_own_conv_dw, ebb_own_conv_scratch, "conv_dw", "winograd"},
    [EBB_OP_conv_pack] = {ebb_own_conv_pack, NULL, "pack", "transform"},
    [EBB_OP_conv_pack_dx] = {ebb_own_conv_pack, NULL, "pack", "transform"},
    [EBB_OP_conv_packed] = {ebb_own_conv_packed, ebb_own_conv_scratch, "conv", "winograd"},
    [EBB_OP_conv_dx_packed] = {ebb_own_conv_packed, ebb_own_conv_scratch, "conv_dx", "winograd"},
    [EBB_OP_group_norm] = {ebb_own_norm, ebb_own_norm_scratch, "norm"},
    [EBB_OP_norm] = {ebb_own_norm, ebb_own_norm_scratch, "norm"},
    [EBB_OP_group_norm_vjp] = {ebb_own_norm_vjp, ebb_own_norm_vjp_scratch, "norm, norm_vjp"},
    [EBB_OP_norm_vjp] = {ebb_own_norm_vjp, ebb_own_norm_vjp_scratch, "norm_vjp"},
};

static bool supports(const ebb_context *ctx, const ebb_task *task)
{
    (void)ctx;
    return rows[task->op].run != NULL;
}

static ebb_status prepare(ebb_context *ctx, ebb_executor *e, int workers)
{
    const own_row *row = &rows[e->task.op];
    (void)ctx, (void)workers;
    e->run = row->run;
    e->scratch_bytes = row->scratch ? row->scratch(&e->task) : 0;
    e->implementation = e->task.attr.method == EBB_METHOD_WINOGRAD ? row->winograd : row->implementation;
    return EBB_OK;
}

const ebb_backend ebb_backend_own = {.name = "own", .supports = supports, .prepare = prepare};
