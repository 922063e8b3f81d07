/* test_ncsnpp.c: DDPM++ and NCSN++ against PyTorch (data/golden/make_ncsnpp.py): output, derivative along a direction, loss,
 * every gradient, and the gradients of implicit score matching, which are second derivatives; filters against their formulas.
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

enum { SKETCH = 16, N = 2 };

#define UNET(...) .kind = EBB_NET_UNET, .u.unet = {.eps = 1e-6f, .groups = 32, .groups_of_four = true, .blocks = 1, .base = 8, __VA_ARGS__}
static const struct { const char *name; ebb_network net; } nets[] = {
    {"ddpmpp_tiny", {UNET(.channels = 3, .size_h = 4, .size_w = 6, .levels = 2, .mult = {1, 2}, .attention = {0, 1}, .classes = 3,
                          .resample = EBB_RESAMPLE_MEAN, .rescale = true, .attention_once = true)}},
    {"ncsnpp_tiny", {UNET(.channels = 2, .size_h = 4, .size_w = 8, .levels = 3, .mult = {1, 2, 1}, .attention = {0, 1, 0},
                          .resample = EBB_RESAMPLE_FIR, .rescale = true, .attention_once = true,
                          .pyramid = EBB_PYRAMID_RESIDUAL, .fourier = 16), .over_sigma = true}},
    {"ncsnpp_skip", {UNET(.channels = 1, .size_h = 8, .size_w = 4, .levels = 3, .mult = {1, 2, 1}, .attention = {1, 1, 0},
                          .resample = EBB_RESAMPLE_FIR, .pyramid = EBB_PYRAMID_SKIP, .pyramid_concat = true, .output = EBB_PYRAMID_SKIP,
                          .fourier = 16)}},
};
enum { NETS = sizeof nets / sizeof *nets };

/* ---- the graph of a golden file --------------------------------------------------------------------------- */

typedef struct golden {
    const char *name;
    ebb_safetensors file;
    ebb_graph *g;
    int orders, params, count;   /* count: of values */
    ebb_value *values;           /* f, jv, loss, implicit, gradients of the loss, gradients of the implicit loss */
    float **weight;
} golden;

static const void *tensor(const golden *y, const char *prefix, const char *name, ebb_st_type type, int64_t count)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const ebb_st_tensor *t = ebb_st_find(&y->file, full);
    if (t == NULL || t->type != type || t->bytes != (size_t)count * ebb_st_type_bytes(type))
        fail_msg("%s: no \"%s\" of the right type and size", y->name, full);
    return t->data;
}

/* With the gradients of the loss (orders 1), and of the implicit loss (2). */
static void build(golden *y, const ebb_network *net)
{
    ebb_graph *g = y->g;
    ebb_shape shape = ebb_network_shape(net, N);
    ebb_value x = ebb_input(g, "x", EBB_F32, shape), t = ebb_input(g, "t", EBB_F32, EBB_SHAPE(N));
    ebb_value v = ebb_input(g, "v", EBB_F32, shape), target = ebb_input(g, "target", EBB_F32, shape);
    ebb_value label = ebb_network_classes(net) > 0 ? ebb_input(g, "label", EBB_I32, EBB_SHAPE(N)) : EBB_NONE;
    ebb_value head[4];
    head[0] = ebb_network_build(g, net, x, t, label);
    net_ok(ebb_jvp(g, head, 1, &x, &v, 1, head + 1));
    head[2] = ebb_mean_all(g, ebb_square(g, ebb_sub(g, head[0], target)));
    head[3] = ebb_mean_all(g, ebb_add(g, ebb_square(g, head[0]), ebb_scale(g, ebb_mul(g, v, head[1]), 2)));
    y->params = g->nparams;
    y->count = 4 + y->orders * g->nparams;
    y->values = net_memory((size_t)y->count, sizeof *y->values);
    memcpy(y->values, head, sizeof head);
    for (int k = 0; k < y->orders; k++)
        net_ok(ebb_vjp(g, head[2 + k], EBB_NONE, g->params, g->nparams, y->values + 4 + k * g->nparams));
    net_ok(ebb_graph_status(g));
}

static golden golden_make(int k, int orders)
{
    golden y = {.name = nets[k].name, .orders = orders};
    char path[512];
    snprintf(path, sizeof path, "%s/data/golden/%s.safetensors", EBB_SOURCE_DIR, y.name);
    net_ok(ebb_st_read(net_ctx, path, &y.file));
    net_ok(ebb_graph_create(net_ctx, &y.g));
    build(&y, &nets[k].net);
    y.weight = net_memory((size_t)y.params, sizeof *y.weight);
    for (int i = 0; i < y.params; i++) {
        const ebb_node *p = ebb_graph_node(y.g, y.g->params[i]);
        y.weight[i] = net_memory((size_t)ebb_shape_count(p->shape), sizeof(float));
        net_draw(p, y.weight[i]);
    }
    /* and the file holds nothing else: no parameter of PyTorch's is missing in ours */
    assert_int_equal(y.file.count, 8 + 2 * y.params + (ebb_network_classes(&nets[k].net) > 0));
    return y;
}

static void golden_free(golden *y)
{
    for (int i = 0; i < y->params; i++)
        ebb_free(y->weight[i]);
    ebb_free(y->weight);
    ebb_free(y->values);
    ebb_graph_free(y->g);
    ebb_st_free(&y->file);
}

/* What one evaluation gave, value by value, in double or f32. */
typedef struct results {
    const oracle *o;
    const ebb_plan *plan;
} results;

static double result(const golden *y, const results *r, int value, int64_t i)
{
    return r->o ? oracle_get(r->o, y->values[value])[i] : (double)ebb_plan_output(r->plan, 0, value)[i];
}

/* |got - want| / |want| of a picture. */
static double picture_error(const golden *y, const results *r, int value, const char *name)
{
    int64_t count = ebb_shape_count(ebb_graph_shape(y->g, y->values[value]));
    const float *want = tensor(y, "", name, EBB_ST_F32, count);
    double off = 0, norm = 0;
    for (int64_t i = 0; i < count; i++) {
        off += pow(result(y, r, value, i) - want[i], 2);
        norm += (double)want[i] * want[i];
    }
    return sqrt(off / norm);
}

static double number_error(const golden *y, const results *r, int value, const char *name)
{
    double want;
    memcpy(&want, tensor(y, "", name, EBB_ST_F64, 1), sizeof want);
    return fabs(result(y, r, value, 0) / want - 1);
}

typedef struct deviation { double norm, off; } deviation;   /* |want|, |got - want| */

static deviation gradient(const golden *y, const results *r, int i)
{
    const ebb_node *p = ebb_graph_node(y->g, y->g->params[i]);
    int64_t count = ebb_shape_count(p->shape);
    const float *want = tensor(y, "grad/", p->name, EBB_ST_F32, count);
    deviation d = {0};
    for (int64_t k = 0; k < count; k++) {
        double w = want[net_file_index(p, k)];
        d.off = hypot(d.off, result(y, r, 4 + i, k) - w);
        d.norm = hypot(d.norm, w);
    }
    return d;
}

/* By random sums: their mean square is |got - want|^2 in expectation. */
static deviation implicit_gradient(const golden *y, const results *r, int i)
{
    const ebb_node *p = ebb_graph_node(y->g, y->g->params[i]);
    double want[1 + SKETCH], sum[SKETCH] = {0}, norm = 0;
    uint64_t hash = rule_hash(p->name, "/signs");
    memcpy(want, tensor(y, "implicit/", p->name, EBB_ST_F64, 1 + SKETCH), sizeof want);
    for (int64_t k = 0; k < ebb_shape_count(p->shape); k++) {
        uint64_t w = rule_word(hash, net_file_index(p, k));
        double g = result(y, r, 4 + y->params + i, k);
        norm = hypot(norm, g);
        for (int j = 0; j < SKETCH; j++)
            sum[j] += w >> j & 1 ? -g : g;
    }
    deviation d = {.norm = want[0], .off = 0};
    for (int j = 0; j < SKETCH; j++)
        d.off = hypot(d.off, (sum[j] - want[1 + j]) / sqrt(SKETCH));
    d.off = fmax(d.off, fabs(norm - want[0]));
    return d;
}

/* Each to `tolerance` of its own size; those that are zero in exact arithmetic to a hundredth of that, of the whole. Returns
 * the worst. */
static double check_gradients(const golden *y, const results *r, bool implicit, double tolerance)
{
    deviation (*of)(const golden *, const results *, int) = implicit ? implicit_gradient : gradient;
    double total = 0, worst = 0;
    int zero = 0;
    for (int i = 0; i < y->params; i++)
        total = hypot(total, of(y, r, i).norm);
    for (int i = 0; i < y->params; i++) {
        deviation d = of(y, r, i);
        bool is_zero = d.norm < 1e-9 * total;
        double error = d.off / (is_zero ? 0.01 * total : d.norm);
        if (!(error <= tolerance))
            fail_msg("%s: %s gradient of %s is off by %.3g of %.3g; the whole is %.3g", y->name, implicit ? "implicit" : "",
                     ebb_graph_node(y->g, y->g->params[i])->name, d.off, d.norm, total);
        zero += is_zero;
        worst = is_zero ? worst : fmax(worst, error);
    }
    assert_true(zero < y->params / 3 && total > 0.1);
    return worst;
}

static void check(const golden *y, const results *r, const char *how, double tolerance)
{
    double f = picture_error(y, r, 0, "f"), jv = picture_error(y, r, 1, "jv");
    double loss = number_error(y, r, 2, "loss"), implicit = number_error(y, r, 3, "implicit");
    double g = check_gradients(y, r, false, tolerance), h = y->orders > 1 ? check_gradients(y, r, true, tolerance) : 0;
    printf("%s, %s: relative error of f %.1e, Jv %.1e, loss %.1e, implicit %.1e, gradients %.1e and %.1e\n", y->name, how, f, jv,
           loss, implicit, g, h);
    assert_true(f <= tolerance && jv <= tolerance && loss <= tolerance && implicit <= tolerance);
}

/* ---- in double ------------------------------------------------------------------------------------------------ */

static void set_inputs(const golden *y, oracle *o)
{
    for (int i = 0; i < y->g->ninputs; i++) {
        const ebb_node *n = ebb_graph_node(y->g, y->g->inputs[i]);
        const void *data = tensor(y, "", n->name, n->type == EBB_I32 ? EBB_ST_I32 : EBB_ST_F32, ebb_shape_count(n->shape));
        if (n->type == EBB_I32)
            oracle_set_i32(o, y->g->inputs[i], data);
        else
            oracle_set_f32(o, y->g->inputs[i], data);
    }
}

/* What remains is the rounding of the files to f32. */
static void test_golden_double(void **state)
{
    (void)state;
    for (int k = 0; k < NETS; k++) {
        golden y = golden_make(k, 2);
        oracle *o = oracle_create(y.g);
        set_inputs(&y, o);
        for (int i = 0; i < y.params; i++)
            oracle_set_f32(o, y.g->params[i], y.weight[i]);
        oracle_run(o);
        check(&y, &(results){.o = o}, "in double", 1e-6);
        oracle_free(o);
        golden_free(&y);
    }
}

/* +-1/10 for element j. */
static double direction(const ebb_node *p, int64_t j)
{
    return rule_word(rule_hash(p->name, "/direction"), j) >> 63 ? 0.1 : -0.1;
}

/* The implicit loss `step` along a direction through all weights that are trained; its slope there where `slope` is given. */
static double implicit_at(const golden *y, double step, double *slope)
{
    double *w = net_memory(1 << 16, sizeof *w), loss;
    oracle *o = oracle_create(y->g);
    set_inputs(y, o);
    for (int i = 0; i < y->params; i++) {
        const ebb_node *p = ebb_graph_node(y->g, y->g->params[i]);
        for (int64_t j = 0; j < ebb_shape_count(p->shape); j++)
            w[j] = y->weight[i][j] + (p->attr.fixed ? 0 : step * direction(p, j));
        oracle_set(o, y->g->params[i], w);
    }
    oracle_run(o);
    loss = oracle_get(o, y->values[3])[0];
    for (int i = 0; slope != NULL && i < y->params; i++) {
        const ebb_node *p = ebb_graph_node(y->g, y->g->params[i]);
        for (int64_t j = 0; j < ebb_shape_count(p->shape); j++)
            *slope += oracle_get(o, y->values[4 + y->params + i])[j] * direction(p, j);
    }
    oracle_free(o);
    ebb_free(w);
    return loss;
}

/* The gradient of implicit score matching, against five-point differences. */
static void test_second_derivatives(void **state)
{
    (void)state;
    golden y = golden_make(1, 2), bare = golden_make(1, 0);
    double at[5], h = 1e-4, slope = 0;
    for (int k = 0; k < 5; k++)
        at[k] = k == 2 ? implicit_at(&y, 0, &slope) : implicit_at(&bare, (k - 2) * h, NULL);
    double difference = (8 * (at[3] - at[1]) - (at[4] - at[0])) / (12 * h);
    printf("gradient of implicit score matching along a direction: %.12g, by differences %.12g\n", slope, difference);
    assert_true(fabs(slope) > 1e-2 && fabs(slope - difference) <= 1e-6 * fabs(slope));
    golden_free(&y);
    golden_free(&bare);
}

/* ---- as the library computes ---------------------------------------------------------------------------------- */

static void run_plan(golden *y, const char *how)
{
    ebb_plan_options options = {.workers = 1, .fast_conv = net_fast_conv};
    ebb_plan *plan;
    net_ok(ebb_plan_create(net_ctx, y->g, y->values, y->count, &options, &plan));
    for (int i = 0; i < y->params; i++)
        ebb_plan_bind_param(plan, i, y->weight[i]);
    ebb_plan_prepare(plan);
    for (int i = 0; i < y->g->ninputs; i++) {
        const ebb_node *n = ebb_graph_node(y->g, y->g->inputs[i]);
        int64_t count = ebb_shape_count(n->shape);
        memcpy(ebb_plan_input(plan, 0, n->name), tensor(y, "", n->name, n->type == EBB_I32 ? EBB_ST_I32 : EBB_ST_F32, count),
               (size_t)count * 4);
    }
    uint64_t calls = ebb_mem_read().calls;
    ebb_plan_run(plan, 0);
    assert_int_equal(ebb_mem_read().calls, calls);
    check(y, &(results){.plan = plan}, how, 1e-4);
    ebb_plan_free(plan);
}

static void run_in(const char *cpu, const char *backend, int orders)
{
    ebb_context *usual = net_ctx;
    ebb_context_options options = {.size = sizeof options, .cpu = cpu, .backend = backend};
    ebb_status status = ebb_context_create(&options, &net_ctx);
    char how[64];
    snprintf(how, sizeof how, "%s, %s", cpu ? cpu : "best", backend);
    for (int k = 0; status == EBB_OK && k < NETS; k++) {
        golden y = golden_make(k, orders);
        run_plan(&y, how);
        golden_free(&y);
    }
    if (status != EBB_OK && status != EBB_E_UNSUPPORTED)     /* a build without oneDNN */
        fail_msg("%s", ebb_message(net_ctx));
    ebb_context_free(net_ctx);
    net_ctx = usual;
}

static void test_golden_plans(void **state)
{
    (void)state;
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++)
        if (ebb_isa_available((ebb_isa)isa))
            run_in(ebb_isa_name((ebb_isa)isa), "own", 1);
    run_in(NULL, "onednn", 1);
    net_fast_conv = true;
    run_in(NULL, "own", 2);
    net_fast_conv = false;
}

/* ---- filters ------------------------------------------------------------------------------------------------------ */

/* One axis of a filter: place j of the result from `count` numbers that are `stride` apart. */
typedef double (*filter)(const double *x, int64_t count, int64_t stride, int64_t j);

static double at(const double *x, int64_t count, int64_t stride, int64_t i)
{
    return i >= 0 && i < count ? x[i * stride] : 0;
}

static double down(const double *x, int64_t n, int64_t s, int64_t j)
{
    return (at(x, n, s, 2 * j - 1) + 3 * at(x, n, s, 2 * j) + 3 * at(x, n, s, 2 * j + 1) + at(x, n, s, 2 * j + 2)) / 8;
}

static double up(const double *x, int64_t n, int64_t s, int64_t j)
{
    int64_t i = j / 2;
    return (3 * at(x, n, s, i) + at(x, n, s, j % 2 ? i + 1 : i - 1)) / 4;
}

static double blur(const double *x, int64_t n, int64_t s, int64_t j)
{
    return (at(x, n, s, j - 2) + 3 * at(x, n, s, j - 1) + 3 * at(x, n, s, j) + at(x, n, s, j + 1)) / 8;
}

static const struct {
    const char *name;
    ebb_value (*build)(ebb_graph *, ebb_value);
    filter of;
    int numerator, denominator, more;      /* size of the result */
} filters[] = {{"down", ebb_nn_fir_down, down, 1, 2, 0}, {"up", ebb_nn_fir_up, up, 2, 1, 0}, {"blur", ebb_nn_fir_blur, blur, 1, 1, 1}};

/* Picture by picture: rows, then columns, by the formula. Adds the largest difference. */
static double filter_error(int k, ebb_shape s, const double *x, const double *got)
{
    int64_t n = s.dim[0], h = s.dim[1], w = s.dim[2], c = s.dim[3];
    int64_t oh = h * filters[k].numerator / filters[k].denominator + filters[k].more;
    int64_t ow = w * filters[k].numerator / filters[k].denominator + filters[k].more;
    double worst = 0, *rows = net_memory((size_t)(oh * w * c), sizeof *rows);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < oh * w * c; j++)
            rows[j] = filters[k].of(x + i * h * w * c + j % (w * c), h, w * c, j / (w * c));
        for (int64_t j = 0; j < oh * ow * c; j++) {
            double want = filters[k].of(rows + j / (ow * c) * w * c + j % c, w, c, j / c % ow);
            worst = fmax(worst, fabs(want - got[i * oh * ow * c + j]));
        }
    }
    ebb_free(rows);
    return worst;
}

static void fill(double *x, int64_t n, uint64_t seed)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (double)(rule_word(seed, i) >> 11) * 0x1p-52 - 1;
}

/* Sizes, values and the inside of a constant picture; 4 <down x, y> = <x, up y>. */
static void test_filters(void **state)
{
    (void)state;
    static const ebb_shape sizes[] = {{4, {2, 6, 10, 3}}, {4, {1, 2, 2, 1}}, {4, {3, 8, 4, 5}}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ebb_shape s = sizes[i], half = {4, {s.dim[0], s.dim[1] / 2, s.dim[2] / 2, s.dim[3]}};
        int64_t count = ebb_shape_count(s);
        double x[512], y[128], inner = 0, other = 0;
        ebb_graph *g;
        net_ok(ebb_graph_create(net_ctx, &g));
        ebb_value in = ebb_input(g, "x", EBB_F32, s), small = ebb_input(g, "y", EBB_F32, half), out[3];
        for (int k = 0; k < 3; k++)
            out[k] = filters[k].build(g, in);
        ebb_value raised = ebb_nn_fir_up(g, small);
        net_ok(ebb_graph_status(g));
        oracle *o = oracle_create(g);
        fill(x, count, 5);
        fill(y, count / 4, 6);
        oracle_set(o, in, x);
        oracle_set(o, small, y);
        oracle_run(o);
        for (int k = 0; k < 3; k++)
            assert_true(filter_error(k, s, x, oracle_get(o, out[k])) < 1e-14);
        for (int64_t j = 0; j < count / 4; j++)
            inner += 4 * oracle_get(o, out[0])[j] * y[j];
        for (int64_t j = 0; j < count; j++)
            other += oracle_get(o, raised)[j] * x[j];
        assert_true(fabs(inner - other) < 1e-13 * (double)count);
        for (int64_t j = 0; j < count; j++)
            x[j] = 0.75;
        oracle_set(o, in, x);
        oracle_run(o);
        for (int k = 0; k < 3; k++) {
            ebb_shape r = ebb_graph_shape(g, out[k]);
            for (int64_t j = 0; j < ebb_shape_count(r); j++) {
                int64_t row = j / (r.dim[3] * r.dim[2]) % r.dim[1], column = j / r.dim[3] % r.dim[2], edge = k == 2 ? 2 : 1;
                bool inside = row >= edge && row < r.dim[1] - edge && column >= edge && column < r.dim[2] - edge;
                assert_true(oracle_get(o, out[k])[j] <= 0.75 && (!inside || oracle_get(o, out[k])[j] == 0.75));
            }
        }
        oracle_free(o);
        ebb_graph_free(g);
    }
}

/* ---- the output's residual chain ------------------------------------------------------------------------------------ */

enum { UP_H = 3, UP_W = 4, UP_IN = 2, UP_OUT = 3 };

/* score_sde's upsample_conv_2d at one place of the result: zeros between the places of x, the whole 3x3 correlation of that
 * (two zeros around, 2H+1 places), then [1,3,3,1]/4 along both axes with a zero before and behind. */
static double upsample_conv(const double *x, const double *w, int64_t i, int64_t j, int64_t out)
{
    static const double tap[4] = {0.25, 0.75, 0.75, 0.25};
    double sum = 0;
    for (int64_t a = 0; a < 4; a++)
        for (int64_t b = 0; b < 4; b++) {
            int64_t row = i + a - 1, column = j + b - 1;       /* of the 2H+1 by 2W+1 */
            double conv = 0;
            for (int64_t k = 0; k < 9 * UP_IN; k++) {
                int64_t r = row + k / UP_IN / 3 - 2, c = column + k / UP_IN % 3 - 2;
                bool there = r >= 0 && c >= 0 && r % 2 == 0 && c % 2 == 0 && r / 2 < UP_H && c / 2 < UP_W;
                conv += there ? x[(r / 2 * UP_W + c / 2) * UP_IN + k % UP_IN] * w[k * UP_OUT + out] : 0;
            }
            bool inside = row >= 0 && column >= 0 && row <= 2 * UP_H && column <= 2 * UP_W;
            sum += inside ? tap[a] * tap[b] * conv : 0;
        }
    return sum;
}

/* The filter first, one place beyond the picture, and the convolution without padding: the same, at the edges too. */
static void test_doubling(void **state)
{
    (void)state;
    double x[UP_H * UP_W * UP_IN], w[9 * UP_IN * UP_OUT], b[UP_OUT] = {0.5, -0.25, 0};
    ebb_graph *g;
    net_ok(ebb_graph_create(net_ctx, &g));
    ebb_value in = ebb_input(g, "x", EBB_F32, EBB_SHAPE(1, UP_H, UP_W, UP_IN));
    ebb_value y = ebb_nn_conv_to(g, "up", ebb_nn_fir_up_wide(g, in), UP_OUT, 3, 1, 0, 2 * UP_H, 2 * UP_W, 1);
    net_ok(ebb_graph_status(g));
    oracle *o = oracle_create(g);
    fill(x, UP_H * UP_W * UP_IN, 8);
    fill(w, 9 * UP_IN * UP_OUT, 9);
    oracle_set(o, in, x);
    oracle_set(o, g->params[0], w);
    oracle_set(o, g->params[1], b);
    oracle_run(o);
    for (int64_t k = 0; k < 4 * UP_H * UP_W * UP_OUT; k++) {
        double want = upsample_conv(x, w, k / UP_OUT / (2 * UP_W), k / UP_OUT % (2 * UP_W), k % UP_OUT) + b[k % UP_OUT];
        assert_true(fabs(oracle_get(o, y)[k] - want) < 1e-13);
    }
    oracle_free(o);
    ebb_graph_free(g);
}

static const ebb_node *param(const ebb_graph *g, const char *name)
{
    for (int i = 0; i < g->nparams; i++)
        if (strcmp(ebb_graph_node(g, g->params[i])->name, name) == 0)
            return ebb_graph_node(g, g->params[i]);
    return NULL;
}

/* The chain of score_sde's ncsnpp.py: norm and convolution at the deepest level, a convolution from the width below to each
 * other one's, and the last link is what conv_out reads. */
static void test_output_residual(void **state)
{
    (void)state;
    static const struct { const char *name; ebb_shape shape; } want[] = {
        {"up_blocks.0.skip_norm.weight", {1, {24}}},           {"up_blocks.0.skip_conv.weight", {4, {3, 3, 24, 24}}},
        {"up_blocks.1.skip_conv.weight", {4, {3, 3, 24, 16}}}, {"up_blocks.2.skip_conv.weight", {4, {3, 3, 16, 8}}},
    };
    ebb_network net = nets[1].net;
    ebb_value f;
    net.u.unet.mult[0] = 1, net.u.unet.mult[1] = 2, net.u.unet.mult[2] = 3;
    ebb_graph *without = net_graph(&net, 1, &f);
    net.u.unet.output = EBB_PYRAMID_RESIDUAL;
    ebb_graph *g = net_graph(&net, 1, &f);
    net_ok(ebb_graph_status(g));
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_true(param(g, want[i].name) != NULL && ebb_shape_equal(param(g, want[i].name)->shape, want[i].shape));
    assert_int_equal(g->nparams, without->nparams + 8);
    ebb_graph_free(without);
    ebb_graph_free(g);
}

/* ---- what cannot be built ------------------------------------------------------------------------------------------- */

static void refused(const ebb_network *net, const char *says)
{
    ebb_value f;
    ebb_graph *g = net_graph(net, 1, &f);
    assert_int_equal(ebb_graph_status(g), EBB_E_SHAPE);
    assert_int_equal(f, EBB_NONE);
    if (strstr(ebb_message(net_ctx), says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", ebb_message(net_ctx), says);
    ebb_graph_free(g);
}

static void test_messages(void **state)
{
    (void)state;
    ebb_network net = nets[1].net;
    net.u.unet.size_h = 8;
    net.u.unet.size_w = 14;
    refused(&net, "level 1 is 4x7 and cannot be halved; height and width must be multiples of 4 (nearest: 8x16)");
    net = nets[1].net;
    net.u.unet.base = 10;        /* 10/4 = 2 groups, 20/4 = 5, but 10 + 20 beside each other 7 */
    refused(&net, "30 channels do not split into 7 groups");
    ebb_graph *g;
    net_ok(ebb_graph_create(net_ctx, &g));
    assert_int_equal(ebb_nn_fir_down(g, ebb_input(g, "x", EBB_F32, EBB_SHAPE(1, 4, 5, 2))), EBB_NONE);
    assert_int_equal(ebb_graph_status(g), EBB_E_SHAPE);
    assert_non_null(strstr(ebb_message(net_ctx), "4x5 cannot be halved"));
    ebb_graph_free(g);
}

int main(void)
{
    if (ebb_context_create(NULL, &net_ctx) != EBB_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_double), cmocka_unit_test(test_second_derivatives), cmocka_unit_test(test_golden_plans),
        cmocka_unit_test(test_filters),       cmocka_unit_test(test_messages),
        cmocka_unit_test(test_doubling),      cmocka_unit_test(test_output_residual),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(net_ctx);
    return failed;
}
