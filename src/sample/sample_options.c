/* sample_options.c: what sampling is asked for: what the caller left open is as the model's recipe says; whatever cannot be
 * done is refused before anything runs.
 */
#include <math.h>
#include <string.h>

#include "diffusion/guide.h"
#include "sample/field.h"
#include "sample/guided.h"
#include "sample/sample_job.h"

ebb_sample_options ebb_sample_defaults(void)
{
    return (ebb_sample_options){
        .size = sizeof(ebb_sample_options), .n = 1, .label = EBB_LABEL_NONE, .guidance = NAN, .eta = NAN,
        .classifier_scale = NAN};
}

/* Guidance needs a class. */
static void fill_from_recipe(ebb_sample_options *o, const ebb_recipe *r)
{
    bool recipes = o->sampler == NULL || strcmp(o->sampler, r->sample_sampler) == 0;
    if (o->sampler == NULL)
        o->sampler = r->sample_sampler;
    if (o->steps == 0 && recipes)
        o->steps = (int)r->sample_steps;
    if (isnan(o->guidance) && o->guide == NULL)
        o->guidance = o->label == EBB_LABEL_NONE || o->classifier != NULL ? 0 : r->sample_guidance;
    if (isnan(o->eta))
        o->eta = recipes && r->sample_eta >= 0 ? r->sample_eta : NAN;
    if (o->grid == NULL)
        o->grid = recipes ? r->sample_grid : "";
    if (o->precision == NULL)
        o->precision = r->precision_type;
    if (isnan(o->classifier_scale))
        o->classifier_scale = 1;
}

/* ---- checks ---------------------------------------------------------------------------------------------------- */

static ebb_status check_numbers(ebb_context *ctx, const ebb_sample_options *o)
{
    if (o->n < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%lld pictures: ask for at least one", (long long)o->n);
    if (o->first < 0 || o->n > UINT32_MAX || o->first > (int64_t)UINT32_MAX - o->n)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "pictures %lld..%lld are outside 0..%lld", (long long)o->first,
                        (long long)(o->first + o->n - 1), (long long)UINT32_MAX - 1);
    if (strcmp(o->precision, "f32") != 0 && strcmp(o->precision, "bf16") != 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown precision '%s': f32 or bf16 (none: as the model was trained)", o->precision);
    return EBB_OK;
}

/* Whether each network is what it is given as. */
static ebb_status check_kinds(const ebb_sample_job *j)
{
    const ebb_model *classifier = j->o.classifier;
    EBB_TRY(ebb_model_denoises(j->ctx, j->model));
    if (j->o.guide != NULL)
        EBB_TRY(ebb_model_denoises(j->ctx, j->o.guide));
    if (classifier == NULL || classifier->net.logits > 0)
        return EBB_OK;
    return ebb_fail(j->ctx, EBB_E_ARGUMENT, "what is given as classifier tells no classes (net.kind=%s): train one with "
                    "loss.kind=classification, as recipe digits-classifier", classifier->recipe->net_kind);
}

static ebb_status check_label(ebb_sample_job *j)
{
    const ebb_sample_options *o = &j->o;
    if (j->classes == 0 && o->label != EBB_LABEL_NONE)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "a class was asked for, but this model has none: leave the class away");
    if (o->label < EBB_LABEL_ALL || o->label >= (j->classes > 0 ? j->classes : 1))
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "class %d is outside 0..%d", o->label, j->classes - 1);
    if (o->labels != NULL && o->label != EBB_LABEL_ALL)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "a class for each picture, but label is %d: set EBB_LABEL_ALL", o->label);
    for (int64_t i = 0; o->labels != NULL && i < o->n; i++)
        if (o->labels[i] < 0 || o->labels[i] >= j->classes)
            return ebb_fail(j->ctx, EBB_E_ARGUMENT, "class %d of picture %lld is outside 0..%d", o->labels[i], (long long)i, j->classes - 1);
    return o->label == EBB_LABEL_NONE ? ebb_model_classless(j->ctx, j->model) : EBB_OK;
}

static ebb_status check_guidance(ebb_sample_job *j)
{
    const ebb_sample_options *o = &j->o;
    if (o->guide != NULL && isnan(o->guidance))
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "a model to lead away from, but not how strongly: set guidance, as 1");
    EBB_TRY(ebb_guided_check(j->ctx, o->guidance, o->guidance_low, o->guidance_high));
    if (o->guidance != 0 && o->guide == NULL && (o->label == EBB_LABEL_NONE || j->model->recipe->net_classes == 0))
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "guidance %g needs a class to guide to, or a weaker model to lead away from: "
                        "choose a class%s", o->guidance, j->classes > 0 ? "" : " (this model has none)");
    return o->guidance != 0 && o->guide == NULL ? ebb_model_classless(j->ctx, j->model) : EBB_OK;
}

/* Another network that looks at the same x_t. */
static ebb_status check_partner(const ebb_sample_job *j, const ebb_model *other, const char *what)
{
    const ebb_model *m = j->model;
    ebb_shape shape = ebb_network_shape(&m->net, 1), theirs = ebb_network_shape(&other->net, 1);
    if (!ebb_shape_equal(shape, theirs)) {
        char text[80], their_text[80];
        ebb_shape_text(shape, text, sizeof text);
        ebb_shape_text(theirs, their_text, sizeof their_text);
        return ebb_fail(j->ctx, EBB_E_SHAPE, "the %s sees samples of %s numbers, but the model makes %s", what, their_text, text);
    }
    if (!ebb_process_same(&m->process, &other->process))
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "the %s was trained with another process (%s) than the model (%s): the keys "
                        "process.* must agree but for prediction and clock", what, ebb_process_name(other->process.kind),
                        ebb_process_name(m->process.kind));
    return EBB_OK;
}

static ebb_status check_guide(ebb_sample_job *j)
{
    const ebb_model *guide = j->o.guide;
    if (guide == NULL)
        return EBB_OK;
    EBB_TRY(check_partner(j, guide, "guide"));
    if (guide->recipe->net_classes > 0 && guide->recipe->net_classes != j->classes)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "the guide knows %lld classes, and the model %d",
                        (long long)guide->recipe->net_classes, j->classes);
    return EBB_OK;
}

static ebb_status check_classifier(ebb_sample_job *j)
{
    const ebb_sample_options *o = &j->o;
    const ebb_model *c = o->classifier;
    const char *forms[EBB_GUIDE_FORMS];
    char near[80];
    for (ebb_guide_form form = 0; form < EBB_GUIDE_FORMS; form++)
        forms[form] = ebb_guide_form_name(form);
    if (ebb_guide_form_find(o->classifier_form) == EBB_GUIDE_FORMS)
        return ebb_fail(j->ctx, EBB_E_USAGE, "no form of classifier guidance '%s': epsilon or mean%s", o->classifier_form,
                        ebb_suggest(o->classifier_form, forms, EBB_GUIDE_FORMS, near, sizeof near));
    if (!isfinite(o->classifier_scale))
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "the classifier's scale must be a finite number, as 1 or 4");
    if (c == NULL)
        return EBB_OK;
    if (o->label == EBB_LABEL_NONE)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "a classifier leads to a class: choose one of 0..%d, or all", c->net.logits - 1);
    if (c->net.logits != j->classes)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "the classifier knows %d classes, and the model %d", c->net.logits, j->classes);
    return check_partner(j, c, "classifier");
}

static ebb_status check_walk(ebb_sample_job *j)
{
    double any;
    ebb_model_field of_model = {.variance = j->model->net.learned_variance ? &any : NULL};
    ebb_guided guided = {.main = ebb_field_of_model(&of_model), .work = &any,
                         .leads = (j->o.classifier != NULL) + (j->o.condition != NULL),
                         .mean = ebb_guide_form_find(j->o.classifier_form) == EBB_GUIDE_MEAN};
    ebb_field field = ebb_field_guided(&guided);
    return ebb_walk_check(j->ctx, &(ebb_walk){.sampler = j->sampler, .process = &j->model->process, .grid = &j->grid,
                                              .set = j->set, .field = &field});
}

/* asked: the steps of the caller, 0 where the recipe decides. */
static ebb_status check_sampler(ebb_sample_job *j, int asked)
{
    const ebb_process *process = &j->model->process;
    ebb_sample_options *o = &j->o;
    ebb_grid_options options;
    const char *kind;
    EBB_TRY(ebb_sampler_parse(j->ctx, o->sampler, &j->sampler, &j->set));
    EBB_TRY(ebb_sampler_set_eta(j->ctx, j->sampler, o->eta, &j->set));
    EBB_TRY(ebb_grid_parse(j->ctx, o->grid, &kind, &options));
    if (kind == NULL)
        kind = ebb_sampler_grid(j->sampler, process);
    if (o->steps == 0)
        o->steps = process->steps > 0 && j->sampler->default_steps > process->steps ? process->steps
                                                                                     : j->sampler->default_steps;
    /* A grid whose text counts its levels settles the steps. */
    if (options.steps > 0 && asked > 0 && asked != options.steps)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "the grid %s makes %d steps, but %d are asked for: leave one of them away",
                        o->grid, options.steps, asked);
    if (options.steps > 0)
        o->steps = options.steps;
    options.steps = o->steps;
    EBB_TRY(ebb_grid_create(j->ctx, process, kind, &options, &j->grid));
    return check_walk(j);
}

ebb_status ebb_sample_settle(ebb_sample_job *j, const ebb_sample_options *options)
{
    if (options->size < sizeof options->size)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "sample options: size is %zu; start from ebb_sample_defaults()", options->size);
    /* A caller of another version has a shorter or longer struct: the common part counts. */
    j->o = ebb_sample_defaults();
    memcpy(&j->o, options, options->size < sizeof j->o ? options->size : sizeof j->o);
    int asked = j->o.steps;
    EBB_TRY(check_kinds(j));
    if (j->o.sampler == NULL && j->model->recipe->sample_refused[0] != 0)
        return ebb_fail(j->ctx, EBB_E_UNSUPPORTED, "the model's own sampler asks for what ebb has not (%s): choose a sampler, as ddim or "
                        "dpmpp-2m", j->model->recipe->sample_refused);
    j->classes = (int)j->model->recipe->net_classes;
    if (j->classes == 0 && j->o.classifier != NULL)
        j->classes = j->o.classifier->net.logits;
    fill_from_recipe(&j->o, j->model->recipe);
    EBB_TRY(check_numbers(j->ctx, &j->o));
    EBB_TRY(check_label(j));
    EBB_TRY(check_guidance(j));
    EBB_TRY(check_guide(j));
    EBB_TRY(check_classifier(j));
    return check_sampler(j, asked);
}

int32_t ebb_sample_label(const ebb_sample_job *j, int64_t i)
{
    if (j->o.label == EBB_LABEL_NONE)
        return j->classes;
    if (j->o.labels != NULL)
        return j->o.labels[i];
    return j->o.label == EBB_LABEL_ALL ? (int32_t)(i * j->classes / j->o.n) : j->o.label;
}
