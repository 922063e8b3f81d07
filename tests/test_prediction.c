/* test_prediction.c: networks that predict v = signal*noise - sigma*x0 (Salimans & Ho 2022, app. D).
 *
 * The loss is checked against the network's own output computed apart; the way back to eps against the
 * noise that made v.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "support/nets.h"

enum { N = 2, BATCH = 3 };

static int numbers(const ebb_network *net) { return net->u.unet.size_h * net->u.unet.size_w * net->u.unet.channels; }

typedef struct problem {
    float *x0, *noise, *xt;      /* (N, numbers) */
    float signal[N], sigma[N], t[N];
    int32_t label[N];
} problem;

static problem make_problem(int count)
{
    problem p = {.signal = {.8f, .1f}, .t = {200, 900}, .label = {1, 0}};
    p.x0 = net_memory((size_t)(N * count), sizeof(float));
    p.noise = net_memory((size_t)(N * count), sizeof(float));
    p.xt = net_memory((size_t)(N * count), sizeof(float));
    for (int i = 0; i < N; i++) {
        p.sigma[i] = (float)sqrt(1 - (double)p.signal[i] * p.signal[i]);
        net_ctx->kernels->normal_f32((size_t)count, p.noise + i * count, &(ebb_rng_at){1, EBB_STREAM_TEST, 0, (uint32_t)i});
        net_ctx->kernels->normal_f32((size_t)count, p.x0 + i * count, &(ebb_rng_at){2, EBB_STREAM_TEST, 0, (uint32_t)i});
        for (int k = i * count; k < (i + 1) * count; k++)
            p.xt[k] = p.signal[i] * p.x0[k] + p.sigma[i] * p.noise[k];
    }
    return p;
}

static void free_problem(problem *p)
{
    ebb_free(p->x0);
    ebb_free(p->noise);
    ebb_free(p->xt);
}

/* What the loss must be, from the output of the network on x_t. */
static double expected_loss(const ebb_network *net, const problem *p)
{
    int count = numbers(net);
    double sum = 0;
    struct net e = net_eps(net, N);
    net_put(&e, "x", p->xt, (size_t)(N * count) * sizeof(float));
    net_put(&e, "t", p->t, sizeof p->t);
    net_put(&e, "label", p->label, sizeof p->label);
    ebb_plan_run(e.plan, 0);
    const float *out = ebb_plan_output(e.plan, 0, 0);
    for (int k = 0; k < N * count; k++) {
        int i = k / count;
        double v = (double)p->signal[i] * p->noise[k] - (double)p->sigma[i] * p->x0[k];
        double target = net->prediction == EBB_PREDICT_V ? v : p->noise[k];
        sum += (out[k] - target) * (out[k] - target);
    }
    net_free(&e);
    return sum / ((double)BATCH * count);
}

static void check_loss(ebb_prediction prediction)
{
    ebb_network net = unet_tiny;
    net.prediction = prediction;
    problem p = make_problem(numbers(&net));
    size_t bytes = (size_t)(N * numbers(&net)) * sizeof(float);
    struct net e = net_loss(&net, N, BATCH);
    net_put(&e, "x0", p.x0, bytes);
    net_put(&e, "noise", p.noise, bytes);
    net_put(&e, "signal", p.signal, sizeof p.signal);
    net_put(&e, "sigma", p.sigma, sizeof p.sigma);
    net_put(&e, "t", p.t, sizeof p.t);
    net_put(&e, "label", p.label, sizeof p.label);
    ebb_plan_run(e.plan, 0);
    double want = expected_loss(&net, &p), got = *ebb_plan_output(e.plan, 0, 0);
    assert_true(fabs(got - want) <= 2e-6 * want);
    net_free(&e);
    free_problem(&p);
}

static void test_loss_of_epsilon(void **state)
{
    (void)state;
    check_loss(EBB_PREDICT_EPSILON);
}

static void test_loss_of_v(void **state)
{
    (void)state;
    check_loss(EBB_PREDICT_V);
}

/* What the network is trained to give, put back, is the noise and the picture again: at every level, for every type. */
static void test_coefficients(void **state)
{
    (void)state;
    const double levels[][2] = {{0.999, 0.0447}, {0.6, 0.8}, {0.01, 0.99995}, {1, 0.01}, {1, 50}, {0.3, 0.7}};
    for (int kind = 0; kind < EBB_PREDICTIONS; kind++)
        for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
            double a = levels[l][0], s = levels[l][1], x0 = -0.37, eps = 1.3, x = a * x0 + s * eps;
            ebb_coefficients c = ebb_prediction_coefficients((ebb_prediction)kind, a, s, 0.5);
            double f = c.noise * eps + c.x0 * x0;
            assert_true(fabs(c.eps_x * x + c.eps_f * f - eps) <= 1e-9 / s);
            assert_true(fabs(c.x0_x * x + c.x0_f * f - x0) <= 1e-9 / a);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_of_epsilon),
        cmocka_unit_test(test_loss_of_v),
        cmocka_unit_test(test_coefficients),
    };
    if (ebb_context_create(NULL, &net_ctx) != EBB_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(net_ctx);
    return failed;
}
