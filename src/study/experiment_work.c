/* experiment_work.c: what other parts of ebb do for a trial, with the trial's progress.
 */
#include <string.h>

#include "study/experiment.h"
#include "study/toy.h"

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

static int on_part(void *user, double done)
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

/* ---- exact laws ---------------------------------------------------------------------------------------------------------- */

/* The best pairing of samples takes longer than all other distances. */
static ebb_status judge(ebb_toy_job *t, const double *samples, int64_t n, ebb_trial_judgement *out)
{
    ebb_measure found[EBB_DISTANCES];
    EBB_TRY(ebb_judge_create(t->ctx, t->aim, &t->judge));
    t->judge.paired = 0;
    EBB_TRY(ebb_judge_measure(t->ctx, &t->judge, samples, n, 0, found));
    out->sliced_w2 = found[EBB_DISTANCE_SLICED].value;
    out->kl = found[EBB_DISTANCE_KL].value;
    out->energy = found[EBB_DISTANCE_ENERGY].value;
    out->mmd = found[EBB_DISTANCE_MMD].value;
    return EBB_OK;
}

static ebb_status walk(ebb_toy_job *t, const char *doing, double *samples, ebb_trial_judgement *out)
{
    ebb_toy_walk w = {.sampler = t->o.sampler, .grid = t->o.grid, .steps = t->o.steps, .n = t->o.n, .x = samples};
    EBB_TRY(ebb_toy_learn(t));
    EBB_TRY(ebb_toy_prepare(t, &w));
    t->doing = doing;
    ebb_status status = ebb_toy_run(t, &w);
    out->nfe = w.nfe;
    ebb_grid_free(&w.levels);
    return status == EBB_OK ? judge(t, samples, t->o.n, out) : status;
}

ebb_status ebb_trial_walk(ebb_trial *x, const ebb_toy_options *options, const char *doing, double *samples, ebb_trial_judgement *out)
{
    work w = {x, NULL};
    ebb_toy_options o = *options;
    ebb_toy_job t = {.ctx = x->ctx, .doing = doing};
    double *room = NULL;
    o.progress = on_toy;
    o.user = &w;
    atomic_flag_clear(&t.calling);
    *out = (ebb_trial_judgement){0};
    ebb_status status = ebb_toy_settle(&t, &o);
    if (status == EBB_OK && samples == NULL)
        status = ebb_alloc(x->ctx, (void **)&room, (size_t)(t.o.n * t.law.dim), sizeof *room, "samples");
    if (status == EBB_OK)
        status = walk(&t, doing, samples != NULL ? samples : room, out);
    ebb_toy_free(&t);
    ebb_free(room);
    return status;
}

ebb_status ebb_trial_floor(ebb_trial *x, const char *target, int64_t n, double *sliced_w2, double *mmd)
{
    ebb_toy_options o = ebb_toy_defaults();
    ebb_toy_job t = {.ctx = x->ctx, .doing = "true points"};
    double floor[EBB_DISTANCES];
    o.target = target;
    atomic_flag_clear(&t.calling);
    ebb_status status = ebb_toy_settle(&t, &o);
    if (status == EBB_OK)
        status = ebb_judge_create(x->ctx, t.aim, &t.judge);
    t.judge.paired = 0;
    if (status == EBB_OK)
        status = ebb_judge_floor(x->ctx, &t.judge, n, floor);
    if (status == EBB_OK) {
        *sliced_w2 = floor[EBB_DISTANCE_SLICED];
        *mmd = floor[EBB_DISTANCE_MMD];
    }
    ebb_toy_free(&t);
    return status;
}

/* ---- models -------------------------------------------------------------------------------------------------------------- */

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
    o.progress = on_part;
    o.user = &w;
    ebb_status status = ebb_nll(x->ctx, model, &o, &text);
    return parse(x, status, text, "a likelihood", report);
}

ebb_status ebb_trial_classify(ebb_trial *x, ebb_model *model, const ebb_classify_options *options, const char *doing, json_t **report)
{
    char *text = NULL;
    work w = {x, doing};
    ebb_classify_options o = *options;
    o.progress = on_part;
    o.user = &w;
    ebb_status status = ebb_classify(x->ctx, model, &o, &text);
    return parse(x, status, text, "what a classifier finds", report);
}

const ebb_trial_method ebb_trial_methods[EBB_TRIAL_METHODS] = {
    {"replacement", "replacement", 50}, {"RePaint", "repaint:jump_length=5,resamples=5", 50}, {"DDRM", "ddrm", 50},
    {"DPS", "dps:zeta=2", 100}};

ebb_status ebb_trial_restore(ebb_trial *x, ebb_model *model, const ebb_restore_options *options, const char *doing,
                             const ebb_trial_pictures *truth, float *measured, float *restored)
{
    char *text = NULL;
    work w = {x, doing};
    ebb_restore_options o = *options;
    o.progress = on_sample;
    o.user = &w;
    ebb_status status = ebb_restore(x->ctx, model, &o, truth->n, truth->x, measured, restored, &text);
    ebb_text_free(text);
    return status;
}

ebb_status ebb_trial_encode(ebb_trial *x, ebb_model *model, const ebb_latent_options *options, const char *doing, int64_t n,
                            const float *pixels, double *codes)
{
    work w = {x, doing};
    ebb_latent_options o = *options;
    o.progress = on_part;
    o.user = &w;
    return ebb_latent_encode(x->ctx, model, &o, n, pixels, codes);
}

ebb_status ebb_trial_decode(ebb_trial *x, ebb_model *model, const ebb_latent_options *options, const char *doing, int64_t n,
                            const double *codes, float *pixels)
{
    work w = {x, doing};
    ebb_latent_options o = *options;
    o.progress = on_part;
    o.user = &w;
    return ebb_latent_decode(x->ctx, model, &o, n, codes, pixels);
}
