/* own_rows.c: sums over axes and softmax along rows. */
#include <string.h>

#include "backend/own.h"

/* One run of neighbouring reduced axes [begin, end) of shape s: x as (outer, run, inner) -> (outer, inner). */
static void reduce_run(const ebb_kernels *k, float *y, const float *x, int64_t outer, int64_t run, int64_t inner)
{
    for (int64_t o = 0; o < outer; o++) {
        if (inner == 1)
            y[o] = k->sum_f32((size_t)run, x + o * run);
        else
            k->colsum_f32((size_t)run, (size_t)inner, y + o * inner, x + o * run * inner, (size_t)inner);
    }
}

/* The same of bfloat16; room: a run of floats. */
static void reduce_run_bf16(const ebb_kernels *k, float *y, const ebb_bf16 *x, int64_t outer, int64_t run, int64_t inner,
                            float *room)
{
    for (int64_t o = 0; o < outer; o++, x += run * inner) {
        if (inner > 1) {
            k->colsum_bf16((size_t)run, (size_t)inner, y + o * inner, x, (size_t)inner);
            continue;
        }
        k->widen_bf16((size_t)run, room, x);
        y[o] = k->sum_f32((size_t)run, room);
    }
}

/* The first run of reduced axes of a shape: its bounds; false when there is none. */
static bool first_run(uint32_t mask, int rank, int *begin, int *end)
{
    int i = 0;
    while (i < rank && !(mask >> i & 1))
        i++;
    *begin = i;
    while (i < rank && (mask >> i & 1))
        i++;
    *end = i;
    return *end > *begin;
}

static int64_t product(const ebb_shape *s, int begin, int end)
{
    int64_t n = 1;
    for (int i = begin; i < end; i++)
        n *= s->dim[i];
    return n;
}

static size_t aligned_floats(int64_t count) { return ((size_t)count * sizeof(float) + 63) / 64 * 64; }

/* Twice the size of what remains after the first run was summed: the largest intermediate. */
static size_t halves_bytes(const ebb_task *t)
{
    int begin, end;
    ebb_shape s = t->in_shape[0];
    if (!first_run(t->attr.axes, s.rank, &begin, &end))
        return 0;
    return 2 * aligned_floats(ebb_shape_count(s) / product(&s, begin, end));
}

/* scratch: the halves, and of bfloat16 a run that is summed to one number. */
size_t ebb_own_sum_scratch(const ebb_task *t)
{
    int begin, end;
    bool widens = t->in_type[0] == EBB_BF16 && first_run(t->attr.axes, t->in_shape[0].rank, &begin, &end) &&
                  product(&t->in_shape[0], end, t->in_shape[0].rank) == 1;
    return halves_bytes(t) + (widens ? aligned_floats(product(&t->in_shape[0], begin, end)) : 0);
}

/* No axis is summed. */
static void copy_all(const ebb_executor *e, const ebb_step_args *a)
{
    size_t count = (size_t)ebb_shape_count(e->task.out_shape[0]);
    if (e->task.in_type[0] == EBB_BF16)
        e->kernels->widen_bf16(count, a->out[0], a->in[0]);
    else
        memcpy(a->out[0], a->in[0], count * sizeof(float));
}

/* Runs are summed from the first axis to the last, through two halves of the scratch in turn: where both positions and
 * the few channels of a group go, whole rows of channels are added first. */
void ebb_own_sum(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_shape s = e->task.in_shape[0];
    uint32_t mask = e->task.attr.axes;
    const void *x = a->in[0];
    char *half[2] = {a->scratch, (char *)a->scratch + halves_bytes(&e->task) / 2};
    int begin, end;

    if (!first_run(mask, s.rank, &begin, &end)) {
        copy_all(e, a);
        return;
    }
    for (int turn = 0; first_run(mask, s.rank, &begin, &end); turn ^= 1) {
        uint32_t rest = mask & ~((1u << end) - 1);
        float *y = rest ? (float *)half[turn] : a->out[0];
        int64_t outer = product(&s, 0, begin), run = product(&s, begin, end), inner = product(&s, end, s.rank);
        if (x == a->in[0] && e->task.in_type[0] == EBB_BF16)
            reduce_run_bf16(e->kernels, y, x, outer, run, inner, (float *)((char *)a->scratch + halves_bytes(&e->task)));
        else
            reduce_run(e->kernels, y, x, outer, run, inner);
        for (int i = begin; i < end; i++)
            s.dim[i] = 1;
        mask = rest;
        x = y;
    }
}

static void rows_of(const ebb_shape *s, size_t *rows, size_t *n)
{
    *n = s->rank ? (size_t)s->dim[s->rank - 1] : 1;
    *rows = (size_t)ebb_shape_count(*s) / *n;
}

void ebb_own_rows_cut(ebb_executor *e)
{
    enum { FEWEST = 1024 };
    size_t rows, n;
    rows_of(&e->task.out_shape[0], &rows, &n);
    e->parts = ebb_own_parts(e, (int64_t)rows, (int64_t)(rows * n), FEWEST);
}

void ebb_own_softmax(const ebb_executor *e, const ebb_step_args *a)
{
    size_t rows, n;
    rows_of(&e->task.out_shape[0], &rows, &n);
    ebb_span s = ebb_own_span((int64_t)rows, 1, a->part, e->parts);
    size_t at = (size_t)s.begin * n;
    e->kernels->softmax_f32((size_t)(s.end - s.begin), n, (float *)a->out[0] + at, (const float *)a->in[0] + at,
                            e->task.attr.alpha);
}

void ebb_own_softmax_vjp(const ebb_executor *e, const ebb_step_args *a)
{
    size_t rows, n;
    rows_of(&e->task.out_shape[0], &rows, &n);
    e->kernels->softmax_vjp_f32(rows, n, a->out[0], a->in[0], a->in[1], e->task.attr.alpha);
}
