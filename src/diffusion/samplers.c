/* samplers.c: the table of samplers, from samplers.def, and that of their settings, from settings.def.
 */
#include "diffusion/sampler.h"
#include "diffusion/stochastic.h"

#include <math.h>
#include <string.h>

static const ebb_sampler samplers[] = {
#define SAMPLER(name, function, variant, buffers, steps, grid, chain_grid, evaluations, settings, help) \
    {name, help, function, variant, buffers, steps, grid, chain_grid, evaluations, settings},
#include "diffusion/samplers.def"
#undef SAMPLER
};
#define SAMPLER_COUNT ((int)(sizeof samplers / sizeof samplers[0]))

const ebb_setting ebb_settings[] = {
#define SETTING(name, whole, initial, min, max, help) \
    {#name, help, offsetof(ebb_sampler_settings, name), initial, min, max, whole},
#include "diffusion/settings.def"
#undef SETTING
    {NULL, NULL, 0, 0, 0, 0, false},
};

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

/* ---- checks ----------------------------------------------------------------------------------------------- */

ebb_status ebb_walk_check(ebb_context *ctx, const ebb_walk *w)
{
    const ebb_sampler *s = w->sampler;
    if (w->grid->steps < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: its grid has no step", s->name);
    if (w->grid->arrival != NULL && s->run != ebb_sample_ddim)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampler %s: steps of a grid with even_steps arrive elsewhere than the next starts: only "
                        "ddim takes such", s->name);
    EBB_TRY(ebb_pndm_check(ctx, w));
    EBB_TRY(ebb_learned_check(ctx, w));
    EBB_TRY(ebb_lead_check(ctx, w));
    EBB_TRY(ebb_predictor_check(ctx, w));
    EBB_TRY(ebb_langevin_check(ctx, w));
    EBB_TRY(ebb_sde_check(ctx, w));
    return ebb_k_check(ctx, w);
}
