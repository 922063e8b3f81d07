/* sliced.c: projections by the matrix kernel, sorted once; drawing samples anew is then a walk along each line (sliced.h).
 */
#include "eval/sliced.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 64 };              /* of samples, projected at a time */

/* ---- projections ----------------------------------------------------------------------------------------------------------- */

static void draw_directions(const ebb_context *ctx, int64_t numbers, float *direction)
{
    double length[EBB_SLICES] = {0};
    for (int64_t k = 0; k < numbers; k++) {
        ebb_rng_at at = {.seed = 3, .stream = EBB_STREAM_EVAL, .sample = (uint32_t)k};
        ctx->kernels->normal_f32(EBB_SLICES, direction + k * EBB_SLICES, &at);
        for (int d = 0; d < EBB_SLICES; d++)
            length[d] += (double)direction[k * EBB_SLICES + d] * direction[k * EBB_SLICES + d];
    }
    for (int64_t i = 0; i < numbers * EBB_SLICES; i++)
        direction[i] = (float)(direction[i] / sqrt(length[i % EBB_SLICES]));
}

typedef struct placed { double value; int32_t index; } placed;

typedef struct projecting {
    const ebb_context *ctx;
    const float *x, *direction;
    int64_t n, numbers;
    float *found;                /* (n, EBB_SLICES) */
    placed *line;                /* (EBB_SLICES, n) */
} projecting;

static void project_rows(void *self, int64_t item, int worker)
{
    const projecting *p = self;
    int64_t first = item * ROWS, rows = p->n - first < ROWS ? p->n - first : ROWS;
    (void)worker;
    p->ctx->kernels->gemm_f32(&(ebb_gemm_args){.m = (size_t)rows, .n = EBB_SLICES, .k = (size_t)p->numbers, .a = p->x + first * p->numbers,
                                               .ars = (size_t)p->numbers, .acs = 1, .b = p->direction, .ldb = EBB_SLICES,
                                               .c = p->found + first * EBB_SLICES, .ldc = EBB_SLICES});
}

static int by_value(const void *a, const void *b)
{
    const placed *p = a, *q = b;
    if (p->value != q->value)
        return p->value < q->value ? -1 : 1;
    return p->index < q->index ? -1 : 1;
}

static void sort_line(void *self, int64_t d, int worker)
{
    const projecting *p = self;
    placed *line = p->line + d * p->n;
    (void)worker;
    for (int64_t i = 0; i < p->n; i++)
        line[i] = (placed){p->found[i * EBB_SLICES + d], (int32_t)i};
    qsort(line, (size_t)p->n, sizeof *line, by_value);
}

/* line (EBB_SLICES, n), each ascending; ebb_free. */
static ebb_status project(ebb_context *ctx, const float *x, int64_t n, int64_t numbers, const float *direction, placed **line)
{
    projecting p = {.ctx = ctx, .x = x, .direction = direction, .n = n, .numbers = numbers};
    *line = NULL;
    for (int64_t i = 0; i < n * numbers; i++)
        if (!isfinite(x[i]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "sliced distance: picture %lld is not finite", (long long)(i / numbers));
    EBB_TRY(ebb_alloc(ctx, (void **)&p.found, (size_t)n * EBB_SLICES, sizeof *p.found, "projections"));
    ebb_status status = ebb_alloc(ctx, (void **)&p.line, (size_t)n * EBB_SLICES, sizeof *p.line, "projections");
    if (status == EBB_OK) {
        ebb_par_for(ctx->threads, (n + ROWS - 1) / ROWS, project_rows, &p);
        ebb_par_for(ctx->threads, EBB_SLICES, sort_line, &p);
        *line = p.line;
    }
    ebb_free(p.found);
    return status;
}

ebb_status ebb_sliced_create(ebb_context *ctx, const float *y, int64_t m, int64_t numbers, ebb_sliced *out)
{
    placed *line;
    *out = (ebb_sliced){.m = m, .numbers = numbers};
    EBB_TRY(ebb_alloc(ctx, (void **)&out->direction, (size_t)numbers * EBB_SLICES, sizeof *out->direction, "directions"));
    draw_directions(ctx, numbers, out->direction);
    ebb_status status = ebb_alloc(ctx, (void **)&out->along, (size_t)m * EBB_SLICES, sizeof *out->along, "projections");
    if (status == EBB_OK)
        status = project(ctx, y, m, numbers, out->direction, &line);
    if (status != EBB_OK) {
        ebb_sliced_free(out);
        return status;
    }
    for (int64_t i = 0; i < m * EBB_SLICES; i++)
        out->along[i] = line[i].value;
    ebb_free(line);
    return EBB_OK;
}

void ebb_sliced_free(ebb_sliced *s)
{
    ebb_free(s->direction);
    ebb_free(s->along);
    *s = (ebb_sliced){0};
}

/* ---- the distance ------------------------------------------------------------------------------------------------------------ */

typedef struct lines { const ebb_sliced *s; const placed *line; int64_t n; int groups; } lines;

static double once(const lines *l, const double *count, const placed *p)
{
    return count != NULL ? count[p->index % l->groups] : 1;
}

/* The integral over quantiles of the squared distance between a weighted sample and one whose numbers count alike. */
static double squared_w2(const lines *l, const double *count, double all, int64_t direction)
{
    const placed *x = l->line + direction * l->n;
    const double *y = l->s->along + direction * l->s->m;
    double sum = 0, u = 0, below = 0, end = once(l, count, x) / all;
    for (int64_t i = 0, j = 0; i < l->n && j < l->s->m;) {
        double next_y = (double)(j + 1) / (double)l->s->m, next = fmin(end, next_y), off = x[i].value - y[j];
        sum += (next - u) * off * off;
        u = next;
        j += next_y <= next;
        if (end <= next && ++i < l->n) {
            below += once(l, count, x + i - 1);
            end = i + 1 < l->n ? (below + once(l, count, x + i)) / all : 1;
        }
    }
    return sum;
}

static double sliced(const void *self, const double *count, double *room)
{
    const lines *l = self;
    double all = 0, sum = 0;
    (void)room;
    for (int64_t i = 0; i < l->n; i++)
        all += once(l, count, l->line + i);
    for (int64_t d = 0; d < EBB_SLICES; d++)
        sum += squared_w2(l, count, all, d) / EBB_SLICES;
    return sqrt(sum);
}

ebb_status ebb_sliced_measure(ebb_context *ctx, const ebb_sliced *s, const float *x, int64_t n, int resamples, ebb_measure *out)
{
    placed *line;
    EBB_TRY(project(ctx, x, n, s->numbers, s->direction, &line));
    lines l = {s, line, n, ebb_resample_groups(n)};
    ebb_status status = ebb_resample_measure(ctx, n, 0, resamples, 0, sliced, &l, out);
    ebb_free(line);
    return status;
}
