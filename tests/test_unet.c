/* test_unet.c: the networks: sizes, names, starts, shapes, messages; and the MLP against its formula. */
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

#include "base/fault.h"
#include "support/nets.h"

/* ---- structure ------------------------------------------------------------------------------- */

/* A network's graph; eps has the shape of x, or there is an error and no eps. */
static ebb_graph *graph_of(const ebb_network *network, int64_t n)
{
    ebb_value eps;
    ebb_graph *g = net_graph(network, n, &eps);
    if (ebb_graph_status(g) == EBB_OK)
        assert_true(ebb_shape_equal(ebb_graph_shape(g, eps), ebb_network_shape(network, n)));
    else
        assert_int_equal(eps, EBB_NONE);
    return g;
}

static int64_t numbers(const ebb_graph *g)
{
    int64_t sum = 0;
    for (int i = 0; i < g->nparams; i++)
        sum += ebb_shape_count(ebb_graph_shape(g, g->params[i]));
    return sum;
}

static void test_sizes(void **state)
{
    (void)state;
    const struct { const ebb_network *network; int64_t parameters; } row[] = {
        {&unet_s, 1623169}, {&unet_m, 8952067}, {&unet_l, 35746307}};
    for (int i = 0; i < 3; i++) {
        ebb_graph *g = graph_of(row[i].network, 2);
        net_ok(ebb_graph_status(g));
        assert_int_equal(numbers(g), row[i].parameters);
        ebb_graph_free(g);
    }
}

/* Names and shapes of every tensor of the network of Ho et al. for CIFAR-10. */
static void test_names(void **state)
{
    (void)state;
    json_error_t error;
    json_t *file = json_load_file(EBB_SOURCE_DIR "/data/golden/ddpm_cifar10_32_tensors.json", 0, &error);
    assert_non_null(file);
    json_t *want = json_object_get(file, "tensors");
    ebb_graph *g = graph_of(&unet_l, 1);
    net_ok(ebb_graph_status(g));
    assert_int_equal(g->nparams, json_object_size(want));
    for (int i = 0; i < g->nparams; i++) {
        const ebb_node *p = ebb_graph_node(g, g->params[i]);
        ebb_shape shape = net_file_shape(p);
        json_t *dims = json_object_get(want, p->name);
        if (dims == NULL)
            fail_msg("there is no \"%s\" in diffusers' network", p->name);
        assert_int_equal(json_array_size(dims), shape.rank);
        for (int d = 0; d < shape.rank; d++)
            assert_int_equal(json_integer_value(json_array_get(dims, (size_t)d)), shape.dim[d]);
    }
    ebb_graph_free(g);
    json_decref(file);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* The last layer of each residual branch and of the network starts at zero, the rest does not. */
static void test_start(void **state)
{
    (void)state;
    ebb_graph *g = graph_of(&unet_tiny, 1);
    net_ok(ebb_graph_status(g));
    int zeros = 0;
    for (int i = 0; i < g->nparams; i++) {
        const ebb_node *p = ebb_graph_node(g, g->params[i]);
        bool last = strstr(p->name, "conv2.") || strstr(p->name, "to_out.0.") || strstr(p->name, "conv_out.");
        bool norm = strstr(p->name, "norm") != NULL;
        if (norm)
            assert_int_equal(p->attr.init, ends_with(p->name, ".bias") ? EBB_INIT_ZERO : EBB_INIT_ONE);
        else if (strstr(p->name, "class_embedding"))
            assert_true(p->attr.init == EBB_INIT_NORMAL && p->attr.alpha == 1.0f);
        else
            assert_int_equal(p->attr.init, last ? EBB_INIT_ZERO : EBB_INIT_UNIFORM);
        zeros += last;
        if (strcmp(p->name, "down_blocks.0.resnets.0.conv1.bias") == 0)
            assert_true(p->attr.alpha == (float)(1.0 / sqrt(36.0)));   /* fan in: 4 x 3 x 3 */
    }
    /* residual: 1 + 1 down, 2 middle, 2 + 2 up;
     * attention: 2 down, 1 middle, 4 up; conv_out; a weight and a bias each */
    assert_int_equal(zeros, 2 * (8 + 7 + 1));
    ebb_graph_free(g);
}

static void test_shapes(void **state)
{
    (void)state;
    const ebb_unet_config row[] = {
        /* the digits: 28, 14, 7 */
        {.size_h = 28, .size_w = 28, .channels = 1, .base = 32, .levels = 3, .mult = {1, 2, 2},
         .attention = {0, 0, 1}, .blocks = 2, .groups = 32, .eps = 1e-6f, .classes = 10},
        /* one level takes any size */
        {.size_h = 13, .size_w = 1, .channels = 2, .base = 4, .levels = 1, .mult = {1}, .blocks = 1,
         .groups = 4, .eps = 1e-6f},
        {.size_h = 24, .size_w = 40, .channels = 3, .base = 8, .levels = 4, .mult = {1, 3, 2, 5},
         .attention = {1, 0, 1, 1}, .blocks = 3, .groups = 8, .eps = 1e-5f},
        {.size_h = 128, .size_w = 256, .channels = 4, .base = 4, .levels = 8,
         .mult = {1, 1, 1, 1, 2, 2, 2, 2}, .blocks = 1, .groups = 1, .eps = 1e-6f},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        ebb_graph *g = graph_of(&(ebb_network){.kind = EBB_NET_UNET, .u.unet = row[i]}, 3);
        net_ok(ebb_graph_status(g));
        ebb_graph_free(g);
    }
}

static void refused(const ebb_network *network, ebb_status status, const char *says)
{
    ebb_graph *g = graph_of(network, 1);
    if (ebb_graph_status(g) != status || strstr(ebb_message(net_ctx), says) == NULL)
        fail_msg("expected %s with \"%s\", got %s: %s", ebb_status_name(status), says,
                 ebb_status_name(ebb_graph_status(g)), ebb_message(net_ctx));
    ebb_graph_free(g);
}

#define REFUSED(status, says, change)         \
    do {                                      \
        ebb_network changed = unet_s;         \
        ebb_unet_config *c = &changed.u.unet; \
        change;                               \
        refused(&changed, status, says);      \
    } while (0)

static void test_messages(void **state)
{
    (void)state;
    REFUSED(EBB_E_SHAPE, "level 1 is 15x15 and cannot be halved; height and width must be multiples of 4 "
            "(nearest: 32x32)", c->size_h = c->size_w = 30);
    REFUSED(EBB_E_SHAPE, "level 0 is 32x17", c->size_w = 17);
    REFUSED(EBB_E_SHAPE, "level 0 is 24 channels wide, which group norm cannot split into 32 groups",
            c->base = 24);
    REFUSED(EBB_E_SHAPE, "level 1 is 0 channels", c->mult[1] = 0);
    REFUSED(EBB_E_ARGUMENT, "9 levels; 1 to 8", c->levels = 9);
    REFUSED(EBB_E_ARGUMENT, "0 levels; 1 to 8", c->levels = 0);
    REFUSED(EBB_E_ARGUMENT, "base width 5", c->base = 5; c->groups = 1);
    REFUSED(EBB_E_ARGUMENT, "base width 2", c->base = 2; c->groups = 1);
    REFUSED(EBB_E_ARGUMENT, "0 residual blocks", c->blocks = 0);
    REFUSED(EBB_E_ARGUMENT, "0 groups", c->groups = 0);
    REFUSED(EBB_E_ARGUMENT, "both must be positive", c->eps = NAN);
    REFUSED(EBB_E_ARGUMENT, "-1 classes", c->classes = -1);
    ebb_network mlp = {.kind = EBB_NET_MLP, .u.mlp = {.inputs = 2, .width = 8, .depth = 0, .time_dim = 8}};
    refused(&mlp, EBB_E_ARGUMENT, "0 hidden layers");
    mlp.u.mlp.depth = 1;
    mlp.u.mlp.time_dim = 7;
    refused(&mlp, EBB_E_ARGUMENT, "time embedding: 7 numbers");
}

/* Labels and inputs that do not belong to the network. */
static void test_inputs(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        const ebb_network *network = which == 0 ? &unet_tiny : &unet_s;
        ebb_graph *g;
        net_ok(ebb_graph_create(net_ctx, &g));
        ebb_value x = ebb_input(g, "x", EBB_F32, ebb_network_shape(which == 2 ? &unet_m : network, 2));
        ebb_value t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(2));
        ebb_value label = which == 1 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(2)) : EBB_NONE;
        assert_int_equal(ebb_network_build(g, network, x, t, label), EBB_NONE);
        const char *const says[] = {"3 classes: no label given", "without classes: label given", "32x32x1"};
        assert_non_null(strstr(ebb_message(net_ctx), says[which]));
        ebb_graph_free(g);
    }
}

/* ---- MLP ------------------------------------------------------------------------------------- */

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* y[j] = b[j] + sum_i x[i] w[i][j] with the weights of layer `name`. */
static void dense(const net *e, const char *name, const double *x, int in, double *y, int out)
{
    const float *w = NULL, *b = NULL;
    for (int i = 0; i < e->g->nparams; i++) {
        const char *full = net_param(e, i)->name;
        if (strncmp(full, name, strlen(name)) == 0 && strcmp(full + strlen(name), ".weight") == 0)
            w = e->weight[i];
        if (strncmp(full, name, strlen(name)) == 0 && strcmp(full + strlen(name), ".bias") == 0)
            b = e->weight[i];
    }
    assert_true(w != NULL && b != NULL);
    for (int j = 0; j < out; j++) {
        y[j] = b[j];
        for (int i = 0; i < in; i++)
            y[j] += x[i] * w[i * out + j];
    }
}

/* The formula of mlp.c in double. time_dim 6: three frequencies, no power of two. */
static void test_mlp(void **state)
{
    (void)state;
    enum { N = 3, W = 8, DIM = 6 };
    const ebb_network network = {
        .kind = EBB_NET_MLP,
        .u.mlp = {.inputs = 2, .width = W, .depth = 2, .time_dim = DIM, .classes = 2},
    };
    net e = net_eps(&network, N);
    const float x[N][2] = {{0.3f, -1.2f}, {0, 0.7f}, {2, 1}}, t[N] = {0, 3.5f, 40};
    const int32_t label[N] = {2, 0, 1};
    net_put(&e, "x", x, sizeof x);
    net_put(&e, "t", t, sizeof t);
    net_put(&e, "label", label, sizeof label);
    ebb_plan_run(e.plan, 0);
    int table = 0;
    while (strcmp(net_param(&e, table)->name, "class_embedding.weight") != 0)
        table++;
    for (int n = 0; n < N; n++) {
        double emb[DIM], a[W], temb[W], h[W] = {x[n][0], x[n][1]}, shift[W], out[2];
        for (int i = 0; i < DIM / 2; i++) {
            double angle = t[n] * pow(10000, -i / (DIM / 2 - 1.0));
            emb[i] = sin(angle);
            emb[DIM / 2 + i] = cos(angle);
        }
        dense(&e, "time_embedding.linear_1", emb, DIM, a, W);
        for (int i = 0; i < W; i++)
            a[i] = silu(a[i]);
        dense(&e, "time_embedding.linear_2", a, W, temb, W);
        for (int i = 0; i < W; i++)
            temb[i] = silu(temb[i] + e.weight[table][label[n] * W + i]);
        for (int l = 0; l < 2; l++) {
            dense(&e, l ? "layers.1.time_emb_proj" : "layers.0.time_emb_proj", temb, W, shift, W);
            dense(&e, l ? "layers.1.linear" : "layers.0.linear", h, l ? W : 2, a, W);
            for (int i = 0; i < W; i++)
                h[i] = silu(a[i] + shift[i]);
        }
        dense(&e, "linear_out", h, W, out, 2);
        for (int d = 0; d < 2; d++)
            assert_true(fabs(ebb_plan_output(e.plan, 0, 0)[2 * n + d] - out[d]) <= 1e-5);
    }
    net_free(&e);
}

#ifdef EBB_FAULT
/* Building the step of the tiny network, every allocation failing once: an error, nothing held. */
static void test_no_memory(void **state)
{
    (void)state;
    ebb_value values[256];
    size_t held = ebb_mem_read().bytes;
    uint64_t nth = 0, params = 0;
    ebb_status status;
    do {
        ebb_graph *g;
        ebb_schedule s;
        ebb_fault_set(EBB_FAULT_ALLOC, ++nth, 0);
        status = ebb_schedule_create(net_ctx, EBB_SCHEDULE_COSINE, 10, 0, 0, &s);
        if (status == EBB_OK)
            status = ebb_graph_create(net_ctx, &g);
        if (status == EBB_OK) {
            status = ebb_loss_simple(g, &unet_tiny, 2, 2, values, 256);
            params = (uint64_t)g->nparams;
            ebb_graph_free(g);
        }
        bool reached = ebb_fault_calls() >= nth;
        ebb_fault_set(EBB_FAULT_NONE, 0, 0);
        ebb_schedule_free(&s);
        assert_int_equal(status, reached ? EBB_E_MEMORY : EBB_OK);
        assert_int_equal(ebb_mem_read().bytes, held);
    } while (status != EBB_OK);
    assert_true(nth > params && params > 0);   /* each name is an allocation */
}
#endif

int main(void)
{
    if (ebb_context_create(NULL, &net_ctx) != EBB_OK) {
        fprintf(stderr, "%s\n", ebb_message(net_ctx));
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_mlp),
#ifdef EBB_FAULT
        cmocka_unit_test(test_no_memory),
#endif
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(net_ctx);
    return failed;
}
