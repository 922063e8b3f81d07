/* test_inception.c: Inception-v3 against PyTorch's on weights by a rule: names and shapes of all tensors, features and logits of
 * coloured and grey pictures through a file of weights; files that are not of it; data without labels judged by its features.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample/features.h"
#include "study/quality.h"
#include "support/contexts.h"
#include "support/nets.h"
#include "support/temporary.h"

#define GOLDEN EBB_SOURCE_DIR "/data/golden/inception"

enum { DIM = 2048, CLASSES = 1008 };

static ebb_context *ctx[2];      /* of one thread, and of three */
static temporary_folder folder;
static char weights[128];        /* the file */
static ebb_safetensors golden;

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s%s", ebb_message(ctx[0]), ebb_message(ctx[1]));
}

static void says(const char *part)
{
    if (strstr(ebb_message(ctx[0]), part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, ebb_message(ctx[0]));
}

/* ---- weights ------------------------------------------------------------------------------------------------------------------- */

static ebb_graph *graph(void)
{
    ebb_graph *g;
    ebb_value features;
    ok(ebb_graph_create(ctx[0], &g));
    ebb_nn_inception(g, ebb_input(g, "x", EBB_F32, EBB_SHAPE(1, EBB_INCEPTION_SIDE, EBB_INCEPTION_SIDE, 3)), &features);
    ok(ebb_graph_status(g));
    return g;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* The rule of make_inception.py. */
static void draw(const ebb_node *p, int64_t count, float *w)
{
    net_draw(p, w);
    for (int64_t i = 0; i < count; i++)
        if (ends_with(p->name, "conv.weight"))
            w[i] *= (float)1.4142135623730951;
        else if (ends_with(p->name, "running_mean"))
            w[i] -= 1;
}

/* All tensors, or zeros and all but the last. */
static void write_weights(const char *path, int left_out)
{
    ebb_graph *g = graph();
    ebb_params params;
    ebb_st_tensor *rows;
    float *memory, *file;
    char *names;
    ok(ebb_params_from_graph(ctx[0], g, &params));
    ok(ebb_alloc(ctx[0], (void **)&memory, (size_t)params.length, sizeof *memory, "weights"));
    ok(ebb_alloc(ctx[0], (void **)&file, (size_t)params.length, sizeof *file, "weights"));
    ok(ebb_alloc(ctx[0], (void **)&rows, (size_t)params.count, sizeof *rows, "rows"));
    ok(ebb_alloc(ctx[0], (void **)&names, (size_t)params.count, EBB_PARAM_NAME_MAX, "names"));
    for (int i = 0; left_out == 0 && i < params.count; i++)
        draw(ebb_graph_node(g, g->params[i]), params.at[i].count, memory + params.at[i].offset);
    ebb_params_to_file(ctx[0], &params, file, memory);
    ebb_params_rows(&params, "", file, names, rows);
    ok(ebb_st_write(ctx[0], path, rows, params.count - left_out, NULL));
    ebb_free(memory);
    ebb_free(file);
    ebb_free(rows);
    ebb_free(names);
    ebb_params_free(&params);
    ebb_graph_free(g);
}

/* Every tensor of torchvision's network is there under its name and in its shape, and no other. */
static void test_table(void **state)
{
    json_t *want = json_load_file(GOLDEN "_tensors.json", 0, NULL);
    ebb_graph *g = graph();
    (void)state;
    assert_non_null(want);
    assert_int_equal(g->nparams, json_object_size(want));
    for (int i = 0; i < g->nparams; i++) {
        const ebb_node *p = ebb_graph_node(g, g->params[i]);
        ebb_shape shape = net_file_shape(p);
        const json_t *dims = json_object_get(want, p->name);
        if (dims == NULL)
            fail_msg("there is no \"%s\" in torchvision's network", p->name);
        assert_int_equal(json_array_size(dims), shape.rank);
        for (int d = 0; d < shape.rank; d++)
            assert_int_equal(json_integer_value(json_array_get(dims, (size_t)d)), shape.dim[d]);
    }
    ebb_graph_free(g);
    json_decref(want);
}

/* ---- features -------------------------------------------------------------------------------------------------------------------- */

static const ebb_st_tensor *tensor(const char *name, const char *part)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", name, part);
    const ebb_st_tensor *t = ebb_st_find(&golden, full);
    if (t == NULL || t->type != EBB_ST_F32)
        fail_msg("no \"%s\" in the golden file", full);
    return t;
}

static float *copy(const ebb_st_tensor *t)
{
    float *x = malloc(t->bytes);
    memcpy(x, t->data, t->bytes);
    return x;
}

/* The probabilities of the logits, in double. */
static double probability(const float *logits, int c)
{
    double sum = 0;
    for (int k = 0; k < CLASSES; k++)
        sum += exp((double)logits[k] - logits[c]);
    return 1 / sum;
}

/* To 1e-4 of the largest; one by one by one thread, or together by three. */
static void check_pictures(const char *name, int contexts)
{
    static double feature[2][2 * DIM], found[2][2 * CLASSES];
    const ebb_st_tensor *t = tensor(name, "");
    float *pictures = copy(t), *features = copy(tensor(name, "/features")), *logits = copy(tensor(name, "/logits"));
    int shape[3] = {(int)t->dim[1], (int)t->dim[2], (int)t->dim[3]};
    int64_t n = t->dim[0], numbers = (int64_t)shape[0] * shape[1] * shape[2];
    double largest = 0, off = 0, off_probability = 0;
    for (int k = 0; k < contexts; k++) {
        ebb_features f;
        ok(ebb_features_create_inception(ctx[k], weights, shape, k == 0 ? 1 : n, &f));
        assert_true(f.dim == DIM && f.classes == CLASSES);
        for (int64_t i = 0; k == 0 && i < n; i++)
            ok(ebb_features_read(&f, pictures + i * numbers, 1, feature[k] + i * DIM, found[k] + i * CLASSES));
        if (k == 1)
            ok(ebb_features_read(&f, pictures, n, feature[k], found[k]));
        ebb_features_free(&f);
    }
    for (int k = 1; k < contexts; k++) {
        assert_memory_equal(feature[0], feature[k], (size_t)(n * DIM) * sizeof(double));
        assert_memory_equal(found[0], found[k], (size_t)(n * CLASSES) * sizeof(double));
    }
    for (int64_t i = 0; i < n * DIM; i++) {
        largest = fmax(largest, fabs(features[i]));
        off = fmax(off, fabs(features[i] - feature[0][i]));
    }
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < CLASSES; c++) {
            double p = probability(logits + i * CLASSES, c);
            off_probability = fmax(off_probability, fabs(found[0][i * CLASSES + c] / p - 1));
        }
    print_message("%s: features off by %.2g of %.3g, probabilities by parts of %.2g\n", name, off, largest, off_probability);
    assert_true(largest > 0.1 && off <= 1e-4 * largest && off_probability <= 1e-4);
    free(pictures);
    free(features);
    free(logits);
}

static void test_pictures(void **state)
{
    (void)state;
    check_pictures("colour", 2);
    check_pictures("grey", 1);
}

/* A file of something else, or without a tensor. */
static void test_refusals(void **state)
{
    char path[160];
    ebb_features f;
    (void)state;
    snprintf(path, sizeof path, "%s/less.safetensors", folder);
    write_weights(path, 1);
    assert_int_equal(ebb_features_create_inception(ctx[0], path, (const int[]){8, 8, 1}, 1, &f), EBB_E_FORMAT);
    says("fc.bias");
    assert_int_equal(ebb_features_create_inception(ctx[0], GOLDEN ".safetensors", (const int[]){8, 8, 1}, 1, &f), EBB_E_FORMAT);
    says("Conv2d_1a_3x3.conv.weight");
    assert_int_equal(ebb_features_create_inception(ctx[0], weights, (const int[]){8, 8, 2}, 1, &f), EBB_E_SHAPE);
    says("1 or 3 channels");
    assert_int_equal(ebb_features_create_inception(ctx[0], "/nowhere", (const int[]){8, 8, 3}, 1, &f), EBB_E_IO);
    assert_int_equal(ebb_os_table.unlink(path), 0);
}

/* Data without labels, beside which no classifier could be trained. */
static void test_quality(void **state)
{
    enum { N = 6 };
    ebb_recipe *r;
    ebb_quality *q;
    (void)state;
    ok(ebb_recipe_default(ctx[1], &r));
    ok(ebb_recipe_set(ctx[1], r, "data.size=8"));
    ok(ebb_recipe_set(ctx[1], r, "data.limit=12"));
    ebb_quality_options o = {.dir = folder, .recipe = r, .n = N, .inception = weights};
    ok(ebb_quality_create(ctx[1], &o, &q));
    for (int m = 0; m < EBB_METRICS; m++)
        assert_true(m == EBB_METRIC_BITS || isfinite(ebb_quality_floor(q)[m].value));
    assert_true(ebb_quality_floor(q)[EBB_METRIC_FRECHET].value > 0);
    json_t *about = ebb_quality_about(q), *features = json_object_get(about, "features");
    assert_string_equal(json_string_value(json_object_get(features, "network")), "inception-v3");
    assert_int_equal(json_integer_value(json_object_get(features, "dim")), DIM);
    json_decref(about);
    ebb_quality_free(q);
    ebb_recipe_free(r);
}

static int setup(void **state)
{
    (void)state;
    if (!temporary_make(folder, "inception") || contexts_create(ctx) != 0)
        return 1;
    net_ctx = ctx[0];
    snprintf(weights, sizeof weights, "%s/weights.safetensors", folder);
    write_weights(weights, 0);
    ok(ebb_st_read(ctx[0], GOLDEN ".safetensors", &golden));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ebb_st_free(&golden);
    contexts_free(ctx);
    return ebb_mem_read().bytes != 0 || !temporary_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_pictures), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_quality)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
