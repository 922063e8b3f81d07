/* nll_report.c: likelihoods of pictures as bits a number, their mean and its standard error, and the terms of bounds.
 */
#include <math.h>

#include "diffusion/likelihood.h"
#include "sample/nll.h"

int64_t ebb_nll_row(const ebb_nll_job *j, int64_t i, int repeat)
{
    return repeat * j->way.shards * j->way.shard + i;
}

/* ---- means over pictures -------------------------------------------------------------------------------------- */

typedef struct column { const double *at; int64_t stride; } column;

/* Of a picture, over its repeats. */
static double of_picture(const ebb_nll_job *j, column c, int64_t i)
{
    double sum = 0;
    for (int r = 0; r < j->o.repeats; r++)
        sum += c.at[ebb_nll_row(j, i, r) * c.stride];
    return sum / j->o.repeats;
}

static double mean_of(const ebb_nll_job *j, column c)
{
    double sum = 0;
    for (int64_t i = 0; i < j->o.n; i++)
        sum += of_picture(j, c, i);
    return sum / (double)j->o.n;
}

static double bits(const ebb_nll_job *j, double nats)
{
    return ebb_bits_per_dim(-nats, j->numbers, 0);
}

/* -log p of a picture, or its bound by that variance. */
static double nats_of(const ebb_nll_job *j, int64_t i, ebb_variance v)
{
    column prior = {j->prior, 1}, delta = {j->delta, 1}, first = {j->first + v, EBB_VARIANCES}, steps = {j->steps + v, EBB_VARIANCES};
    if (!j->elbo)
        return -of_picture(j, prior, i) - of_picture(j, delta, i);
    return of_picture(j, prior, i) + of_picture(j, first, i) + of_picture(j, steps, i);
}

static double total(const ebb_nll_job *j, ebb_variance v)
{
    double sum = 0;
    for (int64_t i = 0; i < j->o.n; i++)
        sum += nats_of(j, i, v);
    return sum / (double)j->o.n;
}

/* Of the mean over pictures; NaN of one alone. */
static double standard_error(const ebb_nll_job *j, double mean)
{
    double sum = 0, n = (double)j->o.n;
    for (int64_t i = 0; i < j->o.n; i++)
        sum += (nats_of(j, i, j->variance) - mean) * (nats_of(j, i, j->variance) - mean);
    return sqrt(sum / (n - 1) / n);
}

/* ---- the two methods ------------------------------------------------------------------------------------------- */

static void add_ode(const ebb_nll_job *j, json_t *to)
{
    double nfe = 0;
    int64_t most = 0;
    for (int r = 0; r < j->o.repeats; r++)
        for (int64_t i = 0; i < j->o.n; i++) {
            int64_t one = j->nfe[ebb_nll_row(j, i, r)];
            nfe += (double)one / (double)(j->o.n * j->o.repeats);
            most = one > most ? one : most;
        }
    double each = j->exact ? (double)j->numbers : j->o.probes;
    json_object_set_new(to, "prior", ebb_report_number(-bits(j, mean_of(j, (column){j->prior, 1}))));
    json_object_set_new(to, "flow", ebb_report_number(-bits(j, mean_of(j, (column){j->delta, 1}))));
    json_object_set_new(to, "nfe", json_real(nfe));
    json_object_set_new(to, "nfe_most", json_integer(most));
    json_object_set_new(to, "evaluations", json_real(nfe * each));
    json_object_set_new(to, "divergence", json_string(j->o.divergence));
    json_object_set_new(to, "probes", j->exact ? json_null() : json_integer(j->o.probes));
    json_object_set_new(to, "rtol", json_real(j->o.rtol));
    json_object_set_new(to, "atol", json_real(j->o.atol));
}

static bool chain(const ebb_nll_job *j)
{
    return j->model->process.steps > 0;
}

static bool takes_all(const ebb_nll_job *j)
{
    return ebb_elbo_takes_all(&j->model->process, j->o.times);
}

/* The sum of the L_t whose variances are fitted to these very pictures, in nats. */
static double fitted_steps(const ebb_nll_job *j)
{
    double sum = 0;
    for (int64_t k = 0; k < j->o.times; k++) {
        ebb_elbo_law law = ebb_elbo_step_law(&j->model->process, (int)k + 1);
        double squares = mean_of(j, (column){j->squares + k, j->o.times});
        sum += ebb_elbo_step(&law, ebb_elbo_best_variance(&law, squares, j->numbers), squares, j->numbers);
    }
    return sum;
}

/* Totals by each variance. Fitted ones need every step; decoding is then by beta. */
static json_t *variances(const ebb_nll_job *j)
{
    json_t *all = json_object();
    for (int v = 0; v < EBB_VARIANCES; v++)
        if (v != EBB_VARIANCE_LEARNED || j->model->net.learned_variance)
            json_object_set_new(all, ebb_variance_name((ebb_variance)v), ebb_report_number(bits(j, total(j, (ebb_variance)v)) + j->offset));
    if (takes_all(j)) {
        double first = mean_of(j, (column){j->first + EBB_VARIANCE_BETA, EBB_VARIANCES});
        double prior = mean_of(j, (column){j->prior, 1});
        json_object_set_new(all, "fitted", ebb_report_number(bits(j, prior + first + fitted_steps(j)) + j->offset));
    }
    return all;
}

/* What adds up to the sum: each step of a chain, or equal parts of the way of which a time was drawn. */
static json_t *terms(const ebb_nll_job *j)
{
    json_t *rows = json_array();
    const ebb_process *p = &j->model->process;
    double from, to;
    ebb_likelihood_ends(p, &from, &to);
    double first = ebb_process_lambda(p, from), length = first - ebb_process_lambda(p, to);
    for (int64_t k = 0; k < j->o.times; k++) {
        double mean = bits(j, mean_of(j, (column){j->term + k, j->o.times}));
        json_t *row = json_pack("{s:o}", "bits_per_dim", ebb_report_number(mean));
        if (takes_all(j))
            json_object_set_new(row, "t", json_integer(k + 1));
        else if (!chain(j))
            json_object_set_new(row, "t", ebb_report_number(ebb_process_time(p, first - ((double)k + 0.5) / (double)j->o.times * length)));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void add_elbo(const ebb_nll_job *j, json_t *to)
{
    column first = {j->first + j->variance, EBB_VARIANCES}, steps = {j->steps + j->variance, EBB_VARIANCES};
    json_object_set_new(to, "prior", ebb_report_number(bits(j, mean_of(j, (column){j->prior, 1}))));
    json_object_set_new(to, "steps", ebb_report_number(bits(j, mean_of(j, steps))));
    json_object_set_new(to, "decoding", ebb_report_number(bits(j, mean_of(j, first)) + j->offset));
    json_object_set_new(to, "decoder", json_string(ebb_decoder_name(j->decoder)));
    json_object_set_new(to, "nfe", json_integer(j->o.times + 1));
    json_object_set_new(to, "times", takes_all(j) ? json_string("all") : json_integer(j->o.times));
    if (chain(j)) {
        json_object_set_new(to, "variance", json_string(ebb_variance_name(j->variance)));
        json_object_set_new(to, "variances", variances(j));
    }
    json_object_set_new(to, "terms", terms(j));
}

ebb_status ebb_nll_report(ebb_context *ctx, const ebb_nll_job *j, char **json)
{
    double nats = total(j, j->variance);
    json_t *report = json_pack(
        "{s:s, s:s, s:b, s:I, s:I, s:I, s:i, s:I, s:o, s:o, s:o, s:f, s:b}", "method", j->o.method, "data", j->path,
        "conditional", j->labelled, "first", (json_int_t)j->o.first, "pictures", (json_int_t)j->o.n, "numbers",
        (json_int_t)j->numbers, "repeats", j->o.repeats, "seed", (json_int_t)j->o.seed, "bits_per_dim",
        ebb_report_number(bits(j, nats) + j->offset), "standard_error", ebb_report_number(bits(j, standard_error(j, nats))), "nats", ebb_report_number(nats),
        "offset", j->offset, "dequantized", j->spread);
    if (report != NULL && j->elbo)
        add_elbo(j, report);
    else if (report != NULL)
        add_ode(j, report);
    if (report != NULL && j->o.each) {
        json_t *each = json_array();
        for (int64_t i = 0; i < j->o.n; i++)
            json_array_append_new(each, ebb_report_number(bits(j, nats_of(j, i, j->variance)) + j->offset));
        json_object_set_new(report, "each", each);
    }
    return ebb_report_text(ctx, report, json);
}
