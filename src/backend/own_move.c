/* own_move.c: operations that move numbers of any type: copies of contiguous runs, transposes, resampling, tables. */
#include <string.h>

#include "backend/own.h"

/* A shape around one axis: (outer, dim[axis], inner) elements. */
static void split(const ebb_shape *s, int axis, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++)
        *outer *= s->dim[i];
    for (int i = axis + 1; i < s->rank; i++)
        *inner *= s->dim[i];
}

/* Bytes of one number. */
static int64_t width_of(const ebb_task *t) { return (int64_t)ebb_dtype_bytes(t->out_type[0]); }

/* Steps and count in bytes. */
static void copy_rows(int64_t rows, char *y, int64_t ystep, const char *x, int64_t xstep, int64_t count)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * ystep, x + r * xstep, (size_t)count);
}

enum { FEWEST = 2048 };          /* numbers that are worth a thread */

void ebb_own_runs_cut(ebb_executor *e)
{
    int64_t outer, inner;
    split(&e->task.out_shape[0], e->task.attr.axis, &outer, &inner);
    e->parts = ebb_own_parts(e, outer, ebb_shape_count(e->task.out_shape[0]), FEWEST);
}

void ebb_own_slice(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_attr *t = &e->task.attr;
    int64_t outer, inner, width = e->task.in_shape[0].dim[t->axis], wide = t->end - t->begin;
    split(&e->task.in_shape[0], t->axis, &outer, &inner);
    inner *= width_of(&e->task);
    ebb_span s = ebb_own_span(outer, 1, a->part, e->parts);
    copy_rows(s.end - s.begin, (char *)a->out[0] + s.begin * wide * inner, wide * inner,
              (const char *)a->in[0] + (s.begin * width + t->begin) * inner, width * inner, wide * inner);
}

void ebb_own_pad(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_attr *t = &e->task.attr;
    int64_t outer, inner, width = e->task.in_shape[0].dim[t->axis], wide = e->task.out_shape[0].dim[t->axis];
    split(&e->task.in_shape[0], t->axis, &outer, &inner);
    inner *= width_of(&e->task);
    memset(a->out[0], 0, (size_t)(outer * wide * inner));
    copy_rows(outer, (char *)a->out[0] + t->begin * inner, wide * inner, a->in[0], width * inner, width * inner);
}

void ebb_own_concat(const ebb_executor *e, const ebb_step_args *a)
{
    int axis = e->task.attr.axis;
    int64_t outer, inner, wide = e->task.out_shape[0].dim[axis], at = 0;
    split(&e->task.out_shape[0], axis, &outer, &inner);
    inner *= width_of(&e->task);
    ebb_span s = ebb_own_span(outer, 1, a->part, e->parts);
    for (int i = 0; i < 2; i++) {
        int64_t width = e->task.in_shape[i].dim[axis];
        copy_rows(s.end - s.begin, (char *)a->out[0] + (s.begin * wide + at) * inner, wide * inner,
                  (const char *)a->in[i] + s.begin * width * inner, width * inner, width * inner);
        at += width;
    }
}

/* The last two axes swapped: matrices of floats, one after another. */
static void transpose_matrices(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_shape *s = &e->task.in_shape[0];
    size_t rows = (size_t)s->dim[s->rank - 2], cols = (size_t)s->dim[s->rank - 1];
    size_t matrices = (size_t)ebb_shape_count(*s) / (rows * cols);
    for (size_t i = 0; i < matrices; i++)
        e->kernels->transpose_f32(rows, cols, (float *)a->out[0] + i * rows * cols, rows,
                                  (const float *)a->in[0] + i * rows * cols, cols);
}

static bool swaps_last_two(const ebb_task *t)
{
    int rank = t->in_shape[0].rank;
    bool swap = rank >= 2 && t->attr.perm[rank - 1] == rank - 2 && t->attr.perm[rank - 2] == rank - 1;
    for (int i = 0; i < rank - 2; i++)
        swap &= t->attr.perm[i] == i;
    return swap;
}

/* Any permutation: walks the output; trailing axes that keep their places move as one run. */
void ebb_own_transpose(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_shape *in = &e->task.in_shape[0], *out = &e->task.out_shape[0];
    const int32_t *perm = e->task.attr.perm;
    int64_t instep[EBB_RANK_MAX], index[EBB_RANK_MAX] = {0}, offset = 0, step = width_of(&e->task), run = step;
    int rank = in->rank, axis;
    const char *x = a->in[0];
    char *y = a->out[0];

    if (width_of(&e->task) == sizeof(float) && swaps_last_two(&e->task)) {
        transpose_matrices(e, a);
        return;
    }
    for (int i = rank - 1; i >= 0; step *= in->dim[i], i--)
        instep[i] = step;
    while (rank > 0 && perm[rank - 1] == rank - 1)
        run *= out->dim[--rank];
    do {
        memcpy(y, x + offset, (size_t)run);
        y += run;
        for (axis = rank - 1; axis >= 0; axis--) {
            offset += instep[perm[axis]];
            if (++index[axis] < out->dim[axis])
                break;
            offset -= instep[perm[axis]] * out->dim[axis];
            index[axis] = 0;
        }
    } while (axis >= 0);
}

typedef void (*resize)(const ebb_kernels *k, int h, int w, int c, void *y, const void *x);

static void up2_f32(const ebb_kernels *k, int h, int w, int c, void *y, const void *x) { k->up2_f32(h, w, c, y, x); }
static void up2_bf16(const ebb_kernels *k, int h, int w, int c, void *y, const void *x) { k->up2_bf16(h, w, c, y, x); }
static void down2_f32(const ebb_kernels *k, int h, int w, int c, void *y, const void *x) { k->down2_f32(h, w, c, y, x); }
static void down2_bf16(const ebb_kernels *k, int h, int w, int c, void *y, const void *x)
{
    k->down2_bf16(h, w, c, y, x);
}

/* Rows of all pictures, of the smaller side. */
static int64_t small_rows(const ebb_task *t)
{
    const int64_t *in = t->in_shape[0].dim, *out = t->out_shape[0].dim;
    return in[0] * (in[1] < out[1] ? in[1] : out[1]);
}

void ebb_own_resize_cut(ebb_executor *e)
{
    int64_t in = ebb_shape_count(e->task.in_shape[0]), out = ebb_shape_count(e->task.out_shape[0]);
    e->parts = ebb_own_parts(e, small_rows(&e->task), in > out ? in : out, FEWEST);
}

/* Rows do not see each other, nor do pictures: they are one tall picture. small: the shape of the smaller ones. */
static void resize_rows(const ebb_executor *e, const ebb_step_args *a, const ebb_shape *small, resize f)
{
    int64_t rows = small_rows(&e->task);
    int64_t x = ebb_shape_count(e->task.in_shape[0]) / rows, y = ebb_shape_count(e->task.out_shape[0]) / rows;
    ebb_span s = ebb_own_span(rows, 1, a->part, e->parts);
    f(e->kernels, (int)(s.end - s.begin), (int)small->dim[2], (int)small->dim[3],
      (char *)a->out[0] + s.begin * y * width_of(&e->task), (const char *)a->in[0] + s.begin * x * width_of(&e->task));
}

void ebb_own_up2(const ebb_executor *e, const ebb_step_args *a)
{
    resize_rows(e, a, &e->task.in_shape[0], e->task.out_type[0] == EBB_BF16 ? up2_bf16 : up2_f32);
}

void ebb_own_down2(const ebb_executor *e, const ebb_step_args *a)
{
    resize_rows(e, a, &e->task.out_shape[0], e->task.out_type[0] == EBB_BF16 ? down2_bf16 : down2_f32);
}

/* A number is kept where a normal one is above its threshold. The layer is part of the stream: no two share a counter. */
void ebb_own_dropout_mask(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_attr *attr = &e->task.attr;
    int64_t rows = e->task.out_shape[0].dim[0];
    size_t n = (size_t)(ebb_shape_count(e->task.out_shape[0]) / rows);
    const uint32_t *key = a->in[0];
    float *y = a->out[0];
    for (int64_t i = 0; i < rows; i++, y += n, key += 4) {
        ebb_rng_at at = {.seed = key[0] | (uint64_t)key[1] << 32, .step = key[2], .sample = key[3],
                         .stream = EBB_STREAM_DROPOUT | (uint32_t)attr->index << 8};
        e->kernels->normal_f32(n, y, &at);
        e->kernels->affine_f32(n, y, y, 1.0f, -attr->beta);
        e->kernels->step_f32(n, y, y);
        e->kernels->affine_f32(n, y, y, 1.0f / (1.0f - attr->alpha), 0.0f);
    }
}

/* An index outside the table gives NaN: callers check indices, and nothing reads out of bounds. */
void ebb_own_gather(const ebb_executor *e, const ebb_step_args *a)
{
    int64_t rows = e->task.in_shape[0].dim[0], c = e->task.in_shape[0].dim[1], n = e->task.in_shape[1].dim[0];
    const int32_t *index = a->in[1];
    float *y = a->out[0];
    for (int64_t i = 0; i < n; i++, y += c) {
        if (index[i] >= 0 && index[i] < rows)
            memcpy(y, (const float *)a->in[0] + index[i] * c, (size_t)c * sizeof *y);
        else
            memset(y, 0xff, (size_t)c * sizeof *y);
    }
}

void ebb_own_scatter_add(const ebb_executor *e, const ebb_step_args *a)
{
    int64_t rows = e->task.out_shape[0].dim[0], c = e->task.out_shape[0].dim[1], n = e->task.in_shape[0].dim[0];
    const int32_t *index = a->in[0];
    const float *src = a->in[1];
    float *y = a->out[0];
    memset(y, 0, (size_t)(rows * c) * sizeof *y);
    for (int64_t i = 0; i < n; i++)
        if (index[i] >= 0 && index[i] < rows)
            e->kernels->add_f32((size_t)c, y + index[i] * c, y + index[i] * c, src + i * c);
}
