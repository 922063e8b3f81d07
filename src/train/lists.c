/* lists.c: samplers, their settings and grids of levels, as JSON for help and tools.
 *
 * The lists themselves are samplers.def, settings.def and grids.def.
 */
#include <math.h>

#include "diffusion/sampler.h"
#include "train/report.h"

ebb_status ebb_sampler_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (int i = 0; ebb_sampler_at(i) != NULL; i++) {
        const ebb_sampler *s = ebb_sampler_at(i);
        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i, s:s, s:s}", "name", s->name, "help", s->help,
                                              "default_steps", s->default_steps, "evaluations", s->evaluations, "grid",
                                              s->grid, "chain_grid", s->chain_grid));
    }
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_setting_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (const ebb_setting *s = ebb_settings; s->name != NULL; s++) {
        json_t *initial = isfinite(s->initial) ? json_real(s->initial) : json_null();
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:f, s:f}", "name", s->name, "help", s->help, "default",
                                              initial, "min", s->min, "max", s->max));
    }
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_grid_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    for (int i = 0; ebb_grid_at(i) != NULL; i++) {
        const ebb_grid_kind *g = ebb_grid_at(i);
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "name", g->name, "help", g->help, "discrete", g->discrete));
    }
    return ebb_report_text(ctx, list, json);
}
