/* convert.c: ebb convert: a model as a folder of diffusers, or such a folder as a model. */
#include "cli/cli.h"

static struct { char *out; } given;

static const struct poptOption options[] = {
    {"out", 'o', POPT_ARG_STRING, &given.out, 0, "a new folder for a model of ebb, FILE.safetensors for a folder of diffusers", "PATH"},
    CLI_COMMON_OPTIONS,
};

static int check(const cli_line *line)
{
    if (line->count != 1)
        return cli_fail_usage("which model? give one model.safetensors, or one folder of diffusers");
    return given.out ? cli_check_folder(given.out) : cli_fail_usage("where to? give -o FOLDER or -o FILE.safetensors");
}

static int convert(ebb_context *ctx, const cli_line *line)
{
    char *text = NULL;
    ebb_status status = ebb_convert(ctx, line->rest[0], given.out, &text);
    return cli_finish(ctx, status, text, NULL);
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, convert);
}

const cli_command cli_convert = {
    .name = "convert",
    .summary = "writes a model as a pipeline of diffusers, or such a pipeline as a model",
    .arguments = "MODEL -o PATH",
    .examples =
        "  ebb convert runs/digits/model.safetensors -o digits-pipeline\n"
        "  ebb convert ddpm-cifar10-32 -o cifar.safetensors\n",
    .run = run,
};
