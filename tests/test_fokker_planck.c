/* test_fokker_planck.c: the solver on a line against marginals that are known, orders of convergence, stationary laws, the
 * gap of Langevin's dynamics and what crosses because of it, bridges; exact laws of samplers and the theorem about them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diffusion/bridge.h"
#include "diffusion/convergence.h"
#include "diffusion/fokker_planck.h"
#include "diffusion/gaussian.h"

static ebb_context *ctx;

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
}

static ebb_target two_parts(double left, double right, double sd)
{
    double weight[] = {0.4, 0.6}, mean[] = {left, right}, var[] = {sd * sd, 1.5 * sd * sd};
    ebb_target t;
    ok(ebb_target_create(ctx, 2, 1, weight, mean, var, NULL, &t));
    return t;
}

static ebb_target normal_law(double mean, double var)
{
    double one = 1;
    ebb_target t;
    ok(ebb_target_create(ctx, 1, 1, &one, &mean, &var, NULL, &t));
    return t;
}

static ebb_process process_of(ebb_process_kind kind)
{
    ebb_process wanted = {.kind = kind}, p;
    ok(ebb_process_create(ctx, &wanted, &p));
    return p;
}

/* Integral of |p - the law's density|. */
static double distance(const ebb_fokker_planck *f, const ebb_target *law, ebb_level at)
{
    double sum = 0;
    for (int k = 0; k < f->points; k++) {
        double x = f->lo + k * f->dx, logp;
        ebb_target_at(law, &x, at.alpha, at.sigma, &logp, NULL, NULL, NULL);
        sum += fabs(f->p[k] - exp(logp)) * f->dx;
    }
    return sum;
}

/* ---- marginals ---------------------------------------------------------------------------------------------------- */

enum { STEPS = 2000 };

static double forward_error(const ebb_process *p, const ebb_target *law, int points, int steps, double theta)
{
    static double t[STEPS + 1];
    ebb_fokker_planck f;
    ok(ebb_fokker_planck_create(ctx, points, -8, 8, &f));
    f.theta = theta;
    for (int i = 0; i <= steps; i++)
        t[i] = 0.05 + 0.25 * i / steps;
    ebb_level from = ebb_process_level(p, t[0]), to = ebb_process_level(p, t[steps]);
    ebb_fokker_planck_start(&f, law, from.alpha, from.sigma);
    ebb_fokker_planck_forward(&f, p, t, steps);
    double error = distance(&f, law, to);
    ebb_fokker_planck_free(&f);
    return error;
}

/* Twice as many points: a quarter of the error, steps being so short that only dx counts. */
static void test_forward(void **state)
{
    static const ebb_process_kind kinds[] = {EBB_PROCESS_VP, EBB_PROCESS_OU, EBB_PROCESS_SUBVP};
    (void)state;
    ebb_target law = two_parts(-2, 1.5, 0.3);
    for (int i = 0; i < 3; i++) {
        ebb_process p = process_of(kinds[i]);
        double coarse = forward_error(&p, &law, 201, STEPS, 0.5), fine = forward_error(&p, &law, 401, STEPS, 0.5);
        print_message("%-6s L1 error %.2e, %.2e: order %.2f\n", ebb_process_name(kinds[i]), coarse, fine,
                      log2(coarse / fine));
        assert_true(fabs(log2(coarse / fine) - 2) < 0.1 && fine < 5e-3);
        ebb_process_free(&p);
    }
    ebb_target_free(&law);
}

/* Twice as many steps: half the error of backward Euler, where points are fine. */
static void test_time(void **state)
{
    (void)state;
    ebb_target law = two_parts(-2, 1.5, 0.5);
    ebb_process p = process_of(EBB_PROCESS_VP);
    double one = forward_error(&p, &law, 1601, 10, 1), two = forward_error(&p, &law, 1601, 20, 1);
    print_message("backward Euler order %.2f\n", log2(one / two));
    assert_true(fabs(log2(one / two) - 1) < 0.15);
    ebb_process_free(&p);
    ebb_target_free(&law);
}

static double reverse_error(const ebb_process *p, const ebb_target *law, int points, double noise)
{
    static double t[STEPS + 1];
    ebb_fokker_planck f;
    void *levels;
    ebb_target_field self = {.all = law, .n = points - 1};
    ebb_field field = ebb_field_of_target(&self);
    ok(ebb_fokker_planck_create(ctx, points, -8, 8, &f));
    ok(ebb_alloc(ctx, &levels, (size_t)points, sizeof(ebb_level), "levels"));
    f.theta = 0.5;
    for (int i = 0; i <= STEPS; i++)
        t[i] = 0.3 - 0.25 * i / STEPS;
    ebb_level from = ebb_process_level(p, t[0]), to = ebb_process_level(p, t[STEPS]);
    ebb_fokker_planck_start(&f, law, from.alpha, from.sigma);
    ebb_fokker_planck_reverse(&f, p, &field, noise, t, STEPS, levels);
    double error = distance(&f, law, to);
    assert_true(fabs(ebb_fokker_planck_mass(&f, -INFINITY, INFINITY) - 1) < 1e-10);
    ebb_free(levels);
    ebb_fokker_planck_free(&f);
    return error;
}

/* Whatever the noise, the reverse equations lead through the marginals. */
static void test_reverse(void **state)
{
    (void)state;
    ebb_target law = two_parts(-2, 1.5, 0.3);
    ebb_process p = process_of(EBB_PROCESS_VP);
    for (double noise = 0.5; noise < 1.6; noise += 0.5) {
        double coarse = reverse_error(&p, &law, 201, noise), fine = reverse_error(&p, &law, 401, noise);
        print_message("noise %.1f: L1 error %.2e, %.2e: order %.2f\n", noise, coarse, fine, log2(coarse / fine));
        assert_true(fabs(log2(coarse / fine) - 2) < 0.2 && fine < 0.02);
    }
    ebb_process_free(&p);
    ebb_target_free(&law);
}

/* ---- Langevin -------------------------------------------------------------------------------------------------------- */

static void test_stationary(void **state)
{
    (void)state;
    ebb_target law = two_parts(-2, 1.5, 0.5);
    ebb_fokker_planck f;
    ok(ebb_fokker_planck_create(ctx, 401, -7, 7, &f));
    ebb_fokker_planck_start(&f, &law, 1, 0);
    double first = distance(&f, &law, (ebb_level){0, 1, 0});
    ebb_fokker_planck_langevin(&f, &law, 1, 0);
    for (int i = 0; i < 500; i++)
        ebb_fokker_planck_step(&f, 2, 0.02);
    double last = distance(&f, &law, (ebb_level){0, 1, 0});
    assert_true(first < 1e-10 && last < 1e-10);
    ebb_fokker_planck_free(&f);
    ebb_target_free(&law);
}

/* Normal law: the generator of dX = -X/v dt + sqrt(2) dB has the gap 1/v. */
static void test_gap_of_normal(void **state)
{
    (void)state;
    for (double var = 0.25; var < 5; var *= 4) {
        ebb_target law = normal_law(0.3, var);
        ebb_fokker_planck f;
        ok(ebb_fokker_planck_create(ctx, 801, 0.3 - 8 * sqrt(var), 0.3 + 8 * sqrt(var), &f));
        assert_true(fabs(ebb_langevin_gap(&f, &law, 1, 0) * var - 1) < 1e-4);
        ebb_fokker_planck_free(&f);
        ebb_target_free(&law);
    }
}

/* Two modes: the gap falls like exp(-distance^2/(8 sd^2)), and started in one mode (1 - exp(-gap T))/2 have crossed. */
static void test_crossing(void **state)
{
    (void)state;
    double sd = 0.5, last = INFINITY, weight[] = {0.5, 0.5}, var[] = {sd * sd, sd * sd};
    for (double separation = 2; separation <= 5; separation++) {
        double a = separation / 2, mean[] = {-a, a};
        ebb_target law, left = normal_law(-a, sd * sd);
        ebb_fokker_planck f;
        ok(ebb_target_create(ctx, 2, 1, weight, mean, var, NULL, &law));
        ok(ebb_fokker_planck_create(ctx, 1001, -a - 4, a + 4, &f));
        f.theta = 0.5;
        double gap = ebb_langevin_gap(&f, &law, 1, 0);
        ebb_fokker_planck_start(&f, &left, 1, 0);
        for (int i = 0; i < 1000; i++)
            ebb_fokker_planck_step(&f, 2, 0.01);
        double crossed = ebb_fokker_planck_mass(&f, 0, INFINITY), rule = (1 - exp(-10 * gap)) / 2;
        print_message("separation %g: gap %.4g, crossed by T = 10 %.5f (rule %.5f)\n", separation, gap, crossed, rule);
        assert_true(gap < last / 5);
        /* The rule starts from the mode's own share of the slowest function, which is not quite 1 where modes overlap. */
        assert_true(fabs(crossed - rule) < 0.03 * rule + 1e-4);
        if (separation == 5)
            assert_true(crossed < 1e-3);
        last = gap;
        ebb_fokker_planck_free(&f);
        ebb_target_free(&law);
        ebb_target_free(&left);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    ebb_fokker_planck f;
    assert_int_equal(ebb_fokker_planck_create(ctx, 2, 0, 1, &f), EBB_E_ARGUMENT);
    assert_int_equal(ebb_fokker_planck_create(ctx, 100, 1, 1, &f), EBB_E_ARGUMENT);
}

/* ---- exact laws of samplers ------------------------------------------------------------------------------------------- */

/* Weak order 1 of Euler-Maruyama in the distance to the exact law; a corrector is not affine and says so. */
static void test_sampler_law(void **state)
{
    (void)state;
    ebb_target law = normal_law(0.5, 0.36);
    ebb_process p = process_of(EBB_PROCESS_VP);
    ebb_level end = ebb_process_level(&p, 1e-3);
    ebb_normal exact = ebb_normal_at(&law, end.alpha, end.sigma), got;
    double last = 0;
    for (int steps = 100; steps <= 800; steps *= 2) {
        ebb_grid grid;
        ok(ebb_grid_create(ctx, &p, "uniform", &(ebb_grid_options){.steps = steps, .t_end = 1e-3}, &grid));
        ok(ebb_sampler_law(ctx, &(ebb_law_of){"euler-maruyama:denoise=0", &p, &grid, &law, 0}, &got));
        double error = ebb_normal_w2(got, exact);
        if (last > 0)
            assert_true(fabs(log2(last / error) - 1) < 0.1);
        last = error;
        assert_int_equal(ebb_sampler_law(ctx, &(ebb_law_of){"pc", &p, &grid, &law, 0}, &got), EBB_E_ARGUMENT);
        ebb_grid_free(&grid);
    }
    ebb_process_free(&p);
    ebb_target_free(&law);
}

static void test_normal_distances(void **state)
{
    (void)state;
    ebb_normal p = {-0.3, 0.25}, q = {0.8, 1.44};
    ebb_target law = normal_law(p.mean, p.var);
    ebb_line_distance d = ebb_target_to_normal(&law, 1, 0, q, -14, 14, 200001);
    assert_true(fabs(d.kl - ebb_normal_kl(p, q)) < 1e-10 && fabs(d.tv - ebb_normal_tv(p, q)) < 1e-8);
    assert_true(fabs(ebb_normal_tv((ebb_normal){0, 1}, (ebb_normal){1, 1}) - erf(0.5 / sqrt(2))) < 1e-14);
    assert_true(ebb_normal_tv(p, p) == 0 && ebb_normal_kl(p, p) == 0 && ebb_normal_w2(p, p) == 0);
    ebb_target_free(&law);
}

/* Along each of the three terms the bound holds, each term can be the largest, and each pushes the error. */
static void test_convergence(void **state)
{
    static const double ends[] = {0.5, 1, 2, 4, 8}, errors[] = {0, 0.01, 0.1, 0.3, 1};
    static const int steps[] = {20, 60, 180, 540};
    static const double laws[][2] = {{0.5, 0.36}, {2, 0.04}, {0, 4}};
    int largest[3] = {0};
    (void)state;
    for (int l = 0; l < 3; l++) {
        ebb_target law = normal_law(laws[l][0], laws[l][1]);
        double worst = 0, last = 2;
        for (int i = 0; i < 5 * 5 * 4; i++) {
            ebb_convergence row = {.end = ends[i / 20], .error = errors[i / 4 % 5], .steps = steps[i % 4]};
            ok(ebb_convergence_measure(ctx, &law, &row));
            largest[row.start > fmax(row.step, row.score) ? 0 : row.step > row.score ? 1 : 2]++;
            worst = fmax(worst, row.tv / fmin(row.bound, 1));
            assert_true(row.tv >= 0 && row.tv <= 1 && row.tv <= row.bound);
        }
        /* No error of the score, many steps: what is left is the start, which T makes small. */
        for (int i = 0; l == 0 && i < 3; i++) {
            ebb_convergence row = {.end = ends[i], .steps = 1500};
            ok(ebb_convergence_measure(ctx, &law, &row));
            assert_true(row.tv < last / 2);
            last = row.tv;
        }
        print_message("N(%g, %g): total variation at most %.3f of the bound\n", laws[l][0], laws[l][1], worst);
        ebb_target_free(&law);
    }
    assert_true(largest[0] > 0 && largest[1] > 0 && largest[2] > 0);
}

/* The drift of the bridge carries its start through its marginals to its end. */
static void test_bridge(void **state)
{
    (void)state;
    ebb_normal start = {-1, 0.49}, end = {1, 0.09};
    ebb_target law = normal_law(start.mean, start.var);
    double sigma = 0.8, error[2];
    for (int fine = 0; fine < 2; fine++) {
        ebb_fokker_planck f;
        int steps = 1000;
        ok(ebb_fokker_planck_create(ctx, fine ? 801 : 401, -7, 7, &f));
        f.theta = 0.5;
        ebb_fokker_planck_start(&f, &law, 1, 0);
        for (int i = 0; i < steps; i++) {
            double t = 0.95 * (i + 0.5) / steps;
            for (int k = 0; k < f.points - 1; k++)
                f.drift[k] = ebb_bridge_drift(start, end, sigma, t, f.x[k]);
            ebb_fokker_planck_step(&f, sigma * sigma, 0.95 / steps);
        }
        ebb_normal want = ebb_bridge_at(start, end, sigma, 0.95);
        ebb_target there = normal_law(want.mean, want.var);
        error[fine] = distance(&f, &there, (ebb_level){0, 1, 0});
        ebb_target_free(&there);
        ebb_fokker_planck_free(&f);
    }
    print_message("bridge: L1 error %.2e, %.2e: order %.2f\n", error[0], error[1], log2(error[0] / error[1]));
    assert_true(error[1] < 2e-3 && fabs(log2(error[0] / error[1]) - 2) < 0.2);
    ebb_target_free(&law);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward), cmocka_unit_test(test_time), cmocka_unit_test(test_reverse),
        cmocka_unit_test(test_stationary), cmocka_unit_test(test_gap_of_normal), cmocka_unit_test(test_crossing),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_sampler_law), cmocka_unit_test(test_normal_distances),
        cmocka_unit_test(test_convergence), cmocka_unit_test(test_bridge),
    };
    if (ebb_context_create(NULL, &ctx) != EBB_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
