/* backend.h: what can execute a node.
 *
 * The planner asks for each node the back ends in the order of the table in choose.c; the first that
 * supports it (and is allowed) prepares a step. Running a step allocates nothing and cannot fail.
 */
#ifndef EBB_BACKEND_H
#define EBB_BACKEND_H

#include "graph/graph.h"

/* Optional inputs of fused nodes, a mask in attr.index. */
enum { EBB_HAS_BIAS = 1, EBB_HAS_RESIDUAL = 2, EBB_HAS_SHIFT = 4, EBB_HAS_SCALE_SHIFT = 8 };

/* A chain of pointwise operations, run in tiles that stay in L1. Output and inputs are walked over the
 * same collapsed axes (outermost first); a stride of 0 broadcasts. The last axis has stride 0 or 1. */
#define EBB_POINTWISE_MAX 16
typedef struct ebb_pointwise {
    int ninstr, nregisters, rank;
    int64_t dim[EBB_RANK_MAX];
    int64_t stride[EBB_INPUTS_MAX][EBB_RANK_MAX];  /* elements */
    struct ebb_pointwise_instr {
        ebb_op op;
        int dst;                 /* register; the last instruction writes the output instead */
        int a, b;                /* >= 0: register; < 0: input -1-a */
        float alpha, beta;       /* affine */
    } instr[EBB_POINTWISE_MAX];
} ebb_pointwise;

/* How our own kernels compute a convolution: attr.method of the trio and of its packed forms. */
typedef enum ebb_method { EBB_METHOD_DIRECT, EBB_METHOD_WINOGRAD } ebb_method;

/* What a step is made for: the node and the shapes and types of its inputs and outputs. */
typedef struct ebb_task {
    ebb_op op;
    ebb_attr attr;
    int nin, nout;
    ebb_dtype in_type[EBB_INPUTS_MAX];
    ebb_shape in_shape[EBB_INPUTS_MAX];
    ebb_dtype out_type[EBB_PARTS_MAX];   /* out 0 and parts */
    ebb_shape out_shape[EBB_PARTS_MAX];
    const ebb_pointwise *program;        /* pointwise: the chain */
    bool fast;                           /* convolutions may be computed by Winograd's method */
} ebb_task;

typedef struct ebb_step_args {
    const void *in[EBB_INPUTS_MAX];
    void *out[EBB_PARTS_MAX];
    void *scratch;                       /* 64-byte aligned, scratch_bytes */
    int worker;                          /* who runs: < the `workers` of prepare, no two at once alike */
    int part;                            /* which of the executor's parts to do */
} ebb_step_args;

typedef struct ebb_backend ebb_backend;
typedef struct ebb_executor {
    void (*run)(const struct ebb_executor *e, const ebb_step_args *args);
    const ebb_backend *backend;
    ebb_task task;
    const ebb_kernels *kernels;
    void *state;                         /* of the back end; shared by all workers: read-only in run */
    size_t scratch_bytes;                /* each worker */
    int team;                            /* threads that may share a run: given to prepare */
    int parts, across;                   /* of a run, which may be done at once; a back end may set more than 1. across:
                                            cuts of the second of two axes, parts is a multiple of it */
    const char *implementation;          /* for `ebb plan`: "gemm_f32 avx512", "brgconv:avx512_core" */
} ebb_executor;

struct ebb_backend {
    const char *name;
    bool (*supports)(const ebb_context *ctx, const ebb_task *task);
    /* Fills e->run, state, scratch_bytes, implementation. workers: how many threads may run it at once. */
    ebb_status (*prepare)(ebb_context *ctx, ebb_executor *e, int workers);
    void (*release)(ebb_executor *e);
    /* EBB_OK, or why a run so far failed (a library's refusal; the outputs were filled with NaN, so that
     * nothing computed from them can pass for a result). NULL: runs cannot fail. */
    ebb_status (*check)(ebb_context *ctx, const ebb_executor *e);
};

extern const ebb_backend ebb_backend_own;
#ifdef EBB_HAVE_ONEDNN
extern const ebb_backend ebb_backend_onednn;
#endif

/* What runs a task, by the table in choose.c; backend is NULL when none supports it. */
typedef struct ebb_choice {
    const ebb_backend *backend;
    ebb_method method;
} ebb_choice;
ebb_choice ebb_backend_choose(const ebb_context *ctx, const ebb_task *task);

#endif
