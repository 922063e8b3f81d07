/* own_norm.c: group norm and its adjoint, picture by picture; fused forms carry the activation, a shift
 * a picture (time embedding) and the saved statistics. The unfused adjoint recomputes them. */
#include <string.h>

#include "backend/own.h"

static ebb_norm_shape geometry(const ebb_task *t)
{
    const ebb_shape *x = &t->in_shape[0];
    int64_t c = x->dim[x->rank - 1];
    return (ebb_norm_shape){.pixels = (int)(ebb_shape_count(*x) / (x->dim[0] * c)), .channels = (int)c,
                            .groups = t->attr.groups, .eps = t->attr.alpha,
                            .silu = (t->op == EBB_OP_norm || t->op == EBB_OP_norm_vjp) && t->attr.silu};
}

static size_t stats_bytes(const ebb_task *t) { return ((size_t)t->attr.groups * 8 + 63) / 64 * 64; }

static size_t picture_bytes(const ebb_norm_shape *s) { return ((size_t)s->pixels * (size_t)s->channels * 4 + 63) / 64 * 64; }

size_t ebb_own_norm_scratch(const ebb_task *t) { return stats_bytes(t); }

void ebb_own_norm(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_norm_shape s = geometry(&e->task);
    bool fused = e->task.op == EBB_OP_norm;
    const float *shift = fused && e->task.attr.index & EBB_HAS_SHIFT ? a->in[3] : NULL;
    int64_t n = e->task.in_shape[0].dim[0], size = (int64_t)s.pixels * s.channels;

    for (int64_t i = 0; i < n; i++)
        e->kernels->norm_f32(&s, (float *)a->out[0] + i * size, fused ? (float *)a->out[1] + i * 2 * s.groups : a->scratch,
                             (const float *)a->in[0] + i * size, shift ? shift + i * s.channels : NULL, a->in[1], a->in[2]);
}

/* scratch: the kernel's, then (unfused) statistics and a picture to recompute them with. */
size_t ebb_own_norm_vjp_scratch(const ebb_task *t)
{
    ebb_norm_shape s = geometry(t);
    size_t kernel = (ebb_norm_scratch(&s) + 63) / 64 * 64;
    return kernel + (t->op == EBB_OP_norm_vjp ? 0 : stats_bytes(t) + picture_bytes(&s));
}

void ebb_own_norm_vjp(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_norm_shape s = geometry(&e->task);
    bool fused = e->task.op == EBB_OP_norm_vjp, shifted = fused && e->task.attr.index & EBB_HAS_SHIFT;
    const float *shift = shifted ? a->in[5] : NULL;
    float *recomputed = (float *)((char *)a->scratch + (ebb_norm_scratch(&s) + 63) / 64 * 64);
    float *picture = (float *)((char *)recomputed + stats_bytes(&e->task));
    int64_t n = e->task.in_shape[0].dim[0], size = (int64_t)s.pixels * s.channels;

    memset(a->out[1], 0, (size_t)s.channels * sizeof(float));
    memset(a->out[2], 0, (size_t)s.channels * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        const float *x = (const float *)a->in[0] + i * size;
        const float *stats = fused ? (const float *)a->in[4] + i * 2 * s.groups : recomputed;
        if (!fused)
            e->kernels->norm_f32(&s, picture, recomputed, x, NULL, a->in[1], a->in[2]);
        e->kernels->norm_vjp_f32(&s, (float *)a->out[0] + i * size, shifted ? (float *)a->out[3] + i * s.channels : NULL,
                                 a->out[1], a->out[2], x, shift ? shift + i * s.channels : NULL,
                                 (const float *)a->in[3] + i * size, stats, a->in[1], a->in[2], a->scratch);
    }
}
