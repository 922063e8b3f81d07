/* nll.c: ebb nll: how likely a model finds pictures, in bits a number.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static struct {
    char *method, *labels, *seed, *divergence, *times, *variance, *decoder, *precision;
    long long n, first;
    int repeats, probes, exact, each, unconditional;
    double rtol, atol;
} given;

static const struct poptOption options[] = {
    {"method", 0, POPT_ARG_STRING, &given.method, 0, "ode: along the probability flow (default); elbo: the variational bound", "M"},
    {"number", 'n', POPT_ARG_LONGLONG, &given.n, 0, "pictures (default 100, or all if there are fewer)", "N"},
    {"first", 0, POPT_ARG_LONGLONG, &given.first, 0, "index of the first picture (default 0)", "I"},
    {"labels", 0, POPT_ARG_STRING, &given.labels, 0, "of DATA, for a conditional model", "FILE"},
    {"unconditional", 0, POPT_ARG_NONE, &given.unconditional, 0, "without classes, though the model has them", NULL},
    {"seed", 0, POPT_ARG_STRING, &given.seed, 0, "of dequantisation, probes, noise and times (default 0)", "K"},
    {"repeats", 0, POPT_ARG_INT, &given.repeats, 0, "passes that are averaged for each picture (default 1)", "R"},
    {"rtol", 0, POPT_ARG_DOUBLE, &given.rtol, 0, "ode: relative tolerance of a step (default 1e-5)", "X"},
    {"atol", 0, POPT_ARG_DOUBLE, &given.atol, 0, "ode: absolute tolerance of a step (default 1e-5)", "X"},
    {"probes", 0, POPT_ARG_INT, &given.probes, 0, "ode: of each estimate of the divergence (default 1)", "P"},
    {"divergence", 0, POPT_ARG_STRING, &given.divergence, 0, "ode: signs (default) or normal: of the probes; exact", "D"},
    {"exact", 0, POPT_ARG_NONE, &given.exact, 0, "ode: short for --divergence exact: one evaluation for each number", NULL},
    {"times", 0, POPT_ARG_STRING, &given.times, 0, "elbo: levels for each picture (default 100, or all if fewer)", "K|all"},
    {"variance", 0, POPT_ARG_STRING, &given.variance, 0, "elbo: of a chain's steps, see below", "V"},
    {"decoder", 0, POPT_ARG_STRING, &given.decoder, 0, "elbo: of the last term, see below (default: discrete for chains, else density)", "D"},
    {"each", 0, POPT_ARG_NONE, &given.each, 0, "also the value of each picture", NULL},
    {"precision", 0, POPT_ARG_STRING, &given.precision, 0, "of activations: f32 (default) or bf16", "P"},
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    cli_help_list(out, "Variances (default: learned where it is, else beta)", ebb_variance_list);
    cli_help_list(out, "Decoders", ebb_decoder_list);
}

static bool elbo(void)
{
    return given.method && strcmp(given.method, "elbo") == 0;
}

/* Options of the method that was not asked for. */
static const char *idle(void)
{
    if (elbo())
        return given.rtol != 0 ? "--rtol" : given.atol != 0 ? "--atol" : given.probes ? "--probes" : given.exact ? "--exact"
               : given.divergence ? "--divergence" : NULL;
    return given.times ? "--times" : given.variance ? "--variance" : given.decoder ? "--decoder" : NULL;
}

static int check(const cli_line *line)
{
    static const char *const methods[] = {"ode", "elbo", NULL};
    if (line->count < 1)
        return cli_fail_usage("of which model? give the path of a model.safetensors");
    if (line->count > 2)
        return cli_fail_usage("one model and one set of pictures: \"%s\" is one too many", line->rest[2]);
    if (given.method && !elbo() && strcmp(given.method, "ode") != 0) {
        const char *near = cli_nearest(given.method, methods);
        return cli_fail_usage("--method %s: give ode or elbo%s%s%s", given.method, near ? "; did you mean \"" : "", near ? near : "",
                              near ? "\"?" : "");
    }
    if (idle())
        return cli_fail_usage("%s is of --method %s", idle(), elbo() ? "ode" : "elbo");
    if (given.exact && given.divergence && strcmp(given.divergence, "exact") != 0)
        return cli_fail_usage("--exact and --divergence %s: give one of them", given.divergence);
    if (given.exact && given.probes)
        return cli_fail_usage("--exact takes no --probes");
    if (given.labels && line->count < 2)
        return cli_fail_usage("--labels %s: of which pictures? give DATA too", given.labels);
    if (given.n < 0 || given.first < 0 || given.repeats < 0 || given.probes < 0)
        return cli_fail_usage("-n, --first, --repeats and --probes take numbers from 0");
    if (!(given.rtol >= 0 && given.rtol < 1) || !(given.atol >= 0 && given.atol < 1))
        return cli_fail_usage("--rtol and --atol take numbers above 0 and below 1, as 1e-5");
    return CLI_OK;
}

/* --seed and --times. */
static int read_numbers(ebb_nll_options *o)
{
    char *end;
    int code = cli_read_seed(given.seed, &o->seed);
    if (code != CLI_OK)
        return code;
    errno = 0;
    if (given.times && strcmp(given.times, "all") == 0)
        o->times = EBB_TIMES_ALL;
    else if (given.times) {
        o->times = strtoll(given.times, &end, 10);
        if (errno || *end || end == given.times || o->times < 1)
            return cli_fail_usage("--times %s: give a whole number from 1, or all", given.times);
    }
    return CLI_OK;
}

typedef struct clock_of_work { double start; long long passes; } clock_of_work;

static int on_progress(void *user, double done)
{
    char left[32];
    const clock_of_work *w = user;
    double gone = cli_seconds() - w->start, rate = done * (double)w->passes / (gone > 0 ? gone : 1);
    cli_progress(done >= 1, "likelihood  %.1f%%  %.3g pictures/s  left %s", 100 * done, rate,
                 cli_duration(done > 0 ? gone * (1 - done) / done : 0, left));
    return cli_stopped();
}

static double number(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static void show_elbo(const json_t *json)
{
    const char *name;
    json_t *value, *variances = json_object_get(json, "variances");
    printf("  at the end %.4f, steps %.4f, decoding %.4f (%s)\n", number(json, "prior"), number(json, "steps"),
           number(json, "decoding"), json_string_value(json_object_get(json, "decoder")));
    json_object_foreach (variances, name, value)
        printf("  %-12s %.4f\n", name, json_number_value(value));
}

static void show(json_t *json)
{
    size_t i;
    json_t *value;
    printf("%s: %.4f +- %.4f bits/dim (%s), %lld pictures in %.1f s\n", json_string_value(json_object_get(json, "data")),
           number(json, "bits_per_dim"), number(json, "standard_error"), elbo() ? "variational bound" : "probability flow",
           (long long)number(json, "pictures"), number(json, "seconds"));
    printf("  %.2f nats a picture of %lld numbers%s\n", number(json, "nats"), (long long)number(json, "numbers"),
           json_is_true(json_object_get(json, "dequantized")) ? ", noise between grey levels, 7 bits more" : "");
    if (elbo())
        show_elbo(json);
    else
        printf("  %.1f evaluations a picture, at most %lld\n", number(json, "nfe"), (long long)number(json, "nfe_most"));
    json_array_foreach (json_object_get(json, "each"), i, value)
        printf("  %zu: %.4f\n", i + (size_t)number(json, "first"), json_number_value(value));
}

static int measure(ebb_context *ctx, ebb_model *model, ebb_nll_options *o)
{
    char *text;
    clock_of_work w = {cli_seconds(), (o->n > 0 ? o->n : 100) * (o->repeats > 0 ? o->repeats : 1)};
    o->progress = on_progress;
    o->user = &w;
    cli_stop_catch();
    ebb_status status = ebb_nll(ctx, model, o, &text);
    if (cli_stopped() && status != EBB_OK)
        return cli_fail("stopped"), CLI_INTERRUPTED;
    if (status != EBB_OK)
        return cli_fail_context(ctx, status);
    json_t *json = cli_json_take(text);
    if (!json)
        return CLI_ERROR;
    json_object_set_new(json, "seconds", json_real(cli_seconds() - w.start));
    return cli_json_end(json, show);
}

static int nll(ebb_context *ctx, const cli_line *line)
{
    ebb_model *model = NULL;
    ebb_nll_options o = {.size = sizeof o, .method = given.method, .data = line->count > 1 ? line->rest[1] : NULL,
                         .labels = given.labels, .unconditional = given.unconditional, .first = given.first, .n = given.n,
                         .repeats = given.repeats, .precision = given.precision, .rtol = given.rtol, .atol = given.atol,
                         .divergence = given.exact ? "exact" : given.divergence, .probes = given.probes,
                         .variance = given.variance, .decoder = given.decoder, .each = given.each};
    int code = read_numbers(&o);
    if (code != CLI_OK)
        return code;
    ebb_status status = ebb_model_load(ctx, line->rest[0], &model);
    code = status == EBB_OK ? measure(ctx, model, &o) : cli_fail_context(ctx, status);
    ebb_model_free(model);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, nll);
}

const cli_command cli_nll = {
    .name = "nll",
    .summary = "measures how likely a model finds pictures, in bits/dim",
    .arguments = "MODEL [DATA]",
    .examples = "  ebb nll runs/digits/model.safetensors -n 100 --method elbo\n"
                "  ebb nll runs/digits/model.safetensors mnist/mnist-test-images-idx3-ubyte.gz \\\n"
                "      --labels mnist/mnist-test-labels-idx1-ubyte.gz -n 200 --repeats 5\n",
    .run = run,
    .more_help = more_help,
};
