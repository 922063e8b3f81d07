/* exp_nearest.c: E3: generated digits and their nearest neighbours: has the model learned its data by heart?
 *
 * Below the distance under which 5% of the training digits have a neighbour among the others, no more generated digits may have
 * one than digits that were never trained on, within three standard errors; that none has one would be too much to ask, since
 * about 5% of fresh digits do. None may be a copy, nearer than the nearest two training digits are; and half of them must lie no
 * farther than 1.5 times what half of the fresh digits do.
 */
#include <math.h>
#include <stdio.h>

#include "eval/nearest.h"
#include "study/experiment.h"

enum { SHOWN = 10 };

static ebb_status draw_samples(ebb_trial *x, ebb_trial_pictures *made)
{
    ebb_model *model;
    EBB_TRY(ebb_trial_model(x, 0, &model));
    ebb_status status = ebb_trial_blank_pictures(x, model, ebb_trial_scale(x, 500, 20), made);
    if (status == EBB_OK) {
        ebb_sample_options o = ebb_sample_defaults();
        o.n = made->n;
        o.seed = 1;
        o.label = EBB_LABEL_ALL;
        o.guidance = 0;
        status = ebb_trial_sample(x, model, &o, "sampling digits", made->x);
        if (status != EBB_OK)
            ebb_trial_pictures_free(made);
    }
    ebb_model_free(model);
    return status;
}

static void check(ebb_trial *x, const ebb_memorised *m, int64_t n, int64_t fresh)
{
    char expected[100];
    double most = m->below_fresh + 3 * sqrt(m->below_fresh * (1 - m->below_fresh) * (1 / (double)n + 1 / (double)fresh));
    snprintf(expected, sizeof expected, "digits never trained on: %.3f, 3 s.e. more: %.3f", m->below_fresh, most);
    ebb_trial_figure(x, m->threshold, "", "distance under which 5%% of training digits have a neighbour");
    ebb_trial_expect(x, m->below, 0, most, expected, "share of generated digits nearer than that to a training digit");
    snprintf(expected, sizeof expected, "as many never trained on: %.0f", m->below_fresh * (double)n);
    ebb_trial_figure(x, m->below * (double)n, expected, "generated digits nearer than that, of %lld", (long long)n);
    snprintf(expected, sizeof expected, "two training digits: %.3f", m->least_train);
    ebb_trial_expect(x, m->least, m->least_train, INFINITY, expected, "least distance of a generated digit to a training digit");
    snprintf(expected, sizeof expected, "at most 1.5 times: never trained on %.3f", m->median_fresh);
    ebb_trial_expect(x, m->median, 0, 1.5 * m->median_fresh, expected, "median distance of generated digits to training digits");
}

/* Pairs of rows: generated digits from all over, below each the training digit that is nearest. */
static ebb_status draw_pairs(ebb_trial *x, const ebb_trial_pictures *made, const ebb_trial_pictures *train, const int32_t *index)
{
    static const char *const names[] = {"generated", "nearest", "generated", "nearest"};
    ebb_trial_pictures p = *made;
    p.n = 4 * SHOWN;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&p.x, (size_t)(p.n * p.numbers), sizeof *p.x, "pairs"));
    for (int64_t i = 0; i < 2 * SHOWN; i++) {
        int64_t from = i * made->n / (2 * SHOWN), to = i / SHOWN * 2 * SHOWN + i % SHOWN;
        for (int64_t d = 0; d < p.numbers; d++) {
            p.x[to * p.numbers + d] = made->x[from * p.numbers + d];
            p.x[(to + SHOWN) * p.numbers + d] = train->x[index[from] * p.numbers + d];
        }
    }
    ebb_status status = ebb_trial_grid(x, "", &p, 4, SHOWN, names);
    ebb_free(p.x);
    return status;
}

static ebb_status compare(ebb_trial *x, const ebb_trial_pictures *made, const ebb_trial_pictures *train, const ebb_trial_pictures *fresh)
{
    ebb_memorised found;
    int32_t *index;
    EBB_TRY(ebb_alloc(x->ctx, (void **)&index, (size_t)made->n, sizeof *index, "neighbours"));
    ebb_memory_test t = {.made = made->x, .fresh = fresh->x, .train = train->x, .n = made->n, .f = fresh->n, .m = train->n,
                         .probed = train->n < 2000 ? train->n : 2000, .dim = made->numbers, .index = index};
    ebb_status status = ebb_trial_progress(x, "nearest neighbours", 1, 2);
    if (status == EBB_OK)
        status = ebb_memorised_test(x->ctx, &t, &found);
    if (status == EBB_OK) {
        check(x, &found, made->n, fresh->n);
        status = draw_pairs(x, made, train, index);
    }
    ebb_free(index);
    return status;
}

ebb_status ebb_exp_nearest(ebb_trial *x)
{
    ebb_trial_pictures made, train = {0}, fresh = {0};
    EBB_TRY(draw_samples(x, &made));
    ebb_status status = ebb_trial_training_pictures(x, 0, 0, ebb_trial_scale(x, 0, 300), &train);
    if (status == EBB_OK)
        status = ebb_trial_read_pictures(x, EBB_TEST_DIGITS, NULL, 0, ebb_trial_scale(x, 0, 100), &fresh);
    if (status == EBB_OK)
        status = compare(x, &made, &train, &fresh);
    ebb_trial_pictures_free(&made);
    ebb_trial_pictures_free(&train);
    ebb_trial_pictures_free(&fresh);
    return status;
}
