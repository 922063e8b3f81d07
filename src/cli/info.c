/* info.c: ebb info: tells what is in a file, or what this machine can do. */
#include "cli/cli.h"

static const struct poptOption options[] = {CLI_COMMON_OPTIONS};

static int check(const cli_line *line)
{
    return line->count == 1 ? CLI_OK : cli_fail_usage("about what? give one file, or cpu");
}

static int info(ebb_context *ctx, const cli_line *line)
{
    char *text = NULL;
    ebb_status status = ebb_info(ctx, line->rest[0], &text);
    return cli_finish(ctx, status, text, NULL);
}

static int run(const cli_command *self, int argc, const char **argv)
{
    return cli_run(self, options, argc, argv, check, info);
}

const cli_command cli_info = {
    .name = "info",
    .summary = "tells what is in a file (model, checkpoint, safetensors, idx, npy) or a pipeline of diffusers, or about this machine",
    .arguments = "FILE|FOLDER|cpu",
    .examples = "  ebb info runs/digits/model.safetensors\n  ebb info ddpm-cifar10-32\n  ebb info cpu --json\n",
    .run = run,
};
