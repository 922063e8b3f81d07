/* test_budget.c: the best subsequences: against every path where those can be counted, against other spacings where not;
 * and the cost of a whole chain against the references' ELBO. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "diffusion/budget.h"
#include "diffusion/diffusion.h"

static ebb_context *ctx;

/* ---- all paths ------------------------------------------------------------------------------------------------- */

typedef struct random_costs { uint32_t seed; } random_costs;

static double random_cost(void *self, int s, int t)
{
    uint32_t x = ((random_costs *)self)->seed * 2654435761u + (uint32_t)s * 97u + (uint32_t)t * 7919u;
    x = (x ^ (x >> 15)) * 2246822519u;
    x = (x ^ (x >> 13)) * 3266489917u;
    x ^= x >> 16;
    return x % 11 == 0 ? INFINITY : x / 4294967296.0 - 0.3;
}

/* Every subset of the inner nodes is a path. */
static double best_by_force(int nodes, int steps, random_costs *costs)
{
    double best = INFINITY;
    for (unsigned set = 0; set < 1u << (nodes - 2); set++) {
        int count = 1, last = 0;
        double sum = 0;
        for (int t = 1; t < nodes; t++)
            if (t == nodes - 1 || (set >> (t - 1) & 1)) {
                sum += random_cost(costs, last, t);
                last = t;
                count += t < nodes - 1;
            }
        if (count == steps && sum < best)
            best = sum;
    }
    return best;
}

static double along(double (*cost)(void *, int, int), void *self, const int *node, int steps)
{
    double sum = 0;
    for (int k = steps - 1; k >= 0; k--)
        sum += cost(self, node[k + 1], node[k]);
    return sum;
}

static void test_brute_force(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 30; seed++)
        for (int nodes = 2; nodes <= 11; nodes++) {
            random_costs costs = {seed};
            ebb_budget b;
            int node[16];
            assert_int_equal(ebb_budget_create(ctx, nodes, nodes - 1, random_cost, &costs, &b), EBB_OK);
            for (int k = 1; k < nodes; k++) {
                double want = best_by_force(nodes, k, &costs);
                if (isinf(want)) {
                    assert_true(isinf(b.total[k]));
                    continue;
                }
                assert_true(fabs(b.total[k] - want) < 1e-12);
                ebb_budget_path(&b, k, node);
                assert_true(node[0] == nodes - 1 && node[k] == 0);
                assert_true(fabs(along(random_cost, &costs, node, k) - want) < 1e-12);
            }
            ebb_budget_free(&b);
        }
}

static double no_cost(void *self, int s, int t)
{
    (void)self;
    return s == 1 && t == 2 ? NAN : 0;
}

static void test_refusals(void **state)
{
    (void)state;
    ebb_budget b;
    assert_int_equal(ebb_budget_create(ctx, 4, 3, no_cost, NULL, &b), EBB_E_NUMERIC);
    assert_int_equal(ebb_budget_create(ctx, 4, 4, random_cost, &(random_costs){1}, &b), EBB_E_ARGUMENT);
    assert_int_equal(ebb_budget_create(ctx, 1, 1, random_cost, &(random_costs){1}, &b), EBB_E_ARGUMENT);
    assert_null(b.total);
}

/* ---- Gaussian data ------------------------------------------------------------------------------------------------ */

enum { T = 1000 };

/* Nodes of a spacing over the T timesteps (node 0 is clean): u(j/K) of them. */
static bool spaced(int steps, double (*u)(double), int *node)
{
    for (int k = 0; k <= steps; k++) {
        node[k] = (int)rint(T * u((double)(steps - k) / steps));
        if (k > 0 && node[k] >= node[k - 1])
            return false;
    }
    return true;
}

static double u_uniform(double v) { return v; }
static double u_quadratic(double v) { return v * v; }
static double u_cosine(double v) { return 1 - cos(1.5707963267948966 * v); }

static void test_beats_spacings(void **state)
{
    (void)state;
    double (*const spacings[])(double) = {u_uniform, u_quadratic, u_cosine};
    static ebb_level level[T + 1];
    ebb_process p, wanted = {.kind = EBB_PROCESS_DDPM};
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, T, 1e-4, 0.02, &wanted.chain), EBB_OK);
    assert_int_equal(ebb_process_create(ctx, &wanted, &p), EBB_OK);
    level[0] = (ebb_level){0, 1, 0};
    for (int t = 0; t < T; t++)
        level[t + 1] = ebb_process_level(&p, t);
    for (int small = 0; small < 2; small++) {
        ebb_gaussian_cost cost = {level, 0.36, small};
        ebb_budget b;
        int node[64], compared = 0, better = 0;
        assert_int_equal(ebb_budget_create(ctx, T + 1, 50, ebb_gaussian_cost_of, &cost, &b), EBB_OK);
        for (int k = 5; k <= 50; k++) {
            assert_true(b.total[k] < b.total[k - 1]);
            for (int i = 0; i < 3; i++)
                if (spaced(k, spacings[i], node)) {
                    double other = along(ebb_gaussian_cost_of, &cost, node, k);
                    assert_true(b.total[k] <= other + 1e-12);
                    better += b.total[k] < other - 1e-6;
                    compared++;
                }
            ebb_budget_path(&b, k, node);
            assert_true(fabs(along(ebb_gaussian_cost_of, &cost, node, k) - b.total[k]) < 1e-10);
        }
        assert_true(compared > 100 && better == compared);
        ebb_budget_free(&b);
    }
    ebb_process_free(&p);
}

/* The one path through all levels costs what the references' ELBO with variances beta does, less its prior. */
static void test_whole_chain(void **state)
{
    (void)state;
    json_error_t error;
    json_t *all = json_load_file(EBB_SOURCE_DIR "/tests/refs/elbo.json", 0, &error);
    assert_non_null(all);
    json_t *want = json_object_get(all, "linear_T20"), *beta = json_object_get(want, "fixed_beta");
    ebb_process p, wanted = {.kind = EBB_PROCESS_DDPM};
    assert_int_equal(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 20, 0.01, 0.35, &wanted.chain), EBB_OK);
    assert_int_equal(ebb_process_create(ctx, &wanted, &p), EBB_OK);
    ebb_level level[21] = {{0, 1, 0}};
    for (int t = 0; t < 20; t++)
        level[t + 1] = ebb_process_level(&p, t);
    ebb_gaussian_cost cost = {level, json_number_value(json_object_get(want, "s2")), false};
    ebb_budget b;
    assert_int_equal(ebb_budget_create(ctx, 21, 20, ebb_gaussian_cost_of, &cost, &b), EBB_OK);
    double terms = json_number_value(json_object_get(beta, "L0_nats")) +
                   json_number_value(json_object_get(beta, "sum_L_1_to_Tm1"));
    assert_true(terms != 0);
    if (!(fabs(b.total[20] - terms) < 1e-10))
        fail_msg("%.15g, but the reference has %.15g", b.total[20], terms);
    ebb_budget_free(&b);
    ebb_process_free(&p);
    json_decref(all);
}

int main(void)
{
    if (ebb_context_create(NULL, &ctx) != EBB_OK) {
        fprintf(stderr, "%s\n", ebb_message(ctx));
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force), cmocka_unit_test(test_refusals), cmocka_unit_test(test_beats_spacings),
        cmocka_unit_test(test_whole_chain),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
