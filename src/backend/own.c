/* own.c: the back end that runs every operation with the kernels of simd/: one row an operation; another where
 * products of bfloat16 go another way, another for convolutions that have bfloat16 on one side only.
 *
 * There is nothing to prepare but the scratch size, so a step is its row's function. Bits depend
 * neither on how many threads there are nor on the pictures a shard holds: each output of each kernel
 * is one fixed chain of operations. So a run may be cut anywhere between outputs, for the threads of a team.
 */
#include "backend/own.h"

typedef struct own_row {
    ebb_own_run run;
    size_t (*scratch)(const ebb_task *task);     /* NULL: none */
    const char *name, *winograd;                 /* for `ebb plan`; winograd: by that method */
    bool only_f32;                               /* does not run on bfloat16 */
    void (*cut)(ebb_executor *e);                /* sets parts, across and, if need be, more scratch; NULL: one part */
} own_row;

static const own_row rows[EBB_OP_COUNT] = {
    [EBB_OP_constant] = {.run = ebb_own_constant, .name = "fill"},
    [EBB_OP_pointwise] = {.run = ebb_own_pointwise, .scratch = ebb_own_pointwise_scratch, .name = "tiles",
                          .cut = ebb_own_pointwise_cut},
    [EBB_OP_sum] = {.run = ebb_own_sum, .scratch = ebb_own_sum_scratch, .name = "sum, colsum"},
    [EBB_OP_softmax] = {.only_f32 = true, .run = ebb_own_softmax, .name = "softmax", .cut = ebb_own_rows_cut},
    [EBB_OP_softmax_vjp] = {.only_f32 = true, .run = ebb_own_softmax_vjp, .name = "softmax_vjp"},
    [EBB_OP_attention] = {.run = ebb_own_attention, .scratch = ebb_own_attention_scratch, .name = "attention",
                          .cut = ebb_own_attention_cut},
    [EBB_OP_attention_vjp] = {.run = ebb_own_attention_vjp, .scratch = ebb_own_attention_vjp_scratch,
                              .name = "attention, attention_vjp"},
    [EBB_OP_attention_vjp_kept] = {.run = ebb_own_attention_vjp, .scratch = ebb_own_attention_scratch,
                                   .name = "attention_vjp"},
    [EBB_OP_transpose] = {.run = ebb_own_transpose, .name = "transpose"},
    [EBB_OP_slice] = {.run = ebb_own_slice, .name = "copy", .cut = ebb_own_runs_cut},
    [EBB_OP_pad] = {.run = ebb_own_pad, .name = "copy"},
    [EBB_OP_concat] = {.run = ebb_own_concat, .name = "copy", .cut = ebb_own_runs_cut},
    [EBB_OP_up2] = {.run = ebb_own_up2, .name = "up2", .cut = ebb_own_resize_cut},
    [EBB_OP_down2] = {.run = ebb_own_down2, .name = "down2", .cut = ebb_own_resize_cut},
    [EBB_OP_dropout_mask] = {.only_f32 = true, .run = ebb_own_dropout_mask, .name = "normal"},
    [EBB_OP_gather] = {.only_f32 = true, .run = ebb_own_gather, .name = "copy"},
    [EBB_OP_scatter_add] = {.only_f32 = true, .run = ebb_own_scatter_add, .name = "add"},
    [EBB_OP_matmul] = {.run = ebb_own_matmul, .scratch = ebb_own_matmul_scratch, .name = "gemm",
                       .cut = ebb_own_matmul_cut},
    [EBB_OP_linear] = {.run = ebb_own_matmul, .scratch = ebb_own_matmul_scratch, .name = "gemm",
                       .cut = ebb_own_matmul_cut},
    [EBB_OP_conv] = {.run = ebb_own_conv, .scratch = ebb_own_conv_scratch, .name = "pack, conv",
                     .winograd = "pack, winograd"},
    [EBB_OP_conv_dx] = {.run = ebb_own_conv, .scratch = ebb_own_conv_scratch, .name = "pack, conv_dx",
                        .winograd = "pack, winograd"},
    [EBB_OP_conv_dw] = {.run = ebb_own_conv_dw, .scratch = ebb_own_conv_scratch, .name = "conv_dw",
                        .winograd = "winograd"},
    [EBB_OP_conv_pack] = {.run = ebb_own_conv_pack, .name = "pack", .winograd = "transform"},
    [EBB_OP_conv_pack_dx] = {.run = ebb_own_conv_pack, .name = "pack", .winograd = "transform"},
    [EBB_OP_conv_packed] = {.run = ebb_own_conv_packed, .scratch = ebb_own_conv_scratch, .name = "conv",
                            .winograd = "winograd", .cut = ebb_own_conv_cut},
    [EBB_OP_conv_dx_packed] = {.run = ebb_own_conv_packed, .scratch = ebb_own_conv_scratch, .name = "conv_dx",
                               .winograd = "winograd", .cut = ebb_own_conv_cut},
    [EBB_OP_group_norm] = {.run = ebb_own_norm, .scratch = ebb_own_norm_scratch, .name = "norm",
                           .cut = ebb_own_norm_cut},
    [EBB_OP_norm] = {.run = ebb_own_norm, .scratch = ebb_own_norm_scratch, .name = "norm", .cut = ebb_own_norm_cut},
    [EBB_OP_group_norm_vjp] = {.run = ebb_own_norm_vjp, .scratch = ebb_own_norm_vjp_scratch,
                               .name = "norm, norm_vjp"},
    [EBB_OP_norm_vjp] = {.run = ebb_own_norm_vjp, .scratch = ebb_own_norm_vjp_scratch, .name = "norm_vjp"},
};

static const own_row rows_bf16[EBB_OP_COUNT] = {
    [EBB_OP_matmul] = {.run = ebb_own_matmul_bf16, .scratch = ebb_own_matmul_bf16_scratch, .name = "pack, gemm"},
    [EBB_OP_linear] = {.run = ebb_own_linear_bf16, .scratch = ebb_own_linear_bf16_scratch, .name = "gemm",
                       .cut = ebb_own_linear_bf16_cut},
};

static const own_row rows_mixed[EBB_OP_COUNT] = {
    [EBB_OP_conv] = {.run = ebb_own_conv_mixed, .scratch = ebb_own_conv_mixed_scratch, .name = "pack, conv, floats"},
    [EBB_OP_conv_dx] = {.run = ebb_own_conv_mixed, .scratch = ebb_own_conv_mixed_scratch,
                        .name = "pack, conv_dx, floats"},
    [EBB_OP_conv_dw] = {.run = ebb_own_conv_dw_mixed, .scratch = ebb_own_conv_mixed_scratch,
                        .name = "conv_dw, floats"},
    [EBB_OP_conv_packed] = {.run = ebb_own_conv_packed_mixed, .scratch = ebb_own_conv_mixed_scratch,
                            .name = "conv, floats", .cut = ebb_own_conv_mixed_cut},
    [EBB_OP_conv_dx_packed] = {.run = ebb_own_conv_packed_mixed, .scratch = ebb_own_conv_mixed_scratch,
                               .name = "conv_dx, floats"},
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
    if (is_mixed(t))
        return &rows_mixed[t->op];
    return bf16 && rows_bf16[t->op].run ? &rows_bf16[t->op] : bf16 && rows[t->op].only_f32 ? NULL : &rows[t->op];
}

static bool supports(const ebb_context *ctx, const ebb_task *task)
{
    (void)ctx;
    const own_row *row = row_of(task);
    return row != NULL && row->run != NULL;
}

static ebb_status prepare(ebb_context *ctx, ebb_executor *e, int workers)
{
    const own_row *row = row_of(&e->task);
    (void)ctx, (void)workers;
    e->run = row->run;
    e->scratch_bytes = row->scratch ? row->scratch(&e->task) : 0;
    e->implementation = e->task.attr.method == EBB_METHOD_WINOGRAD ? row->winograd : row->name;
    if (row->cut && e->team > 1)
        row->cut(e);
    return EBB_OK;
}

const ebb_backend ebb_backend_own = {.name = "own", .supports = supports, .prepare = prepare};
