/* test_latent.c: ebb_latent_*: there and back, the same bits for any threads and any company, decoding by samplers beside
 * ebb_sample, two networks of one law, files of codes, refusals.
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

#include "diffusion/flow.h"
#include "support/runs.h"

enum { NUMBERS = SIDE * SIDE, MOST = 12 };

static double rms(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]) / (double)n;
    return sqrt(sum);
}

/* Points of a law by a small network; more keys end with NULL. */
static ebb_model *points_model(const char *name, const char *const *more)
{
    static const char *const keys[] = {"train.batch=64", "train.shard=64", "net.width=16", "net.depth=2", "loss.kind=denoising",
                                       "loss.weighting=simple", "loss.times=auto", "loss.t_min=0", "process.prediction=v",
                                       "data.limit=20000", "train.steps=60"};
    ebb_recipe *r;
    ebb_trainer *t;
    ebb_model *m;
    char path[300];
    ok(ctx, ebb_recipe_load(ctx, "mixture-ism", &r));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ok(ctx, ebb_recipe_set(ctx, r, keys[i]));
    for (; *more != NULL; more++)
        ok(ctx, ebb_recipe_set(ctx, r, *more));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder(name), &t));
    run_steps(ctx, t, r->train_steps);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
    snprintf(path, sizeof path, "%s/%s/model.safetensors", folder, name);
    ok(ctx, ebb_model_load(ctx, path, &m));
    return m;
}

/* Pictures of the training data, and their classes. */
static ebb_pictures pictures(ebb_model *m, int64_t n)
{
    ebb_pictures p;
    ok(ctx, ebb_pictures_read(ctx, m, NULL, NULL, 0, n, &p));
    assert_int_equal(p.n, n);
    assert_non_null(p.labels);
    return p;
}

/* ---- there and back ---------------------------------------------------------------------------------------------------- */

/* By a U-Net, to the accuracy of a network in float; the codes are numbers of the size that codes have. */
static void test_round_trip(void **state)
{
    (void)state;
    enum { N = 6 };
    ebb_model *m = reference_model(ctx);
    ebb_pictures p = pictures(m, N);
    double codes[N * NUMBERS], worst = 0;
    float back[N * NUMBERS];
    int64_t nfe[N] = {0};
    ebb_latent_options o = ebb_latent_defaults();
    o.rtol = o.atol = 1e-6;
    o.labels = p.labels;
    o.nfe = nfe;
    ok(ctx, ebb_latent_encode(ctx, m, &o, N, p.pixels, codes));
    for (int i = 0; i < N; i++)
        assert_true(nfe[i] >= 13);
    ok(ctx, ebb_latent_decode(ctx, m, &o, N, codes, back));
    for (int i = 0; i < N * NUMBERS; i++)
        worst = fmax(worst, fabs(back[i] - p.pixels[i]));
    if (!(worst < 1e-3))
        fail_msg("there and back: off by %g", worst);
    /* Without its class a picture is decoded to another. */
    o.labels = NULL;
    ok(ctx, ebb_latent_decode(ctx, m, &o, N, codes, back));
    double other = 0;
    for (int i = 0; i < N * NUMBERS; i++)
        other = fmax(other, fabs(back[i] - p.pixels[i]));
    assert_true(other > 10 * worst);
    ebb_pictures_free(&p);
    ebb_model_free(m);
}

static void test_round_trip_of_every_process(void **state)
{
    (void)state;
    enum { N = 10 };
    for (int k = 0; k < EBB_PROCESS_COUNT; k++) {
        char key[40], name[20];
        const char *const keys[] = {key, NULL};
        snprintf(key, sizeof key, "process.kind=%s", ebb_process_name((ebb_process_kind)k));
        snprintf(name, sizeof name, "kind%d", k);
        ebb_model *m = points_model(name, keys);
        ebb_pictures p = pictures(m, N);
        double codes[2 * N], square = 0;
        float back[2 * N];
        ebb_latent_options o = ebb_latent_defaults();
        o.rtol = o.atol = 1e-6;
        ok(ctx, ebb_latent_encode(ctx, m, &o, N, p.pixels, codes));
        ok(ctx, ebb_latent_decode(ctx, m, &o, N, codes, back));
        for (int i = 0; i < 2 * N; i++) {
            square += codes[i] * codes[i] / (2 * N);
            if (!(fabs(back[i] - p.pixels[i]) < 2e-3))
                fail_msg("%s: %g came back as %g", key, p.pixels[i], back[i]);
        }
        if (!(square > 0.05 && square < 20))
            fail_msg("%s: mean square of codes %g", key, square);
        ebb_pictures_free(&p);
        ebb_model_free(m);
    }
}

/* ---- the same bits ----------------------------------------------------------------------------------------------------- */

static void test_same_bits(void **state)
{
    (void)state;
    enum { N = 9 };
    double first[N * NUMBERS], other[N * NUMBERS];
    float back[N * NUMBERS], again[N * NUMBERS];
    for (int threads = 1; threads <= 4; threads++) {
        ebb_context *c = contexts[threads];
        ebb_model *m = reference_model(c);
        ebb_pictures p = pictures(m, N);
        ebb_latent_options o = ebb_latent_defaults();
        o.rtol = o.atol = 1e-2;
        o.labels = p.labels;
        o.guidance = 0.5;
        ok(c, ebb_latent_encode(c, m, &o, N, p.pixels, threads == 1 ? first : other));
        ok(c, ebb_latent_decode(c, m, &o, N, first, threads == 1 ? back : again));
        if (threads > 1) {
            assert_memory_equal(first, other, sizeof first);
            assert_memory_equal(back, again, sizeof back);
        }
        /* Some of them alone. */
        o.labels = p.labels + 4;
        ok(c, ebb_latent_encode(c, m, &o, threads, p.pixels + 4 * NUMBERS, other));
        assert_memory_equal(first + 4 * NUMBERS, other, (size_t)threads * NUMBERS * sizeof *other);
        ok(c, ebb_latent_decode(c, m, &o, threads, first + 4 * NUMBERS, again));
        assert_memory_equal(back + 4 * NUMBERS, again, (size_t)threads * NUMBERS * sizeof *again);
        ebb_pictures_free(&p);
        ebb_model_free(m);
    }
}

/* ---- samplers ------------------------------------------------------------------------------------------------------------ */

/* From the codes of a seed a sampler leads to the samples of that seed. */
static void test_as_ebb_sample(void **state)
{
    (void)state;
    enum { N = 10 };
    static const char *const samplers[] = {"ddim", "heun", "dpmpp-2m", "unipc"};
    ebb_model *m = reference_model(ctx);
    double codes[N * NUMBERS];
    float mine[N * NUMBERS], theirs[N * NUMBERS];
    int64_t nfe[N];
    ok(ctx, ebb_latent_noise(ctx, m, 7, 3, N, codes));
    for (size_t k = 0; k < sizeof samplers / sizeof *samplers; k++) {
        ebb_latent_options o = ebb_latent_defaults();
        ebb_sample_options s = ebb_sample_defaults();
        o.sampler = s.sampler = samplers[k];
        o.steps = s.steps = 5;
        o.label = s.label = 1;
        o.guidance = s.guidance = 1.5;
        o.nfe = nfe;
        s.precision = "f32";
        s.seed = 7;
        s.first = 3;
        s.n = N;
        s.grid = "";
        ok(ctx, ebb_latent_decode(ctx, m, &o, N, codes, mine));
        ok(ctx, ebb_sample(ctx, m, &s, theirs));
        assert_memory_equal(mine, theirs, sizeof mine);
        assert_true(nfe[N - 1] >= 2 * 5 && nfe[N - 1] <= 2 * 10);
    }
    ebb_model_free(m);
}

/* More steps of a sampler end nearer to where the integration leads. */
static void test_samplers_follow_the_flow(void **state)
{
    (void)state;
    enum { N = 8 };
    const char *const keys[] = {"process.kind=vp", "train.steps=400", NULL};
    ebb_model *m = points_model("follow", keys);
    double codes[2 * N], error[2], flow[2 * N], by_steps[2 * N];
    float to[2 * N];
    ok(ctx, ebb_latent_noise(ctx, m, 1, 0, N, codes));
    ok(ctx, ebb_latent_decode(ctx, m, NULL, N, codes, to));
    for (int i = 0; i < 2 * N; i++)
        flow[i] = to[i];
    for (int k = 0; k < 2; k++) {
        ebb_latent_options o = ebb_latent_defaults();
        o.sampler = "heun";
        o.steps = k == 0 ? 10 : 80;
        ok(ctx, ebb_latent_decode(ctx, m, &o, N, codes, to));
        for (int i = 0; i < 2 * N; i++)
            by_steps[i] = to[i];
        error[k] = rms(flow, by_steps, 2 * N);
    }
    /* What is left is the last step to a clean level, which the integration does not take. */
    if (!(error[1] < 0.5 * error[0] && error[1] < 0.02))
        fail_msg("from the flow: %g by 10 steps, %g by 80", error[0], error[1]);
    ebb_model_free(m);
}

/* ---- one encoding ---------------------------------------------------------------------------------------------------------- */

/* Codes of points of the law itself, by its exact score. */
static void exact_codes(const ebb_model *m, const ebb_target *law, int64_t n, double *x)
{
    ebb_target_field self = {.all = law, .n = n};
    ebb_field field = ebb_field_of_target(&self);
    ebb_flow flow = {.process = &m->process, .field = &field};
    void *work;
    ok(ctx, ebb_alloc(ctx, &work, ebb_flow_work(n, 2), sizeof(double), "a test"));
    ok(ctx, ebb_flow_encode(ctx, &flow, x, work));
    ebb_free(work);
}

/* Two networks of other sizes, seeds and predictions, and the exact score, encode alike; the network of another law does not. */
static void test_two_networks_of_a_law(void **state)
{
    (void)state;
    enum { N = 200 };
    const char *const one[] = {"data.path=gaussian:mean=0.2,sd=0.5", "process.kind=vp", "train.steps=400",
                               "net.width=48", NULL};
    const char *const two[] = {"data.path=gaussian:mean=0.2,sd=0.5", "process.kind=vp", "train.steps=400",
                               "net.width=32", "net.depth=3", "train.seed=9", "process.prediction=epsilon", NULL};
    const char *const foreign[] = {"data.path=ring", "process.kind=vp", "train.steps=300", "net.width=32", NULL};
    const char *const *keys[] = {one, two, foreign};
    double x[2 * N], codes[3][2 * N], exact[2 * N];
    float points[2 * N];
    ebb_target law;
    ok(ctx, ebb_target_named(ctx, "gaussian:mean=0.2,sd=0.5", &law));
    ebb_target_sample(&law, 77, 0, N, x, NULL);
    for (int i = 0; i < 2 * N; i++)
        points[i] = (float)x[i];
    for (int k = 0; k < 3; k++) {
        char name[20];
        snprintf(name, sizeof name, "law%d", k);
        ebb_model *m = points_model(name, keys[k]);
        ok(ctx, ebb_latent_encode(ctx, m, NULL, N, points, codes[k]));
        memcpy(exact, x, sizeof x);
        exact_codes(m, &law, N, exact);
        ebb_model_free(m);
    }
    double apart = rms(codes[0], codes[1], 2 * N), off = fmax(rms(codes[0], exact, 2 * N), rms(codes[1], exact, 2 * N));
    double other = rms(codes[2], exact, 2 * N);
    print_message("codes: two networks %.3f apart, off the exact law's by %.3f; of another law %.3f\n", apart, off, other);
    if (!(apart < 0.15 && off < 0.15 && other > 0.4))
        fail_msg("two networks are %g apart, %g from the exact law; another law is %g away", apart, off, other);
    ebb_target_free(&law);
}

/* ---- codes and files -------------------------------------------------------------------------------------------------------- */

static void test_between(void **state)
{
    (void)state;
    enum { K = 5 };
    ebb_model *m = reference_model(ctx);
    double ends[2 * NUMBERS], way[K * NUMBERS], angle, both = 0, square = 0;
    ok(ctx, ebb_latent_noise(ctx, m, 0, 0, 2, ends));
    for (int d = 0; d < NUMBERS; d++) {
        both += ends[d] * ends[NUMBERS + d];
        square += ends[d] * ends[d];
    }
    ok(ctx, ebb_latent_between(ctx, "spherical", NUMBERS, ends, ends + NUMBERS, K, way, &angle));
    for (int d = 0; d < NUMBERS; d++) {
        assert_true(fabs(way[d] - ends[d]) < 1e-12);
        assert_true(fabs(way[4 * NUMBERS + d] - ends[NUMBERS + d]) < 1e-12);
    }
    double length = 0;
    for (int d = 0; d < NUMBERS; d++)
        length += ends[NUMBERS + d] * ends[NUMBERS + d];
    assert_true(fabs(cos(angle) - both / sqrt(square * length)) < 1e-12);
    ok(ctx, ebb_latent_between(ctx, "linear", NUMBERS, ends, ends + NUMBERS, K, way, NULL));
    for (int d = 0; d < NUMBERS; d++)
        assert_true(fabs(way[NUMBERS + d] - (0.75 * ends[d] + 0.25 * ends[NUMBERS + d])) < 1e-12);
    assert_int_equal(ebb_latent_between(ctx, "sperical", NUMBERS, ends, ends, K, way, NULL), EBB_E_USAGE);
    assert_says(ctx, "did you mean 'spherical'");
    assert_int_equal(ebb_latent_between(ctx, "linear", NUMBERS, ends, ends, 1, way, NULL), EBB_E_ARGUMENT);
    ebb_model_free(m);
}

static void refuse_file(ebb_model *m, const char *path, int64_t first, int64_t n, ebb_status status, const char *says)
{
    double *codes;
    int64_t count;
    assert_int_equal(ebb_latent_read(ctx, m, path, first, n, &codes, &count), status);
    assert_says(ctx, says);
    assert_null(codes);
}

static void test_files(void **state)
{
    (void)state;
    ebb_model *m = reference_model(ctx);
    double codes[3 * NUMBERS], *back;
    int64_t count;
    static const int64_t as_rows[] = {3, NUMBERS}, wrong[] = {6, NUMBERS / 2}, flat[] = {3 * NUMBERS};
    char *path = in_folder("codes.npy");
    ok(ctx, ebb_latent_noise(ctx, m, 0, 0, 3, codes));
    ok(ctx, ebb_latent_write(ctx, m, path, 3, codes));
    ok(ctx, ebb_latent_read(ctx, m, path, 0, 0, &back, &count));
    assert_int_equal(count, 3);
    assert_memory_equal(codes, back, sizeof codes);
    ebb_latent_free(back);
    ok(ctx, ebb_latent_read(ctx, m, path, 2, 1, &back, &count));
    assert_int_equal(count, 1);
    assert_memory_equal(codes + 2 * NUMBERS, back, NUMBERS * sizeof *back);
    ebb_latent_free(back);
    refuse_file(m, path, 3, 0, EBB_E_ARGUMENT, "it has 3");
    refuse_file(m, path, 1, 3, EBB_E_ARGUMENT, "codes 1..3");
    refuse_file(m, path, INT64_MAX, 1, EBB_E_ARGUMENT, "numbers from 0");
    refuse_file(m, path, -1, 1, EBB_E_ARGUMENT, "-1");
    refuse_file(m, "nowhere.npy", 0, 0, EBB_E_IO, "nowhere.npy");
    ok(ctx, ebb_npy_write(ctx, path, 'f', 8, codes, 2, as_rows));
    ok(ctx, ebb_latent_read(ctx, m, path, 0, 0, &back, &count));
    ebb_latent_free(back);
    ok(ctx, ebb_npy_write(ctx, path, 'f', 8, codes, 2, wrong));
    refuse_file(m, path, 0, 0, EBB_E_SHAPE, "32 numbers a code, but the model's have 64");
    ok(ctx, ebb_npy_write(ctx, path, 'f', 8, codes, 1, flat));
    refuse_file(m, path, 0, 0, EBB_E_SHAPE, "another model");
    ok(ctx, ebb_npy_write(ctx, path, 'f', 4, codes, 2, as_rows));
    refuse_file(m, path, 0, 0, EBB_E_FORMAT, "'f4'");
    codes[NUMBERS + 5] = NAN;
    ok(ctx, ebb_npy_write(ctx, path, 'f', 8, codes, 2, as_rows));
    refuse_file(m, path, 0, 0, EBB_E_NUMERIC, "code 1");
    ok(ctx, ebb_latent_read(ctx, m, path, 2, 1, &back, &count));
    ebb_latent_free(back);
    ebb_model_free(m);
}

/* Classes alone, of codes. */
static void test_labels(void **state)
{
    (void)state;
    static const int64_t classes[] = {0, 2, 1, 3}, shape[] = {4};
    ebb_model *m = reference_model(ctx);
    char *path = in_folder("labels.npy");
    int32_t *labels;
    ok(ctx, ebb_npy_write(ctx, path, 'i', 8, classes, 1, shape));
    ok(ctx, ebb_labels_read(ctx, m, path, 1, 2, &labels));
    assert_int_equal(labels[0], 2);
    assert_int_equal(labels[1], 1);
    ebb_labels_free(labels);
    assert_int_equal(ebb_labels_read(ctx, m, path, 2, 2, &labels), EBB_E_SHAPE);
    assert_says(ctx, "label 3, number 3, is outside 0..2");
    assert_null(labels);
    assert_int_equal(ebb_labels_read(ctx, m, path, 2, 3, &labels), EBB_E_ARGUMENT);
    assert_says(ctx, "it has 4");
    assert_int_equal(ebb_labels_read(ctx, m, "nowhere.npy", 0, 1, &labels), EBB_E_IO);
    ebb_model_free(m);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------------------ */

static int stop(void *user, double done)
{
    assert_true(done >= 0 && done <= 1);
    return ++*(int *)user >= 3;
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct { ebb_latent_options o; ebb_status status; const char *says; } all[] = {
        {{.label = 3}, EBB_E_ARGUMENT, "0..2"},
        {{.label = -2}, EBB_E_ARGUMENT, "0..2"},
        {{.label = -1, .guidance = 1}, EBB_E_ARGUMENT, "needs a class"},
        {{.label = 1, .guidance = INFINITY}, EBB_E_ARGUMENT, "finite"},
        {{.label = -1, .rtol = 1}, EBB_E_ARGUMENT, "rtol 1"},
        {{.label = -1, .atol = -1e-3}, EBB_E_ARGUMENT, "atol -0.001"},
        {{.label = -1, .precision = "f31"}, EBB_E_USAGE, "f31"},
        {{.label = -1, .steps = 5}, EBB_E_ARGUMENT, "give a sampler"},
        {{.label = -1, .grid = "karras"}, EBB_E_ARGUMENT, "give a sampler"},
        {{.label = -1, .sampler = "huen"}, EBB_E_USAGE, "heun"},
        {{.label = -1, .sampler = "ddim", .steps = -1}, EBB_E_ARGUMENT, "-1 steps"},
        {{.label = -1, .sampler = "ddim", .grid = "sections:counts=2+2", .steps = 3}, EBB_E_ARGUMENT, "4 steps"},
        {{.label = -1, .sampler = "ddim:eta=1", .steps = 4}, EBB_E_ARGUMENT, "draws noise"},
        {{.label = -1, .sampler = "euler-ancestral", .steps = 4}, EBB_E_ARGUMENT, "draws noise"},
        {{.label = -1, .sampler = "adaptive-sde"}, EBB_E_ARGUMENT, "continuous time"},
    };
    ebb_model *m = reference_model(ctx);
    double codes[2 * NUMBERS];
    float pixels[2 * NUMBERS] = {0};
    ok(ctx, ebb_latent_noise(ctx, m, 0, 0, 2, codes));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ebb_latent_options o = all[i].o;
        o.size = sizeof o;
        ebb_status status = ebb_latent_decode(ctx, m, &o, 2, codes, pixels);
        if (status != all[i].status)
            fail_msg("case %zu: %s: %s", i, ebb_status_name(status), ebb_message(ctx));
        assert_says(ctx, all[i].says);
    }
    ebb_latent_options o = ebb_latent_defaults();
    o.sampler = "ddim";
    assert_int_equal(ebb_latent_encode(ctx, m, &o, 2, pixels, codes), EBB_E_ARGUMENT);
    assert_says(ctx, "decodes only");
    assert_int_equal(ebb_latent_decode(ctx, m, NULL, 0, codes, pixels), EBB_E_ARGUMENT);
    assert_int_equal(ebb_latent_noise(ctx, m, 0, -1, 1, codes), EBB_E_ARGUMENT);
    codes[NUMBERS] = INFINITY;
    assert_int_equal(ebb_latent_decode(ctx, m, NULL, 2, codes, pixels), EBB_E_NUMERIC);
    assert_says(ctx, "code 1");
    pixels[3] = NAN;
    assert_int_equal(ebb_latent_encode(ctx, m, NULL, 2, pixels, codes), EBB_E_NUMERIC);
    assert_says(ctx, "picture 0");
    int calls = 0;
    o = ebb_latent_defaults();
    o.progress = stop;
    o.user = &calls;
    pixels[3] = 0;
    assert_int_equal(ebb_latent_encode(ctx, m, &o, 2, pixels, codes), EBB_E_ARGUMENT);
    assert_says(ctx, "stopped");
    assert_int_equal(calls, 3);
    ebb_model_free(m);
}

static int begin(void **state)
{
    backend = "own";
    if (setup(state) != 0)
        return 1;
    train(ctx, "reference");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_round_trip_of_every_process),
        cmocka_unit_test(test_same_bits),      cmocka_unit_test(test_as_ebb_sample),
        cmocka_unit_test(test_samplers_follow_the_flow), cmocka_unit_test(test_two_networks_of_a_law),
        cmocka_unit_test(test_between),        cmocka_unit_test(test_files),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests_name("latent", tests, begin, teardown);
}
