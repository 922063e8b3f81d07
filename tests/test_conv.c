/* test_conv.c: matrix product and convolutions against the definition in double precision.
 *
 * An fma chain of K terms in f32 is within gamma_K * sum |x||w| of the exact sum, gamma_K = K u /
 * (1 - K u), u = 2^-24 (Higham 2002, section 3.1): the bound of every comparison here. The chain's order
 * and the bits of each ISA are kcheck's business.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simd.h"

static uint32_t state = 1;

static float uniform(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)((int32_t)(state >> 8) - (1 << 23)) / (1 << 23);
}

static float *random_floats(size_t n)
{
    float *p = malloc((n ? n : 1) * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = uniform();
    return p;
}

static double gamma_k(double k)
{
    double u = ldexp(1, -24);
    return k * u / (1 - k * u);
}

/* A sum and the sum of its terms' sizes. */
typedef struct exact {
    double sum, size;
    int terms;
} exact;

static exact *exacts(size_t n)
{
    exact *p = calloc(n + 1, sizeof *p);
    assert_non_null(p);
    return p;
}

static void term(exact *e, double a, double b)
{
    e->sum += a * b;
    e->size += fabs(a * b);
    e->terms++;
}

static void check(const char *what, const float *got, const exact *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double error = fabs(got[i] - want[i].sum), bound = gamma_k(want[i].terms) * want[i].size;
        if (!(error <= bound))
            fail_msg("%s[%zu] is %.9g, not %.17g: error %.3g, bound %.3g", what, i, got[i], want[i].sum,
                     error, bound);
    }
}

typedef struct problem {
    ebb_conv_shape s;
    size_t nx, ny, nw;
    float *x, *w, *dy, *bias, *residual;
    float *y, *dx, *dw, *packed, *packed_dx;
    void *scratch;
} problem;

static void problem_make(problem *p, const ebb_conv_shape *s)
{
    p->s = *s;
    p->nx = (size_t)s->n * s->h * s->w * s->ci;
    p->ny = (size_t)s->n * s->oh * s->ow * s->co;
    p->nw = (size_t)s->kh * s->kw * s->ci * s->co;
    p->x = random_floats(p->nx);
    p->w = random_floats(p->nw);
    p->dy = random_floats(p->ny);
    p->bias = random_floats(s->co);
    p->residual = random_floats(p->ny);
    p->y = random_floats(p->ny);
    p->dx = random_floats(p->nx);
    p->dw = random_floats(p->nw);
    p->packed = random_floats(ebb_conv_pack_size(s));
    p->packed_dx = random_floats(ebb_conv_pack_dx_size(s));
    ebb_conv_pack(s, p->packed, p->w);
    ebb_conv_pack_dx(s, p->packed_dx, p->w);
    p->scratch = aligned_alloc(64, ebb_conv_scratch(s));
    assert_non_null(p->scratch);
}

static void problem_free(problem *p)
{
    float *all[] = {p->x, p->w, p->dy, p->bias, p->residual, p->y, p->dx, p->dw, p->packed, p->packed_dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(p->scratch);
}

/* y += x * w, dx += dy * w, dw += x * dy over every pair that the definition joins. */
static void reference(const problem *p, exact *y, exact *dx, exact *dw)
{
    const ebb_conv_shape *s = &p->s;
    for (int n = 0; n < s->n; n++)
    for (int oy = 0; oy < s->oh; oy++)
    for (int ox = 0; ox < s->ow; ox++)
    for (int a = 0; a < s->kh; a++)
    for (int b = 0; b < s->kw; b++) {
        int iy = oy * s->stride + a - s->pad_top, ix = ox * s->stride + b - s->pad_left;
        if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w)
            continue;
        size_t in = (((size_t)n * s->h + iy) * s->w + ix) * s->ci;
        size_t out = (((size_t)n * s->oh + oy) * s->ow + ox) * s->co;
        for (int i = 0; i < s->ci; i++)
        for (int o = 0; o < s->co; o++) {
            size_t tap = (((size_t)a * s->kw + b) * s->ci + i) * s->co + o;
            term(&y[out + o], p->x[in + i], p->w[tap]);
            term(&dx[in + i], p->dy[out + o], p->w[tap]);
            term(&dw[tap], p->x[in + i], p->dy[out + o]);
        }
    }
}

static exact inner(const float *a, const float *b, size_t n)
{
    exact e = {0};
    for (size_t i = 0; i < n; i++)
        term(&e, a[i], b[i]);
    return e;
}

/* <dy, conv(x)> = <conv_dx(dy), x> = <conv_dw(x, dy), w>: each is within gamma of the sum of all
 * |x||w||dy|. */
static void check_adjoint(const problem *p, const exact *dw)
{
    double size = 0;
    int terms = 1;
    for (size_t i = 0; i < p->nw; i++) {
        size += dw[i].size * fabs(p->w[i]);
        terms = dw[i].terms > terms ? dw[i].terms : terms;
    }
    int forward = p->s.kh * p->s.kw * (p->s.ci > p->s.co ? p->s.ci : p->s.co);
    double bound = 2 * gamma_k(forward > terms ? forward : terms) * size;
    double y = inner(p->dy, p->y, p->ny).sum;
    double dx = inner(p->dx, p->x, p->nx).sum, w = inner(p->dw, p->w, p->nw).sum;
    if (!(fabs(y - dx) <= bound && fabs(y - w) <= bound))
        fail_msg("<dy,y> %.17g, <dx,x> %.17g, <dw,w> %.17g, bound %.3g", y, dx, w, bound);
}

static void check_shape(const ebb_kernels *k, const ebb_conv_shape *s)
{
    problem p;
    problem_make(&p, s);
    exact *y = exacts(p.ny), *dx = exacts(p.nx), *dw = exacts(p.nw);
    reference(&p, y, dx, dw);
    k->conv_f32(s, p.y, p.x, p.packed, NULL, NULL, p.scratch);
    k->conv_dx_f32(s, p.dx, p.dy, p.packed_dx, NULL, p.scratch);
    k->conv_dw_f32(s, p.dw, p.x, p.dy, false, p.scratch);
    check("y", p.y, y, p.ny);
    check("dx", p.dx, dx, p.nx);
    check("dw", p.dw, dw, p.nw);
    check_adjoint(&p, dw);

    /* bias and residual are two more terms; dw goes on from itself: every term twice */
    for (size_t i = 0; i < p.ny; i++) {
        term(&y[i], p.bias[i % s->co], 1);
        term(&y[i], p.residual[i], 1);
    }
    for (size_t i = 0; i < p.nx; i++)
        term(&dx[i], p.dx[i], 1);
    for (size_t i = 0; i < p.nw; i++)
        dw[i] = (exact){2 * dw[i].sum, 2 * dw[i].size, 2 * dw[i].terms};
    k->conv_f32(s, p.residual, p.x, p.packed, p.bias, p.residual, p.scratch);
    k->conv_dx_f32(s, p.dx, p.dy, p.packed_dx, p.dx, p.scratch);
    k->conv_dw_f32(s, p.dw, p.x, p.dy, true, p.scratch);
    check("y + bias + residual, in place", p.residual, y, p.ny);
    check("dx + residual, in place", p.dx, dx, p.nx);
    check("dw accumulated", p.dw, dw, p.nw);
    free(y);
    free(dx);
    free(dw);
    problem_free(&p);
}

/* n, h, w, ci, oh, ow, co, kh, kw, stride, pad_top, pad_left */
static const ebb_conv_shape shapes[] = {
    {2, 8, 8, 32, 8, 8, 32, 3, 3, 1, 1, 1},    /* the U-Net's */
    {5, 4, 4, 64, 4, 4, 48, 3, 3, 1, 1, 1},    /* several pictures a block */
    {1, 28, 28, 1, 28, 28, 32, 3, 3, 1, 1, 1}, /* first layer */
    {2, 19, 17, 32, 19, 17, 3, 3, 3, 1, 1, 1}, /* last layer, several blocks a picture */
    {2, 9, 9, 5, 9, 9, 1, 3, 3, 1, 1, 1},
    {2, 12, 12, 16, 6, 6, 40, 3, 3, 2, 0, 0},  /* down-sampling, padded after only */
    {2, 11, 13, 7, 6, 7, 9, 3, 3, 2, 1, 1},
    {3, 6, 6, 24, 6, 6, 72, 1, 1, 1, 0, 0},    /* pointwise */
    {3, 3, 5, 6, 3, 5, 10, 1, 1, 1, 0, 0},
    {2, 7, 7, 6, 4, 4, 10, 1, 1, 2, 0, 0},     /* phases without taps */
    {1, 9, 10, 4, 9, 10, 6, 5, 2, 1, 2, 1},
    {1, 10, 9, 3, 3, 3, 5, 4, 4, 3, 2, 3},
    {1, 8, 8, 2, 3, 2, 3, 3, 3, 1, 1, 1},      /* outputs that leave rows unused */
    {1, 2, 2, 3, 5, 6, 4, 3, 3, 1, 2, 2},      /* outputs that see padding only */
    {1, 1, 300, 2, 1, 300, 3, 1, 3, 1, 0, 1},
};

static void convolutions_agree_with_the_definition(void **unused)
{
    (void)unused;
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++) {
        for (size_t i = 0; ebb_isa_available(isa) && i < sizeof shapes / sizeof *shapes; i++)
            check_shape(ebb_kernels_get(isa), &shapes[i]);
    }
}

static void check_gemm(const ebb_kernels *k, size_t m, size_t n, size_t depth, bool transposed)
{
    float *a = random_floats(m * depth), *b = random_floats(depth * n), *bias = random_floats(n);
    float *residual = random_floats(m * n), *c = random_floats(m * n);
    exact *want = exacts(m * n);
    size_t row = transposed ? 1 : depth, col = transposed ? m : 1;
    for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
        term(&want[i * n + j], c[i * n + j], 1);
        for (size_t l = 0; l < depth; l++)
            term(&want[i * n + j], a[i * row + l * col], b[l * n + j]);
        term(&want[i * n + j], bias[j], 1);
        term(&want[i * n + j], residual[i * n + j], 1);
    }
    k->gemm_f32(&(ebb_gemm_args){m, n, depth, a, row, col, b, n, c, n, bias, residual, true});
    check("c", c, want, m * n);
    free(a);
    free(b);
    free(bias);
    free(residual);
    free(c);
    free(want);
}

static void products_agree_with_the_definition(void **unused)
{
    (void)unused;
    static const size_t sizes[][3] = {{0, 3, 2}, {3, 0, 2}, {3, 2, 0}, {1, 1, 1}, {5, 33, 7}, {8, 64, 300},
                                      {13, 17, 19}, {110, 70, 600}, {97, 32, 256}, {64, 1, 64}};
    for (int isa = 0; isa < EBB_ISA_COUNT; isa++) {
        for (size_t i = 0; ebb_isa_available(isa) && i < sizeof sizes / sizeof *sizes; i++) {
            check_gemm(ebb_kernels_get(isa), sizes[i][0], sizes[i][1], sizes[i][2], false);
            check_gemm(ebb_kernels_get(isa), sizes[i][0], sizes[i][1], sizes[i][2], true);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_agree_with_the_definition),
        cmocka_unit_test(products_agree_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
