/* eval_pictures.c: the pictures that ebb_eval judges: drawn from a model, or read as the data's own are.
 *
 * Classes are asked for by their shares in the data, by largest remainders, in order: a model that knows classes is not judged by
 * which of them it was asked for. Data without labels leave as many of each.
 */
#include <math.h>
#include <string.h>

#include "sample/pictures.h"
#include "study/eval.h"

/* ---- a model's ------------------------------------------------------------------------------------------------------------------- */

static int on_sample(void *self, int64_t done, int64_t total)
{
    return ebb_eval_progress(self, "sampling", done, total) != EBB_OK;
}

/* count (classes), whose sum is n: whole parts, then one more for the largest remainders. */
static void apportion(const double *share, int classes, int64_t n, int64_t *count)
{
    int64_t left = n;
    for (int c = 0; c < classes; c++) {
        count[c] = (int64_t)floor(share[c] * (double)n);
        left -= count[c];
    }
    for (; left > 0; left--) {
        int best = 0;
        for (int c = 1; c < classes; c++)
            best = share[c] * (double)n - (double)count[c] > share[best] * (double)n - (double)count[best] ? c : best;
        count[best]++;
    }
}

/* A class that the data have and the model does not know is not asked for. */
static ebb_status choose_classes(ebb_eval_job *j)
{
    int classes = ebb_quality_classes(j->quality), known = (int)j->model->recipe->net_classes;
    double *share, all = 0;
    EBB_TRY(ebb_alloc(j->ctx, (void **)&share, (size_t)classes, sizeof *share + sizeof(int64_t), "shares of classes"));
    int64_t *count = (int64_t *)(void *)(share + classes), at = 0;
    ebb_quality_shares(j->quality, share);
    for (int c = 0; c < classes && c < known; c++)
        all += share[c];
    ebb_status status = all > 0 ? ebb_alloc(j->ctx, (void **)&j->label, (size_t)j->n, sizeof *j->label, "classes of samples")
                                : ebb_fail(j->ctx, EBB_E_ARGUMENT, "the data have none of the model's %d classes", known);
    for (int c = 0; c < classes; c++)
        share[c] = c < known && all > 0 ? share[c] / all : 0;
    if (status == EBB_OK)
        apportion(share, classes, j->n, count);
    for (int c = 0; status == EBB_OK && c < classes; c++)
        for (int64_t i = 0; i < count[c]; i++)
            j->label[at++] = c;
    ebb_free(share);
    return status;
}

static ebb_status take(ebb_eval_job *j, const float *pixels)
{
    EBB_TRY(ebb_alloc(j->ctx, (void **)&j->bytes, (size_t)j->n, (size_t)j->numbers, "pictures"));
    ebb_pixels_to_bytes(pixels, (size_t)(j->n * j->numbers), j->bytes);
    return EBB_OK;
}

ebb_status ebb_eval_draw(ebb_eval_job *j)
{
    ebb_sample_options *o = &j->sample;
    float *pixels;
    if (o->label == EBB_LABEL_ALL && ebb_quality_classes(j->quality) > 0)
        EBB_TRY(choose_classes(j));
    o->size = sizeof *o;
    o->n = j->n;
    o->labels = j->label;
    o->evaluations = &j->evaluations;
    o->progress = on_sample;
    o->user = j;
    EBB_TRY(ebb_alloc(j->ctx, (void **)&pixels, (size_t)j->n, (size_t)j->numbers * sizeof *pixels, "samples"));
    ebb_status status = ebb_sample(j->ctx, j->model, o, pixels);
    if (status == EBB_OK)
        status = take(j, pixels);
    ebb_free(pixels);
    return status;
}

/* ---- of a file ----------------------------------------------------------------------------------------------------------------------- */

static ebb_status open_pictures(ebb_eval_job *j, ebb_dataset *data)
{
    ebb_recipe *r;
    EBB_TRY(ebb_recipe_copy(j->ctx, j->recipe, &r));
    r->directory[0] = 0;
    r->net_classes = 0;
    strcpy(r->data_colour, "as-is");
    ebb_status status = ebb_data_redirect(j->ctx, j->pictures, NULL, r);
    r->data_limit = j->o.n;
    if (status == EBB_OK)
        status = ebb_recipe_dataset(j->ctx, r, data);
    ebb_recipe_free(r);
    return status;
}

ebb_status ebb_eval_read(ebb_eval_job *j)
{
    ebb_dataset data;
    float *pixels;
    EBB_TRY(open_pictures(j, &data));
    j->n = data.n < EBB_QUALITY_REFERENCE || j->o.n > 0 ? data.n : EBB_QUALITY_REFERENCE;
    ebb_status status = j->o.n > data.n ? ebb_fail(j->ctx, EBB_E_ARGUMENT, "%lld pictures of %s: it has %lld", (long long)j->o.n, j->pictures,
                                                   (long long)data.n) : EBB_OK;
    if (status == EBB_OK)
        status = ebb_alloc(j->ctx, (void **)&pixels, (size_t)j->n, (size_t)j->numbers * sizeof *pixels, "pictures");
    if (status == EBB_OK) {
        for (int64_t i = 0; i < j->n; i++)
            ebb_dataset_picture(&data, i, false, pixels + i * j->numbers);
        status = take(j, pixels);
        ebb_free(pixels);
    }
    ebb_dataset_free(&data);
    return status;
}
