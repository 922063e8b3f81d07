/* dump.c: ebb dump: a model's inputs, outputs and activations as a reference for ebb compare. */
#include <limits.h>

#include "cli/cli.h"

static struct { char *out, *inputs, *seed; long long n; int fast; } given;

static const struct poptOption options[] = {
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "the reference to write", "FILE.safetensors"},
    {"number", 'n', POPT_ARG_LONGLONG, &given.n, 0, "pictures, of noise (default 2)", "N"},
    {"seed", 0, POPT_ARG_STRING, &given.seed, 0, "of the noise (default 0)", "K"},
    {"inputs", 0, POPT_ARG_STRING, &given.inputs, 0, "take the inputs of this reference instead", "REFERENCE"},
    {"fast", 0, POPT_ARG_NONE, &given.fast, 0, "convolutions by Winograd's method, as sampling has them (default: exact sums)", NULL},
    CLI_COMMON_OPTIONS,
};

static int check(const cli_line *line)
{
    if (line->count != 1)
        return cli_fail_usage("which model? give one model.safetensors, or one folder of diffusers");
    if (!given.out || !cli_ends_with(given.out, ".safetensors"))
        return cli_fail_usage("where to? give -o FILE.safetensors");
    if (given.n < 0 || given.n > INT_MAX)
        return cli_fail_usage("-n takes numbers from 1 on");
    return cli_check_folder(given.out);
}

static int dump(ebb_context *ctx, const cli_line *line)
{
    ebb_dump_options o = {.size = sizeof o, .n = given.n, .inputs = given.inputs, .fast = given.fast};
    ebb_model *model = NULL;
    char *text = NULL;
    int code = cli_read_seed(given.seed, &o.seed);
    if (code != CLI_OK)
        return code;
    ebb_status status = ebb_model_load(ctx, line->rest[0], &model);
    if (status == EBB_OK)
        status = ebb_dump(ctx, model, &o, given.out, &text);
    ebb_model_free(model);
    return cli_finish(ctx, status, text, NULL);
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, dump);
}

const cli_command cli_dump = {
    .name = "dump",
    .summary = "writes a model's outputs and activations on given inputs",
    .arguments = "MODEL -o FILE.safetensors",
    .examples = "  ebb dump runs/digits/model.safetensors -n 4 --seed 1 -o digits-activations.safetensors\n",
    .run = run,
};
