/* test_mixture.c: networks learn the score of a law that is known, by losses that never see the noise.
 *
 * Fisher's divergence E |s_net - s|^2 over points of p_t, at times between clean and noise, of the averaged weights.
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
#include "model/plans.h"

enum { POINTS = 4096 };
static const double TIMES[] = {1e-3, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0};
enum { NTIMES = sizeof TIMES / sizeof TIMES[0] };

/* At one time, with points of the law that training did not see. */
static double fisher(const ebb_learner *l, ebb_plan *plan, const ebb_target *law, double t)
{
    ebb_level at = ebb_process_level(&l->process, t);
    ebb_coefficients c = ebb_prediction_coefficients(l->net.prediction, at.alpha, at.sigma, l->net.sigma_data);
    float *x = ebb_plan_input(plan, 0, "x"), *times = ebb_plan_input(plan, 0, "t"), noise[4];
    static double point[2 * POINTS];
    double sum = 0, score[2];
    ebb_target_sample(law, 77, 0, POINTS, point, NULL);
    for (int i = 0; i < POINTS; i++) {
        ctx->kernels->normal_f32(4, noise, &(ebb_rng_at){8, EBB_STREAM_TEST, 0, (uint32_t)i});
        for (int d = 0; d < 2; d++) {
            point[2 * i + d] = at.alpha * point[2 * i + d] + at.sigma * noise[d];
            x[2 * i + d] = (float)(c.in * point[2 * i + d]);
        }
        times[i] = (float)ebb_process_position(&l->process, t);
    }
    ebb_plan_run(plan, 0);
    const float *f = ebb_plan_output(plan, 0, 0);
    for (int i = 0; i < POINTS; i++) {
        ebb_target_at(law, point + 2 * i, at.alpha, at.sigma, NULL, score, NULL, NULL);
        for (int d = 0; d < 2; d++) {
            double got = -(c.eps_x * point[2 * i + d] + c.eps_f * f[2 * i + d]) / at.sigma;
            sum += (got - score[d]) * (got - score[d]);
        }
    }
    return sum / POINTS;
}

/* The recipe mixture-ism with some keys set, trained; the largest divergence over times. */
static double worst(const char *const *keys, int count)
{
    ebb_recipe *r;
    ebb_trainer *t;
    ebb_target law;
    ebb_plan *plan;
    double largest = 0;
    ok(ctx, ebb_recipe_load(ctx, "mixture-ism", &r));
    for (int i = 0; i < count; i++)
        ok(ctx, ebb_recipe_set(ctx, r, keys[i]));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("mixture"), &t));
    run_steps(ctx, t, r->train_steps);
    ok(ctx, ebb_recipe_target(ctx, r, &law));
    ok(ctx, ebb_eval_plan(ctx, &t->learner.net, POINTS, &(ebb_plan_options){.workers = 1}, &plan));
    ebb_params_bind(&t->learner.params, plan, t->learner.blocks.ema);
    ebb_plan_prepare(plan);
    for (int i = 0; i < NTIMES; i++) {
        double divergence = fisher(&t->learner, plan, &law, TIMES[i]);
        print_message("  t %-5g Fisher divergence %.4f\n", TIMES[i], divergence);
        largest = fmax(largest, divergence);
    }
    ebb_plan_free(plan);
    ebb_target_free(&law);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
    remove_run("mixture");
    return largest;
}

/* Whole trainings: a sanitizer would see nothing in them that the short runs below do not show it. */
static void only_at_full_speed(void)
{
#ifdef EBB_FAULT
    skip();
#endif
}

static void test_exact(void **state)
{
    (void)state;
    only_at_full_speed();
    assert_true(worst(NULL, 0) < 0.05);
}

static void test_hutchinson(void **state)
{
    (void)state;
    static const char *const keys[] = {"loss.kind=implicit"};
    only_at_full_speed();
    assert_true(worst(keys, 1) < 0.05);
}

/* ---- bits ------------------------------------------------------------------------------------------------------- */

/* The tiny recipe with another loss over another process. */
static ebb_recipe *other(ebb_context *c, const char *kind)
{
    static const char *const keys[] = {"process.kind=sub-vp", "process.prediction=edm", "loss.weighting=p2",
                                       "data.dequantize=true", "loss.times=log-normal", "sample.sampler=ddim"};
    char text[64];
    ebb_recipe *r = tiny(c);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ok(c, ebb_recipe_set(c, r, keys[i]));
    snprintf(text, sizeof text, "loss.kind=%s", kind);
    ok(c, ebb_recipe_set(c, r, text));
    return r;
}

static void train_other(int threads, const char *kind, const char *name, int64_t cut)
{
    ebb_context *c = contexts[threads];
    ebb_recipe *r = other(c, kind);
    ebb_trainer *t;
    ok(c, ebb_trainer_create(c, r, in_folder(name), &t));
    if (cut > 0) {
        run_steps(c, t, cut);
        ok(c, ebb_trainer_save(t));
        ebb_trainer_free(t);
        ok(c, ebb_trainer_resume(c, in_folder(name), &t));
    }
    run_steps(c, t, STEPS);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
}

/* Threads and cuts change nothing, whatever the loss. */
static void test_bits(void **state)
{
    static const char *const kinds[] = {"denoising", "implicit", "sliced"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        train_other(1, kinds[i], "one", 0);
        train_other(3, kinds[i], "three", 5);
        assert_same_file("one", "three", "model.safetensors");
        assert_same_file("one", "three", "checkpoint.safetensors");
        remove_run("one");
        remove_run("three");
    }
}

/* The bound by importance: times depend on all losses before, which a cut must not lose. */
static void test_history(void **state)
{
    (void)state;
    static const char *const keys[] = {"net.variance=learned", "loss.kind=vlb", "loss.times=history", "process.steps=4",
                                       "sample.steps=3", "train.steps=16"};
    for (int threads = 1; threads <= 3; threads += 2) {
        ebb_context *c = contexts[threads];
        ebb_recipe *r = tiny(c);
        ebb_trainer *t;
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            ok(c, ebb_recipe_set(c, r, keys[i]));
        const char *name = threads == 1 ? "one" : "three";
        ok(c, ebb_trainer_create(c, r, in_folder(name), &t));
        if (threads == 3) {
            run_steps(c, t, 9);
            ok(c, ebb_trainer_save(t));
            ebb_trainer_free(t);
            ok(c, ebb_trainer_resume(c, in_folder(name), &t));
        }
        run_steps(c, t, 16);
        /* It is in use: ten losses of each time, and no longer all alike. */
        ebb_history_settle(&t->learner.history);
        double sum = 0, first = ebb_history_probability(&t->learner.history, 0);
        for (int k = 0; k < 4; k++)
            sum += ebb_history_probability(&t->learner.history, k);
        assert_true(fabs(sum - 1) < 1e-12 && fabs(first - 0.25) > 0.01);
        ebb_trainer_free(t);
        ebb_recipe_free(r);
    }
    assert_same_file("one", "three", "checkpoint.safetensors");
    remove_run("one");
    remove_run("three");
}

static void test_refusals(void **state)
{
    static const char *const wrong[][3] = {
        {"loss.kind=explicit", "data.kind=synthetic", "data.kind=target"},
        {"loss.times=likelihood", "loss.weighting=p2", "loss.weighting=likelihood"},
        {"loss.t_min=3", "process.kind=vp", "ends at t = 1"},
    };
    (void)state;
    for (int i = 0; i < 3; i++) {
        ebb_recipe *r = tiny(ctx);
        ebb_trainer *t;
        ok(ctx, ebb_recipe_set(ctx, r, "process.kind=vp"));
        ok(ctx, ebb_recipe_set(ctx, r, wrong[i][0]));
        ok(ctx, ebb_recipe_set(ctx, r, wrong[i][1]));
        assert_int_equal(ebb_trainer_create(ctx, r, in_folder("wrong"), &t), EBB_E_ARGUMENT);
        assert_says(ctx, wrong[i][2]);
        ebb_recipe_free(r);
    }
}

/* A chain whose last step is noise alone, where no loss of the noise depends on the network: 1/snr has no bound there, but
 * the loss of a step that shows it is that of its other pictures. g^2 has no such limit. */
static void test_noise_alone(void **state)
{
    static const char *const keys[] = {"process.kind=ddpm", "process.zero_snr=true", "process.prediction=v", "process.steps=4",
                                       "process.beta_end=0.5", "loss.kind=implicit", "train.steps=3"};
    (void)state;
    for (int likelihood = 0; likelihood < 2; likelihood++) {
        ebb_recipe *r = tiny(ctx);
        ebb_trainer *t = NULL;
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            ok(ctx, ebb_recipe_set(ctx, r, keys[i]));
        ok(ctx, ebb_recipe_set(ctx, r, likelihood ? "loss.weighting=likelihood" : "loss.weighting=snr+1"));
        ebb_status status = ebb_trainer_create(ctx, r, in_folder("noise"), &t);
        assert_int_equal(status, likelihood ? EBB_E_ARGUMENT : EBB_OK);
        for (int step = 0; step < 3 && !likelihood; step++) {
            ebb_train_report report = {.size = sizeof report};
            ok(ctx, ebb_trainer_step(t, &report));
            assert_true(isfinite(report.loss) && fabs(report.loss) < 1e4);
        }
        if (likelihood)
            assert_says(ctx, "take step");
        ebb_trainer_free(t);
        ebb_recipe_free(r);
    }
    remove_run("noise");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_hutchinson),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_noise_alone),
    };
    backend = "own";
    return cmocka_run_group_tests(tests, setup, teardown);
}
