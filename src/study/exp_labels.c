/* exp_labels.c: E9, E14, E16: digits of a class that is asked for, and what guidance does to them: a network's own, which knows
 * classes, and a classifier's, which leads one that was not told.
 *
 * Which digit a picture shows is read by its nearest training digit. Purity: the share of pictures that show the class asked
 * for; diversity: the mean distance between two generated digits of a class, and the share of held-out digits that lie within
 * the manifold of the generated ones (recall; Kynkaanniemi et al. 2019). Label guidance, gamma 3 instead of 1 in the lecture
 * (here w = gamma - 1: 2 instead of 0), makes the one rise and the other fall.
 */
#include <math.h>
#include <stdio.h>

#include "eval/nearest.h"
#include "study/experiment.h"

enum { CLASSES = 10, NEIGHBOURS = 3, COLUMNS = 10 };

static const char *const class_names[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

typedef struct reader { ebb_trial_pictures train, fresh; } reader;

static void forget(reader *r)
{
    ebb_trial_pictures_free(&r->train);
    ebb_trial_pictures_free(&r->fresh);
}

static double spread(const ebb_trial_pictures *p)
{
    double sum = 0, pairs = 0;
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < i; j++) {
            if (p->label[i] != p->label[j])
                continue;
            double square = 0;
            for (int64_t d = 0; d < p->numbers; d++) {
                double off = (double)p->x[i * p->numbers + d] - p->x[j * p->numbers + d];
                square += off * off;
            }
            sum += sqrt(square);
            pairs++;
        }
    return sum / pairs;
}

static ebb_status begin(ebb_trial *x, reader *r)
{
    *r = (reader){0};
    EBB_TRY(ebb_trial_training_pictures(x, 0, 0, ebb_trial_scale(x, 0, 500), &r->train));
    ebb_status status = ebb_trial_read_pictures(x, EBB_TEST_DIGITS, EBB_TEST_DIGIT_LABELS, 0, ebb_trial_scale(x, 0, 100), &r->fresh);
    if (status != EBB_OK)
        forget(r);
    return status;
}

static ebb_status draw(ebb_trial *x, ebb_model *model, int64_t n, double guidance, ebb_trial_pictures *made)
{
    char doing[60];
    ebb_sample_options o = ebb_sample_defaults();
    EBB_TRY(ebb_trial_blank_pictures(x, model, n, made));
    o.n = n;
    o.seed = 2;
    o.label = EBB_LABEL_ALL;
    o.guidance = guidance;
    snprintf(doing, sizeof doing, "sampling, guidance %g", guidance);
    ebb_status status = ebb_trial_sample(x, model, &o, doing, made->x);
    if (status != EBB_OK)
        ebb_trial_pictures_free(made);
    return status;
}

/* ---- classes ----------------------------------------------------------------------------------------------------------------- */

/* Rows of ten of each class, out of n/CLASSES. */
static ebb_status draw_classes(ebb_trial *x, const char *suffix, const ebb_trial_pictures *made)
{
    ebb_trial_pictures p = *made;
    int64_t of_class = made->n / CLASSES, columns = of_class < COLUMNS ? of_class : COLUMNS;
    p.n = CLASSES * columns;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&p.x, (size_t)(p.n * p.numbers), sizeof *p.x, "rows"));
    for (int64_t i = 0; i < p.n; i++)
        for (int64_t d = 0; d < p.numbers; d++)
            p.x[i * p.numbers + d] = made->x[(i / columns * of_class + i % columns) * p.numbers + d];
    ebb_status status = ebb_trial_grid(x, suffix, &p, CLASSES, (int)columns, class_names);
    ebb_free(p.x);
    return status;
}

/* As the recipe has it, guided; and without guidance, where a small network is less sure of itself. */
static ebb_status classes(ebb_trial *x, ebb_model *model, const reader *r)
{
    const double guidance[] = {0, model->recipe->sample_guidance};
    double share, least, fresh, fresh_least;
    char beside[80];
    EBB_TRY(ebb_trial_purity(x, &r->train, &r->fresh, &fresh, &fresh_least));
    ebb_trial_figure(x, fresh, "", "share of held-out digits that are read right");
    for (int k = 0; k < 2; k++) {
        ebb_trial_pictures made;
        EBB_TRY(draw(x, model, ebb_trial_scale(x, 500, 20), guidance[k], &made));
        ebb_status status = ebb_trial_purity(x, &r->train, &made, &share, &least);
        if (status == EBB_OK && k == 1)
            status = draw_classes(x, "", &made);
        ebb_trial_pictures_free(&made);
        EBB_TRY(status);
        if (k == 0)
            ebb_trial_figure(x, share, "", "guidance 0: share of digits that show the class asked for");
    }
    /* A reader misreads what it misreads of real digits. */
    snprintf(beside, sizeof beside, "at least 0.9; of held-out digits %.3f", fresh);
    ebb_trial_expect(x, share, 0.9, 1, beside, "guidance %g: share of digits that show the class asked for", guidance[1]);
    snprintf(beside, sizeof beside, "at least 0.75; of held-out digits %.3f", fresh_least);
    ebb_trial_expect(x, least, 0.75, 1, beside, "the same of the class that is worst");
    return EBB_OK;
}

/* ---- guidance ---------------------------------------------------------------------------------------------------------------- */

typedef struct figures { double purity, spread, recall; } figures;

static ebb_status measure(ebb_trial *x, ebb_model *model, const reader *r, double guidance, figures *f)
{
    char suffix[20];
    ebb_trial_pictures made;
    double least;
    EBB_TRY(draw(x, model, ebb_trial_scale(x, 500, 60), guidance, &made));
    ebb_status status = ebb_trial_purity(x, &r->train, &made, &f->purity, &least);
    if (status == EBB_OK)
        status = ebb_manifold_share(x->ctx, r->fresh.x, r->fresh.n, made.x, made.n, made.numbers, NEIGHBOURS, &f->recall);
    f->spread = spread(&made);
    snprintf(suffix, sizeof suffix, "w%g", guidance);
    if (status == EBB_OK)
        status = draw_classes(x, suffix, &made);
    ebb_trial_pictures_free(&made);
    return status;
}

static ebb_status compare(ebb_trial *x, ebb_model *model, const reader *r)
{
    figures plain, guided;
    char beside[80];
    EBB_TRY(measure(x, model, r, 0, &plain));
    EBB_TRY(measure(x, model, r, 2, &guided));
    snprintf(beside, sizeof beside, "more than with w = 0: %.4f", plain.purity);
    ebb_trial_expect(x, guided.purity, nextafter(plain.purity, 2), 1, beside, "class purity, w = 2");
    snprintf(beside, sizeof beside, "less than 1; with w = 0: %.2f", plain.spread);
    ebb_trial_expect(x, guided.spread / plain.spread, 0, 0.99, beside, "mean distance within a class, w = 2 / w = 0");
    snprintf(beside, sizeof beside, "less than with w = 0: %.4f", plain.recall);
    ebb_trial_expect(x, guided.recall, 0, nextafter(plain.recall, 0), beside, "recall of held-out digits, w = 2");
    return EBB_OK;
}

/* ---- a classifier ------------------------------------------------------------------------------------------------------------ */

/* The network is not told the class (guidance -1), a classifier of noisy digits leads to it, as a change of the noise or as a
 * shift of the means (guide.h), over a sampler that has means. Without it one digit in ten is right, whatever the network draws:
 * each class is asked for as often. */
typedef struct lead { const char *form; double scale; } lead;
static const lead leads[] = {{"epsilon", 0}, {"epsilon", 1}, {"epsilon", 4}, {"mean", 1}, {"mean", 4}};
enum { LEADS = sizeof leads / sizeof leads[0], LED = 200 };

static ebb_status draw_led(ebb_trial *x, ebb_model *model, ebb_model *classifier, lead by, ebb_trial_pictures *made)
{
    char doing[60];
    ebb_sample_options o = ebb_sample_defaults();
    o.n = ebb_trial_scale(x, LED, 20);
    EBB_TRY(ebb_trial_blank_pictures(x, model, o.n, made));
    o.seed = 2;
    o.label = EBB_LABEL_ALL;
    o.sampler = "euler-ancestral";
    o.grid = "";
    o.steps = (int)ebb_trial_scale(x, 30, 5);
    o.guidance = -1;
    o.classifier = by.scale != 0 ? classifier : NULL;
    o.classifier_scale = by.scale;
    o.classifier_form = by.form;
    snprintf(doing, sizeof doing, "sampling, classifier %g, %s", by.scale, by.form);
    ebb_status status = ebb_trial_sample(x, model, &o, doing, made->x);
    if (status != EBB_OK)
        ebb_trial_pictures_free(made);
    return status;
}

static ebb_status measure_led(ebb_trial *x, ebb_model *model, ebb_model *classifier, const reader *r, lead by, double *share)
{
    char suffix[40];
    ebb_trial_pictures made;
    double least;
    EBB_TRY(draw_led(x, model, classifier, by, &made));
    ebb_status status = ebb_trial_purity(x, &r->train, &made, share, &least);
    snprintf(suffix, sizeof suffix, "%s-%g", by.form, by.scale);
    if (status == EBB_OK)
        status = draw_classes(x, suffix, &made);
    ebb_trial_pictures_free(&made);
    return status;
}

static ebb_status lead_all(ebb_trial *x, ebb_model *model, ebb_model *classifier, const reader *r)
{
    double share[LEADS], n = (double)ebb_trial_scale(x, LED, 20), error = sqrt(0.1 * 0.9 / n);
    char beside[80];
    for (int k = 0; k < LEADS; k++)
        EBB_TRY(measure_led(x, model, classifier, r, leads[k], &share[k]));
    snprintf(beside, sizeof beside, "0.1, within 3 s.e. (%.3f)", error);
    ebb_trial_expect(x, share[0], 0.1 - 3 * error, 0.1 + 3 * error, beside, "unguided: share of digits that show the class asked for");
    for (int k = 1; k < LEADS; k++) {
        double before = leads[k].scale > leads[k - 1].scale ? share[k - 1] : share[0];
        double more = sqrt(2 * 0.25 / n);
        snprintf(beside, sizeof beside, "more than with less of it: %.3f, by 2 s.e. (%.3f)", before, more);
        ebb_trial_expect(x, share[k], before + 2 * more, 1, beside, "classifier, form %s, scale %g: the same", leads[k].form, leads[k].scale);
    }
    return EBB_OK;
}

static ebb_status classifier(ebb_trial *x, ebb_model *model, const reader *r)
{
    ebb_model *c;
    EBB_TRY(ebb_trial_model(x, 1, &c));
    ebb_status status = lead_all(x, model, c, r);
    ebb_model_free(c);
    return status;
}

static ebb_status with_model(ebb_trial *x, ebb_status (*work)(ebb_trial *, ebb_model *, const reader *))
{
    ebb_model *model;
    reader r;
    EBB_TRY(ebb_trial_model(x, 0, &model));
    ebb_status status = begin(x, &r);
    if (status == EBB_OK) {
        status = work(x, model, &r);
        forget(&r);
    }
    ebb_model_free(model);
    return status;
}

ebb_status ebb_exp_classes(ebb_trial *x)
{
    return with_model(x, classes);
}

ebb_status ebb_exp_label_guidance(ebb_trial *x)
{
    return with_model(x, compare);
}

ebb_status ebb_exp_classifier_guidance(ebb_trial *x)
{
    return with_model(x, classifier);
}
