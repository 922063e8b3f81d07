/* unets.c: networks of diffusers: their outputs on given inputs, and the names and shapes of the tensors of one.
 */
#include <string.h>

#include "against/refs.h"
#include "model/diffusers.h"
#include "model/plans.h"

/* (n,c,h,w) as (n,h,w,c). */
static void to_nhwc(const double *from, const ebb_shape *s, float *to)
{
    int64_t n = s->dim[0], h = s->dim[1], w = s->dim[2], c = s->dim[3];
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c; k++)
            for (int64_t at = 0; at < h * w; at++)
                to[(i * h * w + at) * c + k] = (float)from[(i * c + k) * h * w + at];
}

static void fill_inputs(refs *r, const ebb_model *m, ebb_plan *plan, ebb_shape shape)
{
    size_t count, times, labels;
    double *x = refs_numbers(r, refs_get(r, r->root, "input"), &count);
    double *t = refs_numbers(r, refs_get(r, r->root, "timesteps"), &times);
    double *label = refs_numbers(r, json_object_get(r->root, "class_labels"), &labels);
    bool fits = count == (size_t)ebb_shape_count(shape) && times == (size_t)shape.dim[0]
                && (ebb_network_classes(&m->net) == 0 || labels == times);
    if (!fits)
        refs_fail(r, "inputs of another shape than the network's");
    if (fits)
        to_nhwc(x, &shape, ebb_plan_input(plan, 0, "x"));
    for (size_t i = 0; fits && i < times; i++) {
        ((float *)ebb_plan_input(plan, 0, "t"))[i] = (float)t[i];
        if (ebb_network_classes(&m->net) > 0)
            ((int32_t *)ebb_plan_input(plan, 0, "label"))[i] = (int32_t)label[i];
    }
    ebb_free(x);
    ebb_free(t);
    ebb_free(label);
}

/* Channel c of the output lies in F, or behind it in the variances. */
static void compare(refs *r, const ebb_model *m, ebb_plan *plan, ebb_shape s)
{
    const json_t *output = refs_get(r, r->root, "output");
    int64_t n = s.dim[0], places = s.dim[1] * s.dim[2], c = s.dim[3], all = m->net.learned_variance ? 2 * c : c;
    const float *f = ebb_plan_output(plan, 0, 0), *v = m->net.learned_variance ? ebb_plan_output(plan, 0, 1) : NULL;
    size_t count;
    double *want = refs_numbers(r, output, &count);
    if (count != (size_t)(n * all * places))
        refs_fail(r, "output: %zu numbers, but the network gives %lld", count, (long long)(n * all * places));
    for (int64_t i = 0; count == (size_t)(n * all * places) && i < n; i++)
        for (int64_t k = 0; k < all; k++)
            for (int64_t at = 0; at < places; at++) {
                float got = (k < c ? f : v)[(i * places + at) * c + k % c];
                int64_t from = (i * all + k) * places + at;
                refs_near(r, "output", from, (double)got, want[from], 0, 2e-4);
            }
    ebb_free(want);
}

static void run(refs *r, const ebb_model *m, bool fast)
{
    ebb_shape shape = ebb_network_shape(&m->net, (int64_t)json_array_size(json_object_get(r->root, "timesteps")));
    ebb_plan_options options = ebb_recipe_plan(m->recipe, 1);
    ebb_plan *plan;
    options.fast_conv = fast;
    if (ebb_eval_plan(r->ctx, &m->net, shape.dim[0], &options, &plan) != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    ebb_params_bind(&m->params, plan, m->weights);
    ebb_plan_prepare(plan);
    fill_inputs(r, m, plan, shape);
    ebb_plan_run(plan, 0);
    compare(r, m, plan, shape);
    ebb_plan_free(plan);
}

void refs_unet(refs *r)
{
    char folder[1024];
    ebb_model *m;
    snprintf(folder, sizeof folder, "%s/%.*s", r->directory, (int)strcspn(r->file, "/"), r->file);
    json_t *parameters = refs_claim(r, "params");
    refs_claim(r, "output");
    for (const char *const *note = (const char *const[]){"input", "timesteps", "class_labels", "tolerance", "tensors",
                                                         "legacy_attention_names", NULL}; *note != NULL; note++)
        refs_claim_note(r, *note);
    if (ebb_model_load(r->ctx, folder, &m) != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    refs_near(r, "params", 0, (double)m->params.numbers, refs_value(parameters), 0, 0);
    run(r, m, true);
    run(r, m, false);
    ebb_model_free(m);
}

/* ---- names and shapes ------------------------------------------------------------------------------------------------------------- */

/* The table has the names of attention that the published file has; what is written has today's. */
static void check_row(refs *r, const json_t *table, const ebb_st_tensor *row)
{
    char old[EBB_PARAM_NAME_MAX];
    bool renamed = json_object_get(table, row->name) == NULL && ebb_diffusers_old_name(row->name, old);
    const json_t *shape = json_object_get(table, renamed ? old : row->name);
    if (json_array_size(shape) != (size_t)row->rank || !json_is_array(shape))
        refs_fail(r, "'%s' has %d axes, but %zu there", row->name, row->rank, json_array_size(shape));
    for (int i = 0; i < row->rank && (size_t)i < json_array_size(shape); i++)
        refs_near(r, row->name, i, (double)row->dim[i], refs_at(shape, (size_t)i), 0, 0);
}

static void check_rows(refs *r, const json_t *table, const ebb_params *p)
{
    char *text;
    size_t count = (size_t)p->count;
    if (ebb_alloc(r->ctx, (void **)&text, count, EBB_PARAM_NAME_MAX + sizeof(ebb_st_tensor), "rows") != EBB_OK)
        return;
    ebb_st_tensor *rows = (ebb_st_tensor *)(void *)text;
    ebb_params_rows(p, "", NULL, text + count * sizeof *rows, rows);
    for (size_t i = 0; i < count; i++)
        check_row(r, table, &rows[i]);
    ebb_free(text);
}

/* What the recipe unet-l writes is the network of Ho et al. for CIFAR-10. */
void refs_tensor_table(refs *r)
{
    ebb_recipe *recipe;
    ebb_network net;
    ebb_params p = {0};
    json_t *table = refs_claim(r, "tensors"), *total = refs_claim(r, "total_params");
    refs_claim_note(r, "config");
    if (ebb_recipe_load(r->ctx, "unet-l", &recipe) != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    if (ebb_recipe_network(r->ctx, recipe, &net) != EBB_OK || ebb_params_from_network(r->ctx, &net, &p) != EBB_OK)
        refs_fail(r, "%s", ebb_message(r->ctx));
    refs_near(r, "tensors", 0, p.count, (double)json_object_size(table), 0, 0);
    refs_near(r, "total_params", 0, (double)p.numbers, refs_value(total), 0, 0);
    check_rows(r, table, &p);
    ebb_params_free(&p);
    ebb_recipe_free(recipe);
}
