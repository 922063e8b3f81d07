/* own_pointwise.c: programs of pointwise operations, run in tiles that stay in L1.
 *
 * Where the last axis is long, a tile is a part of it: inputs are read in place where they are contiguous
 * f32 numbers; widened into a register where they are bfloat16, filled into one where one number is broadcast. A
 * bfloat16 result is rounded once, from the register of the last instruction.
 * Where it is short (the few channels of a group, the widths of a bias), a tile is a block: `inner` numbers of the last
 * axes, for some steps of the axis before them. What is broadcast within a block is laid out once and kept as long as
 * the blocks read the same place, which statistics of a picture do for all its positions.
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

/* ---- blocks of short rows --------------------------------------------------------------------------- */

enum { SHORT = 256 };            /* numbers of the last axis: fewer make blocks */

/* A block: `inner` numbers of the axes behind `axis`, for up to `most` of its steps; axis -1: rows are long. */
typedef struct blocks { int axis; int64_t inner, most; } blocks;

static blocks blocks_of(const ebb_pointwise *p)
{
    int axis = p->rank - 2;
    int64_t inner = p->dim[p->rank - 1];
    if (axis < 0 || inner >= SHORT)
        return (blocks){-1, 0, 0};
    while (axis > 0 && inner * p->dim[axis] < SHORT / 4)
        inner *= p->dim[axis--];
    return (blocks){axis, inner, TILE / inner};
}

/* Whether input i lies in a block as the output does. */
static bool lies_dense(const ebb_pointwise *p, int i, blocks b)
{
    int64_t step = 1;
    for (int axis = p->rank - 1; axis >= b.axis; step *= p->dim[axis--])
        if (p->stride[i][axis] != step && p->dim[axis] > 1)
            return false;
    return true;
}

/* `many` steps of `axis` and all behind it of input i, one after the other; returns the end. */
static float *lay_out(const ebb_executor *e, int i, const char *from, int axis, int64_t many, float *to)
{
    const ebb_pointwise *p = e->task.program;
    ebb_dtype type = e->task.in_type[i];
    int64_t stride = p->stride[i][axis], bytes = stride * (int64_t)ebb_dtype_bytes(type);
    if (axis == p->rank - 1 && stride == 0) {
        float number = number_at(from, type, e->kernels);
        for (int64_t j = 0; j < many; j++)
            *to++ = number;
        return to;
    }
    for (int64_t j = 0; j < many; j++, from += bytes) {
        if (axis == p->rank - 1)
            *to++ = number_at(from, type, e->kernels);
        else
            to = lay_out(e, i, from, axis + 1, p->dim[axis + 1], to);
    }
    return to;
}

/* What was laid out for an input, and how many steps of it. */
typedef struct laid { const char *from; int64_t steps; } laid;

static void run_block(const ebb_executor *e, blocks b, int64_t steps, char *out, const char *const *base, laid *kept,
                      float *scratch)
{
    const ebb_pointwise *p = e->task.program;
    const float *input[EBB_INPUTS_MAX];
    size_t n = (size_t)(steps * b.inner);
    for (int i = 0; i < e->task.nin; i++) {
        float *room = scratch + TILE * i;
        bool dense = lies_dense(p, i, b);
        input[i] = dense && e->task.in_type[i] == EBB_F32 ? (const float *)(const void *)base[i] : room;
        if (dense && e->task.in_type[i] == EBB_BF16)
            e->kernels->widen_bf16(n, room, (const ebb_bf16 *)(const void *)base[i]);
        if (dense || (kept[i].from == base[i] && kept[i].steps >= steps))
            continue;
        lay_out(e, i, base[i], b.axis, steps, room);
        kept[i] = (laid){base[i], steps};
    }
    run_tile(e, n, out, input, scratch + TILE * e->task.nin);
}

/* Of the axes before `end`. */
static int64_t steps_of(const ebb_pointwise *p, int end)
{
    int64_t steps = 1;
    for (int i = 0; i < end; i++)
        steps *= p->dim[i];
    return steps;
}

/* Between rows, or where there are few, across them. */
void ebb_own_pointwise_cut(ebb_executor *e)
{
    enum { FEWEST = 1024, LINE = 32 };
    const ebb_pointwise *p = e->task.program;
    blocks b = blocks_of(p);
    int64_t rows = steps_of(p, b.axis < 0 ? p->rank - 1 : b.axis + 1), length = b.axis < 0 ? p->dim[p->rank - 1] : b.inner;
    bool few = b.axis < 0 && rows < e->team;
    e->parts = ebb_own_parts(e, few ? length / LINE : rows, rows * length, FEWEST);
    e->across = few ? e->parts : 1;
}

/* Moves the inputs on by steps of `axis`. */
static void advance(const ebb_executor *e, const char **base, int axis, int64_t steps)
{
    for (int i = 0; i < e->task.nin; i++)
        base[i] += e->task.program->stride[i][axis] * steps * (int64_t)ebb_dtype_bytes(e->task.in_type[i]);
}

/* Where the walk over the axes up to `last` is, and the inputs there. */
typedef struct place { int last; int64_t index[EBB_RANK_MAX]; const char *base[EBB_INPUTS_MAX]; } place;

static place place_at(const ebb_executor *e, const ebb_step_args *a, int last, int64_t step)
{
    place at = {.last = last};
    for (int i = 0; i < e->task.nin; i++)
        at.base[i] = a->in[i];
    for (int axis = last; axis >= 0; step /= e->task.program->dim[axis--]) {
        at.index[axis] = step % e->task.program->dim[axis];
        advance(e, at.base, axis, at.index[axis]);
    }
    return at;
}

/* On by steps of the last of those axes, which stay within it or end with it. */
static void move_on(const ebb_executor *e, place *at, int64_t steps)
{
    const ebb_pointwise *p = e->task.program;
    for (int axis = at->last; axis >= 0; axis--, steps = 1) {
        advance(e, at->base, axis, steps);
        at->index[axis] += steps;
        if (at->index[axis] < p->dim[axis])
            break;
        advance(e, at->base, axis, -p->dim[axis]);
        at->index[axis] = 0;
    }
}

static void run_blocks(const ebb_executor *e, const ebb_step_args *a, blocks b)
{
    laid kept[EBB_INPUTS_MAX] = {{0}};
    ebb_span span = ebb_own_span(steps_of(e->task.program, b.axis + 1), 1, a->part, e->parts);
    place at = place_at(e, a, b.axis, span.begin);
    int64_t bytes = b.inner * (int64_t)ebb_dtype_bytes(e->task.out_type[0]);
    for (int64_t r = span.begin, steps; r < span.end; r += steps) {
        int64_t left = e->task.program->dim[b.axis] - at.index[b.axis];
        steps = left < b.most ? left : b.most;
        steps = steps < span.end - r ? steps : span.end - r;
        run_block(e, b, steps, (char *)a->out[0] + r * bytes, at.base, kept, a->scratch);
        move_on(e, &at, steps);
    }
}

static void run_rows(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_pointwise *p = e->task.program;
    int last = p->rank - 1;
    ebb_span rows = ebb_own_span(steps_of(p, last), 1, a->part / e->across, e->parts / e->across);
    ebb_span row = ebb_own_span(p->dim[last], 1, a->part % e->across, e->across);
    int64_t bytes = p->dim[last] * (int64_t)ebb_dtype_bytes(e->task.out_type[0]);
    place at = place_at(e, a, last - 1, rows.begin);
    for (int64_t r = rows.begin; r < rows.end; r++) {
        run_row(e, (char *)a->out[0] + r * bytes, at.base, row, a->scratch);
        move_on(e, &at, 1);
    }
}

void ebb_own_pointwise(const ebb_executor *e, const ebb_step_args *a)
{
    blocks b = blocks_of(e->task.program);
    if (b.axis < 0)
        run_rows(e, a);
    else
        run_blocks(e, a, b);
}
