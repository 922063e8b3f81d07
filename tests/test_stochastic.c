/* test_stochastic.c: what the stochastic samplers promise: orders of convergence by the response to each noise, stationary
 * laws, mixing of modes, and what each setting changes.
 *
 * On normal data every fixed-step sampler is affine in start and noises. So its law needs no samples: a walk of which row 0
 * has no noise, row 1 starts one further, and row 2 + i has noise 1 at draw i gives mean and all responses, and the variance is
 * the sum of squared responses.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/fokker_planck.h"
#include "support/one_context.h"
#include "support/walks.h"

static double *room(int64_t count)
{
    void *memory;
    ok(ebb_alloc(ctx, &memory, (size_t)count, sizeof(double), "a test"));
    memset(memory, 0, (size_t)count * sizeof(double));
    return memory;
}

static ebb_target normal_law(double mean, double var)
{
    ebb_target t;
    double weight = 1;
    ok(ebb_target_create(ctx, 1, 1, &weight, &mean, &var, NULL, &t));
    return t;
}

/* Parts at -a and a on a line, the second with that weight. */
static ebb_target two_modes(double a, double sd, double second)
{
    ebb_target t;
    double weight[2] = {1 - second, second}, mean[2] = {-a, a}, cov[2] = {sd * sd, sd * sd};
    ok(ebb_target_create(ctx, 2, 1, weight, mean, cov, NULL, &t));
    return t;
}

static ebb_process process_of(ebb_process_kind kind, double end)
{
    ebb_process p, wanted = {.kind = kind, .end = end};
    ok(ebb_process_create(ctx, &wanted, &p));
    return p;
}

static ebb_grid grid_of(const ebb_process *p, const char *name, ebb_grid_options o)
{
    ebb_grid g;
    ok(ebb_grid_create(ctx, p, name, &o, &g));
    return g;
}

static ebb_sampler_settings noisy_end(void)
{
    ebb_sampler_settings set = ebb_settings_default();
    set.denoise = 0;
    return set;
}

/* ---- laws without samples ---------------------------------------------------------------------------------------- */

typedef struct law { double mean, var; } law;

/* Of the result, when the start has that law. */
static law law_of(const char *sampler, const ebb_sampler_settings *set, const ebb_process *p, const ebb_grid *g,
                  const ebb_target *t, int draws_a_step, law start)
{
    int64_t draws = (int64_t)g->steps * draws_a_step, rows = draws + 2;
    double *noise = room(draws * rows), *x = room(rows);
    for (int64_t i = 0; i < rows; i++)
        x[i] = start.mean + (i == 1);
    for (int64_t i = 0; i < draws; i++)
        noise[i * rows + 2 + i] = 1;
    walk_job job = {.sampler = sampler, .set = set, .process = p, .grid = g, .target = t, .n = rows, .x = x, .noise = noise,
                    .noise_draws = draws};
    ok(walk_run(ctx, &job));
    law out = {x[0], (x[1] - x[0]) * (x[1] - x[0]) * start.var};
    for (int64_t i = 2; i < rows; i++)
        out.var += (x[i] - x[0]) * (x[i] - x[0]);
    ebb_free(noise);
    ebb_free(x);
    return out;
}

static law law_at(ebb_level at, double mean, double var)
{
    return (law){at.alpha * mean, at.alpha * at.alpha * var + at.sigma * at.sigma};
}

/* The weak order that doublings of the steps show in the variance, from `steps` on. */
static void check_weak_order(const char *sampler, ebb_process_kind kind, int draws, double order, int steps)
{
    const double mean = 0.5, var = 0.36;
    double last = 0;
    ebb_target t = normal_law(mean, var);
    ebb_process p = process_of(kind, 0);
    ebb_sampler_settings set = noisy_end();
    for (int k = 0; k < 3; k++, steps *= 2) {
        ebb_grid g = grid_of(&p, "uniform", (ebb_grid_options){.steps = steps, .t_end = 0.05 * p.end});
        law start = law_at(g.level[0], mean, var), want = law_at(g.level[steps], mean, var);
        law got = law_of(sampler, &set, &p, &g, &t, draws, start);
        double error = fabs(got.var - want.var), seen = log2(last / error);
        if (k > 0 && !(fabs(seen - order) < 0.15))
            fail_msg("%s on %s: order %.3f of the variance at %d steps (error %.3g), not %g", sampler, ebb_process_name(kind),
                     seen, steps, error, order);
        last = error;
        ebb_grid_free(&g);
    }
    ebb_process_free(&p);
    ebb_target_free(&t);
}

static void test_weak_order(void **state)
{
    (void)state;
    check_weak_order("euler-maruyama", EBB_PROCESS_VP, 1, 1, 200);
    check_weak_order("euler-maruyama", EBB_PROCESS_OU, 1, 1, 200);
    check_weak_order("euler-maruyama", EBB_PROCESS_SUBVP, 1, 1, 200);
    check_weak_order("reverse-diffusion", EBB_PROCESS_VP, 1, 1, 200);
    check_weak_order("ancestral-sde", EBB_PROCESS_VP, 1, 1, 200);
    check_weak_order("srk", EBB_PROCESS_VP, 2, 2, 100);
    check_weak_order("srk", EBB_PROCESS_OU, 2, 2, 50);
}

/* ---- strong order ------------------------------------------------------------------------------------------------- */

/* Draws z_1, z_2 of `coarse` steps that follow the Brownian path of 2m steps for each: with increments sqrt(h) z_1 and
 * integrals I = h^1.5 (z_1 + z_2/sqrt(3))/2 of each fine step, a coarse one's integral is the sum of I + h (increments
 * before). */
static void coarsen(int64_t fine, int64_t m, int64_t rows, const double *noise, double *out)
{
    for (int64_t k = 0; k < fine / m; k++)
        for (int64_t i = 0; i < rows; i++) {
            double w = 0, integral = 0;
            for (int64_t j = k * m; j < (k + 1) * m; j++) {
                double z1 = noise[2 * j * rows + i], z2 = noise[(2 * j + 1) * rows + i];
                integral += 0.5 * (z1 + z2 / sqrt(3)) + w;
                w += z1;
            }
            out[2 * k * rows + i] = w / sqrt((double)m);
            out[(2 * k + 1) * rows + i] = sqrt(3) * (2 * integral / pow((double)m, 1.5) - w / sqrt((double)m));
        }
}

static void walk_srk(const ebb_process *p, const ebb_target *t, int steps, int64_t rows, const double *noise, double *x)
{
    ebb_sampler_settings set = noisy_end();
    ebb_grid g = grid_of(p, "uniform", (ebb_grid_options){.steps = steps, .t_start = 2, .t_end = 0.1});
    walk_job job = {.sampler = "srk", .set = &set, .process = p, .grid = &g, .target = t, .n = rows, .x = x, .noise = noise,
                    .noise_draws = 2 * steps};
    for (int64_t i = 0; i < rows; i++)
        x[i] = 0.3;
    ok(walk_run(ctx, &job));
    ebb_grid_free(&g);
}

/* Root of the mean squared difference between walks of `steps` and of `fine` steps along the same paths. */
static double strong_error(const ebb_process *p, const ebb_target *t, int steps, int64_t fine, int64_t rows, const double *noise)
{
    double *coarse = room(2 * steps * rows), *x = room(2 * rows), sum = 0;
    walk_srk(p, t, (int)fine, rows, noise, x);
    coarsen(fine, fine / steps, rows, noise, coarse);
    walk_srk(p, t, steps, rows, coarse, x + rows);
    for (int64_t i = 0; i < rows; i++)
        sum += (x[rows + i] - x[i]) * (x[rows + i] - x[i]) / (double)rows;
    ebb_free(coarse);
    ebb_free(x);
    return sqrt(sum);
}

/* Of the reverse OU process. On normal data the drift is linear, and what strong order 1.5 leaves of the path, products of
 * two increments, is not there: order 2. On a mixture it is. */
static void test_strong_order(void **state)
{
    (void)state;
    enum { FINE = 512, ROWS = 1000 };
    double *noise = room((int64_t)2 * FINE * ROWS);
    ebb_target line = normal_law(0.5, 0.36), curved = two_modes(1, 0.5, 0.5);
    ebb_process p = process_of(EBB_PROCESS_OU, 3);
    for (int64_t i = 0; i < 2 * FINE * ROWS; i += ROWS) {
        ebb_target unit = normal_law(0, 1);
        ebb_target_sample(&unit, 21, i, ROWS, noise + i, NULL);
        ebb_target_free(&unit);
    }
    double one = strong_error(&p, &line, 32, FINE, ROWS, noise), two = strong_error(&p, &line, 64, FINE, ROWS, noise);
    print_message("normal data: %.3g, %.3g, order %.3f\n", one, two, log2(one / two));
    assert_true(fabs(log2(one / two) - 2) < 0.15);
    one = strong_error(&p, &curved, 32, FINE, ROWS, noise);
    two = strong_error(&p, &curved, 64, FINE, ROWS, noise);
    print_message("mixture: %.3g, %.3g, order %.3f\n", one, two, log2(one / two));
    assert_true(fabs(log2(one / two) - 1.5) < 0.2);
    ebb_free(noise);
    ebb_target_free(&line);
    ebb_target_free(&curved);
    ebb_process_free(&p);
}

/* ---- Langevin ------------------------------------------------------------------------------------------------------- */

typedef struct moments { double mean, var, right; } moments;   /* right: the fraction above 0 */

static moments moments_of(const double *x, int64_t n)
{
    moments m = {0};
    for (int64_t i = 0; i < n; i++) {
        m.mean += x[i] / (double)n;
        m.right += (x[i] > 0) / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        m.var += (x[i] - m.mean) * (x[i] - m.mean) / (double)n;
    return m;
}

static void walk_level(const char *sampler, const ebb_target *t, int steps, int64_t n, uint64_t seed, double *x)
{
    ebb_process p = process_of(EBB_PROCESS_OU, 0);
    ebb_grid g = grid_of(&p, "uniform", (ebb_grid_options){.steps = steps});
    walk_job job = {.sampler = sampler, .process = &p, .grid = &g, .target = t, .n = n, .x = x, .seed = seed};
    ok(walk_run(ctx, &job));
    ebb_grid_free(&g);
    ebb_process_free(&p);
}

/* The chain X' = (1 - h) X + sqrt(2h) Z from a point: mean (1-h)^k, variance (1 - (1-h)^2k)/(1 - h/2); and where it ends,
 * by samples. */
static void test_langevin_bias(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    const double h = 0.5, stationary = 1 / (1 - h / 2);
    double *x = room(ROWS);
    ebb_target t = normal_law(0, 1);
    ebb_process p = process_of(EBB_PROCESS_OU, 0);
    ebb_sampler_settings set = noisy_end();
    set.h = 0.05;
    for (int steps = 1; steps <= 64; steps *= 4) {
        ebb_grid g = grid_of(&p, "uniform", (ebb_grid_options){.steps = steps});
        law got = law_of("langevin", &set, &p, &g, &t, 1, (law){1.5, 0});
        assert_true(fabs(got.mean - 1.5 * pow(0.95, steps)) < 1e-13);
        assert_true(fabs(got.var - (1 - pow(0.95, 2 * steps)) / (1 - 0.025)) < 1e-13);
        ebb_grid_free(&g);
    }
    walk_level("langevin:h=0.5", &t, 60, ROWS, 1, x);
    moments m = moments_of(x, ROWS);
    assert_true(fabs(m.var - stationary) < 3 * stationary * sqrt(2.0 / ROWS));
    assert_true(fabs(m.mean) < 3 * sqrt(stationary / ROWS));
    /* From that biased law, acceptance leads to the true one. */
    walk_level("mala:h=0.5", &t, 60, ROWS, 2, x);
    m = moments_of(x, ROWS);
    assert_true(fabs(m.var - 1) < 3 * sqrt(2.0 / ROWS) && fabs(m.mean) < 3 / sqrt(ROWS));
    ebb_free(x);
    ebb_target_free(&t);
    ebb_process_free(&p);
}

/* eta = 2h in Isachenko's convention is the same path, bit for bit. */
static void test_conventions(void **state)
{
    (void)state;
    double a[8], b[8];
    ebb_target t = two_modes(1, 0.5, 0.3);
    for (int which = 0; which < 2; which++) {
        for (int i = 0; i < 8; i++)
            a[i] = b[i] = 0.5 * i - 2;
        walk_level(which ? "mala:h=0.03" : "langevin:h=0.03", &t, 50, 8, 9, a);
        walk_level(which ? "mala:half_step=1,h=0.06" : "langevin:half_step=1,h=0.06", &t, 50, 8, 9, b);
        assert_memory_equal(a, b, sizeof a);
    }
    ebb_target_free(&t);
}

/* Without noise the walk climbs the hill it stands on and stops where the score is 0; with noise it does not stop. */
static void test_gradient_flow(void **state)
{
    (void)state;
    double x[2] = {-3, 0.4}, y[2] = {-3, 0.4}, score;
    ebb_target t = two_modes(2, 0.5, 0.3);
    walk_level("gradient-flow:h=0.05", &t, 1000, 2, 1, x);
    walk_level("langevin:h=0.05", &t, 1000, 2, 1, y);
    for (int i = 0; i < 2; i++) {
        ebb_target_at(&t, &x[i], 1, 0, NULL, &score, NULL, NULL);
        assert_true(fabs(score) < 1e-12 && fabs(fabs(x[i]) - 2) < 1e-3 && (x[i] > 0) == (i > 0));
        ebb_target_at(&t, &y[i], 1, 0, NULL, &score, NULL, NULL);
        assert_true(fabs(score) > 1e-3);
    }
    ebb_target_free(&t);
}

/* What has crossed to the other mode by the time T: the law of the equation, from one mode alone. */
static double crossed_exactly(ebb_fokker_planck *f, const ebb_target *both, const ebb_target *one, double time)
{
    enum { STEPS = 2000 };
    ebb_fokker_planck_start(f, one, 1, 0);
    ebb_fokker_planck_langevin(f, both, 1, 0);
    for (int k = 0; k < STEPS; k++)
        ebb_fokker_planck_step(f, 2, time / STEPS);
    return ebb_fokker_planck_mass(f, 0, INFINITY);
}

/* The three panels of the figure: dt .01, T = .1, 1, 10. All start in the left mode; what has crossed follows
 * (1 - c e^{-gap T})/2, c = 1 - 2 (what of the mode reaches over 0 from the start), once the fast modes have died out. */
static void test_panels(void **state)
{
    (void)state;
    enum { ROWS = 2500 };
    static const double separations[] = {2, 3, 5}, times[] = {0.1, 1, 10};
    double *x = room(ROWS);
    for (int s = 0; s < 3; s++) {
        double a = separations[s] / 2, over = 0.5 * erfc(a / 0.5 / sqrt(2));
        ebb_fokker_planck f;
        ebb_target both = two_modes(a, 0.5, 0.5), one;
        ok(ebb_target_class(ctx, &both, 0, &one));
        ok(ebb_fokker_planck_create(ctx, 801, -a - 3, a + 3, &f));
        double gap = ebb_langevin_gap(&f, &both, 1, 0), before = 0;
        for (int i = 0; i < 3; i++) {
            ebb_target_sample(&one, 7, 0, ROWS, x, NULL);
            walk_level("langevin:h=0.01", &both, (int)lround(times[i] / 0.01), ROWS, 8, x);
            double got = moments_of(x, ROWS).right, exact = crossed_exactly(&f, &both, &one, times[i]);
            double slow = 0.5 * (1 - (1 - 2 * over) * exp(-gap * times[i])), error = sqrt(exact * (1 - exact) / ROWS);
            print_message("separation %g, T %g: %.4f crossed, law %.4f, (1 - c e^{-%.4g T})/2 = %.4f\n", 2 * a, times[i], got,
                          exact, gap, slow);
            /* Steps of .01 are off by O(h); the fast modes have their part at T = .1. */
            assert_true(fabs(got - exact) < 3 * error + 2e-3);
            assert_true(fabs(got - slow) < 3 * error + (i == 0 ? 0.01 : 0.012));
            before = got;
        }
        assert_true(separations[s] < 5 || before < 1e-3);
        ebb_fokker_planck_free(&f);
        ebb_target_free(&both);
        ebb_target_free(&one);
    }
    ebb_free(x);
}

/* Modes of weight .2 and .8 far apart: from noise of deviation 10, ten levels find the weights, one level does not. */
static void test_annealed(void **state)
{
    (void)state;
    enum { ROWS = 4000 };
    double *x = room(ROWS);
    ebb_target t = two_modes(4, 0.5, 0.8);
    ebb_process wanted = {.kind = EBB_PROCESS_VE, .sigma_min = 0.3, .sigma_max = 10}, p;
    ok(ebb_process_create(ctx, &wanted, &p));
    ebb_grid g = grid_of(&p, "uniform", (ebb_grid_options){.steps = 9});
    walk_start(ctx, &p, 3, NULL, ROWS, 1, x);
    walk_job job = {.sampler = "annealed-langevin:inner_steps=200", .process = &p, .grid = &g, .target = &t, .n = ROWS,
                    .x = x, .seed = 3};
    ok(walk_run(ctx, &job));
    moments annealed = moments_of(x, ROWS);
    walk_start(ctx, &p, 3, NULL, ROWS, 1, x);
    walk_level("langevin:h=0.01", &t, 1000, ROWS, 4, x);
    moments plain = moments_of(x, ROWS);
    print_message("weight .8: annealed %.4f, plain %.4f\n", annealed.right, plain.right);
    assert_true(fabs(annealed.right - 0.8) < 0.02);
    assert_true(fabs(plain.right - 0.8) > 0.2);
    ebb_free(x);
    ebb_grid_free(&g);
    ebb_target_free(&t);
    ebb_process_free(&p);
}

/* ---- predictors and correctors --------------------------------------------------------------------------------------- */

static void walk_pc(const char *sampler, const ebb_target *t, const uint32_t *sample, int64_t n, double *x)
{
    ebb_process p = process_of(EBB_PROCESS_VP, 0);
    ebb_grid g = grid_of(&p, "score-sde", (ebb_grid_options){.steps = 30});
    walk_start(ctx, &p, 1, sample, n, 1, x);
    walk_job job = {.sampler = sampler, .process = &p, .grid = &g, .target = t, .n = n, .x = x, .seed = 1, .sample = sample};
    ok(walk_run(ctx, &job));
    ebb_grid_free(&g);
    ebb_process_free(&p);
}

/* Norms of each row by default: a sample is the same in any company. Averages over the batch are not. */
static void test_company(void **state)
{
    (void)state;
    static const uint32_t three[] = {0, 1, 2};
    double many[3], one;
    ebb_target t = two_modes(1, 0.3, 0.4);
    walk_pc("pc", &t, three, 3, many);
    walk_pc("pc", &t, three, 1, &one);
    assert_true(one == many[0]);
    walk_pc("pc:batch_mean=1", &t, three, 3, many);
    walk_pc("pc:batch_mean=1", &t, three, 1, &one);
    assert_true(one != many[0]);
    walk_pc("pc:predictor_first=1", &t, three, 3, many);
    walk_pc("pc", &t, three, 1, &one);
    assert_true(one != many[0]);
    walk_pc("pc:corrector_steps=0", &t, three, 3, many);
    walk_pc("reverse-diffusion", &t, three, 1, &one);
    assert_true(one == many[0]);
    ebb_target_free(&t);
}

/* ---- marginals ---------------------------------------------------------------------------------------------------------- */

enum { MARGINAL_ROWS = 2500 };

/* Within four standard errors of the law at a level, those of the fourth moment from the samples. */
static void check_marginal(const char *sampler, const ebb_target *t, ebb_level at, const double *x)
{
    double mean, var, fourth = 0;
    moments m = moments_of(x, MARGINAL_ROWS);
    ebb_target_moments(t, &mean, &var);
    law want = law_at(at, mean, var);
    for (int i = 0; i < MARGINAL_ROWS; i++)
        fourth += pow(x[i] - m.mean, 4) / MARGINAL_ROWS;
    if (!(fabs(m.mean - want.mean) < 4 * sqrt(want.var / MARGINAL_ROWS)))
        fail_msg("%s at t = %g: mean %g, not %g", sampler, at.t, m.mean, want.mean);
    if (!(fabs(m.var - want.var) < 4 * sqrt((fourth - m.var * m.var) / MARGINAL_ROWS)))
        fail_msg("%s at t = %g: variance %g, not %g", sampler, at.t, m.var, want.var);
}

/* Stochastic and deterministic walks have the same laws all the way. */
static void test_marginals(void **state)
{
    (void)state;
    enum { STEPS = 200 };
    static const char *const samplers[] = {"srk:denoise=0", "euler-maruyama:denoise=0", "heun", "dpmpp-2m-sde",
                                           "dpmpp-3m-sde", "dpmpp-sde", "edm:s_noise=1", "euler-ancestral"};
    double *x = room(MARGINAL_ROWS), *path = room((int64_t)(STEPS + 1) * MARGINAL_ROWS);
    ebb_target t = two_modes(1, 0.3, 0.3);
    ebb_process p = process_of(EBB_PROCESS_VP, 0);
    for (size_t s = 0; s < sizeof samplers / sizeof samplers[0]; s++) {
        ebb_grid g = grid_of(&p, s < 2 ? "uniform" : "logsnr", (ebb_grid_options){.steps = STEPS});
        walk_start(ctx, &p, 5, NULL, MARGINAL_ROWS, 1, x);
        walk_job job = {.sampler = samplers[s], .process = &p, .grid = &g, .target = &t, .n = MARGINAL_ROWS, .x = x,
                        .seed = 5, .path = path, .path_steps = STEPS};
        ok(walk_run(ctx, &job));
        for (int k = STEPS / 4; k <= STEPS; k += STEPS / 4)
            check_marginal(samplers[s], &t, g.level[k], path + (int64_t)k * MARGINAL_ROWS);
        ebb_grid_free(&g);
    }
    ebb_free(x);
    ebb_free(path);
    ebb_process_free(&p);
    ebb_target_free(&t);
}

/* Tighter tolerances take more evaluations and come nearer to the law: of pictures' kind, many numbers a sample. (Refusals
 * favour small noises. In one or two numbers the error goes with the draw, and that shows; in many it averages out.) */
static void test_adaptive(void **state)
{
    (void)state;
    enum { D = 48, ROWS = 200, ALL = D * ROWS };
    static const double tolerances[] = {0.5, 0.1, 0.02};
    double *x = room(ALL), mean[D], cov[D * D] = {0}, weight = 1, off[3];
    int64_t before = 0;
    ebb_target t;
    for (int i = 0; i < D; i++)
        mean[i] = 0.5, cov[i * (D + 1)] = 0.36;
    ok(ebb_target_create(ctx, 1, D, &weight, mean, cov, NULL, &t));
    ebb_process p = process_of(EBB_PROCESS_VP, 0);
    ebb_grid g = grid_of(&p, "uniform", (ebb_grid_options){.steps = 1});
    ebb_sampler_settings set = ebb_settings_default();
    law want = law_at(g.level[1], 0.5, 0.36);
    for (int i = 0; i < 3; i++) {
        set.rtol = set.atol = tolerances[i];
        walk_start(ctx, &p, 6, NULL, ROWS, D, x);
        walk_job job = {.sampler = "adaptive-sde", .set = &set, .process = &p, .grid = &g, .target = &t, .n = ROWS, .x = x,
                        .seed = 6};
        ok(walk_run(ctx, &job));
        moments m = moments_of(x, ALL);
        off[i] = fabs(m.var - want.var);
        print_message("tolerance %g: %lld evaluations, mean %.4f, variance %.4f\n", tolerances[i], (long long)job.nfe, m.mean,
                      m.var);
        assert_true(job.nfe > before && job.nfe % 2 == 0);
        assert_true(i < 2 || (fabs(m.mean - want.mean) < 4 * sqrt(want.var / ALL)
                              && off[i] < 4 * want.var * sqrt(2.0 / ALL)));
        before = job.nfe;
    }
    assert_true(off[2] < off[0]);
    ebb_free(x);
    ebb_grid_free(&g);
    ebb_process_free(&p);
    ebb_target_free(&t);
}

/* ---- learned variances ------------------------------------------------------------------------------------------------------ */

typedef struct learned { ebb_target_field law; ebb_field field; double v[2]; } learned;

static void learned_predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    learned *l = self;
    l->field.predict(l->field.self, x, at, eps, x0);
}

static const double *learned_variance(void *self)
{
    return ((learned *)self)->v;
}

static void walk_learned(const char *sampler, learned *l, const ebb_process *p, const ebb_grid *g, double v, double *x)
{
    ebb_field field = {.n = 2, .count = 1, .predict = learned_predict, .variance = learned_variance, .self = l};
    l->field = ebb_field_of_target(&l->law);
    l->v[0] = l->v[1] = v;
    x[0] = 0.7;
    x[1] = -1.2;
    walk_job job = {.sampler = sampler, .process = p, .grid = g, .field = &field, .n = 2, .x = x, .seed = 12};
    ok(walk_run(ctx, &job));
}

/* v = -1 is ddpm, 1 ddpm-large; between, the deviation of one step is the geometric mean that v tells. */
static void test_learned(void **state)
{
    (void)state;
    double x[2], y[2], z[2];
    ebb_target t = two_modes(1, 0.3, 0.4);
    learned l = {.law = {.all = &t, .n = 2}};
    ebb_process wanted = {.kind = EBB_PROCESS_DDPM}, p;
    ok(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &wanted.chain));
    ok(ebb_process_create(ctx, &wanted, &p));
    ebb_grid g = grid_of(&p, "even", (ebb_grid_options){.steps = 25});
    for (int large = 0; large < 2; large++) {
        walk_learned("ddpm-learned", &l, &p, &g, large ? 1 : -1, x);
        walk_learned(large ? "ddpm-large" : "ddpm", &l, &p, &g, 0, y);
        for (int i = 0; i < 2; i++)
            assert_true(fabs(x[i] - y[i]) < 1e-10);
    }
    ebb_grid one = {.steps = 1, .level = g.level + 10};
    ebb_between q = ebb_level_between(one.level[0], one.level[1]);
    walk_learned("ddpm-learned", &l, &p, &one, -1, x);
    walk_learned("ddpm-learned", &l, &p, &one, 1, y);
    walk_learned("ddpm-learned", &l, &p, &one, 0.5, z);
    for (int i = 0; i < 2; i++) {
        double noise = (y[i] - x[i]) / (sqrt(q.added) - sqrt(q.posterior));
        assert_true(fabs(z[i] - x[i] - noise * (pow(q.added, 0.375) * pow(q.posterior, 0.125) - sqrt(q.posterior))) < 1e-12);
    }
    ebb_grid_free(&g);
    ebb_process_free(&p);
    ebb_target_free(&t);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------------------- */

static void refused(const char *sampler, const ebb_process *p, const char *grid, ebb_grid_options o, const char *says)
{
    ebb_target t = normal_law(0, 1), one;
    ok(ebb_target_class(ctx, &t, 0, &one));
    ebb_grid g = grid_of(p, grid, o);
    double x = 0.1;
    walk_job job = {.sampler = sampler, .process = p, .grid = &g, .target = &t, .one = &one, .w = 1, .n = 1, .x = &x};
    assert_int_equal(walk_run(ctx, &job), EBB_E_ARGUMENT);
    if (strstr(ebb_message(ctx), says) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", sampler, ebb_message(ctx), says);
    ebb_grid_free(&g);
    ebb_target_free(&one);
    ebb_target_free(&t);
}

static void test_refusals(void **state)
{
    (void)state;
    ebb_process vp = process_of(EBB_PROCESS_VP, 0), flow = process_of(EBB_PROCESS_FLOW, 0), smld = process_of(EBB_PROCESS_SMLD, 0);
    refused("reverse-diffusion", &vp, "score-sde", (ebb_grid_options){.steps = 15}, "take more steps");
    refused("euler-maruyama", &flow, "uniform", (ebb_grid_options){.steps = 15}, "t_start");
    refused("srk", &flow, "uniform", (ebb_grid_options){.steps = 15}, "t_start");
    refused("srk", &smld, "even", (ebb_grid_options){.steps = 15}, "chain");
    refused("adaptive-sde", &smld, "even", (ebb_grid_options){.steps = 15}, "chain");
    refused("edm", &flow, "uniform", (ebb_grid_options){.steps = 15}, "alpha 0");
    refused("mala", &vp, "uniform", (ebb_grid_options){.steps = 15}, "log-density");
    refused("langevin:h=0", &vp, "uniform", (ebb_grid_options){.steps = 15}, "set h");
    refused("langevin:time=2", &vp, "uniform", (ebb_grid_options){.steps = 15}, "ends at 1");
    refused("ddpm-learned", &vp, "uniform", (ebb_grid_options){.steps = 15}, "learned its variances");
    ebb_process_free(&vp);
    ebb_process_free(&flow);
    ebb_process_free(&smld);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weak_order),    cmocka_unit_test(test_strong_order), cmocka_unit_test(test_langevin_bias),
        cmocka_unit_test(test_conventions),   cmocka_unit_test(test_gradient_flow), cmocka_unit_test(test_panels),
        cmocka_unit_test(test_annealed),      cmocka_unit_test(test_company),      cmocka_unit_test(test_marginals),
        cmocka_unit_test(test_adaptive),      cmocka_unit_test(test_learned),      cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
