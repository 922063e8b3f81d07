/* grid.c: the table of grids, from grids.def, and what all of them share: room, ends, checks.
 *
 * The grids themselves: grid_chain.c, grid_time.c, grid_sigma.c, grid_budget.c.
 */
#include "diffusion/grid.h"

#include <math.h>
#include <string.h>

static const ebb_grid_kind kinds[] = {
#define GRID(name, discrete, function, options, help) {name, help, options, discrete, function},
#include "diffusion/grids.def"
#undef GRID
};
#define KINDS ((int)(sizeof kinds / sizeof kinds[0]))

const ebb_grid_kind *ebb_grid_at(int i)
{
    return i >= 0 && i < KINDS ? &kinds[i] : NULL;
}

const ebb_grid_kind *ebb_grid_find(const char *name)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

ebb_status ebb_grid_alloc(ebb_context *ctx, int steps, bool dt, ebb_grid *out)
{
    *out = (ebb_grid){.steps = steps};
    EBB_TRY(ebb_alloc(ctx, (void **)&out->level, (size_t)steps + 1, sizeof *out->level, "levels of a sampler"));
    ebb_status status = EBB_OK;
    if (dt)
        status = ebb_alloc(ctx, (void **)&out->dt, (size_t)steps, sizeof *out->dt, "steps of a sampler");
    if (status != EBB_OK)
        ebb_grid_free(out);
    return status;
}

void ebb_grid_free(ebb_grid *g)
{
    ebb_free(g->level);
    ebb_free(g->dt);
    ebb_free(g->arrival);
    *g = (ebb_grid){0};
}

int ebb_grid_points(const ebb_grid_options *o, bool clean)
{
    return (clean ? !o->keep_last : o->clean) ? o->steps : o->steps + 1;
}

ebb_level ebb_grid_end(const ebb_process *p, const ebb_grid_options *o)
{
    return o->alpha_to_first && p->steps > 0 ? ebb_process_level(p, 0) : (ebb_level){0, 1, 0};
}

/* The last step may stay where it is: alpha_to_first after timestep 0 (diffusers' PNDM does so). */
static ebb_status check(ebb_context *ctx, const char *name, const ebb_grid_options *o, const ebb_grid *g)
{
    for (int k = 0; k <= g->steps; k++) {
        const ebb_level *at = &g->level[k];
        if (!isfinite(at->alpha) || !isfinite(at->sigma) || at->alpha < 0 || at->sigma < 0)
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid %s: level %d is alpha %g, sigma %g: choose other ends", name, k,
                            at->alpha, at->sigma);
        bool stays = k == g->steps && o->alpha_to_first && k > 0 && at->sigma == at[-1].sigma;
        if (k > 0 && !stays && !(at->sigma * at[-1].alpha < at[-1].sigma * at->alpha))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid %s: level %d is not less noisy than the one before it: "
                            "choose other ends or fewer steps", name, k);
    }
    for (int k = 0; k < g->steps && g->arrival != NULL; k++)
        if (!(g->arrival[k].sigma <= g->level[k].sigma))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "grid %s: step %d would arrive where there is more noise", name, k);
    return EBB_OK;
}

ebb_status ebb_grid_create(ebb_context *ctx, const ebb_process *p, const char *name, const ebb_grid_options *o,
                           ebb_grid *out)
{
    const char *usual = p->steps > 0 ? "even" : "uniform";
    const ebb_grid_kind *kind = ebb_grid_find(name != NULL ? name : usual);
    *out = (ebb_grid){0};
    if (kind == NULL)
        return ebb_fail(ctx, EBB_E_USAGE, "no grid '%s'", name);
    if (kind->discrete && p->steps == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid %s is for the chains ddpm and smld; process %s runs in continuous "
                        "time: take uniform, for example", kind->name, ebb_process_name(p->kind));
    if (o->steps < 1 || o->steps > 10000000 || (kind->discrete && o->steps > p->steps))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sampling in %d steps on grid %s: 1 to %d are possible", o->steps, kind->name,
                        kind->discrete ? p->steps : 10000000);
    EBB_TRY(kind->make(ctx, p, o, out));
    ebb_status status = check(ctx, kind->name, o, out);
    if (status != EBB_OK)
        ebb_grid_free(out);
    return status;
}
