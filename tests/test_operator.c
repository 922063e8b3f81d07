/* test_operator.c: measurements against their definitions: adjoints, singular vectors, pseudo-inverses, blur and means by hand;
 * masks by rules.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/operator.h"
#include "sample/mask.h"
#include "support/laws.h"
#include "support/temporary.h"

enum { H = 8, W = 12, C = 3, N = H * W * C };

typedef struct one { const char *name; ebb_operator_kind kind; double blur; bool whole; } one;
/* whole: no singular value is too small to be divided by. */
static const one cases[] = {
    {"inpaint", EBB_OPERATOR_INPAINT, 0, true},      {"colorize", EBB_OPERATOR_COLORIZE, 0, true},
    {"super-resolution", EBB_OPERATOR_SUPER, 0, true}, {"deblur a little", EBB_OPERATOR_DEBLUR, 0.6, true},
    {"deblur", EBB_OPERATOR_DEBLUR, 1.5, false},     {"deblur beyond the edges", EBB_OPERATOR_DEBLUR, 6, false},
    {"denoise", EBB_OPERATOR_DENOISE, 0, true},      {"matrix", EBB_OPERATORS, 0, true},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void fill(uint32_t sample, int64_t n, double *x)
{
    ebb_rng_at at = {.seed = 5, .stream = EBB_STREAM_TEST, .sample = sample};
    for (int64_t i = 0; i < n; i++)
        x[i] = 2 * ebb_rng_uniform(&at, (uint32_t)i) - 1;
}

static ebb_operator make(const one *c)
{
    ebb_operator op;
    uint8_t mask[H * W];
    double matrix[3 * 7];
    for (int i = 0; i < H * W; i++)
        mask[i] = i % 5 == 0 || i > 60;
    fill(9, 21, matrix);
    for (int i = 0; i < 7; i++)          /* two rows of three tell the same */
        matrix[14 + i] = 2 * matrix[i];
    ebb_operator_options o = {.height = H, .width = W, .channels = C, .mask = mask, .blur = c->blur};
    if (c->kind == EBB_OPERATORS)
        law_ok(ebb_operator_matrix(law_ctx, 3, 7, matrix, &op));
    else
        law_ok(ebb_operator_create(law_ctx, c->kind, &o, &op));
    return op;
}

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void same(const char *name, const char *what, int64_t n, const double *got, const double *want)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= 1e-12))
            fail_msg("%s: %s: number %lld is %.15g, expected %.15g", name, what, (long long)i, got[i], want[i]);
}

/* Every task of the list has a case. */
static void test_all_are_tested(void **state)
{
    (void)state;
    for (int k = 0; k < EBB_OPERATORS; k++) {
        bool seen = false;
        for (int c = 0; c < CASES; c++)
            seen = seen || (int)cases[c].kind == k;
        assert_true(seen);
        assert_true(ebb_operator_find(ebb_operator_name((ebb_operator_kind)k)) == (ebb_operator_kind)k);
    }
}

static void test_adjoint(void **state)
{
    (void)state;
    double x[N], y[N], hx[N], hy[N];
    for (int c = 0; c < CASES; c++) {
        ebb_operator op = make(&cases[c]);
        fill(1, op.count, x);
        fill(2, op.rows, y);
        op.apply(&op, x, hx);
        op.adjoint(&op, y, hy);
        law_near(cases[c].name, dot(op.rows, hx, y), dot(op.count, x, hy), 1e-12);
        ebb_operator_free(&op);
    }
}

/* V'V = I and H'H = V S^2 V', where no singular value is left out. */
static void test_singular_vectors(void **state)
{
    (void)state;
    double x[N], y[N], hhx[N], c[N];
    for (int k = 0; k < CASES; k++) {
        ebb_operator op = make(&cases[k]);
        fill(3, op.count, x);
        memcpy(c, x, sizeof c);
        op.turn(&op, false, c);
        law_near(cases[k].name, dot(op.count, c, c), dot(op.count, x, x), 1e-11);
        for (int64_t i = 0; i < op.count; i++)
            c[i] *= op.singular[i] * op.singular[i];
        op.turn(&op, true, c);
        op.apply(&op, x, y);
        op.adjoint(&op, y, hhx);
        double off = 0;
        for (int64_t i = 0; i < op.count; i++)
            off = fmax(off, fabs(c[i] - hhx[i]));
        /* What is left out is at most 3e-2 of the largest, squared. */
        if (!(off <= (cases[k].whole ? 1e-12 : 9e-4 * sqrt((double)op.count))))
            fail_msg("%s: H'H and V S^2 V' differ by %g", cases[k].name, off);
        memcpy(c, x, sizeof c);
        op.turn(&op, false, c);
        op.turn(&op, true, c);
        same(cases[k].name, "V V'", op.count, c, x);
        ebb_operator_free(&op);
    }
}

/* H^+ H H^+ = H^+ always; H H^+ H = H where nothing is left out; H^+ H is a symmetric projection. */
static void test_pseudo_inverse(void **state)
{
    (void)state;
    double x[N], z[N], y[N], again[N], back[N], twice[N], other[N];
    for (int k = 0; k < CASES; k++) {
        ebb_operator op = make(&cases[k]);
        fill(4, op.count, x);
        fill(5, op.count, z);
        op.apply(&op, x, y);
        ebb_operator_pseudo(&op, y, back);
        op.apply(&op, back, again);
        if (cases[k].whole)
            same(cases[k].name, "H H^+ H", op.rows, again, y);
        ebb_operator_pseudo(&op, again, twice);
        same(cases[k].name, "H^+ H H^+", op.count, twice, back);
        op.apply(&op, z, y);
        ebb_operator_pseudo(&op, y, other);
        law_near(cases[k].name, dot(op.count, back, z), dot(op.count, x, other), 1e-11);
        ebb_operator_free(&op);
    }
}

/* ---- by hand ------------------------------------------------------------------------------------------------------------------ */

/* A far end of the kernel may be beyond both edges: it comes back as often as needed. */
static int reflected(int i, int n)
{
    while (i < 0 || i >= n)
        i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
}

static void test_blur(void **state)
{
    (void)state;
    static const double widths[] = {0.6, 1.5, 6};
    double x[N], y[N];
    fill(6, N, x);
    for (int b = 0; b < 3; b++) {
        double sd = widths[b], sum = 0;
        int reach = (int)ceil(4 * sd);
        ebb_operator op = make(&(one){"", EBB_OPERATOR_DEBLUR, sd, true});
        op.apply(&op, x, y);
        for (int j = -reach; j <= reach; j++)
            sum += exp(-0.5 * j * j / (sd * sd));
        for (int i = 0; i < N; i++) {
            double want = 0;
            for (int u = -reach; u <= reach; u++)
                for (int v = -reach; v <= reach; v++)
                    want += exp(-0.5 * (u * u + v * v) / (sd * sd)) / (sum * sum) *
                            x[(reflected(i / C / W + u, H) * W + reflected(i / C % W + v, W)) * C + i % C];
            law_near("blurred", y[i], want, 1e-12);
        }
        ebb_operator_free(&op);
    }
}

static void test_means_and_grey(void **state)
{
    (void)state;
    double x[N], y[N];
    fill(7, N, x);
    ebb_operator op = make(&cases[2]);
    op.apply(&op, x, y);
    assert_int_equal(op.rows, N / 16);
    assert_int_equal(op.shape[1], W / 4);
    for (int64_t j = 0; j < op.rows; j++) {
        double want = 0;
        for (int i = 0; i < 16; i++)
            want += x[((4 * (j / C / (W / 4)) + i / 4) * W + 4 * (j / C % (W / 4)) + i % 4) * C + j % C] / 16;
        law_near("mean of a block", y[j], want, 1e-14);
    }
    ebb_operator_free(&op);
    op = make(&cases[1]);
    op.apply(&op, x, y);
    for (int64_t p = 0; p < H * W; p++)
        law_near("grey", y[p], (x[3 * p] + x[3 * p + 1] + x[3 * p + 2]) / 3, 1e-15);
    ebb_operator_free(&op);
}

/* Known numbers come back to the bit; a picture of the measurement is read where the mask is. */
static void test_mask(void **state)
{
    (void)state;
    double x[N], y[N], c[N], read[N];
    ebb_operator op = make(&cases[0]);
    fill(8, N, x);
    op.apply(&op, x, y);
    ebb_operator_seen(&op, y, c);
    ebb_operator_read(&op, x, read);
    assert_memory_equal(y, read, (size_t)op.rows * sizeof *y);
    for (int i = 0; i < N; i++)
        assert_true(c[i] == (i / C % 5 == 0 || i / C > 60 ? x[i] : 0));
    ebb_operator_free(&op);
}

static void test_refuses(void **state)
{
    (void)state;
    uint8_t none[H * W] = {0};
    ebb_operator op;
    static const struct { ebb_operator_kind kind; ebb_operator_options o; const char *says; } all[] = {
        {EBB_OPERATOR_INPAINT, {.height = H, .width = W, .channels = 1}, "mask"},
        {EBB_OPERATOR_COLORIZE, {.height = H, .width = W, .channels = 1}, "1 channels"},
        {EBB_OPERATOR_SUPER, {.height = H, .width = W, .channels = 1, .block_height = 3, .block_width = 4}, "3 x 4"},
        {EBB_OPERATOR_DEBLUR, {.height = H, .width = W, .channels = 1, .blur = -1}, "-1"},
        {EBB_OPERATOR_DEBLUR, {.height = H, .width = W, .channels = 1, .blur = NAN}, "nan"},
        {EBB_OPERATOR_DENOISE, {.height = 0, .width = W, .channels = 1}, "0 x 12"},
        {EBB_OPERATOR_DENOISE, {.height = 5000, .width = W, .channels = 1}, "4096"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(ebb_operator_create(law_ctx, all[i].kind, &all[i].o, &op), EBB_E_ARGUMENT);
        if (strstr(ebb_message(law_ctx), all[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", ebb_message(law_ctx), all[i].says);
    }
    ebb_operator_options o = {.height = H, .width = W, .channels = 1, .mask = none};
    assert_int_equal(ebb_operator_create(law_ctx, EBB_OPERATOR_INPAINT, &o, &op), EBB_E_ARGUMENT);
    assert_int_equal(ebb_operator_matrix(law_ctx, 3, 2, (double[6]){1}, &op), EBB_E_ARGUMENT);
}

/* ---- masks ---------------------------------------------------------------------------------------------------------------------- */

static int known(const char *rule, uint8_t *mask)
{
    int sum = 0;
    law_ok(ebb_mask_read(law_ctx, rule, 6, 9, 3, mask));
    for (int i = 0; i < 54; i++)
        sum += mask[i];
    return sum;
}

static void test_rules(void **state)
{
    (void)state;
    uint8_t mask[54], other[54];
    assert_int_equal(known("box:2x3", mask), 48);
    assert_int_equal(mask[2 * 9 + 3] + mask[3 * 9 + 5], 0);
    assert_int_equal(known("outside:2x3", other), 6);
    for (int i = 0; i < 54; i++)
        assert_int_equal(mask[i] + other[i], 1);
    assert_int_equal(known("half:left", mask), 30);
    assert_int_equal(mask[3] + !mask[4], 0);
    assert_int_equal(known("half:right", mask), 30);
    assert_int_equal(mask[5] + !mask[4], 0);
    assert_int_equal(known("half:top", mask), 27);
    assert_int_equal(mask[26] + !mask[27], 0);
    assert_int_equal(known("half:bottom", mask), 27);
    assert_int_equal(mask[27] + !mask[26], 0);
    int some = known("random:0.3", mask);
    assert_true(some > 25 && some < 50);
    known("random:0.3", other);
    assert_memory_equal(mask, other, sizeof mask);
    law_ok(ebb_mask_read(law_ctx, "random:0.3", 6, 9, 4, other));
    assert_memory_not_equal(mask, other, sizeof mask);
    static const char *const bad[] = {"box", "box:7x3", "box:2x3x", "half:up", "random:1.5", "random:", "outside:0x3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ebb_mask_read(law_ctx, bad[i], 6, 9, 3, mask), EBB_E_ARGUMENT);
    assert_int_equal(ebb_mask_read(law_ctx, "bux:2x2", 6, 9, 3, mask), EBB_E_USAGE);
    assert_non_null(strstr(ebb_message(law_ctx), "did you mean 'box'"));
    assert_int_equal(ebb_mask_read(law_ctx, "no/such.png", 6, 9, 3, mask), EBB_E_IO);
}

/* A smaller picture is one from before padding: the frame around it is known. */
static void test_picture_of_a_mask(void **state)
{
    (void)state;
    uint8_t picture[4 * 5] = {0}, mask[54];
    temporary_folder folder;
    char path[300];
    picture[0] = 255;
    assert_true(temporary_make(folder, "mask"));
    snprintf(path, sizeof path, "%s/mask.png", folder);
    law_ok(ebb_picture_write(law_ctx, path, picture, 4, 5, 1));
    assert_int_equal(known(path, mask), 54 - 19);
    assert_int_equal(mask[9 + 2], 1);
    assert_int_equal(mask[9 + 3], 0);
    assert_int_equal(ebb_mask_read(law_ctx, path, 3, 9, 0, mask), EBB_E_SHAPE);
    assert_true(temporary_remove(folder));
}

/* Numbers beyond [-1,1] come back into it, H x stays, and what lay in it already keeps its bits. */
static void test_fit(void **state)
{
    (void)state;
    int fitted = 0;
    for (int k = 0; k < CASES; k++) {
        ebb_operator op = make(&cases[k]);
        if (op.fit != NULL) {
            double x[H * W * C], was[H * W * C], y[H * W * C], again[H * W * C];
            int beyond = 0;
            fill(3, op.count, x);
            memcpy(was, x, sizeof x);
            op.fit(&op, x);
            assert_memory_equal(x, was, (size_t)op.count * sizeof *x);
            /* 1.8 times as wide, around means that are less than 1. */
            op.apply(&op, x, y);
            ebb_operator_pseudo(&op, y, was);
            for (int64_t i = 0; i < op.count; i++) {
                x[i] = 1.8 * x[i] - was[i];
                beyond += fabs(x[i]) > 1;
            }
            op.apply(&op, x, y);
            op.fit(&op, x);
            op.apply(&op, x, again);
            for (int64_t j = 0; j < op.rows; j++)
                assert_true(fabs(again[j] - y[j]) < 1e-14);
            for (int64_t i = 0; i < op.count; i++)
                assert_true(fabs(x[i]) < 1 + 1e-14);
            assert_true(beyond > op.count / 8);
            fitted++;
        }
        ebb_operator_free(&op);
    }
    assert_true(fitted >= 2);
    assert_true(ebb_operator_room_around(0.5, -3, 0.7) == 1.5 / 3.5 && ebb_operator_room_around(0, -1, 1) == 1);
    assert_true(ebb_operator_room_around(1.1, -3, 4) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_tested),   cmocka_unit_test(test_adjoint),
        cmocka_unit_test(test_singular_vectors), cmocka_unit_test(test_pseudo_inverse),
        cmocka_unit_test(test_blur),             cmocka_unit_test(test_means_and_grey),
        cmocka_unit_test(test_mask),             cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_rules),            cmocka_unit_test(test_picture_of_a_mask),
        cmocka_unit_test(test_fit),
    };
    return cmocka_run_group_tests(tests, laws_begin, laws_end);
}
