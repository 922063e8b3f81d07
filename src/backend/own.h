/* own.h: the files of the own back end: each runs a family of operations with the kernels of simd/. */
#ifndef EBB_BACKEND_OWN_H
#define EBB_BACKEND_OWN_H

#include "backend/backend.h"

typedef void (*ebb_own_run)(const ebb_executor *e, const ebb_step_args *args);

/* ---- parts of a run (own_cut.c) ------------------------------------------------------------ */
/* Things begin..end-1. */
typedef struct ebb_span { int64_t begin, end; } ebb_span;
/* Part `part` of `parts` of n things, cut at multiples of `unit`. */
ebb_span ebb_own_span(int64_t n, int64_t unit, int part, int parts);
/* Parts for the executor's team when there are so many units to cut between, and `numbers` to work on, of which
 * fewer than `fewest` are not worth a thread. */
int ebb_own_parts(const ebb_executor *e, int64_t units, int64_t numbers, int64_t fewest);
/* A product of row units and panels of columns, in clock cycles of one core: a panel of a row unit costs `each`, a
 * row unit `row`, a panel `column`. Sets the executor's parts and across to the cut that is done first. */
typedef struct ebb_own_grid { int64_t rows, columns; double each, row, column; } ebb_own_grid;
void ebb_own_cut_grid(ebb_executor *e, const ebb_own_grid *g);

void ebb_own_conv_cut(ebb_executor *e);
void ebb_own_conv_mixed_cut(ebb_executor *e);
void ebb_own_matmul_cut(ebb_executor *e);
void ebb_own_linear_bf16_cut(ebb_executor *e);
void ebb_own_norm_cut(ebb_executor *e);
void ebb_own_attention_cut(ebb_executor *e);
void ebb_own_pointwise_cut(ebb_executor *e);
void ebb_own_rows_cut(ebb_executor *e);          /* softmax */
void ebb_own_runs_cut(ebb_executor *e);          /* slice, concat */
void ebb_own_resize_cut(ebb_executor *e);         /* up2, down2 */

/* ---- operations ---------------------------------------------------------------------------- */

void ebb_own_constant(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_pointwise(const ebb_executor *e, const ebb_step_args *a);
size_t ebb_own_pointwise_scratch(const ebb_task *t);

void ebb_own_sum(const ebb_executor *e, const ebb_step_args *a);
size_t ebb_own_sum_scratch(const ebb_task *t);
void ebb_own_softmax(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_softmax_vjp(const ebb_executor *e, const ebb_step_args *a);

void ebb_own_transpose(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_slice(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_pad(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_concat(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_up2(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_down2(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_dropout_mask(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_gather(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_scatter_add(const ebb_executor *e, const ebb_step_args *a);

void ebb_own_matmul(const ebb_executor *e, const ebb_step_args *a);
size_t ebb_own_matmul_scratch(const ebb_task *t);

void ebb_own_matmul_bf16(const ebb_executor *e, const ebb_step_args *a);
size_t ebb_own_matmul_bf16_scratch(const ebb_task *t);
void ebb_own_linear_bf16(const ebb_executor *e, const ebb_step_args *a);
size_t ebb_own_linear_bf16_scratch(const ebb_task *t);

ebb_conv_shape ebb_own_conv_shape(const ebb_task *t);                      /* of the trio and its packed forms */
void ebb_own_conv(const ebb_executor *e, const ebb_step_args *a);          /* conv, conv_dx: packs first */
size_t ebb_own_conv_scratch(const ebb_task *t);
void ebb_own_conv_pack(const ebb_executor *e, const ebb_step_args *a);     /* and conv_pack_dx */
void ebb_own_conv_packed(const ebb_executor *e, const ebb_step_args *a);   /* and conv_dx_packed */
void ebb_own_conv_dw(const ebb_executor *e, const ebb_step_args *a);

void ebb_own_conv_mixed(const ebb_executor *e, const ebb_step_args *a);    /* f32 on one side, bf16 on the other */
size_t ebb_own_conv_mixed_scratch(const ebb_task *t);
void ebb_own_conv_packed_mixed(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_conv_dw_mixed(const ebb_executor *e, const ebb_step_args *a);

void ebb_own_norm(const ebb_executor *e, const ebb_step_args *a);          /* and group_norm */
void ebb_own_norm_vjp(const ebb_executor *e, const ebb_step_args *a);      /* and group_norm_vjp */
size_t ebb_own_norm_scratch(const ebb_task *t);
size_t ebb_own_norm_vjp_scratch(const ebb_task *t);

void ebb_own_attention(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_attention_vjp(const ebb_executor *e, const ebb_step_args *a); /* and attention_vjp_kept */
size_t ebb_own_attention_scratch(const ebb_task *t);
size_t ebb_own_attention_vjp_scratch(const ebb_task *t);

#endif
