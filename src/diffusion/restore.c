/* restore.c: the table of methods of restoration, and what they share: what is seen, putting it in place, one step down.
 */
#include "diffusion/restore.h"

#include <math.h>
#include <string.h>

static const ebb_restorer restorers[] = {
#define RESTORER(name, function, evaluations, buffers, steps, grid, chain_grid, settings, help) \
    {{name, help, NULL, 0, buffers, steps, grid, chain_grid, 1, settings}, function, evaluations},
#include "diffusion/restorers.def"
#undef RESTORER
};
#define RESTORERS ((int)(sizeof restorers / sizeof restorers[0]))

const ebb_setting ebb_restore_setting_table[] = {
#define SETTING(name, whole, initial, min, max, help) \
    {#name, help, offsetof(ebb_restore_settings, name), initial, min, max, whole},
#include "diffusion/restore_settings.def"
#undef SETTING
    {NULL, NULL, 0, 0, 0, 0, false},
};

const ebb_restorer *ebb_restorer_at(int i)
{
    return i >= 0 && i < RESTORERS ? &restorers[i] : NULL;
}

const ebb_restorer *ebb_restorer_find(const char *name)
{
    for (int i = 0; i < RESTORERS; i++)
        if (strcmp(restorers[i].way.name, name) == 0)
            return &restorers[i];
    return NULL;
}

ebb_restore_settings ebb_restore_settings_default(void)
{
    ebb_restore_settings set;
    ebb_settings_fill(ebb_restore_setting_table, &set);
    return set;
}

ebb_status ebb_restorer_parse(ebb_context *ctx, const char *text, const ebb_restorer **method, ebb_restore_settings *set)
{
    char name[EBB_PART_MAX];
    const char *rest, *names[RESTORERS];
    *set = ebb_restore_settings_default();
    EBB_TRY(ebb_part_head(ctx, text, "method", name, &rest));
    *method = ebb_restorer_find(name);
    for (int i = 0; i < RESTORERS; i++)
        names[i] = restorers[i].way.name;
    if (*method == NULL)
        return ebb_part_unknown(ctx, "method", name, names, RESTORERS);
    ebb_taker taker = {"method", name, (*method)->way.settings};
    return ebb_settings_read(ctx, ebb_restore_setting_table, &taker, rest, set);
}

/* ---- before a walk ----------------------------------------------------------------------------------------------------- */

ebb_status ebb_restore_grid(ebb_context *ctx, const ebb_restorer *method, const ebb_process *p, const char *kind,
                            const ebb_grid_options *options, ebb_grid *out)
{
    ebb_grid_options o = *options;
    int usual = method->way.default_steps;
    if (o.steps == 0)
        o.steps = p->steps > 0 && usual > p->steps ? p->steps : usual;
    o.clean = true;
    return ebb_grid_create(ctx, p, kind != NULL ? kind : ebb_sampler_grid(&method->way, p), &o, out);
}

size_t ebb_restore_work(const ebb_restorer *method, int64_t n, int64_t count)
{
    return ebb_walk_work(&method->way, n, count);
}

static ebb_status check_predictor(ebb_context *ctx, const ebb_restore_walk *r)
{
    for (int k = 0; k < r->walk.grid->steps; k++) {
        double keep = r->walk.grid->level[k].alpha / r->walk.grid->level[k + 1].alpha;
        if (!isfinite(keep))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "method %s: step %d has no forward step that could be reversed: take "
                            "predictor=0", r->method->way.name, k);
    }
    return EBB_OK;
}

ebb_status ebb_restore_check(ebb_context *ctx, const ebb_restore_walk *r)
{
    const ebb_grid *g = r->walk.grid;
    const char *name = r->method->way.name;
    if (g->steps < 1)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "method %s: its grid has no step", name);
    if (!(r->sigma >= 0) || !isfinite(r->sigma))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "a measurement with noise %g: standard deviations from 0 up are possible", r->sigma);
    if (g->level[g->steps].sigma > 0 && r->set.literal == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "method %s: the grid ends in noise (sigma %g), and the result would: take one "
                        "that ends clean", name, g->level[g->steps].sigma);
    if (r->method->run == ebb_restore_dps && r->walk.field->pullback == NULL)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "method %s needs gradients through the denoiser, and this field has none: take "
                        "replacement, repaint or ddrm", name);
    return r->method->run == ebb_restore_replacement && r->set.predictor != 0 ? check_predictor(ctx, r) : EBB_OK;
}

int64_t ebb_restore_once(const ebb_restore_settings *set, int steps)
{
    (void)set;
    return steps;
}

int64_t ebb_restore_twice(const ebb_restore_settings *set, int steps)
{
    (void)set;
    return 2 * (int64_t)steps;
}

int ebb_restore_run(ebb_restore_walk *r)
{
    r->walk.sampler = &r->method->way;
    r->walk.set = ebb_settings_default();
    double *seen = ebb_walk_buffer(&r->walk, EBB_RESTORE_SEEN);
    for (int64_t i = 0; i < r->walk.n; i++)
        ebb_operator_seen(r->op, r->y + i * r->op->rows, seen + i * r->walk.count);
    return r->method->run(r);
}

/* ---- on the way ----------------------------------------------------------------------------------------------------------- */

const double *ebb_restore_seen(ebb_restore_walk *r)
{
    return ebb_walk_buffer(&r->walk, EBB_RESTORE_SEEN);
}

void ebb_restore_turn(ebb_restore_walk *r, bool back, double *x)
{
    for (int64_t i = 0; i < r->walk.n; i++)
        r->op->turn(r->op, back, x + i * r->walk.count);
}

void ebb_restore_put(ebb_restore_walk *r, ebb_level at)
{
    ebb_walk *w = &r->walk;
    const double *seen = ebb_restore_seen(r), *s = r->op->singular;
    double *z = ebb_walk_buffer(w, EBB_RESTORE_NOISE);
    if (at.sigma > 0)
        ebb_walk_normal(w, z);
    ebb_restore_turn(r, false, w->x);
    for (int64_t i = 0; i < w->n * w->count; i++) {
        double strength = s[i % w->count];
        if (strength == 0)
            continue;
        double measured = at.alpha * r->sigma / strength, left = at.sigma * at.sigma - measured * measured;
        if (left >= 0)
            w->x[i] = at.alpha * seen[i] + (left > 0 ? sqrt(left) * z[i] : 0);
    }
    ebb_restore_turn(r, true, w->x);
}

void ebb_restore_agree(ebb_restore_walk *r, double alpha)
{
    ebb_walk *w = &r->walk;
    const double *seen = ebb_restore_seen(r);
    if (r->sigma > 0)
        return;
    ebb_restore_turn(r, false, w->x);
    for (int64_t i = 0; i < w->n * w->count; i++)
        if (r->op->singular[i % w->count] > 0)
            w->x[i] = alpha * seen[i];
    ebb_restore_turn(r, true, w->x);
}

void ebb_restore_step_down(ebb_restore_walk *r, int k)
{
    ebb_walk *w = &r->walk;
    ebb_level t = w->grid->level[k], s = w->grid->level[k + 1];
    ebb_between q = ebb_level_between(t, s);
    const double *x0 = ebb_walk_buffer(w, EBB_RESTORE_CLEAN);
    double *z = ebb_walk_buffer(w, EBB_RESTORE_NOISE);
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] = q.keep_x0 * x0[i] + q.keep_x * w->x[i];
    ebb_walk_keep_mean(w);
    if (s.sigma == 0)
        return;
    ebb_walk_normal(w, z);
    for (int64_t i = 0; i < w->n * w->count; i++)
        w->x[i] += sqrt(q.posterior) * z[i];
}
