/* toy_field.c: what a job's samplers walk over: the law's own score or a learned one, of a class or of all, guided.
 *
 * A classifier of an exact law is exact too: grad log p(class|x_t) = score of the class - score of all. In the form epsilon
 * guidance by it is therefore guidance w in another name: the score of all + scale gradient is w = scale - 1. As a shift of
 * means it is not: its steps are the same to first order only.
 */
#include "study/toy.h"

static bool guided(const ebb_toy_job *t)
{
    return t->o.label != EBB_LABEL_NONE && (t->o.guidance != 0 || t->o.classifier_scale != 0);
}

static bool bounded(const ebb_toy_job *t)
{
    return t->o.guidance_low > 0 || t->o.guidance_high > 0;
}

/* The class is asked unless guidance takes it away everywhere, all unless nothing leads away from them. */
static bool asks_class(const ebb_toy_job *t)
{
    return t->o.label != EBB_LABEL_NONE && (t->o.guidance != -1 || bounded(t));
}

static bool asks_all(const ebb_toy_job *t)
{
    return !asks_class(t) || t->o.guidance != 0;
}

int ebb_toy_asked(const ebb_toy_job *t)
{
    return asks_class(t) + asks_all(t);
}

static int exact_gradient(void *self, const double *x, const ebb_level *at, const double *x0, double *gradient)
{
    const ebb_toy_rows *r = self;
    const ebb_toy_job *t = r->t;
    int dim = t->law.dim;
    double all[EBB_TARGET_DIM_MAX];
    (void)x0;
    for (int64_t i = 0; i < r->n; i++) {
        double *g = gradient + i * dim;
        ebb_target_at(&t->one, x + i * dim, at[i].alpha, at[i].sigma, NULL, g, NULL, NULL);
        ebb_target_at(&t->law, x + i * dim, at[i].alpha, at[i].sigma, NULL, all, NULL, NULL);
        for (int d = 0; d < dim; d++)
            g[d] -= all[d];
    }
    return 0;
}

static ebb_field law_field(ebb_toy_rows *r, int part, bool of_class)
{
    r->exact[part] = (ebb_target_field){.all = of_class ? &r->t->one : &r->t->law, .n = r->n};
    return ebb_field_of_target(&r->exact[part]);
}

static ebb_field model_field(ebb_toy_rows *r, int part, bool of_class)
{
    const ebb_toy_job *t = r->t;
    for (int64_t i = 0; i < r->n; i++)
        r->label[i] = t->o.label;
    r->model[part] = (ebb_model_field){.model = t->model, .plan = t->plan, .worker = r->worker, .n = r->n, .numbers = t->law.dim,
                                       .label = of_class ? r->label : NULL,
                                       .variance = part == 0 && t->model->net.learned_variance ? r->variance : NULL};
    return ebb_field_of_model(&r->model[part]);
}

static ebb_field part_field(ebb_toy_rows *r, int part, bool of_class)
{
    return r->learned ? model_field(r, part, of_class) : law_field(r, part, of_class);
}

size_t ebb_toy_field_work(const ebb_toy_job *t, int64_t n)
{
    return (size_t)(n * t->law.dim) + ebb_guided_work(n, t->law.dim);
}

ebb_field ebb_toy_field(ebb_toy_rows *r, double *work)
{
    const ebb_toy_job *t = r->t;
    r->variance = work;
    ebb_field main = part_field(r, 0, asks_class(t));
    if (!guided(t))
        return main;
    r->guided = (ebb_guided){.main = main, .w = t->o.guidance, .low = t->o.guidance_low, .high = t->o.guidance_high,
                             .mean = ebb_guide_form_find(t->o.classifier_form) == EBB_GUIDE_MEAN,
                             .work = work + r->n * t->law.dim};
    if (asks_class(t) && asks_all(t))
        r->guided.other = part_field(r, 1, false);
    if (t->o.classifier_scale != 0)
        r->guided.lead[r->guided.leads++] = (ebb_lead){.gradient = exact_gradient, .self = r, .scale = t->o.classifier_scale};
    return r->guided.other.predict == NULL && r->guided.leads == 0 ? main : ebb_field_guided(&r->guided);
}
