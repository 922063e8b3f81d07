/* operator.c: the table of measurements, what follows from their functions alone, and any small matrix as one of them.
 */
#include "diffusion/operator.h"

#include <math.h>
#include <string.h>

#include "diffusion/target.h"

#define MATRIX_FLOOR 1e-7        /* rounding of H'H reaches the root of 1e-16 */

static const struct {
    const char *name, *help;
    ebb_status (*make)(ebb_context *ctx, const ebb_operator_options *o, ebb_operator *out);
} table[] = {
#define OPERATOR(id, name, function, help) {name, help, function},
#include "diffusion/operators.def"
#undef OPERATOR
};

const char *ebb_operator_name(ebb_operator_kind kind)
{
    return kind < EBB_OPERATORS ? table[kind].name : NULL;
}

const char *ebb_operator_help(ebb_operator_kind kind)
{
    return kind < EBB_OPERATORS ? table[kind].help : NULL;
}

ebb_operator_kind ebb_operator_find(const char *name)
{
    ebb_operator_kind kind = 0;
    while (kind < EBB_OPERATORS && strcmp(table[kind].name, name) != 0)
        kind++;
    return kind;
}

ebb_status ebb_operator_room(ebb_context *ctx, size_t more, ebb_operator *op)
{
    EBB_TRY(ebb_alloc(ctx, (void **)&op->singular, (size_t)op->count + more, sizeof(double), "a measurement"));
    op->left = op->singular + op->count;
    return EBB_OK;
}

ebb_status ebb_operator_create(ebb_context *ctx, ebb_operator_kind kind, const ebb_operator_options *o, ebb_operator *out)
{
    int h = o->height, w = o->width, c = o->channels;
    *out = (ebb_operator){.count = (int64_t)h * w * c, .rows = (int64_t)h * w * c, .shape = {h, w, c}, .height = h, .width = w,
                          .channels = c};
    if (h < 1 || w < 1 || c < 1 || h > EBB_OPERATOR_SIDE_MAX || w > EBB_OPERATOR_SIDE_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: pictures of %d x %d with %d channels: sides of 1 to %d are possible",
                        table[kind].name, h, w, c, EBB_OPERATOR_SIDE_MAX);
    ebb_status status = table[kind].make(ctx, o, out);
    if (status != EBB_OK)
        ebb_operator_free(out);
    return status;
}

void ebb_operator_free(ebb_operator *op)
{
    ebb_free(op->singular);
    ebb_free(op->known);
    *op = (ebb_operator){0};
}

void ebb_operator_seen(const ebb_operator *op, const double *y, double *c)
{
    op->adjoint(op, y, c);
    op->turn(op, false, c);
    for (int64_t i = 0; i < op->count; i++)
        c[i] = op->singular[i] > 0 ? c[i] / (op->singular[i] * op->singular[i]) : 0;
}

void ebb_operator_pseudo(const ebb_operator *op, const double *y, double *x)
{
    ebb_operator_seen(op, y, x);
    op->turn(op, true, x);
}

void ebb_operator_read(const ebb_operator *op, const double *picture, double *y)
{
    for (int64_t j = 0; j < op->rows; j++)
        y[j] = picture[op->known != NULL ? op->known[j] : j];
}

double ebb_operator_room_around(double mean, double lo, double hi)
{
    double keep = 1;
    if (!(fabs(mean) <= 1))
        return 1;
    if (hi > 1)
        keep = (1 - mean) / (hi - mean);
    if (lo < -1)
        keep = fmin(keep, (mean + 1) / (mean - lo));
    return keep;
}

/* ---- any small matrix ---------------------------------------------------------------------------------------------------- */

static void matrix_apply(const ebb_operator *op, const double *x, double *y)
{
    for (int64_t j = 0; j < op->rows; j++) {
        y[j] = 0;
        for (int64_t i = 0; i < op->count; i++)
            y[j] += op->left[j * op->count + i] * x[i];
    }
}

static void matrix_adjoint(const ebb_operator *op, const double *y, double *x)
{
    for (int64_t i = 0; i < op->count; i++) {
        x[i] = 0;
        for (int64_t j = 0; j < op->rows; j++)
            x[i] += op->left[j * op->count + i] * y[j];
    }
}

static void matrix_turn(const ebb_operator *op, bool back, double *c)
{
    double turned[EBB_OPERATOR_MATRIX_MAX] = {0};
    int64_t n = op->count;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            turned[i] += (back ? op->left_axes[i * n + j] : op->left_axes[j * n + i]) * c[j];
    memcpy(c, turned, (size_t)n * sizeof *c);
}

ebb_status ebb_operator_matrix(ebb_context *ctx, int rows, int count, const double *h, ebb_operator *out)
{
    double square[EBB_OPERATOR_MATRIX_MAX * EBB_OPERATOR_MATRIX_MAX], most = 0;
    *out = (ebb_operator){.count = count, .rows = rows, .shape = {1, rows, 1}, .height = 1, .width = count, .channels = 1,
                          .apply = matrix_apply, .adjoint = matrix_adjoint, .turn = matrix_turn};
    if (rows < 1 || rows > count || count > EBB_OPERATOR_MATRIX_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "measurement of %d numbers of %d: 1 to all of at most %d", rows, count,
                        EBB_OPERATOR_MATRIX_MAX);
    EBB_TRY(ebb_operator_room(ctx, (size_t)((rows + count) * count), out));
    out->left_axes = out->left + rows * count;
    memcpy(out->left, h, (size_t)(rows * count) * sizeof *h);
    for (int i = 0; i < count * count; i++) {
        square[i] = 0;
        for (int j = 0; j < rows; j++)
            square[i] += h[j * count + i / count] * h[j * count + i % count];
    }
    ebb_symmetric_eigen(count, square, out->singular, out->left_axes);
    for (int i = 0; i < count; i++) {
        out->singular[i] = sqrt(fmax(out->singular[i], 0));
        most = fmax(most, out->singular[i]);
    }
    for (int i = 0; i < count; i++)
        if (out->singular[i] <= MATRIX_FLOOR * most)
            out->singular[i] = 0;
    return EBB_OK;
}
