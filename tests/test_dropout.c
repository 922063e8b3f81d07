/* test_dropout.c: dropout: masks that are a function of key and layer alone, on every instruction set; networks that learn
 * with it against the double interpreter, first and second derivatives, whatever is kept in memory; training whose bits do
 * not depend on threads, cuts or memory; nothing of it where a network is evaluated.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/plans.h"
#include "support/plan_check.h"
#include "support/runs.h"

/* ---- masks -------------------------------------------------------------------------------------------------------- */

enum { ROWS = 6, COUNT = 4 * 251 };
static const float RATE = 0.3f;

/* Rows (ROWS, COUNT) of the mask of a layer. */
static void make_mask(ebb_context *c, const int32_t key[ROWS][4], int layer, float *to)
{
    ebb_graph *g;
    ebb_plan *p;
    OK(c, ebb_graph_create(c, &g));
    ebb_value mask = ebb_dropout_mask(g, ebb_input(g, "key", EBB_I32, EBB_SHAPE(ROWS, 4)), EBB_SHAPE(ROWS, 4, COUNT / 4), RATE, layer);
    OK(c, ebb_graph_status(g));
    OK(c, ebb_plan_create(c, g, &mask, 1, &(ebb_plan_options){.workers = 1}, &p));
    memcpy(ebb_plan_input(p, 0, "key"), key, ROWS * 4 * sizeof(int32_t));
    ebb_plan_run(p, 0);
    memcpy(to, ebb_plan_output(p, 0, 0), ROWS * COUNT * sizeof *to);
    ebb_plan_free(p);
    ebb_graph_free(g);
}

/* Rows 1 .. 4 differ from row 0 in one number of the key each; row 5 is row 0. */
static const int32_t keys[ROWS][4] = {{7, 0, 3, 11}, {8, 0, 3, 11}, {7, -1, 3, 11}, {7, 0, 4, 11}, {7, 0, 3, 12}, {7, 0, 3, 11}};

static void test_masks(void **state)
{
    (void)state;
    static float want[ROWS * COUNT], got[ROWS * COUNT];
    make_mask(ctx, keys, 2, want);
    int kept = 0, same[ROWS] = {0};
    for (int i = 0; i < ROWS * COUNT; i++) {
        assert_true(want[i] == 0 || want[i] == 1 / (1 - RATE));
        kept += i < 5 * COUNT && want[i] != 0;
        same[i / COUNT] += want[i] == want[i % COUNT];
    }
    /* Within five deviations: of what is kept, and of what agrees between rows that have nothing in common. */
    double n = 5.0 * COUNT, agree = RATE * RATE + (1 - RATE) * (1 - RATE);
    assert_true(fabs(kept / n - (1 - RATE)) < 5 * sqrt(RATE * (1 - RATE) / n));
    for (int row = 1; row < 5; row++)
        assert_true(fabs(same[row] / (double)COUNT - agree) < 5 * sqrt(agree * (1 - agree) / COUNT));
    assert_int_equal(same[5], COUNT);
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++) {
        if (!ebb_isa_available((ebb_isa)isa))
            continue;
        ebb_context *c = plan_context(ebb_isa_name((ebb_isa)isa));
        make_mask(c, keys, 2, got);
        assert_memory_equal(got, want, sizeof want);
        ebb_context_free(c);
    }
    make_mask(ctx, keys, 3, got);
    int agreeing = 0;
    for (int i = 0; i < COUNT; i++)
        agreeing += got[i] == want[i];
    assert_true(fabs(agreeing / (double)COUNT - agree) < 5 * sqrt(agree * (1 - agree) / COUNT));
}

static void test_refused(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        ebb_graph *g;
        OK(ctx, ebb_graph_create(ctx, &g));
        ebb_value key = ebb_input(g, "key", k == 1 ? EBB_F32 : EBB_I32, EBB_SHAPE(2, k == 2 ? 3 : 4));
        ebb_dropout_mask(g, key, EBB_SHAPE(k == 3 ? 3 : 2, 5), k == 0 ? 1.0f : 0.5f, 0);
        assert_int_equal(ebb_graph_status(g), EBB_E_SHAPE);
        ebb_graph_free(g);
    }
}

/* ---- networks ------------------------------------------------------------------------------------------------------ */

typedef struct problem {
    ebb_graph *g;
    ebb_value y[256];            /* loss, gradients */
    int ny;
    plan_reference reference;
} problem;

static ebb_network network(double dropout)
{
    return (ebb_network){.kind = EBB_NET_UNET, .u.unet = plan_tiny, .dropout = dropout};
}

static problem make_problem(ebb_loss_kind loss)
{
    problem p;
    ebb_network net = network(RATE);
    OK(ctx, ebb_graph_create(ctx, &p.g));
    OK(ctx, ebb_loss_build(p.g, &net, &(ebb_objective){.loss = loss}, 2, 2, p.y, 256));
    p.ny = 1 + p.g->nparams;
    p.reference = plan_reference_make(p.g, 5);
    return p;
}

static void free_problem(problem *p)
{
    plan_reference_free(&p->reference);
    ebb_graph_free(p->g);
}

/* As test_ncsnpp_random.c: each to 1e-4 of its size, what is zero in exact arithmetic to 1e-6 of all. */
static void check_values(const problem *p, const ebb_plan *plan)
{
    double norm[256] = {0}, off[256] = {0}, total = 0;
    for (int i = 0; i < p->ny; i++) {
        const double *want = oracle_get(p->reference.o, p->y[i]);
        for (int64_t j = 0; j < ebb_shape_count(p->g->node[p->y[i]].shape); j++) {
            off[i] = hypot(off[i], ebb_plan_output(plan, 0, i)[j] - want[j]);
            norm[i] = hypot(norm[i], want[j]);
        }
        total = hypot(total, norm[i]);
    }
    for (int i = 0; i < p->ny; i++)
        if (!(off[i] <= (norm[i] > 1e-9 * total ? 1e-4 * norm[i] : 1e-6 * total)))
            fail_msg("output %d is off by %g of %g; all are %g", i, off[i], norm[i], total);
}

static int masks_of(const ebb_graph *g)
{
    int count = 0;
    for (ebb_value v = 0; v < g->count; v++)
        count += g->node[v].op == EBB_OP_dropout_mask;
    return count;
}

/* Plans against the interpreter; and the bits of least memory, where masks are made a second time, are the same. */
static void test_networks(void **state)
{
    (void)state;
    static const ebb_plan_memory memories[] = {EBB_MEMORY_LOW, EBB_MEMORY_LEAST};
    static const ebb_loss_kind losses[] = {EBB_LOSS_DENOISING, EBB_LOSS_IMPLICIT};
    for (int k = 0; k < 2; k++) {
        problem p = make_problem(losses[k]);
        assert_true(masks_of(p.g) >= 3);
        ebb_plan *plan = plan_of(ctx, &p.reference.leaves, p.y, p.ny, (ebb_plan_options){.workers = 1});
        plan_run(ctx, plan, 0, &p.reference.leaves);
        check_values(&p, plan);
        for (int m = 0; m < 2; m++) {
            ebb_plan *other = plan_of(ctx, &p.reference.leaves, p.y, p.ny, (ebb_plan_options){.workers = 1, .memory = memories[m]});
            plan_run(ctx, other, 0, &p.reference.leaves);
            for (int i = 0; i < p.ny; i++)
                assert_memory_equal(ebb_plan_output(other, 0, i), ebb_plan_output(plan, 0, i),
                                    (size_t)ebb_shape_count(p.g->node[p.y[i]].shape) * sizeof(float));
            ebb_plan_free(other);
        }
        ebb_plan_free(plan);
        free_problem(&p);
    }
}

/* +-1/100 for element j of a parameter. */
static double direction(ebb_value param, int64_t j)
{
    ebb_rng_at at = {.seed = 3, .stream = EBB_STREAM_TEST, .sample = (uint32_t)param};
    return ebb_rng_word(&at, (uint32_t)j) >> 31 ? 0.01 : -0.01;
}

/* The loss `step` along a direction through all weights; its slope by the gradients where asked for. */
static double loss_at(const problem *p, double step, double *slope)
{
    static double moved[1 << 16];
    oracle *o = oracle_create(p->g);
    for (int i = 0; i < p->g->ninputs; i++)
        oracle_set(o, p->g->inputs[i], p->reference.leaves.wide[p->g->inputs[i]]);
    for (int i = 0; i < p->g->nparams; i++) {
        ebb_value v = p->g->params[i];
        int64_t count = ebb_shape_count(p->g->node[v].shape);
        assert_true(count <= 1 << 16);
        for (int64_t j = 0; j < count; j++)
            moved[j] = p->reference.leaves.wide[v][j] + step * direction(v, j);
        oracle_set(o, v, moved);
    }
    oracle_run(o);
    double loss = oracle_get(o, p->y[0])[0];
    for (int i = 0; slope != NULL && i < p->g->nparams; i++) {
        ebb_value v = p->g->params[i];
        for (int64_t j = 0; j < ebb_shape_count(p->g->node[v].shape); j++)
            *slope += oracle_get(o, p->y[1 + i])[j] * direction(v, j);
    }
    oracle_free(o);
    return loss;
}

/* Gradients of denoising, and of implicit score matching, which are second derivatives, against five-point differences. */
static void test_derivatives(void **state)
{
    (void)state;
    static const ebb_loss_kind losses[] = {EBB_LOSS_DENOISING, EBB_LOSS_IMPLICIT};
    for (int k = 0; k < 2; k++) {
        problem p = make_problem(losses[k]);
        double slope = 0, h = 1e-2, at[5];
        for (int i = 0; i < 5; i++)
            at[i] = loss_at(&p, (i - 2) * h, i == 2 ? &slope : NULL);
        double difference = (8 * (at[3] - at[1]) - (at[4] - at[0])) / (12 * h);
        printf("%s with dropout: slope %.10g, by differences %.10g\n", ebb_loss_name(losses[k]), slope, difference);
        assert_true(fabs(slope) > 1e-4 && fabs(slope - difference) <= 1e-5 * fabs(slope));
        free_problem(&p);
    }
}

/* Where a network is evaluated nothing is dropped, and its graph is that without dropout. */
static void test_evaluation(void **state)
{
    (void)state;
    ebb_network with = network(RATE), without = network(0);
    ebb_value y[256];
    int count[2];
    for (int k = 0; k < 2; k++) {
        ebb_graph *g;
        const ebb_network *net = k ? &with : &without;
        OK(ctx, ebb_graph_create(ctx, &g));
        ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(net, 1)), t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(1));
        ebb_network_build(g, net, x, t, ebb_network_classes(net) > 0 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(1)) : EBB_NONE);
        OK(ctx, ebb_graph_status(g));
        assert_int_equal(masks_of(g), 0);
        count[k] = g->count;
        ebb_graph_free(g);
        OK(ctx, ebb_graph_create(ctx, &g));
        OK(ctx, ebb_loss_build(g, net, &(ebb_objective){0}, 1, 1, y, 256));
        assert_true((masks_of(g) > 0) == (k == 1));
        ebb_graph_free(g);
    }
    assert_int_equal(count[0], count[1]);
}

/* ---- training ------------------------------------------------------------------------------------------------------- */

/* loss: of the last step; the run is cut after `cut` steps if that is not 0. */
static void run_training(int threads, const char *dropout, const char *memory, int cut, const char *name, double *loss)
{
    ebb_context *c = contexts[threads];
    ebb_recipe *r = tiny(c);
    ebb_trainer *t;
    char key[64];
    snprintf(key, sizeof key, "net.dropout=%s", dropout);
    ok(c, ebb_recipe_set(c, r, key));
    snprintf(key, sizeof key, "train.memory=%s", memory);
    ok(c, ebb_recipe_set(c, r, key));
    ok(c, ebb_trainer_create(c, r, in_folder(name), &t));
    if (cut > 0) {
        run_steps(c, t, cut);
        ok(c, ebb_trainer_save(t));
        ebb_trainer_free(t);
        ok(c, ebb_trainer_resume(c, in_folder(name), &t));
    }
    run_steps(c, t, STEPS - 1);
    ebb_train_report report = {.size = sizeof report};
    ok(c, ebb_trainer_step(t, &report));
    *loss = report.loss;
    ebb_trainer_free(t);
    ebb_recipe_free(r);
}

static void test_training(void **state)
{
    (void)state;
    double one, three, least, none;
    run_training(1, "0.2", "normal", 0, "one", &one);
    run_training(3, "0.2", "normal", 5, "three", &three);
    assert_same_file("one", "three", "checkpoint.safetensors");
    run_training(2, "0.2", "least", 0, "least", &least);
    run_training(2, "0", "normal", 0, "none", &none);
    printf("loss of step %d: %.9g with dropout, %.9g without\n", STEPS, one, none);
    assert_true(one == three && one == least && one != none);
    for (int i = 0; i < 4; i++)
        remove_run((const char *const[]){"one", "three", "least", "none"}[i]);
}

static void test_of_unets(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ok(ctx, ebb_recipe_set(ctx, r, "net.kind=mlp"));
    ok(ctx, ebb_recipe_set(ctx, r, "net.dropout=0.1"));
    assert_int_equal(ebb_recipe_check(ctx, r), EBB_E_ARGUMENT);
    assert_says(ctx, "net.dropout=0.1 is of U-Nets");
    ebb_recipe_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),      cmocka_unit_test(test_refused),    cmocka_unit_test(test_networks),
        cmocka_unit_test(test_derivatives), cmocka_unit_test(test_evaluation), cmocka_unit_test(test_training),
        cmocka_unit_test(test_of_unets),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
