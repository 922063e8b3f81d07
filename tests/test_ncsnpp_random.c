/* test_ncsnpp_random.c: U-Nets of randomly chosen settings: plans give what the double interpreter says, outputs and gradients;
 * the same bits whatever is kept in memory and whichever thread computes; in bfloat16 as far off as its roundings.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/plan_check.h"

enum { OUTPUTS_MAX = 512, SEEDS = 24 };

/* What happened over all seeds: each setting is to have been seen. */
typedef struct seen { int resample[3], pyramid[3], output[3], concat, fourier, rescale, once; } seen;

static ebb_unet_config draw(uint64_t seed, int base, seen *s)
{
    ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_TEST};
    uint32_t r[16];
    for (uint32_t i = 0; i < 16; i++)
        r[i] = ebb_rng_below(&at, i, 1u << 20);
    ebb_unet_config c = {.channels = 1 + (int)(r[0] % 3), .base = base, .levels = 1 + (int)(r[1] % 3), .blocks = 1, .groups = 32, .eps = 1e-6f,
                         .classes = 5, .groups_of_four = true, .rescale = r[2] % 2, .attention_once = r[3] % 2,
                         .resample = (ebb_resample)(r[4] % 3), .pyramid = (ebb_pyramid)(r[5] % 3), .output = (ebb_pyramid)(r[6] % 3),
                         .fourier = r[7] % 2 ? 2.0f : 0.0f};
    c.pyramid_concat = c.pyramid == EBB_PYRAMID_SKIP && r[8] % 2;
    c.size_h = (1 + (int)(r[9] % 2)) << (c.levels - 1);
    c.size_w = (1 + (int)(r[10] % 3)) << (c.levels - 1);
    for (int i = 0; i < c.levels; i++) {
        c.mult[i] = 1 + (int)(r[11] >> i) % 2;
        c.attention[i] = r[12] >> i & 1;
    }
    if (c.levels > 1) {
        s->resample[c.resample]++;
        s->pyramid[c.pyramid]++;
        s->concat += c.pyramid_concat;
        s->output[c.output]++;
        s->fourier += c.fourier > 0;
        s->rescale += c.rescale;
        s->once += c.attention_once;
    }
    return c;
}

static void assert_seen(const seen *s)
{
    for (int i = 0; i < 3; i++)
        assert_true(s->resample[i] > 0 && s->pyramid[i] > 0 && s->output[i] > 0);
    assert_true(s->concat > 0 && s->fourier > 0 && s->rescale > 0 && s->once > 0);
}

/* The output, and each gradient, to 1e-4 of its size; those that are zero in exact arithmetic to 1e-6 of all. */
static void check_against(const plan_reference *r, const ebb_value *y, int ny, const ebb_plan *p, uint64_t seed)
{
    double norm[OUTPUTS_MAX] = {0}, off[OUTPUTS_MAX] = {0}, total = 0;
    for (int i = 0; i < ny; i++) {
        const double *want = oracle_get(r->o, y[i]);
        for (int64_t j = 0; j < ebb_shape_count(r->leaves.g->node[y[i]].shape); j++) {
            off[i] = hypot(off[i], ebb_plan_output(p, 0, i)[j] - want[j]);
            norm[i] = hypot(norm[i], want[j]);
        }
        total = hypot(total, norm[i]);
    }
    for (int i = 0; i < ny; i++)
        if (!(off[i] <= (norm[i] > 1e-9 * total ? 1e-4 * norm[i] : 1e-6 * total)))
            fail_msg("seed %d: %s is off by %g of %g; all are %g", (int)seed,
                     i ? r->leaves.g->node[r->leaves.g->params[i - 1]].name : "the output", off[i], norm[i], total);
}

static void test_plans(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    ebb_value y[OUTPUTS_MAX];
    seen s = {0};
    int ny;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        ebb_unet_config c = draw(seed, 4, &s);
        ebb_graph *g = plan_unet_graph(ctx, &c, 2, true, y, &ny);
        assert_true(ny <= OUTPUTS_MAX);
        plan_reference r = plan_reference_make(g, seed);
        ebb_plan *p = plan_of(ctx, &r.leaves, y, ny, (ebb_plan_options){.workers = 1});
        plan_run(ctx, p, 0, &r.leaves);
        check_against(&r, y, ny, p, seed);
        ebb_plan_free(p);
        plan_reference_free(&r);
        ebb_graph_free(g);
    }
    assert_seen(&s);
    ebb_context_free(ctx);
}

typedef struct job { ebb_context *ctx; ebb_plan *plan; const plan_leaves *leaves; } job;

static void run_one(void *arg, int64_t item, int worker)
{
    const job *j = arg;
    (void)item;
    plan_run(j->ctx, j->plan, worker, j->leaves);
}

static ebb_plan *run(ebb_context *ctx, const plan_leaves *l, const ebb_value *y, int ny, ebb_plan_options options)
{
    options.workers = 1;
    ebb_plan *p = plan_of(ctx, l, y, ny, options);
    ebb_par_teams(1, options.team > 1 ? options.team : 1, 1, run_one, &(job){ctx, p, l});
    return p;
}

static void assert_same_bits(const plan_leaves *l, const ebb_value *y, int ny, const ebb_plan *a, const ebb_plan *b, uint64_t seed,
                             int way)
{
    for (int i = 0; i < ny; i++)
        if (memcmp(ebb_plan_output(a, 0, i), ebb_plan_output(b, 0, i),
                   (size_t)ebb_shape_count(l->g->node[y[i]].shape) * sizeof(float)))
            fail_msg("seed %d, way %d: output %d has other bits", (int)seed, way, i);
}

/* Whatever a plan keeps, and by a team of threads. */
static void test_ways(void **state)
{
    static const ebb_plan_options ways[] = {{.memory = EBB_MEMORY_LOW}, {.memory = EBB_MEMORY_LEAST}, {.team = 3}};
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    ebb_value y[OUTPUTS_MAX];
    seen s = {0};
    int ny;
    for (uint64_t seed = 101; seed <= 108; seed++) {
        ebb_unet_config c = draw(seed, 16, &s);
        ebb_graph *g = plan_unet_graph(ctx, &c, 2, true, y, &ny);
        plan_leaves l = plan_leaves_make(g, seed);
        for (int bf16 = 0; bf16 <= EBB_BF16_CHANNELS; bf16 += EBB_BF16_CHANNELS) {
            ebb_plan *want = run(ctx, &l, y, ny, (ebb_plan_options){.bf16 = bf16});
            for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
                ebb_plan_options way = ways[k];
                way.bf16 = bf16;
                ebb_plan *got = run(ctx, &l, y, ny, way);
                assert_same_bits(&l, y, ny, got, want, seed, (int)k);
                ebb_plan_free(got);
            }
            ebb_plan_free(want);
        }
        plan_leaves_free(&l);
        ebb_graph_free(g);
    }
    ebb_context_free(ctx);
}

/* ---- bfloat16 -------------------------------------------------------------------------------------------------- */

/* The graph as the planner types it, evaluated in double with or without the roundings of its types. */
static oracle *typed_oracle(const ebb_graph *typed, const plan_leaves *l, bool rounds)
{
    oracle *o = oracle_create(typed);
    if (rounds)
        oracle_round(o);
    for (ebb_value v = 0; v < typed->count; v++) {
        const ebb_node *n = &typed->node[v];
        if (n->op == EBB_OP_input || n->op == EBB_OP_param)
            oracle_set(o, v, l->wide[(n->op == EBB_OP_input ? l->g->inputs : l->g->params)[n->attr.index]]);
    }
    oracle_run(o);
    return o;
}

typedef struct distances { double plan, rounded; } distances;

/* Adds, squared, how far the plan and its roundings alone are from the exact output, or gradients as one vector. */
static void add_distances(const ebb_ir *ir, const plan_leaves *l, const ebb_plan *p, int from, int to, distances *d)
{
    ebb_graph typed = {.ctx = l->g->ctx, .node = ir->node, .count = ir->count};
    oracle *exact = typed_oracle(&typed, l, false), *rounded = typed_oracle(&typed, l, true);
    double norm = 0;
    distances off = {0};
    for (int i = from; i < to; i++) {
        const double *want = oracle_get(exact, ir->output[i]), *near = oracle_get(rounded, ir->output[i]);
        for (int64_t j = 0; j < ebb_shape_count(ir->node[ir->output[i]].shape); j++) {
            off.plan += pow(ebb_plan_output(p, 0, i)[j] - want[j], 2);
            off.rounded += pow(near[j] - want[j], 2);
            norm += want[j] * want[j];
        }
    }
    d->plan += off.plan / norm;
    d->rounded += off.rounded / norm;
    oracle_free(exact);
    oracle_free(rounded);
}

/* As test_precision.c: a plan errs as the roundings of its types do, which are those of the interpreter and in attention as
 * many again, sqrt 2; and the estimate of either by these seeds may be off by that as well. */
static void test_bf16(void **state)
{
    (void)state;
    ebb_context *ctx = plan_context(NULL);
    ebb_value y[OUTPUTS_MAX];
    distances d[2] = {{0}};
    seen s = {0};
    int ny;
    for (uint64_t seed = 201; seed <= 208; seed++) {
        ebb_unet_config c = draw(seed, 16, &s);
        ebb_graph *g = plan_unet_graph(ctx, &c, 1, true, y, &ny);
        plan_leaves l = plan_leaves_make(g, seed);
        ebb_plan *p = run(ctx, &l, y, ny, (ebb_plan_options){.bf16 = EBB_BF16_CHANNELS});
        ebb_ir ir;
        OK(ctx, ebb_ir_from_graph(ctx, g, y, ny, false, &ir));
        OK(ctx, ebb_simplify(&ir));
        OK(ctx, ebb_precision(&ir, EBB_BF16_CHANNELS));
        add_distances(&ir, &l, p, 0, 1, &d[0]);
        add_distances(&ir, &l, p, 1, ny, &d[1]);
        ebb_ir_free(&ir);
        ebb_plan_free(p);
        plan_leaves_free(&l);
        ebb_graph_free(g);
    }
    for (int i = 0; i < 2; i++) {
        printf("%s in bfloat16: relative error %.3g, of its roundings alone %.3g\n", i ? "gradients" : "output",
               sqrt(d[i].plan / 8), sqrt(d[i].rounded / 8));
        assert_true(d[i].rounded > 0 && sqrt(d[i].plan / d[i].rounded) <= 2 * 1.41421356237);
    }
    ebb_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plans), cmocka_unit_test(test_ways), cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
