/* test_onednn.c: the oneDNN back end against plain loops in double precision, its bits against thread
 * counts and repetition, its memory against its word, and what happens when oneDNN refuses a run.
 */
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"

enum { WORKERS = 4, ITEMS = 9, CANARY = 64 };
#define TOLERANCE 1e-5   /* of the largest number of the result */

static ebb_context context = {.threads = 1};
static ebb_context *ctx = &context;

/* The library's calls come here first, so that a refusal can be staged. */
static int refusal;
int dnnl_primitive_execute(const void *primitive, void *stream, int n, const void *args);
int dnnl_primitive_execute(const void *primitive, void *stream, int n, const void *args)
{
    int (*real)(const void *, void *, int, const void *);
    *(void **)&real = dlsym(RTLD_NEXT, "dnnl_primitive_execute");
    return refusal ? refusal : real(primitive, stream, n, args);
}

static int tear_down(void **state)
{
    (void)state;
    refusal = 0;
    return ebb_mem_read().bytes != 0;
}

static void *numbers(size_t count)
{
    void *p;
    assert_int_equal(ebb_alloc(ctx, &p, count, sizeof(float), "test"), EBB_OK);
    return p;
}

static size_t count_of(const ebb_task *t, int tensor)
{
    return (size_t)ebb_shape_count(tensor < 2 ? t->in_shape[tensor] : t->out_shape[0]);
}

/* ---- references --------------------------------------------------------------------------------- */
typedef struct conv_case {
    int n, h, w, ci, co, kh, kw, stride, top, left, oh, ow;
} conv_case;

/* One loop for the three: z += a * b for each (x, w, y) position that meets. */
static void conv_reference(const ebb_task *t, const conv_case *c, const float *a, const float *b, double *z)
{
    memset(z, 0, count_of(t, 2) * sizeof *z);
    for (int n = 0; n < c->n; n++)
        for (int i = 0; i < c->oh; i++)
            for (int j = 0; j < c->ow; j++)
                for (int p = 0; p < c->kh; p++)
                    for (int q = 0; q < c->kw; q++) {
                        int row = i * c->stride + p - c->top, column = j * c->stride + q - c->left;
                        if (row < 0 || row >= c->h || column < 0 || column >= c->w)
                            continue;
                        size_t x = (((size_t)n * c->h + row) * c->w + column) * c->ci;
                        size_t y = (((size_t)n * c->oh + i) * c->ow + j) * c->co;
                        for (int k = 0; k < c->ci; k++)
                            for (int o = 0; o < c->co; o++) {
                                size_t w = (((size_t)p * c->kw + q) * c->ci + k) * c->co + o;
                                if (t->op == EBB_OP_conv)
                                    z[y + o] += (double)a[x + k] * b[w];
                                else if (t->op == EBB_OP_conv_dx)
                                    z[x + k] += (double)a[y + o] * b[w];
                                else
                                    z[w] += (double)a[x + k] * b[y + o];
                            }
                    }
}

typedef struct matmul_case {
    int batch, heads, m, n, k;
    bool ta, tb;
} matmul_case;

static void matmul_reference(const matmul_case *c, const float *a, const float *b, double *z)
{
    size_t m = c->m, n = c->n, k = c->k;
    for (int s = 0; s < c->batch * c->heads; s++, a += m * k, b += k * n, z += m * n)
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t l = 0; l < k; l++)
                    sum += (double)a[c->ta ? l * m + i : i * k + l] * b[c->tb ? j * k + l : l * n + j];
                z[i * n + j] = sum;
            }
}

/* ---- running one step on many items --------------------------------------------------------------- */
typedef struct rig {
    ebb_executor e;
    float *in[ITEMS][2], *out[ITEMS];
    char *scratch[WORKERS];
} rig;

static void fill(float *p, size_t count, uint32_t item, uint32_t which)
{
    ebb_rng_at at = {.seed = 7, .stream = EBB_STREAM_TEST, .step = item, .sample = which};
    for (size_t i = 0; i < count; i++)
        p[i] = (float)(2 * ebb_rng_uniform(&at, (uint32_t)i) - 1);
}

static void set_up(rig *r, const ebb_task *task)
{
    *r = (rig){.e.task = *task};
    assert_int_equal(ebb_backend_onednn.prepare(ctx, &r->e, WORKERS), EBB_OK);
    assert_true(r->e.implementation[0]);
    for (int i = 0; i < ITEMS; i++) {
        for (int k = 0; k < 2; k++) {
            r->in[i][k] = numbers(count_of(task, k));
            fill(r->in[i][k], count_of(task, k), (uint32_t)i, (uint32_t)k);
        }
        r->out[i] = numbers(count_of(task, 2));
    }
    for (int w = 0; w < WORKERS; w++)
        r->scratch[w] = numbers((r->e.scratch_bytes + CANARY) / sizeof(float) + 1);
}

static void close_down(rig *r)
{
    ebb_backend_onednn.release(&r->e);
    for (int i = 0; i < ITEMS; i++) {
        ebb_free(r->in[i][0]);
        ebb_free(r->in[i][1]);
        ebb_free(r->out[i]);
    }
    for (int w = 0; w < WORKERS; w++)
        ebb_free(r->scratch[w]);
}

static void run_item(void *arg, int64_t item, int worker)
{
    rig *r = arg;
    ebb_step_args args = {.in = {r->in[item][0], r->in[item][1]}, .out = {r->out[item]},
                          .scratch = r->scratch[worker], .worker = worker};
    r->e.run(&r->e, &args);
}

/* Scratch and results start as NaN: whoever reads before writing is found out. */
static void run(rig *r, int threads)
{
    for (int w = 0; w < WORKERS; w++)
        memset(r->scratch[w], 0xff, r->e.scratch_bytes + CANARY);
    for (int i = 0; i < ITEMS; i++)
        memset(r->out[i], 0xff, count_of(&r->e.task, 2) * sizeof(float));
    ebb_par_for(threads, ITEMS, run_item, r);
    for (int w = 0; w < WORKERS; w++)
        for (int i = 0; i < CANARY; i++)
            assert_int_equal((unsigned char)r->scratch[w][r->e.scratch_bytes + i], 0xff);
}

static void same_bits(rig *r)
{
    size_t bytes = count_of(&r->e.task, 2) * sizeof(float);
    char *first = numbers(ITEMS * bytes / sizeof(float));
    run(r, 1);
    for (int i = 0; i < ITEMS; i++)
        memcpy(first + i * bytes, r->out[i], bytes);
    for (int threads = 1; threads <= WORKERS; threads++) {
        run(r, threads);
        for (int i = 0; i < ITEMS; i++)
            assert_memory_equal(first + i * bytes, r->out[i], bytes);
    }
    ebb_free(first);
}

static void close_to(const rig *r, int item, const double *want, const char *text)
{
    size_t n = count_of(&r->e.task, 2);
    double largest = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs(r->out[item][i] - want[i]);
        largest = fmax(largest, fabs(want[i]));
        error = d <= error ? error : d;   /* a NaN stays */
    }
    if (!(error <= TOLERANCE * largest))
        fail_msg("%s %s by %s: item %d is off by %g of %g", ebb_op_name(r->e.task.op), text,
                 r->e.implementation, item, error, largest);
}

static double *reference_room(const ebb_task *task)
{
    return numbers(2 * count_of(task, 2));
}

/* ---- convolutions ---------------------------------------------------------------------------------- */
static ebb_task conv_task(ebb_op op, const conv_case *c)
{
    ebb_shape x = EBB_SHAPE(c->n, c->h, c->w, c->ci), w = EBB_SHAPE(c->kh, c->kw, c->ci, c->co);
    ebb_shape y = EBB_SHAPE(c->n, c->oh, c->ow, c->co);
    ebb_task t = {.op = op, .nin = 2, .nout = 1};
    t.attr = (ebb_attr){.stride = c->stride, .pad_top = c->top, .pad_left = c->left};
    t.in_shape[0] = op == EBB_OP_conv_dx ? y : x;
    t.in_shape[1] = op == EBB_OP_conv_dw ? y : w;
    t.out_shape[0] = op == EBB_OP_conv ? y : op == EBB_OP_conv_dx ? x : w;
    return t;
}

static const conv_case conv_cases[] = {
    /* n  h   w   ci  co  kh kw s  top left oh ow */
    {2, 8, 8, 32, 32, 3, 3, 1, 1, 1, 8, 8},      /* 3x3 of U-Nets */
    {8, 4, 4, 64, 48, 3, 3, 1, 1, 1, 4, 4},
    {1, 16, 16, 40, 24, 3, 3, 1, 1, 1, 16, 16},  /* channels that fill no vector */
    {2, 9, 7, 1, 16, 3, 3, 1, 1, 1, 9, 7},       /* one channel in, odd sizes */
    {2, 9, 7, 16, 1, 3, 3, 1, 1, 1, 9, 7},       /* one channel out */
    {2, 8, 10, 3, 17, 3, 3, 1, 1, 1, 8, 10},     /* three channels */
    {2, 8, 10, 17, 3, 3, 3, 1, 1, 1, 8, 10},
    {1, 7, 7, 1, 1, 3, 3, 1, 1, 1, 7, 7},
    {2, 8, 8, 32, 32, 3, 3, 2, 1, 1, 4, 4},      /* stride 2 */
    {2, 9, 7, 3, 8, 3, 3, 2, 1, 1, 5, 4},
    {2, 8, 8, 16, 16, 3, 3, 2, 0, 0, 4, 4},      /* zeros only below and to the right */
    {2, 8, 8, 24, 32, 1, 1, 1, 0, 0, 8, 8},      /* 1x1 */
    {3, 5, 7, 3, 5, 1, 1, 1, 0, 0, 5, 7},
    {2, 8, 8, 8, 16, 1, 1, 2, 0, 0, 4, 4},       /* the last row and column never read */
    {2, 8, 8, 16, 16, 3, 3, 1, 0, 0, 6, 6},      /* no padding */
    {2, 8, 8, 16, 16, 3, 3, 1, 2, 2, 10, 10},    /* full padding */
    {2, 8, 6, 4, 8, 3, 1, 1, 1, 0, 8, 6},        /* kernel not square */
    {2, 8, 8, 6, 8, 5, 5, 1, 2, 2, 8, 8},
    {2, 8, 8, 6, 8, 2, 2, 2, 0, 0, 4, 4},        /* even kernel */
    {3, 1, 1, 16, 16, 3, 3, 1, 1, 1, 1, 1},      /* one pixel */
};

static void check_conv(ebb_op op, const conv_case *c)
{
    char text[96];
    rig r;
    ebb_task task = conv_task(op, c);
    snprintf(text, sizeof text, "%dx%dx%dx%d to %d, kernel %dx%d, stride %d", c->n, c->h, c->w, c->ci, c->co,
             c->kh, c->kw, c->stride);
    if (!ebb_backend_onednn.supports(ctx, &task))
        fail_msg("%s %s: not supported", ebb_op_name(op), text);
    double *want = reference_room(&task);
    set_up(&r, &task);
    same_bits(&r);
    for (int i = 0; i < ITEMS; i += ITEMS - 1) {
        conv_reference(&task, c, r.in[i][0], r.in[i][1], want);
        close_to(&r, i, want, text);
    }
    assert_int_equal(ebb_backend_onednn.check(ctx, &r.e), EBB_OK);
    close_down(&r);
    ebb_free(want);
}

static void test_conv(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++)
        check_conv(EBB_OP_conv, &conv_cases[i]);
}

static void test_conv_dx(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++)
        check_conv(EBB_OP_conv_dx, &conv_cases[i]);
}

static void test_conv_dw(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conv_cases / sizeof *conv_cases; i++)
        check_conv(EBB_OP_conv_dw, &conv_cases[i]);
}

/* ---- matrix products --------------------------------------------------------------------------------- */
static ebb_task matmul_task(const matmul_case *c)
{
    int64_t a[2] = {c->m, c->k}, b[2] = {c->k, c->n};
    ebb_task t = {.op = EBB_OP_matmul, .nin = 2, .nout = 1, .attr = {.ta = c->ta, .tb = c->tb}};
    t.in_shape[0] = EBB_SHAPE(c->batch, c->heads, a[c->ta], a[!c->ta]);
    t.in_shape[1] = EBB_SHAPE(c->batch, c->heads, b[c->tb], b[!c->tb]);
    t.out_shape[0] = EBB_SHAPE(c->batch, c->heads, c->m, c->n);
    if (c->batch * c->heads == 1) {
        t.in_shape[0] = EBB_SHAPE(a[c->ta], a[!c->ta]);
        t.in_shape[1] = EBB_SHAPE(b[c->tb], b[!c->tb]);
        t.out_shape[0] = EBB_SHAPE(c->m, c->n);
    }
    return t;
}

static void check_matmul(const matmul_case *c)
{
    char text[96];
    rig r;
    ebb_task task = matmul_task(c);
    snprintf(text, sizeof text, "%dx%d of %dx%dx%d, ta %d, tb %d", c->batch, c->heads, c->m, c->k,
             c->n, c->ta, c->tb);
    if (!ebb_backend_onednn.supports(ctx, &task))
        fail_msg("matmul %s: not supported", text);
    double *want = reference_room(&task);
    set_up(&r, &task);
    same_bits(&r);
    for (int i = 0; i < ITEMS; i += ITEMS - 1) {
        matmul_reference(c, r.in[i][0], r.in[i][1], want);
        close_to(&r, i, want, text);
    }
    assert_int_equal(ebb_backend_onednn.check(ctx, &r.e), EBB_OK);
    close_down(&r);
    ebb_free(want);
}

static void test_matmul(void **state)
{
    (void)state;
    static const int sizes[][5] = {
        /* batch heads m n k */
        {1, 1, 64, 48, 32}, {1, 1, 7, 5, 3}, {1, 1, 1, 33, 65}, {1, 1, 33, 1, 17}, {1, 1, 9, 9, 1},
        {3, 1, 64, 64, 40}, {2, 3, 17, 13, 11}, {2, 2, 1, 1, 5}, {1, 4, 31, 16, 64},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int t = 0; t < 4; t++) {
            const int *s = sizes[i];
            check_matmul(&(matmul_case){s[0], s[1], s[2], s[3], s[4], t & 1, t >> 1});
        }
}

/* ---- refusals ------------------------------------------------------------------------------------------ */
static void test_unsupported(void **state)
{
    (void)state;
    ebb_task good = conv_task(EBB_OP_conv, &conv_cases[0]), t = good;
    assert_true(ebb_backend_onednn.supports(ctx, &t));
    t.in_type[1] = EBB_BF16;
    assert_false(ebb_backend_onednn.supports(ctx, &t));
    t = good;
    t.op = EBB_OP_add;
    assert_false(ebb_backend_onednn.supports(ctx, &t));
    const conv_case cut = {2, 8, 8, 8, 8, 3, 3, 1, 1, 1, 4, 4};   /* ends before the picture does */
    t = conv_task(EBB_OP_conv, &cut);
    assert_false(ebb_backend_onednn.supports(ctx, &t));

    ebb_executor e = {.task = t};
    assert_int_equal(ebb_backend_onednn.prepare(ctx, &e, 1), EBB_E_UNSUPPORTED);
    assert_non_null(strstr(ctx->message, "EBB_BACKEND=own"));
    assert_null(e.state);
}

static void test_refused_run(void **state)
{
    (void)state;
    rig r;
    ebb_task task = conv_task(EBB_OP_conv_dw, &conv_cases[0]);
    set_up(&r, &task);
    run(&r, 2);
    assert_int_equal(ebb_backend_onednn.check(ctx, &r.e), EBB_OK);
    refusal = 1;
    run_item(&r, 0, 0);
    refusal = 0;
    for (size_t i = 0; i < count_of(&task, 2); i++)
        assert_true(isnan(r.out[0][i]));
    run(&r, 2);   /* a later success does not hide it */
    assert_int_equal(ebb_backend_onednn.check(ctx, &r.e), EBB_E_INTERNAL);
    assert_non_null(strstr(ctx->message, "conv_dw"));
    close_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_conv, tear_down),
        cmocka_unit_test_teardown(test_conv_dx, tear_down),
        cmocka_unit_test_teardown(test_conv_dw, tear_down),
        cmocka_unit_test_teardown(test_matmul, tear_down),
        cmocka_unit_test_teardown(test_unsupported, tear_down),
        cmocka_unit_test_teardown(test_refused_run, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
