/* test_golden.c: one training step against PyTorch: eps, loss and every gradient.
 *
 *   test_golden               runs the tests
 *   test_golden --dump FILE   writes loss, eps and every gradient of the unet-s step as safetensors, for
 *                             data/golden/make_unet_s_step.py --compare FILE
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

#include "format/format.h"
#include "support/nets.h"
#include "support/oracle.h"

enum { SKETCH = 16, HEAD = 16 };
static const char *const backend_names[] = {"auto", "own", "onednn"};

/* ---- golden files ---------------------------------------------------------------------------- */

typedef struct golden {
    ebb_safetensors file;
    const float *x0, *noise, *t, *eps;
    const int32_t *label;
    double loss;
    int n, count;               /* pictures, numbers a picture */
    float signal[4], sigma[4];
} golden;

static const ebb_st_tensor *tensor(const golden *y, const char *prefix, const char *name, ebb_st_type type,
                                   int64_t count)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const ebb_st_tensor *t = ebb_st_find(&y->file, full);
    if (t == NULL || t->type != type || t->bytes != (size_t)count * ebb_st_type_bytes(type))
        fail_msg("%s: no \"%s\" of the right type and size", y->file.path, full);
    return t;
}

static golden golden_read(const char *name, const ebb_network *network)
{
    golden y = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/data/golden/%s_step.safetensors", EBB_SOURCE_DIR, name);
    net_ok(ebb_st_read(net_ctx, path, &y.file));
    const ebb_st_tensor *t = ebb_st_find(&y.file, "t");
    assert_non_null(t);
    y.n = (int)t->dim[0];
    assert_in_range(y.n, 1, 4);
    y.count = (int)ebb_shape_count(ebb_network_shape(network, 1));
    y.t = t->data;
    y.x0 = tensor(&y, "", "x0", EBB_ST_F32, y.n * y.count)->data;
    y.noise = tensor(&y, "", "noise", EBB_ST_F32, y.n * y.count)->data;
    y.eps = tensor(&y, "", "eps", EBB_ST_F32, y.n * y.count)->data;
    memcpy(&y.loss, tensor(&y, "", "loss", EBB_ST_F64, 1)->data, sizeof y.loss);
    if (ebb_network_classes(network))
        y.label = tensor(&y, "", "label", EBB_ST_I32, y.n)->data;
    ebb_schedule s;
    net_ok(ebb_schedule_create(net_ctx, EBB_SCHEDULE_LINEAR, 1000, 1e-4, 0.02, &s));
    for (int i = 0; i < y.n; i++) {
        y.signal[i] = (float)sqrt(s.alpha_bar[(int)y.t[i]]);
        y.sigma[i] = (float)sqrt(1.0 - s.alpha_bar[(int)y.t[i]]);
    }
    ebb_schedule_free(&s);
    return y;
}

static void put_common(net *e, const golden *y)
{
    net_put(e, "t", y->t, (size_t)y->n * sizeof *y->t);
    if (y->label != NULL)
        net_put(e, "label", y->label, (size_t)y->n * sizeof *y->label);
}

static void run_loss(net *e, const golden *y)
{
    size_t bytes = (size_t)(y->n * y->count) * sizeof(float);
    net_put(e, "x0", y->x0, bytes);
    net_put(e, "noise", y->noise, bytes);
    net_put(e, "signal", y->signal, (size_t)y->n * sizeof(float));
    net_put(e, "sigma", y->sigma, (size_t)y->n * sizeof(float));
    put_common(e, y);
    ebb_plan_run(e->plan, 0);
}

static void run_eps(net *e, const golden *y)
{
    float *x = ebb_plan_input(e->plan, 0, "x");
    for (int i = 0; i < y->n * y->count; i++)
        x[i] = y->signal[i / y->count] * y->x0[i] + y->sigma[i / y->count] * y->noise[i];
    put_common(e, y);
    ebb_plan_run(e->plan, 0);
}

static double norm_of(const float *a, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)a[i] * a[i];
    return sqrt(s);
}

/* |a - b| */
static double distance(const float *a, const float *b, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(s);
}

/* A gradient in PyTorch's layout; freed by the caller. */
static float *file_gradient(const net *e, int i)
{
    const ebb_node *p = net_param(e, i);
    const float *g = ebb_plan_output(e->plan, 0, 1 + i);
    int64_t count = ebb_shape_count(p->shape);
    float *out = net_memory((size_t)count, sizeof *out);
    for (int64_t k = 0; k < count; k++)
        out[net_file_index(p, k)] = g[k];
    return out;
}

/* |g - want| as the sketch tells it: the largest of what its sums, its head and its norm say. */
static double sketch_distance(const char *name, const float *g, int64_t count, const double *want)
{
    double sum[SKETCH] = {0}, off = 0, head = 0;
    uint64_t hash = rule_hash(name, "/signs");
    for (int64_t k = 0; k < count; k++) {
        uint64_t w = rule_word(hash, k);
        for (int j = 0; j < SKETCH; j++)
            sum[j] += w >> j & 1 ? -(double)g[k] : (double)g[k];
    }
    for (int j = 0; j < SKETCH; j++)
        off += (sum[j] - want[1 + j]) * (sum[j] - want[1 + j]) / SKETCH;
    for (int64_t k = 0; k < count && k < HEAD; k++)
        head += (g[k] - want[1 + SKETCH + k]) * (g[k] - want[1 + SKETCH + k]);
    return fmax(sqrt(fmax(off, head)), fabs(norm_of(g, count) - want[0]));
}

typedef struct deviation { double norm, off; } deviation;   /* |want|, |g - want| */

static deviation gradient_deviation(const golden *y, const char *name, const float *g, int64_t count,
                                    bool whole)
{
    if (whole) {
        const float *want = tensor(y, "grad/", name, EBB_ST_F32, count)->data;
        return (deviation){norm_of(want, count), distance(g, want, count)};
    }
    int64_t held = 1 + SKETCH + (count < HEAD ? count : HEAD);
    double want[1 + SKETCH + HEAD];
    memcpy(want, tensor(y, "sketch/", name, EBB_ST_F64, held)->data, (size_t)held * sizeof *want);
    return (deviation){want[0], sketch_distance(name, g, count, want)};
}

/* The rounding of activations to bfloat16, as it shows in one step of unet-s. */
typedef struct bf16_errors {
    double eps, loss, whole, median;   /* relative l2: of eps, of the loss, of all gradients as one vector, of one */
} bf16_errors;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void gradient_errors(const golden *y, const net *e, bf16_errors *out)
{
    deviation *d = net_memory((size_t)e->g->nparams, sizeof *d);
    double *error = net_memory((size_t)e->g->nparams, sizeof *error), norm = 0, off = 0;
    int count = 0;
    for (int i = 0; i < e->g->nparams; i++) {
        const ebb_node *p = net_param(e, i);
        float *g = file_gradient(e, i);
        d[i] = gradient_deviation(y, p->name, g, ebb_shape_count(p->shape), false);
        norm += d[i].norm * d[i].norm;
        off += d[i].off * d[i].off;
        ebb_free(g);
    }
    for (int i = 0; i < e->g->nparams; i++)
        if (d[i].norm > 1e-12 * sqrt(norm))   /* the others are zero in exact arithmetic */
            error[count++] = d[i].off / d[i].norm;
    qsort(error, (size_t)count, sizeof *error, compare);
    out->whole = sqrt(off / norm);
    out->median = error[count / 2];
    ebb_free(error);
    ebb_free(d);
}

/* No worse than PyTorch's own mixed precision on the same step: these are the errors of version 2.6 under
 * torch.autocast('cpu', torch.bfloat16), as make_unet_s_step.py --autocast prints them. */
static void check_bf16(const char *isa)
{
    const bf16_errors theirs = {1.304e-2, 1.402e-4, 7.321e-3, 1.970e-2};
    bf16_errors ours;
    golden y = golden_read("unet_s", &unet_s);
    net e = net_eps(&unet_s, y.n);
    run_eps(&e, &y);
    int64_t count = (int64_t)y.n * y.count;
    ours.eps = distance(ebb_plan_output(e.plan, 0, 0), y.eps, count) / norm_of(y.eps, count);
    net_free(&e);
    e = net_loss(&unet_s, y.n, y.n);
    run_loss(&e, &y);
    ours.loss = fabs(*ebb_plan_output(e.plan, 0, 0) / y.loss - 1.0);
    gradient_errors(&y, &e, &ours);
    printf("unet_s in bfloat16, %s, %s convolutions: relative error of eps %.2e, of the loss %.2e, of the gradient %.2e, "
           "median of its parts %.2e\n", isa, net_fast_conv ? "fast" : "exact", ours.eps, ours.loss, ours.whole, ours.median);
    net_free(&e);
    ebb_st_free(&y.file);
    assert_true(ours.eps <= theirs.eps && ours.whole <= theirs.whole && ours.median <= theirs.median);
    /* One number comes out nearer or farther by chance; eps bounds it. */
    assert_true(ours.loss <= theirs.eps);
}

/* Every gradient to 1e-4 of its own size. Some are zero in exact arithmetic: of a key's bias (softmax
 * does not see it), of what is added to every place of a channel that group norm has alone in its group.
 * In PyTorch's float64 these are below 1e-12 of the whole gradient; here they must be below 1e-6. */
static void check_gradients(const char *name, const golden *y, const net *e, bool whole)
{
    deviation *d = net_memory((size_t)e->g->nparams, sizeof *d);
    double total = 0, worst = 0;
    int zero = 0;
    for (int i = 0; i < e->g->nparams; i++) {
        const ebb_node *p = net_param(e, i);
        float *g = file_gradient(e, i);
        d[i] = gradient_deviation(y, p->name, g, ebb_shape_count(p->shape), whole);
        total += d[i].norm * d[i].norm;
        ebb_free(g);
    }
    total = sqrt(total);
    for (int i = 0; i < e->g->nparams; i++) {
        bool is_zero = d[i].norm < 1e-12 * total;
        double error = d[i].off / (is_zero ? total : d[i].norm);
        if (!(error <= (is_zero ? 1e-6 : 1e-4)))
            fail_msg("%s: gradient of %s is off by %.3g%s", name, net_param(e, i)->name, error,
                     is_zero ? " of the whole gradient, and should be zero" : "");
        zero += is_zero;
        worst = is_zero || error < worst ? worst : error;
    }
    printf("%s, %s: worst relative error of %d gradients %.2e; %d more are zero\n", name,
           ebb_isa_name(net_ctx->isa), e->g->nparams - zero, worst, zero);
    assert_true(zero < e->g->nparams / 4);
    ebb_free(d);
}

static void check_step(const char *name, const ebb_network *network, bool whole)
{
    golden y = golden_read(name, network);
    net e = net_eps(network, y.n);
    run_eps(&e, &y);
    int64_t count = (int64_t)y.n * y.count;
    double eps = distance(ebb_plan_output(e.plan, 0, 0), y.eps, count) / norm_of(y.eps, count);
    net_free(&e);
    e = net_loss(network, y.n, y.n);
    run_loss(&e, &y);
    double loss = fabs(*ebb_plan_output(e.plan, 0, 0) / y.loss - 1.0);
    printf("%s, %s, back end %s, %s convolutions: relative error of eps %.2e, of the loss %.2e\n", name,
           ebb_isa_name(net_ctx->isa), backend_names[net_ctx->backend], net_fast_conv ? "fast" : "exact", eps, loss);
    assert_true(eps <= 1e-4);
    assert_true(loss <= 1e-4);
    check_gradients(name, &y, &e, whole);
    /* and the file holds nothing else: no parameter of PyTorch's is missing in ours */
    assert_int_equal(y.file.count, e.g->nparams + 5 + (y.label != NULL));
    net_free(&e);
    ebb_st_free(&y.file);
}

/* Runs a check in a context of its own. */
static void check_in(const char *name, const ebb_network *network, bool whole, const char *cpu,
                     const char *backend)
{
    ebb_context *usual = net_ctx;
    ebb_context_options options = {.size = sizeof options, .cpu = cpu, .backend = backend};
    ebb_status status = ebb_context_create(&options, &net_ctx);
    if (status == EBB_OK)
        check_step(name, network, whole);
    else if (status != EBB_E_UNSUPPORTED)   /* a build without oneDNN */
        fail_msg("%s", ebb_message(net_ctx));
    ebb_context_free(net_ctx);
    net_ctx = usual;
}

static void test_golden_s(void **state)
{
    (void)state;
    check_in("unet_s", &unet_s, false, NULL, "own");
    check_in("unet_s", &unet_s, false, NULL, "onednn");
    net_fast_conv = true;
    check_in("unet_s", &unet_s, false, NULL, "own");
    net_fast_conv = false;
}

/* By pairs in one instruction or widened, direct and Winograd's. */
static void test_golden_bf16(void **state)
{
    (void)state;
    ebb_context *usual = net_ctx;
    net_bf16 = EBB_BF16_CHANNELS;
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++) {
        ebb_context_options options = {.size = sizeof options, .cpu = ebb_isa_name((ebb_isa)isa), .backend = "own"};
        if (isa == EBB_ISA_C || !ebb_isa_available((ebb_isa)isa))
            continue;
        assert_int_equal(ebb_context_create(&options, &net_ctx), EBB_OK);
        for (int fast = 0; fast < 2; fast++) {
            net_fast_conv = fast;
            check_bf16(options.cpu);
        }
        ebb_context_free(net_ctx);
    }
    net_bf16 = 0;
    net_fast_conv = false;
    net_ctx = usual;
}

/* On every instruction set this machine has. */
static void test_golden_tiny(void **state)
{
    (void)state;
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++)
        if (ebb_isa_available((ebb_isa)isa))
            check_in("unet_tiny", &unet_tiny, true, ebb_isa_name((ebb_isa)isa), "own");
    check_in("unet_tiny", &unet_tiny, true, NULL, "onednn");
}

/* The same graph, gradients included, interpreted in double: what is left is the rounding of the golden
 * file and of the graph's constants to float. */
static void test_golden_double(void **state)
{
    (void)state;
    golden y = golden_read("unet_tiny", &unet_tiny);
    net e = net_loss(&unet_tiny, y.n, y.n);
    oracle *o = oracle_create(e.g);
    const struct { const char *name; const void *data; } input[] = {
        {"x0", y.x0}, {"noise", y.noise}, {"signal", y.signal}, {"sigma", y.sigma}, {"t", y.t}};
    for (int i = 0; i < e.g->ninputs; i++) {
        const ebb_node *n = ebb_graph_node(e.g, e.g->inputs[i]);
        if (n->type == EBB_I32)
            oracle_set_i32(o, e.g->inputs[i], y.label);
        for (size_t k = 0; k < sizeof input / sizeof input[0]; k++)
            if (strcmp(n->name, input[k].name) == 0)
                oracle_set_f32(o, e.g->inputs[i], input[k].data);
    }
    for (int i = 0; i < e.g->nparams; i++)
        oracle_set_f32(o, e.g->params[i], e.weight[i]);
    oracle_run(o);
    double loss = fabs(*oracle_get(o, e.values[0]) / y.loss - 1.0), worst = 0, total = 0;
    for (int i = 0; i < e.g->nparams; i++) {
        const ebb_node *p = net_param(&e, i);
        int64_t count = ebb_shape_count(p->shape);
        const float *want = tensor(&y, "grad/", p->name, EBB_ST_F32, count)->data;
        const double *g = oracle_get(o, e.values[1 + i]);
        double off = 0, norm = norm_of(want, count);
        for (int64_t k = 0; k < count; k++)
            off += pow(g[k] - want[net_file_index(p, k)], 2);
        total = hypot(total, norm);
        if (norm > 1e-12)
            worst = fmax(worst, sqrt(off) / norm);
        else
            assert_true(sqrt(off) < 1e-12);
    }
    printf("unet_tiny in double: relative error of the loss %.2e, worst of the gradients %.2e\n", loss, worst);
    assert_true(loss <= 1e-6 && worst <= 1e-6 && total > 0.1);
    oracle_free(o);
    net_free(&e);
    ebb_st_free(&y.file);
}

/* A shard of a batch twice as large: exactly half of the loss and of each gradient. */
static void test_shard(void **state)
{
    (void)state;
    golden y = golden_read("unet_tiny", &unet_tiny);
    net whole = net_loss(&unet_tiny, y.n, y.n), half = net_loss(&unet_tiny, y.n, 2 * y.n);
    run_loss(&whole, &y);
    run_loss(&half, &y);
    for (int i = 0; i < whole.count; i++) {
        int64_t count = i == 0 ? 1 : ebb_shape_count(ebb_graph_shape(whole.g, whole.g->params[i - 1]));
        const float *a = ebb_plan_output(whole.plan, 0, i), *b = ebb_plan_output(half.plan, 0, i);
        for (int64_t k = 0; k < count; k++)
            assert_true(b[k] == 0.5f * a[k]);
    }
    net_free(&whole);
    net_free(&half);
    ebb_st_free(&y.file);
}

static void test_loss_arguments(void **state)
{
    (void)state;
    ebb_graph *g;
    ebb_value values[8];
    net_ok(ebb_graph_create(net_ctx, &g));
    assert_int_equal(ebb_loss_simple(g, &unet_tiny, 3, 2, values, 8), EBB_E_ARGUMENT);
    assert_int_equal(ebb_loss_simple(g, &unet_tiny, 2, 2, values, 8), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(net_ctx), "room for 8 values"));
    ebb_graph_free(g);
}

/* ---- dump ------------------------------------------------------------------------------------ */

static int dump(const char *path)
{
    golden y = golden_read("unet_s", &unet_s);
    net eps = net_eps(&unet_s, y.n), e = net_loss(&unet_s, y.n, y.n);
    run_eps(&eps, &y);
    run_loss(&e, &y);
    int count = e.g->nparams + 2;
    ebb_st_tensor *t = net_memory((size_t)count, sizeof *t);
    for (int i = 0; i < e.g->nparams; i++) {
        const ebb_node *p = net_param(&e, i);
        ebb_shape s = net_file_shape(p);
        t[i] = (ebb_st_tensor){.name = p->name, .type = EBB_ST_F32, .rank = s.rank,
                               .data = file_gradient(&e, i),
                               .bytes = (size_t)ebb_shape_count(s) * sizeof(float)};
        memcpy(t[i].dim, s.dim, (size_t)s.rank * sizeof s.dim[0]);
    }
    t[count - 2] = (ebb_st_tensor){.name = "loss", .type = EBB_ST_F32, .rank = 0, .bytes = sizeof(float),
                                   .data = ebb_plan_output(e.plan, 0, 0)};
    t[count - 1] = (ebb_st_tensor){.name = "eps", .type = EBB_ST_F32, .rank = 4, .dim = {y.n, 32, 32, 1},
                                   .bytes = (size_t)(y.n * y.count) * sizeof(float),
                                   .data = ebb_plan_output(eps.plan, 0, 0)};
    ebb_status status = ebb_st_write(net_ctx, path, t, count, NULL);
    if (status != EBB_OK)
        fprintf(stderr, "%s\n", ebb_message(net_ctx));
    for (int i = 0; i < e.g->nparams; i++)
        ebb_free((void *)t[i].data);
    ebb_free(t);
    net_free(&eps);
    net_free(&e);
    ebb_st_free(&y.file);
    return status != EBB_OK;
}

int main(int argc, char **argv)
{
    if (ebb_context_create(NULL, &net_ctx) != EBB_OK) {
        fprintf(stderr, "%s\n", ebb_message(net_ctx));
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_double),
        cmocka_unit_test(test_golden_tiny),
        cmocka_unit_test(test_golden_s),
        cmocka_unit_test(test_golden_bf16),
        cmocka_unit_test(test_shard),
        cmocka_unit_test(test_loss_arguments),
    };
    bool dumping = argc == 3 && strcmp(argv[1], "--dump") == 0;
    int failed = dumping ? dump(argv[2]) : cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(net_ctx);
    return failed;
}
