/* info.c: ebb info: tells what is in a file, or what this machine can do. */
#include "cli/cli.h"

static const struct poptOption options[] = {CLI_COMMON_OPTIONS};

static int info(ebb_context *ctx, const char *what)
{
    char *text;
    ebb_status status = ebb_info(ctx, what, &text);
    if (status != EBB_OK)
        return cli_fail_context(ctx, status);
    json_t *json = cli_json_take(text);
    if (!json)
        return CLI_ERROR;
    if (cli_common.json)
        cli_json_print(json);
    else
        cli_json_show(json, 0);
    json_decref(json);
    return CLI_OK;
}

static int run(const cli_command *self, int argc, const char **argv)
{
    cli_line line;
    int code;
    if (cli_line_read(&line, self, options, argc, argv, &code)) {
        if (line.count != 1) {
            code = cli_fail_usage("about what? give one file, or cpu");
        } else {
            ebb_context *ctx = cli_context(&code);
            if (ctx)
                code = info(ctx, line.rest[0]);
            ebb_context_free(ctx);
        }
    }
    cli_line_free(&line);
    return code;
}

const cli_command cli_info = {
    .name = "info",
    .summary = "tells what is in a file (model, checkpoint, safetensors, idx, npy), or about this machine",
    .arguments = "FILE|cpu",
    .examples = "  ebb info runs/digits/model.safetensors\n  ebb info cpu --json\n",
    .run = run,
};
