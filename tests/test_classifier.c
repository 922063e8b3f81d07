/* test_classifier.c: networks that tell the class of a noisy sample: log p(class | x) and its gradient, training, accuracy by
 * level, and guidance by them, held against laws where the class's true probability is known.
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

#include "model/plans.h"
#include "sample/classifier.h"
#include "sample/features.h"
#include "support/nets.h"
#include "support/runs.h"

/* Whole trainings show a sanitizer nothing that a few of their steps do not; what was learned then is not looked at. */
#ifdef EBB_FAULT
enum { LEARNS = 0 };
#define LEARNING_STEPS(count) "train.steps=10"
#else
enum { LEARNS = 1 };
#define LEARNING_STEPS(count) "train.steps=" #count
#endif

#define DIGITS(part) EBB_SOURCE_DIR "/data/mnist/mnist-" part "-ubyte.gz"

/* ---- log p(label) ------------------------------------------------------------------------------------------------------ */

enum { N = 5, C = 7 };

/* By the definition, in double. */
static double log_probability(const float *z, int label)
{
    double top = z[0], sum = 0;
    for (int c = 1; c < C; c++)
        top = fmax(top, z[c]);
    for (int c = 0; c < C; c++)
        sum += exp(z[c] - top);
    return z[label] - top - log(sum);
}

/* Also where exp would overflow, or leave nothing of the others; the gradient is that of the class - its probability. */
static void test_log_probability(void **state)
{
    static const float size[N] = {1, 0.01f, 30, 300, 3e4f};
    static const int32_t label[N] = {0, 3, 6, 2, 5};
    (void)state;
    ebb_graph *g;
    ebb_plan *plan;
    ok(ctx, ebb_graph_create(ctx, &g));
    ebb_value z = ebb_input(g, "z", EBB_F32, EBB_SHAPE(N, C)), l = ebb_input(g, "label", EBB_I32, EBB_SHAPE(N)), out[3];
    out[0] = ebb_nn_class_log_probability(g, z, l);
    out[1] = ebb_nn_class_found(g, z, l);
    ok(ctx, ebb_vjp(g, out[0], EBB_NONE, &z, 1, &out[2]));
    ok(ctx, ebb_plan_create(ctx, g, out, 3, &(ebb_plan_options){.workers = 1}, &plan));
    float values[N * C];
    for (int i = 0; i < N * C; i++)
        values[i] = size[i / C] * (float)sin(2.3 * i + 1);
    memcpy(ebb_plan_input(plan, 0, "z"), values, sizeof values);
    memcpy(ebb_plan_input(plan, 0, "label"), label, sizeof label);
    ebb_plan_prepare(plan);
    ebb_plan_run(plan, 0);
    int found = 0;
    for (int i = 0; i < N; i++) {
        const float *row = values + i * C;
        double want = log_probability(row, label[i]);
        int best = 0;
        for (int c = 1; c < C; c++)
            best = row[c] > row[best] ? c : best;
        if (!(fabs(ebb_plan_output(plan, 0, 0)[i] - want) <= 1e-5 * (1 + fabs(want))))
            fail_msg("row %d: %.9g, not %.9g", i, ebb_plan_output(plan, 0, 0)[i], want);
        assert_true(ebb_plan_output(plan, 0, 1)[i] == (best == label[i] ? 1 : 0));
        found += best == label[i];
        for (int c = 0; c < C; c++) {
            double gradient = (c == label[i]) - exp(log_probability(row, c));
            assert_true(fabs(ebb_plan_output(plan, 0, 2)[i * C + c] - gradient) <= 1e-5);
        }
    }
    assert_true(found > 0 && found < N);
    ebb_plan_free(plan);
    ebb_graph_free(g);
}

/* ---- networks ------------------------------------------------------------------------------------------------------------ */

static const ebb_network picture_net = {.kind = EBB_NET_UNET, .logits = 4,
    .u.unet = {.channels = 2, .size_h = 8, .size_w = 6, .base = 8, .levels = 2, .mult = {1, 2}, .attention = {0, 1}, .blocks = 1, .groups = 4, .eps = 1e-6f}};
static const ebb_network point_net = {.kind = EBB_NET_MLP, .logits = 3, .u.mlp = {.inputs = 5, .width = 12, .depth = 2, .time_dim = 8}};

/* A plan over weights by rule. */
typedef struct judge { ebb_plan *plan; ebb_graph *g; float *weight[256]; } judge;

static judge judge_of(const ebb_network *n, int64_t rows)
{
    judge j = {0};
    ebb_value none;
    net_ctx = ctx;
    ok(ctx, ebb_graph_create(ctx, &j.g));
    ebb_eval_graph(j.g, n, rows, &none);
    ok(ctx, ebb_graph_status(j.g));
    assert_true(none == EBB_NONE && j.g->nparams < 256);
    ok(ctx, ebb_class_plan(ctx, n, rows, &(ebb_plan_options){.workers = 1}, &j.plan));
    for (int i = 0; i < j.g->nparams; i++) {
        const ebb_node *p = ebb_graph_node(j.g, j.g->params[i]);
        j.weight[i] = net_memory((size_t)ebb_shape_count(p->shape), sizeof(float));
        net_draw(p, j.weight[i]);
        ebb_plan_bind_param(j.plan, i, j.weight[i]);
    }
    ebb_plan_prepare(j.plan);
    return j;
}

static void judge_free(judge *j)
{
    for (int i = 0; i < j->g->nparams; i++)
        ebb_free(j->weight[i]);
    ebb_plan_free(j->plan);
    ebb_graph_free(j->g);
}

enum { ROWS = 3, NUMBERS_MAX = 96 };

/* log p of each row at x + h v. */
static void judge_at(judge *j, int64_t all, const float *x, const float *v, double h, double *logp)
{
    static const float t[ROWS] = {3, 400, 900};
    static const int32_t label[ROWS] = {2, 0, 1};
    float *in = ebb_plan_input(j->plan, 0, "x");
    for (int64_t i = 0; i < all; i++)
        in[i] = (float)(x[i] + h * v[i]);
    memcpy(ebb_plan_input(j->plan, 0, "t"), t, sizeof t);
    memcpy(ebb_plan_input(j->plan, 0, "label"), label, sizeof label);
    ebb_plan_run(j->plan, 0);
    for (int i = 0; i < ROWS; i++)
        logp[i] = ebb_plan_output(j->plan, 0, 1)[i];
}

/* The gradient in x by differences of four points in random directions, row by row. */
static void test_gradient(void **state)
{
    const ebb_network *nets[] = {&picture_net, &point_net};
    (void)state;
    for (int k = 0; k < 2; k++) {
        judge j = judge_of(nets[k], ROWS);
        int64_t numbers = ebb_shape_count(ebb_network_shape(nets[k], 1)), all = ROWS * numbers;
        float x[ROWS * NUMBERS_MAX], v[ROWS * NUMBERS_MAX], gradient[ROWS * NUMBERS_MAX];
        double near[2][ROWS], far[2][ROWS], at[ROWS], h = 0.02;
        assert_true(numbers <= NUMBERS_MAX);
        for (int64_t i = 0; i < all; i++)
            x[i] = (float)sin(1.7 * (double)i + k);
        for (int direction = 0; direction < 4; direction++) {
            for (int64_t i = 0; i < all; i++)
                v[i] = (float)cos((2.9 + direction) * (double)i);
            judge_at(&j, all, x, v, 0, at);
            memcpy(gradient, ebb_plan_output(j.plan, 0, 0), (size_t)all * sizeof *gradient);
            for (int side = 0; side < 2; side++) {
                judge_at(&j, all, x, v, side ? h : -h, near[side]);
                judge_at(&j, all, x, v, side ? 2 * h : -2 * h, far[side]);
            }
            for (int i = 0; i < ROWS; i++) {
                double along = 0, slope = (8 * (near[1][i] - near[0][i]) - (far[1][i] - far[0][i])) / (12 * h), size = 0;
                for (int64_t d = i * numbers; d < (i + 1) * numbers; d++) {
                    along += (double)gradient[d] * v[d];
                    size += (double)gradient[d] * gradient[d];
                }
                assert_true(at[i] < 0 && size > 1e-8);
                if (!(fabs(along - slope) <= 2e-3 * (sqrt(size * (double)numbers) + 0.05)))
                    fail_msg("net %d, direction %d, row %d: %g by differences, %g by the plan", k, direction, i, slope, along);
            }
        }
        judge_free(&j);
    }
}

/* ---- training ------------------------------------------------------------------------------------------------------------ */

static void train_with(const char *name, const char *const *keys)
{
    ebb_recipe *r;
    ebb_trainer *t;
    ok(ctx, ebb_recipe_default(ctx, &r));
    for (; *keys != NULL; keys++)
        ok(ctx, ebb_recipe_set(ctx, r, *keys));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder(name), &t));
    run_steps(ctx, t, r->train_steps);
    ebb_trainer_free(t);
    ebb_recipe_free(r);
}

static ebb_model *load(const char *name)
{
    ebb_model *m;
    char file[64];
    snprintf(file, sizeof file, "%s/model.safetensors", name);
    ok(ctx, ebb_model_load(ctx, in_folder(file), &m));
    return m;
}

/* What each picture says of itself in a step adds up to what is reported, from the first step on. */
static void test_accuracy_of_steps(void **state)
{
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    ebb_train_report report = {0};
    ok(ctx, ebb_recipe_set(ctx, r, "net.kind=classifier"));
    ok(ctx, ebb_recipe_set(ctx, r, "loss.kind=classification"));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("steps"), &t));
    for (int step = 0; step < 4; step++) {
        ok(ctx, ebb_trainer_step(t, &report));
        double sum = 0;
        for (int64_t i = 0; i < r->train_batch; i++) {
            assert_true(t->learner.shards.each[i] == 0 || t->learner.shards.each[i] == 1);
            sum += t->learner.shards.each[i];
        }
        assert_true(fabs(t->learner.found - sum / (double)r->train_batch) < 1e-12);
        if (step == 0)
            assert_true(report.accuracy == t->learner.found);
    }
    ebb_trainer_free(t);
    remove_run("steps");
    ebb_recipe_free(r);
}

/* Features are what the last layer of the file reads: its weights make the probabilities of them; and no picture's depend on its
 * company, or on threads. */
static void test_features(void **state)
{
    enum { PICTURES = 11, CLASSES_MAX = 16, DIM_MAX = 64 };
    float pictures[PICTURES * SIDE * SIDE * 3];
    double feature[3][PICTURES * DIM_MAX], probability[3][PICTURES * CLASSES_MAX];
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    ok(ctx, ebb_recipe_set(ctx, r, "net.kind=classifier"));
    ok(ctx, ebb_recipe_set(ctx, r, "loss.kind=classification"));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("features"), &t));
    run_steps(ctx, t, 2);
    ok(ctx, ebb_trainer_save(t));
    ebb_trainer_free(t);
    ebb_recipe_free(r);
    ebb_model *m = load("features");
    int64_t numbers = ebb_shape_count(ebb_network_shape(&m->net, 1));
    for (int64_t i = 0; i < PICTURES * numbers; i++)
        pictures[i] = (float)sin(0.37 * (double)i);
    ebb_features f, other;
    ok(ctx, ebb_features_create(ctx, m, PICTURES, &f));
    assert_true(f.dim <= DIM_MAX && f.classes <= CLASSES_MAX && numbers <= SIDE * SIDE * 3);
    ok(ctx, ebb_features_read(&f, pictures, PICTURES, feature[0], probability[0]));
    for (int i = 0; i < PICTURES; i++)
        ok(ctx, ebb_features_read(&f, pictures + i * numbers, 1, feature[1] + i * f.dim, probability[1] + i * f.classes));
    ok(contexts[4], ebb_features_create(contexts[4], m, 100, &other));
    ok(contexts[4], ebb_features_read(&other, pictures, PICTURES, feature[2], probability[2]));
    for (int k = 1; k < 3; k++) {
        assert_memory_equal(feature[0], feature[k], (size_t)(PICTURES * f.dim) * sizeof(double));
        assert_memory_equal(probability[0], probability[k], (size_t)(PICTURES * f.classes) * sizeof(double));
    }
    const float *weight = NULL, *bias = NULL;    /* (dim,classes), (classes) */
    for (int p = 0; p < m->params.count; p++) {
        weight = strcmp(m->params.at[p].name, "classifier.weight") == 0 ? m->weights + m->params.at[p].offset : weight;
        bias = strcmp(m->params.at[p].name, "classifier.bias") == 0 ? m->weights + m->params.at[p].offset : bias;
    }
    for (int i = 0; i < PICTURES; i++) {
        double p[CLASSES_MAX], sum = 0;
        for (int c = 0; c < f.classes; c++) {
            double z = bias[c];
            for (int k = 0; k < f.dim; k++)
                z += feature[0][i * f.dim + k] * weight[k * f.classes + c];
            sum += p[c] = exp(z);
        }
        for (int c = 0; c < f.classes; c++)
            assert_true(fabs(p[c] / sum - probability[0][i * f.classes + c]) < 1e-5);
    }
    assert_int_equal(ebb_features_read(&f, pictures, PICTURES + 1, feature[0], probability[0]), EBB_E_ARGUMENT);
    pictures[3] = NAN;
    assert_int_equal(ebb_features_read(&f, pictures, 2, feature[0], probability[0]), EBB_E_NUMERIC);
    ebb_features_free(&f);
    ebb_features_free(&other);
    ebb_model_free(m);
    remove_run("features");
}

/* The same slot of a loss plan holds the losses of the pictures for times by history: while times are uniform their mean is
 * the loss. */
static void test_losses_of_pictures(void **state)
{
    static const char *const keys[] = {"net.variance=learned", "loss.kind=vlb", "loss.times=history"};
    (void)state;
    ebb_recipe *r = tiny(ctx);
    ebb_trainer *t;
    ebb_train_report report = {0};
    for (int k = 0; k < 3; k++)
        ok(ctx, ebb_recipe_set(ctx, r, keys[k]));
    ok(ctx, ebb_trainer_create(ctx, r, in_folder("history"), &t));
    for (int step = 0; step < 3; step++) {
        ok(ctx, ebb_trainer_step(t, &report));
        double sum = 0;
        for (int64_t i = 0; i < r->train_batch; i++)
            sum += t->learner.shards.each[i];
        assert_true(fabs(sum / (double)r->train_batch - report.loss) < 1e-5 * (1 + fabs(report.loss)));
        assert_true(isnan(report.accuracy));
    }
    ebb_trainer_free(t);
    remove_run("history");
    ebb_recipe_free(r);
}

static void test_recipes_refused(void **state)
{
    static const struct { const char *keys[3], *says; } cases[] = {
        {{"net.kind=classifier"}, "loss.kind=classification"},
        {{"loss.kind=classification"}, "classifier or mlp-classifier"},
        {{"net.kind=mlp-classifier", "loss.kind=classification", "net.classes=1"}, "two classes"},
        {{"net.kind=classifier", "loss.kind=classification", "loss.reduction=half-sum"}, "one loss a picture"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ebb_recipe *r = tiny(ctx);
        for (int k = 0; k < 3 && cases[i].keys[k] != NULL; k++)
            ok(ctx, ebb_recipe_set(ctx, r, cases[i].keys[k]));
        assert_int_equal(ebb_recipe_check(ctx, r), EBB_E_ARGUMENT);
        assert_says(ctx, cases[i].says);
        ebb_recipe_free(r);
    }
}

/* ---- against a law ---------------------------------------------------------------------------------------------------------- */

#define LAW "data.kind=target", "data.path=blobs", "data.limit=60000", "process.kind=vp", "process.clock=log-snr", "net.classes=2", "net.width=48",       \
            "net.depth=2", "precision=f32", "optim.decay=cosine", "optim.beta2=0.99", "optim.ema=0.99", "optim.warmup=20",         \
            "train.batch=128", "train.shard=64", "train.save_every=0", "loss.times=log-normal", "loss.log_mean=-0.5", "loss.log_std=1.5"

/* What was learned is grad log p(class | x_t) = score of the class - score of all, at points of the class. */
static void test_learned_gradient(void **state)
{
    static const double times[] = {0.15, 0.3, 0.5};
    (void)state;
    train_with("judge", (const char *const[]){LAW, "net.kind=mlp-classifier", "loss.kind=classification", "optim.lr=1e-2", LEARNING_STEPS(600), NULL});
    enum { POINTS = 64 };
    ebb_model *m = load("judge");
    ebb_target all, one;
    ebb_plan *plan;
    ok(ctx, ebb_recipe_target(ctx, m->recipe, &all));
    ok(ctx, ebb_class_plan(ctx, &m->net, POINTS, &(ebb_plan_options){.workers = 1}, &plan));
    ebb_params_bind(&m->params, plan, m->weights);
    ebb_plan_prepare(plan);
    double x[2 * POINTS], gradient[2 * POINTS], wrong = 0, size = 0;
    for (int label = 0; label < 2; label++)
        for (int k = 0; k < 3; k++) {
            int32_t labels[POINTS];
            ebb_level at[POINTS];
            ebb_rng_at rng = {.seed = 5, .stream = EBB_STREAM_TEST, .step = (uint32_t)k};
            float noise[2 * POINTS];
            ok(ctx, ebb_target_class(ctx, &all, label, &one));
            ctx->kernels->normal_f32(2 * POINTS, noise, &rng);
            ebb_target_sample(&one, 9, k * POINTS, POINTS, x, NULL);
            for (int i = 0; i < POINTS; i++) {
                labels[i] = label;
                at[i] = ebb_process_level(&m->process, times[k]);
                for (int d = 0; d < 2; d++)
                    x[2 * i + d] = at[i].alpha * x[2 * i + d] + at[i].sigma * noise[2 * i + d];
            }
            ebb_classifier c = {.model = m, .plan = plan, .n = POINTS, .numbers = 2, .label = labels};
            ebb_lead lead = ebb_lead_of_classifier(&c, 1);
            assert_int_equal(lead.gradient(lead.self, x, at, NULL, gradient), 0);
            for (int i = 0; i < POINTS; i++) {
                double of_class[2], of_all[2];
                ebb_target_at(&one, x + 2 * i, at[i].alpha, at[i].sigma, NULL, of_class, NULL, NULL);
                ebb_target_at(&all, x + 2 * i, at[i].alpha, at[i].sigma, NULL, of_all, NULL, NULL);
                for (int d = 0; d < 2; d++) {
                    double exact = of_class[d] - of_all[d];
                    wrong += (gradient[2 * i + d] - exact) * (gradient[2 * i + d] - exact);
                    size += exact * exact;
                }
            }
            ebb_target_free(&one);
        }
    if (LEARNS && !(wrong < 0.1 * size))
        fail_msg("squared error of the gradient: %.3g of its square", wrong / size);
    ebb_plan_free(plan);
    ebb_target_free(&all);
    ebb_model_free(m);
}

/* Shares of class 0 (of two, weights 0.2 and 0.8) among samples. */
static double share_of_first(ebb_model *m, ebb_model *judge, int label, double scale, const char *form)
{
    enum { SAMPLES = 400 };
    static float x[2 * SAMPLES];
    ebb_target law;
    double share = 0, posterior[2], score[2];
    int64_t evaluations = 0;
    ebb_sample_options o = ebb_sample_defaults();
    o.n = SAMPLES;
    o.sampler = form != NULL ? "ddpm" : "heun";
    o.steps = form != NULL ? 100 : 20;
    o.grid = "";
    o.evaluations = &evaluations;
    if (judge != NULL) {
        o.label = label;
        o.classifier = judge;
        o.classifier_scale = scale;
        o.classifier_form = form;
    }
    ok(ctx, ebb_sample(ctx, m, &o, x));
    int each = form != NULL ? 100 : 39;
    assert_in_range(evaluations, (judge != NULL ? 2 : 1) * each, (judge != NULL ? 2 : 1) * (each + 1));
    ok(ctx, ebb_recipe_target(ctx, m->recipe, &law));
    for (int i = 0; i < SAMPLES; i++) {
        double point[2] = {x[2 * i], x[2 * i + 1]};
        ebb_target_at(&law, point, 1, 0.05, NULL, score, NULL, posterior);
        share += posterior[0] / SAMPLES;
    }
    ebb_target_free(&law);
    return share;
}

/* A model without classes is led to one: the purer the stronger, by both forms; at scale 0 to none. */
static void test_purity(void **state)
{
    (void)state;
    train_with("points", (const char *const[]){LAW, "net.kind=mlp", "net.classes=0", "optim.lr=5e-3", "process.prediction=edm",
                                               "process.sigma_data=1", "loss.weighting=epsilon", LEARNING_STEPS(500), NULL});
    ebb_model *m = load("points"), *judge = load("judge");
    double bare = share_of_first(m, NULL, 0, 0, NULL), none = share_of_first(m, judge, 0, 0, NULL);
    double half = share_of_first(m, judge, 0, 0.5, NULL), full = share_of_first(m, judge, 0, 1, NULL);
    double away = share_of_first(m, judge, 1, 1, NULL), mean = share_of_first(m, judge, 0, 1, "mean");
    if (LEARNS && !(fabs(bare - 0.2) < 0.08 && fabs(none - bare) < 1e-6 && half > bare + 0.15 && full > half + 0.05 && full > 0.9 && away < 0.06 && mean > 0.9))
        fail_msg("share of class 0: %.3f alone, %.3f at scale 0, %.3f, %.3f led to it, %.3f by means, %.3f led away", bare, none, half,
                 full, mean, away);
    ebb_model_free(m);
    ebb_model_free(judge);
}

static void refused(const ebb_sample_options *o, ebb_model *m, ebb_status status, const char *says)
{
    float x[2];
    assert_int_equal(ebb_sample(ctx, m, o, x), status);
    assert_says(ctx, says);
}

static void test_guidance_refused(void **state)
{
    char *text;
    (void)state;
    ebb_model *m = load("points"), *judge = load("judge"), *pictures = load("reference");
    ebb_sample_options o = ebb_sample_defaults();
    refused(&o, judge, EBB_E_ARGUMENT, "is a classifier");
    o.classifier = judge;
    refused(&o, m, EBB_E_ARGUMENT, "leads to a class");
    o.label = 2;
    refused(&o, m, EBB_E_ARGUMENT, "outside 0..1");
    o.label = 1;
    o.classifier_form = "epsilo";
    refused(&o, m, EBB_E_USAGE, "did you mean 'epsilon'");
    o.classifier_form = "mean";
    refused(&o, m, EBB_E_ARGUMENT, "take the form epsilon");
    o.classifier_form = NULL;
    o.classifier_scale = INFINITY;
    refused(&o, m, EBB_E_ARGUMENT, "finite");
    o.classifier_scale = 1;
    o.classifier = m;
    refused(&o, m, EBB_E_ARGUMENT, "tells no classes");
    o.classifier = judge;
    refused(&o, pictures, EBB_E_ARGUMENT, "knows 2 classes, and the model 3");
    assert_int_equal(ebb_classify(ctx, m, NULL, &text), EBB_E_ARGUMENT);
    assert_says(ctx, "tells no classes");
    assert_int_equal(ebb_nll(ctx, judge, NULL, &text), EBB_E_ARGUMENT);
    assert_says(ctx, "is a classifier");
    ebb_model_free(m);
    ebb_model_free(judge);
    ebb_model_free(pictures);
}

/* ---- digits ----------------------------------------------------------------------------------------------------------------- */

static json_t *classified(ebb_context *c, const char *labels)
{
    ebb_model *m;
    char *text;
    ok(c, ebb_model_load(c, in_folder("digits/model.safetensors"), &m));
    ebb_classify_options o = {.size = sizeof o, .data = DIGITS("test-images-idx3"), .labels = labels, .n = 300, .levels = 4};
    ok(c, ebb_classify(c, m, &o, &text));
    ebb_model_free(m);
    json_t *json = json_loads(text, 0, NULL);
    ebb_text_free(text);
    return json;
}

static double level_number(const json_t *json, size_t level, const char *key)
{
    return json_number_value(json_object_get(json_array_get(json_object_get(json, "levels"), level), key));
}

/* A few hundred steps find four of five held-out digits under little noise, and by chance only where nothing is left. */
static void test_digits(void **state)
{
    (void)state;
    train_with("digits", (const char *const[]){"data.kind=idx", "data.path=" DIGITS("train-images-idx3"), "data.labels=" DIGITS("train-labels-idx1"),
                                               "net.kind=classifier", "loss.kind=classification", "net.classes=10", "net.base=16", "net.mult=1,2,2",
                                               "net.blocks=1", "net.groups=8", "process.schedule=cosine", "loss.times=log-normal", "loss.log_mean=-2",
                                               "loss.log_std=1", "optim.lr=6e-3", "optim.decay=cosine", "optim.warmup=20", "optim.beta2=0.99",
                                               "optim.ema=0.95", LEARNING_STEPS(220), "train.batch=32", "train.save_every=0", "precision=f32", NULL});
    json_t *json = classified(ctx, DIGITS("test-labels-idx1")), *again = classified(contexts[3], DIGITS("test-labels-idx1")), *class;
    assert_true(json_equal(json, again));
    double first = level_number(json, 0, "accuracy"), last = level_number(json, 3, "accuracy");
    if (LEARNS && !(first > 0.8 && last < 0.3 && level_number(json, 0, "cross_entropy") < 0.7))
        fail_msg("accuracy %.3f under little noise, %.3f under much; cross-entropy %.3f", first, last, level_number(json, 0, "cross_entropy"));
    assert_true(level_number(json, 0, "k_sigma") < 0.01 && level_number(json, 3, "k_sigma") > 50);
    double shares = 0, labelled = 0, right = 0;
    size_t k;
    json_array_foreach (json_object_get(json, "classes"), k, class) {
        shares += json_number_value(json_object_get(class, "share"));
        labelled += json_number_value(json_object_get(class, "labelled"));
        right += json_number_value(json_object_get(class, "labelled")) * json_number_value(json_object_get(class, "accuracy"));
    }
    assert_true(k == 10 && fabs(shares - 1) < 1e-9 && fabs(labelled - 1) < 1e-9 && fabs(right - first) < 1e-9);
    json_decref(again);
    again = classified(ctx, NULL);
    assert_true(json_array_size(json_object_get(again, "levels")) == 0 && json_is_false(json_object_get(again, "labelled")));
    json_decref(again);
    json_decref(json);
}

static int setup_models(void **state)
{
    int failed = setup(state);
    if (!failed)
        train(ctx, "reference");
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_probability), cmocka_unit_test(test_gradient), cmocka_unit_test(test_accuracy_of_steps),
        cmocka_unit_test(test_losses_of_pictures), cmocka_unit_test(test_recipes_refused), cmocka_unit_test(test_learned_gradient), cmocka_unit_test(test_purity),
        cmocka_unit_test(test_guidance_refused), cmocka_unit_test(test_digits), cmocka_unit_test(test_features),
    };
    backend = "own";
    return cmocka_run_group_tests_name("classifiers", tests, setup_models, teardown);
}
