/* test_kernels.c: simd/c, the specification itself, against the definitions in double precision.
 *
 * kcheck compares all ISAs with simd/c; here simd/c is compared with mathematics: norm and softmax with
 * their formulas, adjoints with <u, J v> = <J'u, v> by central differences, AdamW with its algorithm.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "simd.h"

enum { MAX = 4096 };

static const ebb_kernels *spec(void) { return ebb_kernels_get(EBB_ISA_C); }

static void fill(float *x, size_t n, uint32_t sample)
{
    const ebb_rng_at at = {.seed = 7, .sample = sample};
    spec()->normal_f32(n, x, &at);
}

static void expect_near(double got, double want, double allowed, const char *what)
{
    if (!(fabs(got - want) <= allowed))
        fail_msg("%s: %.9g, expected %.9g within %.2g", what, got, want, allowed);
}

/* ---- norm ----------------------------------------------------------------------------------- */
/* y, in double precision, from the definition. */
static void norm_reference(const ebb_norm_shape *s, double *y, const double *x, const float *shift,
                           const float *gamma, const float *beta)
{
    int width = s->channels / s->groups;
    for (int g = 0; g < s->groups; g++) {
        double mean = 0, var = 0, count = (double)s->pixels * width;
        for (int p = 0; p < s->pixels; p++)
            for (int c = g * width; c < (g + 1) * width; c++)
                mean += (x[p * s->channels + c] + shift[c]) / count;
        for (int p = 0; p < s->pixels; p++)
            for (int c = g * width; c < (g + 1) * width; c++)
                var += pow(x[p * s->channels + c] + shift[c] - mean, 2) / count;
        for (int p = 0; p < s->pixels; p++) {
            for (int c = g * width; c < (g + 1) * width; c++) {
                double u = x[p * s->channels + c] + shift[c];
                double z = gamma[c] * (u - mean) / sqrt(var + s->eps) + beta[c];
                y[p * s->channels + c] = s->silu ? z / (1 + exp(-z)) : z;
            }
        }
    }
}

typedef struct norm_data {
    float x[MAX], y[MAX], dy[MAX], dx[MAX], stats[128], shift[64], gamma[64], beta[64];
    float dshift[64], dgamma[64], dbeta[64], scratch[256];
    double in[MAX], out[MAX], up[MAX], down[MAX];
} norm_data;

static void norm_setup(norm_data *d, const ebb_norm_shape *s)
{
    int n = s->pixels * s->channels;
    fill(d->x, n, 1);
    fill(d->dy, n, 2);
    fill(d->shift, 64, 3);
    fill(d->gamma, 64, 4);
    fill(d->beta, 64, 5);
    for (int i = 0; i < n; i++)
        d->in[i] = d->x[i] += 3.0f;  /* a mean that the variance must not feel */
    for (int i = 0; i < 64; i++)
        d->dgamma[i] = d->dbeta[i] = 0.5f;
}

static void check_norm(const ebb_norm_shape *s)
{
    static norm_data d;
    norm_setup(&d, s);
    spec()->norm_f32(s, d.y, d.stats, d.x, d.shift, d.gamma, d.beta);
    norm_reference(s, d.out, d.in, d.shift, d.gamma, d.beta);
    for (int i = 0; i < s->pixels * s->channels; i++)
        expect_near(d.y[i], d.out[i], 1e-5, "norm");
}

/* <dy, y(x + h v) - y(x - h v)> / 2h */
static double slope_along(norm_data *d, const ebb_norm_shape *s, const float *v)
{
    double h = 1e-5, sum = 0;
    int n = s->pixels * s->channels;
    for (int i = 0; i < n; i++)
        d->in[i] = d->x[i] + h * v[i];
    norm_reference(s, d->up, d->in, d->shift, d->gamma, d->beta);
    for (int i = 0; i < n; i++)
        d->in[i] = d->x[i] - h * v[i];
    norm_reference(s, d->down, d->in, d->shift, d->gamma, d->beta);
    for (int i = 0; i < n; i++)
        sum += d->dy[i] * (d->up[i] - d->down[i]) / (2 * h);
    return sum;
}

/* d<dy, y>/d(parameter), by central differences in one f32 parameter */
static double slope_in(norm_data *d, const ebb_norm_shape *s, float *parameter)
{
    float kept = *parameter, h = 0x1p-10f;
    double sum = 0;
    for (int i = 0; i < s->pixels * s->channels; i++)
        d->in[i] = d->x[i];
    *parameter = kept + h;
    double step = *parameter;
    norm_reference(s, d->up, d->in, d->shift, d->gamma, d->beta);
    *parameter = kept - h;
    step -= *parameter;
    norm_reference(s, d->down, d->in, d->shift, d->gamma, d->beta);
    *parameter = kept;
    for (int i = 0; i < s->pixels * s->channels; i++)
        sum += d->dy[i] * (d->up[i] - d->down[i]) / step;
    return sum;
}

static void check_norm_vjp(const ebb_norm_shape *s)
{
    static norm_data d;
    static float v[MAX];
    int n = s->pixels * s->channels;
    double dot = 0, size = 0;
    norm_setup(&d, s);
    spec()->norm_f32(s, d.y, d.stats, d.x, d.shift, d.gamma, d.beta);
    spec()->norm_vjp_f32(s, d.dx, d.dshift, d.dgamma, d.dbeta, d.x, d.shift, d.dy, d.stats, d.gamma, d.beta,
                         d.scratch);
    fill(v, n, 6);
    for (int i = 0; i < n; i++) {
        dot += d.dx[i] * v[i];
        size += fabs(d.dx[i] * v[i]);
    }
    expect_near(dot, slope_along(&d, s, v), 1e-5 * size, "norm_vjp dx");
    for (int c = 0; c < s->channels; c += 3) {
        expect_near(d.dgamma[c] - 0.5, slope_in(&d, s, &d.gamma[c]), 2e-4 * s->pixels, "norm_vjp dgamma");
        expect_near(d.dbeta[c] - 0.5, slope_in(&d, s, &d.beta[c]), 2e-4 * s->pixels, "norm_vjp dbeta");
        expect_near(d.dshift[c], slope_in(&d, s, &d.shift[c]), 2e-4 * s->pixels, "norm_vjp dshift");
    }
}

static void test_norm(void **state)
{
    static const ebb_norm_shape shapes[] = {
        {64, 64, 32, 1e-5f, true, 0}, {49, 6, 2, 1e-3f, false, 0}, {16, 15, 5, 1e-5f, true, 0},
        {5, 7, 7, 0.1f, true, 0}, {9, 12, 1, 1e-5f, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check_norm(&shapes[i]);
        check_norm_vjp(&shapes[i]);
    }
}

/* ---- bfloat16 -------------------------------------------------------------------------------- */
static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearer of the two bfloat16s around x, the even one of two as near; 2^128 stands for infinity. */
static void test_narrow_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1u << 20; i++) {
        uint32_t bits = i * 4099u, below = bits & 0xFFFF0000u, above = below + 0x10000u;
        float x = from_bits(bits);
        ebb_bf16 y;
        spec()->narrow_bf16(1, &y, &x);
        if (!isfinite(x)) {
            assert_true(isnan(x) ? isnan(from_bits((uint32_t)y << 16)) : y == bits >> 16);
            continue;
        }
        double size = fabs(x), low = fabs(from_bits(below)), high = fabs(from_bits(above));
        high = isinf(high) ? 0x1p128 : high;
        bool up = high - size < size - low || (high - size == size - low && (above >> 16 & 1) == 0);
        assert_int_equal(y, (up ? above : below) >> 16);
    }
}

static void assert_narrowed(const ebb_bf16 *got, const float *want, size_t n)
{
    static ebb_bf16 rounded[MAX];
    spec()->narrow_bf16(n, rounded, want);
    assert_memory_equal(got, rounded, n * sizeof *got);
}

/* On bfloat16 pictures: exactly what the f32 kernels make of the widened pictures, rounded once. */
static void test_norm_bf16_is_the_f32_norm_rounded(void **state)
{
    static const ebb_norm_shape s = {49, 60, 20, 1e-5f, true, 0};
    static norm_data d;
    static ebb_bf16 x[MAX], y[MAX], dy[MAX], dx[MAX];
    static float stats[128], dshift[64], dgamma[64], dbeta[64], scratch[2 * MAX];
    size_t n = (size_t)(s.pixels * s.channels);
    (void)state;
    norm_setup(&d, &s);
    spec()->narrow_bf16(n, x, d.x);
    spec()->narrow_bf16(n, dy, d.dy);
    spec()->widen_bf16(n, d.x, x);
    spec()->widen_bf16(n, d.dy, dy);
    memcpy(dgamma, d.dgamma, sizeof dgamma);
    memcpy(dbeta, d.dbeta, sizeof dbeta);
    spec()->norm_f32(&s, d.y, d.stats, d.x, d.shift, d.gamma, d.beta);
    spec()->norm_vjp_f32(&s, d.dx, d.dshift, d.dgamma, d.dbeta, d.x, d.shift, d.dy, d.stats, d.gamma, d.beta,
                         d.scratch);
    spec()->norm_bf16(&s, y, stats, x, d.shift, d.gamma, d.beta);
    spec()->norm_vjp_bf16(&s, dx, dshift, dgamma, dbeta, x, d.shift, dy, stats, d.gamma, d.beta, scratch);
    assert_true(ebb_norm_scratch_bf16(&s) <= sizeof scratch);
    assert_memory_equal(stats, d.stats, 2 * sizeof(float) * (size_t)s.groups);
    assert_narrowed(y, d.y, n);
    assert_narrowed(dx, d.dx, n);
    assert_memory_equal(dshift, d.dshift, sizeof(float) * (size_t)s.channels);
    assert_memory_equal(dgamma, d.dgamma, sizeof dgamma);
    assert_memory_equal(dbeta, d.dbeta, sizeof dbeta);
}

/* ---- softmax -------------------------------------------------------------------------------- */
static void softmax_reference(size_t n, double *y, const float *x, double scale)
{
    double max = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++)
        max = fmax(max, scale * x[j]);
    for (size_t j = 0; j < n; j++)
        sum += y[j] = exp(scale * x[j] - max);
    for (size_t j = 0; j < n; j++)
        y[j] /= sum;
}

static void test_softmax(void **state)
{
    enum { N = 131 };
    float x[2 * N], y[2 * N], dy[2 * N], dx[2 * N];
    (void)state;
    fill(x, 2 * N, 1);
    fill(dy, 2 * N, 2);
    spec()->softmax_f32(2, N, y, x, 2.5f);
    spec()->softmax_vjp_f32(2, N, dx, y, dy, 2.5f);
    for (size_t r = 0; r < 2; r++) {
        double want[N], dot = 0;
        softmax_reference(N, want, x + r * N, 2.5);
        for (size_t j = 0; j < N; j++)
            dot += want[j] * dy[r * N + j];
        for (size_t j = 0; j < N; j++) {
            expect_near(y[r * N + j], want[j], 1e-6 * want[j], "softmax");
            expect_near(dx[r * N + j], 2.5 * want[j] * (dy[r * N + j] - dot), 1e-5 * want[j], "softmax_vjp");
        }
    }
}

/* A masked score takes no part at all; nothing but masks, or a NaN, is NaN. */
static void test_softmax_masks(void **state)
{
    float masked[4] = {1, -INFINITY, 1, -1000}, none[2] = {-INFINITY, -INFINITY}, bad[3] = {1, NAN, 2};
    (void)state;
    spec()->softmax_f32(1, 4, masked, masked, 1.0f);
    spec()->softmax_f32(1, 2, none, none, 1.0f);
    spec()->softmax_f32(1, 3, bad, bad, 1.0f);
    assert_true(masked[0] == 0.5f && masked[1] == 0.0f && masked[2] == 0.5f && masked[3] == 0.0f);
    assert_true(isnan(none[0]) && isnan(none[1]));
    assert_true(isnan(bad[0]) && isnan(bad[1]) && isnan(bad[2]));
}

/* ---- attention ------------------------------------------------------------------------------ */
enum { TOKENS = 100, HEADS = 2, WIDTH = 12, ROOM = TOKENS * HEADS * WIDTH };

typedef struct attention_data {
    float q[ROOM], k[ROOM], v[ROOM], o[ROOM], g[ROOM], dq[ROOM], dk[ROOM], dv[ROOM], lse[TOKENS];
    double p[TOKENS][TOKENS], slack[TOKENS];   /* probabilities; their relative error in f32 */
    _Alignas(64) char scratch[1 << 17];
} attention_data;

static double row_dot(int d, const float *x, const float *y, bool sizes)
{
    double sum = 0;
    for (int i = 0; i < d; i++)
        sum += sizes ? fabs((double)x[i] * y[i]) : (double)x[i] * y[i];
    return sum;
}

/* An error of a score is a relative one of the probability; a chain of n terms errs by n roundings of their size. */
static void attention_reference(const ebb_attention_shape *s, attention_data *a)
{
    for (int i = 0; i < s->nq; i++) {
        double sum = 0, largest = 0;
        for (int j = 0; j < s->nk; j++) {
            const float *q = a->q + i * s->q_stride, *k = a->k + j * s->k_stride;
            sum += a->p[i][j] = exp((double)s->scale * row_dot(s->d, q, k, false));
            largest = fmax(largest, fabs((double)s->scale) * row_dot(s->d, q, k, true));
        }
        for (int j = 0; j < s->nk; j++)
            a->p[i][j] /= sum;
        a->slack[i] = 0x1p-24 * (2 * (s->d + 3) * largest + s->nk + 20);
    }
}

static void check_attention_forward(const ebb_attention_shape *s, const attention_data *a)
{
    for (int i = 0; i < s->nq; i++)
        for (int c = 0; c < s->d; c++) {
            double want = 0, size = 0;
            for (int j = 0; j < s->nk; j++) {
                want += a->p[i][j] * (double)a->v[j * s->v_stride + c];
                size += a->p[i][j] * fabs((double)a->v[j * s->v_stride + c]);
            }
            expect_near(a->o[i * s->o_stride + c], want, a->slack[i] * size, "attention");
        }
}

/* ds = p (<do, v> - <do, o>), and how far f32 may be from it. */
static double attention_slope(const ebb_attention_shape *s, const attention_data *a, int i, int j, double *slack)
{
    const float *g = a->g + i * s->o_stride;
    double along = 0, size = row_dot(s->d, g, a->v + j * s->v_stride, true);
    for (int m = 0; m < s->nk; m++) {
        along += a->p[i][m] * row_dot(s->d, g, a->v + m * s->v_stride, false);
        size += a->p[i][m] * row_dot(s->d, g, a->v + m * s->v_stride, true);
    }
    *slack = 2 * a->slack[i] * a->p[i][j] * size;
    return a->p[i][j] * (row_dot(s->d, g, a->v + j * s->v_stride, false) - along);
}

static void check_attention_adjoint(const ebb_attention_shape *s, const attention_data *a)
{
    static double dq[ROOM], dk[ROOM], dv[ROOM], dq_slack[ROOM], dk_slack[ROOM], dv_slack[ROOM];
    double *const all[] = {dq, dk, dv, dq_slack, dk_slack, dv_slack}, scale = (double)s->scale;
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < ROOM; j++)
            all[i][j] = 0;
    for (int i = 0; i < s->nq; i++)
        for (int j = 0; j < s->nk; j++) {
            double slack, ds = attention_slope(s, a, i, j, &slack);
            for (int c = 0; c < s->d; c++) {
                double q = (double)a->q[i * s->q_stride + c], k = (double)a->k[j * s->k_stride + c];
                double g = (double)a->g[i * s->o_stride + c];
                dq[i * s->q_stride + c] += scale * ds * k;
                dk[j * s->k_stride + c] += scale * ds * q;
                dv[j * s->v_stride + c] += a->p[i][j] * g;
                dq_slack[i * s->q_stride + c] += fabs(scale * k) * (slack + 0x1p-24 * s->nk * fabs(ds));
                dk_slack[j * s->k_stride + c] += fabs(scale * q) * (slack + 0x1p-24 * s->nq * fabs(ds));
                dv_slack[j * s->v_stride + c] += fabs(g) * a->p[i][j] * (a->slack[i] + 0x1p-24 * s->nq);
            }
        }
    for (int i = 0; i < s->nq; i++)
        for (int c = 0; c < s->d; c++)
            expect_near(a->dq[i * s->q_stride + c], dq[i * s->q_stride + c], dq_slack[i * s->q_stride + c], "dq");
    for (int j = 0; j < s->nk; j++)
        for (int c = 0; c < s->d; c++) {
            expect_near(a->dk[j * s->k_stride + c], dk[j * s->k_stride + c], dk_slack[j * s->k_stride + c], "dk");
            expect_near(a->dv[j * s->v_stride + c], dv[j * s->v_stride + c], dv_slack[j * s->v_stride + c], "dv");
        }
}

/* One head of several, more than one block of keys, few queries, scales of both signs; scores up to about 20. */
static void test_attention(void **state)
{
    static attention_data a;
    static const ebb_attention_shape shapes[] = {
        {100, 100, 12, 24, 24, 24, 24, 0.289f}, {3, 70, 7, 9, 8, 7, 10, -2.0f}, {65, 1, 1, 1, 1, 1, 1, 1.0f},
        {40, 64, 8, 8, 8, 8, 8, 1.5f},
    };
    (void)state;
    fill(a.q, ROOM, 1);
    fill(a.k, ROOM, 2);
    fill(a.v, ROOM, 3);
    fill(a.g, ROOM, 4);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const ebb_attention_shape *s = &shapes[i];
        assert_true(ebb_attention_scratch(s) <= sizeof a.scratch);
        spec()->attention_f32(s, a.o, a.lse, a.q, a.k, a.v, a.scratch);
        spec()->attention_vjp_f32(s, a.dq, a.dk, a.dv, a.q, a.k, a.v, a.o, a.lse, a.g, a.scratch);
        attention_reference(s, &a);
        check_attention_forward(s, &a);
        check_attention_adjoint(s, &a);
    }
}

/* A key of score -inf takes no part; nothing but such, a NaN or +inf make the query's output NaN, and no other's. */
static void test_attention_masks(void **state)
{
    enum { KEYS = 66 };
    ebb_attention_shape s = {3, KEYS, 1, 1, 1, 1, 1, 1.0f};
    float q[3] = {1, 0.5f, NAN}, k[KEYS], v[KEYS], o[3], lse[3];
    (void)state;
    for (int j = 0; j < KEYS; j++) {
        k[j] = j < 64 ? -INFINITY : 2;
        v[j] = j < 64 ? 1e30f : j;
    }
    spec()->attention_f32(&s, o, lse, q, k, v, NULL);
    assert_true(o[0] == 64.5f && o[1] == 64.5f && isnan(o[2]));
    expect_near(lse[0], 1 + 2 / log(2.0), 1e-6, "lse");
    k[65] = INFINITY;
    spec()->attention_f32(&s, o, lse, q, k, v, NULL);
    assert_true(isnan(o[0]));
    k[64] = k[65] = -INFINITY;
    spec()->attention_f32(&s, o, lse, q, k, v, NULL);
    assert_true(isnan(o[0]));
}

/* ---- sums, resampling, optimiser -------------------------------------------------------------- */
static void test_sums(void **state)
{
    static float x[MAX], y[MAX];
    double sum = 0, squares = 0, dot = 0;
    (void)state;
    fill(x, MAX, 1);
    fill(y, MAX, 2);
    for (int i = 0; i < MAX - 5; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
        dot += (double)x[i] * y[i];
    }
    expect_near(spec()->sum_f32(MAX - 5, x), sum, 1e-3, "sum");
    expect_near(spec()->sumsq_f32(MAX - 5, x), squares, 1e-3, "sumsq");
    expect_near(spec()->dot_f32(MAX - 5, x, y), dot, 1e-3, "dot");
}

static void test_down2_is_the_adjoint_of_up2(void **state)
{
    enum { H = 3, W = 5, C = 7, N = H * W * C };
    float x[N], up[4 * N], u[4 * N], down[N];
    double left = 0, right = 0;
    (void)state;
    fill(x, N, 1);
    fill(u, 4 * N, 2);
    spec()->up2_f32(H, W, C, up, x);
    spec()->down2_f32(H, W, C, down, u);
    for (int i = 0; i < 4 * N; i++)
        left += (double)up[i] * u[i];
    for (int i = 0; i < N; i++)
        right += (double)down[i] * x[i];
    expect_near(left, right, 1e-4, "<u, up2 x>");
    assert_true(up[(2 * W + 1) * C + 2] == x[2]);  /* row 1, column 1 of y is pixel 0 */
}

/* Ten steps against Loshchilov & Hutter 2019, algorithm 2, in double precision. */
static void test_adamw(void **state)
{
    enum { N = 37 };
    float p[N], m[N] = {0}, v[N] = {0}, ema[N], g[N];
    double P[N], M[N] = {0}, V[N] = {0}, E[N];
    ebb_adamw h = {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f,
                   .grad_scale = 0.5f, .ema_keep = 0.95f};
    (void)state;
    fill(p, N, 1);
    for (int i = 0; i < N; i++)
        P[i] = E[i] = ema[i] = p[i];
    for (int step = 1; step <= 10; step++) {
        fill(g, N, 1 + (uint32_t)step);
        h.bias1 = (float)(1 / (1 - pow(h.beta1, step)));
        h.bias2 = (float)(1 / (1 - pow(h.beta2, step)));
        spec()->adamw_f32(N, p, m, v, ema, g, &h);
        for (int i = 0; i < N; i++) {
            double grad = 0.5 * g[i];
            M[i] = h.beta1 * M[i] + (1.0 - h.beta1) * grad;
            V[i] = h.beta2 * V[i] + (1.0 - h.beta2) * grad * grad;
            double update = M[i] / (1 - pow(h.beta1, step)) / (sqrt(V[i] / (1 - pow(h.beta2, step))) + h.eps);
            P[i] -= h.lr * (update + h.weight_decay * P[i]);
            E[i] = h.ema_keep * E[i] + (1.0 - h.ema_keep) * P[i];
        }
    }
    for (int i = 0; i < N; i++) {
        expect_near(p[i], P[i], 2e-6, "weights");
        expect_near(ema[i], E[i], 2e-6, "EMA");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_narrow_rounds_to_nearest_even),
        cmocka_unit_test(test_norm_bf16_is_the_f32_norm_rounded),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_softmax_masks),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_masks),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_down2_is_the_adjoint_of_up2),
        cmocka_unit_test(test_adamw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
