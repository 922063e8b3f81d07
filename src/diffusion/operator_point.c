/* operator_point.c: measurements that see each pixel by itself: masks, grey pictures, all pixels.
 *
 *   inpaint   y: the numbers of the known pixels, s 1; V = I, so that known numbers keep their bits
 *   colorize  y = (r+g+b)/3: on the axes of colour.h grey is sqrt(3) y, so s = 1/sqrt(3) (Song et al. 2021, app. I.3)
 *   denoise   y = x
 */
#include <math.h>
#include <string.h>

#include "diffusion/colour.h"
#include "diffusion/operator.h"

/* ---- masks ------------------------------------------------------------------------------------------------------------ */

static void mask_apply(const ebb_operator *op, const double *x, double *y)
{
    for (int64_t j = 0; j < op->rows; j++)
        y[j] = x[op->known[j]];
}

static void mask_adjoint(const ebb_operator *op, const double *y, double *x)
{
    memset(x, 0, (size_t)op->count * sizeof *x);
    for (int64_t j = 0; j < op->rows; j++)
        x[op->known[j]] = y[j];
}

static void stay(const ebb_operator *op, bool back, double *c)
{
    (void)op, (void)back, (void)c;
}

ebb_status ebb_operator_inpaint(ebb_context *ctx, const ebb_operator_options *o, ebb_operator *op)
{
    if (o->mask == NULL)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "inpaint: which pixels are known? give a mask");
    op->apply = mask_apply;
    op->adjoint = mask_adjoint;
    op->turn = stay;
    EBB_TRY(ebb_operator_room(ctx, 0, op));
    EBB_TRY(ebb_alloc(ctx, (void **)&op->known, (size_t)op->count, sizeof *op->known, "a mask"));
    op->rows = 0;
    for (int64_t i = 0; i < op->count; i++)
        if (o->mask[i / o->channels] != 0) {
            op->known[op->rows++] = i;
            op->singular[i] = 1;
        }
    if (op->rows == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "inpaint: the mask knows no pixel: white is known, black is not");
    return EBB_OK;
}

/* ---- all pixels --------------------------------------------------------------------------------------------------------- */

static void copy(const ebb_operator *op, const double *from, double *to)
{
    memcpy(to, from, (size_t)op->count * sizeof *to);
}

ebb_status ebb_operator_denoise(ebb_context *ctx, const ebb_operator_options *o, ebb_operator *op)
{
    (void)o;
    op->apply = op->adjoint = copy;
    op->turn = stay;
    EBB_TRY(ebb_operator_room(ctx, 0, op));
    for (int64_t i = 0; i < op->count; i++)
        op->singular[i] = 1;
    return EBB_OK;
}

/* ---- grey pictures -------------------------------------------------------------------------------------------------------- */

static void grey_apply(const ebb_operator *op, const double *x, double *y)
{
    for (int64_t p = 0; p < op->rows; p++)
        y[p] = (x[3 * p] + x[3 * p + 1] + x[3 * p + 2]) / 3;
}

static void grey_adjoint(const ebb_operator *op, const double *y, double *x)
{
    for (int64_t i = 0; i < op->count; i++)
        x[i] = y[i / 3] / 3;
}

static void grey_turn(const ebb_operator *op, bool back, double *c)
{
    ebb_colour_turn(op->rows, c, back);
}

/* Colours that do not exist at their grey become paler. */
static void grey_fit(const ebb_operator *op, double *x)
{
    for (int64_t p = 0; p < op->rows; p++, x += 3) {
        double mean = (x[0] + x[1] + x[2]) / 3;
        double keep = ebb_operator_room_around(mean, fmin(fmin(x[0], x[1]), x[2]), fmax(fmax(x[0], x[1]), x[2]));
        for (int c = 0; keep < 1 && c < 3; c++)
            x[c] = mean + keep * (x[c] - mean);
    }
}

ebb_status ebb_operator_colorize(ebb_context *ctx, const ebb_operator_options *o, ebb_operator *op)
{
    if (o->channels != 3)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "colorize: pictures of %d channels have no colour to find: it takes 3", o->channels);
    op->rows = (int64_t)o->height * o->width;
    op->shape[2] = 1;
    op->apply = grey_apply;
    op->adjoint = grey_adjoint;
    op->turn = grey_turn;
    op->fit = grey_fit;
    EBB_TRY(ebb_operator_room(ctx, 0, op));
    for (int64_t p = 0; p < op->rows; p++)
        op->singular[3 * p] = 1 / sqrt(3);
    return EBB_OK;
}
