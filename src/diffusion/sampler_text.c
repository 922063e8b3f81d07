/* sampler_text.c: the texts that name a sampler with its settings, "edm:churn=40,s_noise=1.003", and a grid with its
 * options, "karras:rho=5".
 *
 * A sampler takes the settings of its row in samplers.def, a grid the options of its row in grids.def: what would change
 * nothing is refused, not ignored.
 */
#include "diffusion/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers and flags of a grid's text are read as numbers too. */
static const struct { const char *name; size_t offset; enum { REAL, WHOLE, FLAG } type; } grid_keys[] = {
    {"t_start", offsetof(ebb_grid_options, t_start), REAL},
    {"t_end", offsetof(ebb_grid_options, t_end), REAL},
    {"sigma_min", offsetof(ebb_grid_options, sigma_min), REAL},
    {"sigma_max", offsetof(ebb_grid_options, sigma_max), REAL},
    {"rho", offsetof(ebb_grid_options, rho), REAL},
    {"gamma_min", offsetof(ebb_grid_options, gamma_min), REAL},
    {"gamma_max", offsetof(ebb_grid_options, gamma_max), REAL},
    {"offset", offsetof(ebb_grid_options, offset), WHOLE},
    {"m", offsetof(ebb_grid_options, m), WHOLE},
    {"c1", offsetof(ebb_grid_options, c1), REAL},
    {"c2", offsetof(ebb_grid_options, c2), REAL},
    {"data_var", offsetof(ebb_grid_options, data_var), REAL},
    {"candidates", offsetof(ebb_grid_options, candidates), WHOLE},
    {"small", offsetof(ebb_grid_options, small), FLAG},
    {"clean", offsetof(ebb_grid_options, clean), FLAG},
    {"drop", offsetof(ebb_grid_options, drop), FLAG},
    {"even_steps", offsetof(ebb_grid_options, even_steps), FLAG},
    {"scaled", offsetof(ebb_grid_options, scaled), FLAG},
    {"between", offsetof(ebb_grid_options, between), FLAG},
    {"karras", offsetof(ebb_grid_options, karras), FLAG},
    {"exponential", offsetof(ebb_grid_options, exponential), FLAG},
    {"whole", offsetof(ebb_grid_options, whole), WHOLE},
    {"keep_last", offsetof(ebb_grid_options, keep_last), FLAG},
    {"alpha_to_first", offsetof(ebb_grid_options, alpha_to_first), FLAG},
};
#define GRID_KEYS ((int)(sizeof grid_keys / sizeof grid_keys[0]))

static ebb_status unknown_sampler(ebb_context *ctx, const char *name)
{
    const char *names[128];
    int count = 0;
    for (; ebb_sampler_at(count) != NULL && count < 128; count++)
        names[count] = ebb_sampler_at(count)->name;
    return ebb_part_unknown(ctx, "sampler", name, names, count);
}

static ebb_taker taker_of(const ebb_sampler *s)
{
    return (ebb_taker){"sampler", s->name, s->settings};
}

ebb_status ebb_sampler_set_eta(ebb_context *ctx, const ebb_sampler *s, double eta, ebb_sampler_settings *set)
{
    ebb_taker taker = taker_of(s);
    return isnan(eta) ? EBB_OK : ebb_setting_store(ctx, ebb_settings, &taker, "eta", eta, set);
}

ebb_status ebb_sampler_parse(ebb_context *ctx, const char *text, const ebb_sampler **sampler, ebb_sampler_settings *set)
{
    char name[EBB_PART_MAX];
    const char *rest = "";
    *set = ebb_settings_default();
    EBB_TRY(ebb_part_head(ctx, text, "sampler or grid", name, &rest));
    *sampler = ebb_sampler_find(name);
    if (*sampler == NULL)
        return unknown_sampler(ctx, name);
    ebb_taker taker = taker_of(*sampler);
    return ebb_settings_read(ctx, ebb_settings, &taker, rest, set);
}

static ebb_status store_grid(ebb_context *ctx, const ebb_taker *kind, const char *key, double value, ebb_grid_options *o)
{
    const char *names[GRID_KEYS];
    int count = 0;
    for (int i = 0; i < GRID_KEYS; i++) {
        void *at = (char *)o + grid_keys[i].offset;
        if (!ebb_taker_has(kind, grid_keys[i].name))
            continue;
        names[count++] = grid_keys[i].name;
        if (strcmp(grid_keys[i].name, key) != 0)
            continue;
        if (!isfinite(value) || fabs(value) > 1e9)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid: %s=%g is no usable number", key, value);
        if (grid_keys[i].type != REAL && value != floor(value))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid: %s=%g: a whole number is needed", key, value);
        if (grid_keys[i].type == REAL)
            *(double *)at = value;
        else if (grid_keys[i].type == WHOLE)
            *(int *)at = (int)value;
        else
            *(bool *)at = value != 0;
        return EBB_OK;
    }
    return ebb_part_untaken(ctx, kind, key, names, count);
}

/* "10+5+5": the one key whose value is a list; it also says how many steps there are. */
static ebb_status cut_counts(ebb_context *ctx, const ebb_taker *kind, const char **rest, ebb_grid_options *o)
{
    const char *at = *rest + strlen("counts=");
    if (!ebb_taker_has(kind, "counts"))
        return ebb_part_untaken(ctx, kind, "counts", NULL, 0);
    o->steps = 0;
    for (o->section_count = 0;; at++) {
        char *end;
        long count = strtol(at, &end, 10);
        if (end == at || (*end != '+' && *end != ',' && *end != 0) || count < 1 || count > 1000000)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid: %.60s: whole numbers with + between them are needed, as counts=10+5+5",
                            *rest);
        if (o->section_count == EBB_GRID_SECTIONS)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid: counts has more than %d sections", EBB_GRID_SECTIONS);
        o->sections[o->section_count++] = (int)count;
        o->steps += (int)count;
        at = end;
        if (*end != '+')
            break;
    }
    *rest = *at == ',' ? at + 1 : at;
    return EBB_OK;
}

ebb_status ebb_grid_parse(ebb_context *ctx, const char *text, const char **kind, ebb_grid_options *o)
{
    char name[EBB_PART_MAX], key[EBB_PART_MAX];
    const char *names[64], *rest = "";
    double value = 0;
    int count = 0;
    *kind = NULL;
    *o = (ebb_grid_options){0};
    if (*text == 0)
        return EBB_OK;
    EBB_TRY(ebb_part_head(ctx, text, "sampler or grid", name, &rest));
    for (; ebb_grid_at(count) != NULL && count < 64; count++)
        names[count] = ebb_grid_at(count)->name;
    const ebb_grid_kind *grid = ebb_grid_find(name);
    if (grid == NULL)
        return ebb_part_unknown(ctx, "grid", name, names, count);
    *kind = grid->name;
    ebb_taker taker = {"grid", grid->name, grid->options};
    while (*rest != 0) {
        if (strncmp(rest, "counts=", strlen("counts=")) == 0) {
            EBB_TRY(cut_counts(ctx, &taker, &rest, o));
            continue;
        }
        EBB_TRY(ebb_part_number(ctx, &rest, key, &value));
        EBB_TRY(store_grid(ctx, &taker, key, value, o));
    }
    /* The counts are of noisy levels: where the walk ends at the last of them, it has a step less. */
    if (o->section_count > 0 && o->keep_last)
        o->steps--;
    return EBB_OK;
}

