/* own.h: the files of the own back end: each runs a family of operations with the kernels of simd/. */
#ifndef EBB_BACKEND_OWN_H
#define EBB_BACKEND_OWN_H

#include "backend/backend.h"

typedef void (*ebb_own_run)(const ebb_executor *e, const ebb_step_args *args);

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

void ebb_own_conv_bf16(const ebb_executor *e, const ebb_step_args *a);
size_t ebb_own_conv_bf16_scratch(const ebb_task *t);
void ebb_own_conv_pack_bf16(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_conv_packed_bf16(const ebb_executor *e, const ebb_step_args *a);
void ebb_own_conv_dw_bf16(const ebb_executor *e, const ebb_step_args *a);

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
