/* classify.c: ebb classify: how often a classifier finds the class, by level of noise; or what classes pictures have. */
#include "cli/cli.h"

static struct {
    char *labels, *seed;
    long long n, first;
    int levels;
} given;

static const struct poptOption options[] = {
    {"labels", 0, POPT_ARG_STRING, &given.labels, 0, "classes of DATA (idx, npy); without them there are only shares", "FILE"},
    {"number", 'n', POPT_ARG_LONGLONG, &given.n, 0, "pictures (default 1000, or all)", "N"},
    {"first", 0, POPT_ARG_LONGLONG, &given.first, 0, "index of the first picture of the data (default 0)", "I"},
    {"levels", 0, POPT_ARG_INT, &given.levels, 0, "levels of noise, from least to most (default 9)", "K"},
    {"seed", 0, POPT_ARG_STRING, &given.seed, 0, "seed of the noise (default 0)", "K"},
    CLI_COMMON_OPTIONS,
};

static int check(const cli_line *line)
{
    if (line->count < 1)
        return cli_fail_usage("which classifier? give the path of a model.safetensors");
    if (line->count > 2)
        return cli_fail_usage("one classifier and one file or folder of pictures: \"%s\" is one too many", line->rest[2]);
    if (given.labels && line->count < 2)
        return cli_fail_usage("--labels are of DATA: give both");
    if (given.n < 0 || given.first < 0 || given.levels < 0)
        return cli_fail_usage("-n, --first and --levels take numbers from 0");
    return CLI_OK;
}

static int on_progress(void *start, double done)
{
    char left[32];
    double gone = cli_seconds() - *(double *)start;
    cli_progress(done >= 1, "classifying  %.0f%%  left %s", 100 * done, cli_duration(gone / done * (1 - done), left));
    return cli_stopped();
}

static void show(const json_t *json)
{
    const json_t *levels = json_object_get(json, "levels");
    printf("%lld pictures of %s\n", (long long)json_integer_value(json_object_get(json, "pictures")),
           json_string_value(json_object_get(json, "data")));
    if (json_array_size(levels) > 0) {
        printf("\nBy level of noise\n");
        cli_table(levels, 2);
    }
    printf("\nBy class, at the least noise (share: found to be of it%s)\n", json_array_size(levels) > 0 ? "; labelled: are" : "");
    cli_table(json_object_get(json, "classes"), 2);
}

static int classify(ebb_context *ctx, const cli_line *line)
{
    double start = cli_seconds();
    ebb_classify_options o = {.size = sizeof o, .data = line->count > 1 ? line->rest[1] : NULL, .labels = given.labels,
                              .first = given.first, .n = given.n, .levels = given.levels, .progress = on_progress, .user = &start};
    ebb_model *model = NULL;
    char *text = NULL;
    int code = cli_read_seed(given.seed, &o.seed);
    if (code != CLI_OK)
        return code;
    cli_stop_catch();
    ebb_status status = ebb_model_load(ctx, line->rest[0], &model);
    if (status == EBB_OK)
        status = ebb_classify(ctx, model, &o, &text);
    ebb_model_free(model);
    cli_progress_end();
    if (status != EBB_OK)
        return cli_stopped() ? (cli_fail("stopped"), CLI_INTERRUPTED) : cli_fail_context(ctx, status);
    json_t *json = cli_json_take(text);
    if (json && cli_common.json)
        cli_json_print(json);
    else if (json)
        show(json);
    json_decref(json);
    return json ? CLI_OK : CLI_ERROR;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, classify);
}

const cli_command cli_classify = {
    .name = "classify",
    .summary = "tells how often a classifier finds the class of noisy pictures",
    .arguments = "CLASSIFIER [DATA]",
    .examples = "  ebb classify runs/digits-classifier/model.safetensors mnist-test-images-idx3-ubyte.gz "
                "--labels mnist-test-labels-idx1-ubyte.gz\n"
                "  ebb classify runs/digits-classifier/model.safetensors digits.npy       # what a model has made\n",
    .run = run,
};
