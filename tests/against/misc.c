/* misc.c: what later work builds on: embeddings of time, interpolation, inverse problems, bridges, colours.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "against/refs.h"
#include "diffusion/bridge.h"
#include "diffusion/colour.h"
#include "diffusion/interpolate.h"
#include "diffusion/inverse.h"

#define RTOL 1e-10
#define ATOL 1e-12
#define FLOAT_STEP 1.2e-7        /* 2^-23 */

enum { MAX = EBB_TARGET_DIM_MAX, EMBEDDING_MAX = 4096 };

/* ---- embeddings ---------------------------------------------------------------------------------------------------------- */

/* Runs a graph of one picture whose inputs are t and, where count > 0, frequency (count); got: what it makes. */
static bool embed(refs *r, ebb_graph *g, ebb_value out, float t, const double *frequency, size_t count, double *got)
{
    ebb_plan *plan = NULL;
    int64_t width = ebb_graph_status(g) == EBB_OK ? ebb_graph_shape(g, out).dim[1] : 0;
    bool fine = width > 0 && width <= EMBEDDING_MAX &&
                ebb_plan_create(r->ctx, g, &out, 1, &(ebb_plan_options){.workers = 1}, &plan) == EBB_OK;
    if (fine) {
        *(float *)ebb_plan_input(plan, 0, "t") = t;
        for (size_t i = 0; i < count; i++)
            ((float *)ebb_plan_input(plan, 0, "frequency"))[i] = (float)frequency[i];
        ebb_plan_prepare(plan);
        ebb_plan_run(plan, 0);
        for (int64_t i = 0; i < width; i++)
            got[i] = ebb_plan_output(plan, 0, 0)[i];
        ebb_plan_free(plan);
    } else {
        refs_fail(r, "%s", ebb_message(r->ctx));
    }
    ebb_graph_free(g);
    return fine;
}

/* An embedding of t, whose angles t 10000^(-i/(half-shift)) are rounded: the exponential's argument, itself, t, the product. */
static void check_time(refs *r, const json_t *row, const char *key, bool cosine_first, double shift)
{
    int dim = refs_int(r, row, "dim"), half = dim / 2;
    double t = refs_number(r, row, "t"), got[EMBEDDING_MAX];
    ebb_graph *g;
    if (ebb_graph_create(r->ctx, &g) != EBB_OK)
        return;
    ebb_value out = ebb_nn_time_embedding(g, ebb_input(g, "t", EBB_F32, EBB_SHAPE(1)), dim, cosine_first, (float)shift);
    if (!embed(r, g, out, (float)t, NULL, 0, got))
        return;
    for (int i = 0; i < dim; i++) {
        double power = log(10000) * (i % half) / (half - shift), angle = t * exp(-power);
        refs_near(r, key, i, got[i], refs_at(refs_get(r, row, key), (size_t)i), 0, FLOAT_STEP * (2 + angle * (power + 2)));
    }
}

/* "..._flipTrue_shift0" */
static void check_times(refs *r)
{
    const json_t *row;
    json_t *value;
    const char *key;
    size_t i;
    json_array_foreach (refs_claim(r, "time_embeddings"), i, row)
        json_object_foreach ((json_t *)row, key, value) {
            const char *flip = strstr(key, "flip"), *shift = strstr(key, "shift");
            double by = 0;
            if (!json_is_array(value))
                continue;
            if (flip == NULL || shift == NULL || sscanf(shift, "shift%lf", &by) != 1)
                refs_fail(r, "time_embeddings: %s does not say flip and shift", key);
            else
                check_time(r, row, key, strncmp(flip, "flipTrue", 8) == 0, by);
        }
}

static void check_fourier(refs *r)
{
    const json_t *want = refs_claim(r, "fourier_embedding"), *row;
    size_t count, i;
    double *frequency = refs_numbers(r, refs_get(r, want, "W"), &count), got[EMBEDDING_MAX];
    json_array_foreach (refs_get(r, want, "vals"), i, row) {
        double t = log(refs_number(r, row, "sigma"));
        ebb_graph *g;
        if (ebb_graph_create(r->ctx, &g) != EBB_OK)
            break;
        ebb_value in = ebb_input(g, "t", EBB_F32, EBB_SHAPE(1));
        ebb_value of = ebb_input(g, "frequency", EBB_F32, EBB_SHAPE((int64_t)count));
        if (!embed(r, g, ebb_nn_fourier_embedding(g, in, of), (float)t, frequency, count, got))
            break;
        /* Rounded: frequency, t, 2 pi and two products, half a step each. */
        for (size_t k = 0; k < 2 * count; k++)
            refs_near(r, "emb", (long)k, got[k], refs_at(refs_get(r, row, "emb"), k), 0,
                      FLOAT_STEP * (2 + 2.5 * fabs(2 * 3.14159265358979323846 * frequency[k % count] * t)));
    }
    ebb_free(frequency);
}

/* ---- latent codes -------------------------------------------------------------------------------------------------------- */

static void check_slerp(refs *r)
{
    const json_t *want = refs_claim(r, "slerp"), *row;
    size_t n, m, i;
    double *u = refs_numbers(r, refs_get(r, want, "u"), &n), *v = refs_numbers(r, refs_get(r, want, "v"), &m), *out;
    if (n == m && ebb_alloc(r->ctx, (void **)&out, n, sizeof *out, "a code") == EBB_OK) {
        refs_near(r, "omega", 0, ebb_interpolate_angle((int64_t)n, u, v), refs_number(r, want, "omega"), RTOL, 0);
        json_array_foreach (refs_get(r, want, "vals"), i, row) {
            ebb_interpolate_spherical((int64_t)n, u, v, refs_number(r, row, "a"), out);
            refs_near_all(r, "out", out, n, refs_get(r, row, "out"), RTOL, ATOL);
        }
        ebb_free(out);
    } else {
        refs_fail(r, "%zu and %zu numbers", n, m);
    }
    ebb_free(u);
    ebb_free(v);
}

/* ---- inverse problems ------------------------------------------------------------------------------------------------------ */

/* H and y of a row; free h and y. */
static ebb_measurement measured(refs *r, const json_t *row, double sigma)
{
    size_t rows, all;
    ebb_measurement m = {.sigma = sigma};
    m.h = refs_numbers(r, refs_get(r, row, "H"), &all);
    m.y = refs_numbers(r, refs_get(r, row, "y"), &rows);
    m.rows = (int)rows;
    return m;
}

static void forget(ebb_measurement *m)
{
    ebb_free((void *)m->h);
    ebb_free((void *)m->y);
}

static void check_posteriors(refs *r)
{
    const json_t *want = refs_claim(r, "inverse_problems"), *row;
    ebb_target prior, post;
    size_t i;
    if (!refs_target(r, refs_get(r, want, "gmm"), &prior))
        return;
    size_t parts = (size_t)prior.parts, dim = (size_t)prior.dim;
    json_array_foreach (refs_get(r, want, "posteriors"), i, row) {
        double mean[MAX], cov[MAX * MAX];
        ebb_measurement m = measured(r, row, refs_number(r, row, "sigma_y"));
        refs_entry(r, refs_text(r, row, "name"));
        if (ebb_target_given(r->ctx, &prior, &m, &post) == EBB_OK) {
            refs_near_all(r, "weights", post.weight, parts, refs_get(r, row, "weights"), RTOL, ATOL);
            refs_near_all(r, "means", post.mean, parts * dim, refs_get(r, row, "means"), RTOL, ATOL);
            refs_near_all(r, "covs", post.cov, parts * dim * dim, refs_get(r, row, "covs"), RTOL, ATOL);
            ebb_target_moments(&post, mean, cov);
            refs_near_all(r, "mean", mean, dim, refs_get(r, row, "mean"), RTOL, ATOL);
            refs_near_all(r, "cov", cov, dim * dim, refs_get(r, row, "cov"), RTOL, ATOL);
            ebb_target_free(&post);
        } else {
            refs_fail(r, "%s", ebb_message(r->ctx));
        }
        forget(&m);
    }
    ebb_target_free(&prior);
}

/* Over the mixture of inverse_problems. */
static void check_dps(refs *r)
{
    const json_t *want = refs_claim(r, "dps"), *points = refs_get(r, want, "x");
    ebb_target law;
    ebb_process p;
    if (!refs_target(r, json_object_get(json_object_get(r->root, "inverse_problems"), "gmm"), &law))
        return;
    ebb_measurement m = measured(r, want, 0);
    size_t dim = (size_t)law.dim;
    if (refs_process(r, refs_get(r, want, "sde"), 0, &p)) {
        ebb_level at = ebb_process_level(&p, refs_number(r, want, "t"));
        for (size_t i = 0; i < json_array_size(points); i++) {
            double x[MAX], x0[MAX], jacobian[MAX * MAX], gradient[MAX];
            for (size_t d = 0; d < dim; d++)
                x[d] = refs_at(json_array_get(points, i), d);
            ebb_target_denoise(&law, x, at, x0, jacobian);
            refs_near_all(r, "x0hat", x0, dim, json_array_get(refs_get(r, want, "x0hat"), i), RTOL, RTOL);
            refs_near_all(r, "jac_x0hat", jacobian, dim * dim, json_array_get(refs_get(r, want, "jac_x0hat"), i), RTOL, RTOL);
            refs_near(r, "norm", (long)i, ebb_target_residual(&law, x, at, &m, gradient),
                      refs_at(refs_get(r, want, "norm"), i), RTOL, RTOL);
            refs_near_all(r, "grad_norm", gradient, dim, json_array_get(refs_get(r, want, "grad_norm"), i), RTOL, RTOL);
        }
        ebb_process_free(&p);
    }
    forget(&m);
    ebb_target_free(&law);
}

/* ---- bridges --------------------------------------------------------------------------------------------------------------- */

static void check_bridges(refs *r)
{
    const json_t *row, *at;
    size_t i, k;
    json_array_foreach (refs_get(r, refs_claim(r, "schroedinger_bridge_gaussian"), "rows"), i, row) {
        double s0 = refs_number(r, row, "s0"), s1 = refs_number(r, row, "s1"), sigma = refs_number(r, row, "sigma");
        ebb_normal start = {refs_number(r, row, "m0"), s0 * s0}, end = {refs_number(r, row, "m1"), s1 * s1};
        refs_near(r, "cross_cov", (long)i, ebb_bridge_covariance(start, end, sigma), refs_number(r, row, "cross_cov"), RTOL, 0);
        json_array_foreach (refs_get(r, row, "marg"), k, at) {
            ebb_normal law = ebb_bridge_at(start, end, sigma, refs_number(r, at, "t"));
            refs_near(r, "mean", (long)k, law.mean, refs_number(r, at, "mean"), RTOL, ATOL);
            refs_near(r, "var", (long)k, law.var, refs_number(r, at, "var"), RTOL, ATOL);
        }
    }
}

/* room: cost and plan (n,m), potentials (n+m). */
static void follow_sinkhorn(refs *r, const json_t *want, ebb_sinkhorn *s, double *plan)
{
    const json_t *row;
    size_t i, all = (size_t)s->n * (size_t)s->m;
    int done = 0;
    json_array_foreach (refs_get(r, want, "iters"), i, row) {
        for (int until = refs_int(r, row, "iter"); done < until; done++) {
            ebb_sinkhorn_rows(s);
            ebb_sinkhorn_columns(s);
        }
        double error = ebb_sinkhorn_plan(s, plan);
        refs_near_all(r, "plan", plan, all, refs_get(r, row, "plan"), RTOL, ATOL);
        refs_near(r, "row_err", (long)i, error, refs_number(r, row, "row_err"), RTOL, ATOL);
    }
}

static void check_sinkhorn(refs *r)
{
    const json_t *want = refs_claim(r, "ipf_sinkhorn");
    size_t n, m, xs, ys;
    double *a = refs_numbers(r, refs_get(r, want, "a"), &n), *b = refs_numbers(r, refs_get(r, want, "b"), &m);
    double *x = refs_numbers(r, refs_get(r, want, "xa"), &xs), *y = refs_numbers(r, refs_get(r, want, "xb"), &ys), *room;
    if (xs == n && ys == m && ebb_alloc(r->ctx, (void **)&room, 2 * n * m + n + m, sizeof *room, "a plan") == EBB_OK) {
        double *cost = room, *plan = cost + n * m, *f = plan + n * m;
        for (size_t i = 0; i < n * m; i++)
            cost[i] = (x[i / m] - y[i % m]) * (x[i / m] - y[i % m]) / 2;
        for (size_t i = 0; i < n + m; i++)
            f[i] = 0;
        follow_sinkhorn(r, want, &(ebb_sinkhorn){(int)n, (int)m, a, b, cost, refs_number(r, want, "eps"), f, f + n}, plan);
        ebb_free(room);
    } else {
        refs_fail(r, "sizes do not fit");
    }
    ebb_free(a);
    ebb_free(b);
    ebb_free(x);
    ebb_free(y);
}

static void check_colours(refs *r)
{
    const json_t *want = refs_claim(r, "colorize_M");
    refs_near_all(r, "M", ebb_colour_basis[0], 9, refs_get(r, want, "M"), RTOL, 1e-15);
}

void refs_misc(refs *r)
{
    check_times(r);
    check_fourier(r);
    check_slerp(r);
    check_posteriors(r);
    check_dps(r);
    check_bridges(r);
    check_sinkhorn(r);
    check_colours(r);
    refs_ema(r, refs_claim(r, "ema"));
    refs_metrics(r, refs_claim(r, "metrics"));
}
