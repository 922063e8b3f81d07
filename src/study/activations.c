/* activations.c: a network's modules as outputs of one plan (activations.h).
 *
 * The one idea: whoever builds the graph marks values with names (ebb_mark_value), which costs nothing until somebody asks for
 * them as outputs.
 */
#include <stdio.h>
#include <string.h>

#include "model/plans.h"
#include "study/activations.h"

ebb_named *ebb_named_add(ebb_context *ctx, ebb_named_list *list, const char *name, ebb_shape shape)
{
    void *grown = list->at;
    ebb_status status = ebb_grow(ctx, &grown, &list->capacity, list->count + 1, sizeof *list->at);
    list->at = grown;
    if (status != EBB_OK)
        return NULL;
    ebb_named *new = &list->at[list->count];
    *new = (ebb_named){.shape = shape};
    snprintf(new->name, sizeof new->name, "%s", name);
    if (ebb_alloc(ctx, (void **)&new->data, (size_t)ebb_shape_count(shape) + 1, sizeof *new->data, "named numbers") != EBB_OK)
        return NULL;
    list->count++;
    return new;
}

const ebb_named *ebb_named_find(const ebb_named_list *list, const char *name)
{
    for (int32_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i].name, name) == 0)
            return &list->at[i];
    return NULL;
}

void ebb_named_free(ebb_named_list *list)
{
    for (int32_t i = 0; i < list->count; i++)
        ebb_free(list->at[i].data);
    ebb_free(list->at);
    *list = (ebb_named_list){0};
}

/* ---- layouts -------------------------------------------------------------------------------------------------------------------- */

static void to_nhwc(ebb_shape nhwc, const float *from, float *to)
{
    int64_t places = nhwc.dim[1] * nhwc.dim[2], c = nhwc.dim[3];
    for (int64_t i = 0; i < nhwc.dim[0]; i++)
        for (int64_t k = 0; k < c; k++)
            for (int64_t at = 0; at < places; at++)
                to[(i * places + at) * c + k] = from[(i * c + k) * places + at];
}

/* c channels of (N,C,H,W) from channel `first` on. */
static void to_nchw(ebb_shape nhwc, const float *from, int64_t first, int64_t all, float *to)
{
    int64_t places = nhwc.dim[1] * nhwc.dim[2], c = nhwc.dim[3];
    for (int64_t i = 0; i < nhwc.dim[0]; i++)
        for (int64_t k = 0; k < c; k++)
            for (int64_t at = 0; at < places; at++)
                to[(i * all + first + k) * places + at] = from[(i * places + at) * c + k];
}

static ebb_shape nchw_of(ebb_shape s, int64_t channels)
{
    return s.rank == 4 ? EBB_SHAPE(s.dim[0], channels, s.dim[1], s.dim[2]) : s;
}

/* ---- inputs -------------------------------------------------------------------------------------------------------------------------- */

static ebb_status want(ebb_context *ctx, const ebb_named_list *in, const char *name, ebb_shape shape, const ebb_named **out)
{
    char wanted[96], have[96];
    *out = ebb_named_find(in, name);
    if (*out == NULL)
        return ebb_fail(ctx, EBB_E_FORMAT, "the reference has no '%s', which the model is to be given", name);
    if (ebb_shape_equal((*out)->shape, shape))
        return EBB_OK;
    ebb_shape_text(shape, wanted, sizeof wanted);
    ebb_shape_text((*out)->shape, have, sizeof have);
    return ebb_fail(ctx, EBB_E_SHAPE, "'%s' of the reference has shape %s, but the model takes %s", name, have, wanted);
}

static ebb_status fill(ebb_context *ctx, const ebb_model *m, const ebb_named_list *in, int64_t n, ebb_plan *plan)
{
    ebb_shape shape = ebb_network_shape(&m->net, n);
    const ebb_named *x, *t, *label = NULL;
    int classes = ebb_network_classes(&m->net), rows = classes + m->recipe->net_null_class;
    EBB_TRY(want(ctx, in, "input", nchw_of(shape, shape.rank == 4 ? shape.dim[3] : 0), &x));
    EBB_TRY(want(ctx, in, "timesteps", EBB_SHAPE(n), &t));
    if (classes > 0)
        EBB_TRY(want(ctx, in, "class_labels", EBB_SHAPE(n), &label));
    float *to = ebb_plan_input(plan, 0, "x"), *times = ebb_plan_input(plan, 0, "t");
    int32_t *labels = ebb_plan_input(plan, 0, "label");
    if (shape.rank == 4)
        to_nhwc(shape, x->data, to);
    else
        memcpy(to, x->data, (size_t)ebb_shape_count(shape) * sizeof *to);
    if (times != NULL)
        memcpy(times, t->data, (size_t)n * sizeof *times);
    for (int64_t i = 0; labels != NULL && label != NULL && i < n; i++) {
        if (!(label->data[i] >= 0 && label->data[i] < (float)rows) || label->data[i] != (float)(int32_t)label->data[i])
            return ebb_fail(ctx, EBB_E_SHAPE, "class %g of the reference is outside 0..%d", (double)label->data[i], rows - 1);
        labels[i] = (int32_t)label->data[i];
    }
    return EBB_OK;
}

/* ---- all -------------------------------------------------------------------------------------------------------------------------------- */

typedef struct activation_job {
    ebb_context *ctx;
    const ebb_model *m;
    int64_t n;
    ebb_graph *g;
    ebb_value *outputs; int noutputs;    /* F, variance, then marks */
    ebb_plan *plan;
} activation_job;

static ebb_status build(activation_job *j, const ebb_plan_options *options)
{
    int heads = j->m->net.learned_variance ? 2 : 1;
    ebb_value variance;
    EBB_TRY(ebb_graph_create(j->ctx, &j->g));
    j->g->marking = true;
    ebb_value f = ebb_eval_graph(j->g, &j->m->net, j->n, &variance);
    EBB_TRY(ebb_graph_status(j->g));
    j->noutputs = heads + j->g->marks;
    EBB_TRY(ebb_alloc(j->ctx, (void **)&j->outputs, (size_t)j->noutputs, sizeof *j->outputs, "outputs of modules"));
    j->outputs[0] = f;
    if (heads > 1)
        j->outputs[1] = variance;
    for (int32_t i = 0; i < j->g->marks; i++)
        j->outputs[heads + i] = j->g->mark[i].value;
    return ebb_plan_create(j->ctx, j->g, j->outputs, j->noutputs, options, &j->plan);
}

static ebb_status collect(activation_job *j, ebb_named_list *out)
{
    int heads = j->noutputs - j->g->marks;
    for (int32_t i = 0; i < j->g->marks; i++) {
        ebb_shape s = ebb_graph_shape(j->g, j->g->mark[i].value);
        ebb_named *new = ebb_named_add(j->ctx, out, j->g->mark[i].name, nchw_of(s, s.rank == 4 ? s.dim[3] : 0));
        const float *from = ebb_plan_output(j->plan, 0, heads + i);
        if (new == NULL)
            return EBB_E_MEMORY;
        if (s.rank == 4)
            to_nchw(s, from, 0, s.dim[3], new->data);
        else
            memcpy(new->data, from, (size_t)ebb_shape_count(s) * sizeof *from);
    }
    ebb_shape s = ebb_graph_shape(j->g, j->outputs[0]), all = s;
    all.dim[all.rank - 1] *= heads;
    ebb_named *output = ebb_named_add(j->ctx, out, "output", nchw_of(all, all.dim[all.rank - 1]));
    if (output == NULL)
        return EBB_E_MEMORY;
    for (int h = 0; h < heads; h++) {
        const float *from = ebb_plan_output(j->plan, 0, h);
        int64_t c = s.dim[s.rank - 1];
        if (s.rank == 4)
            to_nchw(s, from, h * c, heads * c, output->data);
        for (int64_t i = 0; s.rank == 2 && i < s.dim[0]; i++)
            memcpy(output->data + (i * heads + h) * c, from + i * c, (size_t)c * sizeof *from);
    }
    return EBB_OK;
}

ebb_status ebb_activations(ebb_context *ctx, const ebb_model *m, const ebb_named_list *in, const ebb_plan_options *options,
                           ebb_named_list *out)
{
    const ebb_named *times = ebb_named_find(in, "timesteps");
    activation_job j = {.ctx = ctx, .m = m, .n = times != NULL ? ebb_shape_count(times->shape) : 1};
    ebb_status status = j.n >= 1 && j.n <= 65536 ? build(&j, options)
                                                 : ebb_fail(ctx, EBB_E_SHAPE, "%lld timesteps: 1 to 65536 are possible", (long long)j.n);
    if (status == EBB_OK) {
        ebb_params_bind(&m->params, j.plan, m->weights);
        ebb_plan_prepare(j.plan);
        status = fill(ctx, m, in, j.n, j.plan);
    }
    if (status == EBB_OK) {
        ebb_plan_run(j.plan, 0);
        status = ebb_plan_check(j.plan);
    }
    if (status == EBB_OK)
        status = collect(&j, out);
    ebb_plan_free(j.plan);
    ebb_graph_free(j.g);
    ebb_free(j.outputs);
    return status;
}
