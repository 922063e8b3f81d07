/* nll_options.c: what a job of likelihoods is asked for, checked and filled in; its data; the words it knows.
 */
#include <string.h>

#include "diffusion/likelihood.h"
#include "sample/nll.h"
#include "sample/pictures.h"

#define PICTURES 100
#define TIMES 100

/* ---- options ---------------------------------------------------------------------------------------------------- */

static ebb_status check_numbers(ebb_context *ctx, const ebb_nll_options *o)
{
    if (o->n < 0 || o->first < 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "likelihood: %lld pictures from %lld: give numbers from 0", (long long)o->n,
                        (long long)o->first);
    if (o->repeats < 0 || o->repeats > EBB_NLL_MOST || o->probes < 0 || o->probes > EBB_NLL_MOST)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "likelihood: %d repeats, %d probes: 1 to %d of each are possible", o->repeats,
                        o->probes, EBB_NLL_MOST);
    if (!(o->rtol >= 0 && o->rtol < 1) || !(o->atol >= 0 && o->atol < 1))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "likelihood: rtol %g, atol %g: numbers above 0 and below 1, as 1e-5", o->rtol, o->atol);
    if (o->times < EBB_TIMES_ALL || o->times > 100000)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "likelihood: %lld times: 1 to 100000, or all", (long long)o->times);
    return EBB_OK;
}

static ebb_status check_words(ebb_context *ctx, ebb_nll_job *j)
{
    static const char *const methods[] = {"ode", "elbo"}, *const ways[] = {"signs", "normal", "exact"};
    char near[80];
    ebb_nll_options *o = &j->o;
    o->method = o->method != NULL ? o->method : "ode";
    o->divergence = o->divergence != NULL ? o->divergence : "signs";
    o->precision = o->precision != NULL ? o->precision : "f32";
    j->elbo = strcmp(o->method, "elbo") == 0;
    j->exact = strcmp(o->divergence, "exact") == 0;
    j->normal = strcmp(o->divergence, "normal") == 0;
    if (!j->elbo && strcmp(o->method, "ode") != 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown method '%s': ode or elbo%s", o->method,
                        ebb_suggest(o->method, methods, 2, near, sizeof near));
    if (!j->exact && !j->normal && strcmp(o->divergence, "signs") != 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown divergence '%s': signs, normal or exact%s", o->divergence,
                        ebb_suggest(o->divergence, ways, 3, near, sizeof near));
    if (strcmp(o->precision, "f32") != 0 && strcmp(o->precision, "bf16") != 0)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown precision '%s': f32 or bf16", o->precision);
    return EBB_OK;
}

/* Variance, decoder and times of the bound. */
static ebb_status check_bound(ebb_context *ctx, ebb_nll_job *j)
{
    const ebb_process *p = &j->model->process;
    ebb_nll_options *o = &j->o;
    bool learned = j->model->net.learned_variance, bytes = j->data.bytes != NULL;
    j->variance = o->variance != NULL ? ebb_variance_find(o->variance) : learned ? EBB_VARIANCE_LEARNED : EBB_VARIANCE_BETA;
    j->decoder = o->decoder != NULL ? ebb_decoder_find(o->decoder)
                                    : bytes && p->steps > 0 ? EBB_DECODER_DISCRETE : EBB_DECODER_DENSITY;
    if (j->variance == EBB_VARIANCES)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown variance '%s': fixed-small, fixed-large, beta or learned", o->variance);
    if (j->decoder == EBB_DECODERS)
        return ebb_fail(ctx, EBB_E_USAGE, "unknown decoder '%s': discrete, tanh or density", o->decoder);
    if (o->variance != NULL && p->steps == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "variance %s: the steps of a chain have variances; %s goes in continuous time",
                        o->variance, ebb_process_name(p->kind));
    if (j->variance == EBB_VARIANCE_LEARNED && !learned)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "variance learned: this network gives none (net.variance=fixed)");
    if (ebb_decoder_bytes(j->decoder) && !bytes)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "decoder %s needs pictures of bytes; for points and floats: density",
                        ebb_decoder_name(j->decoder));
    if (o->times == EBB_TIMES_ALL && p->steps == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "all times: a chain has steps to take; %s goes in continuous time: say how many",
                        ebb_process_name(p->kind));
    int64_t most = p->steps > 0 ? (p->steps > 1 ? p->steps - 1 : 1) : INT64_MAX;
    if (o->times == EBB_TIMES_ALL || (o->times == 0 && most < TIMES))
        o->times = most;
    else if (o->times == 0)
        o->times = TIMES;
    return EBB_OK;
}

/* ---- data --------------------------------------------------------------------------------------------------------- */

static ebb_status open_data(ebb_context *ctx, ebb_nll_job *j)
{
    ebb_nll_options *o = &j->o;
    ebb_data_choice choice = {.path = o->data, .labels = o->labels, .classes = !o->unconditional, .first = o->first, .n = o->n,
                              .usual = PICTURES};
    EBB_TRY(ebb_data_open(ctx, j->model, &choice, &j->data, j->path));
    j->labelled = choice.classes && j->model->recipe->net_classes > 0;
    o->n = choice.n;
    return j->labelled ? EBB_OK : ebb_model_classless(ctx, j->model);
}

ebb_status ebb_nll_settle(ebb_context *ctx, ebb_nll_job *j, const ebb_nll_options *options)
{
    if (options != NULL && options->size < sizeof options->size)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "likelihood options: size is %zu; set it to sizeof(ebb_nll_options)", options->size);
    if (options != NULL)
        memcpy(&j->o, options, options->size < sizeof j->o ? options->size : sizeof j->o);
    EBB_TRY(ebb_model_denoises(ctx, j->model));
    EBB_TRY(check_numbers(ctx, &j->o));
    EBB_TRY(check_words(ctx, j));
    j->o.repeats = j->o.repeats > 0 ? j->o.repeats : 1;
    j->o.probes = j->exact || j->elbo ? 0 : j->o.probes > 0 ? j->o.probes : 1;
    j->o.rtol = j->o.rtol > 0 ? j->o.rtol : 1e-5;
    j->o.atol = j->o.atol > 0 ? j->o.atol : 1e-5;
    EBB_TRY(open_data(ctx, j));
    EBB_TRY(check_bound(ctx, j));
    j->spread = j->data.bytes != NULL && (!j->elbo || !ebb_decoder_bytes(j->decoder));
    j->offset = j->spread ? ebb_bits_offset(-1, 1, 256) : 0;
    return EBB_OK;
}

/* ---- lists --------------------------------------------------------------------------------------------------------- */

ebb_status ebb_variance_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (int v = 0; v < EBB_VARIANCES; v++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", ebb_variance_name((ebb_variance)v), "help",
                                              ebb_variance_help((ebb_variance)v)));
    return ebb_report_text(ctx, list, json);
}

ebb_status ebb_decoder_list(ebb_context *ctx, char **json)
{
    json_t *list = json_array();
    *json = NULL;
    for (int d = 0; d < EBB_DECODERS; d++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", ebb_decoder_name((ebb_decoder)d), "help",
                                              ebb_decoder_help((ebb_decoder)d)));
    return ebb_report_text(ctx, list, json);
}
