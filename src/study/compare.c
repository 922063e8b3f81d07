/* compare.c: a model against what another program computed with its weights, tensor by tensor.
 *
 * Each is told by the largest difference, by the norm of the differences over that of the reference, and by how many floats lie
 * between the two numbers (units in the last place). A tensor deviates where a difference is above the tolerance, in units of
 * its largest number where that is above 1; the first module that does so is where to look.
 */
#include <math.h>
#include <string.h>

#include "model/report.h"
#include "study/activations.h"

#define TOLERANCE 2e-4           /* of f32 networks in another order of sums */

typedef struct found {
    double largest, relative;
    int64_t at, bins[7];
    bool deviates;
} found;

static const char *const bin_names[] = {"0", "1", "2-3", "4-15", "16-255", "256-65535", "more"};
enum { BINS = sizeof bin_names / sizeof *bin_names };

/* Place among all floats, which lie like whole numbers. */
static int64_t place(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >= 0 ? bits : INT32_MIN - (int64_t)bits;
}

static int bin_of(float a, float b)
{
    static const int64_t ends[] = {0, 1, 3, 15, 255, 65535};
    int64_t d = place(a) > place(b) ? place(a) - place(b) : place(b) - place(a);
    int bin = 0;
    while (bin < BINS - 1 && d > ends[bin])
        bin++;
    return bin;
}

static found hold(const float *have, const float *want, int64_t count, double tolerance)
{
    found f = {0};
    double most = 0, difference = 0, norm = 0;
    bool broken = false;
    for (int64_t i = 0; i < count; i++) {
        double d = fabs((double)have[i] - want[i]), w = fabs((double)want[i]);
        broken = broken || !isfinite(d);
        if (d > f.largest || !isfinite(d)) {
            f.largest = d;
            f.at = i;
        }
        most = w > most ? w : most;
        difference += d * d;
        norm += w * w;
        f.bins[bin_of(have[i], want[i])]++;
    }
    f.relative = norm > 0 ? sqrt(difference / norm) : difference > 0 ? INFINITY : 0;
    f.deviates = broken || f.largest > tolerance * (most > 1 ? most : 1);
    return f;
}

static json_t *row_of(const char *name, int64_t count, const found *f)
{
    json_t *bins = json_object();
    for (int i = 0; i < BINS; i++)
        json_object_set_new(bins, bin_names[i], json_integer(f->bins[i]));
    return json_pack("{s:s, s:I, s:o, s:o, s:I, s:b, s:o}", "name", name, "numbers", (json_int_t)count, "largest_error",
                     isfinite(f->largest) ? json_real(f->largest) : json_null(), "relative_error",
                     isfinite(f->relative) ? json_real(f->relative) : json_null(), "at", (json_int_t)f->at, "deviates", f->deviates,
                     "ulp", bins);
}

/* ---- layouts ---------------------------------------------------------------------------------------------------------------------- */

/* Whether the reference has ours in one of the layouts that modules of PyTorch give it: the same, tokens (N,T,C) for our rows, or
 * (N,C,T) for (N,C,H,W). */
static bool fits(const ebb_shape *ours, const ebb_shape *theirs)
{
    if (ebb_shape_equal(*ours, *theirs))
        return true;
    if (ours->rank == 2 && theirs->rank == 3)
        return theirs->dim[0] * theirs->dim[1] == ours->dim[0] && theirs->dim[2] == ours->dim[1];
    return ours->rank == 4 && theirs->rank == 3 && theirs->dim[0] == ours->dim[0] && theirs->dim[1] == ours->dim[1]
           && theirs->dim[2] == ours->dim[2] * ours->dim[3];
}

static ebb_status misfit(ebb_context *ctx, const ebb_named *ours, const ebb_named *theirs)
{
    char have[96], want[96];
    ebb_shape_text(ours->shape, have, sizeof have);
    ebb_shape_text(theirs->shape, want, sizeof want);
    return ebb_fail(ctx, EBB_E_SHAPE, "'%s' has shape %s, but the reference %s", ours->name, have, want);
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------------- */

static bool is_input(const char *name)
{
    return strcmp(name, "input") == 0 || strcmp(name, "timesteps") == 0 || strcmp(name, "class_labels") == 0;
}

static json_t *strangers(const ebb_named_list *reference, const ebb_named_list *ours)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < reference->count; i++)
        if (!is_input(reference->at[i].name) && ebb_named_find(ours, reference->at[i].name) == NULL)
            json_array_append_new(list, json_string(reference->at[i].name));
    return list;
}

/* In the order of computation. */
static ebb_status compare(ebb_context *ctx, const ebb_named_list *ours, const ebb_named_list *reference, double tolerance, json_t *info)
{
    json_t *rows = json_array();
    const char *first = NULL;
    int deviating = 0;
    for (int32_t i = 0; i < ours->count; i++) {
        const ebb_named *a = &ours->at[i], *b = ebb_named_find(reference, a->name);
        if (b == NULL)
            continue;
        if (!fits(&a->shape, &b->shape)) {
            json_decref(rows);
            return misfit(ctx, a, b);
        }
        found f = hold(a->data, b->data, ebb_shape_count(a->shape), tolerance);
        first = first == NULL && f.deviates ? a->name : first;
        deviating += f.deviates;
        json_array_append_new(rows, row_of(a->name, ebb_shape_count(a->shape), &f));
    }
    bool nothing = json_array_size(rows) == 0;
    json_object_set_new(info, "compared", json_integer((json_int_t)json_array_size(rows)));
    json_object_set_new(info, "deviating", json_integer(deviating));
    json_object_set_new(info, "first", first != NULL ? json_string(first) : json_null());
    json_object_set_new(info, "not_compared", strangers(reference, ours));
    json_object_set_new(info, "tensors", rows);
    return nothing ? ebb_fail(ctx, EBB_E_FORMAT, "the reference has neither 'output' nor a module of this network") : EBB_OK;
}

static ebb_status run(ebb_context *ctx, const ebb_model *m, const ebb_compare_options *o, const ebb_named_list *reference, json_t *info)
{
    ebb_named_list ours = {0};
    ebb_plan_options options = ebb_recipe_plan(m->recipe, 1);
    double tolerance = o->tolerance > 0 ? o->tolerance : reference->tolerance > 0 ? reference->tolerance : TOLERANCE;
    bool bf16 = o->precision != NULL && strcmp(o->precision, "bf16") == 0;
    options.fast_conv = o->fast != 0;
    options.bf16 = bf16 ? EBB_BF16_CHANNELS : 0;
    json_object_set_new(info, "tolerance", json_real(tolerance));
    json_object_set_new(info, "precision", json_string(bf16 ? "bf16" : "f32"));
    json_object_set_new(info, "convolutions", json_string(options.fast_conv ? "fast" : "exact"));
    ebb_status status = ebb_activations(ctx, m, reference, &options, &ours);
    if (status == EBB_OK)
        status = compare(ctx, &ours, reference, tolerance, info);
    ebb_named_free(&ours);
    return status;
}

ebb_status ebb_compare(ebb_context *ctx, ebb_model *model, const char *reference, const ebb_compare_options *options, char **json)
{
    ebb_compare_options o = {.size = sizeof o};
    ebb_named_list list;
    *json = NULL;
    if (options != NULL && options->size < sizeof options->size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "compare options: size is %zu; set it to sizeof(ebb_compare_options)", options->size);
    if (options != NULL)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (!(o.tolerance >= 0) || !isfinite(o.tolerance))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "a tolerance of %g: 0 or more is needed, as 1e-4", o.tolerance);
    if (o.precision != NULL && strcmp(o.precision, "f32") != 0 && strcmp(o.precision, "bf16") != 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown precision '%s': f32 or bf16", o.precision);
    EBB_TRY(ebb_model_denoises(ctx, model));
    EBB_TRY(ebb_reference_read(ctx, reference, &list));
    json_t *info = json_pack("{s:s}", "reference", reference);
    ebb_status status = run(ctx, model, &o, &list, info);
    ebb_named_free(&list);
    if (status == EBB_OK)
        return ebb_report_text(ctx, info, json);
    json_decref(info);
    return status == EBB_E_FORMAT || status == EBB_E_SHAPE ? ebb_fail_prefix(ctx, "%s", reference) : status;
}
