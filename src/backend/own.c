/* own.c: the back end that runs every operation with the kernels of simd/: one row an operation; another where
 * activations are bfloat16, another for convolutions that are so on one side only.
 *
 * There is nothing to prepare but the scratch size, so a step is its row's function. Bits depend
 * neither on how many threads there are nor on the pictures a shard holds: each output of each kernel
 * is one fixed chain of operations. So a run may be cut anywhere between outputs, for the threads of a team.
 */
#include "backend/own.h"

typedef struct own_row {
    ebb_own_run run;
    size_t (*scratch)(const ebb_task *task);     /* NULL: none */
    const char *implementation, *winograd;       /* winograd: its name by that method */
    void (*cut)(ebb_executor *e);                /* sets parts, across and, if need be, more scratch; NULL: one part */
} own_row;

static const own_row rows[EBB_OP_COUNT] = {
    [EBB_OP_constant] = {ebb_own_constant, NULL, "fill"},
    [EBB_OP_pointwise] = {ebb_own_pointwise, ebb_own_pointwise_scratch, "tiles", NULL, ebb_own_pointwise_cut},
    [EBB_OP_sum] = {ebb_own_sum, ebb_own_sum_scratch, "sum, colsum"},
    [EBB_OP_softmax] = {ebb_own_softmax, NULL, "softmax", NULL, ebb_own_rows_cut},
    [EBB_OP_softmax_vjp] = {ebb_own_softmax_vjp, NULL, "softmax_vjp"},
    [EBB_OP_attention] = {ebb_own_attention, ebb_own_attention_scratch, "attention", NULL, ebb_own_attention_cut},
    [EBB_OP_attention_vjp] = {ebb_own_attention_vjp, ebb_own_attention_vjp_scratch, "attention, attention_vjp"},
    [EBB_OP_attention_vjp_kept] = {ebb_own_attention_vjp, ebb_own_attention_scratch, "attention_vjp"},
    [EBB_OP_transpose] = {ebb_own_transpose, NULL, "transpose"},
    [EBB_OP_slice] = {ebb_own_slice, NULL, "copy", NULL, ebb_own_runs_cut},
    [EBB_OP_pad] = {ebb_own_pad, NULL, "copy"},
    [EBB_OP_concat] = {ebb_own_concat, NULL, "copy", NULL, ebb_own_runs_cut},
    [EBB_OP_up2] = {ebb_own_up2, NULL, "up2", NULL, ebb_own_resize_cut},
    [EBB_OP_down2] = {ebb_own_down2, NULL, "down2", NULL, ebb_own_resize_cut},
    [EBB_OP_gather] = {ebb_own_gather, NULL, "copy"},
    [EBB_OP_scatter_add] = {ebb_own_scatter_add, NULL, "add"},
    [EBB_OP_matmul] = {ebb_own_matmul, ebb_own_matmul_scratch, "gemm", NULL, ebb_own_matmul_cut},
    [EBB_OP_linear] = {ebb_own_matmul, ebb_own_matmul_scratch, "gemm", NULL, ebb_own_matmul_cut},
    [EBB_OP_conv] = {ebb_own_conv, ebb_own_conv_scratch, "pack, conv", "pack, winograd"},
    [EBB_OP_conv_dx] = {ebb_own_conv, ebb_own_conv_scratch, "pack, conv_dx", "pack, winograd"},
    [EBB_OP_conv_dw] = {ebb_own_conv_dw, ebb_own_conv_scratch, "conv_dw", "winograd"},
    [EBB_OP_conv_pack] = {ebb_own_conv_pack, NULL, "pack", "transform"},
    [EBB_OP_conv_pack_dx] = {ebb_own_conv_pack, NULL, "pack", "transform"},
    [EBB_OP_conv_packed] = {ebb_own_conv_packed, ebb_own_conv_scratch, "conv", "winograd", ebb_own_conv_cut},
    [EBB_OP_conv_dx_packed] = {ebb_own_conv_packed, ebb_own_conv_scratch, "conv_dx", "winograd", ebb_own_conv_cut},
    [EBB_OP_group_norm] = {ebb_own_norm, ebb_own_norm_scratch, "norm", NULL, ebb_own_norm_cut},
    [EBB_OP_norm] = {ebb_own_norm, ebb_own_norm_scratch, "norm", NULL, ebb_own_norm_cut},
    [EBB_OP_group_norm_vjp] = {ebb_own_norm_vjp, ebb_own_norm_vjp_scratch, "norm, norm_vjp"},
    [EBB_OP_norm_vjp] = {ebb_own_norm_vjp, ebb_own_norm_vjp_scratch, "norm_vjp"},
};

static const own_row rows_bf16[EBB_OP_COUNT] = {
    [EBB_OP_pointwise] = {ebb_own_pointwise, ebb_own_pointwise_scratch, "tiles", NULL, ebb_own_pointwise_cut},
    [EBB_OP_sum] = {ebb_own_sum, ebb_own_sum_scratch, "sum, colsum"},
    [EBB_OP_attention] = {ebb_own_attention, ebb_own_attention_scratch, "attention", NULL, ebb_own_attention_cut},
    [EBB_OP_attention_vjp] = {ebb_own_attention_vjp, ebb_own_attention_vjp_scratch, "attention, attention_vjp"},
    [EBB_OP_attention_vjp_kept] = {ebb_own_attention_vjp, ebb_own_attention_scratch, "attention_vjp"},
    [EBB_OP_transpose] = {ebb_own_transpose, NULL, "copy"},
    [EBB_OP_slice] = {ebb_own_slice, NULL, "copy", NULL, ebb_own_runs_cut},
    [EBB_OP_pad] = {ebb_own_pad, NULL, "copy"},
    [EBB_OP_concat] = {ebb_own_concat, NULL, "copy", NULL, ebb_own_runs_cut},
    [EBB_OP_up2] = {ebb_own_up2, NULL, "up2", NULL, ebb_own_resize_cut},
    [EBB_OP_down2] = {ebb_own_down2, NULL, "down2", NULL, ebb_own_resize_cut},
    [EBB_OP_matmul] = {ebb_own_matmul_bf16, ebb_own_matmul_bf16_scratch, "pack, gemm"},
    [EBB_OP_linear] = {ebb_own_linear_bf16, ebb_own_linear_bf16_scratch, "gemm", NULL, ebb_own_linear_bf16_cut},
    [EBB_OP_conv] = {ebb_own_conv_bf16, ebb_own_conv_bf16_scratch, "pack, conv", "pack, winograd"},
    [EBB_OP_conv_dx] = {ebb_own_conv_bf16, ebb_own_conv_bf16_scratch, "pack, conv_dx", "pack, winograd"},
    [EBB_OP_conv_dw] = {ebb_own_conv_dw_bf16, ebb_own_conv_bf16_scratch, "conv_dw", "winograd"},
    [EBB_OP_conv_pack] = {ebb_own_conv_pack_bf16, NULL, "pack"},
    [EBB_OP_conv_pack_dx] = {ebb_own_conv_pack_bf16, NULL, "pack"},
    [EBB_OP_conv_packed] = {ebb_own_conv_packed_bf16, ebb_own_conv_bf16_scratch, "conv", "winograd",
                            ebb_own_conv_bf16_cut},
    [EBB_OP_conv_dx_packed] = {ebb_own_conv_packed_bf16, ebb_own_conv_bf16_scratch, "conv_dx", "winograd",
                               ebb_own_conv_bf16_cut},
    [EBB_OP_group_norm] = {ebb_own_norm, ebb_own_norm_scratch, "norm", NULL, ebb_own_norm_cut},
    [EBB_OP_norm] = {ebb_own_norm, ebb_own_norm_scratch, "norm", NULL, ebb_own_norm_cut},
    [EBB_OP_group_norm_vjp] = {ebb_own_norm_vjp, ebb_own_norm_vjp_scratch, "norm, norm_vjp"},
    [EBB_OP_norm_vjp] = {ebb_own_norm_vjp, ebb_own_norm_vjp_scratch, "norm_vjp"},
};

static const own_row rows_mixed[EBB_OP_COUNT] = {
    [EBB_OP_conv] = {ebb_own_conv_mixed, ebb_own_conv_mixed_scratch, "pack, conv, floats"},
    [EBB_OP_conv_dx] = {ebb_own_conv_mixed, ebb_own_conv_mixed_scratch, "pack, conv_dx, floats"},
    [EBB_OP_conv_dw] = {ebb_own_conv_dw_mixed, ebb_own_conv_mixed_scratch, "conv_dw, floats"},
    [EBB_OP_conv_packed] = {ebb_own_conv_packed_mixed, ebb_own_conv_mixed_scratch, "conv, floats", NULL,
                            ebb_own_conv_mixed_cut},
    [EBB_OP_conv_dx_packed] = {ebb_own_conv_packed_mixed, ebb_own_conv_mixed_scratch, "conv_dx, floats"},
};

static bool is_mixed(const ebb_task *t)
{
    switch (t->op) {
    case EBB_OP_conv:
    case EBB_OP_conv_dx:
    case EBB_OP_conv_packed:
    case EBB_OP_conv_dx_packed: return t->in_type[0] != t->out_type[0];
    case EBB_OP_conv_dw: return t->in_type[0] != t->in_type[1];
    default: return false;
    }
}

static const own_row *row_of(const ebb_task *t)
{
    bool bf16 = t->out_type[0] == EBB_BF16;
    for (int i = 0; i < t->nin; i++)
        bf16 |= t->in_type[i] == EBB_BF16;
    return is_mixed(t) ? &rows_mixed[t->op] : bf16 ? &rows_bf16[t->op] : &rows[t->op];
}

static bool supports(const ebb_context *ctx, const ebb_task *task)
{
    (void)ctx;
    return row_of(task)->run != NULL;
}

static ebb_status prepare(ebb_context *ctx, ebb_executor *e, int workers)
{
    const own_row *row = row_of(&e->task);
    (void)ctx, (void)workers;
    e->run = row->run;
    e->scratch_bytes = row->scratch ? row->scratch(&e->task) : 0;
    e->implementation = e->task.attr.method == EBB_METHOD_WINOGRAD ? row->winograd : row->implementation;
    if (row->cut && e->team > 1)
        row->cut(e);
    return EBB_OK;
}

const ebb_backend ebb_backend_own = {.name = "own", .supports = supports, .prepare = prepare};
