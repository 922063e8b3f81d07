/* restore_options.c: what a restoration is asked for, checked and filled in; the pictures that it takes; the words it knows.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sample/guided.h"
#include "sample/mask.h"
#include "sample/pictures.h"
#include "sample/restoring.h"

ebb_restore_options ebb_restore_defaults(void)
{
    return (ebb_restore_options){.size = sizeof(ebb_restore_options), .label = EBB_LABEL_NONE};
}

static ebb_status check_numbers(ebb_restoring *r)
{
    ebb_restore_options *o = &r->o;
    int classes = (int)r->model->recipe->net_classes;
    o->copies = o->copies != 0 ? o->copies : 1;
    if (o->copies < 1 || o->copies > EBB_COPIES_MAX)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "%d copies of each picture: 1 to %d are possible", o->copies, EBB_COPIES_MAX);
    if (o->first < 0 || o->first >= EBB_RESTORED_MAX)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "picture %lld: numbers 0 to %d are possible", (long long)o->first,
                        EBB_RESTORED_MAX - 1);
    if (!(o->sigma >= 0 && o->sigma <= 100))
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "noise of standard deviation %g: 0 to 100 are possible, for pictures of -1 to 1",
                        o->sigma);
    if (o->steps < 0 || o->steps > 1000000)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "%d steps: 1 to 1000000 are possible", o->steps);
    if (classes == 0 && o->label != EBB_LABEL_NONE)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "a class was asked for, but this model has none: leave the class away");
    if (o->label < EBB_LABEL_NONE || o->label >= (classes > 0 ? classes : 1))
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "class %d is outside 0..%d", o->label, classes - 1);
    if (strcmp(o->precision, "f32") != 0 && strcmp(o->precision, "bf16") != 0)
        return ebb_fail(r->ctx, EBB_E_USAGE, "unknown precision '%s': f32 or bf16 (none: as the model was trained)", o->precision);
    if (o->guidance != 0 && o->label == EBB_LABEL_NONE)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "guidance %g needs a class to guide to: choose a class%s", o->guidance,
                        classes > 0 ? "" : " (this model has none)");
    if (o->guidance != 0 || o->label == EBB_LABEL_NONE)
        EBB_TRY(ebb_model_classless(r->ctx, r->model));
    return ebb_guided_check(r->ctx, o->guidance, o->guidance_low, o->guidance_high);
}

/* Each option belongs to one task. */
static ebb_status check_task(ebb_restoring *r)
{
    const char *names[EBB_OPERATORS], *task = r->o.task;
    for (int k = 0; k < EBB_OPERATORS; k++)
        names[k] = ebb_operator_name((ebb_operator_kind)k);
    r->task = ebb_operator_find(task);
    if (r->task == EBB_OPERATORS)
        return ebb_part_unknown(r->ctx, "task", task, names, EBB_OPERATORS);
    if (r->o.mask != NULL && r->task != EBB_OPERATOR_INPAINT)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "%s takes no mask: that is of inpaint", task);
    if (r->o.factor != 0 && r->task != EBB_OPERATOR_SUPER)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "%s takes no factor: that is of super-resolution", task);
    if (r->o.blur != 0 && r->task != EBB_OPERATOR_DEBLUR)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "%s takes no blur: that is of deblur", task);
    if (r->task == EBB_OPERATOR_INPAINT && r->o.mask == NULL)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "inpaint: which pixels are known? give a mask, as box:14x14 or mask.png");
    if (r->task == EBB_OPERATOR_DENOISE && r->o.sigma == 0)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "denoise: how much noise is there? give sigma, its standard deviation, as 0.5");
    return EBB_OK;
}

static ebb_status make_operator(ebb_restoring *r)
{
    const int64_t *dim = r->shape.dim;
    ebb_operator_options o = {.height = (int)dim[1], .width = (int)dim[2], .channels = (int)dim[3], .block_height = r->o.factor,
                              .block_width = r->o.factor, .blur = r->o.blur};
    uint8_t *mask = NULL;
    ebb_status status = EBB_OK;
    if (r->task == EBB_OPERATOR_INPAINT) {
        EBB_TRY(ebb_alloc(r->ctx, (void **)&mask, (size_t)(dim[1] * dim[2]), 1, "a mask"));
        status = ebb_mask_read(r->ctx, r->o.mask, o.height, o.width, r->o.seed, mask);
        o.mask = mask;
    }
    if (status == EBB_OK)
        status = ebb_operator_create(r->ctx, r->task, &o, &r->op);
    ebb_free(mask);
    return status;
}

static ebb_status make_grid(ebb_restoring *r)
{
    const char *kind;
    ebb_grid_options options;
    EBB_TRY(ebb_restorer_parse(r->ctx, r->o.method, &r->method, &r->set));
    EBB_TRY(ebb_grid_parse(r->ctx, r->o.grid, &kind, &options));
    if (options.steps > 0 && r->o.steps > 0 && r->o.steps != options.steps)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "the grid %s makes %d steps, but %d are asked for: leave one of them away",
                        r->o.grid, options.steps, r->o.steps);
    options.steps = options.steps > 0 ? options.steps : r->o.steps;
    EBB_TRY(ebb_restore_grid(r->ctx, r->method, &r->model->process, kind, &options, &r->grid));
    r->o.steps = r->grid.steps;
    return EBB_OK;
}

static void any_pullback(void *self, const double *x, const ebb_level *at, const double *v, double *out)
{
    (void)self, (void)x, (void)at, (void)v, (void)out;
}

ebb_status ebb_restoring_settle(ebb_restoring *r, const ebb_restore_options *options)
{
    if (options->size < sizeof options->size)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "restore options: size is %zu; start from ebb_restore_defaults()", options->size);
    r->o = ebb_restore_defaults();
    memcpy(&r->o, options, options->size < sizeof r->o ? options->size : sizeof r->o);
    EBB_TRY(ebb_model_denoises(r->ctx, r->model));
    if (r->model->net.kind != EBB_NET_UNET)
        return ebb_fail(r->ctx, EBB_E_ARGUMENT, "restoration is of pictures, and this is a model of points: ebb toy --restore");
    r->o.task = r->o.task != NULL ? r->o.task : ebb_operator_name(EBB_OPERATOR_INPAINT);
    r->o.method = r->o.method != NULL ? r->o.method : "ddrm";
    r->o.grid = r->o.grid != NULL ? r->o.grid : "";
    r->o.precision = r->o.precision != NULL ? r->o.precision : r->model->recipe->precision_type;
    r->shape = ebb_network_shape(&r->model->net, 1);
    r->numbers = ebb_shape_count(r->shape);
    EBB_TRY(check_numbers(r));
    EBB_TRY(check_task(r));
    EBB_TRY(make_operator(r));
    EBB_TRY(make_grid(r));
    /* Networks have a pull-back when it is needed. */
    ebb_field field = {.pullback = any_pullback};
    return ebb_restore_check(r->ctx, &(ebb_restore_walk){.method = r->method, .set = r->set, .op = &r->op, .sigma = r->o.sigma,
                                                    .walk = {.process = &r->model->process, .grid = &r->grid, .field = &field}});
}

void ebb_restoring_free(ebb_restoring *r)
{
    ebb_operator_free(&r->op);
    ebb_grid_free(&r->grid);
    ebb_free(r->y);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------------------- */

ebb_status ebb_restore_shape(ebb_context *ctx, ebb_model *model, const ebb_restore_options *options, int shape[3])
{
    ebb_restoring r = {.ctx = ctx, .model = model};
    ebb_status status = ebb_restoring_settle(&r, options);
    for (int k = 0; status == EBB_OK && k < 3; k++)
        shape[k] = r.o.given ? r.op.shape[k] : (int)r.shape.dim[k + 1];
    ebb_restoring_free(&r);
    return status;
}

ebb_status ebb_restore_pictures(ebb_context *ctx, ebb_model *model, const ebb_restore_options *options, const char *path,
                                int64_t n, ebb_pictures *out)
{
    ebb_data_choice c = {.path = path, .first = options->first, .n = n};
    ebb_dataset data;
    char name[2 * EBB_TEXT_MAX];
    *out = (ebb_pictures){.size = sizeof *out};
    EBB_TRY(ebb_restore_shape(ctx, model, options, c.shape));
    if (n < 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "%lld pictures: give a number from 0", (long long)n);
    EBB_TRY(ebb_data_open(ctx, model, &c, &data, name));
    ebb_status status = ebb_data_copy(ctx, &c, &data, out);
    ebb_dataset_free(&data);
    if (status != EBB_OK)
        ebb_pictures_free(out);
    return status;
}

/* ---- lists ------------------------------------------------------------------------------------------------------------------- */

ebb_status ebb_task_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (int k = 0; k < EBB_OPERATORS; k++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", ebb_operator_name((ebb_operator_kind)k), "help",
                                              ebb_operator_help((ebb_operator_kind)k)));
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_mask_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (int k = 0; ebb_mask_name(k) != NULL; k++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", ebb_mask_name(k), "help", ebb_mask_help(k)));
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_restorer_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (int k = 0; ebb_restorer_at(k) != NULL; k++) {
        const ebb_sampler *way = &ebb_restorer_at(k)->way;
        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:s}", "name", way->name, "help", way->help, "default_steps",
                                              way->default_steps, "takes", way->settings));
    }
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_restore_setting_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (const ebb_setting *s = ebb_restore_setting_table; s->name != NULL; s++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f, s:f, s:b}", "name", s->name, "help", s->help, "default",
                                              s->initial, "min", s->min, "max", s->max, "whole", s->whole));
    return ebb_report_text(ctx, list, json);
}
