/* test_memory.c: what is announced of memory is what is held, to the byte; and who asks for too much is told what it
 * needs, for what, and what to change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/runs.h"
#include "train/memory.h"
#include "model/plans.h"
#include "model/report.h"

/* Total of the report, which its parts add up to. */
static size_t announced(ebb_context *c, const ebb_recipe *r, int eval)
{
    char *text;
    json_t *part;
    size_t i, sum = 0;
    ok(c, ebb_memory_report(c, r, eval, &text));
    json_t *report = json_loads(text, 0, NULL);
    ebb_text_free(text);
    json_array_foreach(json_object_get(report, "parts"), i, part)
        sum += (size_t)json_integer_value(json_object_get(part, "bytes"));
    size_t total = (size_t)json_integer_value(json_object_get(report, "total_bytes"));
    assert_int_equal(sum, total);
    const json_t *peak = json_object_get(report, "peak"), *values = json_object_get(peak, "values");
    assert_true(json_array_size(values) > 1);
    assert_true(json_integer_value(json_object_get(json_array_get(values, 0), "bytes")) <=
                json_integer_value(json_object_get(peak, "alive_bytes")));
    json_decref(report);
    return total;
}

/* What a run takes from its recipe's copy to its learner, which then steps. */
static void check_training(ebb_context *c, const char *const *keys)
{
    ebb_recipe *r = tiny(c), *copy;
    ebb_dataset data;
    ebb_learner l;
    double loss, norm;
    for (; *keys; keys++)
        ok(c, ebb_recipe_set(c, r, *keys));
    size_t total = announced(c, r, 0), before = ebb_mem_read().bytes;
    ok(c, ebb_recipe_copy(c, r, &copy));
    ok(c, ebb_recipe_dataset(c, copy, &data));
    ebb_recipe_resolve(copy, &data);
    ebb_recipe_settle(c, copy);
    ok(c, ebb_learner_create(c, copy, &data, &l));
    ok(c, ebb_learner_step(&l, &loss, &norm));
    assert_int_equal(ebb_mem_read().bytes - before, total);
    ebb_learner_free(&l);
    ebb_dataset_free(&data);
    ebb_recipe_free(copy);
    ebb_recipe_free(r);
}

static void test_training_holds_what_is_announced(void **state)
{
    static const char *const usual[] = {NULL}, *const least[] = {"train.memory=least", NULL},
                      *const half[] = {"precision=bf16", "train.memory=low", "net.base=32", NULL},
                      *const points[] = {"data.kind=ring", "net.kind=mlp", "data.size=", "data.channels=0", NULL};
    (void)state;
    check_training(contexts[1], usual);
    check_training(contexts[2], least);
    check_training(contexts[4], half);
    check_training(contexts[3], points);
}

/* The network's plan on the shards that so many pictures are cut into. */
static void test_evaluation_holds_what_is_announced(void **state)
{
    (void)state;
    for (int batch = 1; batch <= 14; batch += 13) {
        ebb_recipe *r = tiny(ctx);
        char set[32];
        snprintf(set, sizeof set, "train.batch=%d", batch);
        ok(ctx, ebb_recipe_set(ctx, r, set));
        ok(ctx, ebb_recipe_set(ctx, r, batch == 1 ? "train.shard=1" : "train.shard=2"));
        size_t total = announced(ctx, r, 1), before = ebb_mem_read().bytes;
        ebb_recipe *copy;
        ebb_model *model;
        ebb_graph *g;
        ebb_plan *plan;
        ok(ctx, ebb_recipe_copy(ctx, r, &copy));
        ok(ctx, ebb_model_create(ctx, copy, &model));
        ok(ctx, ebb_alloc(ctx, (void **)&model->owned, (size_t)model->params.length, sizeof(float), "test"));
        ebb_eval_way way = ebb_eval_choose(batch, r->train_shard, ctx->threads);
        ebb_plan_options options = ebb_recipe_plan(copy, way.workers);
        options.team = way.team;
        ok(ctx, ebb_graph_create(ctx, &g));
        ebb_value eps = ebb_eval_graph(g, &model->net, way.shard, NULL);
        ok(ctx, ebb_plan_create(ctx, g, &eps, 1, &options, &plan));
        ebb_graph_free(g);
        assert_int_equal(ebb_mem_read().bytes - before, total);
        ebb_plan_free(plan);
        ebb_model_free(model);
        ebb_recipe_free(copy);
        ebb_recipe_free(r);
    }
}

/* 4096 pictures of a million pixels at once are more than any machine holds. */
static void test_too_much_is_told(void **state)
{
    static const char *const keys[] = {"data.size=1024", "data.limit=1", "net.base=32", "net.attention=",
                                       "train.batch=8192", "train.shard=4096"};
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ok(ctx, ebb_recipe_set(ctx, r, keys[i]));
    assert_int_equal(ebb_trainer_create(ctx, r, in_folder("much"), &t), EBB_E_MEMORY);
    assert_null(t);
    assert_says(ctx, "training needs ");
    assert_says(ctx, "activations ");
    assert_says(ctx, "train.memory=low or least");
    assert_says(ctx, "train.shard=2048 or less");
    assert_says(ctx, "precision.type=bf16");
    assert_says(ctx, "fewer threads than 2");
    assert_false(ebb_file_exists(in_folder("much")));
    assert_true(announced(ctx, r, 0) > (size_t)1 << 40);
    ebb_recipe_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_holds_what_is_announced),
        cmocka_unit_test(test_evaluation_holds_what_is_announced), cmocka_unit_test(test_too_much_is_told),
    };
    backend = "own";
    return cmocka_run_group_tests(tests, setup, teardown);
}
