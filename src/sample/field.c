/* field.c: a network's outputs as noise and clean picture (diffusion/prediction.c), and the divergence of its noise: with
 * F = net(in x), eps = eps_x x + eps_f F,
 *   div eps = eps_x count + eps_f in tr(dF/d(in x)), the trace from products v.(J v).
 *
 * Rows are in double, the network computes in float. No row's arithmetic sees another's.
 */
#include "sample/field.h"

#include <string.h>

/* One evaluation of the network on in * x. */
static const float *evaluate(const ebb_model_field *f, const double *x, const ebb_level *at)
{
    const ebb_network *net = &f->model->net;
    float *times = ebb_plan_input(f->plan, f->worker, "t"), *in = ebb_plan_input(f->plan, f->worker, "x");
    int32_t *label = ebb_plan_input(f->plan, f->worker, "label");
    for (int64_t i = 0; i < f->n; i++) {
        double scale = ebb_prediction_coefficients(net->prediction, at[i].alpha, at[i].sigma, net->sigma_data).in;
        for (int64_t d = i * f->numbers; d < (i + 1) * f->numbers; d++)
            in[d] = (float)(scale * x[d]);
        times[i] = (float)ebb_network_time(net, &f->model->process, at[i]);
        if (label != NULL)
            label[i] = f->label ? f->label[i] : ebb_network_classes(net);
    }
    ebb_plan_run(f->plan, f->worker);
    return ebb_plan_output(f->plan, f->worker, 0);
}

/* The forms of F that are asked for, linear in x and F. */
static void predict_from(const ebb_model_field *m, const double *x, const ebb_level *at, const float *f, double *eps, double *x0)
{
    const ebb_network *net = &m->model->net;
    for (int64_t i = 0; i < m->n; i++) {
        ebb_coefficients c = ebb_prediction_coefficients(net->prediction, at[i].alpha, at[i].sigma, net->sigma_data);
        int64_t from = i * m->numbers, to = from + m->numbers;
        for (int64_t d = from; eps != NULL && d < to; d++)
            eps[d] = c.eps_x * x[d] + c.eps_f * f[d];
        for (int64_t d = from; x0 != NULL && d < to; d++)
            x0[d] = c.x0_x * x[d] + c.x0_f * f[d];
    }
}

static void predict(void *self, const double *x, const ebb_level *at, double *eps, double *x0)
{
    const ebb_model_field *f = self;
    predict_from(f, x, at, evaluate(f, x, at), eps, x0);
    for (int64_t d = 0; f->variance != NULL && d < f->n * f->numbers; d++)
        f->variance[d] = ((const float *)ebb_plan_output(f->plan, f->worker, 1))[d];
}

/* The products v.(J v) of direction k to q (n); exactly: v has a 1 at number k alone. Returns F. */
static const float *evaluate_along(const ebb_model_field *f, const double *x, const ebb_level *at, int64_t k, double *q)
{
    float *probe = ebb_plan_input(f->plan, f->worker, "probe");
    size_t all = (size_t)(f->n * f->numbers);
    if (f->probes > 0)
        memcpy(probe, f->probe + (size_t)k * all, all * sizeof *probe);
    else
        memset(probe, 0, all * sizeof *probe);
    for (int64_t i = 0; f->probes == 0 && i < f->n; i++)
        probe[i * f->numbers + k] = 1;
    const float *net = evaluate(f, x, at), *products = ebb_plan_output(f->plan, f->worker, 1);
    for (int64_t i = 0; i < f->n; i++)
        q[i] += (double)products[i];
    return net;
}

static void divergence(void *self, const double *x, const ebb_level *at, double *eps, double *div)
{
    const ebb_model_field *f = self;
    const ebb_network *net = &f->model->net;
    int64_t directions = f->probes > 0 ? f->probes : f->numbers;
    double share = f->probes > 0 ? 1.0 / f->probes : 1;
    memset(div, 0, (size_t)f->n * sizeof *div);
    for (int64_t k = 0; k < directions; k++) {
        const float *out = evaluate_along(f, x, at, k, div);
        if (k == 0)
            predict_from(f, x, at, out, eps, NULL);
    }
    for (int64_t i = 0; i < f->n; i++) {
        ebb_coefficients c = ebb_prediction_coefficients(net->prediction, at[i].alpha, at[i].sigma, net->sigma_data);
        div[i] = c.eps_x * (double)f->numbers + c.eps_f * c.in * share * div[i];
    }
}

/* x0 = x0_x x + x0_f F(in x): J'v = x0_x v + x0_f in (dF/d(in x))'v. */
static void pullback(void *self, const double *x, const ebb_level *at, const double *v, double *out)
{
    ebb_model_field f = *(const ebb_model_field *)self;
    const ebb_network *net = &f.model->net;
    f.plan = f.pull;
    float *seed = ebb_plan_input(f.plan, f.worker, "cotangent");
    for (int64_t d = 0; d < f.n * f.numbers; d++)
        seed[d] = (float)v[d];
    evaluate(&f, x, at);
    const float *pulled = ebb_plan_output(f.plan, f.worker, 1);
    for (int64_t i = 0; i < f.n; i++) {
        ebb_coefficients c = ebb_prediction_coefficients(net->prediction, at[i].alpha, at[i].sigma, net->sigma_data);
        for (int64_t d = i * f.numbers; d < (i + 1) * f.numbers; d++)
            out[d] = c.x0_x * v[d] + c.x0_f * c.in * pulled[d];
    }
}

static const double *last_variance(void *self)
{
    return ((const ebb_model_field *)self)->variance;
}

ebb_field ebb_field_of_model(ebb_model_field *f)
{
    return (ebb_field){.n = f->n, .count = f->numbers, .predict = predict, .self = f,
                       .divergence = f->diverges ? divergence : NULL,
                       .variance = f->variance != NULL ? last_variance : NULL, .pullback = f->pull != NULL ? pullback : NULL};
}

ebb_eval_way ebb_field_way(const ebb_context *ctx, int64_t n)
{
    int64_t shards = (n + EBB_FIELD_ROWS - 1) / EBB_FIELD_ROWS, threads = ctx->threads;
    if (ctx->backend != EBB_BACKEND_ONEDNN) /* the table of backend/choose.c: only when asked */
        return ebb_eval_choose(n, EBB_FIELD_ROWS, ctx->threads);
    return (ebb_eval_way){EBB_FIELD_ROWS, shards, (int)(shards < threads ? shards : threads), 1};
}
