/* dnn.h: oneDNN as the rival: one primitive with memory of its own. */
#ifndef EBB_BENCH_DNN_H
#define EBB_BENCH_DNN_H

#include "bench.h"

typedef enum dnn_pass { DNN_FORWARD, DNN_DX, DNN_DW } dnn_pass;
/* How its tensors lie, and what it may compute. */
typedef enum dnn_way {
    DNN_NHWC,        /* pictures NHWC, weights as it likes, direct */
    DNN_ANY,         /* all as it likes, direct */
    DNN_ANY_AUTO,    /* all as it likes; Winograd allowed */
    DNN_WAYS
} dnn_way;

typedef struct dnn dnn;

/* A convolution pass over s->n pictures by `threads` threads of oneDNN's own. NULL: oneDNN cannot, or only by its
 * reference loops. Weight gradients of bf16 are f32. */
dnn *dnn_conv_open(const ebb_conv_shape *s, dnn_pass pass, bool bf16, dnn_way way, int threads);
/* o = softmax(q k^T) v of `heads` heads by matmul, softmax, matmul; or its adjoint by four matmuls and one of softmax,
 * with the probabilities kept from the forward pass. */
dnn *dnn_attention_open(int heads, int tokens, int d, bool adjoint, bool bf16, int threads);
void dnn_run(dnn *d);
const char *dnn_name(const dnn *d);   /* oneDNN's name of the implementation */
void dnn_free(dnn *d);                /* NULL is fine */

#endif
