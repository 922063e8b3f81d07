/* experiment_work.c: what other parts of ebb do for a trial, with the trial's progress.
 */
#include "study/experiment.h"

typedef struct work { ebb_trial *x; const char *doing; } work;

static int on_toy(void *user, const char *doing, int64_t done, int64_t total)
{
    const work *w = user;
    return ebb_trial_progress(w->x, doing, done, total) != EBB_OK;
}

static int on_sample(void *user, int64_t done, int64_t total)
{
    const work *w = user;
    return ebb_trial_progress(w->x, w->doing, done, total) != EBB_OK;
}

static int on_nll(void *user, double done)
{
    const work *w = user;
    return ebb_trial_progress(w->x, w->doing, (int64_t)(1000 * done), 1000) != EBB_OK;
}

static ebb_status parse(ebb_trial *x, ebb_status status, char *text, const char *what, json_t **report)
{
    *report = NULL;
    if (status == EBB_OK)
        status = ebb_json_parse(x->ctx, text, what, report);
    ebb_text_free(text);
    return status;
}

ebb_status ebb_trial_toy(ebb_trial *x, const ebb_toy_options *options, json_t **report)
{
    char *text = NULL;
    work w = {x, NULL};
    ebb_toy_options o = *options;
    o.progress = on_toy;
    o.user = &w;
    ebb_status status = ebb_toy(x->ctx, &o, &text);
    return parse(x, status, text, "a job over an exact law", report);
}

ebb_status ebb_trial_sample(ebb_trial *x, ebb_model *model, const ebb_sample_options *options, const char *doing, float *pixels)
{
    work w = {x, doing};
    ebb_sample_options o = *options;
    o.progress = on_sample;
    o.user = &w;
    return ebb_sample(x->ctx, model, &o, pixels);
}

ebb_status ebb_trial_nll(ebb_trial *x, ebb_model *model, const ebb_nll_options *options, const char *doing, json_t **report)
{
    char *text = NULL;
    work w = {x, doing};
    ebb_nll_options o = *options;
    o.progress = on_nll;
    o.user = &w;
    ebb_status status = ebb_nll(x->ctx, model, &o, &text);
    return parse(x, status, text, "a likelihood", report);
}
