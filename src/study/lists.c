/* lists.c: samplers, their settings and grids of levels, as JSON for help and tools.
 *
 * The lists themselves are samplers.def, settings.def and grids.def; then those whose words recipes choose from.
 */
#include <math.h>
#include <string.h>

#include "diffusion/guidance.h"
#include "diffusion/guide.h"
#include "diffusion/sampler.h"
#include "train/ema.h"
#include "model/recipe.h"
#include "model/report.h"

/* "a,b" as an array of texts. */
static json_t *names_of(const char *list)
{
    json_t *names = json_array();
    for (const char *at = list; *at != 0; at += strcspn(at, ","), at += *at == ',')
        json_array_append_new(names, json_stringn(at, strcspn(at, ",")));
    return names;
}

ebb_status ebb_sampler_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (int i = 0; ebb_sampler_at(i) != NULL; i++) {
        const ebb_sampler *s = ebb_sampler_at(i);
        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:o}", "name", s->name, "help",
                                              s->help, "default_steps", s->default_steps, "evaluations", s->evaluations,
                                              "grid", s->grid, "chain_grid", s->chain_grid, "takes", names_of(s->settings)));
    }
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_setting_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (const ebb_setting *s = ebb_settings; s->name != NULL; s++) {
        json_t *initial = isfinite(s->initial) ? json_real(s->initial) : json_null();
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:f, s:f, s:b}", "name", s->name, "help", s->help,
                                              "default", initial, "min", s->min, "max", s->max, "whole", s->whole));
    }
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_grid_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (int i = 0; ebb_grid_at(i) != NULL; i++) {
        const ebb_grid_kind *g = ebb_grid_at(i);
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o}", "name", g->name, "help", g->help, "discrete",
                                              g->discrete, "takes", names_of(g->options)));
    }
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_guidance_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (ebb_guidance kind = 0; kind < EBB_GUIDANCES; kind++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f}", "name", ebb_guidance_name(kind), "help",
                                              ebb_guidance_help(kind), "scale", ebb_guidance_w(kind, 1) - ebb_guidance_w(kind, 0),
                                              "offset", ebb_guidance_w(kind, 0)));
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_guide_form_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (ebb_guide_form form = 0; form < EBB_GUIDE_FORMS; form++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", ebb_guide_form_name(form), "help", ebb_guide_form_help(form)));
    return ebb_report_text(ctx, list, json);
}

/* ---- what recipes choose from -------------------------------------------------------------------------------- */

/* One row for each i < count; name and help are of i. */
#define ROWS(json, count, name, help)                                                                     \
    for (int i = 0; i < (int)(count); i++)                                                                \
        json_array_append_new(json, json_pack("{s:s, s:s}", "name", name, "help", help))

static const char *prediction_help(int i)
{
    static const char *const help[] = {
#define PREDICTION(id, name, help) help,
#include "diffusion/predictions.def"
#undef PREDICTION
    };
    return help[i];
}

ebb_status ebb_recipe_lists(ebb_context *ctx, char **json)
{
    json_t *process = json_array(), *prediction = json_array(), *loss = json_array(), *weighting = json_array(),
           *average = json_array();
    ROWS(process, EBB_PROCESS_COUNT, ebb_process_name((ebb_process_kind)i), ebb_process_help((ebb_process_kind)i));
    ROWS(prediction, EBB_PREDICTIONS, ebb_prediction_name((ebb_prediction)i), prediction_help(i));
    ROWS(loss, EBB_LOSSES, ebb_loss_name((ebb_loss_kind)i), ebb_loss_help((ebb_loss_kind)i));
    ROWS(weighting, EBB_WEIGHTINGS, ebb_weighting_name((ebb_weighting)i), ebb_weighting_help((ebb_weighting)i));
    ROWS(average, EBB_EMA_KINDS, ebb_ema_name((ebb_ema_kind)i), ebb_ema_help((ebb_ema_kind)i));
    return ebb_report_text(ctx, json_pack("{s:o, s:o, s:o, s:o, s:o}", "processes", process, "predictions", prediction,
                                          "losses", loss, "weightings", weighting, "averages", average), json);
}
