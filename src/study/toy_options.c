/* toy_options.c: what a job over an exact law is asked for, checked and filled in; the lists it knows.
 *
 * Process, network and training are those of a recipe, so that every key is known here too.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "study/toy.h"

#define N_MAX 10000000

/* What a recipe is for a law of few dimensions, unless keys say otherwise. In continuous time most of the effort goes to the
 * levels at which modes part, and the network is scaled at each level (Karras et al. 2022): of what was tried on moons and
 * mixture it leaves the least error of the score at small noise and the least KL. */
static const char *const usual[] = {
    "data.kind=target", "data.limit=200000", "net.kind=mlp", "net.width=96", "net.depth=3", "process.kind=vp",
    "precision.type=f32", "optim.lr=5e-3", "optim.decay=cosine", "optim.lr_end=1e-5", "optim.warmup=50", "optim.beta2=0.99",
    "optim.ema=0.998", "train.steps=2000", "train.batch=512", "train.shard=256", "train.save_every=0", NULL,
};
static const char *const usual_continuous[] = {"loss.times=log-normal", "loss.log_mean=-1", "loss.log_std=2",
                                               "loss.weighting=epsilon", "process.prediction=edm", "process.sigma_data=1",
                                               "process.clock=log-snr", NULL};
/* Where alpha is 0, a velocity still tells both x_0 and the noise. */
static const char *const usual_flow[] = {"process.prediction=flow", "loss.times=uniform", NULL};

ebb_toy_options ebb_toy_defaults(void)
{
    return (ebb_toy_options){.size = sizeof(ebb_toy_options), .label = EBB_LABEL_NONE};
}

static ebb_status unknown(ebb_context *ctx, const char *what, const char *word, const char *const *names, int count)
{
    char near[80], all[200] = "";
    for (int i = 0; i < count; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i > 0 ? ", " : "", names[i]);
    return ebb_fail(ctx, EBB_E_USAGE, "unknown %s '%.60s': %s%s", what, word, all, ebb_suggest(word, names, count, near, sizeof near));
}

static bool one_of(const char *word, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(word, names[i]) == 0)
            return true;
    return false;
}

static ebb_status check_words(ebb_context *ctx, ebb_toy_options *o)
{
    static const char *const jobs[] = {"samples", "compare", "convergence", "panels", "restore"}, *const scores[] = {"exact", "train"};
    o->job = o->job != NULL ? o->job : "samples";
    o->score = o->score != NULL ? o->score : o->model != NULL ? "model" : "exact";
    if (o->target == NULL || *o->target == 0)
        return ebb_fail(ctx, EBB_E_USAGE, "which law? name one, as mixture or ring:modes=6");
    const char *forms[EBB_GUIDE_FORMS];
    for (ebb_guide_form form = 0; form < EBB_GUIDE_FORMS; form++)
        forms[form] = ebb_guide_form_name(form);
    if (ebb_guide_form_find(o->classifier_form) == EBB_GUIDE_FORMS)
        return unknown(ctx, "form of classifier guidance", o->classifier_form, forms, EBB_GUIDE_FORMS);
    if (!one_of(o->job, jobs, 5))
        return unknown(ctx, "job", o->job, jobs, 5);
    if (o->model != NULL && strcmp(o->score, "model") != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "score %s and a model: a model's score is its own", o->score);
    if (o->model == NULL && !one_of(o->score, scores, 2))
        return unknown(ctx, "score", o->score, scores, 2);
    if (o->save != NULL && strcmp(o->score, "train") != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "a model to be saved must be trained: score train");
    if (o->model != NULL && (o->process != NULL || o->settings_count > 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s has its own process and settings: leave yours away", o->model);
    bool restore = strcmp(o->job, "restore") == 0;
    if (!restore && (o->task != NULL || o->sigma != 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "task and sigma are of job restore");
    if ((strcmp(o->job, "convergence") == 0 || strcmp(o->job, "panels") == 0) && strcmp(o->score, "exact") != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "job %s is of exact scores", o->job);
    if (restore && strcmp(o->score, "train") == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "job restore trains nothing: train and save a score first, and give it as model");
    return EBB_OK;
}

static ebb_status check_numbers(ebb_context *ctx, ebb_toy_options *o)
{
    bool compare = strcmp(o->job, "compare") == 0, restore = strcmp(o->job, "restore") == 0;
    if (o->n < 0 || o->n > N_MAX || o->n == 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%lld samples: 2 to %d are possible", (long long)o->n, N_MAX);
    if (o->steps < 0 || o->steps > 1000000 || o->nfe < 0 || o->nfe > 1000000)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "steps %d, evaluations %d: 1 to 1000000 are possible", o->steps, o->nfe);
    if (o->resamples < -1 || o->resamples > 10000 || (o->resamples > 0 && o->resamples < 10))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%d resamples: 10 to 10000 are possible, or -1 for none", o->resamples);
    if (!isfinite(o->guidance))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "guidance must be a finite number, as 0 or 1.5");
    if (!isfinite(o->classifier_scale))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "the classifier's scale must be a finite number, as 1 or 4");
    if (!(o->guidance_low >= 0) || !(o->guidance_high >= 0) || (o->guidance_high > 0 && o->guidance_low >= o->guidance_high))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "guidance between sigma/alpha %g and %g: 0 <= low < high is needed", o->guidance_low,
                        o->guidance_high);
    if (compare && o->steps > 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "samplers are compared at one number of evaluations: give that instead of steps");
    if (!compare && o->nfe > 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "evaluations are of job compare; else give steps");
    if (!(o->sigma >= 0 && o->sigma <= 1e6))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "noise of standard deviation %g: 0 to 1e6 are possible", o->sigma);
    if (restore && (o->guidance != 0 && o->guidance != -1))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "guided laws have no posterior that is known: leave guidance away");
    o->n = o->n > 0 ? o->n : compare ? 4000 : restore ? 2000 : 10000;
    o->nfe = o->nfe > 0 ? o->nfe : 50;
    o->resamples = o->resamples == 0 ? 40 : o->resamples < 0 ? 0 : o->resamples;
    return EBB_OK;
}

static ebb_status set(ebb_context *ctx, ebb_recipe *r, const char *key, const char *value, size_t length)
{
    char text[EBB_TEXT_MAX + 40];
    if (length >= EBB_TEXT_MAX)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: a text of more than %d bytes", key, EBB_TEXT_MAX - 1);
    snprintf(text, sizeof text, "%s%.*s", key, (int)length, value);
    return ebb_recipe_set(ctx, r, text);
}

/* "ve:sigma_max=10,sigma_min=0.1" as recipe keys. */
static ebb_status set_process(ebb_context *ctx, ebb_recipe *r, const char *text)
{
    size_t n = strcspn(text, ":");
    char kind[40];
    const char *names[EBB_PROCESS_COUNT];
    snprintf(kind, sizeof kind, "%.*s", (int)(n < 39 ? n : 39), text);
    for (int i = 0; i < EBB_PROCESS_COUNT; i++)
        names[i] = ebb_process_name((ebb_process_kind)i);
    if (ebb_process_find(kind) == EBB_PROCESS_COUNT)
        return unknown(ctx, "process", kind, names, EBB_PROCESS_COUNT);
    EBB_TRY(set(ctx, r, "process.kind=", kind, strlen(kind)));
    for (text += n; *text != 0; text += n) {
        text++;
        n = strcspn(text, ",");
        EBB_TRY(set(ctx, r, "process.", text, n));
    }
    return EBB_OK;
}

static ebb_status set_all(ebb_context *ctx, ebb_recipe *r, const char *const *keys)
{
    for (; *keys != NULL; keys++)
        EBB_TRY(ebb_recipe_set(ctx, r, *keys));
    return EBB_OK;
}

static ebb_status set_given(ebb_context *ctx, ebb_recipe *r, const ebb_toy_options *o)
{
    if (o->process != NULL)
        EBB_TRY(set_process(ctx, r, o->process));
    for (int i = 0; i < o->settings_count; i++) {
        if (strncmp(o->settings[i], "data.path", 9) == 0 || strncmp(o->settings[i], "data.kind", 9) == 0)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "%s: the data are points of the law that was named", o->settings[i]);
        EBB_TRY(ebb_recipe_set(ctx, r, o->settings[i]));
    }
    return EBB_OK;
}

static ebb_status make_recipe(ebb_toy_job *t)
{
    ebb_context *ctx = t->ctx;
    const ebb_toy_options *o = &t->o;
    EBB_TRY(ebb_recipe_default(ctx, &t->recipe));
    EBB_TRY(set_all(ctx, t->recipe, usual));
    EBB_TRY(set(ctx, t->recipe, "data.path=", o->target, strlen(o->target)));
    EBB_TRY(set_given(ctx, t->recipe, o));
    /* Which process it is decides what else is usual; what was given comes last. */
    ebb_process_kind kind = ebb_process_find(t->recipe->process_kind);
    if (kind == EBB_PROCESS_FLOW)
        EBB_TRY(set_all(ctx, t->recipe, usual_flow));
    else if (kind != EBB_PROCESS_DDPM && kind != EBB_PROCESS_SMLD)
        EBB_TRY(set_all(ctx, t->recipe, usual_continuous));
    EBB_TRY(set_given(ctx, t->recipe, o));
    if (o->label != EBB_LABEL_NONE && t->recipe->net_classes == 0)
        t->recipe->net_classes = t->law.classes;
    return ebb_recipe_process(ctx, t->recipe, &t->process);
}

static ebb_status choose_class(ebb_toy_job *t)
{
    ebb_toy_options *o = &t->o;
    if (o->label < EBB_LABEL_NONE || o->label >= t->law.classes)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "class %d: %s has classes 0..%d", o->label, o->target, t->law.classes - 1);
    if ((o->guidance != 0 || o->classifier_scale != 0) && o->label == EBB_LABEL_NONE)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "guidance %g needs a class to guide to: choose one of 0..%d",
                        o->guidance != 0 ? o->guidance : o->classifier_scale, t->law.classes - 1);
    if (o->label != EBB_LABEL_NONE)
        EBB_TRY(ebb_target_class(t->ctx, &t->law, o->label, &t->one));
    t->aim = o->label != EBB_LABEL_NONE && o->guidance + o->classifier_scale != -1 ? &t->one : &t->law;
    return EBB_OK;
}

ebb_status ebb_toy_settle(ebb_toy_job *t, const ebb_toy_options *options)
{
    if (options->size < sizeof options->size)
        return ebb_fail(t->ctx, EBB_E_ARGUMENT, "toy options: size is %zu; start from ebb_toy_defaults()", options->size);
    t->o = ebb_toy_defaults();
    memcpy(&t->o, options, options->size < sizeof t->o ? options->size : sizeof t->o);
    EBB_TRY(check_words(t->ctx, &t->o));
    EBB_TRY(check_numbers(t->ctx, &t->o));
    EBB_TRY(ebb_target_named(t->ctx, t->o.target, &t->law));
    EBB_TRY(choose_class(t));
    if (t->o.model == NULL)
        EBB_TRY(make_recipe(t));
    return EBB_OK;
}

/* ---- lists --------------------------------------------------------------------------------------------------------------- */

const char *ebb_toy_next_sampler(const ebb_toy_job *t, int *at, char name[128])
{
    const char *list = t->o.sampler;
    if (list == NULL) {
        const ebb_sampler *s = ebb_sampler_at((*at)++);
        if (s != NULL)
            snprintf(name, 128, "%s", s->name);
        return s != NULL ? name : NULL;
    }
    list += *at;
    size_t n = strcspn(list, "+");
    if (n == 0)
        return NULL;
    snprintf(name, 128, "%.*s", (int)(n < 127 ? n : 127), list);
    *at += (int)n + (list[n] == '+');
    return name;
}

ebb_status ebb_target_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (int i = 0; ebb_target_kind_at(i) != NULL; i++) {
        const ebb_target_kind *k = ebb_target_kind_at(i);
        ebb_target law;
        ebb_status status = ebb_target_named(ctx, k->name, &law);
        if (status == EBB_OK)
            json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:s}", "name", k->name, "dim", law.dim, "options", k->options,
                                                  "help", k->help));
        ebb_target_free(&law);
        if (status != EBB_OK) {
            json_decref(list);
            return status;
        }
    }
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_distance_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (int d = 0; d < EBB_DISTANCES; d++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", ebb_distance_name((ebb_distance)d), "help",
                                              ebb_distance_help((ebb_distance)d)));
    return ebb_report_text(ctx, list, json);
}
