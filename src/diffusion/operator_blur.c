/* operator_blur.c: measurements that see many pixels at once: means of blocks, and Gaussian blur.
 *
 *   super-resolution  y: means of blocks of m pixels, s = 1/sqrt(m). V turns each block by the reflection that takes its first
 *                     axis to (1,...,1)/sqrt(m) (Householder 1958): its own inverse, and m operations.
 *   deblur            y = A_h x A_w', A_n the convolution of a line with a Gaussian, the line reflected at its ends (the last
 *                     pixel comes twice). A symmetric kernel k so reflected has the cosine transform's axes (DCT-II), with
 *                     eigenvalues sum_j k_j cos(pi j i/n) (Strang 1999): s is the size of the product of two of them. Below
 *                     EBB_BLUR_FLOOR of the largest it counts as 0, as in the code of DDRM (Kawar et al. 2022): what
 *                     the blur nearly took away is not divided back out of noise and grey levels. H itself is the whole blur.
 */
#include <math.h>
#include <string.h>

#include "diffusion/operator.h"

#define PI 3.14159265358979323846
#define EBB_BLUR_FLOOR 3e-2
#define REACH 4                  /* standard deviations that the kernel goes out to */
#define BLUR_MAX 100.0

/* ---- blocks --------------------------------------------------------------------------------------------------------------- */

/* First number of the block that y[j] is the mean of. */
static int64_t corner(const ebb_operator *op, int64_t j)
{
    int64_t c = j % op->channels, x = j / op->channels % op->shape[1], y = j / op->channels / op->shape[1];
    return (y * op->block_height * op->width + x * op->block_width) * op->channels + c;
}

/* From the corner to pixel i of the block. */
static int64_t within(const ebb_operator *op, int i)
{
    return ((int64_t)(i / op->block_width) * op->width + i % op->block_width) * op->channels;
}

static double block_sum(const ebb_operator *op, const double *x)
{
    double sum = 0;
    for (int i = 0; i < op->block_height * op->block_width; i++)
        sum += x[within(op, i)];
    return sum;
}

static void block_apply(const ebb_operator *op, const double *x, double *y)
{
    for (int64_t j = 0; j < op->rows; j++)
        y[j] = block_sum(op, x + corner(op, j)) / (op->block_height * op->block_width);
}

static void block_adjoint(const ebb_operator *op, const double *y, double *x)
{
    int m = op->block_height * op->block_width;
    for (int64_t j = 0; j < op->rows; j++)
        for (int i = 0; i < m; i++)
            x[corner(op, j) + within(op, i)] = y[j] / m;
}

static void block_fit(const ebb_operator *op, double *x)
{
    int m = op->block_height * op->block_width;
    for (int64_t j = 0; j < op->rows; j++) {
        double *at = x + corner(op, j), mean = block_sum(op, at) / m, lo = mean, hi = mean;
        for (int i = 0; i < m; i++) {
            lo = fmin(lo, at[within(op, i)]);
            hi = fmax(hi, at[within(op, i)]);
        }
        double keep = ebb_operator_room_around(mean, lo, hi);
        for (int i = 0; keep < 1 && i < m; i++)
            at[within(op, i)] = mean + keep * (at[within(op, i)] - mean);
    }
}

/* x - 2 v (v'x)/(v'v), v = e_1 - (1,...,1)/sqrt(m). */
static void block_turn(const ebb_operator *op, bool back, double *c)
{
    int m = op->block_height * op->block_width;
    double each = 1 / sqrt(m);
    (void)back;
    for (int64_t j = 0; m > 1 && j < op->rows; j++) {
        double *x = c + corner(op, j), by = (x[0] - each * block_sum(op, x)) / (1 - each);
        x[0] -= by;
        for (int i = 0; i < m; i++)
            x[within(op, i)] += by * each;
    }
}

ebb_status ebb_operator_super(ebb_context *ctx, const ebb_operator_options *o, ebb_operator *op)
{
    int bh = op->block_height = o->block_height != 0 ? o->block_height : 4;
    int bw = op->block_width = o->block_width != 0 ? o->block_width : 4;
    if (bh < 1 || bw < 1 || o->height % bh != 0 || o->width % bw != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "super-resolution: blocks of %d x %d do not divide pictures of %d x %d", bh, bw,
                        o->height, o->width);
    op->shape[0] = o->height / bh;
    op->shape[1] = o->width / bw;
    op->rows = (int64_t)op->shape[0] * op->shape[1] * o->channels;
    op->apply = block_apply;
    op->adjoint = block_adjoint;
    op->turn = block_turn;
    op->fit = block_fit;
    EBB_TRY(ebb_operator_room(ctx, 0, op));
    for (int64_t j = 0; j < op->rows; j++)
        op->singular[corner(op, j)] = 1 / sqrt(bh * bw);
    return EBB_OK;
}

/* ---- blur ------------------------------------------------------------------------------------------------------------------- */

/* Lines of n numbers, `stride` apart, count of them `step` apart: each times matrix (n,n), or its transpose. */
static void lines(int n, int64_t stride, int64_t count, int64_t step, const double *matrix, bool transposed, double *x)
{
    double line[EBB_OPERATOR_SIDE_MAX];
    for (int64_t k = 0; k < count; k++) {
        double *at = x + k * step;
        for (int i = 0; i < n; i++)
            line[i] = at[i * stride];
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int j = 0; j < n; j++)
                sum += (transposed ? matrix[j * n + i] : matrix[i * n + j]) * line[j];
            at[i * stride] = sum;
        }
    }
}

/* Along height and width, in place. */
static void separable(const ebb_operator *op, const double *left, const double *right, bool transposed, double *x)
{
    int64_t row = (int64_t)op->width * op->channels;
    lines(op->height, row, row, 1, left, transposed, x);
    for (int c = 0; c < op->channels; c++)
        lines(op->width, op->channels, op->height, row, right, transposed, x + c);
}

/* The kernel is symmetric, but with reflected ends so is the matrix: H' = H. */
static void blur(const ebb_operator *op, const double *x, double *y)
{
    memcpy(y, x, (size_t)op->count * sizeof *y);
    separable(op, op->left, op->right, false, y);
}

static void blur_turn(const ebb_operator *op, bool back, double *c)
{
    separable(op, op->left_axes, op->right_axes, back, c);
}

/* k_j, j = -reach .. reach, of sum 1. */
static double kernel(double sd, int j, int reach)
{
    double sum = 0;
    for (int i = -reach; i <= reach; i++)
        sum += exp(-0.5 * i * i / (sd * sd));
    return exp(-0.5 * j * j / (sd * sd)) / sum;
}

/* matrix and axes (n,n), eigen (n). */
static void make_line(int n, double sd, double *matrix, double *axes, double *eigen)
{
    int reach = (int)ceil(REACH * sd);
    for (int i = 0; i < n; i++)
        eigen[i] = 0;
    for (int j = -reach; j <= reach; j++) {
        double k = kernel(sd, j, reach);
        for (int i = 0; i < n; i++) {
            int at = ((i + j) % (2 * n) + 2 * n) % (2 * n);
            matrix[i * n + (at < n ? at : 2 * n - 1 - at)] += k;
            eigen[i] += k * cos(PI * j * i / n);
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            axes[i * n + j] = sqrt((i > 0 ? 2.0 : 1.0) / n) * cos(PI * i * (j + 0.5) / n);
}

ebb_status ebb_operator_deblur(ebb_context *ctx, const ebb_operator_options *o, ebb_operator *op)
{
    double sd = o->blur != 0 ? o->blur : 1, most = 0;
    size_t h = (size_t)o->height, w = (size_t)o->width;
    if (!(sd > 0 && sd <= BLUR_MAX))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "deblur: a blur of standard deviation %g pixels: above 0 and up to %g are possible",
                        sd, BLUR_MAX);
    op->apply = op->adjoint = blur;
    op->turn = blur_turn;
    EBB_TRY(ebb_operator_room(ctx, 2 * h * h + 2 * w * w + h + w, op));
    op->right = op->left + h * h;
    op->left_axes = op->right + w * w;
    op->right_axes = op->left_axes + h * h;
    double *down = op->right_axes + w * w, *along = down + h;
    make_line(o->height, sd, op->left, op->left_axes, down);
    make_line(o->width, sd, op->right, op->right_axes, along);
    for (int64_t i = 0; i < op->count; i++) {
        op->singular[i] = fabs(down[(size_t)(i / o->channels) / w] * along[(size_t)(i / o->channels) % w]);
        most = fmax(most, op->singular[i]);
    }
    for (int64_t i = 0; i < op->count; i++)
        if (op->singular[i] < EBB_BLUR_FLOOR * most)
            op->singular[i] = 0;
    return EBB_OK;
}
