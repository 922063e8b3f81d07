/* test_guided.c: guided fields over exact laws, where every part is known: what they are put together of, how a classifier's
 * gradient acts in both forms, and Bayes' rule for one backward step.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/guide.h"
#include "sample/guided.h"
#include "support/laws.h"
#include "support/walks.h"

enum { ROWS = 6, DIM = 2, NUMBERS = ROWS * DIM };

/* Points at levels from data to noise, one row each. */
static void points(const ebb_process *p, double *x, ebb_level *at)
{
    for (int i = 0; i < ROWS; i++) {
        at[i] = ebb_process_level(p, p->end * (0.03 + 0.95 * i / (ROWS - 1)));
        for (int d = 0; d < DIM; d++)
            x[i * DIM + d] = 1.3 * sin(3 * i + 1.7 * d + 0.4);
    }
}

/* A law, the part of it that is one class, and fields over both. */
typedef struct laws {
    ebb_process process;
    ebb_target all, one;
    ebb_target_field of_all, of_one, both;
    double x[NUMBERS];
    ebb_level at[ROWS];
    double *work;
} laws;

static void laws_make(laws *l)
{
    l->process = law_process(EBB_PROCESS_VP, 0);
    l->all = law_mixture();
    law_ok(ebb_target_class(law_ctx, &l->all, 1, &l->one));
    l->of_all = (ebb_target_field){.all = &l->all, .n = ROWS};
    l->of_one = (ebb_target_field){.all = &l->one, .n = ROWS};
    l->work = law_memory(ebb_guided_work(ROWS, DIM));
    memset(l->work, 0xff, ebb_guided_work(ROWS, DIM) * sizeof *l->work);
    points(&l->process, l->x, l->at);
}

static void laws_free(laws *l)
{
    ebb_process_free(&l->process);
    ebb_target_free(&l->all);
    ebb_target_free(&l->one);
    ebb_free(l->work);
}

static void near_all(const char *what, const double *got, const double *want, double allowed)
{
    for (int i = 0; i < NUMBERS; i++)
        law_near(what, got[i], want[i], allowed * (1 + fabs(want[i])));
}

/* ---- parts ---------------------------------------------------------------------------------------------------------- */

/* The same as the law's own guided field, whatever is asked of it; w 0 and -1 are the parts themselves. */
static void test_mixture(void **state)
{
    static const double weights[] = {-2, -1, -0.5, 0, 1.5};
    (void)state;
    laws l;
    laws_make(&l);
    for (int k = 0; k < 5; k++) {
        double eps[NUMBERS], x0[NUMBERS], score[NUMBERS], want_eps[NUMBERS], want_x0[NUMBERS], want_score[NUMBERS];
        l.both = (ebb_target_field){.all = &l.all, .one = &l.one, .w = weights[k], .n = ROWS};
        ebb_guided g = {.main = ebb_field_of_target(&l.of_one), .other = ebb_field_of_target(&l.of_all), .w = weights[k], .work = l.work};
        ebb_field field = ebb_field_guided(&g), own = ebb_field_of_target(&l.both);
        own.predict(own.self, l.x, l.at, want_eps, want_x0);
        own.score(own.self, l.x, l.at, want_score);
        field.predict(field.self, l.x, l.at, eps, x0);
        assert_int_equal(ebb_field_evaluations(&field), weights[k] == 0 ? 1 : 2);
        near_all("eps", eps, want_eps, 1e-12);
        near_all("x0", x0, want_x0, 1e-10);
        field.predict(field.self, l.x, l.at, NULL, x0);
        near_all("x0 alone", x0, want_x0, 1e-10);
        field.predict(field.self, l.x, l.at, eps, NULL);
        near_all("eps alone", eps, want_eps, 1e-12);
        field.score(field.self, l.x, l.at, score);
        near_all("score", score, want_score, 1e-12);
        assert_true(field.lead == NULL && field.variance == NULL);
    }
    laws_free(&l);
}

/* J'v of the mixture is the law's own, where rows are guided; else main's. What a gradient adds has none. */
static void test_pullback(void **state)
{
    (void)state;
    laws l;
    laws_make(&l);
    double v[NUMBERS], got[NUMBERS], want[NUMBERS], main[NUMBERS];
    l.both = (ebb_target_field){.all = &l.all, .one = &l.one, .w = 1.5, .n = ROWS};
    ebb_guided g = {.main = ebb_field_of_target(&l.of_one), .other = ebb_field_of_target(&l.of_all), .w = 1.5, .work = l.work};
    ebb_field field = ebb_field_guided(&g), own = ebb_field_of_target(&l.both);
    for (int i = 0; i < NUMBERS; i++)
        v[i] = cos(2.3 * i);
    own.pullback(own.self, l.x, l.at, v, want);
    field.pullback(field.self, l.x, l.at, v, got);
    assert_int_equal(ebb_field_evaluations(&field), 2);
    near_all("J'v", got, want, 1e-10);
    g.main.pullback(g.main.self, l.x, l.at, v, main);
    g.low = l.at[2].sigma / l.at[2].alpha;
    field.pullback(field.self, l.x, l.at, v, got);
    for (int i = 0; i < NUMBERS; i++)
        law_near("J'v of a row", got[i], (i < 3 * DIM ? main : want)[i], 1e-10 * (1 + fabs(want[i])));
    g.low = 1e9;
    field.pullback(field.self, l.x, l.at, v, got);
    assert_int_equal(ebb_field_evaluations(&field), 1);
    assert_memory_equal(got, main, sizeof got);
    g.leads = 1;
    assert_null(ebb_field_guided(&g).pullback);
    g.leads = 0;
    g.other.pullback = NULL;
    assert_null(ebb_field_guided(&g).pullback);
    laws_free(&l);
}

/* Rows whose sigma/alpha lies within (low, high] are guided, the others are main's; and none asks for other where none acts. */
static void test_interval(void **state)
{
    (void)state;
    laws l;
    laws_make(&l);
    double eps[NUMBERS], main[NUMBERS], guided[NUMBERS], ratio[ROWS];
    ebb_guided g = {.main = ebb_field_of_target(&l.of_one), .other = ebb_field_of_target(&l.of_all), .w = 2, .work = l.work};
    ebb_field field = ebb_field_guided(&g), own = ebb_field_of_target(&l.of_one);
    field.predict(field.self, l.x, l.at, guided, NULL);
    own.predict(own.self, l.x, l.at, main, NULL);
    for (int i = 0; i < ROWS; i++)
        ratio[i] = l.at[i].sigma / l.at[i].alpha;
    g.low = ratio[1];            /* not the end itself */
    g.high = ratio[3] * (1 + 1e-12);
    field.predict(field.self, l.x, l.at, eps, NULL);
    assert_int_equal(ebb_field_evaluations(&field), 2);
    for (int i = 0; i < ROWS; i++)
        for (int d = 0; d < DIM; d++)
            assert_true(eps[i * DIM + d] == (i == 2 || i == 3 ? guided : main)[i * DIM + d]);
    assert_true(memcmp(guided + 2 * DIM, main + 2 * DIM, sizeof(double)) != 0);
    g.low = 2 * ratio[ROWS - 1];
    g.high = 0;
    field.predict(field.self, l.x, l.at, eps, NULL);
    assert_int_equal(ebb_field_evaluations(&field), 1);
    assert_memory_equal(eps, main, sizeof eps);
    laws_free(&l);
}

/* ---- gradients --------------------------------------------------------------------------------------------------------- */

/* grad log p(class|x) = score of the class - score of all. */
static int class_gradient(void *self, const double *x, const ebb_level *at, const double *x0, double *gradient)
{
    const laws *l = self;
    assert_null(x0);
    for (int i = 0; i < ROWS; i++) {
        double of_all[DIM];
        ebb_target_at(&l->one, x + i * DIM, at[i].alpha, at[i].sigma, NULL, gradient + i * DIM, NULL, NULL);
        ebb_target_at(&l->all, x + i * DIM, at[i].alpha, at[i].sigma, NULL, of_all, NULL, NULL);
        for (int d = 0; d < DIM; d++)
            gradient[i * DIM + d] -= of_all[d];
    }
    return 0;
}

static int other_gradient(void *self, const double *x, const ebb_level *at, const double *x0, double *gradient)
{
    double *seen = self;
    (void)x, (void)at;
    memcpy(seen, x0, NUMBERS * sizeof *seen);
    for (int i = 0; i < NUMBERS; i++)
        gradient[i] = 0.1 * i;
    return 0;
}

/* A classifier from the score of all is guidance w = scale - 1; as a lead it leaves eps alone. */
static void test_gradients(void **state)
{
    (void)state;
    laws l;
    laws_make(&l);
    double eps[NUMBERS], x0[NUMBERS], score[NUMBERS], want[NUMBERS], want_x0[NUMBERS], plain[NUMBERS], plain_x0[NUMBERS], seen[NUMBERS];
    ebb_guided g = {.main = ebb_field_of_target(&l.of_all), .work = l.work, .leads = 1,
                    .lead = {{.gradient = class_gradient, .self = &l, .scale = 2.5, .network = true}}};
    ebb_field field = ebb_field_guided(&g), own = ebb_field_of_target(&l.of_all);
    own.predict(own.self, l.x, l.at, plain, plain_x0);
    l.both = (ebb_target_field){.all = &l.all, .one = &l.one, .w = 1.5, .n = ROWS};
    ebb_field guided = ebb_field_of_target(&l.both);
    guided.predict(guided.self, l.x, l.at, want, want_x0);
    field.predict(field.self, l.x, l.at, eps, x0);
    assert_int_equal(ebb_field_evaluations(&field), 2);
    near_all("classifier, eps", eps, want, 1e-12);
    near_all("classifier, x0", x0, want_x0, 1e-9);
    guided.score(guided.self, l.x, l.at, want);
    field.score(field.self, l.x, l.at, score);
    near_all("classifier, score", score, want, 1e-12);

    g.mean = true;
    field = ebb_field_guided(&g);
    field.predict(field.self, l.x, l.at, eps, NULL);
    assert_memory_equal(eps, plain, sizeof eps);
    class_gradient(&l, l.x, l.at, NULL, want);
    for (int i = 0; i < NUMBERS; i++)
        assert_true(field.lead(field.self)[i] == 2.5 * want[i]);

    /* Two at once; the second sees x_0 as the field without gradients has it. */
    g.mean = false;
    g.lead[g.leads++] = (ebb_lead){.gradient = other_gradient, .self = seen, .scale = -2, .wants_x0 = true};
    field = ebb_field_guided(&g);
    field.predict(field.self, l.x, l.at, eps, NULL);
    assert_memory_equal(seen, plain_x0, sizeof seen);
    for (int i = 0; i < NUMBERS; i++)
        law_near("both", eps[i], plain[i] - l.at[i / DIM].sigma * (2.5 * want[i] - 2 * 0.1 * i), 1e-12);
    laws_free(&l);
}

/* y = x_0 + noise of deviation 0.4, on one normal law: the guided score is that of the law given y, at each level. */
typedef struct observed { double mean, variance, y, noise; } observed;

static int observation(void *self, const double *x, const ebb_level *at, const double *x0, double *gradient)
{
    const observed *o = self;
    for (int i = 0; i < ROWS; i++) {
        double a = at[i].alpha, v = a * a * o->variance + at[i].sigma * at[i].sigma, slope = a * o->variance / v;
        double left = o->variance - slope * a * o->variance;         /* Var(x_0|x) */
        law_near("E[x_0|x]", x0[i], o->mean + slope * (x[i] - a * o->mean), 1e-9);
        gradient[i] = slope * (o->y - x0[i]) / (left + o->noise * o->noise);
    }
    return 0;
}

static void test_posterior(void **state)
{
    (void)state;
    observed o = {.mean = 0.5, .variance = 0.36, .y = 1.4, .noise = 0.4};
    double precision = 1 / o.variance + 1 / (o.noise * o.noise), x[ROWS], got[ROWS], want[ROWS];
    double mean = (o.mean / o.variance + o.y / (o.noise * o.noise)) / precision, *work = law_memory(ebb_guided_work(ROWS, 1));
    ebb_process p = law_process(EBB_PROCESS_VE, 0);
    ebb_target prior = law_normal(o.mean, o.variance), posterior = law_normal(mean, 1 / precision);
    ebb_target_field of_prior = {.all = &prior, .n = ROWS}, of_posterior = {.all = &posterior, .n = ROWS};
    ebb_guided g = {.main = ebb_field_of_target(&of_prior), .work = work, .leads = 1,
                    .lead = {{.gradient = observation, .self = &o, .scale = 1, .wants_x0 = true}}};
    ebb_field field = ebb_field_guided(&g), exact = ebb_field_of_target(&of_posterior);
    ebb_level at[ROWS];
    for (int i = 0; i < ROWS; i++) {
        at[i] = ebb_process_level(&p, 0.05 + 0.15 * i);
        x[i] = 2.0 * i - 4;
    }
    field.predict(field.self, x, at, got, NULL);
    exact.predict(exact.self, x, at, want, NULL);
    for (int i = 0; i < ROWS; i++)
        law_near("eps given y", got[i], want[i], 1e-9);
    field.score(field.self, x, at, got);
    exact.score(exact.self, x, at, want);
    for (int i = 0; i < ROWS; i++)
        law_near("score given y", got[i], want[i], 1e-9);
    ebb_target_free(&prior);
    ebb_target_free(&posterior);
    ebb_process_free(&p);
    ebb_free(work);
}

/* ---- both forms in steps ------------------------------------------------------------------------------------------------- */

/* Where one step from x_t to x_s puts the mean: by the form mean, ddpm's + variance gradient; by epsilon, with the gradient
 * in x_0's estimate, + added/a gradient, a = alpha_t/alpha_s. */
static void test_step(void **state)
{
    static const char *const samplers[] = {"ddpm", "ddpm-large", "euler-ancestral"};
    (void)state;
    laws l;
    laws_make(&l);
    for (int form = 0; form < 2; form++)
        for (int k = 0; k < 3; k++) {
            double plain[NUMBERS], moved[NUMBERS], x[NUMBERS], gradient[NUMBERS];
            ebb_grid grid = {0};
            ebb_guided g = {.main = ebb_field_of_target(&l.of_all), .work = l.work, .leads = 1, .mean = form == 1,
                            .lead = {{.gradient = class_gradient, .self = &l, .scale = 3}}};
            ebb_field field = ebb_field_guided(&g), bare = ebb_field_of_target(&l.of_all);
            law_ok(ebb_grid_create(law_ctx, &l.process, "uniform", &(ebb_grid_options){.steps = 1, .t_start = 0.5, .t_end = 0.4, .keep_last = true}, &grid));
            ebb_level rows[ROWS], t = grid.level[0], s = grid.level[1];
            ebb_between q = ebb_level_between(t, s);
            assert_true(s.sigma > 0);
            walk_job job = {.sampler = samplers[k], .process = &l.process, .grid = &grid, .field = &bare, .n = ROWS, .x = x, .mean = plain};
            memcpy(x, l.x, sizeof x);
            law_ok(walk_run(law_ctx, &job));
            job.field = &field;
            job.mean = moved;
            memcpy(x, l.x, sizeof x);
            law_ok(walk_run(law_ctx, &job));
            for (int i = 0; i < ROWS; i++)
                rows[i] = t;
            class_gradient(&l, l.x, rows, NULL, gradient);
            double variance = k == 1 ? q.added : q.posterior, by = form == 1 ? variance : q.added / (t.alpha / s.alpha);
            for (int i = 0; i < NUMBERS; i++)
                law_near(samplers[k], moved[i] - plain[i], 3 * by * gradient[i], 1e-11);
            ebb_grid_free(&grid);
        }
    laws_free(&l);
}

static void test_refused(void **state)
{
    static const char *const samplers[] = {"ddim", "heun", "euler-maruyama", "euler-ancestral:eta=0.5"};
    (void)state;
    laws l;
    laws_make(&l);
    ebb_grid grid = {0};
    ebb_guided g = {.main = ebb_field_of_target(&l.of_all), .work = l.work, .leads = 1, .mean = true,
                    .lead = {{.gradient = class_gradient, .self = &l, .scale = 1}}};
    ebb_field field = ebb_field_guided(&g);
    law_ok(ebb_grid_create(law_ctx, &l.process, "uniform", &(ebb_grid_options){.steps = 4}, &grid));
    for (int k = 0; k < 4; k++) {
        double x[NUMBERS];
        walk_job job = {.sampler = samplers[k], .process = &l.process, .grid = &grid, .field = &field, .n = ROWS, .x = x};
        memcpy(x, l.x, sizeof x);
        assert_int_equal(walk_run(law_ctx, &job), EBB_E_ARGUMENT);
        assert_non_null(strstr(ebb_message(law_ctx), "take the form epsilon"));
    }
    ebb_grid_free(&grid);
    laws_free(&l);
}

/* ---- Bayes' rule for a step ------------------------------------------------------------------------------------------------ */

/* On a line with two classes: moments of q(x_s|x_t) and q(x_s|x_t,y) by sums over x_s, weights q(x_t|x_s) p_s(x_s), and the
 * right-hand side q(x_s|x_t) p(y|x_s)/p(y|x_t). */
typedef struct step { double mean, mean_y, variance, posterior, posterior_of_step, worst; } step;

static step step_of(const ebb_target *all, const ebb_target *one, int y, ebb_level t, ebb_level s, double x)
{
    enum { POINTS = 8001 };
    static double q[POINTS], q_y[POINTS], of_class[POINTS];
    double a = t.alpha / s.alpha, v = t.sigma * t.sigma - a * a * s.sigma * s.sigma, sum = 0, sum_y = 0, lo = -9, dx = 18.0 / (POINTS - 1);
    double score, posterior[2];
    step f = {0};
    for (int i = 0; i < POINTS; i++) {
        double z = lo + i * dx, log_all, log_one, forward = exp(-0.5 * (x - a * z) * (x - a * z) / v);
        ebb_target_at(all, &z, s.alpha, s.sigma, &log_all, &score, NULL, posterior);
        ebb_target_at(one, &z, s.alpha, s.sigma, &log_one, NULL, NULL, NULL);
        of_class[i] = posterior[y];
        sum += q[i] = forward * exp(log_all);
        sum_y += q_y[i] = forward * exp(log_one);
    }
    for (int i = 0; i < POINTS; i++) {
        f.mean += q[i] / sum * (lo + i * dx);
        f.mean_y += q_y[i] / sum_y * (lo + i * dx);
        f.posterior_of_step += q[i] / sum * of_class[i];
    }
    ebb_target_at(all, &x, t.alpha, t.sigma, NULL, NULL, NULL, posterior);
    f.posterior = posterior[y];
    for (int i = 0; i < POINTS; i++) {
        double z = lo + i * dx - f.mean, by_rule = q[i] / sum * of_class[i] / f.posterior;
        f.variance += q[i] / sum * z * z;
        f.worst = fmax(f.worst, fabs(q_y[i] / sum_y - by_rule) / dx);
    }
    return f;
}

/* q(x_s|x_t,y) = q(x_s|x_t) p(y|x_s)/p(y|x_t), as noise that is added knows nothing of y; its mean moves by variance times the
 * gradient of log p(y|x), up to what is of higher order, and not by the root of the variance. */
static void test_bayes(void **state)
{
    static const double weight[] = {0.35, 0.65}, mean[] = {-1, 1.2}, var[] = {0.25, 0.4};
    double x = 0, error = INFINITY, literal_error = 0.1;
    (void)state;
    ebb_target all, one;
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    law_ok(ebb_target_create(law_ctx, 2, 1, weight, mean, var, NULL, &all));
    law_ok(ebb_target_class(law_ctx, &all, 1, &one));
    for (double dt = 0.08; dt > 0.004; dt /= 2) {
        ebb_level t = ebb_process_level(&p, 0.35), s = ebb_process_level(&p, 0.35 - dt);
        step f = step_of(&all, &one, 1, t, s, x);
        double gradient, of_all, moved, literal;
        law_near("p(y|x_t) as a mean over steps", f.posterior_of_step, f.posterior, 1e-9);
        law_near("Bayes' rule", f.worst, 0, 1e-8);
        ebb_target_at(&one, &f.mean, s.alpha, s.sigma, NULL, &gradient, NULL, NULL);
        ebb_target_at(&all, &f.mean, s.alpha, s.sigma, NULL, &of_all, NULL, NULL);
        gradient -= of_all;
        ebb_guide_mean(1, &f.mean, f.variance, &gradient, 1, false, &moved);
        ebb_guide_mean(1, &f.mean, f.variance, &gradient, 1, true, &literal);
        double off = fabs(moved - f.mean_y) / fabs(f.mean_y - f.mean);
        double literal_off = fabs(literal - f.mean_y) / fabs(f.mean_y - f.mean);
        assert_true(off < 0.55 * error);          /* falls with the step */
        error = off;
        assert_true(literal_off > 1.1 * literal_error);      /* rises */
        literal_error = literal_off;
    }
    assert_true(error < 0.02 && literal_error > 1);
    ebb_target_free(&all);
    ebb_target_free(&one);
    ebb_process_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixture), cmocka_unit_test(test_interval), cmocka_unit_test(test_pullback), cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_posterior), cmocka_unit_test(test_step), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bayes),
    };
    return cmocka_run_group_tests_name("guided fields", tests, laws_begin, laws_end);
}
