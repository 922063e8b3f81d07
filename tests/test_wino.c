/* test_wino.c: Winograd's convolution against the definition in double precision.
 *
 * An output is a sum over paths: a product of an input, a weight and the entries of the transforms that they
 * pass. Each path is rounded at most K times, so the error is at most gamma_K times the sum of the sizes of all
 * paths (Higham 2002, section 3.1), which the absolute values of the matrices give. That bound is hard and loose;
 * how much is lost in practice is asserted beside it: at most 16 times the error of the direct kernel.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simd.h"

/* The transforms for the points 0, r, -r, q, -q, infinity with r q = 1, r^2 = 1/2. */
#define R 0.70710678118654752
#define Q 1.4142135623730951
static const double data_matrix[6][6] = {   /* B^T */
    {1, 0, -2.5, 0, 1, 0},  {0, -2 * R, -2, R, 1, 0},       {0, 2 * R, -2, -R, 1, 0},
    {0, -R, -0.5, Q, 1, 0}, {0, R, -0.5, -Q, 1, 0},         {0, 1, 0, -2.5, 0, 1},
};
static const double weight_matrix[6][6] = { /* G */
    {1}, {-2. / 3, -2. / 3 * R, -1. / 3}, {-2. / 3, 2. / 3 * R, -1. / 3},
    {1. / 6, Q / 6, 1. / 3}, {1. / 6, -Q / 6, 1. / 3}, {0, 0, 1},
};
static const double output_matrix[6][6] = { /* A */
    {1}, {1, R, 0.5, R / 2}, {1, -R, 0.5, -R / 2}, {1, Q, 2, 2 * Q}, {1, -Q, 2, -2 * Q}, {0, 0, 0, 1},
};
enum { DATA_ROUNDINGS = 6, WEIGHT_ROUNDINGS = 8, OUTPUT_ROUNDINGS = 8 };  /* both dimensions, constants too */

static uint32_t state = 1;

static float *random_floats(size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof *p + 127) / 64 * 64);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = (float)((int32_t)(state >> 8) - (1 << 23)) / (1 << 23);
    }
    return p;
}

static double *zeros(size_t n)
{
    double *p = calloc(n, sizeof *p);
    assert_non_null(p);
    return p;
}

/* ---- the definition, and the sizes of paths ---- */

typedef struct problem {
    ebb_conv_shape s;
    size_t nx, ny, nw;
    float *x, *w, *dy;
    double *y, *dx, *dw;
} problem;

static void problem_make(problem *p, const ebb_conv_shape *s)
{
    *p = (problem){.s = *s, .nx = (size_t)s->n * s->h * s->w * s->ci, .ny = (size_t)s->n * s->oh * s->ow * s->co,
                   .nw = (size_t)9 * s->ci * s->co};
    p->x = random_floats(p->nx), p->w = random_floats(p->nw), p->dy = random_floats(p->ny);
    p->y = zeros(p->ny), p->dx = zeros(p->nx), p->dw = zeros(p->nw);
    for (int n = 0; n < s->n; n++)
    for (int oy = 0; oy < s->oh; oy++)
    for (int ox = 0; ox < s->ow; ox++)
    for (int t = 0; t < 9; t++) {
        int iy = oy + t / 3 - s->pad_top, ix = ox + t % 3 - s->pad_left;
        if (iy < 0 || iy >= s->h || ix < 0 || ix >= s->w)
            continue;
        size_t in = (((size_t)n * s->h + iy) * s->w + ix) * s->ci;
        size_t out = (((size_t)n * s->oh + oy) * s->ow + ox) * s->co;
        for (int i = 0; i < s->ci; i++)
        for (int o = 0; o < s->co; o++) {
            size_t tap = ((size_t)t * s->ci + i) * s->co + o;
            p->y[out + o] += (double)p->x[in + i] * (double)p->w[tap];
            p->dx[in + i] += (double)p->dy[out + o] * (double)p->w[tap];
            p->dw[tap] += (double)p->x[in + i] * (double)p->dy[out + o];
        }
    }
}

static void problem_free(problem *p)
{
    float *floats[] = {p->x, p->w, p->dy};
    double *doubles[] = {p->y, p->dx, p->dw};
    for (int i = 0; i < 3; i++)
        free(floats[i]), free(doubles[i]);
}

/* |M| x |M|^T, or |M|^T x |M| (transposed); x: (from, from), result: (to, to), both in rows of 6. */
static void paths(double *y, const double *x, const double m[6][6], int from, int to, bool transposed)
{
    double half[36];
    for (int i = 0; i < to; i++)
    for (int j = 0; j < from; j++) {
        half[i * 6 + j] = 0;
        for (int k = 0; k < from; k++)
            half[i * 6 + j] += fabs(transposed ? m[k][i] : m[i][k]) * fabs(x[k * 6 + j]);
    }
    for (int i = 0; i < to; i++)
    for (int j = 0; j < to; j++) {
        y[i * 6 + j] = 0;
        for (int k = 0; k < from; k++)
            y[i * 6 + j] += half[i * 6 + k] * fabs(transposed ? m[k][j] : m[j][k]);
    }
}

/* size x size pixels of one channel from (y, x) of picture (h, w, c). */
static void gather(double *to, int size, const float *picture, int h, int w, int c, int y, int x, int channel)
{
    for (int i = 0; i < size; i++)
    for (int j = 0; j < size; j++) {
        bool inside = y + i >= 0 && y + i < h && x + j >= 0 && x + j < w;
        to[i * 6 + j] = inside ? (double)picture[((size_t)(y + i) * w + x + j) * c + channel] : 0;
    }
}

typedef double point[36];

/* Tiles' inputs and cotangents at the 36 points, sizes: (tile, channel). */
static void tiles_of(const ebb_conv_shape *s, const float *x, const float *dy, point *v, point *w)
{
    for (int n = 0; n < s->n; n++)
    for (int y = 0; y < s->oh; y += 4)
    for (int x0 = 0; x0 < s->ow; x0 += 4) {
        point d;
        for (int i = 0; i < s->ci; i++, v++) {
            gather(d, 6, x + (size_t)n * s->h * s->w * s->ci, s->h, s->w, s->ci, y - s->pad_top, x0 - s->pad_left, i);
            paths(*v, d, data_matrix, 6, 6, false);
        }
        for (int o = 0; dy && o < s->co; o++, w++) {
            gather(d, 4, dy + (size_t)n * s->oh * s->ow * s->co, s->oh, s->ow, s->co, y, x0, o);
            paths(*w, d, output_matrix, 4, 6, false);
        }
    }
}

static double gamma_k(double k)
{
    double u = ldexp(1, -24);
    return k * u / (1 - k * u);
}

static void expect(const char *what, size_t at, float got, double want, double bound)
{
    if (!(fabs((double)got - want) <= bound))
        fail_msg("%s[%zu] is %.9g, not %.17g: error %.3g, bound %.3g", what, at, (double)got, want, (double)got - want,
                 bound);
}

static size_t tile_count(const ebb_conv_shape *s) { return (size_t)s->n * ((s->oh + 3) / 4) * ((s->ow + 3) / 4); }

/* y of any shape; g: sizes of the weights at the points, (ci, co). */
static void check_forward(const char *what, const ebb_conv_shape *s, const float *got, const double *want,
                          const float *x, const point *g)
{
    point *v = malloc(tile_count(s) * s->ci * sizeof *v), *tile = v;
    assert_non_null(v);
    tiles_of(s, x, NULL, v, NULL);
    double gamma = gamma_k(s->ci + DATA_ROUNDINGS + WEIGHT_ROUNDINGS + OUTPUT_ROUNDINGS);
    for (int n = 0; n < s->n; n++)
    for (int y = 0; y < s->oh; y += 4)
    for (int x0 = 0; x0 < s->ow; x0 += 4, tile += s->ci)
        for (int o = 0; o < s->co; o++) {
            point m = {0}, size;
            for (int i = 0; i < s->ci; i++)
                for (int p = 0; p < 36; p++)
                    m[p] += tile[i][p] * g[(size_t)i * s->co + o][p];
            paths(size, m, output_matrix, 6, 4, true);
            for (int i = 0; i < 4 && y + i < s->oh; i++)
            for (int j = 0; j < 4 && x0 + j < s->ow; j++) {
                size_t at = (((size_t)n * s->oh + y + i) * s->ow + x0 + j) * s->co + o;
                expect(what, at, got[at], want[at], gamma * size[i * 6 + j]);
            }
        }
    free(v);
}

/* Weights at the points, sizes; for the adjoint in x mirrored, channels swapped. */
static point *weights_of(const ebb_conv_shape *s, const float *w, bool adjoint)
{
    size_t ci = s->ci, co = s->co;
    point *g = malloc(ci * co * sizeof *g);
    assert_non_null(g);
    for (size_t i = 0; i < ci; i++)
    for (size_t o = 0; o < co; o++) {
        point tap = {0};
        for (int t = 0; t < 9; t++)
            tap[t / 3 * 6 + t % 3] = (double)w[((adjoint ? 8 - t : t) * ci + i) * co + o];
        paths(g[adjoint ? o * ci + i : i * co + o], tap, weight_matrix, 3, 6, false);
    }
    return g;
}

static void check_dw(const problem *p, const float *got)
{
    const ebb_conv_shape *s = &p->s;
    size_t tiles = tile_count(s), ci = s->ci, co = s->co;
    point *v = malloc(tiles * ci * sizeof *v), *w = malloc(tiles * co * sizeof *w);
    assert_true(v && w);
    tiles_of(s, p->x, p->dy, v, w);
    double gamma = gamma_k((double)tiles + DATA_ROUNDINGS + WEIGHT_ROUNDINGS + OUTPUT_ROUNDINGS);
    for (size_t i = 0; i < ci; i++)
    for (size_t o = 0; o < co; o++) {
        point m = {0}, size;
        for (size_t t = 0; t < tiles; t++)
            for (int q = 0; q < 36; q++)
                m[q] += v[t * ci + i][q] * w[t * co + o][q];
        paths(size, m, weight_matrix, 6, 3, true);
        for (int t = 0; t < 9; t++) {
            size_t at = (t * ci + i) * co + o;
            expect("dw", at, got[at], p->dw[at], gamma * size[t / 3 * 6 + t % 3]);
        }
    }
    free(v);
    free(w);
}

/* ---- the kernels ---- */

typedef struct results {
    float *y, *dx, *dw;
} results;

static results results_make(const problem *p)
{
    return (results){random_floats(p->ny), random_floats(p->nx), random_floats(p->nw)};
}

static void results_free(results *r)
{
    free(r->y), free(r->dx), free(r->dw);
}

static void run_wino(const ebb_kernels *k, const problem *p, results *r)
{
    ebb_conv_shape adjoint = ebb_wino_adjoint(&p->s);
    float *u = random_floats(ebb_wino_pack_size(&p->s)), *u_dx = random_floats(ebb_wino_pack_dx_size(&p->s));
    float *scratch = random_floats(ebb_wino_scratch(&p->s) / sizeof(float));
    k->wino_pack_f32(&p->s, u, p->w);
    k->wino_pack_dx_f32(&p->s, u_dx, p->w);
    k->wino_f32(&p->s, r->y, p->x, u, NULL, NULL, scratch);
    k->wino_f32(&adjoint, r->dx, p->dy, u_dx, NULL, NULL, scratch);
    k->wino_dw_f32(&p->s, r->dw, p->x, p->dy, false, scratch);
    free(u), free(u_dx), free(scratch);
}

static void run_direct(const ebb_kernels *k, const problem *p, results *r)
{
    float *w = random_floats(ebb_conv_pack_size(&p->s)), *w_dx = random_floats(ebb_conv_pack_dx_size(&p->s));
    float *scratch = random_floats(ebb_conv_scratch(&p->s) / sizeof(float));
    ebb_conv_pack(&p->s, w, p->w);
    ebb_conv_pack_dx(&p->s, w_dx, p->w);
    k->conv_f32(&p->s, r->y, p->x, w, NULL, NULL, scratch);
    k->conv_dx_f32(&p->s, r->dx, p->dy, w_dx, NULL, scratch);
    k->conv_dw_f32(&p->s, r->dw, p->x, p->dy, false, scratch);
    free(w), free(w_dx), free(scratch);
}

static void within_the_bound(void **unused)
{
    static const ebb_conv_shape shapes[] = {
        {2, 7, 9, 5, 7, 9, 6, 3, 3, 1, 1, 1},   {1, 6, 6, 3, 4, 4, 2, 3, 3, 1, 0, 0},
        {1, 5, 4, 2, 7, 6, 3, 3, 3, 1, 2, 2},   {3, 4, 11, 4, 3, 12, 33, 3, 3, 1, 0, 2},
        {1, 1, 1, 1, 1, 1, 1, 3, 3, 1, 1, 1},   {2, 8, 8, 40, 8, 8, 32, 3, 3, 1, 1, 1},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        problem p;
        problem_make(&p, &shapes[i]);
        results r = results_make(&p);
        ebb_conv_shape adjoint = ebb_wino_adjoint(&p.s);
        point *g = weights_of(&p.s, p.w, false), *g_dx = weights_of(&p.s, p.w, true);
        run_wino(ebb_kernels_get(EBB_ISA_C), &p, &r);
        check_forward("y", &p.s, r.y, p.y, p.x, g);
        check_forward("dx", &adjoint, r.dx, p.dx, p.dy, g_dx);
        check_dw(&p, r.dw);
        free(g), free(g_dx);
        results_free(&r);
        problem_free(&p);
    }
}

static double largest(const float *got, const double *want, size_t n)
{
    double error = 0;
    for (size_t i = 0; i < n; i++)
        error = fmax(error, fabs((double)got[i] - want[i]));
    return error;
}

static void nearly_as_good_as_direct(void **unused)
{
    static const int shapes[][4] = {   /* pictures, size, ci, co */
        {2, 32, 32, 32}, {1, 32, 96, 32}, {2, 16, 64, 64}, {1, 16, 128, 128}, {2, 8, 64, 64}, {1, 8, 256, 256},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int n = shapes[i][0], h = shapes[i][1];
        problem p;
        problem_make(&p, &(ebb_conv_shape){n, h, h, shapes[i][2], h, h, shapes[i][3], 3, 3, 1, 1, 1});
        results wino = results_make(&p), direct = results_make(&p);
        const ebb_kernels *k = ebb_kernels_get(ebb_isa_best());
        run_wino(k, &p, &wino);
        run_direct(k, &p, &direct);
        assert_true(largest(wino.y, p.y, p.ny) <= 16 * largest(direct.y, p.y, p.ny));
        assert_true(largest(wino.dx, p.dx, p.nx) <= 16 * largest(direct.dx, p.dx, p.nx));
        assert_true(largest(wino.dw, p.dw, p.nw) <= 16 * largest(direct.dw, p.dw, p.nw));
        results_free(&wino);
        results_free(&direct);
        problem_free(&p);
    }
}

/* x rounded to bfloat16 in place, and as bfloat16. */
static ebb_bf16 *rounded(float *x, size_t n)
{
    const ebb_kernels *k = ebb_kernels_get(EBB_ISA_C);
    ebb_bf16 *y = malloc(n * sizeof *y);
    k->narrow_bf16(n, y, x);
    k->widen_bf16(n, x, y);
    return y;
}

/* On bfloat16 pictures the kernels are those on floats, whose results are rounded once. */
static void bf16_is_f32_rounded_once(void **unused)
{
    (void)unused;
    problem p;
    problem_make(&p, &(ebb_conv_shape){2, 7, 9, 5, 7, 9, 37, 3, 3, 1, 1, 1});
    ebb_bf16 *x = rounded(p.x, p.nx), *dy = rounded(p.dy, p.ny), *y = malloc(p.ny * sizeof *y);
    float *u = random_floats(ebb_wino_pack_size(&p.s));
    float *scratch = random_floats(ebb_wino_scratch(&p.s) / sizeof(float));
    float *want = random_floats(p.ny), *dw = random_floats(p.nw), *dw_want = random_floats(p.nw);
    const ebb_kernels *c = ebb_kernels_get(EBB_ISA_C), *k = ebb_kernels_get(ebb_isa_best());
    c->wino_pack_f32(&p.s, u, p.w);
    c->wino_f32(&p.s, want, p.x, u, p.w, p.dy, scratch);   /* any numbers will do for bias and residual */
    k->wino_bf16(&p.s, y, x, u, p.w, dy, scratch);
    ebb_bf16 *y_want = rounded(want, p.ny);
    assert_memory_equal(y, y_want, p.ny * sizeof *y);
    c->wino_dw_f32(&p.s, dw_want, p.x, p.dy, false, scratch);
    k->wino_dw_bf16(&p.s, dw, x, dy, false, scratch);
    assert_memory_equal(dw, dw_want, p.nw * sizeof *dw);
    free(x), free(dy), free(y), free(y_want), free(u), free(scratch), free(want), free(dw), free(dw_want);
    problem_free(&p);
}

static void fits(void **unused)
{
    (void)unused;
    const ebb_conv_shape good = {2, 7, 9, 5, 6, 8, 6, 3, 3, 1, 0, 2};
    assert_true(ebb_wino_fits(&good));
    ebb_conv_shape bad = good;
    bad.stride = 2;
    assert_false(ebb_wino_fits(&bad));
    bad = good, bad.kw = 1;
    assert_false(ebb_wino_fits(&bad));
    bad = good, bad.pad_left = 3;   /* its adjoint would drop pixels */
    assert_false(ebb_wino_fits(&bad));
    ebb_conv_shape once = ebb_wino_adjoint(&good), twice = ebb_wino_adjoint(&once);
    assert_true(ebb_wino_fits(&once));
    assert_memory_equal(&twice, &good, sizeof good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_the_bound),
        cmocka_unit_test(nearly_as_good_as_direct),
        cmocka_unit_test(bf16_is_f32_rounded_once),
        cmocka_unit_test(fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
