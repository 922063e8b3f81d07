/* restore_report.c: how well pictures were restored: whether they agree with the measurement, how near they are to the truth.
 *
 * PSNR is 10 log10(2^2/mean square error), of pictures from -1 to 1. That of the mean of many copies is the higher one: the mean
 * of the posterior has the least error, and a sample of it about twice that (Blau & Michaeli 2018).
 */
#include <math.h>

#include "sample/restoring.h"

typedef struct found { double consistency, psnr, of_mean, measured, spread; } found;

static double decibels(double squares, int64_t numbers)
{
    return 10 * log10(4 * (double)numbers / squares);
}

/* Root mean square of y - H x; x, told: room. */
static double disagreement(const ebb_restoring *r, const double *y, const float *restored, double *x, double *told)
{
    double sum = 0;
    for (int64_t d = 0; d < r->numbers; d++)
        x[d] = restored[d];
    r->op.apply(&r->op, x, told);
    for (int64_t j = 0; j < r->op.rows; j++)
        sum += (y[j] - told[j]) * (y[j] - told[j]);
    return sqrt(sum / (double)r->op.rows);
}

/* Between two pictures. */
static double squares(int64_t n, const float *a, const float *b)
{
    double sum = 0;
    for (int64_t d = 0; d < n; d++)
        sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    return sum;
}

/* Mean over the copies to mean (numbers); returns their root mean square deviation from it. */
static double average(const ebb_restoring *r, const float *copies, double *mean)
{
    double sum = 0;
    for (int64_t d = 0; d < r->numbers; d++) {
        mean[d] = 0;
        for (int c = 0; c < r->o.copies; c++)
            mean[d] += copies[c * r->numbers + d] / r->o.copies;
        for (int c = 0; c < r->o.copies; c++)
            sum += (copies[c * r->numbers + d] - mean[d]) * (copies[c * r->numbers + d] - mean[d]);
    }
    return r->o.copies > 1 ? sqrt(sum / (double)(r->numbers * (r->o.copies - 1))) : NAN;
}

static found judge(const ebb_restoring *r, int64_t i, double *room)
{
    const float *copies = r->restored + i * r->o.copies * r->numbers, *truth = r->pictures + i * r->numbers;
    double *told = room + r->numbers, error = 0;
    found f = {.consistency = 0, .psnr = 0};
    for (int c = 0; c < r->o.copies; c++) {
        double off = disagreement(r, r->y + i * r->op.rows, copies + c * r->numbers, room, told);
        f.consistency += off * off / r->o.copies;
    }
    f.consistency = sqrt(f.consistency);
    f.spread = average(r, copies, room);
    if (r->o.given)
        return f;
    for (int c = 0; c < r->o.copies; c++)
        f.psnr += decibels(squares(r->numbers, copies + c * r->numbers, truth), r->numbers) / r->o.copies;
    for (int64_t d = 0; d < r->numbers; d++)
        error += (room[d] - truth[d]) * (room[d] - truth[d]);
    f.of_mean = decibels(error, r->numbers);
    f.measured = r->measured != NULL ? decibels(squares(r->numbers, r->measured + i * r->numbers, truth), r->numbers) : NAN;
    return f;
}

static void put(json_t *to, const ebb_restoring *r, const found *f)
{
    json_object_set_new(to, "consistency", ebb_report_number(f->consistency));
    if (r->o.copies > 1)
        json_object_set_new(to, "spread", ebb_report_number(f->spread));
    if (r->o.given)
        return;
    json_object_set_new(to, "psnr", ebb_report_number(f->psnr));
    json_object_set_new(to, "psnr_of_mean", ebb_report_number(f->of_mean));
    json_object_set_new(to, "psnr_measured", ebb_report_number(f->measured));
}

static void add_pictures(const ebb_restoring *r, double *room, json_t *to)
{
    json_t *list = json_array();
    found all = {0};
    double n = (double)r->n;
    for (int64_t i = 0; i < r->n; i++) {
        found f = judge(r, i, room);
        json_t *row = json_pack("{s:I}", "picture", (json_int_t)(r->o.first + i));
        put(row, r, &f);
        json_array_append_new(list, row);
        all.consistency += f.consistency * f.consistency / n;
        all.spread += f.spread * f.spread / n;
        all.psnr += f.psnr / n;
        all.of_mean += f.of_mean / n;
        all.measured += f.measured / n;
    }
    all.consistency = sqrt(all.consistency);
    all.spread = sqrt(all.spread);
    put(to, r, &all);
    json_object_set_new(to, "pictures", list);
}

ebb_status ebb_restoring_report(const ebb_restoring *r, int64_t evaluations, char **json)
{
    double *room;
    EBB_TRY(ebb_alloc(r->ctx, (void **)&room, (size_t)r->numbers, 2 * sizeof *room, "a picture"));
    json_t *report = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:b, s:I, s:f}", "task", r->o.task, "method", r->o.method, "steps",
                               (json_int_t)r->o.steps, "evaluations", (json_int_t)evaluations, "copies", (json_int_t)r->o.copies,
                               "known", (json_int_t)r->op.rows, "sigma", r->o.sigma, "given", r->o.given != 0, "numbers",
                               (json_int_t)r->numbers, "guidance", r->o.guidance);
    add_pictures(r, room, report);
    ebb_free(room);
    return ebb_report_text(r->ctx, report, json);
}
