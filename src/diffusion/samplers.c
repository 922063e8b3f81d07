/* samplers.c: the table of samplers, from samplers.def. */
#include "diffusion/diffusion.h"

#include <string.h>

static const ebb_sampler samplers[] = {
#define SAMPLER(name, function, default_steps, help) {name, help, default_steps, function},
#include "diffusion/samplers.def"
#undef SAMPLER
};
#define SAMPLER_COUNT ((int)(sizeof samplers / sizeof samplers[0]))

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

ebb_status ebb_sampler_check(ebb_context *ctx, const ebb_schedule *schedule, int steps, double eta)
{
    if (steps < 1 || steps > schedule->steps)
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "sampling in %d steps: a model trained on %d timesteps allows 1 to %d", steps,
                        schedule->steps, schedule->steps);
    if (!(eta >= 0.0 && eta <= 1.0))
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "sampling with eta %g: 0 (deterministic) to 1 (ancestral) is allowed", eta);
    return EBB_OK;
}
