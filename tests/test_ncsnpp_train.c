/* test_ncsnpp_train.c: DDPM++ and NCSN++ from recipes: what the kinds settle, what they refuse, what the network is told of
 * time; and runs: they learn, their frequencies stay, their bits depend on no threads, and pictures on no batch.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/runs.h"
#include "train/ema.h"

/* ---- recipes ------------------------------------------------------------------------------------------------ */

static ebb_recipe *recipe_of(const char *const *keys)
{
    ebb_recipe *r = tiny(ctx);
    for (; *keys; keys++)
        ok(ctx, ebb_recipe_set(ctx, r, *keys));
    return r;
}

static ebb_network network_of(const char *const *keys)
{
    ebb_recipe *r = recipe_of(keys);
    ebb_network net;
    ok(ctx, ebb_recipe_check(ctx, r));
    ok(ctx, ebb_recipe_network(ctx, r, &net));
    ebb_recipe_free(r);
    return net;
}

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_kinds(void **state)
{
    (void)state;
    ebb_unet_config c = network_of(KEYS("net.kind=unet")).u.unet;
    assert_true(!c.groups_of_four && !c.rescale && !c.attention_once && c.resample == EBB_RESAMPLE_CONV &&
                c.pyramid == EBB_PYRAMID_NONE && !c.pyramid_concat && c.output == EBB_PYRAMID_NONE && c.fourier == 0);
    c = network_of(KEYS("net.kind=ddpmpp")).u.unet;
    assert_true(c.groups_of_four && c.rescale && c.attention_once && c.resample == EBB_RESAMPLE_MEAN &&
                c.pyramid == EBB_PYRAMID_NONE && c.output == EBB_PYRAMID_NONE && c.fourier == 0);
    c = network_of(KEYS("net.kind=ncsnpp")).u.unet;
    assert_true(c.groups_of_four && c.rescale && c.attention_once && c.resample == EBB_RESAMPLE_FIR &&
                c.pyramid == EBB_PYRAMID_RESIDUAL && c.output == EBB_PYRAMID_NONE && c.fourier == 16);
    c = network_of(KEYS("net.kind=ncsnpp", "net.skip_rescale=no", "net.attention_up=each", "net.resample=conv",
                        "net.embedding=positional", "net.progressive_input=input-skip", "net.progressive_combine=cat",
                        "net.progressive_output=output-skip")).u.unet;
    assert_true(c.groups_of_four && !c.rescale && !c.attention_once && c.resample == EBB_RESAMPLE_CONV &&
                c.pyramid == EBB_PYRAMID_SKIP && c.pyramid_concat && c.output == EBB_PYRAMID_SKIP && c.fourier == 0);
    assert_true(network_of(KEYS("net.kind=ncsnpp", "net.progressive_output=residual")).u.unet.output == EBB_PYRAMID_RESIDUAL);
    c = network_of(KEYS("net.embedding=fourier", "net.fourier_scale=2.5", "net.resample=fir", "net.attention_up=once")).u.unet;
    assert_true(!c.groups_of_four && c.fourier == 2.5f && c.resample == EBB_RESAMPLE_FIR && c.attention_once && !c.rescale);
}

static void refused(const char *const *keys, const char *says)
{
    ebb_recipe *r = recipe_of(keys);
    ebb_network net;
    ebb_params params = {0};
    ebb_status status = ebb_recipe_check(ctx, r);
    status = status == EBB_OK ? ebb_recipe_network(ctx, r, &net) : status;
    status = status == EBB_OK ? ebb_params_from_network(ctx, &net, &params) : status;
    assert_true(status == EBB_E_ARGUMENT || status == EBB_E_SHAPE);
    assert_says(ctx, says);
    ebb_recipe_free(r);
}

static void test_refused(void **state)
{
    (void)state;
    refused(KEYS("net.progressive_combine=cat"), "progressive_combine=cat is of net.progressive_input=input-skip, not none");
    refused(KEYS("net.kind=ncsnpp", "net.progressive_combine=cat"), "not residual");
    refused(KEYS("net.kind=ncsnpp", "process.kind=vp", "process.clock=log-snr"), "told log(sigma/alpha)");
    refused(KEYS("net.kind=ncsnpp", "data.size=10", "net.mult=1,1,2"), "level 1 is 5x5 and cannot be halved");
    refused(KEYS("net.kind=ddpmpp", "net.attention=2"), "net.attention names level 2");
    refused(KEYS("net.kind=ddpmpp", "net.mult=1,3", "net.base=6"), "groups");
}

/* Positions, or log(sigma/alpha), finite where one of the two is gone. */
static void test_time(void **state)
{
    (void)state;
    ebb_process p;
    ebb_network fourier = network_of(KEYS("net.kind=ncsnpp")), position = network_of(KEYS("net.kind=ddpmpp"));
    ok(ctx, ebb_process_create(ctx, &(ebb_process){.kind = EBB_PROCESS_VP}, &p));
    for (double t = 0.01; t < 1; t += 0.11) {
        ebb_level at = ebb_process_level(&p, t);
        assert_true(fabs(ebb_network_time(&fourier, &p, at) + ebb_process_lambda(&p, t)) < 1e-9);
        assert_true(ebb_network_time(&position, &p, at) == ebb_process_position(&p, t));
    }
    assert_true(ebb_network_time(&fourier, &p, (ebb_level){1, 0, 1}) == EBB_LOG_SIGMA_MAX);
    assert_true(ebb_network_time(&fourier, &p, (ebb_level){0, 1, 0}) == -EBB_LOG_SIGMA_MAX);
    ebb_process_free(&p);
}

/* Only where sigma/alpha is sigma, and the score is what the network gives. */
static void test_over_sigma(void **state)
{
    (void)state;
    assert_true(network_of(KEYS("net.kind=ncsnpp", "process.kind=ve", "process.prediction=score")).over_sigma);
    assert_true(network_of(KEYS("net.kind=ncsnpp", "process.kind=smld", "process.prediction=score")).over_sigma);
    assert_false(network_of(KEYS("net.kind=ncsnpp", "process.kind=ve", "process.prediction=epsilon")).over_sigma);
    assert_false(network_of(KEYS("net.kind=ncsnpp", "process.kind=vp", "process.prediction=score")).over_sigma);
    assert_false(network_of(KEYS("net.kind=ddpmpp", "process.kind=ve", "process.prediction=score")).over_sigma);
}

/* ---- runs --------------------------------------------------------------------------------------------------- */

#define NCSNPP "net.kind=ncsnpp", "process.kind=ve", "process.prediction=score", "optim.weight_decay=0.1"

static ebb_trainer *begin(ebb_context *c, const char *const *keys, const char *name)
{
    ebb_recipe *r = recipe_of(keys);
    ebb_trainer *t;
    ok(c, ebb_trainer_create(c, r, in_folder(name), &t));
    ebb_recipe_free(r);
    return t;
}

static const float *frequencies(const ebb_params *p, const float *block, int64_t *count)
{
    int i = 0;
    while (i < p->count && strcmp(p->at[i].name, "time_proj.weight") != 0)
        i++;
    assert_true(i < p->count && p->at[i].offset >= p->trained);
    *count = p->at[i].count;
    return block + p->at[i].offset;
}

/* Weight decay shrinks all but the frequencies; those are normal numbers of the seed, times the scale. */
static void test_frequencies_stay(void **state)
{
    (void)state;
    ebb_trainer *t = begin(ctx, KEYS(NCSNPP), "reference");
    const ebb_params *p = &t->learner.params;
    int64_t count;
    float first[64];
    const float *w = frequencies(p, t->learner.blocks.p, &count), *average = frequencies(p, t->learner.blocks.ema, &count);
    double square = 0;
    assert_int_equal(count, 16);
    memcpy(first, w, (size_t)count * sizeof *w);
    for (int64_t i = 0; i < count; i++)
        square += (double)w[i] * w[i] / (double)count;
    assert_true(sqrt(square) > 8 && sqrt(square) < 32);
    float weight = t->learner.blocks.p[0];
    run_steps(ctx, t, STEPS);
    assert_memory_equal(first, w, (size_t)count * sizeof *w);
    assert_memory_equal(first, average, (size_t)count * sizeof *w);
    assert_true(t->learner.blocks.p[0] != weight);
    ebb_trainer_free(t);
    ebb_model *m = reference_model(ctx);
    assert_memory_equal(first, frequencies(&m->params, m->weights, &count), (size_t)count * sizeof *w);
    ebb_model_free(m);
}

static void test_threads_and_cuts(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads += 3) {
        ebb_context *c = contexts[threads];
        ebb_trainer *t = begin(c, KEYS(NCSNPP), "again");
        run_steps(c, t, 5);
        ok(c, ebb_trainer_save(t));
        ebb_trainer_free(t);
        ok(c, ebb_trainer_resume(c, in_folder("again"), &t));
        uint64_t calls = ebb_mem_read().calls;
        run_steps(c, t, 8);
        assert_int_equal(ebb_mem_read().calls, calls);           /* no allocation in a step */
        run_steps(c, t, STEPS);
        ebb_trainer_free(t);
        assert_same_file("reference", "again", "checkpoint.safetensors");
        assert_same_file("reference", "again", "model.safetensors");
        remove_run("again");
    }
}

/* Each picture is the same alone and in any part of the batch. */
static void test_samples(void **state)
{
    enum { COUNT = 11, NUMBERS = SIDE * SIDE };
    static float batch[COUNT * NUMBERS], part[COUNT * NUMBERS];
    static const char *const samplers[] = {"ddim", "reverse-diffusion", "edm"};
    (void)state;
    ebb_model *m = reference_model(ctx);
    for (size_t k = 0; k < sizeof samplers / sizeof *samplers; k++) {
        ebb_sample_options o = ebb_sample_defaults();
        o.n = COUNT;
        o.seed = 4;
        o.label = 1;
        o.steps = 6;
        o.guidance = 0.5;
        o.sampler = samplers[k];
        ok(ctx, ebb_sample(ctx, m, &o, batch));
        for (int i = 0; i < COUNT * NUMBERS; i++)
            assert_true(isfinite(batch[i]));
        assert_memory_not_equal(batch, batch + NUMBERS, NUMBERS * sizeof(float));
        for (int i = 0; i < COUNT; i += 1 + i % 3) {
            o.first = i;
            o.n = i + 1 + i % 3 <= COUNT ? 1 + i % 3 : COUNT - i;
            ok(ctx, ebb_sample(ctx, m, &o, part));
            assert_memory_equal(batch + i * NUMBERS, part, (size_t)o.n * NUMBERS * sizeof(float));
        }
    }
    ebb_model_free(m);
}

/* Every prediction and process with either network: the loss falls, in f32 and in bfloat16. */
static void test_learns(void **state)
{
    static const char *const rows[][5] = {
        {"net.kind=ncsnpp", "process.kind=ve", "process.prediction=score", "precision=f32"},
        {"net.kind=ncsnpp", "process.kind=vp", "process.prediction=epsilon", "precision=bf16"},
        {"net.kind=ncsnpp", "process.kind=edm", "process.prediction=edm", "precision=f32"},
        {"net.kind=ddpmpp", "process.kind=ddpm", "process.prediction=v", "precision=f32"},
        {"net.kind=ddpmpp", "process.kind=sub-vp", "process.prediction=score", "precision=bf16"},
        {"net.kind=ncsnpp", "process.kind=flow", "process.prediction=flow", "net.progressive_output=output-skip"},
        {"net.kind=ncsnpp", "process.kind=vp", "process.prediction=v", "net.progressive_output=residual"},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        ebb_recipe *r = recipe_of(rows[k]);
        ok(ctx, ebb_recipe_set(ctx, r, "train.steps=60"));
        ok(ctx, ebb_recipe_set(ctx, r, "optim.decay=constant"));
        ebb_trainer *t;
        double first = 0, last = 0;
        ok(ctx, ebb_trainer_create(ctx, r, in_folder("learns"), &t));
        for (int step = 0; step < 60; step++) {
            ebb_train_report report = {0};
            ok(ctx, ebb_trainer_step(t, &report));
            first += step < 10 ? report.loss / 10 : 0;
            last += step >= 50 ? report.loss / 10 : 0;
        }
        printf("%s, %s, %s: loss %.3f, then %.3f\n", rows[k][0], rows[k][1], rows[k][2], first, last);
        assert_true(last < 0.9 * first);
        ebb_trainer_free(t);
        ebb_recipe_free(r);
        remove_run("learns");
    }
}

/* The factors of snapshots add up to 1, so averages made after the run leave the frequencies, too. */
static void test_made_average(void **state)
{
    (void)state;
    ebb_trainer *t = begin(ctx, KEYS(NCSNPP, "optim.ema_kind=power-function", "train.snapshot_every=4"), "averages");
    int64_t count;
    float first[64];
    memcpy(first, frequencies(&t->learner.params, t->learner.blocks.p, &count), 16 * sizeof *first);
    run_steps(ctx, t, STEPS);
    ebb_trainer_free(t);
    for (int k = 0; k < 3; k++) {
        static const double widths[] = {0.02, 0.07, 0.28};
        char *text;
        ebb_model *m;
        ok(ctx, ebb_ema_make(ctx, in_folder("averages"), widths[k], 0, in_folder("made.safetensors"), &text));
        ok(ctx, ebb_model_load(ctx, in_folder("made.safetensors"), &m));
        assert_memory_equal(first, frequencies(&m->params, m->weights, &count), 16 * sizeof *first);
        ebb_model_free(m);
        ebb_text_free(text);
    }
    remove_run("averages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),      cmocka_unit_test(test_refused),          cmocka_unit_test(test_time),
        cmocka_unit_test(test_over_sigma), cmocka_unit_test(test_frequencies_stay), cmocka_unit_test(test_threads_and_cuts),
        cmocka_unit_test(test_samples),    cmocka_unit_test(test_learns),           cmocka_unit_test(test_made_average),
    };
    backend = "own";
    return cmocka_run_group_tests(tests, setup, teardown);
}
