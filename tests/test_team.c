/* test_team.c: a run by a team of threads gives the bits that one thread gives, for a picture alone and in a batch;
 * and evaluations are spread over threads so that none is idle for long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/nets.h"
#include "model/report.h"

#define UNET(...) {.kind = EBB_NET_UNET, .u.unet = {.eps = 1e-6f, __VA_ARGS__}}
#define PICTURE(h, w, c) .size_h = h, .size_w = w, .channels = c
#define LEVELS(count, ...) .levels = count, .mult = {__VA_ARGS__}

static const ebb_network networks[] = {
    UNET(PICTURE(28, 28, 1), .base = 32, LEVELS(3, 1, 2, 4), .attention = {0, 1, 1}, .blocks = 1, .groups = 8,
         .classes = 10),
    UNET(PICTURE(32, 32, 3), .base = 32, LEVELS(4, 1, 2, 3, 3), .attention = {0, 0, 1, 1}, .blocks = 1, .groups = 32),
    UNET(PICTURE(64, 64, 3), .base = 16, LEVELS(3, 1, 2, 4), .attention = {0, 0, 1}, .blocks = 1, .groups = 16),
    UNET(PICTURE(22, 14, 2), .base = 20, LEVELS(2, 1, 3), .attention = {1, 1}, .blocks = 1, .groups = 5),
    {.kind = EBB_NET_MLP, .u.mlp = {.inputs = 2, .width = 96, .depth = 3, .time_dim = 32}},
};
enum { NETWORKS = sizeof networks / sizeof *networks, BATCH = 3, NUMBERS_MAX = 64 * 64 * 3 };

typedef struct evaluation {
    const ebb_network *network;
    net e;
    int64_t numbers, first, n;    /* pictures first..first+n-1 of the batch */
    float *eps;
} evaluation;

/* Numbers in [-1, 1): element i of picture p. */
static float pixel(int64_t p, int64_t i)
{
    return (float)(int32_t)(uint32_t)(rule_word(rule_hash("pixel", "x"), p * NUMBERS_MAX + i) >> 32) / 2147483648.0f;
}

static void run(void *arg, int64_t item, int worker)
{
    evaluation *v = arg;
    float *x = ebb_plan_input(v->e.plan, worker, "x"), *t = ebb_plan_input(v->e.plan, worker, "t");
    int32_t *label = ebb_plan_input(v->e.plan, worker, "label");
    (void)item;
    for (int64_t p = 0; p < v->n; p++) {
        for (int64_t i = 0; i < v->numbers; i++)
            x[p * v->numbers + i] = pixel(v->first + p, i);
        t[p] = (float)(100 + 300 * (v->first + p));
        if (label)
            label[p] = (int32_t)(v->first + p);
    }
    ebb_plan_run(v->e.plan, worker);
    memcpy(v->eps, ebb_plan_output(v->e.plan, worker, 0), (size_t)(v->n * v->numbers) * sizeof(float));
}

/* team: of the plan; threads: that run it. */
static void evaluate(const ebb_network *network, int team, int threads, int64_t first, int64_t n, float *eps)
{
    net_team = team;
    evaluation v = {.network = network, .e = net_eps(network, n), .first = first, .n = n, .eps = eps};
    v.numbers = ebb_shape_count(ebb_network_shape(network, 1));
    ebb_par_teams(1, threads, 1, run, &v);
    net_ok(ebb_plan_check(v.e.plan));
    net_free(&v.e);
}

static void compare(const float *want, const float *got, size_t numbers, int network, int team, int threads)
{
    for (size_t i = 0; i < numbers; i++)
        if (memcmp(want + i, got + i, sizeof *want))
            fail_msg("network %d, fast %d, bf16 %d, team of %d, %d threads: number %zu is %a, not %a", network,
                     net_fast_conv, net_bf16, team, threads, i, (double)got[i], (double)want[i]);
}

static void same_bits(void **state)
{
    static float want[BATCH * NUMBERS_MAX], got[BATCH * NUMBERS_MAX];
    static const int ways[][2] = {{1, 1}, {2, 2}, {3, 3}, {7, 7}, {3, 2}, {2, 3}};   /* team, threads */
    (void)state;
    for (int i = 0; i < NETWORKS * 4; i++) {
        const ebb_network *network = &networks[i / 4];
        size_t numbers = (size_t)ebb_shape_count(ebb_network_shape(network, 1));
        net_fast_conv = i % 2;
        net_bf16 = i / 2 % 2 * EBB_BF16_CHANNELS;
        evaluate(network, 1, 1, 0, BATCH, want);
        assert_memory_not_equal(want, want + numbers, numbers * sizeof *want);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            evaluate(network, ways[w][0], ways[w][1], 1, 1, got);
            compare(want + numbers, got, numbers, i / 4, ways[w][0], ways[w][1]);
            if (w % 2 == 0)
                continue;
            evaluate(network, ways[w][0], ways[w][1], 0, BATCH, got);
            compare(want, got, BATCH * numbers, i / 4, ways[w][0], ways[w][1]);
        }
    }
}

/* Every picture is in a shard, no thread is counted twice, and a picture alone has all of them. */
static void ways(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 70; threads++)
        for (int64_t n = 1; n <= 40; n++) {
            ebb_eval_way w = ebb_eval_choose(n, 8, threads);
            assert_in_range(w.shard, 1, 8);
            assert_true(w.shard * w.shards >= n && w.shard * (w.shards - 1) < n);
            assert_true(w.workers >= 1 && w.workers <= w.shards && w.workers * w.team <= threads);
            if (n == 1)
                assert_int_equal(w.team, threads);
            if (n >= 2 * threads)
                assert_int_equal(w.team, 1);
        }
    assert_int_equal(ebb_eval_choose(4, 8, 64).team, 16);
    assert_int_equal(ebb_eval_choose(3, 8, 2).team, 2);
    assert_int_equal(ebb_eval_choose(2, 8, 2).team, 1);
}

static int setup(void **state)
{
    (void)state;
    return ebb_context_create(NULL, &net_ctx) != EBB_OK;
}

static int teardown(void **state)
{
    (void)state;
    ebb_context_free(net_ctx);
    return ebb_mem_read().bytes != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits), cmocka_unit_test(ways)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
