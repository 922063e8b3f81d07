/* grid_spaced.c: what may be done to the timesteps of a chain's grid leading, trailing or linspace, for the sake of samplers of
 * diffusers.
 *
 *   karras, exponential  n levels from the first timestep's k-sigma to the last's, as those grids spread them (grid_sigma.c);
 *                        the network is told the t at which log(k-sigma), straight between timesteps, has that value, as it is,
 *                        rounded or cut to whole
 *   between              k-sigma of a fraction of a timestep lies on the straight line between its neighbours
 *   even_steps           the step from t arrives at t - floor(T/n), at the end of the walk where that is below 0
 *   scaled               the walk starts from sigma z of the first level instead of z
 */
#include "diffusion/grid.h"

#include <math.h>

static double k_of(ebb_level at)
{
    return at.sigma / at.alpha;
}

static double k_sigma(const ebb_process *p, int t)
{
    return k_of(ebb_process_level(p, t));
}

/* The level of that k-sigma, told as t. */
static ebb_level level_of(const ebb_process *p, double k, double t)
{
    ebb_level at = ebb_process_level_sigma(p, k);
    at.t = t;
    return at;
}

/* ---- between timesteps ----------------------------------------------------------------------------------------------------- */

static void straighten(const ebb_process *p, ebb_level *at)
{
    int low = (int)floor(at->t), high = low + 1;
    if (at->t == low)
        return;
    double part = at->t - low;
    *at = level_of(p, k_sigma(p, low) + part * (k_sigma(p, high) - k_sigma(p, low)), at->t);
}

/* Where log(k-sigma) has that value, within the chain. */
static double time_of(const ebb_process *p, double k)
{
    int low = 0, high = p->steps - 1;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (k_sigma(p, middle) <= k)
            low = middle;
        else
            high = middle;
    }
    double from = log(k_sigma(p, low)), part = (log(k) - from) / (log(k_sigma(p, high)) - from);
    return low + (part < 0 ? 0 : part > 1 ? 1 : part) * (high - low);
}

/* ---- spread anew ---------------------------------------------------------------------------------------------------------------- */

static ebb_status spread(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, int n, ebb_level *level)
{
    double most = o->sigma_max != 0 ? o->sigma_max : k_of(level[0]), least = o->sigma_min != 0 ? o->sigma_min : k_of(level[n - 1]);
    double rho = o->rho != 0 ? o->rho : 7;
    if (!(least > 0 && least <= most && isfinite(most)) || !(rho > 0) || p->steps < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid: levels from sigma/alpha = %g down to %g with rho %g cannot be spread: they must be "
                        "positive, with an end", most, least, rho);
    for (int i = 0; i < n; i++) {
        double part = n > 1 ? (double)i / (n - 1) : 0, root = pow(most, 1 / rho), end = pow(least, 1 / rho);
        double k = o->karras ? pow(root + part * (end - root), rho) : exp(log(most) + part * (log(least) - log(most)));
        double t = time_of(p, k);
        level[i] = level_of(p, k, o->whole == 1 ? rint(t) : o->whole == 2 ? floor(t) : (double)(float)t);
    }
    return EBB_OK;
}

static ebb_status set_arrivals(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    EBB_TRY(ebb_alloc(ctx, (void **)&out->arrival, (size_t)out->steps, sizeof *out->arrival, "ends of steps"));
    for (int k = 0; k < out->steps; k++) {
        double to = out->level[k].t - p->steps / out->steps;
        out->arrival[k] = to >= 0 ? ebb_process_level(p, to) : ebb_grid_end(p, o);
    }
    return EBB_OK;
}

ebb_status ebb_grid_spaced(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, int points, ebb_grid *out)
{
    ebb_status status = EBB_OK;
    for (int k = 0; o->between && k < points; k++)
        straighten(p, &out->level[k]);
    if (o->karras || o->exponential)
        status = spread(ctx, p, o, points, out->level);
    if (status == EBB_OK && o->even_steps)
        status = set_arrivals(ctx, p, o, out);
    if (o->scaled)
        out->start = out->level[0].sigma;
    if (status != EBB_OK)
        ebb_grid_free(out);
    return status;
}
