/* test_recompute.c: a plan that holds less gives the bits of one that keeps everything: outputs and all gradients of
 * random graphs, U-Nets and an MLP, in f32 and bfloat16; and it does hold less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/plan_check.h"

enum { OUTPUTS_MAX = 512 };
static ebb_context *ctx;

static const ebb_plan_memory levels[] = {EBB_MEMORY_NORMAL, EBB_MEMORY_LOW, EBB_MEMORY_LEAST, EBB_MEMORY_AUTO};
enum { LEVELS = sizeof levels / sizeof *levels };

typedef struct problem {
    ebb_graph *g;
    ebb_value y[OUTPUTS_MAX];
    int ny;
    plan_leaves leaves;
} problem;

static void problem_free(problem *q)
{
    plan_leaves_free(&q->leaves);
    ebb_graph_free(q->g);
}

static ebb_plan *run(const problem *q, ebb_plan_memory memory, bool fast, bool bf16)
{
    ebb_plan_options options = {.workers = 1, .fast_conv = fast, .bf16 = bf16 ? EBB_BF16_CHANNELS : 0, .memory = memory};
    ebb_plan *p = plan_of(ctx, &q->leaves, q->y, q->ny, options);
    plan_run(ctx, p, 0, &q->leaves);
    return p;
}

static void compare(const problem *q, const ebb_plan *want, const ebb_plan *got, const char *what, int level)
{
    for (int i = 0; i < q->ny; i++)
        if (memcmp(ebb_plan_output(want, 0, i), ebb_plan_output(got, 0, i),
                   (size_t)ebb_shape_count(q->g->node[q->y[i]].shape) * sizeof(float)))
            fail_msg("%s, level %d: output %d has other bits", what, level, i);
}

/* The plan that keeps everything, then one of each level: their sizes and steps. */
static void check(const problem *q, const char *what, bool fast, bool bf16, ebb_plan_size *size)
{
    ebb_plan *want = run(q, EBB_MEMORY_PREPARED, fast, bf16);
    size[0] = ebb_plan_measure(want);
    for (int i = 0; i < LEVELS; i++) {
        ebb_plan *got = run(q, levels[i], fast, bf16);
        compare(q, want, got, what, (int)levels[i]);
        size[levels[i]] = ebb_plan_measure(got);
        assert_true(got->alive_bytes <= got->arena_bytes);
        ebb_plan_free(got);
    }
    ebb_plan_free(want);
}

static void test_random_graphs(void **state)
{
    ebb_plan_size size[LEVELS + 1];
    int more[LEVELS + 1] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        problem q;
        char what[32];
        q.ny = plan_random_graph(ctx, seed, &q.g, q.y);
        q.leaves = plan_leaves_make(q.g, seed);
        snprintf(what, sizeof what, "seed %d", (int)seed);
        check(&q, what, seed % 2, seed % 3 == 0, size);
        for (int i = 0; i < LEVELS; i++)
            more[levels[i]] += size[levels[i]].steps - size[0].steps;
        problem_free(&q);
    }
    assert_int_equal(more[EBB_MEMORY_NORMAL] + more[EBB_MEMORY_AUTO], 0);
    assert_true(more[EBB_MEMORY_LOW] > 0);
    assert_true(more[EBB_MEMORY_LEAST] > 0);
}

#define UNET(...) {.eps = 1e-6f, .classes = 5, __VA_ARGS__}
#define PICTURE(h, w, c) .size_h = h, .size_w = w, .channels = c
#define CHANNELS(count, ...) .levels = count, .mult = {__VA_ARGS__}

static void check_unet(const ebb_unet_config *c, int64_t n, const char *what, ebb_plan_size *size, bool fast, bool bf16)
{
    problem q;
    q.g = plan_unet_graph(ctx, c, n, true, q.y, &q.ny);
    assert_true(q.ny <= OUTPUTS_MAX);
    q.leaves = plan_leaves_make(q.g, 11);
    check(&q, what, fast, bf16, size);
    problem_free(&q);
}

static void test_unets(void **state)
{
    static const ebb_unet_config unets[] = {
        UNET(PICTURE(12, 8, 3), .base = 8, CHANNELS(2, 1, 2), .attention = {0, 1}, .blocks = 1, .groups = 4),
        UNET(PICTURE(28, 28, 1), .base = 16, CHANNELS(3, 1, 2, 2), .attention = {0, 1, 1}, .blocks = 1, .groups = 8),
        UNET(PICTURE(24, 32, 3), .base = 16, CHANNELS(4, 1, 1, 2, 3), .attention = {0, 0, 1, 1}, .blocks = 2, .groups = 16),
        UNET(PICTURE(14, 22, 2), .base = 20, CHANNELS(2, 1, 3), .attention = {1, 0}, .blocks = 3, .groups = 5),
    };
    (void)state;
    for (int i = 0; i < (int)(sizeof unets / sizeof *unets) * 4; i++) {
        ebb_plan_size size[LEVELS + 1];
        char what[64];
        snprintf(what, sizeof what, "U-Net %d, fast %d, bf16 %d", i / 4, i % 2, i / 2 % 2);
        check_unet(&unets[i / 4], 2, what, size, i % 2, i / 2 % 2);
        assert_true(size[EBB_MEMORY_LOW].worker < size[EBB_MEMORY_NORMAL].worker);
        if (i / 4 > 0)           /* in the first the walk back itself takes most */
            assert_true(size[EBB_MEMORY_LEAST].worker < size[EBB_MEMORY_LOW].worker);
        /* Low computes no product twice, least hardly any more than twice. */
        assert_true(size[EBB_MEMORY_LOW].flops < size[EBB_MEMORY_NORMAL].flops + size[EBB_MEMORY_NORMAL].flops / 20);
        assert_true(3 * size[EBB_MEMORY_LEAST].flops <= 4 * size[EBB_MEMORY_NORMAL].flops + size[EBB_MEMORY_LOW].flops / 20);
    }
}

/* Weights whose packed form is large and that multiply many pixels: no shared memory, little of a worker's. */
static void test_weights_are_packed_in_runs(void **state)
{
    static const ebb_unet_config wide = UNET(PICTURE(8, 8, 3), .base = 128, CHANNELS(1, 1), .blocks = 1, .groups = 32);
    ebb_plan_size size[LEVELS + 1];
    size_t transformed = 0;
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        check_unet(&wide, 2, "wide", size, true, bf16);
        transformed = bf16 ? transformed : size[EBB_MEMORY_PREPARED].shared;
        /* AMX multiplies weights as they are, in bfloat16: then none of them is large. */
        if (bf16 && size[EBB_MEMORY_PREPARED].shared < transformed / 4)
            assert_int_equal(size[EBB_MEMORY_NORMAL].shared, size[EBB_MEMORY_PREPARED].shared);
        else
            assert_true(size[EBB_MEMORY_NORMAL].shared < size[EBB_MEMORY_PREPARED].shared / 4);
        assert_int_equal(size[EBB_MEMORY_NORMAL].steps, size[EBB_MEMORY_PREPARED].steps);
        /* One picture of 8x8 is too few pixels. */
        check_unet(&wide, 1, "wide", size, true, bf16);
        assert_int_equal(size[EBB_MEMORY_NORMAL].shared, size[EBB_MEMORY_PREPARED].shared);
    }
}

static void test_mlp(void **state)
{
    static const ebb_mlp_config mlp = {.inputs = 2, .width = 96, .depth = 5, .time_dim = 32, .classes = 3};
    enum { N = 64 };
    ebb_plan_size size[LEVELS + 1];
    problem q;
    (void)state;
    OK(ctx, ebb_graph_create(ctx, &q.g));
    ebb_value x = ebb_input(q.g, "x", EBB_F32, EBB_SHAPE(N, 2)), t = ebb_input(q.g, "t", EBB_F32, EBB_SHAPE(N));
    q.y[0] = ebb_nn_mlp(q.g, &mlp, x, t, ebb_input(q.g, "label", EBB_I32, EBB_SHAPE(N)));
    OK(ctx, ebb_vjp(q.g, ebb_sum_all(q.g, ebb_square(q.g, q.y[0])), EBB_NONE, q.g->params, q.g->nparams, q.y + 1));
    q.ny = 1 + q.g->nparams;
    q.leaves = plan_leaves_make(q.g, 5);
    check(&q, "MLP", false, false, size);
    assert_true(size[EBB_MEMORY_LOW].worker < size[EBB_MEMORY_NORMAL].worker);
    problem_free(&q);
}

static int setup(void **state)
{
    (void)state;
    ctx = plan_context(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return ebb_mem_read().bytes != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs), cmocka_unit_test(test_unets),
        cmocka_unit_test(test_weights_are_packed_in_runs), cmocka_unit_test(test_mlp),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
