/* grid_sigma.c: grids spread in k-sigma = sigma/alpha, the noise level of Karras et al. 2022; for every process.
 *
 * n noisy levels s_0 > ... > s_{n-1} from s_max to s_min, then clean (keep_last: one level more instead):
 *   karras       (s_max^(1/rho) + i/(n-1) (s_min^(1/rho) - s_max^(1/rho)))^rho       (Karras et al. 2022, eq. 5)
 *   exponential  log s in equal steps
 *   edm-vp, edm-ve, edm-iddpm: the grids of earlier samplers in their table 1:
 *   edm-vp       sqrt(exp(beta_d t^2/2 + beta_min t) - 1), t from 1 to 1e-3 in equal steps, beta_d and beta_min such that the
 *                ends are s_max and s_min
 *   edm-ve       exponential over 0.02..100
 *   edm-iddpm    n of the M levels u_j with u_M = 0, u_{j-1}^2 = (u_j^2 + 1)/max(abar_{j-1}/abar_j, C1) - 1,
 *                abar_j = sin^2(pi/2 j/(M (C2+1))), evenly by number among those within 0.002..81
 * Where the ends are not told: karras and exponential take the process's, the others the overlap of theirs with it.
 */
#include "diffusion/grid.h"

#include <math.h>

typedef struct range { double least, most; } range;

static double k_sigma(const ebb_process *p, double t)
{
    ebb_level at = ebb_process_level(p, t);
    return at.sigma / at.alpha;
}

static range own_range(const ebb_process *p, const ebb_grid_options *o)
{
    return (range){k_sigma(p, o->t_end != 0 ? o->t_end : p->least_sample), k_sigma(p, o->t_start != 0 ? o->t_start : p->end)};
}

/* The told ends, or of the process's what `usual` covers. */
static ebb_status find_range(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, range usual, range *out)
{
    range own = own_range(p, o);
    out->least = o->sigma_min != 0 ? o->sigma_min : fmax(own.least, usual.least);
    out->most = o->sigma_max != 0 ? o->sigma_max : fmin(own.most, usual.most);
    if (isinf(out->most))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process %s ends in noise alone, where sigma/alpha has no bound: give the grid a "
                        "sigma_max or a t_start before the end", ebb_process_name(p->kind));
    if (!(out->least > 0 && out->least < out->most))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid from sigma/alpha = %g down to %g; 0 < sigma_min < sigma_max is needed",
                        out->most, out->least);
    return EBB_OK;
}

static ebb_status begin(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    EBB_TRY(ebb_grid_alloc(ctx, o->steps, false, out));
    out->level[o->steps] = ebb_grid_end(p, o);
    return EBB_OK;
}

static const range everything = {0, INFINITY};

/* Place of level i among n: 0 the noisiest, 1 the least noisy. */
static double place(int i, int n)
{
    return n > 1 ? (double)i / (n - 1) : 0;
}

ebb_status ebb_grid_karras(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    range r;
    int n = ebb_grid_points(o, true);
    double rho = o->rho != 0 ? o->rho : 7;
    EBB_TRY(find_range(ctx, p, o, everything, &r));
    if (!(rho > 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid karras: rho = %g; above 0 is needed (7 is usual)", rho);
    EBB_TRY(begin(ctx, p, o, out));
    double most = pow(r.most, 1 / rho), least = pow(r.least, 1 / rho);
    for (int i = 0; i < n; i++)
        out->level[i] = ebb_process_level_sigma(p, pow(most + place(i, n) * (least - most), rho));
    return EBB_OK;
}

static ebb_status geometric(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, range usual, ebb_grid *out)
{
    range r;
    int n = ebb_grid_points(o, true);
    EBB_TRY(find_range(ctx, p, o, usual, &r));
    EBB_TRY(begin(ctx, p, o, out));
    double most = log(r.most), least = log(r.least);
    for (int i = 0; i < n; i++)
        out->level[i] = ebb_process_level_sigma(p, exp(most + place(i, n) * (least - most)));
    return EBB_OK;
}

ebb_status ebb_grid_exponential(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    return geometric(ctx, p, o, everything, out);
}

ebb_status ebb_grid_edm_ve(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    return geometric(ctx, p, o, (range){0.02, 100}, out);
}

ebb_status ebb_grid_edm_vp(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    bool vp = p->kind == EBB_PROCESS_VP;
    int n = ebb_grid_points(o, true);
    double to = 1e-3, low = vp ? p->beta_min : 0.1, d = vp ? p->beta_max - p->beta_min : 19.9;
    range r, usual = {sqrt(expm1(0.5 * d * to * to + low * to)), sqrt(expm1(0.5 * d + low))};
    EBB_TRY(find_range(ctx, p, o, usual, &r));
    EBB_TRY(begin(ctx, p, o, out));
    double at_end = log1p(r.least * r.least) / to, at_start = log1p(r.most * r.most);
    d = 2 * (at_end - at_start) / (to - 1);
    low = at_start - 0.5 * d;
    for (int i = 0; i < n; i++) {
        double t = 1 + place(i, n) * (to - 1), s = i == n - 1 && n > 1 ? r.least : sqrt(expm1(0.5 * d * t * t + low * t));
        out->level[i] = ebb_process_level_sigma(p, s);
    }
    return EBB_OK;
}

/* ---- iDDPM ---------------------------------------------------------------------------------------------------- */

static double iddpm_alpha_bar(int j, int m, double c2)
{
    double s = sin(0.5 * 3.14159265358979323846 * j / m / (c2 + 1));
    return s * s;
}

void ebb_grid_iddpm_levels(int m, double c1, double c2, double *u)
{
    u[m] = 0;
    for (int j = m; j > 0; j--)
        u[j - 1] = sqrt((u[j] * u[j] + 1) / fmax(iddpm_alpha_bar(j - 1, m, c2) / iddpm_alpha_bar(j, m, c2), c1) - 1);
}

/* u falls with j: the first of those within the range, and how many there are. */
static int find_within(const double *u, int m, range r, int *first)
{
    int count = 0;
    *first = 0;
    for (int j = 0; j <= m; j++) {
        bool in = u[j] >= r.least && u[j] <= r.most;
        if (in && count == 0)
            *first = j;
        count += in;
    }
    return count;
}

ebb_status ebb_grid_edm_iddpm(ebb_context *ctx, const ebb_process *p, const ebb_grid_options *o, ebb_grid *out)
{
    range r;
    int m = o->m != 0 ? o->m : 1000, n = ebb_grid_points(o, true), first;
    double c1 = o->c1 != 0 ? o->c1 : 1e-3, c2 = o->c2 != 0 ? o->c2 : 8e-3, *u;
    EBB_TRY(find_range(ctx, p, o, (range){0.002, 81}, &r));
    if (m < 1 || m > 10000000 || !(c1 > 0 && c1 < 1 && c2 >= 0))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "grid edm-iddpm: m = %d, c1 = %g, c2 = %g; m in 1..1e7, c1 between 0 and 1, c2 "
                        "not negative are needed", m, c1, c2);
    EBB_TRY(ebb_alloc(ctx, (void **)&u, (size_t)m + 1, sizeof *u, "levels of iDDPM"));
    ebb_grid_iddpm_levels(m, c1, c2, u);
    int count = find_within(u, m, r, &first);
    ebb_status status = count < n ? ebb_fail(ctx, EBB_E_ARGUMENT, "grid edm-iddpm: %d levels are asked for, but only %d of m = "
                                             "%d lie within %g..%g", n, count, m, r.least, r.most)
                                  : begin(ctx, p, o, out);
    double step = n > 1 ? (double)(count - 1) / (n - 1) : 0;
    for (int i = 0; status == EBB_OK && i < n; i++)
        out->level[i] = ebb_process_level_sigma(p, u[first + (int)rint(step * i)]);
    ebb_free(u);
    return status;
}
