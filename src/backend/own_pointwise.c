/* own_pointwise.c: programs of pointwise operations, run in tiles that stay in L1.
 *
 * Only the last axis is walked inside a tile; its inputs are read in place where they are contiguous
 * and filled into a register where one number is broadcast.
 */
#include "backend/own.h"

enum { TILE = 512 };             /* floats: with 16 registers at most 32 KiB */

void ebb_own_constant(const ebb_executor *e, const ebb_step_args *a)
{
    float *y = a->out[0];
    int64_t n = ebb_shape_count(e->task.out_shape[0]);
    for (int64_t i = 0; i < n; i++)
        y[i] = e->task.attr.alpha;
}

size_t ebb_own_pointwise_scratch(const ebb_task *t)
{
    return sizeof(float) * TILE * (size_t)(t->program->nregisters + t->nin);
}

static void run_instruction(const ebb_kernels *k, const struct ebb_pointwise_instr *in, size_t n, float *z,
                            const float *x, const float *y)
{
    switch (in->op) {
    case EBB_OP_affine: k->affine_f32(n, z, x, in->alpha, in->beta); return;
    case EBB_OP_recip: k->recip_f32(n, z, x); return;
    case EBB_OP_exp: k->exp_f32(n, z, x); return;
    case EBB_OP_log: k->log_f32(n, z, x); return;
    case EBB_OP_sqrt: k->sqrt_f32(n, z, x); return;
    case EBB_OP_sin: k->sin_f32(n, z, x); return;
    case EBB_OP_cos: k->cos_f32(n, z, x); return;
    case EBB_OP_tanh: k->tanh_f32(n, z, x); return;
    case EBB_OP_sigmoid: k->sigmoid_f32(n, z, x); return;
    case EBB_OP_silu: k->silu_f32(n, z, x); return;
    case EBB_OP_step: k->step_f32(n, z, x); return;
    case EBB_OP_add: k->add_f32(n, z, x, y); return;
    case EBB_OP_sub: k->sub_f32(n, z, x, y); return;
    case EBB_OP_mul: k->mul_f32(n, z, x, y); return;
    case EBB_OP_div: k->div_f32(n, z, x, y); return;
    case EBB_OP_max: k->max_f32(n, z, x, y); return;
    case EBB_OP_min: k->min_f32(n, z, x, y); return;
    case EBB_OP_silu_vjp: k->silu_vjp_f32(n, z, x, y); return;
    default: return;
    }
}

/* One tile: input[i] points at its n numbers. */
static void run_tile(const ebb_executor *e, size_t n, float *out, const float *const *input, float *registers)
{
    const ebb_pointwise *p = e->task.program;
    for (int i = 0; i < p->ninstr; i++) {
        const struct ebb_pointwise_instr *in = &p->instr[i];
        const float *x = in->a >= 0 ? registers + TILE * in->a : input[-1 - in->a];
        const float *y = in->b >= 0 ? registers + TILE * in->b : input[-1 - in->b];
        run_instruction(e->kernels, in, n, i == p->ninstr - 1 ? out : registers + TILE * in->dst, x, y);
    }
}

/* The last axis, from the inputs' offsets on. */
static void run_row(const ebb_executor *e, float *out, const float *const *base, float *scratch)
{
    const ebb_pointwise *p = e->task.program;
    float *registers = scratch + TILE * e->task.nin;
    const float *input[EBB_INPUTS_MAX];
    int last = p->rank - 1;
    int64_t length = p->dim[last];

    for (int i = 0; i < e->task.nin; i++) {
        if (p->stride[i][last])
            continue;
        float *filled = scratch + TILE * i;
        for (int64_t j = 0; j < (length < TILE ? length : TILE); j++)
            filled[j] = *base[i];
        input[i] = filled;
    }
    for (int64_t at = 0; at < length; at += TILE) {
        for (int i = 0; i < e->task.nin; i++)
            if (p->stride[i][last])
                input[i] = base[i] + at;
        run_tile(e, (size_t)(length - at < TILE ? length - at : TILE), out + at, input, registers);
    }
}

void ebb_own_pointwise(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_pointwise *p = e->task.program;
    int64_t index[EBB_RANK_MAX] = {0};
    const float *base[EBB_INPUTS_MAX];
    float *out = a->out[0];
    int last = p->rank - 1;

    for (int i = 0; i < e->task.nin; i++)
        base[i] = a->in[i];
    for (;;) {
        run_row(e, out, base, a->scratch);
        out += p->dim[last];
        int axis = last - 1;
        for (; axis >= 0; axis--) {
            for (int i = 0; i < e->task.nin; i++)
                base[i] += p->stride[i][axis];
            if (++index[axis] < p->dim[axis])
                break;
            for (int i = 0; i < e->task.nin; i++)
                base[i] -= p->stride[i][axis] * p->dim[axis];
            index[axis] = 0;
        }
        if (axis < 0)
            return;
    }
}
