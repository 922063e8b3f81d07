/* test_nll.c: ebb_nll on small trained networks: divergences, the same numbers for any threads and any company, refusals.
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
#include <jansson.h>

#include "support/runs.h"
#include "sample/field.h"
#include "model/plans.h"

static json_t *nll(ebb_context *c, ebb_model *m, const ebb_nll_options *o)
{
    char *text;
    ok(c, ebb_nll(c, m, o, &text));
    json_t *json = json_loads(text, 0, NULL);
    ebb_text_free(text);
    assert_non_null(json);
    return json;
}

static double number(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);
    if (!json_is_number(value))
        fail_msg("no number \"%s\"", key);
    return json_number_value(value);
}

/* Points of the mixture by a network of few steps, which has seen every process's usual times. */
static ebb_model *points_model(const char *name, const char *process)
{
    static const char *const keys[] = {"train.steps=60", "train.batch=64", "train.shard=64", "net.width=16", "net.depth=2",
                                       "loss.kind=denoising", "loss.weighting=simple", "loss.times=auto", "loss.t_min=0",
                                       "process.prediction=v", "data.limit=1000"};
    ebb_recipe *r;
    ebb_trainer *t;
    ebb_model *m;
    char path[300];
    ok(ctx, ebb_recipe_load(ctx, "mixture-ism", &r));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ok(ctx, ebb_recipe_set(ctx, r, keys[i]));
    ok(ctx, ebb_recipe_set(ctx, r, process));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder(name), &t));
    run_steps(ctx, t, 60);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
    snprintf(path, sizeof path, "%s/%s/model.safetensors", folder, name);
    ok(ctx, ebb_model_load(ctx, path, &m));
    return m;
}

static ebb_model *points;
static ebb_model *first_points(void)
{
    if (points == NULL)
        points = points_model("points", "process.kind=vp");
    return points;
}

/* ---- divergences of a network --------------------------------------------------------------------------------- */

enum { POINTS = 3, MANY = 3000 };

/* The divergence at n rows by given probes; probes 0: exactly. */
static void diverge(ebb_model *m, int64_t n, const double *x, double t, const float *probe, int probes, double *eps, double *div)
{
    ebb_plan_options options = ebb_recipe_plan(m->recipe, 1);
    ebb_plan *plan;
    ebb_level *at = malloc((size_t)n * sizeof *at);
    ok(ctx, ebb_divergence_plan(ctx, &m->net, n, &options, &plan));
    ebb_params_bind(&m->params, plan, m->weights);
    ebb_plan_prepare(plan);
    ebb_model_field self = {.model = m, .plan = plan, .n = n, .numbers = 2, .probe = probe, .probes = probes, .diverges = true};
    ebb_field field = ebb_field_of_model(&self);
    for (int64_t i = 0; i < n; i++)
        at[i] = ebb_process_level(&m->process, t);
    field.divergence(field.self, x, at, eps, div);
    free(at);
    ebb_plan_free(plan);
}

/* By differences of eps in float: to the third digit. */
static void test_exact_divergence(void **state)
{
    (void)state;
    const double x[2 * POINTS] = {0.3, -0.2, 1.1, 0.9, -1.4, 0.6}, h = 1e-2;
    double eps[2 * POINTS], up[2 * POINTS], down[2 * POINTS], moved[2 * POINTS], div[POINTS], other[POINTS], want[POINTS] = {0};
    ebb_model *m = first_points();
    diverge(m, POINTS, x, 0.4, NULL, 0, eps, div);
    for (int d = 0; d < 2; d++) {
        for (int i = 0; i < 2 * POINTS; i++)
            moved[i] = x[i] + (i % 2 == d ? h : 0);
        diverge(m, POINTS, moved, 0.4, NULL, 0, up, other);
        for (int i = 0; i < 2 * POINTS; i++)
            moved[i] = x[i] - (i % 2 == d ? h : 0);
        diverge(m, POINTS, moved, 0.4, NULL, 0, down, other);
        for (int i = 0; i < POINTS; i++)
            want[i] += (up[2 * i + d] - down[2 * i + d]) / (2 * h);
    }
    for (int i = 0; i < POINTS; i++)
        if (!(fabs(div[i] - want[i]) < 1e-3 * (1 + fabs(want[i]))))
            fail_msg("point %d: divergence %g, by differences %g", i, div[i], want[i]);
}

/* The mean over all vectors of signs is exact. */
static void test_all_signs(void **state)
{
    (void)state;
    const double x[2 * POINTS] = {0.3, -0.2, 1.1, 0.9, -1.4, 0.6};
    double eps[2 * POINTS], other[2 * POINTS], div[POINTS], exact[POINTS];
    float probe[4 * POINTS * 2];
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < POINTS; i++)
            for (int d = 0; d < 2; d++)
                probe[(k * POINTS + i) * 2 + d] = k >> d & 1 ? 1.0f : -1.0f;
    diverge(first_points(), POINTS, x, 0.4, NULL, 0, eps, exact);
    diverge(first_points(), POINTS, x, 0.4, probe, 4, other, div);
    assert_memory_equal(eps, other, sizeof eps);
    for (int i = 0; i < POINTS; i++)
        assert_true(fabs(div[i] - exact[i]) < 1e-5 * (1 + fabs(exact[i])));
}

/* Probes of normal numbers: mean the trace, variance 2 |sym J|^2, whose entries come from products with e1, e2, e1 + e2. */
static void test_normal_probes(void **state)
{
    (void)state;
    static double x[2 * MANY], eps[2 * MANY], div[MANY];
    static float probe[2 * MANY];
    const float known[3][2] = {{1, 0}, {0, 1}, {1, 1}};
    ebb_model *m = first_points();
    double t = 0.4, by_x, product[3], sum = 0, squares = 0;
    ebb_level at = ebb_process_level(&m->process, t);
    by_x = ebb_prediction_coefficients(m->net.prediction, at.alpha, at.sigma, m->net.sigma_data).eps_x;
    for (int i = 0; i < MANY; i++) {
        x[2 * i] = 0.7;
        x[2 * i + 1] = 0.8;
    }
    diverge(m, 3, x, t, known[0], 1, eps, product);
    /* What is linear in x is known: it takes no part in the estimate. */
    double a = product[0] - 2 * by_x, b = product[1] - 2 * by_x, both = product[2] - 2 * by_x - a - b;
    for (int i = 0; i < MANY; i += 2) {
        float block[4];
        ebb_rng_at rng = {.seed = 1, .stream = EBB_STREAM_TEST, .step = 0, .sample = (uint32_t)i};
        ctx->kernels->normal_f32(4, block, &rng);
        memcpy(probe + 2 * i, block, sizeof block);
    }
    diverge(m, MANY, x, t, probe, 1, eps, div);
    for (int i = 0; i < MANY; i++)
        sum += (div[i] - 2 * by_x) / MANY;
    for (int i = 0; i < MANY; i++)
        squares += (div[i] - 2 * by_x - sum) * (div[i] - 2 * by_x - sum) / (MANY - 1);
    double want = 2 * (a * a + b * b + 0.5 * both * both);
    if (!(fabs(sum - (a + b)) < 4 * sqrt(want / MANY)))
        fail_msg("mean %g, trace %g", sum, a + b);
    if (!(fabs(squares - want) < 0.2 * want))
        fail_msg("variance %g, expected %g", squares, want);
}

/* ---- pictures ------------------------------------------------------------------------------------------------------ */

static const double *each(json_t *json, double *to)
{
    json_t *list = json_object_get(json, "each");
    for (size_t i = 0; i < json_array_size(list); i++)
        to[i] = json_real_value(json_array_get(list, i));
    return to;
}

/* One number a picture, whatever the threads, the shard and the other pictures; other seeds give others. */
static void test_same_bits(void **state)
{
    (void)state;
    enum { N = 9 };
    for (int elbo = 0; elbo < 2; elbo++) {
        double first[N], other[N];
        ebb_nll_options o = {.size = sizeof o, .method = elbo ? "elbo" : "ode", .n = N, .rtol = 1e-2, .atol = 1e-2, .times = 4,
                             .repeats = 2, .each = 1};
        for (int threads = 1; threads <= 4; threads++) {
            ebb_model *m = reference_model(contexts[threads]);
            o.first = 0;
            o.n = N;
            json_t *json = nll(contexts[threads], m, &o);
            each(json, threads == 1 ? first : other);
            json_decref(json);
            if (threads > 1)
                assert_memory_equal(first, other, sizeof first);
            o.first = 4;
            o.n = threads;
            json = nll(contexts[threads], m, &o);
            each(json, other);
            json_decref(json);
            assert_memory_equal(first + 4, other, (size_t)threads * sizeof *other);
            ebb_model_free(m);
        }
        ebb_model *m = reference_model(ctx);
        o.first = 0;
        o.n = N;
        o.seed = 1;
        json_t *json = nll(ctx, m, &o);
        each(json, other);
        json_decref(json);
        assert_true(first[0] != other[0]);
        ebb_model_free(m);
    }
}

/* Hutchinson's estimates scatter around the exact value, by signs and by normal numbers. */
static void test_probes_of_pictures(void **state)
{
    (void)state;
    enum { REPEATS = 12 };
    ebb_model *m = first_points();
    ebb_nll_options o = {.size = sizeof o, .n = 40, .rtol = 1e-4, .atol = 1e-4, .divergence = "exact"};
    json_t *json = nll(ctx, m, &o);
    double exact = number(json, "bits_per_dim");
    assert_true(number(json, "evaluations") == 2 * number(json, "nfe"));
    assert_true(number(json, "offset") == 0);
    json_decref(json);
    static const char *const ways[] = {"signs", "normal"};
    for (int w = 0; w < 2; w++) {
        double sum = 0, squares = 0;
        o.divergence = ways[w];
        o.probes = 2;
        for (int r = 0; r < REPEATS; r++) {
            o.seed = (uint64_t)r;
            json = nll(ctx, m, &o);
            double off = number(json, "bits_per_dim") - exact;
            json_decref(json);
            sum += off / REPEATS;
            squares += off * off / REPEATS;
        }
        if (!(fabs(sum) < 4 * sqrt(squares / REPEATS)) || !(squares < 1))
            fail_msg("%s: off by %g on average, root mean square %g", ways[w], sum, sqrt(squares));
    }
}

/* Both methods over every process by a network that knows little; the parts of bounds add up. */
static void test_every_process(void **state)
{
    (void)state;
    static const char *const kinds[] = {"ddpm", "smld", "ou", "sub-vp", "ve", "edm", "flow"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char key[40], name[20];
        snprintf(key, sizeof key, "process.kind=%s", kinds[k]);
        snprintf(name, sizeof name, "kind%zu", k);
        ebb_model *m = points_model(name, key);
        ebb_nll_options o = {.size = sizeof o, .n = 4, .rtol = 1e-3, .atol = 1e-3, .divergence = "exact"};
        json_t *json = nll(ctx, m, &o);
        assert_true(fabs(number(json, "bits_per_dim") - number(json, "prior") - number(json, "flow")) < 1e-9);
        assert_true(number(json, "nfe") >= 7);
        json_decref(json);
        o.method = "elbo";
        json = nll(ctx, m, &o);
        double parts = number(json, "prior") + number(json, "steps") + number(json, "decoding"), terms = 0;
        assert_true(fabs(number(json, "bits_per_dim") - parts) < 1e-9 * fabs(parts));
        for (size_t i = 0; i < json_array_size(json_object_get(json, "terms")); i++)
            terms += number(json_array_get(json_object_get(json, "terms"), i), "bits_per_dim");
        assert_true(fabs(terms - number(json, "steps")) < 1e-9 * fabs(terms));
        json_decref(json);
        ebb_model_free(m);
    }
}

/* Every step, and steps drawn, of the U-Net's chain; grey levels as mass and as density. */
static void test_bounds_of_pictures(void **state)
{
    (void)state;
    ebb_model *m = reference_model(ctx);
    ebb_nll_options o = {.size = sizeof o, .method = "elbo", .n = 10, .repeats = 8, .times = EBB_TIMES_ALL};
    json_t *all = nll(ctx, m, &o);
    assert_int_equal(json_array_size(json_object_get(all, "terms")), 19);
    assert_true(number(all, "offset") == 0);
    const json_t *variances = json_object_get(all, "variances");
    assert_true(number(variances, "beta") == number(all, "bits_per_dim"));
    assert_true(number(variances, "fitted") <= number(variances, "beta") + 1e-9);
    assert_null(json_object_get(variances, "learned"));
    o.times = 6;
    json_t *drawn = nll(ctx, m, &o);
    double gap = number(all, "bits_per_dim") - number(drawn, "bits_per_dim");
    if (!(fabs(gap) < 0.1 * number(all, "bits_per_dim")))
        fail_msg("all steps %g, drawn %g", number(all, "bits_per_dim"), number(drawn, "bits_per_dim"));
    json_decref(drawn);
    o.decoder = "density";
    json_t *density = nll(ctx, m, &o);
    assert_true(number(density, "offset") == 7);
    assert_true(number(density, "bits_per_dim") > 0);
    json_decref(density);
    json_decref(all);
    ebb_model_free(m);
}

static int stop(void *user, double done)
{
    assert_true(done >= 0 && done <= 1);
    return ++*(int *)user >= 3;
}

static void test_refuses(void **state)
{
    (void)state;
    int calls = 0;
    static const struct { ebb_nll_options o; ebb_status status; const char *says; } all[] = {
        {{.method = "odd"}, EBB_E_USAGE, "did you mean 'ode'"},
        {{.divergence = "sings"}, EBB_E_USAGE, "did you mean 'signs'"},
        {{.precision = "f31"}, EBB_E_USAGE, "f31"},
        {{.method = "elbo", .variance = "small"}, EBB_E_USAGE, "fixed-small"},
        {{.method = "elbo", .decoder = "nobody"}, EBB_E_USAGE, "discrete"},
        {{.method = "elbo", .variance = "learned"}, EBB_E_ARGUMENT, "net.variance"},
        {{.n = -1}, EBB_E_ARGUMENT, "-1"},
        {{.n = 21}, EBB_E_ARGUMENT, "has 20"},
        {{.first = 20}, EBB_E_ARGUMENT, "has 20"},
        {{.repeats = 5000}, EBB_E_ARGUMENT, "4096"},
        {{.rtol = 2}, EBB_E_ARGUMENT, "rtol 2"},
        {{.times = -3}, EBB_E_ARGUMENT, "-3"},
        {{.data = "no/such/file"}, EBB_E_IO, "no/such/file"},
    };
    ebb_model *m = reference_model(ctx);
    char *text;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ebb_nll_options o = all[i].o;
        o.size = sizeof o;
        assert_int_equal(ebb_nll(ctx, m, &o, &text), all[i].status);
        assert_says(ctx, all[i].says);
        assert_null(text);
    }
    ebb_nll_options o = {.size = sizeof o, .progress = stop, .user = &calls};
    assert_int_equal(ebb_nll(ctx, m, &o, &text), EBB_E_ARGUMENT);
    assert_says(ctx, "stopped");
    assert_int_equal(calls, 3);
    o = (ebb_nll_options){.size = sizeof o, .method = "elbo", .times = EBB_TIMES_ALL};
    assert_int_equal(ebb_nll(ctx, first_points(), &o, &text), EBB_E_ARGUMENT);
    assert_says(ctx, "continuous time");
    o = (ebb_nll_options){.size = sizeof o, .method = "elbo", .decoder = "discrete"};
    assert_int_equal(ebb_nll(ctx, first_points(), &o, &text), EBB_E_ARGUMENT);
    assert_says(ctx, "bytes");
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

static int end(void **state)
{
    ebb_model_free(points);
    return teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_divergence),   cmocka_unit_test(test_all_signs),
        cmocka_unit_test(test_normal_probes),      cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_probes_of_pictures), cmocka_unit_test(test_every_process),
        cmocka_unit_test(test_bounds_of_pictures), cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
