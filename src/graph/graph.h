/* graph.h: the static graph that networks, losses and their derivatives are written in.
 *
 * A flat SSA array of nodes; a value is an index into it, inputs always precede. Shapes are static.
 * Pictures are NHWC. The first error latches on the graph (builders then return EBB_NONE and accept
 * EBB_NONE), so that network code reads like mathematics and checks once, with ebb_graph_status.
 *
 * Derivatives are emitted as ordinary nodes: ebb_vjp (reverse), ebb_jvp (forward), in any order and
 * nesting. Fusion happens after that, in src/plan.
 */
#ifndef EBB_GRAPH_H
#define EBB_GRAPH_H

#include "base/base.h"

#define EBB_RANK_MAX 6
#define EBB_INPUTS_MAX 8
#define EBB_PARTS_MAX 5
#define EBB_NONE (-1)

typedef int32_t ebb_value;

typedef enum ebb_dtype { EBB_F32, EBB_I32, EBB_BF16 } ebb_dtype;
size_t ebb_dtype_bytes(ebb_dtype type);
const char *ebb_dtype_name(ebb_dtype type);     /* "f32", "i32", "bf16" */

typedef struct ebb_shape {
    int rank;                   /* 0: a scalar */
    int64_t dim[EBB_RANK_MAX];  /* each >= 1 */
} ebb_shape;

typedef enum ebb_op {
#define OP(name, inputs, class) EBB_OP_##name,
#include "graph/ops.def"
#undef OP
    EBB_OP_COUNT
} ebb_op;

/* How a parameter is drawn at the start and how it lies in a file. */
typedef enum ebb_init { EBB_INIT_ZERO, EBB_INIT_ONE, EBB_INIT_UNIFORM, EBB_INIT_NORMAL } ebb_init;
typedef enum ebb_layout {
    EBB_LAYOUT_PLAIN,   /* as it is */
    EBB_LAYOUT_LINEAR,  /* memory (in, out), file (out, in) */
    EBB_LAYOUT_CONV     /* memory (kh, kw, in, out), file (out, in, kh, kw) */
} ebb_layout;

/* What a node needs beside its inputs; each operation reads only its own members. */
typedef struct ebb_attr {
    float alpha, beta;           /* affine: alpha*x + beta; constant: alpha; softmax: alpha (scale);
                                    attention: alpha (scale); group_norm: alpha (eps); param: alpha (init scale);
                                    dropout_mask: alpha (rate), beta (a normal number is below it that often) */
    int32_t axis;                /* slice, pad, concat */
    int64_t begin, end;          /* slice: [begin, end); pad: zeros before, after */
    int32_t perm[EBB_RANK_MAX];  /* transpose: output axis i is input axis perm[i] */
    uint32_t axes;               /* sum: bit mask of axes */
    int32_t stride, pad_top, pad_left, kh, kw; /* conv trio */
    int64_t h, w;                /* conv: output size; conv_dx: input size; attention: h, keys */
    int32_t groups;              /* group_norm */
    int32_t rows;                /* scatter_add: rows of the result */
    int32_t index;               /* part: which; input, param: number; pointwise: program; dropout_mask: layer */
    uint8_t ta, tb;              /* matmul */
    uint8_t silu;                /* norm, norm_vjp */
    uint8_t method;              /* conv trio: ebb_method of backend.h, set by the planner */
    uint8_t each_run;            /* conv_pack, conv_pack_dx: in every run, for the node behind it alone */
    uint8_t init, layout;        /* param */
    uint8_t fixed;               /* param: drawn and stored, never trained */
} ebb_attr;

typedef struct ebb_node {
    ebb_op op;
    ebb_dtype type;
    ebb_shape shape;
    int nin;
    ebb_value in[EBB_INPUTS_MAX];
    ebb_attr attr;
    const char *name;            /* input, param: owned by the graph; else NULL */
} ebb_node;

typedef struct ebb_graph {
    ebb_context *ctx;
    ebb_status status;           /* first error */
    ebb_node *node;
    int32_t count, capacity;
    ebb_value *params;  int32_t nparams, params_capacity;   /* in order of creation */
    ebb_value *inputs;  int32_t ninputs, inputs_capacity;
    char scope[128];             /* prefix of parameter names, "down_blocks.0." */
    bool marking;                /* ebb_mark_value keeps what it is told */
    struct ebb_mark { char *name; ebb_value value; } *mark; int32_t marks, marks_capacity;
} ebb_graph;

ebb_status ebb_graph_create(ebb_context *ctx, ebb_graph **out);
void ebb_graph_free(ebb_graph *g);
ebb_status ebb_graph_status(const ebb_graph *g);
/* Latches an error with a message; returns EBB_NONE. For builders above this layer too. */
ebb_value ebb_graph_fail(ebb_graph *g, ebb_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Appends a node after checking it with the operation's infer rule, which sets type and shape. */
ebb_value ebb_graph_add(ebb_graph *g, ebb_node node);
const ebb_node *ebb_graph_node(const ebb_graph *g, ebb_value v);   /* NULL for EBB_NONE */
ebb_shape ebb_graph_shape(const ebb_graph *g, ebb_value v);

/* Parameter names are scope + name. Push returns the old length for pop. */
size_t ebb_scope_push(ebb_graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ebb_scope_pop(ebb_graph *g, size_t length);

/* v is the result of the module scope + name, or with name "" of the scope itself: kept in `mark` for those who look, where the
 * graph is marking. */
void ebb_mark_value(ebb_graph *g, const char *name, ebb_value v);

#define EBB_SHAPE(...)                                                        \
    ebb_shape_from((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
                   (const int64_t[]){__VA_ARGS__})
ebb_shape ebb_shape_from(int rank, const int64_t *dim);
#define EBB_SCALAR ((ebb_shape){0})
int64_t ebb_shape_count(ebb_shape s);           /* product of dimensions; 1 for a scalar */
bool ebb_shape_equal(ebb_shape a, ebb_shape b);
void ebb_shape_text(ebb_shape s, char *buffer, size_t size);   /* "8x32x32x64" */

const char *ebb_op_name(ebb_op op);
/* The third column of ops.def. */
typedef enum ebb_op_class {
    EBB_CLASS_LEAF, EBB_CLASS_UNARY, EBB_CLASS_BINARY, EBB_CLASS_SHAPE, EBB_CLASS_LINEAR,
    EBB_CLASS_NONLIN, EBB_CLASS_ADJOINT, EBB_CLASS_STOP, EBB_CLASS_FUSED
} ebb_op_class;
ebb_op_class ebb_op_class_of(ebb_op op);

/* ---- builders ---------------------------------------------------------------------------- */
/* Leaves. Names are unique within their kind. */
ebb_value ebb_input(ebb_graph *g, const char *name, ebb_dtype type, ebb_shape shape);
ebb_value ebb_param(ebb_graph *g, const char *name, ebb_shape shape, ebb_init init, float scale,
                    ebb_layout layout);         /* uniform: U(-scale, scale); normal: std = scale */
/* One that training leaves as it is: drawn and stored like the others, its gradient is zero. */
ebb_value ebb_param_fixed(ebb_graph *g, const char *name, ebb_shape shape, ebb_init init, float scale,
                          ebb_layout layout);
ebb_value ebb_constant(ebb_graph *g, ebb_shape shape, float value);

/* Pointwise. Binary ones broadcast: shapes are aligned at the LAST axis, missing or size-1 axes
 * stretch (NumPy's rule). */
ebb_value ebb_affine(ebb_graph *g, ebb_value x, float alpha, float beta);  /* alpha*x + beta */
ebb_value ebb_scale(ebb_graph *g, ebb_value x, float alpha);
ebb_value ebb_neg(ebb_graph *g, ebb_value x);
ebb_value ebb_square(ebb_graph *g, ebb_value x);   /* x*x */
ebb_value ebb_recip(ebb_graph *g, ebb_value x);
ebb_value ebb_exp(ebb_graph *g, ebb_value x);
ebb_value ebb_log(ebb_graph *g, ebb_value x);
ebb_value ebb_sqrt(ebb_graph *g, ebb_value x);
ebb_value ebb_sin(ebb_graph *g, ebb_value x);
ebb_value ebb_cos(ebb_graph *g, ebb_value x);
ebb_value ebb_tanh(ebb_graph *g, ebb_value x);
ebb_value ebb_sigmoid(ebb_graph *g, ebb_value x);
ebb_value ebb_silu(ebb_graph *g, ebb_value x);     /* x * sigmoid(x) */
ebb_value ebb_step(ebb_graph *g, ebb_value x);     /* x > 0 ? 1 : 0; derivative 0 */
ebb_value ebb_relu(ebb_graph *g, ebb_value x);     /* max(x, 0) */
ebb_value ebb_add(ebb_graph *g, ebb_value a, ebb_value b);
ebb_value ebb_sub(ebb_graph *g, ebb_value a, ebb_value b);
ebb_value ebb_mul(ebb_graph *g, ebb_value a, ebb_value b);
ebb_value ebb_div(ebb_graph *g, ebb_value a, ebb_value b);
ebb_value ebb_max(ebb_graph *g, ebb_value a, ebb_value b);  /* derivative to a where a > b, else b */
ebb_value ebb_min(ebb_graph *g, ebb_value a, ebb_value b);

/* Sums over the axes of the mask, which stay with size 1. ebb_sum_all gives a scalar (rank 0). */
ebb_value ebb_sum(ebb_graph *g, ebb_value x, uint32_t axes);
ebb_value ebb_sum_all(ebb_graph *g, ebb_value x);
ebb_value ebb_mean_all(ebb_graph *g, ebb_value x);
/* To `shape`: x's axes align at the last; missing axes and axes of size 1 stretch. */
ebb_value ebb_broadcast(ebb_graph *g, ebb_value x, ebb_shape shape);
ebb_value ebb_reshape(ebb_graph *g, ebb_value x, ebb_shape shape);
ebb_value ebb_transpose(ebb_graph *g, ebb_value x, const int *perm);
ebb_value ebb_slice(ebb_graph *g, ebb_value x, int axis, int64_t begin, int64_t end);
ebb_value ebb_pad(ebb_graph *g, ebb_value x, int axis, int64_t before, int64_t after);
ebb_value ebb_concat(ebb_graph *g, ebb_value a, ebb_value b, int axis);

/* (..., M, K) x (..., K, N) -> (..., M, N), equal leading axes; ta: a lies as (..., K, M), tb: b as
 * (..., N, K). */
ebb_value ebb_matmul(ebb_graph *g, ebb_value a, ebb_value b, bool ta, bool tb);

/* The trio. y[n,i,j,o] = sum_{kh,kw,c} x[n, i*stride + kh - pad_top, j*stride + kw - pad_left, c] *
 * w[kh,kw,c,o], zeros outside x; x (N,H,W,Ci), w (KH,KW,Ci,Co), y (N,OH,OW,Co). The output size
 * (oh, ow) is explicit, so that every padding can be had.
 * conv_dx(dy, w) -> (N,h,w,Ci): adjoint in x. conv_dw(x, dy) -> (KH,KW,Ci,Co): adjoint in w. */
ebb_value ebb_conv(ebb_graph *g, ebb_value x, ebb_value w, int stride, int pad_top, int pad_left,
                   int64_t oh, int64_t ow);
ebb_value ebb_conv_dx(ebb_graph *g, ebb_value dy, ebb_value w, int stride, int pad_top, int pad_left,
                      int64_t h, int64_t w_);
ebb_value ebb_conv_dw(ebb_graph *g, ebb_value x, ebb_value dy, int stride, int pad_top, int pad_left,
                      int kh, int kw);
/* Nearest x2: (N,H,W,C) -> (N,2H,2W,C). down2 is its adjoint: sums of 2x2, even H and W. */
ebb_value ebb_up2(ebb_graph *g, ebb_value x);
ebb_value ebb_down2(ebb_graph *g, ebb_value x);

/* x (N,...,C), gamma (C), beta (C): per picture and group of C/groups channels, mean and biased
 * variance over all positions; y = gamma*(x-mean)/sqrt(var+eps) + beta. Wu & He 2018. */
ebb_value ebb_group_norm(ebb_graph *g, ebb_value x, ebb_value gamma, ebb_value beta, int groups, float eps);
/* softmax(scale*x) along the last axis. */
ebb_value ebb_softmax(ebb_graph *g, ebb_value x, float scale);
/* q (N,T,H,D), k and v (N,S,H,D) -> (N,T,H,D): for each picture and each of H heads softmax(scale q k') v over S
 * keys. No value of T x S numbers exists. */
ebb_value ebb_attention(ebb_graph *g, ebb_value q, ebb_value k, ebb_value v, float scale);
/* table (R,C), index (N) i32 -> (N,C). scatter_add(index (N), src (N,C); rows) -> (rows,C). */
ebb_value ebb_gather(ebb_graph *g, ebb_value table, ebb_value index);
ebb_value ebb_scatter_add(ebb_graph *g, ebb_value index, ebb_value src, int rows);
ebb_value ebb_stop_gradient(ebb_graph *g, ebb_value x);
/* 0 with probability `rate`, else 1/(1-rate), to be multiplied with (Srivastava et al. 2014): key (N,4) i32 holds, a row,
 * both halves of the seed (low first), the step and the sample; shape (N,...). Each row is a function of its key and of the
 * number of the layer alone, so that it is the same wherever and however often it is computed. Nothing flows back. */
ebb_value ebb_dropout_mask(ebb_graph *g, ebb_value key, ebb_shape shape, float rate, int layer);

/* Adjoints with kernels of their own.
 * group_norm_vjp(x, gamma, beta, dy): the value is dx; part 1 dgamma (C), part 2 dbeta (C), summed
 * over pictures. softmax_vjp(y, dy) = scale*y*(dy - <y,dy>). silu_vjp(x, dy) = dy*silu'(x).
 * attention_vjp(q, k, v, dy): the value is dq; part 1 dk, part 2 dv. */
ebb_value ebb_group_norm_vjp(ebb_graph *g, ebb_value x, ebb_value gamma, ebb_value beta, ebb_value dy,
                             int groups, float eps);
ebb_value ebb_softmax_vjp(ebb_graph *g, ebb_value y, ebb_value dy, float scale);
ebb_value ebb_silu_vjp(ebb_graph *g, ebb_value x, ebb_value dy);
ebb_value ebb_attention_vjp(ebb_graph *g, ebb_value q, ebb_value k, ebb_value v, ebb_value dy, float scale);
/* Output i >= 1 of a node with several. */
ebb_value ebb_part(ebb_graph *g, ebb_value x, int index);

/* ---- derivatives ------------------------------------------------------------------------- */
/* dx[i] = d<y, seed>/dx[i]; seed EBB_NONE: ones. A value that y does not depend on gets zeros.
 * Nodes that are not on a path from some x to y cost nothing. */
ebb_status ebb_vjp(ebb_graph *g, ebb_value y, ebb_value seed, const ebb_value *x, int nx, ebb_value *dx);
/* ty[j] = sum_i dy[j]/dx[i] v[i]. */
ebb_status ebb_jvp(ebb_graph *g, const ebb_value *y, int ny, const ebb_value *x, const ebb_value *v,
                   int nx, ebb_value *ty);
/* Rewrites the ADJOINT node v into other operations; returns the value that replaces it (and, in
 * parts[1..], those that replace its parts). EBB_NONE for other nodes. */
ebb_value ebb_expand(ebb_graph *g, ebb_value v, ebb_value parts[EBB_PARTS_MAX]);

/* One line a node: "%12 conv 8x32x32x64 (%3, %11) stride 1 pad 1,1". Caller frees with ebb_free. */
ebb_status ebb_graph_show(const ebb_graph *g, char **text);

#endif
