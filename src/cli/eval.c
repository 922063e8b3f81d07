/* eval.c: ebb eval: how good a model's samples, or pictures, are beside data, metric by metric with its floor.
 */
#include <string.h>

#include "cli/cli.h"

static struct {
    char *data, *labels, *sampler, *grid, *guidance, *interval, *class, *seed, *precision, *out, *keep, *inception;
    long long n, nll;
    int steps, resamples, quick;
} given;

static const struct poptOption options[] = {
    {"data", 0, POPT_ARG_STRING, &given.data, 0, "the data to compare with, as DATA", "D"},
    {"labels", 0, POPT_ARG_STRING, &given.labels, 0, "classes of the data (idx, npy)", "FILE"},
    {"number", 'n', POPT_ARG_LONGLONG, &given.n, 0, "pictures (default: 1000 samples; all PICTURES, up to 5000)", "N"},
    {"sampler", 0, POPT_ARG_STRING, &given.sampler, 0, "method and settings, as of ebb sample (default: the model's)", "S"},
    {"grid", 0, POPT_ARG_STRING, &given.grid, 0, "levels that it walks through, as of ebb sample", "G"},
    {"steps", 0, POPT_ARG_INT, &given.steps, 0, "steps of the sampler (default: the model's, or the sampler's own)", "N"},
    CLI_GUIDANCE_OPTIONS(&given.guidance, &given.interval, "the model's"),
    {"class", 0, POPT_ARG_STRING, &given.class, 0, "samples of this class, or of all by their shares in the data (default: all)", "K|all"},
    {"seed", 0, POPT_ARG_STRING, &given.seed, 0, "seed of the samples (default 0)", "K"},
    {"precision", 0, POPT_ARG_STRING, &given.precision, 0, "of activations in sampling: f32 or bf16 (default: as trained)", "P"},
    {"nll", 0, POPT_ARG_LONGLONG, &given.nll, 0, "also bits/dim, of so many pictures of the data (slow)", "N"},
    {"inception", 0, POPT_ARG_STRING, &given.inception, 0,
     "features of Inception-v3 with these weights (safetensors, torchvision's names, fc of 1008), not of a classifier", "FILE"},
    {"resamples", 0, POPT_ARG_INT, &given.resamples, 0, "rounds of the bootstrap for the intervals (default 40; -1: no intervals)", "B"},
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "directory for results.json, samples.npy, samples.png, metrics.png", "DIR"},
    {"keep", 0, POPT_ARG_STRING, &given.keep, 0, "directory that keeps the classifiers of data sets (default runs/experiments)", "DIR"},
    {"quick", 0, POPT_ARG_NONE, &given.quick, 0, "few samples, a classifier trained in a moment: to see that all works", NULL},
    CLI_COMMON_OPTIONS,
};

static void more_help(FILE *out)
{
    fputs("\nDATA is a file or folder of pictures (idx, npy, png), or a recipe, whose data count; without it a model is compared with what it\n"
          "was trained on. Half of the data are the reference; groups of the other half, as large as what is judged, give each metric's floor.\n"
          "Features are of a classifier of the data, trained once (minutes) and kept: the data need labels, or --inception.\n", out);
    cli_help_list(out, "Metrics", ebb_metric_list);
    cli_help_list(out, CLI_GUIDANCE_HELP, ebb_guidance_list);
}

static int check(const cli_line *line)
{
    bool model = line->count > 0 && ebb_model_named(line->rest[0]);
    if (line->count < 1)
        return cli_fail_usage("judge what? give a model (model.safetensors, or a folder with a pipeline), or a file or folder of pictures");
    if (line->count > 2)
        return cli_fail_usage("one model or file of pictures, and its data: \"%s\" is one too many", line->rest[2]);
    if (given.data && line->count > 1)
        return cli_fail_usage("DATA twice: \"%s\" and --data %s", line->rest[1], given.data);
    if (!model && !given.data && line->count < 2)
        return cli_fail_usage("beside which data? pictures need DATA: a file or folder of pictures, or a recipe as digits");
    if (!model && (given.sampler || given.grid || given.steps || given.guidance || given.interval || given.class || given.seed || given.nll ||
                  given.precision))
        return cli_fail_usage("%s: options of sampling and --nll are of a model (model.safetensors, or a folder with a pipeline)", line->rest[0]);
    if (given.n < 0 || given.steps < 0 || given.nll < 0)
        return cli_fail_usage("-n, --steps and --nll take numbers from 0");
    return CLI_OK;
}

/* ---- showing -------------------------------------------------------------------------------------------------------------------- */

static const json_t *at(const json_t *json, const char *key)
{
    return json_object_get(json, key);
}

static json_int_t whole(const json_t *json, const char *key)
{
    return json_integer_value(at(json, key));
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(at(json, key));
    return text ? text : "";
}

static json_t *interval(const json_t *metric)
{
    char text[60] = "";
    if (json_is_number(at(metric, "low")))
        snprintf(text, sizeof text, "%.4g..%.4g", json_number_value(at(metric, "low")), json_number_value(at(metric, "high")));
    return json_string(text);
}

static json_t *number(const json_t *value, const char *format)
{
    char text[40] = "-";
    if (json_is_number(value))
        snprintf(text, sizeof text, format, json_number_value(value));
    return json_string(text);
}

static void show_head(const json_t *all)
{
    const json_t *judged = at(all, "judged"), *beside = at(all, "beside"), *features = at(beside, "features");
    bool model = strcmp(text_of(all, "kind"), "model") == 0;
    printf("%lld %s of %s", (long long)whole(judged, "n"), model ? "samples" : "pictures", text_of(judged, model ? "model" : "pictures"));
    if (model)
        printf(" (%s, %lld evaluations)", text_of(judged, "sampler"), (long long)whole(judged, "evaluations"));
    printf(" beside %lld of %s; floor: %lld times %lld others of them\n", (long long)whole(beside, "reference"), text_of(beside, "data"),
           (long long)whole(beside, "floor_groups"), (long long)whole(beside, "floor"));
    printf("%lld features of a %s", (long long)whole(features, "dim"), text_of(features, "network"));
    if (json_is_number(at(features, "accuracy")))
        printf(" that reads %.1f%% of %lld held-out pictures right", 100 * json_number_value(at(features, "accuracy")),
               (long long)whole(features, "held_out"));
    printf(": %s\n", text_of(features, "model"));
    if (json_is_true(at(all, "quick")))
        printf("quick: nothing is claimed of these numbers\n");
}

static void show(json_t *all)
{
    size_t i;
    json_t *metric, *rows = json_array();
    show_head(all);
    json_array_foreach (at(all, "metrics"), i, metric)
        json_array_append_new(rows, json_pack("{s:O, s:o, s:o, s:o, s:o, s:O}", "metric", at(metric, "name"), "value",
                                              number(at(metric, "value"), "%.4g"), "90%", interval(metric), "floor",
                                              number(at(metric, "floor"), "%.4g"), "ratio", number(at(metric, "ratio"), "%.3g"), "better",
                                              at(metric, "better")));
    cli_table(rows, 2);
    json_decref(rows);
    if (given.out)
        printf("written: %s/results.json, samples.png, metrics.png%s\n", given.out,
               strcmp(text_of(all, "kind"), "model") == 0 ? ", samples.npy" : "");
}

/* ---- running -------------------------------------------------------------------------------------------------------------------- */

/* How samples are drawn. */
static int read_sampling(ebb_context *ctx, ebb_model *model, ebb_sample_options *o)
{
    ebb_model_shape shape = {.size = sizeof shape};
    *o = ebb_sample_defaults();
    if (ebb_model_describe(model, &shape) != EBB_OK)
        return cli_fail_context(ctx, EBB_E_INTERNAL);
    o->sampler = given.sampler;
    o->grid = given.grid;
    o->steps = given.steps;
    o->precision = given.precision;
    o->label = shape.classes > 0 ? EBB_LABEL_ALL : EBB_LABEL_NONE;
    int code = cli_read_class(given.class, &shape, true, &o->label);
    if (code == CLI_OK)
        code = cli_read_seed(given.seed, &o->seed);
    if (code == CLI_OK && given.guidance)
        code = cli_guidance_read(ctx, given.guidance, &o->guidance);
    if (code == CLI_OK && given.interval)
        code = cli_interval_read(given.interval, &o->guidance_low, &o->guidance_high);
    return code;
}

static int judge(ebb_context *ctx, ebb_model *model, const cli_line *line)
{
    char *text = NULL;
    cli_work w = {.start = cli_seconds()};
    ebb_sample_options sample;
    ebb_eval_options o = {.size = sizeof o, .data = line->count > 1 ? line->rest[1] : given.data, .labels = given.labels, .n = given.n,
                          .nll = given.nll, .resamples = given.resamples, .dir = given.keep, .out = given.out, .quick = given.quick,
                          .progress = cli_progress_work, .user = &w, .inception = given.inception};
    if (model) {
        int code = read_sampling(ctx, model, &sample);
        if (code != CLI_OK)
            return code;
        o.sample = &sample;
    }
    cli_stop_catch();
    ebb_status status = ebb_eval(ctx, model, model ? NULL : line->rest[0], &o, &text);
    cli_progress_end();
    if (status != EBB_OK && cli_stopped())
        return cli_fail("%s; the same command goes on with the classifier", ebb_message(ctx)), CLI_INTERRUPTED;
    return cli_finish(ctx, status, text, show);
}

static int eval(ebb_context *ctx, const cli_line *line)
{
    ebb_model *model = NULL;
    if (ebb_model_named(line->rest[0])) {
        ebb_status status = ebb_model_load(ctx, line->rest[0], &model);
        if (status != EBB_OK)
            return cli_fail_context(ctx, status);
    }
    int code = judge(ctx, model, line);
    ebb_model_free(model);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, eval);
}

const cli_command cli_eval = {
    .name = "eval",
    .summary = "measures how good a model's samples, or pictures, are beside data",
    .arguments = "MODEL|PICTURES [DATA]",
    .examples = "  ebb eval runs/digits/model.safetensors -n 2000 -o eval\n"
                "  ebb eval samples.npy digits                     # beside the data of a recipe\n"
                "  ebb eval samples.npy train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz\n",
    .run = run,
    .more_help = more_help,
};
