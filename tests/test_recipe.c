/* test_recipe.c: keys, defaults, overrides, files, suggestions; the built-in recipes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/temporary.h"
#include "model/recipe.h"

static ebb_context *ctx;
static temporary_folder folder;
static char path[128];

static int setup(void **state)
{
    (void)state;
    if (!temporary_make(folder, "recipe") || ebb_context_create(NULL, &ctx) != EBB_OK)
        return 1;
    snprintf(path, sizeof path, "%s/r.json", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ebb_context_free(ctx);
    return !temporary_remove(folder) || ebb_mem_read().bytes != 0;
}

static void put(const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void assert_says(const char *part)
{
    if (strstr(ebb_message(ctx), part) == NULL)
        fail_msg("message \"%s\" does not say \"%s\"", ebb_message(ctx), part);
}

/* Every default is parsed by the checker that overrides go through: none may be out of its own range. */
static void test_defaults(void **state)
{
    (void)state;
    ebb_recipe *r;
    assert_int_equal(ebb_recipe_default(ctx, &r), EBB_OK);
    assert_int_equal(r->train_batch, 64);
    assert_string_equal(r->data_kind, "synthetic");
    assert_int_equal(r->net_mult.count, 3);
    assert_int_equal(r->net_mult.at[2], 2);
    assert_true(r->optim_lr == 2e-4);
    assert_false(r->data_flip);
    assert_int_equal(ebb_recipe_check(ctx, r), EBB_OK);
    ebb_recipe_free(r);
}

static void test_set(void **state)
{
    (void)state;
    ebb_recipe *r;
    assert_int_equal(ebb_recipe_default(ctx, &r), EBB_OK);
    assert_int_equal(ebb_recipe_set(ctx, r, "train.steps=2000"), EBB_OK);
    assert_int_equal(r->train_steps, 2000);
    assert_int_equal(ebb_recipe_set(ctx, r, "optim.lr=1e-3"), EBB_OK);
    assert_true(r->optim_lr == 1e-3);
    assert_int_equal(ebb_recipe_set(ctx, r, "net.mult=[1, 2, 4, 4]"), EBB_OK);
    assert_int_equal(r->net_mult.count, 4);
    assert_int_equal(r->net_mult.at[3], 4);
    assert_int_equal(ebb_recipe_set(ctx, r, "net.attention="), EBB_OK);
    assert_int_equal(r->net_attention.count, 0);
    assert_int_equal(ebb_recipe_set(ctx, r, "data.flip=yes"), EBB_OK);
    assert_true(r->data_flip);
    assert_int_equal(ebb_recipe_set(ctx, r, "data.path=a=b"), EBB_OK);
    assert_string_equal(r->data_path, "a=b");
    ebb_recipe_free(r);
}

typedef struct wrong {
    const char *assignment;
    ebb_status status;
    const char *says;
} wrong;

static void test_wrong_assignments(void **state)
{
    static const wrong cases[] = {
        {"train.stesp=1", EBB_E_USAGE, "train.steps"},
        {"lr=1", EBB_E_USAGE, "optim.lr"},
        {"zzzzzzzzzz=1", EBB_E_USAGE, "unknown recipe key"},
        {"train.steps", EBB_E_USAGE, "key=value"},
        {"train.steps=many", EBB_E_ARGUMENT, "whole number"},
        {"train.steps=1.5", EBB_E_ARGUMENT, "whole number"},
        {"train.steps=0", EBB_E_ARGUMENT, "outside 1.."},
        {"train.steps=99999999999999999999", EBB_E_ARGUMENT, "whole number"},
        {"optim.lr=nan", EBB_E_ARGUMENT, "a number"},
        {"optim.lr=-1", EBB_E_ARGUMENT, "outside 0.."},
        {"data.flip=perhaps", EBB_E_ARGUMENT, "true or false"},
        {"data.kind=tiff", EBB_E_ARGUMENT, "idx|npy|png"},
        {"data.kind=", EBB_E_ARGUMENT, "one of"},
        {"data.kind=id", EBB_E_ARGUMENT, "one of"},
        {"net.mult=1,,2", EBB_E_ARGUMENT, "whole numbers"},
        {"net.mult=1,2,", EBB_E_ARGUMENT, "whole numbers"},
        {"net.mult=1,2x", EBB_E_ARGUMENT, "whole numbers"},
        {"net.mult=1,1,1,1,1,1,1,1,1", EBB_E_ARGUMENT, "more than 8"},
        {"net.mult=0", EBB_E_ARGUMENT, "outside 1.."},
    };
    (void)state;
    ebb_recipe *r, *before;
    assert_int_equal(ebb_recipe_default(ctx, &r), EBB_OK);
    assert_int_equal(ebb_recipe_copy(ctx, r, &before), EBB_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ebb_status status = ebb_recipe_set(ctx, r, cases[i].assignment);
        if (status != cases[i].status)
            fail_msg("%s gives %s", cases[i].assignment, ebb_status_name(status));
        assert_says(cases[i].says);
        assert_memory_equal(r, before, sizeof *r);
    }
    ebb_recipe_free(before);
    ebb_recipe_free(r);
}

static void test_does_not_fit(void **state)
{
    static const wrong cases[] = {
        {"train.batch=12", EBB_E_ARGUMENT, "train.shard=6 or train.batch=16"},
        {"net.attention=3", EBB_E_ARGUMENT, "levels 0..2"},
        {"net.mult=", EBB_E_ARGUMENT, "net.mult is empty"},
        {"sample.sampler=ddmi", EBB_E_USAGE, "did you mean 'dd"},
        {"sample.sampler=heun:snr=0.2", EBB_E_USAGE, "heun takes no 'snr'"},
        {"sample.grid=even:rho=7", EBB_E_USAGE, "it takes keep_last"},
        {"sample.steps=1001", EBB_E_ARGUMENT, "process.steps"},
        {"sample.guidance=1", EBB_E_ARGUMENT, "net.classes"},
        {"process.beta_start=0.5", EBB_E_ARGUMENT, "beta_end"},
        {"data.size=1,2,3", EBB_E_ARGUMENT, "height,width"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ebb_recipe *r;
        assert_int_equal(ebb_recipe_default(ctx, &r), EBB_OK);
        assert_int_equal(ebb_recipe_set(ctx, r, cases[i].assignment), EBB_OK);
        assert_int_equal(ebb_recipe_check(ctx, r), cases[i].status);
        assert_says(cases[i].says);
        ebb_recipe_free(r);
    }
}

static void test_eta_of_none(void **state)
{
    (void)state;
    ebb_recipe *r;
    assert_int_equal(ebb_recipe_default(ctx, &r), EBB_OK);
    assert_int_equal(ebb_recipe_set(ctx, r, "sample.eta=0.5"), EBB_OK);
    assert_int_equal(ebb_recipe_check(ctx, r), EBB_OK);
    assert_int_equal(ebb_recipe_set(ctx, r, "sample.sampler=heun"), EBB_OK);
    assert_int_equal(ebb_recipe_check(ctx, r), EBB_E_USAGE);
    assert_says("sample.eta: sampler heun takes no 'eta'");
    ebb_recipe_free(r);
}

/* What is written is read back the same, every key changed from its default on the way. */
static void test_round_trip(void **state)
{
    (void)state;
    ebb_recipe *r, *back;
    char *text, *again;
    assert_int_equal(ebb_recipe_load(ctx, "digits", &r), EBB_OK);
    assert_int_equal(ebb_recipe_set(ctx, r, "optim.lr=0.1"), EBB_OK);
    assert_int_equal(ebb_recipe_set(ctx, r, "data.labels=a \"quoted\" name"), EBB_OK);
    assert_int_equal(ebb_recipe_text(ctx, r, &text), EBB_OK);
    put(text);
    assert_int_equal(ebb_recipe_load(ctx, path, &back), EBB_OK);
    assert_string_equal(back->directory, folder);
    memset(back->directory, 0, sizeof back->directory);
    assert_memory_equal(r, back, sizeof *r);
    assert_int_equal(ebb_recipe_text(ctx, back, &again), EBB_OK);
    assert_string_equal(text, again);
    ebb_text_free(text);
    ebb_text_free(again);
    ebb_recipe_free(r);
    ebb_recipe_free(back);
}

static void test_wrong_files(void **state)
{
    static const wrong cases[] = {
        {"", EBB_E_FORMAT, "r.json"},
        {"{\"train\": {\"steps\": 5}", EBB_E_FORMAT, "r.json"},
        {"[1]", EBB_E_FORMAT, "object of sections"},
        {"{\"train\": 5}", EBB_E_FORMAT, "object of keys"},
        {"{\"trian\": {}}", EBB_E_USAGE, "did you mean 'train'"},
        {"{\"train\": {\"step\": 5}}", EBB_E_USAGE, "did you mean 'train.steps'"},
        {"{\"train\": {\"steps\": \"5\"}}", EBB_E_ARGUMENT, "whole number"},
        {"{\"train\": {\"steps\": 0}}", EBB_E_ARGUMENT, "r.json: train.steps"},
        {"{\"net\": {\"mult\": [1, 2.5]}}", EBB_E_ARGUMENT, "whole numbers"},
        {"{\"data\": {\"kind\": \"jpeg\"}}", EBB_E_ARGUMENT, "one of"},
    };
    (void)state;
    ebb_recipe *r;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put(cases[i].assignment);
        ebb_status status = ebb_recipe_load(ctx, path, &r);
        if (status != cases[i].status)
            fail_msg("%s gives %s: %s", cases[i].assignment, ebb_status_name(status), ebb_message(ctx));
        assert_null(r);
        assert_says(cases[i].says);
    }
    assert_int_equal(ebb_recipe_load(ctx, "digit", &r), EBB_E_USAGE);
    assert_says("did you mean 'digits'");
    assert_int_equal(ebb_recipe_load(ctx, "nowhere/r.json", &r), EBB_E_IO);
    assert_says("nowhere/r.json");
}

/* Each part of a recipe file that is cut off or has a flipped bit gives a recipe or an error with the
 * path; run under a sanitizer this finds stray reads. */
static void test_damage(void **state)
{
    (void)state;
    ebb_recipe *r;
    char *text;
    assert_int_equal(ebb_recipe_load(ctx, "unet-s", &r), EBB_OK);
    assert_int_equal(ebb_recipe_text(ctx, r, &text), EBB_OK);
    ebb_recipe_free(r);
    size_t size = strlen(text);
    int refused = 0;
    for (size_t i = 0; i + 2 < size; i += 7) {
        char keep = text[i];
        text[i] = (char)(keep ^ (1 << i % 7));
        ebb_status status = ebb_recipe_parse(ctx, text, "damaged", "", &r);
        if (status != EBB_OK) {
            assert_says("damaged");
            refused++;
        }
        ebb_recipe_free(r);
        text[i] = 0;
        assert_int_not_equal(ebb_recipe_parse(ctx, text, "cut", "", &r), EBB_OK);
        text[i] = keep;
    }
    assert_true(refused > 50);
    ebb_text_free(text);
}

static void test_built_in(void **state)
{
    static const char *const names[] = {"digits", "digits-demo", "digits-ism", "mixture-ism", "fashion-vp", "fashion-subvp",
                                        "fashion-ve", "unet-s", "unet-m", "unet-l", "ddpmpp-s", "ncsnpp-s"};
    (void)state;
    char *list, *keys;
    assert_int_equal(ebb_recipe_list(ctx, &list), EBB_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ebb_recipe *r;
        ebb_network net;
        assert_non_null(strstr(list, names[i]));
        assert_int_equal(ebb_recipe_load(ctx, names[i], &r), EBB_OK);
        assert_string_equal(r->about_name, names[i]);
        assert_int_equal(ebb_recipe_check(ctx, r), EBB_OK);
        assert_int_equal(ebb_recipe_network(ctx, r, &net), EBB_OK);
        ebb_recipe_free(r);
    }
    assert_int_equal(ebb_recipe_keys(ctx, &keys), EBB_OK);
    for (int i = 0; i < ebb_keys_count; i++)
        assert_non_null(strstr(keys, ebb_keys[i].full));
    ebb_text_free(list);
    ebb_text_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_wrong_assignments),
        cmocka_unit_test(test_does_not_fit), cmocka_unit_test(test_eta_of_none),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_built_in),
    };
    return cmocka_run_group_tests_name("recipe", tests, setup, teardown);
}
