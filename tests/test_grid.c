/* test_grid.c: every grid over every process: levels that descend or an error that tells what to do; ends and options;
 * the text that names a grid; and that only alpha_bar matters to DDIM, not the clock. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/diffusion.h"
#include "support/walks.h"

static ebb_context *ctx;

static ebb_process process(ebb_process_kind kind, bool zero_snr)
{
    ebb_process p, wanted = {.kind = kind};
    ebb_schedule_options o = ebb_schedule_usual(EBB_SCHEDULE_LINEAR, 1000);
    o.zero_snr = zero_snr;
    if (kind == EBB_PROCESS_DDPM)
        assert_int_equal(ebb_schedule_make(ctx, &o, &wanted.chain), EBB_OK);
    assert_int_equal(ebb_process_create(ctx, &wanted, &p), EBB_OK);
    return p;
}

static void create(const ebb_process *p, const char *name, const ebb_grid_options *o, ebb_grid *g)
{
    if (ebb_grid_create(ctx, p, name, o, g) != EBB_OK)
        fail_msg("%s on %s: %s", name, ebb_process_name(p->kind), ebb_message(ctx));
}

static ebb_status try_grid(const ebb_process *p, const char *name, const ebb_grid_options *o)
{
    ebb_grid g;
    ebb_status status = ebb_grid_create(ctx, p, name, o, &g);
    if (status == EBB_OK)
        ebb_grid_free(&g);
    return status;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

/* What must work: chain grids on chains; where sigma/alpha has no bound, or t no continuum, some cannot. */
static bool possible(const ebb_grid_kind *kind, const ebb_process *p)
{
    const char *name = kind->name;
    bool boundless = isinf(ebb_process_level(p, p->end).sigma / ebb_process_level(p, p->end).alpha);
    bool needs_bound = strcmp(name, "logsnr") == 0 || strcmp(name, "karras") == 0 || strcmp(name, "exponential") == 0 ||
                       strncmp(name, "gamma", 5) == 0 || (strcmp(name, "budget") == 0 && p->steps == 0);
    if (kind->discrete)
        return p->steps > 0;
    if (strcmp(name, "score-sde") == 0)
        return p->steps == 0;
    return !(boundless && needs_bound);
}

static void check_levels(const ebb_process *p, const char *name, const ebb_grid *g, int steps)
{
    assert_int_equal(g->steps, steps);
    for (int k = 0; k <= steps; k++) {
        const ebb_level *at = &g->level[k];
        assert_true(isfinite(at->alpha) && isfinite(at->sigma) && at->alpha >= 0 && at->sigma >= 0);
        if (k > 0)
            assert_true(at->sigma * at[-1].alpha < at[-1].sigma * at->alpha);
        /* A level lies on the process's curve, up to beyond its end. */
        ebb_level same = ebb_process_level(p, at->t);
        bool beyond = at->t == p->end || at->sigma == 0 || at->t == 0;
        if (!beyond && !(fabs(same.alpha - at->alpha) < 1e-9 && fabs(same.sigma - at->sigma) < 1e-9 * fmax(1, same.sigma)))
            fail_msg("%s on %s: level %d is alpha %g sigma %g, but t %g is %g %g", name, ebb_process_name(p->kind), k, at->alpha,
                     at->sigma, at->t, same.alpha, same.sigma);
    }
}

static void test_all(void **state)
{
    (void)state;
    for (int kind = 0; kind <= EBB_PROCESS_COUNT; kind++) {     /* one more: ddpm with zero terminal SNR */
        bool zero = kind == EBB_PROCESS_COUNT;
        ebb_process p = process(zero ? EBB_PROCESS_DDPM : (ebb_process_kind)kind, zero);
        for (int i = 0; ebb_grid_at(i) != NULL; i++) {
            const ebb_grid_kind *grid = ebb_grid_at(i);
            ebb_grid_options o = {.steps = 10, .sections = {4, 6}, .section_count = 2};
            ebb_grid g;
            ebb_status status = ebb_grid_create(ctx, &p, grid->name, &o, &g);
            if ((status == EBB_OK) != possible(grid, &p))
                fail_msg("%s on %s: %s", grid->name, ebb_process_name(p.kind), status == EBB_OK ? "made" : ebb_message(ctx));
            if (status == EBB_OK)
                check_levels(&p, grid->name, &g, 10);
            else
                assert_true(strlen(ebb_message(ctx)) > 20);
            ebb_grid_free(&g);
        }
        ebb_process_free(&p);
    }
}

/* With a start before the end, grids that need bounds have them. */
static void test_bounded(void **state)
{
    (void)state;
    static const char *const names[] = {"logsnr", "karras", "exponential", "gamma", "gamma-literal", "budget"};
    ebb_process flow = process(EBB_PROCESS_FLOW, false);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ebb_grid g;
        create(&flow, names[i], &(ebb_grid_options){.steps = 7, .t_start = 0.99}, &g);
        check_levels(&flow, names[i], &g, 7);
        assert_true(fabs(g.level[0].t - 0.99) < 1e-9);
        ebb_grid_free(&g);
    }
}

/* ---- ends and options --------------------------------------------------------------------------------------------- */

static void test_ends(void **state)
{
    (void)state;
    ebb_process p = process(EBB_PROCESS_DDPM, false);
    ebb_grid g;
    static const char *const names[] = {"even", "trailing", "linspace", "leading", "karras", "exponential", "budget"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        create(&p, names[i], &(ebb_grid_options){.steps = 10}, &g);
        assert_true(g.level[10].sigma == 0 && g.level[10].alpha == 1);
        ebb_grid_free(&g);
        create(&p, names[i], &(ebb_grid_options){.steps = 10, .keep_last = true}, &g);
        assert_true(g.level[10].sigma > 0);
        ebb_grid_free(&g);
    }
    /* diffusers' set_alpha_to_one=False: the last step after timestep 0 stays there. */
    create(&p, "leading", &(ebb_grid_options){.steps = 10, .alpha_to_first = true}, &g);
    assert_true(g.level[9].t == 0 && g.level[10].sigma == g.level[9].sigma);
    ebb_grid_free(&g);
    create(&p, "trailing", &(ebb_grid_options){.steps = 10, .alpha_to_first = true}, &g);
    assert_true(g.level[9].t == 99 && g.level[10].t == 0);
    ebb_grid_free(&g);
    create(&p, "leading", &(ebb_grid_options){.steps = 10, .offset = 1}, &g);
    assert_true(g.level[0].t == 901 && g.level[9].t == 1);
    ebb_grid_free(&g);
    create(&p, "uniform", &(ebb_grid_options){.steps = 4, .t_start = 500, .t_end = 100}, &g);
    assert_true(g.level[0].t == 500 && g.level[1].t == 400 && g.level[4].t == 100);
    ebb_grid_free(&g);
    create(&p, "uniform", &(ebb_grid_options){.steps = 4, .t_start = 400, .t_end = 100, .clean = true}, &g);
    assert_true(g.level[1].t == 300 && g.level[3].t == 100 && g.level[4].sigma == 0);
    ebb_grid_free(&g);
    ebb_process_free(&p);
}

static ebb_process chain_of(int steps)
{
    ebb_process p, wanted = {.kind = EBB_PROCESS_DDPM};
    ebb_schedule_options o = ebb_schedule_usual(EBB_SCHEDULE_COSINE, steps);
    assert_int_equal(ebb_schedule_make(ctx, &o, &wanted.chain), EBB_OK);
    assert_int_equal(ebb_process_create(ctx, &wanted, &p), EBB_OK);
    return p;
}

/* numpy 1.24's round(arange(T, 0, -T/n)) - 1 where T/n is no whole number. Of the halves, some are exact and go to the
 * even neighbour (25 by 10; 1001 by 10), and some arange makes a little less or more (7 by 6: 3.5000000000000004). */
static void test_trailing(void **state)
{
    (void)state;
    static const struct { int chain, steps, t[14]; } cases[] = {
        {7, 6, {6, 5, 4, 2, 1, 0}},
        {11, 6, {10, 8, 6, 4, 3, 1}},
        {17, 12, {16, 15, 13, 12, 10, 9, 8, 6, 5, 3, 2, 0}},
        {25, 10, {24, 21, 19, 17, 14, 11, 9, 7, 4, 1}},
        {999, 14, {998, 927, 855, 784, 713, 641, 570, 498, 427, 356, 284, 213, 142, 70}},
        {15, 13, {14, 13, 12, 11, 9, 8, 7, 6, 5, 4, 2, 1, 0}},
        {1001, 10, {1000, 900, 800, 700, 600, 499, 399, 299, 199, 99}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ebb_process p = chain_of(cases[i].chain);
        ebb_grid g;
        create(&p, "trailing", &(ebb_grid_options){.steps = cases[i].steps}, &g);
        for (int k = 0; k < cases[i].steps; k++)
            if (g.level[k].t != cases[i].t[k])
                fail_msg("trailing, %d of %d: timestep %d is %g, numpy's %d", cases[i].steps, cases[i].chain, k, g.level[k].t,
                         cases[i].t[k]);
        ebb_grid_free(&g);
        ebb_process_free(&p);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    ebb_process ou = process(EBB_PROCESS_OU, false), vp = process(EBB_PROCESS_VP, false);
    ebb_grid g, literal, other;
    create(&ou, "gamma", &(ebb_grid_options){.steps = 20}, &g);
    create(&ou, "gamma-literal", &(ebb_grid_options){.steps = 20}, &literal);
    double sum = 0;
    for (int k = 0; k < 20; k++) {
        assert_true(fabs(g.dt[k] - (g.level[k].t - g.level[k + 1].t)) < 1e-14);
        assert_true(k == 0 || (g.dt[k] < g.dt[k - 1] && literal.dt[k] > literal.dt[k - 1]));
        sum += g.dt[k];
    }
    assert_true(fabs(sum - 5) < 1e-13 && fabs(g.level[0].t - 5) < 1e-13 && fabs(literal.level[0].t - 5) < 1e-13);
    /* The same chain over vp, which is ou with another clock: the same levels. */
    create(&vp, "gamma", &(ebb_grid_options){.steps = 20, .gamma_min = g.dt[19] - (g.dt[0] - g.dt[19]) / 19, .gamma_max = g.dt[0]},
           &other);
    for (int k = 0; k <= 20; k++)
        assert_true(fabs(other.level[k].alpha - g.level[k].alpha) < 1e-12);
    ebb_grid_free(&g);
    ebb_grid_free(&literal);
    ebb_grid_free(&other);
    create(&vp, "score-sde", &(ebb_grid_options){.steps = 50}, &g);
    assert_true(g.dt[7] == 1.0 / 50 && g.level[0].t == 1 && g.level[49].t == 1e-3 && g.level[50].sigma == 0);
    ebb_grid_free(&g);
}

static void test_refusals(void **state)
{
    (void)state;
    ebb_process p = process(EBB_PROCESS_DDPM, false), vp = process(EBB_PROCESS_VP, false);
    const struct { const char *name; ebb_grid_options o; const char *says; const ebb_process *p; } cases[] = {
        {"stride", {.steps = 300}, "no whole stride", &p},
        {"sections", {.steps = 7}, "counts=", &p},
        {"sections", {.steps = 7, .sections = {3, 3}, .section_count = 2}, "add up to 6", &p},
        {"sections", {.steps = 601, .sections = {600, 1}, .section_count = 2}, "section 1", &p},
        {"leading", {.steps = 10, .offset = 200}, "offset 200", &p},
        {"even", {.steps = 1000, .keep_last = true}, "1001 timesteps", &p},
        {"even", {.steps = 1001}, "1 to 1000", &p},
        {"even", {.steps = 10}, "continuous", &vp},
        {"uniform", {.steps = 10, .t_start = 0.2, .t_end = 0.3}, "t = 0.2", &vp},
        {"uniform", {.steps = 10, .t_start = 2}, "t = 2", &vp},
        {"karras", {.steps = 10, .rho = -1}, "rho", &vp},
        {"karras", {.steps = 10, .sigma_min = 3, .sigma_max = 2}, "sigma_min < sigma_max", &vp},
        {"edm-iddpm", {.steps = 10, .m = 8}, "only", &vp},
        {"gamma", {.steps = 10, .gamma_min = 0.3, .gamma_max = 0.2}, "gamma_min", &vp},
        {"budget", {.steps = 10, .candidates = 5000}, "candidates", &vp},
        {"budget", {.steps = 10, .data_var = -1}, "variance", &vp},
        {"nothing", {.steps = 10}, "no grid", &vp},
        {"uniform", {.steps = 0}, "0 steps", &vp},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (try_grid(cases[i].p, cases[i].name, &cases[i].o) == EBB_OK)
            fail_msg("%s, case %zu: was made", cases[i].name, i);
        if (strstr(ebb_message(ctx), cases[i].says) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].name, ebb_message(ctx), cases[i].says);
    }
    ebb_process_free(&p);
}

static void test_text(void **state)
{
    (void)state;
    const char *kind;
    ebb_grid_options o;
    assert_int_equal(ebb_grid_parse(ctx, "sections:counts=10+5+5,keep_last=1", &kind, &o), EBB_OK);
    assert_string_equal(kind, "sections");
    assert_true(o.section_count == 3 && o.sections[0] == 10 && o.sections[2] == 5 && o.steps == 19 && o.keep_last);
    ebb_process p = process(EBB_PROCESS_DDPM, false);
    ebb_grid g;
    create(&p, kind, &o, &g);
    assert_true(g.steps == 19 && g.level[0].t == p.steps - 1 && g.level[19].t == 0 && g.level[19].sigma > 0);
    ebb_grid_free(&g);
    ebb_process_free(&p);
    assert_int_equal(ebb_grid_parse(ctx, "edm-iddpm:m=500,c1=0.002", &kind, &o), EBB_OK);
    assert_true(o.m == 500 && o.c1 == 0.002 && o.steps == 0);
    static const char *const bad[] = {"sections:counts=", "sections:counts=10+", "sections:counts=10x", "sections:counts=0",
                                      "sections:counts=-3", "karas", "karras:rho", "karras:sigma=3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(ebb_grid_parse(ctx, bad[i], &kind, &o), EBB_OK);
}

/* ---- a schedule is a clock ------------------------------------------------------------------------------------- */

static void run_ddim(const ebb_process *p, const ebb_grid *g, double *x)
{
    ebb_target law;
    const double start[8] = {1.2, -0.7, -0.35, 1.1, 0.05, -0.02, -2.1, -1.6};
    const double weight[] = {0.2, 0.8}, mean[] = {-1.5, 0.5, 1, -0.4}, cov[] = {0.08, 0.02, 0.02, 0.05, 0.1, -0.03, -0.03, 0.2};
    assert_int_equal(ebb_target_create(ctx, 2, 2, weight, mean, cov, NULL, &law), EBB_OK);
    memcpy(x, start, sizeof start);
    walk_job job = {.sampler = "ddim", .process = p, .grid = g, .target = &law, .n = 4, .x = x};
    if (walk_run(ctx, &job) != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
    ebb_target_free(&law);
}

/* The levels of linear's chain, found on other clocks (cosine's chain, vp, ou): the same pictures by DDIM. */
static void test_time_change(void **state)
{
    (void)state;
    ebb_process linear = process(EBB_PROCESS_DDPM, false), others[3] = {{.kind = EBB_PROCESS_DDPM}, {.kind = EBB_PROCESS_VP, .beta_max = 25},
                                                                        {.kind = EBB_PROCESS_OU, .end = 6}};
    ebb_schedule_options cosine = ebb_schedule_usual(EBB_SCHEDULE_COSINE, 4000);
    ebb_grid g, moved;
    double want[8], got[8];
    create(&linear, "even", &(ebb_grid_options){.steps = 20}, &g);
    run_ddim(&linear, &g, want);
    assert_int_equal(ebb_schedule_make(ctx, &cosine, &others[0].chain), EBB_OK);
    for (int i = 0; i < 3; i++) {
        ebb_process p;
        assert_int_equal(ebb_process_create(ctx, &others[i], &p), EBB_OK);
        assert_int_equal(ebb_grid_alloc(ctx, 20, false, &moved), EBB_OK);
        for (int k = 0; k <= 20; k++) {
            ebb_level at = g.level[k];
            double t = at.sigma > 0 ? ebb_process_time(&p, log(at.alpha) - log(at.sigma)) : 0;
            moved.level[k] = at.sigma > 0 ? ebb_process_level(&p, t) : at;
            assert_true(k != 10 || fabs(t - at.t) > 1);
        }
        run_ddim(&p, &moved, got);
        for (int d = 0; d < 8; d++)
            if (!(fabs(got[d] - want[d]) < 1e-9))
                fail_msg("clock %d: number %d is %.15g, not %.15g", i, d, got[d], want[d]);
        ebb_grid_free(&moved);
        ebb_process_free(&p);
    }
    ebb_grid_free(&g);
    ebb_process_free(&linear);
}

int main(void)
{
    if (ebb_context_create(NULL, &ctx) != EBB_OK) {
        fprintf(stderr, "%s\n", ebb_message(ctx));
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),      cmocka_unit_test(test_bounded), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_trailing), cmocka_unit_test(test_lengths),  cmocka_unit_test(test_refusals), cmocka_unit_test(test_text),
        cmocka_unit_test(test_time_change),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
