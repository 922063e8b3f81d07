/* latent_options.c: what a job of codes is asked for, checked and filled in.
 */
#include <math.h>
#include <string.h>

#include "sample/latent.h"

ebb_latent_options ebb_latent_defaults(void)
{
    return (ebb_latent_options){.size = sizeof(ebb_latent_options), .label = EBB_LABEL_NONE};
}

static int32_t label_of(const ebb_latent_options *o, int64_t i)
{
    return o->labels != NULL ? o->labels[i] : o->label;
}

static ebb_status check_labels(ebb_context *ctx, const ebb_latent_job *j)
{
    int classes = (int)j->model->recipe->net_classes;
    for (int64_t i = 0; i < (j->o.labels != NULL ? j->n : 1); i++) {
        int32_t label = label_of(&j->o, i);
        if (label == EBB_LABEL_NONE && j->o.guidance != 0)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "codes: guidance %g needs a class to guide to: choose a class%s", j->o.guidance,
                            classes > 0 ? "" : " (this model has none)");
        if (label == EBB_LABEL_NONE || j->o.guidance != 0)
            EBB_TRY(ebb_model_classless(ctx, j->model));
        if (label == EBB_LABEL_NONE)
            continue;
        if (classes == 0)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "codes: a class was asked for, but this model has none: leave the class away");
        if (label < 0 || label >= classes)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "codes: class %d is outside 0..%d", label, classes - 1);
    }
    return EBB_OK;
}

static ebb_status check_numbers(ebb_context *ctx, ebb_latent_job *j)
{
    ebb_latent_options *o = &j->o;
    if (j->n < 1 || j->n > INT64_MAX / j->numbers / 8)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "codes of %lld pictures: ask for at least one", (long long)j->n);
    if (!(o->rtol >= 0 && o->rtol < 1) || !(o->atol >= 0 && o->atol < 1))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "codes: rtol %g, atol %g: numbers above 0 and below 1, as 1e-5", o->rtol, o->atol);
    if (!isfinite(o->guidance))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "codes: guidance must be a finite number, as 0 or 1.5");
    if (o->steps < 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "codes: %d steps: give a number from 1, or 0 for the sampler's own", o->steps);
    o->precision = o->precision != NULL ? o->precision : "f32";
    if (strcmp(o->precision, "f32") != 0 && strcmp(o->precision, "bf16") != 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown precision '%s': f32 or bf16", o->precision);
    return EBB_OK;
}

/* A NaN would only be seen after the whole way. */
static ebb_status check_given(ebb_context *ctx, const ebb_latent_job *j, const float *pixels, const double *codes)
{
    for (int64_t i = 0; i < j->n * j->numbers; i++)
        if (!isfinite(pixels != NULL ? (double)pixels[i] : codes[i]))
            return ebb_fail(ctx, EBB_E_NUMERIC, "%s %lld holds a NaN or an infinity", pixels != NULL ? "picture" : "code",
                            (long long)(i / j->numbers));
    return EBB_OK;
}

static ebb_status check_sampler(ebb_context *ctx, ebb_latent_job *j)
{
    const ebb_process *p = &j->model->process;
    ebb_latent_options *o = &j->o;
    ebb_grid_options options;
    const char *kind;
    if (o->sampler == NULL && (o->steps > 0 || (o->grid != NULL && *o->grid != 0)))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "codes: steps and a grid are a sampler's: give a sampler too, or leave them away");
    if (o->sampler == NULL)
        return EBB_OK;
    if (j->encode)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "codes: sampler %s decodes only: encoding is by integration of the flow", o->sampler);
    EBB_TRY(ebb_sampler_parse(ctx, o->sampler, &j->sampler, &j->set));
    EBB_TRY(ebb_grid_parse(ctx, o->grid != NULL ? o->grid : "", &kind, &options));
    int own = j->sampler->default_steps;
    if (options.steps == 0)
        options.steps = o->steps > 0 ? o->steps : p->steps > 0 && own > p->steps ? p->steps : own;
    else if (o->steps > 0 && o->steps != options.steps)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "the grid %s makes %d steps, but %d are asked for: leave one of them away", o->grid,
                        options.steps, o->steps);
    EBB_TRY(ebb_grid_create(ctx, p, kind != NULL ? kind : ebb_sampler_grid(j->sampler, p), &options, &j->grid));
    double any;
    ebb_model_field of_model = {.variance = j->model->net.learned_variance ? &any : NULL};
    ebb_field field = ebb_field_of_model(&of_model);
    return ebb_walk_check(ctx, &(ebb_walk){.sampler = j->sampler, .process = p, .grid = &j->grid, .set = j->set, .field = &field});
}

ebb_status ebb_latent_settle(ebb_context *ctx, ebb_latent_job *j, const ebb_latent_options *options, const float *pixels,
                             const double *codes)
{
    j->o = ebb_latent_defaults();
    if (options != NULL && options->size < sizeof options->size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "options of codes: size is %zu; start from ebb_latent_defaults()", options->size);
    if (options != NULL)
        memcpy(&j->o, options, options->size < sizeof j->o ? options->size : sizeof j->o);
    EBB_TRY(ebb_model_denoises(ctx, j->model));
    EBB_TRY(check_numbers(ctx, j));
    EBB_TRY(check_labels(ctx, j));
    EBB_TRY(check_sampler(ctx, j));
    return check_given(ctx, j, pixels, codes);
}
