/* test_target.c: mixtures in more dimensions, with singular covariances, by differences and Bayes's rule; posteriors of
 * measurements; the field over a law; facts about the processes that noise it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/bridge.h"
#include "diffusion/colour.h"
#include "diffusion/interpolate.h"
#include "diffusion/inverse.h"
#include "diffusion/sampler.h"

static ebb_context *ctx;

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
}

static double uniform(uint32_t i, double lo, double hi)
{
    ebb_rng_at at = {.seed = 11, .stream = EBB_STREAM_TEST};
    return lo + (hi - lo) * ebb_rng_uniform(&at, i);
}

enum { DIM = 5, PARTS = 4 };

/* Covariances B B' of rank `rank`; two classes. */
static ebb_target law_of_rank(int rank, uint32_t from)
{
    static const int32_t label[PARTS] = {0, 1, 1, 0};
    double weight[PARTS], mean[PARTS * DIM], cov[PARTS * DIM * DIM], b[DIM][DIM];
    ebb_target t;
    for (int k = 0; k < PARTS; k++) {
        weight[k] = uniform(from++, 0.2, 1);
        for (int i = 0; i < DIM; i++) {
            mean[k * DIM + i] = uniform(from++, -1, 1);
            for (int j = 0; j < DIM; j++)
                b[i][j] = j < rank ? uniform(from++, -0.7, 0.7) : 0;
        }
        for (int i = 0; i < DIM * DIM; i++) {
            cov[k * DIM * DIM + i] = 0;
            for (int j = 0; j < DIM; j++)
                cov[k * DIM * DIM + i] += b[i / DIM][j] * b[i % DIM][j];
        }
    }
    ok(ebb_target_create(ctx, PARTS, DIM, weight, mean, cov, label, &t));
    return t;
}

static void point(double *x, uint32_t from)
{
    for (int i = 0; i < DIM; i++)
        x[i] = uniform(from + (uint32_t)i, -1.5, 1.5);
}

/* ---- derivatives ------------------------------------------------------------------------------------------------- */

static void check_derivatives(const ebb_target *t, const double *x, double alpha, double sigma)
{
    double logp, score[DIM], jacobian[DIM * DIM], up, down, above[DIM], below[DIM], y[DIM], h = 1e-5 * sigma;
    ebb_target_at(t, x, alpha, sigma, &logp, score, jacobian, NULL);
    double size = 1 / sigma;
    for (int i = 0; i < DIM; i++) {
        memcpy(y, x, sizeof y);
        y[i] = x[i] + h;
        ebb_target_at(t, y, alpha, sigma, &up, above, NULL, NULL);
        y[i] = x[i] - h;
        ebb_target_at(t, y, alpha, sigma, &down, below, NULL, NULL);
        assert_true(fabs((up - down) / (2 * h) - score[i]) < 1e-6 * (size + fabs(score[i])) + 1e-9 * fabs(logp) / h);
        for (int j = 0; j < DIM; j++) {
            double here = jacobian[j * DIM + i], slope = (above[j] - below[j]) / (2 * h);
            assert_true(fabs(slope - here) < 1e-5 * (size * size + fabs(here)));
            assert_true(fabs(here - jacobian[i * DIM + j]) < 1e-9 * size * size * (1 + score[i] * score[i]));
        }
    }
}

/* Whatever the rank: with noise every law has a density. */
static void test_derivatives(void **state)
{
    (void)state;
    for (int rank = 0; rank <= DIM; rank++) {
        ebb_target t = law_of_rank(rank, 100 * (uint32_t)rank);
        for (uint32_t i = 0; i < 5; i++) {
            double x[DIM];
            point(x, 1000 + 10 * i);
            check_derivatives(&t, x, uniform(2000 + i, 0.2, 1), uniform(3000 + i, 0.3, 1.5));
        }
        ebb_target_free(&t);
    }
}

/* The closed form of one normal law in full dimension: independent axes, turned. */
static void test_turned(void **state)
{
    (void)state;
    double angle = 0.7, c = cos(angle), s = sin(angle), a = 0.5, b = 0.02, one = 1, mean[] = {0.3, -0.4};
    double cov[] = {a * c * c + b * s * s, (a - b) * c * s, (a - b) * c * s, a * s * s + b * c * c}, x[] = {1, 0.2}, logp;
    ebb_target t;
    ok(ebb_target_create(ctx, 1, 2, &one, mean, cov, NULL, &t));
    double alpha = 0.8, sigma = 0.1, u = x[0] - alpha * mean[0], v = x[1] - alpha * mean[1];
    double va = alpha * alpha * a + sigma * sigma, vb = alpha * alpha * b + sigma * sigma;
    double along = c * u + s * v, across = c * v - s * u, pi = 3.14159265358979323846;
    double want = -log(2 * pi) - 0.5 * log(va * vb) - 0.5 * (along * along / va + across * across / vb);
    ebb_target_at(&t, x, alpha, sigma, &logp, NULL, NULL, NULL);
    assert_true(fabs(logp - want) < 1e-13 * fabs(want));
    ebb_target_free(&t);
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

static void test_classes(void **state)
{
    (void)state;
    ebb_target t = law_of_rank(DIM, 4000), one[2];
    double share[2] = {0};
    for (int k = 0; k < PARTS; k++)
        share[t.label[k]] += t.weight[k];
    for (int c = 0; c < 2; c++)
        ok(ebb_target_class(ctx, &t, c, &one[c]));
    for (uint32_t i = 0; i < 10; i++) {
        double x[DIM], posterior[2], logp, of_class[2], s[DIM], sc[2][DIM];
        point(x, 5000 + 10 * i);
        ebb_target_at(&t, x, 0.7, 0.6, &logp, s, NULL, posterior);
        assert_true(fabs(posterior[0] + posterior[1] - 1) < 1e-14);
        for (int c = 0; c < 2; c++) {
            ebb_target_at(&one[c], x, 0.7, 0.6, &of_class[c], sc[c], NULL, NULL);
            assert_true(fabs(posterior[c] - share[c] * exp(of_class[c] - logp)) < 1e-13);
        }
        for (int d = 0; d < DIM; d++)
            assert_true(fabs(posterior[0] * sc[0][d] + posterior[1] * sc[1][d] - s[d]) < 1e-12 * (1 + fabs(s[d])));
    }
    ebb_target none;
    assert_int_equal(ebb_target_class(ctx, &t, 2, &none), EBB_E_ARGUMENT);
    for (int c = 0; c < 2; c++)
        ebb_target_free(&one[c]);
    ebb_target_free(&t);
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* Moments within 5 standard errors; of rank 2, samples stay in the plane of their part. */
static void test_samples(void **state)
{
    enum { N = 40000 };
    double *x, mean[DIM], cov[DIM * DIM];
    static int32_t label[N];
    (void)state;
    ok(ebb_alloc(ctx, (void **)&x, (size_t)N * DIM, sizeof *x, "points"));
    for (int rank = 2; rank <= DIM; rank += DIM - 2) {
        ebb_target t = law_of_rank(rank, 6000);
        ebb_target_sample(&t, 1, 0, N, x, label);
        ebb_target_moments(&t, mean, cov);
        for (int i = 0; i < DIM; i++) {
            double sum = 0, square = 0;
            for (int k = 0; k < N; k++) {
                double by = x[k * DIM + i] - mean[i];
                sum += by / N;
                square += by * by / N;
            }
            assert_true(fabs(sum) < 5 * sqrt(cov[i * DIM + i] / N));
            assert_true(fabs(square / cov[i * DIM + i] - 1) < 5 * sqrt(3.0 / N));
        }
        for (int k = 0; rank == 2 && k < 100; k++) {
            /* In the plane, within 7 deviations: noise 1e-4 makes the density across it 1/(1e-4 sqrt(2 pi)) an axis. */
            double logp;
            ebb_target_at(&t, x + k * DIM, 1, 1e-4, &logp, NULL, NULL, NULL);
            assert_true(logp > (DIM - rank) * log(1e4 / sqrt(6.2832)) - 25);
        }
        ebb_target_free(&t);
    }
    ebb_free(x);
}

static void test_refused(void **state)
{
    (void)state;
    double one = 1, minus = -1, mean[2] = {0}, bad[] = {1, 2, 2, 1}, skew[] = {1, 0.1, 0.2, 1};
    double large[] = {1e20, 0, 0, -1e9};
    ebb_target t;
    assert_int_equal(ebb_target_create(ctx, 1, 2, &one, mean, bad, NULL, &t), EBB_E_ARGUMENT);
    assert_int_equal(ebb_target_create(ctx, 1, 2, &one, mean, skew, NULL, &t), EBB_E_ARGUMENT);
    assert_int_equal(ebb_target_create(ctx, 1, 2, &one, mean, large, NULL, &t), EBB_E_ARGUMENT);
    assert_int_equal(ebb_target_create(ctx, 1, 1, &minus, mean, &one, NULL, &t), EBB_E_ARGUMENT);
    assert_int_equal(ebb_target_create(ctx, 1, EBB_TARGET_DIM_MAX + 1, &one, mean, &one, NULL, &t), EBB_E_ARGUMENT);
}

/* ---- the field --------------------------------------------------------------------------------------------------- */

/* Forms of one thing, guided or not: x = alpha x0 + sigma eps, eps = -sigma score; divergence of eps by differences. */
static void test_field(void **state)
{
    enum { N = 3 };
    (void)state;
    ebb_target t = law_of_rank(3, 7000), one;
    ok(ebb_target_class(ctx, &t, 1, &one));
    for (double w = -2; w < 3; w++) {
        ebb_target_field self = {&t, &one, w, N};
        ebb_field f = ebb_field_of_target(&self);
        ebb_level at[N] = {{0, 0.9, 0.5}, {0, 0.5, 0.8}, {0, 1, 2}};
        double x[N * DIM], eps[N * DIM], x0[N * DIM], score[N * DIM], div[N], up[N * DIM], down[N * DIM], trace[N] = {0};
        for (int i = 0; i < N; i++)
            point(x + i * DIM, 8000 + 10 * (uint32_t)i);
        f.predict(f.self, x, at, eps, x0);
        f.score(f.self, x, at, score);
        f.divergence(f.self, x, at, up, div);
        assert_memory_equal(up, eps, sizeof eps);
        assert_true((f.log_density == NULL) == (w != 0));
        for (int i = 0; i < N * DIM; i++) {
            assert_true(fabs(at[i / DIM].alpha * x0[i] + at[i / DIM].sigma * eps[i] - x[i]) < 1e-12);
            assert_true(fabs(eps[i] + at[i / DIM].sigma * score[i]) < 1e-13 * (1 + fabs(eps[i])));
        }
        for (int d = 0; d < DIM; d++) {
            double moved[N * DIM];
            memcpy(moved, x, sizeof x);
            for (int i = 0; i < N; i++)
                moved[i * DIM + d] += 1e-5;
            f.predict(f.self, moved, at, up, NULL);
            for (int i = 0; i < N; i++)
                moved[i * DIM + d] -= 2e-5;
            f.predict(f.self, moved, at, down, NULL);
            for (int i = 0; i < N; i++)
                trace[i] += (up[i * DIM + d] - down[i * DIM + d]) / 2e-5;
        }
        for (int i = 0; i < N; i++)
            assert_true(fabs(trace[i] - div[i]) < 1e-7 * (1 + fabs(div[i])));
    }
    ebb_target_free(&one);
    ebb_target_free(&t);
}

/* ---- measurements ------------------------------------------------------------------------------------------------ */

static const double h2[2 * DIM] = {1, 0, 0.5, 0, 0, 0, 1, 0, -0.3, 0.2};

/* Without noise the posterior is exact about what was measured; two measurements, one after the other or at once. */
static void test_measured(void **state)
{
    static const double y[] = {0.2, -0.1};
    (void)state;
    ebb_target t = law_of_rank(DIM, 9000), both, first, then;
    for (double sigma = 0; sigma < 0.5; sigma += 0.4) {
        ok(ebb_target_given(ctx, &t, &(ebb_measurement){2, h2, y, sigma}, &both));
        ok(ebb_target_given(ctx, &t, &(ebb_measurement){1, h2, y, sigma}, &first));
        ok(ebb_target_given(ctx, &first, &(ebb_measurement){1, h2 + DIM, y + 1, sigma}, &then));
        for (int k = 0; k < PARTS; k++) {
            assert_true(fabs(both.weight[k] - then.weight[k]) < 1e-10);
            for (int r = 0; sigma == 0 && r < 2; r++) {
                double measured = 0, spread = 0;
                for (int i = 0; i < DIM; i++) {
                    measured += h2[r * DIM + i] * both.mean[k * DIM + i];
                    for (int j = 0; j < DIM; j++)
                        spread += h2[r * DIM + i] * both.cov[(k * DIM + i) * DIM + j] * h2[r * DIM + j];
                }
                assert_true(fabs(measured - y[r]) < 1e-12 && fabs(spread) < 1e-12);
            }
        }
        for (int i = 0; i < PARTS * DIM; i++)
            assert_true(fabs(both.mean[i] - then.mean[i]) < 1e-10);
        for (int i = 0; i < PARTS * DIM * DIM; i++)
            assert_true(fabs(both.cov[i] - then.cov[i]) < 1e-10);
        ebb_target_free(&both);
        ebb_target_free(&first);
        ebb_target_free(&then);
    }
    ebb_target_free(&t);
}

/* Bayes by density: log posterior - log prior - log likelihood is the same everywhere. */
static void test_bayes(void **state)
{
    static const double y[] = {0.2, -0.1};
    double constant = 0;
    (void)state;
    ebb_target t = law_of_rank(DIM, 9500), post;
    ok(ebb_target_given(ctx, &t, &(ebb_measurement){2, h2, y, 0.3}, &post));
    for (uint32_t i = 0; i < 10; i++) {
        double x[DIM], before, after, misfit = 0;
        point(x, 9700 + 10 * i);
        ebb_target_at(&t, x, 1, 0, &before, NULL, NULL, NULL);
        ebb_target_at(&post, x, 1, 0, &after, NULL, NULL, NULL);
        for (int r = 0; r < 2; r++) {
            double by = y[r];
            for (int d = 0; d < DIM; d++)
                by -= h2[r * DIM + d] * x[d];
            misfit += by * by / (2 * 0.3 * 0.3);
        }
        double rest = after - before + misfit;
        constant = i == 0 ? rest : constant;
        assert_true(fabs(rest - constant) < 1e-8 * (1 + fabs(after)));
    }
    ebb_target_free(&post);
    ebb_target_free(&t);
}

/* Singular laws: fine with noise, or where the measurement sees variance; else refused. */
static void test_singular(void **state)
{
    static const double y[] = {0.2, -0.1};
    (void)state;
    ebb_target flat = law_of_rank(1, 9900), post;
    assert_int_equal(ebb_target_given(ctx, &flat, &(ebb_measurement){2, h2, y, 0}, &post), EBB_E_ARGUMENT);
    ok(ebb_target_given(ctx, &flat, &(ebb_measurement){1, h2, y, 0}, &post));
    ebb_target_free(&post);
    ok(ebb_target_given(ctx, &flat, &(ebb_measurement){2, h2, y, 0.1}, &post));
    ebb_target_free(&post);
    assert_int_equal(ebb_target_given(ctx, &flat, &(ebb_measurement){0, h2, y, 0.1}, &post), EBB_E_ARGUMENT);
    assert_int_equal(ebb_target_given(ctx, &flat, &(ebb_measurement){1, h2, y, -1}, &post), EBB_E_ARGUMENT);
    ebb_target_free(&flat);
}

static void test_residual(void **state)
{
    static const double y[] = {0.2, -0.1};
    const ebb_level at = {0.4, 0.8, 0.5};
    const ebb_measurement m = {2, h2, y, 0};
    double x[DIM], gradient[DIM], other[DIM];
    (void)state;
    ebb_target t = law_of_rank(3, 10000);
    point(x, 10500);
    assert_true(ebb_target_residual(&t, x, at, &m, gradient) > 0);
    for (int d = 0; d < DIM; d++) {
        double was = x[d];
        x[d] = was + 1e-5;
        double up = ebb_target_residual(&t, x, at, &m, other);
        x[d] = was - 1e-5;
        double down = ebb_target_residual(&t, x, at, &m, other);
        x[d] = was;
        assert_true(fabs((up - down) / 2e-5 - gradient[d]) < 1e-8);
    }
    ebb_target_free(&t);
}

/* ---- ways between codes, colours, transport ---------------------------------------------------------------------- */

static void test_interpolation(void **state)
{
    static const double u[] = {1, 0, 0}, v[] = {0, 2, 0}, minus[] = {-1, 0, 0}, near[] = {1, 1e-9, 0};
    double out[3], length;
    (void)state;
    ebb_interpolate_spherical(3, u, v, 0.5, out);
    assert_true(fabs(out[0] - sqrt(0.5)) < 1e-15 && fabs(out[1] - sqrt(2)) < 1e-15 && out[2] == 0);
    assert_true(fabs(ebb_interpolate_angle(3, u, v) - acos(0)) < 1e-15);
    assert_true(fabs(ebb_interpolate_angle(3, u, near) / 1e-9 - 1) < 1e-12);
    assert_true(fabs(ebb_interpolate_angle(3, u, minus) - 2 * acos(0)) < 1e-15);
    ebb_interpolate_spherical(3, u, u, 0.3, out);
    assert_memory_equal(out, u, sizeof u);
    ebb_interpolate_spherical(3, u, minus, 0.25, out);
    assert_true(out[0] == 0.5);
    /* Of the same length, every point of the way has it. */
    const double w[] = {0.6, 0.48, 0.64};
    for (double a = 0; a <= 1; a += 0.125) {
        ebb_interpolate_spherical(3, u, w, a, out);
        length = sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2]);
        assert_true(fabs(length - 1) < 1e-14);
        ebb_interpolate_linear(3, u, w, a, out);
        assert_true(out[0] == (1 - a) * u[0] + a * w[0]);
    }
}

static void test_colour(void **state)
{
    double x[] = {0.3, 0.3, 0.3, 0.1, -0.7, 0.9}, was[6];
    (void)state;
    memcpy(was, x, sizeof x);
    ebb_colour_turn(2, x, false);
    assert_true(fabs(x[0] - 0.3 * sqrt(3)) < 1e-15 && fabs(x[1]) < 1e-15 && fabs(x[2]) < 1e-15);
    assert_true(fabs(x[3] * x[3] + x[4] * x[4] + x[5] * x[5] - 1.31) < 1e-14);
    ebb_colour_turn(2, x, true);
    for (int i = 0; i < 6; i++)
        assert_true(fabs(x[i] - was[i]) < 1e-15);
}

/* Normal laws on points: the plan's covariance is the bridge's, eps = sigma^2. */
static void test_transport(void **state)
{
    enum { N = 161 };
    static double a[N], b[N], cost[N * N], plan[N * N], f[N], g[N];
    const ebb_normal start = {0, 1}, end = {0.5, 0.25};
    double sigma = 0.9, step = 18.0 / (N - 1), cross = 0, sums[2] = {0}, error = 1;
    (void)state;
    for (int i = 0; i < N; i++) {
        double x = -9 + step * i;
        sums[0] += a[i] = exp(-(x - start.mean) * (x - start.mean) / (2 * start.var));
        sums[1] += b[i] = exp(-(x - end.mean) * (x - end.mean) / (2 * end.var));
    }
    for (int i = 0; i < N * N; i++) {
        cost[i] = step * step * (i / N - i % N) * (i / N - i % N) / 2;
        if (i < N) {
            a[i] /= sums[0];
            b[i] /= sums[1];
        }
    }
    ebb_sinkhorn s = {N, N, a, b, cost, sigma * sigma, f, g};
    for (int i = 0; i < 100; i++) {
        ebb_sinkhorn_rows(&s);
        ebb_sinkhorn_columns(&s);
        double now = ebb_sinkhorn_plan(&s, plan);
        assert_true(now <= error * (1 + 1e-12) || now < 1e-12);
        error = now;
    }
    assert_true(error < 1e-12);
    for (int i = 0; i < N * N; i++)
        cross += plan[i] * (-9 + step * (i / N) - start.mean) * (-9 + step * (i % N) - end.mean);
    assert_true(fabs(cross - ebb_bridge_covariance(start, end, sigma)) < 1e-8);
    /* Little noise: the monotone map, covariance s0 s1; much: independent. */
    assert_true(fabs(ebb_bridge_covariance(start, end, 1e-4) - 0.5) < 1e-8);
    assert_true(ebb_bridge_covariance(start, end, 1e4) < 1e-8 && ebb_bridge_covariance(start, end, 1e4) > 0);
}

/* ---- processes --------------------------------------------------------------------------------------------------- */

/* ve adds the integral of g^2, sigma^2(t) - sigma^2(0), whose increments are those of levels. */
static void test_exploding(void **state)
{
    (void)state;
    ebb_process wanted = {.kind = EBB_PROCESS_VE, .sigma_min = 0.01, .sigma_max = 50}, p;
    ok(ebb_process_create(ctx, &wanted, &p));
    double sum = 0, added = 0, t = 0.7;
    int n = 2000;
    for (int i = 0; i < n; i++) {
        double from = t * i / n, h = t / n;
        /* Simpson */
        sum += h / 6 * (ebb_process_diffusion2(&p, from) + 4 * ebb_process_diffusion2(&p, from + h / 2) +
                        ebb_process_diffusion2(&p, from + h));
        added += ebb_level_between(ebb_process_level(&p, from + h), ebb_process_level(&p, from)).added;
    }
    double s0 = ebb_process_level(&p, 0).sigma, s1 = ebb_process_level(&p, t).sigma;
    assert_true(fabs(sum / (s1 * s1 - s0 * s0) - 1) < 1e-10 && fabs(added / (s1 * s1 - s0 * s0) - 1) < 1e-12);
    assert_true(fabs(s0 - 0.01) < 1e-15 && ebb_process_drift(&p, t) == 0);
    ebb_process_free(&p);
}

/* Sums of the normal numbers that walks draw: increments of variance t - s, those of different times independent. */
static void test_wiener(void **state)
{
    enum { STEPS = 8, PATHS = 20000 };
    static float z[STEPS];
    double square[STEPS] = {0}, cross = 0, end = 0, fourth = 0;
    (void)state;
    for (uint32_t i = 0; i < PATHS; i++) {
        double w = 0, half = 0;
        for (uint32_t k = 0; k < STEPS; k++) {
            ebb_rng_at at = {.seed = 2, .stream = EBB_STREAM_SAMPLE_STEP, .step = k, .sample = i};
            ctx->kernels->normal_f32(1, z + k, &at);
            w += sqrt(1.0 / STEPS) * z[k];
            square[k] += w * w / PATHS;
            half = k == STEPS / 2 - 1 ? w : half;
        }
        cross += half * (w - half) / PATHS;
        end += (w - half) * (w - half) / PATHS;
        fourth += w * w * w * w / PATHS;
    }
    for (int k = 0; k < STEPS; k++)
        assert_true(fabs(square[k] / ((k + 1.0) / STEPS) - 1) < 4 * sqrt(2.0 / PATHS));
    assert_true(fabs(cross) < 4 * 0.5 / sqrt(PATHS) && fabs(end / 0.5 - 1) < 4 * sqrt(2.0 / PATHS));
    assert_true(fabs(fourth / 3 - 1) < 4 * sqrt(96.0 / 9 / PATHS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derivatives), cmocka_unit_test(test_turned), cmocka_unit_test(test_classes),
        cmocka_unit_test(test_samples), cmocka_unit_test(test_refused), cmocka_unit_test(test_field),
        cmocka_unit_test(test_measured), cmocka_unit_test(test_bayes), cmocka_unit_test(test_singular),
        cmocka_unit_test(test_residual), cmocka_unit_test(test_interpolation), cmocka_unit_test(test_colour),
        cmocka_unit_test(test_transport), cmocka_unit_test(test_exploding), cmocka_unit_test(test_wiener),
    };
    if (ebb_context_create(NULL, &ctx) != EBB_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
