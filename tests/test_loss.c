/* test_loss.c: every loss of losses.def for every prediction, in double, beside plain loops and differences.
 *
 * The plain form knows the network's output only: it moves x_t and looks what eps_hat does.
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

#include "diffusion/diffusion.h"
#include "support/oracle.h"
#include "model/recipe.h"

enum { N = 2, BATCH = 4, NUMBERS_MAX = 16, VALUES_MAX = 256 };

static ebb_context *ctx;

static void ok(ebb_status status)
{
    if (status != EBB_OK)
        fail_msg("%s", ebb_message(ctx));
}

static const ebb_network mlp = {.kind = EBB_NET_MLP, .sigma_data = 0.6,
                                .u.mlp = {.inputs = 2, .width = 6, .depth = 2, .time_dim = 4}};
/* Attention, group norm, both ways of resampling. */
static const ebb_network unet = {.kind = EBB_NET_UNET, .sigma_data = 0.6,
                                 .u.unet = {.channels = 1, .size_h = 4, .size_w = 4, .base = 4, .levels = 2,
                                            .mult = {1, 2}, .attention = {0, 1}, .blocks = 1, .groups = 2, .eps = 1e-5f}};

static double draw(uint32_t step, uint32_t i, bool sign)
{
    ebb_rng_at at = {.seed = 5, .stream = EBB_STREAM_TEST, .step = step, .sample = i};
    double u = ebb_rng_uniform(&at, 0);
    return sign ? (u < 0.5 ? -1 : 1) : 2 * u - 1;
}

/* ---- one problem: a batch of N pictures at two levels ----------------------------------------------------------- */

typedef struct problem {
    ebb_network net;
    ebb_objective objective;
    int count;                                   /* numbers of a picture */
    ebb_level at[N];
    double weight[N];
    double x0[N * NUMBERS_MAX], noise[N * NUMBERS_MAX], probe[N * NUMBERS_MAX], exact[N * NUMBERS_MAX];
    ebb_graph *g, *eval;
    oracle *o, *eo;
    ebb_value value[VALUES_MAX], out, variance;
    double row[4][N];                            /* of the bound: log_low, log_high, mean_f, decoded */
    ebb_process process;
    double *param[VALUES_MAX];
} problem;

static ebb_coefficients coefficients(const problem *p, int i)
{
    return ebb_prediction_coefficients(p->net.prediction, p->at[i].alpha, p->at[i].sigma, p->net.sigma_data);
}

static ebb_value leaf(const ebb_graph *g, const char *name)
{
    for (int i = 0; i < g->ninputs; i++)
        if (strcmp(g->node[g->inputs[i]].name, name) == 0)
            return g->inputs[i];
    return EBB_NONE;
}

static void set(oracle *o, const ebb_graph *g, const char *name, const double *data)
{
    ebb_value v = leaf(g, name);
    if (v != EBB_NONE)
        oracle_set(o, v, data);
}

static void set_params(problem *p)
{
    for (int i = 0; i < p->g->nparams; i++) {
        oracle_set(p->o, p->g->params[i], p->param[i]);
        oracle_set(p->eo, p->eval->params[i], p->param[i]);
    }
}

static void set_inputs(problem *p)
{
    double row[9][N];
    const char *const names[] = {"signal", "sigma", "t", "in", "target_noise", "target_x0", "eps_x", "eps_f", "weight"};
    for (int i = 0; i < N; i++) {
        ebb_coefficients c = coefficients(p, i);
        double numbers[] = {p->at[i].alpha, p->at[i].sigma, 999 * p->at[i].t, c.in, c.noise, c.x0, c.eps_x, c.eps_f, p->weight[i]};
        for (int k = 0; k < 9; k++)
            row[k][i] = numbers[k];
    }
    for (int k = 0; k < 9; k++)
        set(p->o, p->g, names[k], row[k]);
    const char *const bound[] = {"log_low", "log_high", "mean_f", "decoded"};
    for (int k = 0; k < 4; k++)
        set(p->o, p->g, bound[k], p->row[k]);
    set(p->eo, p->eval, "t", row[2]);
    set(p->o, p->g, "x0", p->x0);
    set(p->o, p->g, "noise", p->noise);
    set(p->o, p->g, "probe", p->probe);
    set(p->o, p->g, "exact", p->exact);
}

static problem *make(const ebb_network *net, ebb_prediction prediction, ebb_loss_kind loss, ebb_weighting weighting)
{
    problem *p = calloc(1, sizeof *p);
    ebb_process vp = {.kind = loss == EBB_LOSS_BOUND ? EBB_PROCESS_DDPM : EBB_PROCESS_VP};
    if (loss == EBB_LOSS_BOUND)
        ok(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 8, 1e-3, 0.2, &vp.chain));
    ok(ebb_process_create(ctx, &vp, &vp));
    p->net = *net;
    p->net.prediction = prediction;
    p->net.learned_variance = loss == EBB_LOSS_BOUND;
    p->objective = (ebb_objective){.loss = loss, .weighting = weighting};
    p->count = (int)ebb_shape_count(ebb_network_shape(net, 1));
    for (int i = 0; i < N; i++) {
        p->at[i] = ebb_process_level(&vp, loss == EBB_LOSS_BOUND ? 5 * i : i == 0 ? 0.2 : 0.6);
        double f = coefficients(p, i).eps_f;
        p->weight[i] = ebb_weight(&p->objective, &vp, &p->net, p->at[i].t) * (loss == EBB_LOSS_DENOISING ? f * f : 1);
    }
    for (int i = 0; i < N && p->net.learned_variance; i++) {
        ebb_loss_scales s = ebb_loss_scales_at(&p->objective, &vp, &p->net, p->at[i].t);
        double numbers[] = {s.log_low, s.log_high, s.mean_f, s.decoded};
        for (int k = 0; k < 4; k++)
            p->row[k][i] = numbers[k];
    }
    for (int k = 0; k < N * p->count; k++) {
        p->x0[k] = draw(1, (uint32_t)k, false);
        p->noise[k] = draw(2, (uint32_t)k, false);
        p->probe[k] = draw(3, (uint32_t)k, true);
        p->exact[k] = draw(4, (uint32_t)k, false);
    }
    ok(ebb_graph_create(ctx, &p->g));
    ok(ebb_loss_build(p->g, &p->net, &p->objective, N, BATCH, p->value, VALUES_MAX));
    ok(ebb_graph_create(ctx, &p->eval));
    ebb_value x = ebb_input(p->eval, "x", EBB_F32, ebb_network_shape(net, N));
    p->out = ebb_network_outputs(p->eval, &p->net, x, ebb_input(p->eval, "t", EBB_F32, EBB_SHAPE(N)), EBB_NONE, &p->variance);
    ok(ebb_graph_status(p->eval));
    p->o = oracle_create(p->g);
    p->eo = oracle_create(p->eval);
    for (int i = 0; i < p->g->nparams; i++) {
        int64_t n = ebb_shape_count(ebb_graph_shape(p->g, p->g->params[i]));
        p->param[i] = malloc((size_t)n * sizeof(double));
        for (int64_t k = 0; k < n; k++)
            p->param[i][k] = 0.8 * draw(10 + (uint32_t)i, (uint32_t)k, false);
    }
    set_params(p);
    set_inputs(p);
    p->process = vp;
    return p;
}

static void drop(problem *p)
{
    oracle_free(p->o);
    oracle_free(p->eo);
    ebb_process_free(&p->process);
    for (int i = 0; i < p->g->nparams; i++)
        free(p->param[i]);
    ebb_graph_free(p->g);
    ebb_graph_free(p->eval);
    free(p);
}

static double loss_of(problem *p)
{
    oracle_run(p->o);
    return *oracle_get(p->o, p->value[0]);
}

/* ---- the plain form --------------------------------------------------------------------------------------------- */

/* F and eps_hat at x_t + h * direction. */
static void evaluate(problem *p, double h, const double *direction, double *f, double *eps)
{
    double in[N * NUMBERS_MAX], x[N * NUMBERS_MAX];
    for (int k = 0; k < N * p->count; k++) {
        int i = k / p->count;
        x[k] = p->at[i].alpha * p->x0[k] + p->at[i].sigma * p->noise[k] + (h != 0 ? h * direction[k] : 0);
        in[k] = coefficients(p, i).in * x[k];
    }
    oracle_set(p->eo, leaf(p->eval, "x"), in);
    oracle_run(p->eo);
    const double *out = oracle_get(p->eo, p->out);
    for (int k = 0; k < N * p->count; k++) {
        ebb_coefficients c = coefficients(p, k / p->count);
        if (f != NULL)
            f[k] = out[k];
        eps[k] = c.eps_x * x[k] + c.eps_f * out[k];
    }
}

/* v.(d eps_hat/dx) v of each picture, by five points. */
static void along(problem *p, const double *v, double *result)
{
    static const double at[4] = {-2, -1, 1, 2}, by[4] = {1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};
    double eps[N * NUMBERS_MAX], h = 1e-3;
    for (int i = 0; i < N; i++)
        result[i] = 0;
    for (int j = 0; j < 4; j++) {
        evaluate(p, at[j] * h, v, NULL, eps);
        for (int k = 0; k < N * p->count; k++)
            result[k / p->count] += by[j] / h * v[k] * eps[k];
    }
}

static void divergence(problem *p, double *result)
{
    double one[N * NUMBERS_MAX], part[N];
    for (int i = 0; i < N; i++)
        result[i] = 0;
    for (int d = 0; d < p->count; d++) {
        for (int k = 0; k < N * p->count; k++)
            one[k] = k % p->count == d;
        along(p, one, part);
        for (int i = 0; i < N; i++)
            result[i] += part[i];
    }
}

static double plain_loss(problem *p)
{
    double f[N * NUMBERS_MAX], eps[N * NUMBERS_MAX], curve[N], total = 0;
    evaluate(p, 0, NULL, f, eps);
    if (p->objective.loss == EBB_LOSS_IMPLICIT_EXACT)
        divergence(p, curve);
    else
        along(p, p->probe, curve);
    for (int i = 0; i < N; i++) {
        ebb_coefficients c = coefficients(p, i);
        double norm = 0, dot = 0, answer = 0, exact = 0;
        for (int k = i * p->count; k < (i + 1) * p->count; k++) {
            double error = f[k] - (c.noise * p->noise[k] + c.x0 * p->x0[k]);
            norm += eps[k] * eps[k];
            dot += eps[k] * p->probe[k];
            answer += error * error;
            exact += (eps[k] - p->exact[k]) * (eps[k] - p->exact[k]);
        }
        double by_kind[EBB_LOSSES] = {
            [EBB_LOSS_DENOISING] = answer,
            [EBB_LOSS_EXPLICIT] = exact,
            [EBB_LOSS_IMPLICIT] = norm - 2 * p->at[i].sigma * curve[i],
            [EBB_LOSS_IMPLICIT_EXACT] = norm - 2 * p->at[i].sigma * curve[i],
            [EBB_LOSS_SLICED] = dot * dot - 2 * p->at[i].sigma * curve[i],
        };
        total += p->weight[i] * by_kind[p->objective.loss];
    }
    return total / (BATCH * p->count);
}

static void check_value(const ebb_network *net, int prediction, int loss, ebb_weighting weighting)
{
    problem *p = make(net, (ebb_prediction)prediction, (ebb_loss_kind)loss, weighting);
    double got = loss_of(p), want = plain_loss(p);
    if (!(fabs(got - want) <= 1e-8 * (1 + fabs(want))))
        fail_msg("%s of %s, weighting %s: %.12g instead of %.12g", ebb_loss_name((ebb_loss_kind)loss),
                 ebb_prediction_name((ebb_prediction)prediction), ebb_weighting_name(weighting), got, want);
    drop(p);
}

/* The bound is of learned variances, below; classification of classifiers (test_classifier.c). */
static bool of_noise(int loss)
{
    return loss != EBB_LOSS_BOUND && loss != EBB_LOSS_CLASSIFICATION;
}

static void test_values(void **state)
{
    (void)state;
    for (int loss = 0; loss < EBB_LOSSES; loss++)
        for (int prediction = 0; of_noise(loss) && prediction < EBB_PREDICTIONS; prediction++) {
            check_value(&mlp, prediction, loss, EBB_WEIGHT_SIMPLE);
            check_value(&mlp, prediction, loss, EBB_WEIGHT_MIN_SNR);
        }
    check_value(&unet, EBB_PREDICT_V, EBB_LOSS_IMPLICIT, EBB_WEIGHT_SIMPLE);
    check_value(&unet, EBB_PREDICT_EDM, EBB_LOSS_IMPLICIT, EBB_WEIGHT_EDM);
    check_value(&unet, EBB_PREDICT_EPSILON, EBB_LOSS_SLICED, EBB_WEIGHT_SIMPLE);
    check_value(&unet, EBB_PREDICT_V, EBB_LOSS_IMPLICIT_EXACT, EBB_WEIGHT_SIMPLE);
}

/* The bound from textbook forms: posterior of x_0 beside that of the network's x_0, or the mass of a grey level. */
static double plain_bound(problem *p)
{
    double f[N * NUMBERS_MAX], eps[N * NUMBERS_MAX], total = 0;
    evaluate(p, 0, NULL, f, eps);
    for (int k = 0; k < N * p->count; k++) {
        int i = k / p->count, t = (int)p->at[i].t;
        const double *bar = p->process.chain.alpha_bar;
        double beta = p->process.chain.beta[t], before = t > 0 ? bar[t - 1] : 1, v = oracle_get(p->eo, p->variance)[k];
        double small = t > 0 ? (1 - before) / (1 - bar[t]) * beta : (1 - bar[0]) / (1 - bar[1]) * p->process.chain.beta[1];
        double log_var = (v + 1) / 2 * log(beta) + (1 - v) / 2 * log(small), var = exp(log_var);
        double x = p->at[i].alpha * p->x0[k] + p->at[i].sigma * p->noise[k], guess = (x - p->at[i].sigma * eps[k]) / p->at[i].alpha;
        double by_x0 = sqrt(before) * beta / (1 - bar[t]), by_x = sqrt(1 - beta) * (1 - before) / (1 - bar[t]);
        double want = by_x0 * p->x0[k] + by_x * x, have = by_x0 * guess + by_x * x, part;
        if (t > 0)
            part = 0.5 * (log_var - log(small) - 1 + small / var + (want - have) * (want - have) / var);
        else if (p->net.kind == EBB_NET_MLP)
            part = 0.5 * (log(2 * acos(-1.0)) + log_var + (p->x0[k] - have) * (p->x0[k] - have) / var);
        else {
            double side[2];
            for (int s = 0; s < 2; s++) {
                double z = (p->x0[k] + (s ? -1.0 : 1.0) / 255 - have) / sqrt(var);
                side[s] = 0.5 * (1 + tanh(sqrt(2 / acos(-1.0)) * (z + 0.044715 * z * z * z)));
            }
            part = -log(fmax(p->x0[k] < -0.999 ? side[0] : p->x0[k] > 0.999 ? 1 - side[1] : side[0] - side[1], 1e-12));
        }
        total += part / log(2.0);
    }
    return total / (BATCH * p->count);
}

static void test_bound(void **state)
{
    (void)state;
    static const ebb_prediction kinds[] = {EBB_PREDICT_EPSILON, EBB_PREDICT_V, EBB_PREDICT_X0, EBB_PREDICT_EDM};
    for (int j = 0; j < 8; j++) {
        problem *p = make(j % 2 ? &unet : &mlp, kinds[j / 2], EBB_LOSS_BOUND, EBB_WEIGHT_SIMPLE);
        /* The picture at step 0 has black and white, and the network nearly knows it: both tails count. */
        p->x0[0] = 1;
        p->x0[1] = -1;
        set_inputs(p);
        double got = loss_of(p), want = plain_bound(p);
        if (!(fabs(got - want) <= 2e-5 * (1 + fabs(want))))
            fail_msg("vlb of %s: %.10g instead of %.10g", ebb_prediction_name(p->net.prediction), got, want);
        drop(p);
    }
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/* The loss with all parameters moved by h along u. */
static double moved(problem *p, double h)
{
    for (int i = 0; i < p->g->nparams; i++) {
        int64_t n = ebb_shape_count(ebb_graph_shape(p->g, p->g->params[i]));
        for (int64_t k = 0; k < n; k++)
            p->param[i][k] += h * draw(500 + (uint32_t)i, (uint32_t)k, false);
    }
    set_params(p);
    return loss_of(p);
}

/* Along a random direction of all parameters, against five points. */
static void check_gradient(const ebb_network *net, int prediction, int loss)
{
    problem *p = make(net, (ebb_prediction)prediction, (ebb_loss_kind)loss, EBB_WEIGHT_SIMPLE);
    double slope = 0, size = 0, h = 1e-3, f[4];
    oracle_run(p->o);
    for (int i = 0; i < p->g->nparams; i++) {
        const double *g = oracle_get(p->o, p->value[1 + i]);
        for (int64_t k = 0; k < ebb_shape_count(ebb_graph_shape(p->g, p->g->params[i])); k++) {
            slope += g[k] * draw(500 + (uint32_t)i, (uint32_t)k, false);
            size += fabs(g[k]);
        }
    }
    f[0] = moved(p, -2 * h);
    f[1] = moved(p, h);
    f[2] = moved(p, 2 * h);
    f[3] = moved(p, h);
    double difference = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
    if (!(size > 1e-3 && fabs(slope - difference) <= 1e-6 * (1 + fabs(slope))))
        fail_msg("gradient of %s of %s: %.12g, differences %.12g", ebb_loss_name((ebb_loss_kind)loss),
                 ebb_prediction_name((ebb_prediction)prediction), slope, difference);
    drop(p);
}

static void test_gradients(void **state)
{
    (void)state;
    for (int loss = 0; loss < EBB_LOSSES; loss++)
        for (int prediction = 0; of_noise(loss) && prediction < EBB_PREDICTIONS; prediction++)
            check_gradient(&mlp, prediction, loss);
    check_gradient(&mlp, EBB_PREDICT_EPSILON, EBB_LOSS_BOUND);
    check_gradient(&mlp, EBB_PREDICT_V, EBB_LOSS_BOUND);
    check_gradient(&unet, EBB_PREDICT_V, EBB_LOSS_IMPLICIT);
    check_gradient(&unet, EBB_PREDICT_EPSILON, EBB_LOSS_IMPLICIT_EXACT);
    check_gradient(&unet, EBB_PREDICT_EDM, EBB_LOSS_SLICED);
}

/* ---- the estimate -------------------------------------------------------------------------------------------------- */

/* Over all signs of the probe, Hutchinson's estimate is the divergence, and the sliced norm is the norm. */
static void test_all_signs(void **state)
{
    (void)state;
    problem *exact = make(&mlp, EBB_PREDICT_V, EBB_LOSS_IMPLICIT_EXACT, EBB_WEIGHT_SIMPLE);
    double want = loss_of(exact);
    for (int kind = 0; kind < 2; kind++) {
        problem *p = make(&mlp, EBB_PREDICT_V, kind ? EBB_LOSS_SLICED : EBB_LOSS_IMPLICIT, EBB_WEIGHT_SIMPLE);
        double mean = 0, spread = 0;
        for (int signs = 0; signs < 4; signs++) {
            for (int k = 0; k < N * p->count; k++)
                p->probe[k] = signs >> k % p->count & 1 ? 1 : -1;
            set_inputs(p);
            double loss = loss_of(p);
            mean += loss / 4;
            spread = fmax(spread, fabs(loss - want));
        }
        assert_true(fabs(mean - want) <= 1e-12 && spread > 1e-3);
        drop(p);
    }
    drop(exact);
}

/* Integration by parts: for a normal law and the noise it has, implicit is denoising less 1 in expectation. x_0 ~ N(0,1) in
 * two dimensions, many draws: the mean difference lies within 4 standard errors, and those are small. */
static void test_by_parts(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    problem *p[2] = {make(&mlp, EBB_PREDICT_EPSILON, EBB_LOSS_DENOISING, EBB_WEIGHT_SIMPLE),
                     make(&mlp, EBB_PREDICT_EPSILON, EBB_LOSS_IMPLICIT_EXACT, EBB_WEIGHT_SIMPLE)};
    double sum = 0, squares = 0;
    for (uint32_t d = 0; d < DRAWS; d++) {
        float z[8];
        ctx->kernels->normal_f32(8, z, &(ebb_rng_at){6, EBB_STREAM_TEST, 0, d});
        double difference = (double)N / BATCH;
        for (int j = 0; j < 2; j++) {
            for (int k = 0; k < 4; k++) {
                p[j]->x0[k] = z[k];
                p[j]->noise[k] = z[4 + k];
            }
            set_inputs(p[j]);
            difference += j == 0 ? -loss_of(p[j]) : loss_of(p[j]);
        }
        sum += difference;
        squares += difference * difference;
    }
    double mean = sum / DRAWS, error = sqrt((squares / DRAWS - mean * mean) / DRAWS);
    assert_true(fabs(mean) < 4 * error && error < 0.05);
    drop(p[0]);
    drop(p[1]);
}

/* ---- refusals and lists --------------------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    ebb_value values[VALUES_MAX];
    ebb_graph *g;
    ebb_network large = unet;
    large.u.unet.size_h = large.u.unet.size_w = 16;
    ok(ebb_graph_create(ctx, &g));
    ebb_objective o = {.loss = EBB_LOSS_IMPLICIT_EXACT};
    assert_int_equal(ebb_loss_build(g, &large, &o, 1, 1, values, VALUES_MAX), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "use implicit"));
    assert_int_equal(ebb_loss_build(g, &mlp, &(ebb_objective){.loss = EBB_LOSSES}, 1, 1, values, VALUES_MAX), EBB_E_ARGUMENT);
    assert_int_equal(ebb_loss_build(g, &mlp, &(ebb_objective){0}, 3, 2, values, VALUES_MAX), EBB_E_ARGUMENT);
    ebb_graph_free(g);
}

static void join(char *text, const char *name)
{
    if (*text != 0)
        strcat(text, "|");
    strcat(text, name);
}

/* The words of recipe.def are the rows of the lists, in their order. */
static void test_lists(void **state)
{
    (void)state;
    char losses[512] = "", weightings[512] = "";
    for (int i = 0; i < EBB_LOSSES; i++) {
        join(losses, ebb_loss_name((ebb_loss_kind)i));
        assert_int_equal(ebb_loss_find(ebb_loss_name((ebb_loss_kind)i)), i);
    }
    for (int i = 0; i < EBB_WEIGHTINGS; i++) {
        join(weightings, ebb_weighting_name((ebb_weighting)i));
        assert_int_equal(ebb_weighting_find(ebb_weighting_name((ebb_weighting)i)), i);
    }
    assert_int_equal(ebb_loss_find("nothing"), EBB_LOSSES);
    assert_int_equal(ebb_weighting_find("nothing"), EBB_WEIGHTINGS);
    for (int i = 0; i < ebb_keys_count; i++) {
        if (strcmp(ebb_keys[i].full, "loss.kind") == 0)
            assert_string_equal(ebb_keys[i].choices, losses);
        if (strcmp(ebb_keys[i].full, "loss.weighting") == 0)
            assert_string_equal(ebb_keys[i].choices, weightings);
    }
}

/* A chain that ends in noise alone, snr 0: for v and x0 every weighting has a limit, and in between they agree with what
 * they say of the picture. */
static void test_no_signal(void **state)
{
    (void)state;
    ebb_process p = {.kind = EBB_PROCESS_DDPM};
    ok(ebb_schedule_create(ctx, EBB_SCHEDULE_LINEAR, 4, 0.1, 0.5, &p.chain));
    p.chain.alpha_bar[3] = 0;
    ok(ebb_process_create(ctx, &p, &p));
    for (int w = 0; w < EBB_WEIGHTINGS; w++)
        for (int k = 0; k < 2; k++) {
            ebb_network net = {.prediction = k ? EBB_PREDICT_V : EBB_PREDICT_X0, .sigma_data = 0.5};
            ebb_objective o = {.weighting = (ebb_weighting)w};
            float last = ebb_loss_scales_at(&o, &p, &net, 3).weight;
            if (w != EBB_WEIGHT_LIKELIHOOD)
                assert_true(isfinite(last) && last >= 0);
            if (w == EBB_WEIGHT_X0 || w == EBB_WEIGHT_TRUNCATED || w == EBB_WEIGHT_SNR_PLUS_1)
                assert_true(fabs(last - 1) < 1e-6);
            /* Losses of eps_hat are constant there: they do not count. */
            o.loss = EBB_LOSS_IMPLICIT;
            ebb_loss_scales s = ebb_loss_scales_at(&o, &p, &net, 3), before = ebb_loss_scales_at(&o, &p, &net, 2);
            assert_true(s.eps_f == 0 && s.weight == 0);
            assert_true(before.weight > 0 && isfinite(before.weight));
        }
    ebb_process_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_gradients), cmocka_unit_test(test_all_signs),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_by_parts),  cmocka_unit_test(test_refusals),  cmocka_unit_test(test_no_signal), cmocka_unit_test(test_lists),
    };
    if (ebb_context_create(NULL, &ctx) != EBB_OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ebb_context_free(ctx);
    return failed;
}
