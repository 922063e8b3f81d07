/* samplers.c: the table of samplers, from samplers.def, and the text that names one with its settings.
 */
#include "diffusion/sampler.h"
#include "diffusion/stochastic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const ebb_sampler samplers[] = {
#define SAMPLER(name, function, variant, buffers, steps, grid, chain_grid, evaluations, help) \
    {name, help, function, variant, buffers, steps, grid, chain_grid, evaluations},
#include "diffusion/samplers.def"
#undef SAMPLER
};
#define SAMPLER_COUNT ((int)(sizeof samplers / sizeof samplers[0]))

const ebb_setting ebb_settings[] = {
#define SETTING(name, initial, min, max, help) {#name, help, offsetof(ebb_sampler_settings, name), initial, min, max},
#include "diffusion/settings.def"
#undef SETTING
    {NULL, NULL, 0, 0, 0, 0},
};

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
    {"keep_last", offsetof(ebb_grid_options, keep_last), FLAG},
    {"alpha_to_first", offsetof(ebb_grid_options, alpha_to_first), FLAG},
};
#define GRID_KEYS ((int)(sizeof grid_keys / sizeof grid_keys[0]))

const ebb_sampler *ebb_sampler_at(int i)
{
    return i >= 0 && i < SAMPLER_COUNT ? &samplers[i] : NULL;
}

const ebb_sampler *ebb_sampler_find(const char *name)
{
    for (int i = 0; i < SAMPLER_COUNT; i++)
        if (strcmp(samplers[i].name, name) == 0)
            return &samplers[i];
    return NULL;
}

const char *ebb_sampler_grid(const ebb_sampler *s, const ebb_process *p)
{
    if (ebb_process_level(p, p->end).alpha == 0)
        return p->steps > 0 ? "even" : "uniform";
    if (p->steps > 0)
        return s->chain_grid;
    return p->kind == EBB_PROCESS_EDM && strcmp(s->grid, "uniform") == 0 ? "karras" : s->grid;
}

ebb_sampler_settings ebb_settings_default(void)
{
    ebb_sampler_settings set;
    ebb_settings_fill(ebb_settings, &set);
    return set;
}

/* ---- texts ------------------------------------------------------------------------------------------------ */

static ebb_status unknown_sampler(ebb_context *ctx, const char *name)
{
    const char *names[SAMPLER_COUNT];
    for (int i = 0; i < SAMPLER_COUNT; i++)
        names[i] = samplers[i].name;
    return ebb_part_unknown(ctx, "sampler", name, names, SAMPLER_COUNT);
}

ebb_status ebb_sampler_parse(ebb_context *ctx, const char *text, const ebb_sampler **sampler, ebb_sampler_settings *set)
{
    char name[EBB_PART_MAX];
    const char *rest;
    *set = ebb_settings_default();
    EBB_TRY(ebb_part_head(ctx, text, "sampler or grid", name, &rest));
    *sampler = ebb_sampler_find(name);
    if (*sampler == NULL)
        return unknown_sampler(ctx, name);
    return ebb_settings_read(ctx, ebb_settings, rest, set);
}

static ebb_status store_grid(ebb_context *ctx, const char *key, double value, ebb_grid_options *o)
{
    const char *names[GRID_KEYS];
    for (int i = 0; i < GRID_KEYS; i++) {
        void *at = (char *)o + grid_keys[i].offset;
        names[i] = grid_keys[i].name;
        if (strcmp(names[i], key) != 0)
            continue;
        if (!isfinite(value) || fabs(value) > 1e9)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid: %s=%g is no usable number", key, value);
        if (grid_keys[i].type == REAL)
            *(double *)at = value;
        else if (grid_keys[i].type == WHOLE)
            *(int *)at = (int)value;
        else
            *(bool *)at = value != 0;
        return EBB_OK;
    }
    return ebb_part_unknown(ctx, "option of a grid", key, names, GRID_KEYS);
}

/* "10+5+5": the one key whose value is a list; it also says how many steps there are. */
static ebb_status cut_counts(ebb_context *ctx, const char **rest, ebb_grid_options *o)
{
    const char *at = *rest + strlen("counts=");
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
    const char *names[64], *rest;
    double value;
    int count = 0;
    *kind = NULL;
    *o = (ebb_grid_options){0};
    if (*text == 0)
        return EBB_OK;
    EBB_TRY(ebb_part_head(ctx, text, "sampler or grid", name, &rest));
    for (; ebb_grid_at(count) != NULL && count < 64; count++)
        names[count] = ebb_grid_at(count)->name;
    if (ebb_grid_find(name) == NULL)
        return ebb_part_unknown(ctx, "grid", name, names, count);
    *kind = ebb_grid_find(name)->name;
    while (*rest != 0) {
        if (strncmp(rest, "counts=", strlen("counts=")) == 0) {
            EBB_TRY(cut_counts(ctx, &rest, o));
            continue;
        }
        EBB_TRY(ebb_part_number(ctx, &rest, key, &value));
        EBB_TRY(store_grid(ctx, key, value, o));
    }
    return EBB_OK;
}

/* ---- checks ----------------------------------------------------------------------------------------------- */

ebb_status ebb_walk_check(ebb_context *ctx, const ebb_walk *w)
{
    const ebb_sampler *s = w->sampler;
    if (w->grid->steps < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: its grid has no step", s->name);
    EBB_TRY(ebb_learned_check(ctx, w));
    EBB_TRY(ebb_predictor_check(ctx, w));
    EBB_TRY(ebb_langevin_check(ctx, w));
    EBB_TRY(ebb_sde_check(ctx, w));
    return ebb_k_check(ctx, w);
}
