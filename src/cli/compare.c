/* compare.c: ebb compare: holds a model against what another program computed; exit code 1 where they differ. */
#include <float.h>
#include <math.h>

#include "cli/cli.h"

static struct { double tolerance; char *precision; int fast; } given = {.tolerance = NAN};   /* NaN: not given */

static const struct poptOption options[] = {
    {"tolerance", 0, POPT_ARG_DOUBLE, &given.tolerance, 0,
     "largest difference allowed, in units of a tensor's largest number where that is above 1 (default: the reference's, or 2e-4)", "T"},
    {"precision", 0, POPT_ARG_STRING, &given.precision, 0, "of activations: f32 or bf16 (default f32)", "P"},
    {"fast", 0, POPT_ARG_NONE, &given.fast, 0, "convolutions by Winograd's method, as sampling has them (default: exact sums)", NULL},
    CLI_COMMON_OPTIONS,
};

static int check(const cli_line *line)
{
    if (line->count != 2)
        return cli_fail_usage("what with what? give a model and a reference: .json, .safetensors, .npz or a folder of .npy");
    if (given.tolerance < 0 || isinf(given.tolerance))
        return cli_fail_usage("--tolerance takes a number of 0 or more, as 1e-4");
    return CLI_OK;
}

/* The tensors as a table, the histograms in short. */
static void show(json_t *info)
{
    json_t *rows = json_array(), *tensor, *count;
    const char *bin;
    size_t i;
    json_array_foreach (json_object_get(info, "tensors"), i, tensor) {
        char bins[200] = "";
        int n = 0;
        json_object_foreach (json_object_get(tensor, "ulp"), bin, count)
            if (json_integer_value(count) > 0 && n < 180)
                n += snprintf(bins + n, sizeof bins - (size_t)n, "%s%s:%lld", n ? " " : "", bin, (long long)json_integer_value(count));
        json_t *row = json_copy(tensor);
        json_object_set_new(row, "ulp", json_string(bins));
        json_object_del(row, "at");
        json_array_append_new(rows, row);
    }
    json_object_set_new(info, "tensors", rows);
    cli_json_show(info, 0);
}

static int compare(ebb_context *ctx, const cli_line *line)
{
    ebb_compare_options o = {.size = sizeof o, .precision = given.precision, .fast = given.fast};
    ebb_model *model = NULL;
    char *text = NULL;
    if (!isnan(given.tolerance))
        o.tolerance = given.tolerance > 0 ? given.tolerance : DBL_MIN;   /* 0 is the reference's own */
    ebb_status status = ebb_model_load(ctx, line->rest[0], &model);
    if (status == EBB_OK)
        status = ebb_compare(ctx, model, line->rest[1], &o, &text);
    ebb_model_free(model);
    json_t *info = status == EBB_OK ? json_loads(text, 0, NULL) : NULL;
    long long deviating = json_integer_value(json_object_get(info, "deviating"));
    const char *first = json_string_value(json_object_get(info, "first"));
    int code = cli_finish(ctx, status, text, show);
    if (code == CLI_OK && deviating > 0)
        code = cli_fail("%lld tensors deviate by more than the tolerance; the first is %s", deviating, first ? first : "?");
    json_decref(info);
    return code;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, compare);
}

const cli_command cli_compare = {
    .name = "compare",
    .summary = "holds a model's outputs and activations against a reference's",
    .arguments = "MODEL REFERENCE",
    .examples =
        "  ebb compare ddpm-cifar10-32 io.json --tolerance 2e-4\n"
        "  ebb dump runs/digits/model.safetensors -o before.safetensors\n"
        "  ebb compare runs/digits/model.safetensors before.safetensors --tolerance 0 --json\n",
    .run = run,
};
