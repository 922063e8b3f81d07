/* test_samplers.c: what every row of samplers.def promises: samples that depend on seed and index only, the law of the
 * data, clipping, stopping, counts of evaluations; and the texts that name samplers and grids.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/one_context.h"
#include "support/walks.h"

/* ---- what is walked over -------------------------------------------------------------------------------------- */

enum { N = 5, DIM = 3 };

/* Normal data of mean 0.5 and that variance in each number. */
static ebb_target normal_data(int dim, double variance)
{
    double weight = 1, mean[EBB_TARGET_DIM_MAX], cov[EBB_TARGET_DIM_MAX * EBB_TARGET_DIM_MAX];
    ebb_target t;
    for (int i = 0; i < dim * dim; i++) {
        mean[i / dim] = 0.5;
        cov[i] = i % (dim + 1) == 0 ? variance : 0;
    }
    ok(ebb_target_create(ctx, 1, dim, &weight, mean, cov, NULL, &t));
    return t;
}

static ebb_grid usual_grid(const ebb_sampler *s, const ebb_process *p, int steps)
{
    ebb_grid g;
    ok(ebb_grid_create(ctx, p, ebb_sampler_grid(s, p), &(ebb_grid_options){.steps = steps}, &g));
    return g;
}

/* Not every sampler can follow every process: those say so, and none refuses all. */
static bool refuses(const ebb_sampler *s, const ebb_process *p, const ebb_grid *g, const ebb_field *f)
{
    ebb_walk w = {.sampler = s, .process = p, .grid = g, .field = f, .set = ebb_settings_default()};
    return ebb_walk_check(ctx, &w) != EBB_OK;
}

/* ---- seed and index ------------------------------------------------------------------------------------------- */

static void walk_samples(walk_job job, const uint32_t *sample, int64_t n, double *x)
{
    job.sample = sample;
    job.n = n;
    job.x = x;
    walk_start(ctx, job.process, job.seed, sample, n, DIM, x);
    ok(walk_run(ctx, &job));
}

static void check_batches(walk_job job)
{
    static const uint32_t up[N] = {3, 4, 5, 6, 7}, mixed[N] = {7, 3, 6, 4, 5};
    double a[N][DIM], b[N][DIM], one[DIM];
    walk_samples(job, up, N, a[0]);
    walk_samples(job, mixed, N, b[0]);
    for (int i = 0; i < N; i++) {
        assert_memory_equal(b[i], a[mixed[i] - 3], sizeof one);
        walk_samples(job, up + i, 1, one);
        assert_memory_equal(one, a[i], sizeof one);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(a[i], a[j], sizeof one);
    }
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++)
        if (ebb_isa_available((ebb_isa)isa)) {
            job.kernels = ebb_kernels_get((ebb_isa)isa);
            walk_samples(job, up, N, b[0]);
            assert_memory_equal(a, b, sizeof a);
        }
    job.seed++;
    walk_samples(job, up, N, b[0]);
    assert_memory_not_equal(a, b, sizeof a);
}

/* Alone, in a batch, in another order, on every instruction set: the same bits. */
static void test_batches(void **state)
{
    (void)state;
    int walked[256] = {0};
    ebb_target t = normal_data(DIM, 0.36);
    ebb_target_field self = {.all = &t, .n = N};
    ebb_field field = ebb_field_of_target(&self);
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = usual_process((ebb_process_kind)kind);
        for (int which = 0; ebb_sampler_at(which) != NULL; which++) {
            const ebb_sampler *s = ebb_sampler_at(which);
            ebb_grid g = usual_grid(s, &p, 9);
            ebb_sampler_settings set = ebb_settings_default();
            set.eta = 0.7;
            set.denoise = 0; /* a clipped x_0 at the end may be the same corner of [-1,1]^3 for several */
            if (!refuses(s, &p, &g, &field)) {
                check_batches((walk_job){.sampler = s->name, .set = &set, .process = &p, .grid = &g, .target = &t,
                                         .clip = true, .seed = 11});
                walked[which]++;
            }
            ebb_grid_free(&g);
        }
        ebb_process_free(&p);
    }
    for (int which = 0; ebb_sampler_at(which) != NULL; which++)
        if (walked[which] == 0 && strcmp(ebb_sampler_at(which)->name, "ddpm-learned") != 0)
            fail_msg("%s refuses every process", ebb_sampler_at(which)->name);
    ebb_target_free(&t);
}

/* ---- laws ----------------------------------------------------------------------------------------------------- */

/* x' = keep_x x + keep_x0 E[x_0|x] + noise z of one step of ddpm, ddpm-large and ddim(eta). */
typedef struct transition { double keep_x, keep_x0, noise; } transition;

static transition transition_of(const char *sampler, ebb_level t, ebb_level s, double eta)
{
    double abar = t.alpha * t.alpha, next = s.alpha * s.alpha, ratio = abar / next;
    double posterior = (1 - next) / (1 - abar) * (1 - ratio);
    if (strcmp(sampler, "ddim") == 0) {
        double keep = sqrt(1 - next - eta * eta * posterior) / t.sigma;
        return (transition){keep, s.alpha - keep * t.alpha, eta * sqrt(posterior)};
    }
    double variance = strcmp(sampler, "ddpm") == 0 ? posterior : next < 1 ? 1 - ratio : 0;
    return (transition){sqrt(ratio) * (1 - next) / (1 - abar), s.alpha * (1 - ratio) / (1 - abar), sqrt(variance)};
}

/* The law of the output on normal data follows from the transitions: every step is linear. Wrong or repeated noise shows
 * in the variance. */
static void test_law(void **state)
{
    (void)state;
    enum { ROWS = 512, D = 32, STEPS = 20 };
    static double x[ROWS * D];
    static const char *const names[] = {"ddpm", "ddpm-large", "ddim"};
    ebb_target t = normal_data(D, 0.36);
    ebb_process p = usual_process(EBB_PROCESS_DDPM);
    for (int which = 0; which < 3; which++) {
        double mean = 0, var = 1;
        ebb_grid g = usual_grid(ebb_sampler_find(names[which]), &p, STEPS);
        ebb_sampler_settings set = ebb_settings_default();
        set.eta = 0.5;
        for (int k = 0; k < STEPS; k++) {
            ebb_level at = g.level[k];
            transition q = transition_of(names[which], at, g.level[k + 1], set.eta);
            double x0_slope = at.alpha * 0.36 / (at.alpha * at.alpha * 0.36 + at.sigma * at.sigma);
            double slope = q.keep_x0 * x0_slope + q.keep_x;
            mean = slope * mean + q.keep_x0 * (0.5 - x0_slope * at.alpha * 0.5);
            var = slope * slope * var + q.noise * q.noise;
        }
        walk_start(ctx, &p, 5, NULL, ROWS, D, x);
        walk_job job = {.sampler = names[which], .set = &set, .process = &p, .grid = &g, .target = &t, .n = ROWS, .x = x,
                        .seed = 5};
        ok(walk_run(ctx, &job));
        double sum = 0, squares = 0;
        for (int i = 0; i < ROWS * D; i++) {
            sum += x[i];
            squares += (x[i] - mean) * (x[i] - mean);
        }
        /* five standard errors */
        assert_true(fabs(sum / (ROWS * D) - mean) < 5 * sqrt(var / (ROWS * D)));
        assert_true(fabs(squares / (ROWS * D) - var) < 5 * var * sqrt(2.0 / (ROWS * D)));
        ebb_grid_free(&g);
    }
    ebb_process_free(&p);
    ebb_target_free(&t);
}

/* Whether it aims at the law of the data from the noise of the process: walks at one level do not, nor do correctors that
 * follow levels without a predictor; and with one their step, by the ratio of two norms, is coarse in three dimensions. */
static bool aims(const char *name)
{
    static const char *const others[] = {"langevin", "mala", "gradient-flow", "annealed-langevin", "corrector",
                                         "pc", "pc-euler", "pc-ancestral", "pc-flow"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0)
            return false;
    return true;
}

static void check_moments(const ebb_sampler *s, const ebb_process *p, const double *x, int64_t count)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(x[i]))
            fail_msg("%s on %s: not finite", s->name, ebb_process_name(p->kind));
        sum += x[i];
        squares += (x[i] - 0.5) * (x[i] - 0.5);
    }
    double mean = sum / (double)count, variance = squares / (double)count;
    /* Its first step from alpha 0 keeps 2 and pushes 1/2: 3/2 x in place of x, whatever the steps. */
    bool stable = p->kind != EBB_PROCESS_FLOW || strcmp(s->name, "flow-predictor") != 0;
    if (aims(s->name) && stable && !(fabs(mean - 0.5) < 0.15 && variance > 0.36 * 0.5 && variance < 0.36 * 1.65))
        fail_msg("%s on %s: mean %g, variance %g; the law has 0.5, 0.36", s->name, ebb_process_name(p->kind), mean, variance);
}

/* On its usual grid, from the noise of each process, with its usual settings: near the law, by what the row says it costs. */
static void test_every_process(void **state)
{
    (void)state;
    enum { ROWS = 100, STEPS_MAX = 300 };
    static double x[ROWS * DIM];
    ebb_target t = normal_data(DIM, 0.36);
    ebb_target_field self = {.all = &t, .n = ROWS};
    ebb_field field = ebb_field_of_target(&self);
    for (int kind = 0; kind < EBB_PROCESS_COUNT; kind++) {
        ebb_process p = usual_process((ebb_process_kind)kind);
        for (int which = 0; ebb_sampler_at(which) != NULL; which++) {
            const ebb_sampler *s = ebb_sampler_at(which);
            int steps = s->default_steps < STEPS_MAX ? s->default_steps : STEPS_MAX;
            ebb_grid g = usual_grid(s, &p, steps);
            walk_start(ctx, &p, 17, NULL, ROWS, DIM, x);
            walk_job job = {.sampler = s->name, .process = &p, .grid = &g, .target = &t, .n = ROWS, .x = x, .seed = 17};
            if (!refuses(s, &p, &g, &field)) {
                ok(walk_run(ctx, &job));
                check_moments(s, &p, x, ROWS * DIM);
                int64_t said = (int64_t)s->evaluations * g.steps;
                if (said > 0 && !(job.nfe >= said - s->evaluations && job.nfe <= said + s->evaluations + (strcmp(s->name, "pndm") == 0 ? 9 : 1)))
                    fail_msg("%s on %s: %lld evaluations in %d steps; its row says %d a step", s->name,
                             ebb_process_name(p.kind), (long long)job.nfe, g.steps, s->evaluations);
            }
            ebb_grid_free(&g);
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&t);
}

/* ---- clipping ------------------------------------------------------------------------------------------------- */

static void broken_predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    const double *wanted = self;
    for (int d = 0; d < 4; d++) {
        if (eps != NULL)
            eps[d] = wanted[d];
        if (x0 != NULL)
            x0[d] = (x[d] - at->sigma * wanted[d]) / at->alpha;
    }
}

/* Estimates of x_0 are kept in [-1,1], noise agrees with them, and a NaN stays one: a broken network must show. */
static void test_clip(void **state)
{
    (void)state;
    double eps[4] = {-5, 5, 0, NAN};
    ebb_level level[2] = {{0, 0.1, sqrt(0.99)}, {0, 1, 0}};
    ebb_grid g = {.steps = 1, .level = level};
    ebb_process p = usual_process(EBB_PROCESS_VP);
    ebb_field field = {.n = 1, .count = 4, .predict = broken_predict, .self = eps};
    for (int clip = 0; clip < 2; clip++) {
        double x[4] = {0, 0, 0.05, 0};
        walk_job job = {.sampler = "ddpm", .process = &p, .grid = &g, .field = &field, .n = 1, .x = x, .clip = clip};
        ok(walk_run(ctx, &job));
        assert_true(clip ? x[0] == 1 && x[1] == -1 : x[0] > 40 && x[1] < -40);
        assert_true(fabs(x[2] - 0.5) < 1e-12 && isnan(x[3]));
    }
    /* The noise that the clipped x_0 leaves: one step of ddim to half the noise keeps x = alpha x0 + sigma eps. */
    level[1] = (ebb_level){0, 0.8, 0.6};
    eps[3] = 0;
    double x[4] = {0, 0, 0.05, 0};
    walk_job job = {.sampler = "ddim", .process = &p, .grid = &g, .field = &field, .n = 1, .x = x, .clip = true};
    ok(walk_run(ctx, &job));
    assert_true(fabs(x[0] - (0.8 - 0.6 * 0.1 / level[0].sigma)) < 1e-12);
    ebb_process_free(&p);
}

/* ---- stopping -------------------------------------------------------------------------------------------------- */

/* After the third evaluation, or the second step, nothing more is asked. */
static void test_stop(void **state)
{
    (void)state;
    ebb_target t = normal_data(DIM, 0.36);
    ebb_target_field self = {.all = &t, .n = 1};
    ebb_field field = ebb_field_of_target(&self);
    ebb_process p = usual_process(EBB_PROCESS_VP);
    for (int which = 0; ebb_sampler_at(which) != NULL; which++) {
        const ebb_sampler *s = ebb_sampler_at(which);
        ebb_grid g = usual_grid(s, &p, 9);
        if (refuses(s, &p, &g, &field)) {
            ebb_grid_free(&g);
            continue;
        }
        double x[DIM] = {0.1, 0.2, 0.3};
        walk_job job = {.sampler = s->name, .process = &p, .grid = &g, .target = &t, .n = 1, .x = x, .stop_evaluation = 3};
        ok(walk_run(ctx, &job));
        if (!job.stopped || job.nfe != 3)
            fail_msg("%s: told to stop at evaluation 3, stopped %d after %lld", s->name, job.stopped, (long long)job.nfe);
        job.stop_evaluation = 0;
        job.stop_step = 2;
        ok(walk_run(ctx, &job));
        if (!job.stopped || job.steps != 2)
            fail_msg("%s: told to stop at step 2, stopped %d after %lld", s->name, job.stopped, (long long)job.steps);
        ebb_grid_free(&g);
    }
    ebb_process_free(&p);
    ebb_target_free(&t);
}

/* ---- the table and its texts ------------------------------------------------------------------------------------ */

static void test_table(void **state)
{
    (void)state;
    int count = 0;
    for (const ebb_sampler *s; (s = ebb_sampler_at(count)) != NULL; count++) {
        assert_ptr_equal(ebb_sampler_find(s->name), s);
        assert_true(s->default_steps > 0 && s->buffers > 0 && s->evaluations >= 0 && strlen(s->help) > 0);
        assert_non_null(ebb_grid_find(s->grid));
        assert_non_null(ebb_grid_find(s->chain_grid));
        assert_false(ebb_grid_find(s->grid)->discrete);
    }
    assert_true(count >= 3);
    assert_null(ebb_sampler_at(-1));
    assert_null(ebb_sampler_find("ddpn"));
    for (const ebb_setting *s = ebb_settings; s->name != NULL; s++)
        assert_true(strlen(s->help) > 0 && s->min < s->max
                    && (isnan(s->initial) || (s->initial >= s->min && s->initial <= s->max)));
}

static void refused(const char *text, ebb_status want, const char *says)
{
    const ebb_sampler *s;
    ebb_sampler_settings set;
    assert_int_equal(ebb_sampler_parse(ctx, text, &s, &set), want);
    if (strstr(ebb_message(ctx), says) == NULL)
        fail_msg("'%s': \"%s\" does not say \"%s\"", text, ebb_message(ctx), says);
}

static void test_sampler_texts(void **state)
{
    (void)state;
    const ebb_sampler *s;
    ebb_sampler_settings set;
    ok(ebb_sampler_parse(ctx, "ddim", &s, &set));
    assert_string_equal(s->name, "ddim");
    assert_true(isnan(set.eta));
    ok(ebb_sampler_parse(ctx, "ddim:eta=0.25", &s, &set));
    assert_true(set.eta == 0.25);
    refused("ddimm", EBB_E_USAGE, "did you mean 'ddim'");
    refused("ddim:eta", EBB_E_USAGE, "key=number");
    refused("ddim:eta=x", EBB_E_ARGUMENT, "a number is needed");
    refused("ddim:eta=0.5x", EBB_E_ARGUMENT, "a number is needed");
    refused("edm:churn=x", EBB_E_ARGUMENT, "churn: a number is needed");
    refused("edm:chrun=1", EBB_E_USAGE, "did you mean 'churn'");
    refused("ddim:eta=nan", EBB_E_ARGUMENT, "a number is needed");
    refused("ddim:eta=2", EBB_E_ARGUMENT, "outside 0..1");
    refused("ddim:ete=1", EBB_E_USAGE, "did you mean 'eta'");
    refused("ddim:,", EBB_E_USAGE, "key=number");
    refused("ddim:churn=40", EBB_E_USAGE, "sampler ddim takes no 'churn'; it takes eta");
    refused("heun:snr=.1", EBB_E_USAGE, "sampler heun takes no 'snr'; it takes none");
    refused("unipc:order=2.5", EBB_E_ARGUMENT, "whole number");
    for (int i = 0; ebb_sampler_at(i) != NULL; i++) {
        bool takes = ebb_taker_has(&(ebb_taker){.takes = ebb_sampler_at(i)->settings}, "eta");
        set = ebb_settings_default();
        assert_int_equal(ebb_sampler_set_eta(ctx, ebb_sampler_at(i), 0.5, &set), takes ? EBB_OK : EBB_E_USAGE);
        assert_true(takes ? set.eta == 0.5 : isnan(set.eta));
        ok(ebb_sampler_set_eta(ctx, ebb_sampler_at(i), NAN, &set));
    }
    refused("a-name-that-is-far-too-long-to-be-one-of-any-sampler-in-whatever-list", EBB_E_USAGE, "no name");
}

static void refused_grid(const char *text, ebb_status want, const char *says)
{
    const char *kind;
    ebb_grid_options o;
    assert_int_equal(ebb_grid_parse(ctx, text, &kind, &o), want);
    if (strstr(ebb_message(ctx), says) == NULL)
        fail_msg("'%s': \"%s\" does not say \"%s\"", text, ebb_message(ctx), says);
}

static void test_grid_texts(void **state)
{
    (void)state;
    const char *kind;
    ebb_grid_options o;
    ok(ebb_grid_parse(ctx, "", &kind, &o));
    assert_null(kind);
    ok(ebb_grid_parse(ctx, "uniform:t_start=0.9,t_end=0.01,clean=1", &kind, &o));
    assert_string_equal(kind, "uniform");
    assert_true(o.t_start == 0.9 && o.t_end == 0.01 && o.clean && !o.alpha_to_first);
    ok(ebb_grid_parse(ctx, "leading:offset=1,keep_last=1", &kind, &o));
    assert_true(o.offset == 1 && o.keep_last);
    refused_grid("unifrom", EBB_E_USAGE, "did you mean 'uniform'");
    refused_grid("uniform:t_and=1", EBB_E_USAGE, "did you mean 't_end'");
    refused_grid("uniform:t_end=inf", EBB_E_ARGUMENT, "no usable number");
    refused_grid("uniform:t_end", EBB_E_USAGE, "key=number");
    refused_grid("uniform:rho=3", EBB_E_USAGE, "grid uniform takes no 'rho'; it takes t_start,t_end,clean,alpha_to_first");
    refused_grid("karras:counts=3", EBB_E_USAGE, "grid karras takes no 'counts'");
    refused_grid("leading:offset=1.5", EBB_E_ARGUMENT, "whole number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches), cmocka_unit_test(test_law),           cmocka_unit_test(test_every_process),
                 cmocka_unit_test(test_clip),
        cmocka_unit_test(test_stop),    cmocka_unit_test(test_table),         cmocka_unit_test(test_sampler_texts),
        cmocka_unit_test(test_grid_texts),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
