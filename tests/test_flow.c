/* test_flow.c: the probability flow over a mixture: orders of the samplers that follow it, tolerance of the adaptive one,
 * encoding and decoding.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/flow.h"
#include "support/one_context.h"
#include "support/walks.h"

enum { DIM = 2, ROWS = 16 };

static ebb_target mixture(void)
{
    static const double weight[3] = {0.2, 0.5, 0.3}, mean[3][DIM] = {{-1.5, 0.5}, {1, 1}, {0.2, -1.2}};
    static const double cov[3][DIM][DIM] = {{{0.16, 0.05}, {0.05, 0.1}}, {{0.2, -0.06}, {-0.06, 0.18}},
                                            {{0.2, -0.03}, {-0.03, 0.12}}};
    ebb_target t;
    ok(ebb_target_create(ctx, 3, DIM, weight, mean[0], cov[0][0], NULL, &t));
    return t;
}

static double *memory(size_t doubles)
{
    void *data;
    ok(ebb_alloc(ctx, &data, doubles, sizeof(double), "a test"));
    return data;
}

static double solve(const ebb_process *p, const ebb_target *t, int64_t n, double tolerance, double from, double to, double *x)
{
    ebb_target_field self = {.all = t, .n = n};
    ebb_field field = ebb_field_of_target(&self);
    ebb_flow flow = {.process = p, .field = &field, .rtol = tolerance, .atol = tolerance};
    double *work = memory(ebb_flow_work(n, t->dim));
    ok(ebb_flow_solve(ctx, &flow, from, to, x, work));
    ebb_free(work);
    return (double)flow.nfe;
}

static double rms(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum / (double)n);
}

/* ---- orders ----------------------------------------------------------------------------------------------------- */

typedef struct race { const char *sampler; double order, most; int first; } race;

/* From t = start to 0.02, in even steps of lambda or of t. */
typedef struct way { double start; bool in_t; } way;
static const way usual_way = {1, false};

/* Root mean square error of the end after that many steps. */
static double error_of(const ebb_process *p, const ebb_target *t, const way *y, const char *sampler, int steps, const double *exact)
{
    double x[ROWS * DIM], from = ebb_process_lambda(p, y->start), to = ebb_process_lambda(p, 0.02);
    ebb_grid g;
    ok(ebb_grid_alloc(ctx, steps, false, &g));
    for (int k = 0; k <= steps; k++)
        g.level[k] = ebb_process_level(p, y->in_t ? y->start + k * (0.02 - y->start) / steps
                                                  : ebb_process_time(p, from + k * (to - from) / steps));
    walk_start(ctx, p, 3, NULL, ROWS, DIM, x);
    walk_job job = {.sampler = sampler, .process = p, .grid = &g, .target = t, .n = ROWS, .x = x};
    ok(walk_run(ctx, &job));
    ebb_grid_free(&g);
    return rms(x, exact, ROWS * DIM);
}

/* Slope of log(error) against log(steps) by least squares over four doublings. */
static double measure(const ebb_process *p, const ebb_target *t, const way *y, const race *r, const double *exact)
{
    enum { POINTS = 5 };
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (int i = 0; i < POINTS; i++) {
        double a = log((double)(r->first << i)), e = log(error_of(p, t, y, r->sampler, r->first << i, exact));
        sx += a;
        sy += e;
        sxx += a * a;
        sxy += a * e;
    }
    return -(POINTS * sxy - sx * sy) / (POINTS * sxx - sx * sx);
}

static void test_orders(void **state)
{
    (void)state;
    static const race races[] = {
        {"euler", 1, 1.15, 100},
        {"pf-euler", 1, 1.15, 100},
        {"ddim", 1, 1.15, 100},
        {"heun", 2, 2.15, 100},
        {"dpm2", 2, 2.15, 100},
        {"dpm-solver-1", 1, 1.15, 100},
        {"dpm-solver-2", 2, 2.15, 100},
        {"dpm-solver-3", 3, 3.15, 100},
        {"dpm-solver-2m:lower_order_final=0", 2, 2.15, 100},
        /* Its first step is of order 1, which leaves an error of order 2. */
        {"dpm-solver-3m:lower_order_final=0", 2, 3.15, 100},
        {"dpmpp-2s", 2, 2.15, 100},
        {"dpmpp-3s", 3, 3.15, 100},
        {"dpmpp-2m:lower_order_final=0", 2, 2.15, 100},
        {"dpmpp-3m:lower_order_final=0", 2, 3.15, 100},
        {"unipc:order=2,lower_order_final=0", 2, 9, 100},
        {"unipc:order=2,bh=1,lower_order_final=0", 2, 9, 100},
        {"unipc:order=2,noise_form=1,lower_order_final=0", 2, 9, 100},
        {"unipc:order=3,lower_order_final=0", 2, 9, 100},
        {"lms:order=2", 2, 2.15, 100},
        {"deis:order=2", 2, 2.15, 100},
    };
    double exact[ROWS * DIM];
    ebb_target t = mixture();
    ebb_process p = usual_process(EBB_PROCESS_VP);
    walk_start(ctx, &p, 3, NULL, ROWS, DIM, exact);
    solve(&p, &t, ROWS, 1e-13, 1, 0.02, exact);
    for (size_t i = 0; i < sizeof races / sizeof races[0]; i++) {
        double order = measure(&p, &t, &usual_way, &races[i], exact);
        if (!(order >= races[i].order - 0.15 && order <= races[i].most))
            fail_msg("%s: order %.3f, expected %g", races[i].sampler, order, races[i].order);
    }
    ebb_process_free(&p);
    ebb_target_free(&t);
}

/* Rectified flow: lambda has no bound at t = 1, so that the first steps of a grid that is even in t are long in lambda however
 * many there are, the first of order 1, and order 3 is lost; even steps of lambda from a little below 1 have them all. */
static void test_orders_of_flow(void **state)
{
    (void)state;
    static const race in_t[] = {{"heun", 2, 2.15, 100}, {"dpm-solver-2", 2, 2.15, 100}, {"dpm-solver-3", 2, 2.3, 100},
                                {"unipc:order=3,lower_order_final=0", 2, 2.75, 100}};
    static const race in_lambda[] = {{"heun", 2, 2.15, 100}, {"dpm-solver-2", 2, 2.15, 100}, {"dpm-solver-3", 3, 3.15, 100},
                                     {"unipc:order=3,lower_order_final=0", 3, 9, 100}};
    static const way ways[] = {{1, true}, {0.999, false}};
    double exact[ROWS * DIM];
    ebb_target t = mixture();
    ebb_process p = usual_process(EBB_PROCESS_FLOW);
    for (int k = 0; k < 2; k++) {
        walk_start(ctx, &p, 3, NULL, ROWS, DIM, exact);
        solve(&p, &t, ROWS, 1e-13, ways[k].start, 0.02, exact);
        for (int i = 0; i < 4; i++) {
            const race *r = k == 0 ? &in_t[i] : &in_lambda[i];
            double order = measure(&p, &t, &ways[k], r, exact);
            printf("flow, even in %s: %s has order %.2f\n", k == 0 ? "t" : "lambda", r->sampler, order);
            if (!(order >= r->order - 0.15 && order <= r->most))
                fail_msg("%s: order %.3f, expected %g", r->sampler, order, r->order);
        }
    }
    ebb_process_free(&p);
    ebb_target_free(&t);
}

/* ---- tolerance -------------------------------------------------------------------------------------------------- */

/* rk45 over one cell: the error stays near the tolerance, and evaluations grow as it falls. */
static void test_tolerance(void **state)
{
    (void)state;
    ebb_target t = mixture();
    static const ebb_process_kind kinds[] = {EBB_PROCESS_VP, EBB_PROCESS_SUBVP, EBB_PROCESS_VE, EBB_PROCESS_FLOW,
                                             EBB_PROCESS_DDPM};
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        double exact[ROWS * DIM], x[ROWS * DIM];
        ebb_process p = usual_process(kinds[kind]);
        ebb_level level[2] = {ebb_process_level(&p, p.end), ebb_process_level(&p, 0.02 * p.end)};
        ebb_grid g = {.steps = 1, .level = level};
        walk_start(ctx, &p, 3, NULL, ROWS, DIM, exact);
        solve(&p, &t, ROWS, 1e-12, level[0].t, level[1].t, exact);
        int64_t before = 0;
        for (double tolerance = 1e-1; tolerance > 5e-10; tolerance /= 10) {
            char sampler[64];
            snprintf(sampler, sizeof sampler, "rk45:rtol=%g,atol=%g", tolerance, tolerance);
            walk_start(ctx, &p, 3, NULL, ROWS, DIM, x);
            walk_job job = {.sampler = sampler, .process = &p, .grid = &g, .target = &t, .n = ROWS, .x = x};
            ok(walk_run(ctx, &job));
            double error = rms(x, exact, ROWS * DIM);
            if (tolerance < 5e-4 && !(error <= 20 * tolerance))
                fail_msg("%s, tolerance %g: error %g", ebb_process_name(p.kind), tolerance, error);
            if (!(job.nfe >= before))
                fail_msg("%s, tolerance %g: %lld evaluations, %lld at ten times as much", ebb_process_name(p.kind), tolerance,
                         (long long)job.nfe, (long long)before);
            before = job.nfe;
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&t);
}

/* An ODE that ends in NaN says so. */
static void nan_predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    (void)self, (void)x, (void)at;
    eps[0] = x0[0] = NAN;
}

static void test_gives_up(void **state)
{
    (void)state;
    ebb_process p = usual_process(EBB_PROCESS_VP);
    ebb_field field = {.n = 1, .count = 1, .predict = nan_predict};
    ebb_level level[2] = {ebb_process_level(&p, 1), ebb_process_level(&p, 0.5)};
    ebb_grid g = {.steps = 1, .level = level};
    double x = 1, work[32];
    ebb_walk w = {.sampler = ebb_sampler_find("rk45"), .process = &p, .grid = &g, .field = &field,
                  .set = ebb_settings_default(), .n = 1, .count = 1, .x = &x, .work = work};
    assert_true(ebb_walk_work(w.sampler, 1, 1) <= sizeof work / sizeof *work);
    assert_true(ebb_flow_work(1, 1) <= ebb_walk_work(w.sampler, 1, 1));
    assert_int_not_equal(w.sampler->run(&w), 0);
    assert_true(w.stopped);
    if (strstr(w.why, "not finite") == NULL)
        fail_msg("it gave up because \"%s\"", w.why);
    ebb_process_free(&p);
}

/* ---- encoding and decoding -------------------------------------------------------------------------------------- */

/* There and back at rtol 1e-5; different data give different codes. */
static void test_round_trip(void **state)
{
    (void)state;
    ebb_target t = mixture();
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        double x[ROWS * DIM], back[ROWS * DIM], *work = memory(ebb_flow_work(ROWS, DIM));
        ebb_process p = usual_process((ebb_process_kind)kind);
        ebb_target_field self = {.all = &t, .n = ROWS};
        ebb_field field = ebb_field_of_target(&self);
        ebb_flow flow = {.process = &p, .field = &field, .rtol = 1e-5, .atol = 1e-6};
        ebb_target_sample(&t, 8, 0, ROWS, x, NULL);
        memcpy(back, x, sizeof x);
        ok(ebb_flow_encode(ctx, &flow, back, work));
        assert_true(flow.nfe > 0);
        double scale = 0, prior = ebb_process_prior_std(&p);
        for (int i = 0; i < ROWS * DIM; i++)
            scale += back[i] * back[i] / (prior * prior * ROWS * DIM);
        if (!(scale > 0.4 && scale < 2))
            fail_msg("%s: codes of variance %g in place of 1", ebb_process_name(p.kind), scale);
        ok(ebb_flow_decode(ctx, &flow, back, work));
        for (int i = 0; i < ROWS * DIM; i++)
            if (!(fabs(back[i] - x[i]) < 1e-4 * fmax(1, prior)))
                fail_msg("%s: number %d comes back as %g, off by %g", ebb_process_name(p.kind), i, back[i], back[i] - x[i]);
        ebb_free(work);
        ebb_process_free(&p);
    }
    ebb_target_free(&t);
}

/* Data carried forwards have the moments of each p_t: mean and covariance within three standard errors. */
static void test_marginals(void **state)
{
    (void)state;
    enum { MANY = 25000 };
    static const double at[] = {1e-3, 0.1, 0.3, 0.6, 1};
    ebb_target t = mixture();
    double mean[DIM], cov[DIM * DIM], *x = memory(MANY * DIM), *noise = memory(MANY * DIM);
    ebb_target_moments(&t, mean, cov);
    for (int kind = EBB_PROCESS_VP; kind <= EBB_PROCESS_SUBVP; kind++) {
        ebb_process p = usual_process((ebb_process_kind)kind);
        ebb_level first = ebb_process_level(&p, at[0]);
        ebb_target_sample(&t, 21, 0, MANY, x, NULL);
        walk_start(ctx, &p, 23, NULL, MANY, DIM, noise);
        for (int64_t i = 0; i < MANY * DIM; i++)
            x[i] = first.alpha * x[i] + first.sigma * noise[i];
        for (size_t k = 1; k < sizeof at / sizeof at[0]; k++) {
            ebb_level level = ebb_process_level(&p, at[k]);
            solve(&p, &t, MANY, 1e-4, at[k - 1], at[k], x);
            for (int c = 0; c < DIM * DIM; c++) {
                double centre_a = level.alpha * mean[c / DIM], centre_b = level.alpha * mean[c % DIM], sum = 0, squares = 0;
                double want = level.alpha * level.alpha * cov[c] + (c / DIM == c % DIM ? level.sigma * level.sigma : 0);
                double first_sum = 0;
                for (int64_t i = 0; i < MANY; i++) {
                    double product = (x[i * DIM + c / DIM] - centre_a) * (x[i * DIM + c % DIM] - centre_b);
                    sum += product;
                    squares += product * product;
                    first_sum += x[i * DIM + c / DIM] - centre_a;
                }
                double got = sum / MANY, error = sqrt((squares / MANY - got * got) / MANY);
                double own = level.alpha * level.alpha * cov[(c / DIM) * (DIM + 1)] + level.sigma * level.sigma;
                if (!(fabs(got - want) < 3 * error + 1e-3 * want) || !(fabs(first_sum / MANY) < 3 * sqrt(own / MANY) + 1e-3))
                    fail_msg("%s, t %g: covariance %d is %g, of the law %g; mean off by %g", ebb_process_name(p.kind), at[k], c,
                             got, want, first_sum / MANY);
            }
        }
        ebb_process_free(&p);
    }
    ebb_free(x);
    ebb_free(noise);
    ebb_target_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders), cmocka_unit_test(test_orders_of_flow),     cmocka_unit_test(test_tolerance), cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_marginals),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
