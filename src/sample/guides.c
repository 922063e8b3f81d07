/* guides.c: a sampling job's field: the model with its class and without, a weaker model, a classifier, what the
 * caller knows of y.
 *
 * The same plan answers with the class and without, one after the other; every other network has its own.
 */
#include "sample/guides.h"

#include <string.h>

#include "diffusion/guide.h"
#include "model/plans.h"

/* ---- plans ------------------------------------------------------------------------------------------------------- */

static ebb_plan_options plan_options(const ebb_guides *g, const ebb_model *m)
{
    ebb_plan_options options = ebb_recipe_plan(m->recipe, g->way.workers);
    options.team = g->way.team;
    options.bf16 = strcmp(g->job->o.precision, "bf16") == 0 ? EBB_BF16_CHANNELS : 0;
    return options;
}

static ebb_status make_plan(const ebb_guides *g, const ebb_model *m, ebb_plan **out)
{
    ebb_plan_options options = plan_options(g, m);
    EBB_TRY(ebb_eval_plan(g->job->ctx, &m->net, g->way.shard, &options, out));
    ebb_params_bind(&m->params, *out, m->weights);
    return EBB_OK;
}

static ebb_status make_classifier(ebb_guides *g)
{
    const ebb_model *m = g->job->o.classifier;
    ebb_plan_options options = plan_options(g, m);
    EBB_TRY(ebb_class_plan(g->job->ctx, &m->net, g->way.shard, &options, &g->classifier));
    ebb_params_bind(&m->params, g->classifier, m->weights);
    return EBB_OK;
}

static ebb_status make(ebb_guides *g)
{
    EBB_TRY(make_plan(g, g->job->model, &g->plan));
    if (g->job->o.guide != NULL)
        EBB_TRY(make_plan(g, g->job->o.guide, &g->guide));
    if (g->job->o.classifier != NULL)
        EBB_TRY(make_classifier(g));
    return EBB_OK;
}

ebb_status ebb_guides_create(const ebb_sample_job *job, ebb_eval_way way, ebb_guides *out)
{
    *out = (ebb_guides){.job = job, .way = way};
    ebb_status status = make(out);
    if (status != EBB_OK)
        ebb_guides_free(out);
    return status;
}

void ebb_guides_prepare(ebb_guides *g)
{
    ebb_plan_prepare(g->plan);
    if (g->guide != NULL)
        ebb_plan_prepare(g->guide);
    if (g->classifier != NULL)
        ebb_plan_prepare(g->classifier);
}

ebb_status ebb_guides_check(const ebb_guides *g)
{
    EBB_TRY(ebb_plan_check(g->plan));
    if (g->guide != NULL)
        EBB_TRY(ebb_plan_check(g->guide));
    return g->classifier != NULL ? ebb_plan_check(g->classifier) : EBB_OK;
}

void ebb_guides_free(ebb_guides *g)
{
    ebb_plan_free(g->plan);
    ebb_plan_free(g->guide);
    ebb_plan_free(g->classifier);
    *g = (ebb_guides){0};
}

/* ---- fields -------------------------------------------------------------------------------------------------------- */

static bool learned(const ebb_guides *g)
{
    return g->job->model->net.learned_variance;
}

static int64_t numbers_of(const ebb_guides *g)
{
    return ebb_shape_count(ebb_network_shape(&g->job->model->net, 1));
}

size_t ebb_guides_doubles(const ebb_guides *g)
{
    size_t x = (size_t)(g->way.shard * numbers_of(g));
    return ((learned(g) ? x : 0) + ebb_guided_work(g->way.shard, numbers_of(g)) + 7) / 8 * 8;
}

size_t ebb_guides_words(const ebb_guides *g)
{
    return ((size_t)g->way.shard * 3 / 2 + 8) / 8 * 8;
}

/* Runs of rows of one level go to the caller together. */
static int ask(void *self, const double *x, const ebb_level *at, const double *x0, double *gradient)
{
    ebb_guides_rows *r = self;
    const ebb_sample_options *o = &r->guides->job->o;
    for (int64_t i = 0, end; i < r->n; i = end) {
        for (end = i + 1; end < r->n && at[end].alpha == at[i].alpha && at[end].sigma == at[i].sigma;)
            end++;
        int refused = o->condition(o->condition_user, end - i, r->sample + i, x + i * r->numbers, at[i].alpha, at[i].sigma,
                                   x0 + i * r->numbers, gradient + i * r->numbers);
        if (refused != 0)
            return refused;
    }
    return 0;
}

static ebb_model_field field_of(const ebb_guides_rows *r, const ebb_model *m, ebb_plan *plan, int worker, bool classes)
{
    return (ebb_model_field){.model = m, .plan = plan, .worker = worker, .n = r->n, .numbers = r->numbers,
                             .label = classes && ebb_network_classes(&m->net) > 0 ? r->label : NULL};
}

/* At w = -1 everywhere the model is asked once, without its class. */
static void assemble(const ebb_guides *g, int worker, double *variance, double *work, ebb_guides_rows *r)
{
    const ebb_sample_options *o = &g->job->o;
    bool bare = g->guide == NULL && o->guidance == -1 && o->guidance_low == 0 && o->guidance_high == 0;
    r->main = field_of(r, g->job->model, g->plan, worker, !bare);
    r->main.variance = variance;
    r->guided = (ebb_guided){.main = ebb_field_of_model(&r->main), .w = o->guidance, .low = o->guidance_low,
                             .high = o->guidance_high, .work = work,
                             .mean = ebb_guide_form_find(o->classifier_form) == EBB_GUIDE_MEAN};
    if (o->guidance != 0 && !bare) {
        r->other = g->guide != NULL ? field_of(r, o->guide, g->guide, worker, true)
                                    : field_of(r, g->job->model, g->plan, worker, false);
        r->guided.other = ebb_field_of_model(&r->other);
    }
    if (g->classifier != NULL) {
        r->classifier = (ebb_classifier){.model = o->classifier, .plan = g->classifier, .worker = worker, .n = r->n,
                                         .numbers = r->numbers, .label = r->label};
        r->guided.lead[r->guided.leads++] = ebb_lead_of_classifier(&r->classifier, o->classifier_scale);
    }
    if (o->condition != NULL)
        r->guided.lead[r->guided.leads++] = (ebb_lead){.gradient = ask, .self = r, .scale = 1, .wants_x0 = true};
    r->field = ebb_field_guided(&r->guided);
}

void ebb_guides_bind(const ebb_guides *g, int worker, double *doubles, int64_t *words, ebb_guides_rows *r)
{
    int64_t n = g->way.shard, numbers = numbers_of(g);
    double *variance = learned(g) ? doubles : NULL;
    *r = (ebb_guides_rows){.guides = g, .n = n, .numbers = numbers, .sample = words, .label = (int32_t *)(void *)(words + n)};
    assemble(g, worker, variance, doubles + (variance != NULL ? n * numbers : 0), r);
}
