/* test_codes.c: codes of exact laws along the probability flow: ways between two are continuous with the constant that the
 * flow's own Jacobian gives, temperature scales a normal law exactly, and a law has one encoding whoever models it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diffusion/flow.h"
#include "diffusion/interpolate.h"
#include "diffusion/ode.h"
#include "support/laws.h"

enum { DIM = 2, STATE = DIM + DIM * DIM };

/* x (n,dim) in place from one time to another. */
static void solve(const ebb_process *p, const ebb_target *t, int64_t n, double from, double to, double *x)
{
    ebb_target_field self = {.all = t, .n = n};
    ebb_field field = ebb_field_of_target(&self);
    ebb_flow flow = {.process = p, .field = &field, .rtol = 1e-10, .atol = 1e-10};
    double *work = law_memory(ebb_flow_work(n, t->dim));
    law_ok(ebb_flow_solve(law_ctx, &flow, from, to, x, work));
    ebb_free(work);
}

static double *normals(uint64_t seed, int64_t n, int64_t count)
{
    double *x = law_memory((size_t)(n * count));
    float row[64];
    for (int64_t i = 0; i < n; i++) {
        ebb_rng_at at = {.seed = seed, .stream = EBB_STREAM_TEST, .step = 0, .sample = (uint32_t)i};
        law_ctx->kernels->normal_f32((size_t)count, row, &at);
        for (int64_t d = 0; d < count; d++)
            x[i * count + d] = row[d];
    }
    return x;
}

/* ---- ways between two codes --------------------------------------------------------------------------------------- */

typedef struct variation { const ebb_process *process; const ebb_target *law; int64_t n; } variation;

/* The flow and its derivative by where it starts: x' = c x - g^2/2 s(x), J' = (c - g^2/2 ds/dx) J. */
static int vary(void *self, const double *clock, const uint8_t *active, const double *y, double *dy)
{
    const variation *v = self;
    (void)active;
    for (int64_t i = 0; i < v->n; i++) {
        double score[DIM], slope[DIM * DIM], c = ebb_process_drift(v->process, clock[i]);
        double half = ebb_process_diffusion2(v->process, clock[i]) / 2;
        ebb_level at = ebb_process_level(v->process, clock[i]);
        const double *x = y + i * STATE, *jac = x + DIM;
        double *dx = dy + i * STATE, *djac = dx + DIM;
        ebb_target_at(v->law, x, at.alpha, at.sigma, NULL, score, slope, NULL);
        for (int r = 0; r < DIM; r++) {
            dx[r] = c * x[r] - half * score[r];
            for (int k = 0; k < DIM; k++) {
                djac[r * DIM + k] = c * jac[r * DIM + k];
                for (int m = 0; m < DIM; m++)
                    djac[r * DIM + k] -= half * slope[r * DIM + m] * jac[m * DIM + k];
            }
        }
    }
    return 0;
}

/* x0 (n,DIM) and its Jacobian (n,DIM,DIM) of codes (n,DIM), as rows (n,STATE). */
static void decode_with_jacobian(const ebb_process *p, const ebb_target *law, int64_t n, const double *codes, double *rows)
{
    variation v = {p, law, n};
    ebb_ode ode = {.n = n, .count = STATE, .f = vary, .self = &v, .from = p->end, .to = p->least_sample, .rtol = 1e-10, .atol = 1e-10};
    double *work = law_memory(ebb_ode_work(n, STATE));
    for (int64_t i = 0; i < n; i++) {
        const double one[DIM * DIM] = {1, 0, 0, 1};
        memcpy(rows + i * STATE, codes + i * DIM, DIM * sizeof *rows);
        memcpy(rows + i * STATE + DIM, one, sizeof one);
    }
    law_ok(ebb_ode_solve(law_ctx, &ode, rows, work));
    ebb_free(work);
}

/* Largest singular value of a (2,2). */
static double norm2(const double *a)
{
    double sum = a[0] * a[0] + a[1] * a[1] + a[2] * a[2] + a[3] * a[3], det = a[0] * a[3] - a[1] * a[2];
    return sqrt((sum + sqrt(fmax(sum * sum - 4 * det * det, 0))) / 2);
}

static double distance(const double *a, const double *b)
{
    return hypot(a[0] - b[0], a[1] - b[1]);
}

/* One way of M steps: each moves x_0 by at most L times its length, L the largest norm of the Jacobian on the way (which
 * the grid meets up to the square of a step: one part in a thousand), and as far as the Jacobian says, up to its own change. */
static void check_way(const ebb_process *p, const ebb_target *law, const double *a, const double *b, double *steepest)
{
    enum { M = 600 };
    double *codes = law_memory((M + 1) * DIM), *x = law_memory((M + 1) * DIM), *rows = law_memory((M + 1) * STATE), most = 0;
    for (int k = 0; k <= M; k++)
        ebb_interpolate_spherical(DIM, a, b, (double)k / M, codes + k * DIM);
    memcpy(x, codes, (M + 1) * DIM * sizeof *x);
    solve(p, law, M + 1, p->end, p->least_sample, x);
    decode_with_jacobian(p, law, M + 1, codes, rows);
    for (int k = 0; k <= M; k++) {
        law_near("the same end", distance(x + k * DIM, rows + k * STATE), 0, 1e-7);
        most = fmax(most, norm2(rows + k * STATE + DIM));
    }
    for (int k = 0; k < M; k++) {
        double step = distance(codes + (k + 1) * DIM, codes + k * DIM), moved = distance(x + (k + 1) * DIM, x + k * DIM);
        if (!(moved <= 1.001 * most * step))
            fail_msg("step %d of length %g moves x_0 by %g, more than L = %g allows", k, step, moved, most);
        double along[DIM] = {0}, turn[DIM * DIM];
        for (int r = 0; r < DIM; r++)
            for (int m = 0; m < DIM; m++)
                along[r] += 0.5 * (rows[k * STATE + DIM + r * DIM + m] + rows[(k + 1) * STATE + DIM + r * DIM + m]) *
                            (codes[(k + 1) * DIM + m] - codes[k * DIM + m]);
        for (int i = 0; i < DIM * DIM; i++)
            turn[i] = rows[(k + 1) * STATE + DIM + i] - rows[k * STATE + DIM + i];
        law_near("as far as the Jacobian says", moved, hypot(along[0], along[1]), step * norm2(turn) + 1e-8);
    }
    *steepest = fmax(*steepest, most);
    ebb_free(codes);
    ebb_free(x);
    ebb_free(rows);
}

static void test_ways_are_continuous(void **state)
{
    (void)state;
    enum { WAYS = 12 };
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_target narrow = law_mixture(), law;
    double *ends = normals(5, 2 * WAYS, DIM), steepest = 0, cov[3 * DIM * DIM];
    /* Wider parts: between narrow ones the map is too steep for a grid to meet the steepest place. */
    for (int i = 0; i < 3 * DIM * DIM; i++)
        cov[i] = 2 * narrow.cov[i];
    law_ok(ebb_target_create(law_ctx, 3, DIM, narrow.weight, narrow.mean, cov, NULL, &law));
    for (int i = 0; i < WAYS; i++)
        check_way(&p, &law, ends + 2 * i * DIM, ends + (2 * i + 1) * DIM, &steepest);
    /* Between modes the map is steep, or the test would see little. */
    assert_true(steepest > 5);
    ebb_free(ends);
    ebb_target_free(&narrow);
    ebb_target_free(&law);
    ebb_process_free(&p);
}

/* The great circle keeps the length of codes of one length; the line does not. */
static void test_length_on_the_way(void **state)
{
    (void)state;
    enum { COUNT = 48 };
    double *ends = normals(9, 2, COUNT), way[COUNT], length[2] = {0};
    for (int e = 0; e < 2; e++) {
        for (int d = 0; d < COUNT; d++)
            length[e] += ends[e * COUNT + d] * ends[e * COUNT + d];
        for (int d = 0; d < COUNT; d++)
            ends[e * COUNT + d] /= sqrt(length[e]);
    }
    for (int k = 0; k <= 10; k++) {
        double of_arc = 0, of_line = 0, u = 1 - k / 10.0, v = k / 10.0, cosine = cos(ebb_interpolate_angle(COUNT, ends, ends + COUNT));
        ebb_interpolate_spherical(COUNT, ends, ends + COUNT, v, way);
        for (int d = 0; d < COUNT; d++)
            of_arc += way[d] * way[d];
        ebb_interpolate_linear(COUNT, ends, ends + COUNT, v, way);
        for (int d = 0; d < COUNT; d++)
            of_line += way[d] * way[d];
        law_near("length on the great circle", of_arc, 1, 1e-12);
        law_near("length on the line", of_line, u * u + v * v + 2 * u * v * cosine, 1e-12);
    }
    ebb_free(ends);
}

/* ---- temperature -------------------------------------------------------------------------------------------------------- */

/* x_0 ~ N(0, s^2) is a line through 0 in x_T: scaled codes give scaled samples, whose deviation is tau s. */
static void test_temperature(void **state)
{
    (void)state;
    enum { N = 200 };
    static const double tau[] = {0.4, 0.8, 1.25};
    const double s = 0.7;
    double *true_x = normals(2, N, 1), x[N], code[N];
    ebb_target law = law_normal(0, s * s);
    for (int k = 0; k < EBB_PROCESS_COUNT; k++) {
        ebb_process p = law_process((ebb_process_kind)k, 100);
        double begin = p.least_sample, end = ebb_flow_end(&p), of_data = 0;
        for (int i = 0; i < N; i++) {
            code[i] = s * true_x[i];
            of_data += code[i] * code[i] / N;
        }
        solve(&p, &law, N, begin, end, code);
        for (size_t j = 0; j < sizeof tau / sizeof *tau; j++) {
            double square = 0;
            for (int i = 0; i < N; i++)
                x[i] = tau[j] * code[i];
            solve(&p, &law, N, end, begin, x);
            for (int i = 0; i < N; i++) {
                law_near(ebb_process_name((ebb_process_kind)k), x[i], tau[j] * s * true_x[i], 1e-7 * (1 + fabs(x[i])));
                square += x[i] * x[i] / N;
            }
            law_near("deviation", sqrt(square), tau[j] * sqrt(of_data), 1e-7);
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&law);
    ebb_free(true_x);
}

/* A law that is not centred shrinks towards a point in its midst, not towards 0: the picture of code 0. */
static void test_temperature_of_a_shifted_law(void **state)
{
    (void)state;
    enum { N = 50 };
    const double mean = 1.5, s = 0.5, tau = 0.6;
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_target law = law_normal(mean, s * s);
    double *x = normals(3, N, 1), scaled[N], of_zero = 0;
    for (int i = 0; i < N; i++)
        scaled[i] = tau * x[i];
    solve(&p, &law, N, p.end, p.least_sample, x);
    solve(&p, &law, N, p.end, p.least_sample, scaled);
    solve(&p, &law, 1, p.end, p.least_sample, &of_zero);
    law_near("the picture of code 0", of_zero, mean, 0.01);
    for (int i = 0; i < N; i++)
        law_near("towards it", scaled[i] - of_zero, tau * (x[i] - of_zero), 1e-8);
    ebb_target_free(&law);
    ebb_process_free(&p);
    ebb_free(x);
}

/* ---- one encoding ------------------------------------------------------------------------------------------------------ */

/* The mixture with its first part as two halves: another model of the same law. */
static ebb_target split(const ebb_target *t)
{
    double weight[4], mean[4 * DIM], cov[4 * DIM * DIM];
    int32_t label[4];
    for (int k = 0; k < 4; k++) {
        int from = k == 3 ? 0 : k;
        weight[k] = from == 0 ? (k == 3 ? 0.3 : 0.7) * t->weight[0] : t->weight[from];
        label[k] = t->label[from];
        memcpy(mean + k * DIM, t->mean + from * DIM, DIM * sizeof *mean);
        memcpy(cov + k * DIM * DIM, t->cov + from * DIM * DIM, DIM * DIM * sizeof *cov);
    }
    ebb_target out;
    law_ok(ebb_target_create(law_ctx, 4, DIM, weight, mean, cov, label, &out));
    return out;
}

static void test_two_models_of_a_law(void **state)
{
    (void)state;
    enum { N = 40 };
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_target one = law_mixture(), other = split(&one), foreign;
    double x[N * DIM], y[N * DIM], z[N * DIM], apart = 0;
    law_ok(ebb_target_named(law_ctx, "ring", &foreign));
    ebb_target_sample(&one, 4, 0, N, x, NULL);
    memcpy(y, x, sizeof x);
    memcpy(z, x, sizeof x);
    solve(&p, &one, N, p.least_sample, p.end, x);
    solve(&p, &other, N, p.least_sample, p.end, y);
    solve(&p, &foreign, N, p.least_sample, p.end, z);
    for (int i = 0; i < N * DIM; i++) {
        law_near("the same code", x[i], y[i], 1e-8);
        apart += (x[i] - z[i]) * (x[i] - z[i]) / (N * DIM);
    }
    /* Codes by a model of another law are others. */
    assert_true(sqrt(apart) > 0.5);
    ebb_target_free(&one);
    ebb_target_free(&other);
    ebb_target_free(&foreign);
    ebb_process_free(&p);
}

/* In x/alpha over sigma/alpha the flow of every process is one curve: between the same two levels all encode alike. */
static void test_every_process(void **state)
{
    (void)state;
    enum { N = 20 };
    const double least = 0.05, most = 30;
    ebb_target law = law_mixture();
    double x[N * DIM], y[N * DIM], first[N * DIM];
    ebb_target_sample(&law, 6, 0, N, x, NULL);
    for (int k = 0; k < EBB_PROCESS_COUNT; k++) {
        ebb_process p = law_process((ebb_process_kind)k, 1000);
        double from = ebb_process_time(&p, -log(least)), to = ebb_process_time(&p, -log(most));
        double in = ebb_process_level(&p, from).alpha, out = ebb_process_level(&p, to).sigma;
        for (int i = 0; i < N * DIM; i++)
            y[i] = in * x[i];
        solve(&p, &law, N, from, to, y);
        for (int i = 0; i < N * DIM; i++) {
            first[i] = k == 0 ? y[i] / out : first[i];
            law_near(ebb_process_name((ebb_process_kind)k), y[i] / out, first[i], 1e-6);
        }
        ebb_process_free(&p);
    }
    ebb_target_free(&law);
}

/* ---- the ends --------------------------------------------------------------------------------------------------------- */

/* A chain whose last step is pure noise: codes lie a step before, and lead back. */
static void test_pure_noise(void **state)
{
    (void)state;
    enum { N = 10 };
    ebb_process wanted = {.kind = EBB_PROCESS_DDPM}, p;
    law_ok(ebb_schedule_create(law_ctx, EBB_SCHEDULE_LINEAR, 200, 5e-4, 0.1, &wanted.chain));
    law_ok(ebb_schedule_zero_snr(law_ctx, &wanted.chain));
    law_ok(ebb_process_create(law_ctx, &wanted, &p));
    ebb_target law = law_mixture();
    double x[N * DIM], y[N * DIM];
    assert_true(ebb_process_level(&p, p.end).alpha == 0);
    assert_true(ebb_flow_end(&p) == p.end - 1);
    ebb_target_sample(&law, 6, 0, N, x, NULL);
    memcpy(y, x, sizeof x);
    solve(&p, &law, N, p.least_sample, ebb_flow_end(&p), y);
    double square = 0;
    for (int i = 0; i < N * DIM; i++)
        square += y[i] * y[i] / (N * DIM);
    assert_true(square > 0.3 && square < 3);
    solve(&p, &law, N, ebb_flow_end(&p), p.least_sample, y);
    for (int i = 0; i < N * DIM; i++)
        law_near("there and back", y[i], x[i], 1e-6);
    ebb_target_free(&law);
    ebb_process_free(&p);
}

typedef struct meter { double last; int calls, stop_at; } meter;

static int on_way(void *user, double done)
{
    meter *m = user;
    assert_true(done >= 0 && done <= 1);
    m->last = done;
    return ++m->calls == m->stop_at;
}

/* The last evaluation is at the end of the way; and the way can be stopped. */
static void test_told_of_the_way(void **state)
{
    (void)state;
    ebb_process p = law_process(EBB_PROCESS_VP, 0);
    ebb_target law = law_mixture();
    ebb_target_field self = {.all = &law, .n = 1};
    ebb_field field = ebb_field_of_target(&self);
    meter m = {0};
    ebb_flow flow = {.process = &p, .field = &field, .user = &m, .evaluated = on_way};
    double x[DIM] = {0.4, 0.9}, *work = law_memory(ebb_flow_work(1, DIM));
    law_ok(ebb_flow_encode(law_ctx, &flow, x, work));
    assert_int_equal(m.calls, flow.nfe);
    assert_true(m.last == 1);
    m = (meter){.stop_at = 5};
    assert_int_equal(ebb_flow_decode(law_ctx, &flow, x, work), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(law_ctx), "stopped"));
    assert_int_equal(m.calls, 5);
    ebb_free(work);
    ebb_target_free(&law);
    ebb_process_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ways_are_continuous),          cmocka_unit_test(test_length_on_the_way),
        cmocka_unit_test(test_temperature),                  cmocka_unit_test(test_temperature_of_a_shifted_law),
        cmocka_unit_test(test_two_models_of_a_law),          cmocka_unit_test(test_every_process),
        cmocka_unit_test(test_pure_noise),                   cmocka_unit_test(test_told_of_the_way),
    };
    return cmocka_run_group_tests_name("codes", tests, laws_begin, laws_end);
}
