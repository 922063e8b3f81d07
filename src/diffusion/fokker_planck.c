/* fokker_planck.c: Scharfetter-Gummel fluxes, implicit steps, and what drives them.
 *
 * With D = g^2/2, w = b dx/D and Bernoulli's B(v) = v/(e^v - 1), the flux from point k to k+1 is
 *   F = D/dx (B(-w) p_k - B(w) p_{k+1}):   0 where p_{k+1}/p_k = e^w, the stationary law of that drift.
 * dp/dt = -(F_k - F_{k-1})/dx = -L p with L tridiagonal; (1 + theta dt L) p' = (1 - (1-theta) dt L) p by Thomas's
 * elimination. Columns of L sum to 0, so the mass stays.
 */
#include "diffusion/fokker_planck.h"

#include <math.h>

ebb_status ebb_fokker_planck_create(ebb_context *ctx, int points, double lo, double hi, ebb_fokker_planck *out)
{
    *out = (ebb_fokker_planck){.points = points, .lo = lo, .dx = (hi - lo) / (points - 1), .theta = 1};
    if (points < 3 || !(lo < hi) || !isfinite(hi - lo))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "Fokker-Planck: %d points from %g to %g: needs three or more, left to right",
                        points, lo, hi);
    size_t n = (size_t)points;
    EBB_TRY(ebb_alloc(ctx, (void **)&out->p, 8 * n, sizeof(double), "a density on a line"));
    out->x = out->p + n;
    out->drift = out->x + n;
    out->work = out->drift + n;
    for (int k = 0; k < points - 1; k++)
        out->x[k] = lo + (k + 0.5) * out->dx;
    for (int k = 0; k < points; k++)
        out->p[k] = 0;
    return EBB_OK;
}

void ebb_fokker_planck_free(ebb_fokker_planck *f)
{
    ebb_free(f->p);
    *f = (ebb_fokker_planck){0};
}

static double bernoulli(double v)
{
    return fabs(v) < 1e-8 ? 1 - v / 2 : v > 700 ? 0 : v / expm1(v);
}

/* Rates from point k to k+1 and back, (points-1) each. */
static void rates(const ebb_fokker_planck *f, double g2, double *right, double *left)
{
    double d = g2 / 2;
    for (int k = 0; k < f->points - 1; k++) {
        double w = f->drift[k] * f->dx / d;
        right[k] = d / (f->dx * f->dx) * bernoulli(-w);
        left[k] = d / (f->dx * f->dx) * bernoulli(w);
    }
}

void ebb_fokker_planck_step(ebb_fokker_planck *f, double g2, double dt)
{
    int n = f->points;
    double *right = f->work, *left = right + n, *above = left + n, *to = above + n, *p = f->p;
    double now = f->theta * dt, before = dt - now;
    rates(f, g2, right, left);
    for (int k = 0; k < n; k++) {
        double in = k > 0 ? right[k - 1] * p[k - 1] : 0, out = (k < n - 1 ? right[k] : 0) + (k > 0 ? left[k - 1] : 0);
        in += k < n - 1 ? left[k] * p[k + 1] : 0;
        to[k] = p[k] + before * (in - out * p[k]);
        double below = k > 0 ? -now * right[k - 1] : 0, pivot = 1 + now * out - (k > 0 ? below * above[k - 1] : 0);
        above[k] = k < n - 1 ? -now * left[k] / pivot : 0;
        to[k] = (to[k] - (k > 0 ? below * to[k - 1] : 0)) / pivot;
    }
    p[n - 1] = to[n - 1];
    for (int k = n - 2; k >= 0; k--)
        p[k] = to[k] - above[k] * p[k + 1];
}

/* ---- laws on the points ------------------------------------------------------------------------------------------ */

static double point(const ebb_fokker_planck *f, int k)
{
    return f->lo + k * f->dx;
}

void ebb_fokker_planck_start(ebb_fokker_planck *f, const ebb_target *law, double alpha, double sigma)
{
    double mass = 0;
    for (int k = 0; k < f->points; k++) {
        double x = point(f, k), logp;
        ebb_target_at(law, &x, alpha, sigma, &logp, NULL, NULL, NULL);
        f->p[k] = exp(logp);
        mass += f->p[k] * f->dx;
    }
    for (int k = 0; k < f->points; k++)
        f->p[k] /= mass;
}

double ebb_fokker_planck_mass(const ebb_fokker_planck *f, double a, double b)
{
    double mass = 0;
    for (int k = 0; k < f->points; k++)
        mass += point(f, k) >= a && point(f, k) < b ? f->p[k] * f->dx : 0;
    return mass;
}

/* ---- drifts --------------------------------------------------------------------------------------------------------- */

void ebb_fokker_planck_forward(ebb_fokker_planck *f, const ebb_process *p, const double *t, int steps)
{
    for (int i = 0; i < steps; i++) {
        double middle = (t[i] + t[i + 1]) / 2, c = ebb_process_drift(p, middle);
        for (int k = 0; k < f->points - 1; k++)
            f->drift[k] = c * f->x[k];
        ebb_fokker_planck_step(f, ebb_process_diffusion2(p, middle), t[i + 1] - t[i]);
    }
}

void ebb_fokker_planck_reverse(ebb_fokker_planck *f, const ebb_process *p, const ebb_field *field, double noise,
                               const double *t, int steps, ebb_level *levels)
{
    int cells = f->points - 1;
    for (int i = 0; i < steps; i++) {
        double middle = (t[i] + t[i + 1]) / 2, c = ebb_process_drift(p, middle), g2 = ebb_process_diffusion2(p, middle);
        for (int k = 0; k < cells; k++)
            levels[k] = ebb_process_level(p, middle);
        ebb_field_score(field, f->x, levels, f->drift);
        for (int k = 0; k < cells; k++)
            f->drift[k] = -c * f->x[k] + (1 + noise * noise) / 2 * g2 * f->drift[k];
        ebb_fokker_planck_step(f, noise * noise * g2, t[i] - t[i + 1]);
    }
}

void ebb_fokker_planck_langevin(ebb_fokker_planck *f, const ebb_target *law, double alpha, double sigma)
{
    double x = point(f, 0), last, logp;
    ebb_target_at(law, &x, alpha, sigma, &last, NULL, NULL, NULL);
    for (int k = 0; k < f->points - 1; k++) {
        x = point(f, k + 1);
        ebb_target_at(law, &x, alpha, sigma, &logp, NULL, NULL, NULL);
        f->drift[k] = (logp - last) / f->dx;
        last = logp;
    }
}

/* ---- the gap ---------------------------------------------------------------------------------------------------------- */

/* Eigenvalues below v of the symmetric tridiagonal matrix: negative pivots of A - v (Sturm's sequence). */
static int below(int n, const double *diagonal, const double *off2, double v)
{
    int count = 0;
    double pivot = 1;
    for (int k = 0; k < n; k++) {
        pivot = diagonal[k] - v - (k > 0 ? off2[k - 1] / pivot : 0);
        if (pivot == 0)
            pivot = 1e-300;
        count += pivot < 0;
    }
    return count;
}

double ebb_langevin_gap(ebb_fokker_planck *f, const ebb_target *law, double alpha, double sigma)
{
    int n = f->points;
    double *right = f->work, *left = right + n, *diagonal = left + n, *off2 = diagonal + n;
    double lo = 0, hi = 0;
    ebb_fokker_planck_langevin(f, law, alpha, sigma);
    rates(f, 2, right, left);
    /* Scaled by the root of the stationary law L is symmetric: off-diagonal -sqrt(right left). */
    for (int k = 0; k < n; k++) {
        diagonal[k] = (k < n - 1 ? right[k] : 0) + (k > 0 ? left[k - 1] : 0);
        off2[k] = k < n - 1 ? right[k] * left[k] : 0;
        hi = fmax(hi, 4 * diagonal[k]);
    }
    for (int i = 0; i < 200 && hi - lo > 1e-15 * hi; i++) {
        double middle = (lo + hi) / 2;
        if (below(n, diagonal, off2, middle) >= 2)
            hi = middle;
        else
            lo = middle;
    }
    return (lo + hi) / 2;
}
