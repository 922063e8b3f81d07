/* own_pointwise.c: programs of pointwise operations, run in tiles that stay in L1.
 *
 * Only the last axis is walked inside a tile; its inputs are read in place where they are contiguous
 * f32 numbers; widened into a register where they are bfloat16, filled into one where one number is broadcast. A
 * bfloat16 result is rounded once, from the register of the last instruction.
 */
#include <string.h>

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
static void run_tile(const ebb_executor *e, size_t n, void *out, const float *const *input, float *registers)
{
    const ebb_pointwise *p = e->task.program;
    float *rounded = registers + TILE * p->instr[p->ninstr - 1].dst;
    float *last = e->task.out_type[0] == EBB_BF16 ? rounded : out;
    for (int i = 0; i < p->ninstr; i++) {
        const struct ebb_pointwise_instr *in = &p->instr[i];
        const float *x = in->a >= 0 ? registers + TILE * in->a : input[-1 - in->a];
        const float *y = in->b >= 0 ? registers + TILE * in->b : input[-1 - in->b];
        run_instruction(e->kernels, in, n, i == p->ninstr - 1 ? last : registers + TILE * in->dst, x, y);
    }
    if (last == rounded)
        e->kernels->narrow_bf16(n, out, rounded);
}

static float number_at(const char *data, ebb_dtype type, const ebb_kernels *k)
{
    float x = 0;
    if (type == EBB_BF16)
        k->widen_bf16(1, &x, (const ebb_bf16 *)data);
    else
        memcpy(&x, data, sizeof x);
    return x;
}

/* A part of the last axis. out, base: where rows begin. */
static void run_row(const ebb_executor *e, char *out, const char *const *base, ebb_span s, float *scratch)
{
    const ebb_dtype *type = e->task.in_type;
    const ebb_pointwise *p = e->task.program;
    float *registers = scratch + TILE * e->task.nin;
    const float *input[EBB_INPUTS_MAX];
    int last = p->rank - 1;

    for (int i = 0; i < e->task.nin; i++) {
        if (p->stride[i][last])
            continue;
        float *filled = scratch + TILE * i, number = number_at(base[i], type[i], e->kernels);
        for (int64_t j = 0; j < (s.end - s.begin < TILE ? s.end - s.begin : TILE); j++)
            filled[j] = number;
        input[i] = filled;
    }
    for (int64_t at = s.begin; at < s.end; at += TILE) {
        size_t n = (size_t)(s.end - at < TILE ? s.end - at : TILE);
        for (int i = 0; i < e->task.nin; i++) {
            if (!p->stride[i][last])
                continue;
            input[i] = type[i] == EBB_BF16 ? scratch + TILE * i : (const float *)base[i] + at;
            if (type[i] == EBB_BF16)
                e->kernels->widen_bf16(n, scratch + TILE * i, (const ebb_bf16 *)base[i] + at);
        }
        run_tile(e, n, out + (size_t)at * ebb_dtype_bytes(e->task.out_type[0]), input, registers);
    }
}

static int64_t rows_of(const ebb_pointwise *p)
{
    int64_t rows = 1;
    for (int i = 0; i < p->rank - 1; i++)
        rows *= p->dim[i];
    return rows;
}

/* Between rows, or where there are few, across them. */
void ebb_own_pointwise_cut(ebb_executor *e)
{
    enum { FEWEST = 1024, LINE = 32 };
    const ebb_pointwise *p = e->task.program;
    int64_t rows = rows_of(p), length = p->dim[p->rank - 1];
    bool few = rows < e->team;
    e->parts = ebb_own_parts(e, few ? length / LINE : rows, rows * length, FEWEST);
    e->across = few ? e->parts : 1;
}

/* Moves the inputs on by steps of `axis`. */
static void advance(const ebb_executor *e, const char **base, int axis, int64_t steps)
{
    for (int i = 0; i < e->task.nin; i++)
        base[i] += e->task.program->stride[i][axis] * steps * (int64_t)ebb_dtype_bytes(e->task.in_type[i]);
}

void ebb_own_pointwise(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_pointwise *p = e->task.program;
    int64_t index[EBB_RANK_MAX] = {0};
    const char *base[EBB_INPUTS_MAX];
    int last = p->rank - 1;
    ebb_span rows = ebb_own_span(rows_of(p), 1, a->part / e->across, e->parts / e->across);
    ebb_span row = ebb_own_span(p->dim[last], 1, a->part % e->across, e->across);
    int64_t row_bytes = p->dim[last] * (int64_t)ebb_dtype_bytes(e->task.out_type[0]), at = rows.begin;
    char *out = (char *)a->out[0] + at * row_bytes;

    for (int i = 0; i < e->task.nin; i++)
        base[i] = a->in[i];
    for (int axis = last - 1; axis >= 0; at /= p->dim[axis--]) {
        index[axis] = at % p->dim[axis];
        advance(e, base, axis, index[axis]);
    }
    for (int64_t r = rows.begin; r < rows.end; r++, out += row_bytes) {
        run_row(e, out, base, row, a->scratch);
        for (int axis = last - 1; axis >= 0; axis--) {
            advance(e, base, axis, 1);
            if (++index[axis] < p->dim[axis])
                break;
            advance(e, base, axis, -p->dim[axis]);
            index[axis] = 0;
        }
    }
}
