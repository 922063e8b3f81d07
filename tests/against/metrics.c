/* metrics.c: distances between two sets of samples, of features as of points: metrics of misc.json.
 */
#include <math.h>
#include <stdlib.h>

#include "against/refs.h"
#include "eval/gaussians.h"
#include "eval/line.h"
#include "eval/metrics.h"
#include "eval/nearest.h"

#define RTOL 1e-10
#define FLOAT_STEP 1.2e-7        /* 2^-23 */

enum { MOST = 4096 };

typedef struct rows { double *x; int64_t n; int dim; } rows;

static rows read_rows(refs *r, const json_t *of, const char *key)
{
    size_t count;
    const json_t *array = refs_get(r, of, key);
    rows out = {.dim = (int)json_array_size(json_array_get(array, 0))};
    out.x = refs_numbers(r, array, &count);
    out.n = out.dim > 0 ? (int64_t)count / out.dim : 0;
    return out;
}

static bool fine(refs *r, ebb_status status)
{
    if (status != EBB_OK)
        refs_fail(r, "%s", ebb_message(r->ctx));
    return status == EBB_OK;
}

/* ---- features -------------------------------------------------------------------------------------------------------------- */

static void check_frechet(refs *r, const json_t *want, rows x, rows y)
{
    ebb_moments m;
    ebb_measure found;
    if (!fine(r, ebb_moments_create(r->ctx, y.x, y.n, y.dim, true, &m)))
        return;
    if (fine(r, ebb_frechet_measure(r->ctx, x.x, x.n, &m, 0, &found)))
        refs_near(r, "fid_unbiased_cov", 0, found.value, refs_number(r, want, "fid_unbiased_cov"), RTOL, 0);
    ebb_moments_free(&m);
}

static void check_kernel(refs *r, const json_t *want, rows x, rows y)
{
    double own;
    ebb_measure found;
    if (fine(r, ebb_kid_own(r->ctx, y.x, y.n, y.dim, &own)) &&
        fine(r, ebb_kid_measure(r->ctx, x.x, x.n, y.x, y.n, y.dim, own, 0, &found)))
        refs_near(r, "kid_poly3_unbiased", 0, found.value, refs_number(r, want, "kid_poly3_unbiased"), RTOL, 0);
}

static void check_score(refs *r, const json_t *want)
{
    ebb_measure found;
    rows p = read_rows(r, want, "inception_probs");
    if (fine(r, ebb_inception_score(r->ctx, p.x, p.n, p.dim, 0, &found)))
        refs_near(r, "inception_score", 0, found.value, refs_number(r, want, "inception_score"), RTOL, 0);
    ebb_free(p.x);
}

static void check_energy(refs *r, const json_t *want, rows x, rows y)
{
    ebb_pairs p;
    if (!fine(r, ebb_pairs_create(r->ctx, EBB_PAIR_ENERGY, false, x.dim, x.x, x.n, y.x, y.n, &p)))
        return;
    refs_near(r, "energy_distance", 0, ebb_pairs_value(&p, NULL), refs_number(r, want, "energy_distance"), RTOL, 0);
    ebb_pairs_free(&p);
}

static float *singles(refs *r, rows x)
{
    float *narrow;
    if (ebb_alloc(r->ctx, (void **)&narrow, (size_t)(x.n * x.dim), sizeof *narrow, "samples") == EBB_OK)
        for (int64_t i = 0; i < x.n * x.dim; i++)
            narrow[i] = (float)x.x[i];
    return narrow;
}

static void check_nearest(refs *r, const json_t *want, rows x, rows y)
{
    float *of_x = singles(r, x), *of_y = singles(r, y);
    int32_t index[MOST];
    double distance[MOST];
    if (of_x != NULL && of_y != NULL && fine(r, ebb_nearest(r->ctx, of_x, x.n, of_y, y.n, x.dim, 1, false, index, distance)))
        for (int64_t i = 0; i < x.n; i++) {
            refs_near(r, "nearest_index_in_Y", (long)i, index[i], refs_at(refs_get(r, want, "nearest_index_in_Y"), (size_t)i), 0, 0);
            /* Each number of x and y is rounded once. */
            refs_near(r, "nearest_dist", (long)i, distance[i], refs_at(refs_get(r, want, "nearest_dist"), (size_t)i), 0, 8 * FLOAT_STEP);
        }
    ebb_free(of_x);
    ebb_free(of_y);
}

/* ---- on a line, and of laws ------------------------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* First numbers of as many rows of each. */
static void check_lines(refs *r, const json_t *want, rows x, rows y)
{
    double a[MOST], b[MOST];
    int64_t n = x.n < y.n ? x.n : y.n;
    for (int64_t i = 0; i < n; i++) {
        a[i] = x.x[i * x.dim];
        b[i] = y.x[i * y.dim];
    }
    qsort(a, (size_t)n, sizeof *a, ascending);
    qsort(b, (size_t)n, sizeof *b, ascending);
    refs_near(r, "w1_1d_equal_n", 0, ebb_samples_wasserstein(a, n, b, n, 1), refs_number(r, want, "w1_1d_equal_n"), RTOL, 0);
    refs_near(r, "w2_1d_equal_n", 0, ebb_samples_wasserstein(a, n, b, n, 2), refs_number(r, want, "w2_1d_equal_n"), RTOL, 0);
}

/* Of fixed normal laws, see gen_refs.py. */
static void check_gaussians(refs *r, const json_t *want)
{
    static const double m1[] = {0, 1}, c1[] = {2, .3, .3, 1}, m2[] = {1, -1}, c2[] = {1, -.2, -.2, 3};
    refs_near(r, "w2_gaussians", 0, ebb_gaussians_w2(2, m1, c1, m2, c2), refs_number(r, want, "w2_gaussians"), RTOL, 0);
}

static void check_variation(refs *r, const json_t *row)
{
    ebb_target law[2];
    double one = 1, mean[2] = {refs_number(r, row, "m1"), refs_number(r, row, "m2")};
    double sd[2] = {refs_number(r, row, "s1"), refs_number(r, row, "s2")};
    for (int i = 0; i < 2; i++) {
        double var = sd[i] * sd[i];
        if (!fine(r, ebb_target_create(r->ctx, 1, 1, &one, &mean[i], &var, NULL, &law[i])))
            return;
    }
    /* The trapezoidal rule, whose error at the kinks of |f - g| is of the square of a step of 1e-4. */
    refs_near(r, "tv", 0, ebb_targets_tv(&law[0], &law[1], -20, 20, 400001), refs_number(r, row, "tv"), 0, 1e-8);
    ebb_target_free(&law[0]);
    ebb_target_free(&law[1]);
}

void refs_metrics(refs *r, const json_t *want)
{
    const json_t *row;
    size_t i;
    rows x = read_rows(r, want, "X"), y = read_rows(r, want, "Y");
    if (x.dim == 0 || x.dim != y.dim || x.n > MOST || y.n > MOST) {
        refs_fail(r, "%lld and %lld rows of %d and %d numbers", (long long)x.n, (long long)y.n, x.dim, y.dim);
    } else {
        check_frechet(r, want, x, y);
        check_kernel(r, want, x, y);
        check_score(r, want);
        check_energy(r, want, x, y);
        check_nearest(r, want, x, y);
        check_lines(r, want, x, y);
        check_gaussians(r, want);
        json_array_foreach (refs_get(r, want, "tv_1d_gaussians"), i, row)
            check_variation(r, row);
    }
    ebb_free(x.x);
    ebb_free(y.x);
}
